//! Plugins that mean harm: a compiler that is bombed, and memory that comes back.

use std::time::Duration;

use hookmill::Explain as _;
use hookmill::plugin::{Compiler, PluginHost, PluginHostConfig, PluginLimits};
use serde_json::json;

use crate::operator::{Site, site};
use crate::support::{PATIENCE, component};

#[test]
fn a_compile_bomb_is_stopped_by_the_limits_of_its_own_process() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut limits = PluginLimits::default();
    limits.compile_cpu_max = Duration::from_secs(1);
    let host = PluginHost::new(PluginHostConfig {
        cache_dir: dir.path().into(),
        limits,
        compiler: Compiler::subprocess(env!("CARGO_BIN_EXE_hookmill"), ["compile-worker"]),
        concurrency: 1,
    })
    .expect("a host");
    let error = host.load(&bomb()).expect_err("refused");
    assert_eq!(error.code(), "plugin_compile_limit", "{error}");
    assert!(error.help().is_some());
    let small = std::fs::read(component("rust_slack_message.wasm")).expect("built");
    host.load(&small).expect("the next one is compiled as ever");
}

/// A component with functions of hundreds of thousands of instructions: many seconds of work for a compiler, and a
/// moment's for a reader.
fn bomb() -> Vec<u8> {
    // Each conversion is a handful of branches and traps in machine code.
    let step = "local.get 0 local.get 1 f64.mul i64.trunc_f64_s f64.convert_i64_s local.set 0 ";
    let functions = format!("(func (param f64 f64) {})", step.repeat(25_000)).repeat(40);
    let export = r#"(instance $t) (export "hookmill:plugin/transform@1.0.0" (instance $t))"#;
    wat::parse_str(format!("(component (core module {functions}) {export})")).expect("a component")
}

#[test]
fn memory_that_misbehaving_plugins_took_comes_back() {
    let site = site(&[]);
    let kinds = ["loop", "allocate", "big_output", "log_flood", "many_headers", "panic"];
    for kind in kinds {
        let file = component("misbehaving.wasm");
        site.server.call(["plugin", "push", file.to_str().expect("UTF-8"), "--name", kind]).ok();
        let settings = json!({"do": kind, "bytes": 50_000_000, "count": 500_000});
        site.apply(kind, json!({"doctype": "Note", "plugin": {"name": kind, "settings": settings}}));
    }
    let mut parked = 0;
    let mut round = || {
        parked += kinds.len();
        let event = json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": format!("n{parked}")}});
        site.server.call_with(&["event", "send", "-"], &event.to_string()).ok();
        wait_for_parked(&site, parked);
        site.server.resident_bytes()
    };
    let first = (0..3).map(|_| round()).max().expect("rounds");
    let last = (0..4).map(|_| round()).last().expect("rounds");
    let grown = last.saturating_sub(first);
    assert!(grown < 32 << 20, "it has {} MiB more than after the first rounds", grown >> 20);
}

fn wait_for_parked(site: &Site, count: usize) {
    let begun = std::time::Instant::now();
    loop {
        let listed = site.server.call(["--json", "delivery", "list", "--state", "parked", "--limit", "100"]).json();
        let parked = listed["deliveries"].as_array().map_or(0, Vec::len);
        if parked == count {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{parked} of {count} are parked");
    }
}
