//! Plugins that mean harm: a compiler that is bombed, and memory that comes back.

use std::time::Duration;

use hookmill::Explain as _;
use hookmill::plugin::{Compiler, PluginHost, PluginHostConfig, PluginLimits};
use serde_json::json;
use tempfile::TempDir;

use crate::operator::{Site, site};
use crate::support::{component, wait_until};

/// A host whose compiler is the real program, with a second of CPU time. The allocator alone reserves a GiB.
fn host(dir: &TempDir) -> PluginHost {
    let mut limits = PluginLimits::default();
    limits.compile_cpu_max = Duration::from_secs(1);
    limits.compile_memory_max = 3 << 29;
    let compiler = Compiler::subprocess(env!("CARGO_BIN_EXE_hookmill"), ["compile-worker"]);
    PluginHost::new(PluginHostConfig { cache_dir: dir.path().into(), limits, compiler, concurrency: 1 })
        .expect("a host")
}

#[test]
fn a_compile_bomb_is_stopped_by_the_limits_of_its_own_process() {
    let dir = TempDir::new().expect("a folder");
    let host = host(&dir);
    let error = host.load(&bomb()).expect_err("refused");
    assert_eq!(error.code(), "plugin_compile_limit", "{error}");
    assert!(error.help().is_some());
    let small = std::fs::read(component("rust_slack_message.wasm")).expect("built");
    host.load(&small).expect("the next one is compiled as ever");
}

#[test]
fn a_compiler_that_gets_nothing_of_a_busy_machine_is_started_anew_with_a_share() {
    let dir = TempDir::new().expect("a folder");
    let mut limits = PluginLimits::default();
    limits.compile_time_max = Duration::from_secs(24);
    // Who is to take only what nobody else wants (it is as nice as can be) never gets anything.
    let script = format!(
        r#"[ "$(cut -d " " -f 19 /proc/$$/stat)" != 19 ] || exec sleep 1000; exec "{}" compile-worker "$@""#,
        env!("CARGO_BIN_EXE_hookmill")
    );
    let compiler = Compiler::subprocess("sh", ["-c", &script, "sh"]);
    let config = PluginHostConfig { cache_dir: dir.path().into(), limits, compiler, concurrency: 1 };
    let small = std::fs::read(component("rust_slack_message.wasm")).expect("built");
    PluginHost::new(config).expect("a host").load(&small).expect("it is compiled in the end");
}

#[test]
fn debug_information_that_takes_all_stack_or_memory_ends_the_compiler_and_nobody_else() {
    let dir = TempDir::new().expect("a folder");
    let host = host(&dir);
    // One function that was inlined a million times into itself; and twenty thousand that have as many ranges in common.
    let deep = [&FUNCTION[..], &[INLINED].repeat(1_000_000), &[0; 1_000_001]].concat();
    let wide = [[FUNCTION_OF_RANGES, 0, 0, 0, 0]].repeat(20_000).concat();
    for entries in [deep, wide] {
        let error = host.load(&with_debug_information(&entries, 20_000)).expect_err("refused");
        assert_eq!(error.code(), "plugin_compile_limit", "{error}");
    }
}

/// Entries of debug information, by the abbreviations in [`with_debug_information`].
const FUNCTION: [u8; 9] = [2, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0];
const INLINED: u8 = 3;
const FUNCTION_OF_RANGES: u8 = 4;

/// A component whose module has these entries of DWARF 4 and so many ranges.
fn with_debug_information(entries: &[u8], ranges: u32) -> Vec<u8> {
    // Of each: number, tag, whether there are entries within, attributes and their forms.
    let unit = [1, 0x11, 1, 0x11, 0x01, 0x12, 0x06, 0, 0];
    let function = [2, 0x2e, 1, 0x11, 0x01, 0x12, 0x06, 0, 0];
    let inlined = [INLINED, 0x1d, 1, 0, 0];
    let of_ranges = [FUNCTION_OF_RANGES, 0x2e, 0, 0x55, 0x17, 0, 0];
    let abbreviations = [&unit[..], &function, &inlined, &of_ranges, &[0]].concat();
    // Version 4, abbreviations from 0 on, addresses of four bytes; the unit is there for all code.
    let header = [4, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0];
    let length = u32::try_from(header.len() + entries.len() + 1).expect("small").to_le_bytes();
    let information = [&length[..], &header, entries, &[0]].concat();
    let ranges: Vec<u8> =
        (1..ranges).flat_map(|place| [place, place + 1]).chain([0, 0]).flat_map(u32::to_le_bytes).collect();
    let sections = [(".debug_abbrev", abbreviations), (".debug_info", information), (".debug_ranges", ranges)];
    let sections = sections.map(|(name, bytes)| {
        let bytes: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        format!(r#"(@custom "{name}" "{bytes}")"#)
    });
    let export = r#"(instance $t) (export "hookmill:plugin/transform@1.0.0" (instance $t))"#;
    wat::parse_str(format!("(component (core module (func nop) {}) {export})", sections.concat())).expect("a component")
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
    let kinds = ["loop", "recurse", "allocate", "big_output", "log_flood", "many_headers", "trap", "panic"];
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
    wait_until(&format!("{count} parked deliveries"), || {
        let listed = site.server.call(["--json", "delivery", "list", "--state", "parked", "--limit", "100"]).json();
        listed["deliveries"].as_array().map_or(0, Vec::len) == count
    });
}
