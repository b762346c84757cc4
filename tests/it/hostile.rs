//! Guests that no compiler would make: each is held with its own code, and leaves its host as it was.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hookmill::Explain as _;
use hookmill::core::{DeliveryId, EventId, Fault, JsonText, Request};
use hookmill::plugin::{
    Compiler, Fixture, Grants, Manifest, Plugin, PluginHost, PluginHostConfig, PluginLimits, Transform, TransformReport,
};
use hookmill::{TenantId, WebhookName};
use hookmill_testing::{envelope, example_plugin, misbehaving};
use jiff::Timestamp;
use serde_json::json;
use tempfile::TempDir;
use wasm_encoder::{ComponentSection as _, CustomSection};

use crate::shape::wit_shaped;

/// Each guest in `tests/guests/hostile`, the code that it is held with, and what its author reads.
const CORPUS: [(&str, &str, &str); 14] = [
    ("bad-utf8", "plugin_bad_answer", "utf-8"),
    ("deep-recursion", "plugin_stack_overflow", "too deep"),
    ("endless-list", "plugin_bad_answer", "out of bounds"),
    ("gigabyte-output", "plugin_bad_answer", "out of bounds"),
    ("half-a-million-headers", "plugin_output_too_large", "more data"),
    ("many-memories", "plugin_out_of_memory", "67108864"),
    ("many-tables", "plugin_out_of_memory", "100000"),
    ("no-such-case", "plugin_bad_answer", "discriminant"),
    ("realloc-crooked", "plugin_bad_answer", "align"),
    ("realloc-endless", "plugin_out_of_fuel", "500000000"),
    ("realloc-hungry", "plugin_out_of_memory", "67108864"),
    ("realloc-wild", "plugin_bad_answer", "beyond end"),
    ("table-bomb", "plugin_out_of_memory", "entries of tables"),
    ("wild-answer", "plugin_bad_answer", "out of bounds"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/hostile")
}

fn host(dir: &TempDir) -> PluginHost {
    PluginHost::new(PluginHostConfig {
        cache_dir: dir.path().into(),
        limits: PluginLimits::default(),
        compiler: Compiler::default(),
        concurrency: 1,
    })
    .expect("a host")
}

fn run(plugin: &Plugin, settings: &str) -> TransformReport {
    let id = EventId::new("evt_1").expect("valid");
    let tenant = TenantId::default_tenant();
    let delivery = DeliveryId::of(&tenant, &id, &WebhookName::new("w").expect("valid"));
    let event = envelope("note-on-update").into_event(&tenant, Timestamp::UNIX_EPOCH, || id).expect("an event");
    plugin.transform(&Transform {
        event: &event,
        draft: &Request { method: "POST".into(), url: "https://example.com/".into(), headers: vec![], body: vec![] },
        draft_has_body: false,
        settings: &JsonText::parse(settings).expect("JSON"),
        delivery: &delivery,
        grants: Grants::default(),
        signature_header: None,
    })
}

fn fault(report: TransformReport) -> Fault {
    report.result.expect_err("held")
}

#[test]
fn each_hostile_guest_is_held_with_its_own_code_and_its_host_goes_on() {
    let dir = TempDir::new().expect("a folder");
    let host = host(&dir);
    let harmless = host.load(&example_plugin("rust_slack_message")).expect("a plugin");
    let answer = run(&harmless, "{}");
    assert!(answer.result.is_ok(), "{answer:?}");
    for (name, code, cause) in CORPUS {
        let text = std::fs::read_to_string(folder().join(name).with_extension("wat")).expect("a guest");
        let plugin = host.load(&wit_shaped(&text)).unwrap_or_else(|error| panic!("{name}: {error}"));
        // More often than the host has places for instances.
        for _ in 0..4 {
            let fault = fault(run(&plugin, "{}"));
            assert_eq!(fault.code, code, "{name}: {fault:?}");
            assert!(fault.message.contains(cause), "{name}: {fault:?}");
        }
        assert_eq!(run(&harmless, "{}"), answer, "after {name}");
    }
}

#[test]
fn no_hostile_guest_goes_without_a_test() {
    let files = std::fs::read_dir(folder()).expect("the corpus");
    let there: BTreeSet<String> = files
        .map(|file| file.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    let tested: BTreeSet<String> = CORPUS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(there, tested);
}

#[test]
fn a_component_of_megabytes_of_sections_that_nobody_reads_runs_like_any_other() {
    let dir = TempDir::new().expect("a folder");
    let host = host(&dir);
    let small = example_plugin("rust_slack_message");
    let plugin = host.load(&with_section(&small, "junk", &vec![0x55; 30 << 20])).expect("a plugin");
    let answer = run(&plugin, "{}");
    assert_eq!(answer.result, run(&host.load(&small).expect("a plugin"), "{}").result);
    let kept = std::fs::read_dir(dir.path()).expect("the cache").map(|file| file.expect("an entry").path());
    let sizes: Vec<u64> = kept.map(|file| std::fs::metadata(file).expect("a file").len()).collect();
    assert!(sizes.iter().all(|size| *size < 10 << 20), "the sections were kept: {sizes:?}");
}

/// Appends a custom section.
fn with_section(component: &[u8], name: &str, data: &[u8]) -> Vec<u8> {
    let mut wasm = component.to_vec();
    CustomSection { name: name.into(), data: data.into() }.append_to_component(&mut wasm);
    wasm
}

#[test]
fn native_code_is_never_taken_however_it_is_dressed() {
    let dir = TempDir::new().expect("a folder");
    let host = host(&dir);
    host.load(&example_plugin("rust_slack_message")).expect("a plugin");
    let files = std::fs::read_dir(dir.path()).expect("the cache").map(|file| file.expect("an entry").path());
    let compiled = files.filter(|file| file.extension().is_some_and(|extension| extension == "cwasm"));
    let compiled = std::fs::read(compiled.last().expect("a compiled file")).expect("readable");
    let image = compiled.windows(4).position(|bytes| bytes == b"\x7fELF").expect("native code");
    let mut dressed = b"\0asm\x0d\0\x01\0".to_vec();
    dressed.extend(&compiled[image..]);
    for (bytes, code) in [(&compiled[..], "plugin_not_wasm"), (&compiled[image..], "plugin_not_wasm")] {
        assert_eq!(host.load(bytes).expect_err("refused").code(), code);
    }
    assert_eq!(host.load(&dressed).expect_err("refused").code(), "plugin_corrupt");
}

#[test]
fn what_a_manifest_promises_is_held_to_and_what_it_says_twice_is_refused() {
    let dir = TempDir::new().expect("a folder");
    let host = host(&dir);
    let modest = "name = \"modest\"\n[limits]\nfuel = 1000000\nmemory_mib = 2\n";
    let plugin = host.load(&Manifest::embed(modest, &misbehaving()).expect("a manifest")).expect("a plugin");
    let (endless, hungry) = (run(&plugin, r#"{"do":"loop"}"#), run(&plugin, r#"{"do":"allocate"}"#));
    assert_eq!((endless.fuel, fault(endless).code.as_str()), (1_000_000, "plugin_out_of_fuel"));
    assert_eq!(fault(hungry).code, "plugin_out_of_memory");
    let once = Manifest::embed(modest, &misbehaving()).expect("a manifest");
    let error = host.load(&with_section(&once, "hookmill:plugin.toml", b"name = \"another\"")).expect_err("refused");
    assert_eq!(error.code(), "plugin_bad_manifest");
    assert!(error.to_string().contains("more than one"), "{error}");
}

#[test]
fn more_memories_than_an_instance_may_have_are_refused_before_any_is_made() {
    let dir = TempDir::new().expect("a folder");
    let many = format!(
        r#"(memory (export "memory") 1) {}
           (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
           (func (export "transform") (param i32) (result i32) unreachable)"#,
        "(memory 1) ".repeat(7)
    );
    let error = host(&dir).load(&wit_shaped(&many)).expect_err("refused");
    assert_eq!(error.code(), "plugin_does_not_start", "{error}");
    assert!(error.to_string().contains("memories count of 8"), "{error}");
}

#[test]
fn what_is_shown_of_a_component_has_a_bound() {
    let dir = TempDir::new().expect("a folder");
    let host = host(&dir);
    let plain = misbehaving();
    let long = format!("name = \"long\"\ndescription = \"{}\"\n", "x".repeat(70_000));
    let error = host.load(&with_section(&plain, "hookmill:plugin.toml", long.as_bytes())).expect_err("refused");
    assert!(error.to_string().contains("more than"), "{error}");

    let exports: String = (0..1_500).map(|n| format!("(export \"e{n}\" (func $f))")).collect();
    let text = format!(
        r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
           (func $f (canon lift (core func $i "f"))) {exports})"#
    );
    let error = host.load(&crate::shape::component(&text)).expect_err("refused");
    assert_eq!(error.code(), "plugin_too_many_names", "{}", error.to_string().len());
    assert!(error.to_string().len() < 500);
}

#[test]
fn a_schema_that_would_take_for_ever_is_refused() {
    let dir = TempDir::new().expect("a folder");
    let mut chain = String::from("name = \"chain\"\n[settings]\nallOf = [{\"$ref\" = \"#/$defs/d0\"}]\n");
    for n in 0..40 {
        let next = format!("{{\"$ref\" = \"#/$defs/d{}\"}}", n + 1);
        chain += &format!("[settings.\"$defs\".d{n}]\nallOf = [{next}, {next}]\n");
    }
    chain += "[settings.\"$defs\".d40]\ntype = \"string\"\n";
    let error =
        host(&dir).load(&with_section(&misbehaving(), "hookmill:plugin.toml", chain.as_bytes())).expect_err("refused");
    assert_eq!(error.code(), "plugin_bad_manifest");
    assert!(error.to_string().contains("81 references"), "{error}");
}

#[test]
fn fixtures_that_cost_more_than_a_trial_may_are_refused() {
    let dir = TempDir::new().expect("a folder");
    let mut limits = PluginLimits::default();
    (limits.fuel_max, limits.trial_fuel_max) = (1_000_000, 20_000_000);
    let config = |dir: &TempDir| PluginHostConfig {
        cache_dir: dir.path().into(),
        limits,
        compiler: Compiler::default(),
        concurrency: 1,
    };
    let host = PluginHost::new(config(&dir)).expect("a host");
    let fixtures = |count: usize| -> Vec<Fixture> {
        let event = json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": "N-1"}});
        let endless = json!({"event": event, "settings": {"do": "loop"}, "expect": {"fail": "plugin_out_of_fuel"}});
        let fixture = |n| Fixture::parse(&format!("f{n}"), endless.to_string().as_bytes()).expect("a fixture");
        (0..count).map(fixture).collect()
    };
    let with = |count| Fixture::embed(&fixtures(count), &misbehaving()).expect("fixtures");
    host.load(&with(6)).expect("a plugin");
    let error = host.load(&with(7)).expect_err("refused");
    assert_eq!(error.code(), "plugin_trial_too_costly", "{error}");
}

#[cfg(unix)]
#[test]
fn a_compiler_that_hangs_is_ended() {
    let dir = TempDir::new().expect("a folder");
    let mut limits = PluginLimits::default();
    limits.compile_time_max = Duration::from_millis(200);
    let hangs = Compiler::subprocess("sh", ["-c", "exec sleep 1000"]);
    let config = PluginHostConfig { cache_dir: dir.path().into(), limits, compiler: hangs, concurrency: 1 };
    let error = PluginHost::new(config).expect("a host").load(&misbehaving()).expect_err("refused");
    assert_eq!(error.code(), "plugin_compile_limit", "{error}");
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).expect("the cache").map(|file| file.expect("an entry").path()).collect();
    assert!(left.iter().all(|path| path.is_file()), "nothing of the try is left: {left:?}");
}

#[test]
fn components_within_components_end_before_the_stack_does() {
    let dir = TempDir::new().expect("a folder");
    let host = host(&dir);
    // The engine's own bound is a thousand.
    for (depth, code) in [(999, "plugin_missing_export"), (100_000, "plugin_corrupt")] {
        let error = host.load(&nested_components(depth)).expect_err("nobody needs that");
        assert_eq!(error.code(), code, "{depth}: {error}");
    }
}

/// Components of which each holds the next: a section of components, whose size comes before it.
fn nested_components(depth: usize) -> Vec<u8> {
    (0..depth).fold(b"\0asm\x0d\0\x01\0".to_vec(), |inner, _| {
        let mut size = inner.len();
        let mut outer = b"\0asm\x0d\0\x01\0\x04".to_vec();
        while size > 127 {
            outer.push((size & 127) as u8 | 128);
            size >>= 7;
        }
        outer.push(size as u8);
        outer.extend(inner);
        outer
    })
}
