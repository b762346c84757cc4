//! Plugins that mean harm, against the whole server: a compiler that is bombed, and memory that comes back.

use hookmill::Explain as _;
use hookmill::plugin::{Compiler, PluginHost, PluginHostConfig, PluginLimits};
use hookmill_testing::{Receiver, example_plugin, misbehaving, wait_for};
use serde_json::json;
use std::time::Duration;
use tempfile::TempDir;

use crate::support::{PROGRAM, Server};

#[test]
fn a_compile_bomb_is_stopped_by_the_limits_of_its_own_process() {
    let dir = TempDir::new().expect("a folder");
    let mut limits = PluginLimits::default();
    limits.compile_cpu_max = Duration::from_secs(1);
    let host = PluginHost::new(PluginHostConfig {
        cache_dir: dir.path().into(),
        limits,
        compiler: Compiler::subprocess(PROGRAM, ["compile-worker"]),
        concurrency: 1,
    })
    .expect("a host");
    let error = host.load(&bomb()).expect_err("refused");
    assert_eq!(error.code(), "plugin_compile_limit", "{error}");
    assert!(error.help().is_some());
    host.load(&example_plugin("rust_slack_message")).expect("the next one is compiled as ever");
}

/// A component with thousands of functions, each of which is much work for a compiler and little for a reader.
fn bomb() -> Vec<u8> {
    let body = "(local.set 0 (i64.add (i64.mul (local.get 0) (local.get 1)) (i64.rotl (local.get 1) (local.get 0))))"
        .repeat(200);
    let functions = format!("(func (param i64 i64) {body})").repeat(3_000);
    let text = format!(r#"(component (core module {functions}) (instance $t) (export "hookmill:plugin/transform@1.0.0" (instance $t)))"#);
    wat::parse_str(text).expect("a component")
}

#[test]
fn memory_that_misbehaving_plugins_took_comes_back() {
    let receiver = Receiver::start();
    let server = Server::start();
    let kinds = ["loop", "allocate", "big_output", "log_flood", "many_headers", "panic"];
    for kind in kinds {
        server.push(kind, &misbehaving());
        server.webhook(kind, &json!({
            "doctype": "Note", "doc_event": "on_update", "request_url": receiver.url("/in"),
            "plugin": {"name": kind, "settings": {"do": kind, "bytes": 50_000_000, "count": 500_000}},
        }));
    }
    let mut events = 0;
    let mut round = || {
        server.publish(&json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": format!("n{events}")}}));
        events += 1;
        wait_for("every delivery to be parked", || server.count("parked") == events * kinds.len());
        server.resident_bytes()
    };
    let before = (0..3).map(|_| round()).max().expect("rounds");
    let after = (0..5).map(|_| round()).last().expect("rounds");
    let grown = after.saturating_sub(before);
    assert!(grown < 32 << 20, "it has {} MiB more than after the first rounds", grown >> 20);
    assert_eq!(receiver.count(), 0);
}
