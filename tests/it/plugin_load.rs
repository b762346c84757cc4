//! What is not a plugin is refused at the door, each kind with its own code, a cause and a help.

use std::fs;
use std::path::{Path, PathBuf};

use hookmill::Explain as _;
use hookmill::core::Digest;
use hookmill::plugin::{
    Compiler, LoadPluginError, Manifest, Plugin, PluginHost, PluginHostConfig, PluginLimits, inspect,
};
use hookmill_testing::{example_plugin, misbehaving};
use tempfile::TempDir;

use crate::shape::{component, wit_shaped};

fn host_in(dir: &Path) -> PluginHost {
    PluginHost::new(PluginHostConfig {
        cache_dir: dir.to_owned(),
        limits: PluginLimits::default(),
        compiler: Compiler::default(),
        concurrency: 1,
    })
    .expect("a host")
}

fn load(wasm: &[u8]) -> Result<Plugin, LoadPluginError> {
    let dir = TempDir::new().expect("a folder");
    host_in(dir.path()).load(wasm)
}

/// A component that exports `transform` from an instance made of the given types and function.
fn exporting(name: &str, parts: &str) -> Vec<u8> {
    component(&format!("(component {parts} (export \"{name}\" (instance $transform)))"))
}

/// Checks that loading is refused with this code alone, that the cause says `cause`, and that there is a help.
fn refused(wasm: &[u8], code: &str, cause: &str) {
    let error = load(wasm).expect_err("refused");
    assert_eq!(error.code(), code, "{error}");
    assert_eq!(error.problems().len(), 1, "{error}");
    assert!(error.to_string().contains(cause), "{error}");
    assert!(error.help().is_some_and(|help| !help.is_empty()), "{code} has no help");
}

#[test]
fn what_is_not_webassembly_is_refused() {
    refused(b"", "plugin_not_wasm", "not WebAssembly");
    refused(b"#!/bin/sh\necho hello\n", "plugin_not_wasm", "not WebAssembly");
    refused(b"\x7fELF\x02\x01\x01\0\0\0\0\0", "plugin_not_wasm", "not WebAssembly");
}

#[test]
fn a_core_module_is_refused_with_the_way_to_build_a_component() {
    let module = component("(module (func (export \"transform\")))");
    refused(&module, "plugin_core_module", "core WebAssembly module");
    assert!(load(&module).expect_err("refused").help().unwrap().contains("wasm32-wasip2"));
}

#[test]
fn a_damaged_component_is_refused_with_the_place_of_the_damage() {
    let whole = example_plugin("rust_slack_message");
    refused(&whole[..whole.len() / 2], "plugin_corrupt", "damaged at byte");
    refused(&whole[..12], "plugin_corrupt", "damaged at byte");
    refused(b"\0asm", "plugin_corrupt", "damaged at byte");
    let mut scribbled = whole;
    scribbled[200..260].fill(0xff);
    refused(&scribbled, "plugin_corrupt", "damaged at byte");
}

#[test]
fn a_component_without_the_export_is_refused_and_told_what_it_exports_instead() {
    refused(&component("(component)"), "plugin_missing_export", "it exports nothing");
    let other = exporting("acme:other/thing@2.0.0", "(instance $transform)");
    refused(&other, "plugin_missing_export", "it exports acme:other/thing@2.0.0");
}

