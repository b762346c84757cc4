//! The first thing that a newcomer does.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{command, component, document, ended_in_time, run};

#[test]
fn the_demo_shows_exactly_the_expected_payloads() {
    let plugins = component("rust_quotation_invoice.wasm");
    let plugins = plugins.parent().expect("a directory").to_str().expect("UTF-8");
    let out = run(["--json", "demo", "--plugins", plugins]).ok();
    let received: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let bodies: Vec<&str> = received.iter().map(|echo| echo["data"].as_str().expect("a body")).collect();
    let expected = ["quotation-seed.json", "quotation-invoice.json", "quotation-slack.json"]
        .map(|file| std::fs::read_to_string(document("expected").join(file)).expect(file));
    assert_eq!(bodies, expected);
}

#[test]
fn without_plugins_the_demo_says_how_to_get_them() {
    let out = run(["demo", "--once"]).ok();
    assert!(out.contains(r#"{"id":"SAL-QTN-2026-00001","lineItems":[{"#), "{out}");
    assert!(out.contains("cargo xtask plugins"), "{out}");
}

#[test]
fn a_component_that_is_no_plugin_ends_the_demo_with_its_reason() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("rust_quotation_invoice.wasm"), b"\0asm\x0d\0\x01\0").expect("written");
    let failed = run(["demo", "--plugins", dir.path().to_str().expect("UTF-8")]);
    assert_eq!(failed.code, Some(4), "{failed:#?}");
    assert!(failed.err.contains("[plugin_missing_export]"), "{}", failed.err);
}

#[test]
fn a_demo_that_is_interrupted_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().expect("a directory");
    let mut demo = command()
        .args(["demo", "--plugins"])
        .arg(component("rust_quotation_invoice.wasm").parent().expect("a directory"))
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(demo.stdout.take().expect("piped")).lines();
    // With its first line, all that it makes is there.
    lines.next().expect("a line").expect("text");
    assert!(Command::new("kill").args(["-INT", &demo.id().to_string()]).status().expect("kill").success());
    assert_eq!(ended_in_time(&mut demo), Some(0));
    let left: Vec<_> = std::fs::read_dir(temporary.path()).expect("a listing").collect();
    assert!(left.is_empty(), "{left:?}");
}