#[test]
fn every_import_that_plugins_are_not_given_is_named_at_once() {
    let wasm = exporting(
        "hookmill:plugin/transform@1.0.0",
        r#"(import "wasi:sockets/tcp@0.2.3" (instance))
           (import "wasi:clocks/wall-clock@0.2.3" (instance))
           (import "wasi:http/outgoing-handler@0.2.3" (instance))
           (import "acme:secrets/vault@1.0.0" (instance))
           (instance $transform)"#,
    );
    let error = load(&wasm).expect_err("refused");
    assert_eq!(error.code(), "plugin_unknown_import");
    let named: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    assert_eq!(named.len(), 3, "{named:?}");
    for (problem, import) in error.problems().iter().zip(["wasi:sockets/tcp", "wasi:http/outgoing", "acme:secrets"]) {
        assert_eq!(problem.code(), "plugin_unknown_import");
        assert!(problem.to_string().contains(import), "{problem}");
        assert!(error.to_string().contains(import), "{error}");
    }
    assert!(error.problems()[0].help().unwrap().contains("no network"));
    assert!(error.problems()[2].help().unwrap().contains("pure function"));
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let wasm = component(r#"(component (import "wasi:sockets/udp@0.2.3" (instance)))"#);
    let codes: Vec<_> = load(&wasm).expect_err("refused").problems().iter().map(|problem| problem.code()).collect();
    assert_eq!(codes, ["plugin_missing_export", "plugin_unknown_import"]);
}

#[test]
fn another_version_of_the_contract_is_refused_by_its_name() {
    for version in ["2.0.0", "0.9.0", "1.1.0"] {
        let name = format!("hookmill:plugin/transform@{version}");
        refused(&exporting(&name, "(instance $transform)"), "plugin_other_contract", &name);
    }
}

#[test]
fn other_types_than_the_contracts_are_refused() {
    let name = "hookmill:plugin/transform@1.0.0";
    refused(&exporting(name, "(instance $transform)"), "plugin_other_types", "other types");
    let takes_a_number = r#"
        (core module $m (func (export "transform") (param i32) (result i32) local.get 0))
        (core instance $i (instantiate $m))
        (func $f (param "event" u32) (result u32) (canon lift (core func $i "transform")))
        (instance $transform (export "transform" (func $f)))"#;
    refused(&exporting(name, takes_a_number), "plugin_other_types", "other types");
    // Also if it does some work of its own before anybody can ask.
    let with_a_start = takes_a_number.replace("(core module $m ", "(core module $m (func $s nop) (start $s) ");
    refused(&exporting(name, &with_a_start), "plugin_other_types", "other types");
}

#[test]
fn an_interface_that_is_given_but_with_other_functions_is_refused() {
    let wasm = exporting(
        "hookmill:plugin/transform@1.0.0",
        r#"(import "hookmill:plugin/log@1.0.0" (instance (export "send-mail" (func))))
           (instance $transform)"#,
    );
    refused(&wasm, "plugin_other_types", "send-mail");
}

#[test]
fn a_component_that_is_too_large_is_refused_before_it_is_read() {
    let limits = PluginLimits::default();
    let mut wasm = example_plugin("rust_slack_message");
    wasm.resize(limits.component_bytes_max + 1, 0);
    refused(&wasm, "plugin_too_large", "more than the 33554432");
}

#[test]
fn a_bad_manifest_is_refused_and_a_good_one_is_read() {
    let component = example_plugin("rust_slack_message");
    for (text, cause) in [("name = ", "plugin.toml"), ("name = \"a/b\"", "a/b"), ("name = \"a\"\ncolour = 1", "colour")]
    {
        refused(&with_manifest(&component, text.as_bytes()), "plugin_bad_manifest", cause);
        assert_eq!(Manifest::embed(text, &component).expect_err("refused").code(), "plugin_bad_manifest");
    }
    refused(&with_manifest(&component, b"name = \"\xff\""), "plugin_bad_manifest", "utf-8");

    let text = "name = \"slack\"\nversion = \"1.2.0\"\ndescription = \"Tells a channel\"\n";
    let plugin = load(&Manifest::embed(text, &component).expect("a good manifest")).expect("a plugin");
    let manifest = plugin.inspection().manifest.clone().expect("the manifest");
    assert_eq!((manifest.name.as_str(), manifest.version.as_deref()), ("slack", Some("1.2.0")));
}

/// Appends a custom section, as `Manifest::embed` does, without its check.
fn with_manifest(component: &[u8], text: &[u8]) -> Vec<u8> {
    let name = b"hookmill:plugin.toml";
    let length = u8::try_from(1 + name.len() + text.len()).expect("a short section");
    assert!(length < 0x80, "the length would need two bytes");
    let mut wasm = component.to_vec();
    wasm.extend([0, length, u8::try_from(name.len()).expect("short")]);
    wasm.extend(name);
    wasm.extend(text);
    wasm
}

#[test]
fn a_component_that_can_not_start_is_refused_however_often_it_comes() {
    let dir = TempDir::new().expect("a folder");
    let host = host_in(dir.path());
    let functions = r#"(func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
                       (func (export "transform") (param i32) (result i32) unreachable)"#;
    let memory = format!(r#"{functions} (memory (export "memory") 1)"#);
    let too_hungry = wit_shaped(&format!(r#"{functions} (memory (export "memory") 2000)"#));
    let traps_at_once = wit_shaped(&format!("{memory} (func $s unreachable) (start $s)"));
    for wasm in [&too_hungry, &traps_at_once, &too_hungry, &traps_at_once] {
        let error = host.load(wasm).expect_err("refused");
        assert_eq!(error.code(), "plugin_does_not_start", "{error}");
        assert!(error.help().is_some());
    }
    assert!(compiled_files(dir.path()).is_empty(), "a refused component was kept");
    // The same shape with little memory and nothing to trip over starts, and traps in its own time.
    host.load(&wit_shaped(&memory)).expect("starts");
}

fn compiled_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("the cache's folder");
    let files = entries.map(|entry| entry.expect("an entry").path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm")).collect()
}

#[test]
fn a_compiled_plugin_is_kept_and_found_again() {
    let dir = TempDir::new().expect("a folder");
    let wasm = misbehaving();
    let digest = host_in(dir.path()).load(&wasm).expect("a plugin").digest();
    let files = compiled_files(dir.path());
    assert_eq!(files.len(), 1);
    let written = fs::metadata(&files[0]).unwrap().modified().unwrap();
    for _ in 0..2 {
        let known = host_in(dir.path()).load_known(&digest).expect("nothing fails").expect("it is known");
        assert_eq!(known.digest(), digest);
        assert_eq!(*known.inspection(), inspect(&wasm, &PluginLimits::default()).expect("a plugin"));
    }
    assert_eq!(fs::metadata(&files[0]).unwrap().modified().unwrap(), written, "it was compiled again");
}

#[test]
fn a_compiled_plugin_that_was_tampered_with_is_compiled_again() {
    let dir = TempDir::new().expect("a folder");
    let wasm = misbehaving();
    host_in(dir.path()).load(&wasm).expect("a plugin");
    let file = compiled_files(dir.path()).remove(0);
    let good = fs::read(&file).unwrap();
    let mut changed = good.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    for bad in [changed, good[..good.len() / 2].to_vec(), vec![], vec![0; 10]] {
        fs::write(&file, &bad).unwrap();
        host_in(dir.path()).load(&wasm).expect("a plugin, compiled again");
        assert_ne!(fs::read(&file).unwrap(), bad, "the damaged file was trusted");
    }
}

#[test]
fn a_compiled_plugin_of_another_installation_is_not_trusted() {
    let (here, elsewhere) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let wasm = misbehaving();
    host_in(here.path()).load(&wasm).expect("a plugin");
    host_in(elsewhere.path()).load(&wasm).expect("a plugin");
    let (mine, theirs) = (compiled_files(here.path()).remove(0), compiled_files(elsewhere.path()).remove(0));
    for part in ["cwasm", "note"] {
        fs::copy(theirs.with_extension(part), mine.with_extension(part)).unwrap();
    }
    let foreign = fs::read(mine.with_extension("note")).unwrap();
    let host = host_in(here.path());
    assert!(host.load_known(&Digest::of(&wasm)).expect("nothing fails").is_none(), "the foreign file was trusted");
    host.load(&wasm).expect("a plugin, compiled again");
    assert_ne!(fs::read(mine.with_extension("note")).unwrap(), foreign);
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_the_cache_or_its_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::new().expect("a folder");
    let cache = dir.path().join("compiled");
    host_in(&cache).load(&misbehaving()).expect("a plugin");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&cache), mode(&cache.join("key"))), (0o700, 0o600));
    assert!(compiled_files(&cache).iter().all(|file| mode(file) == 0o600));
}
