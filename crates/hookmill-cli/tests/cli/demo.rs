//! The first thing that a newcomer does.

use serde_json::Value;

use crate::support::{component, document, run};

#[test]
fn the_demo_shows_exactly_the_expected_payloads() {
    let plugins = component("rust_quotation_invoice.wasm");
    let plugins = plugins.parent().expect("a directory").to_str().expect("UTF-8");
    let out = run(["--json", "demo", "--once", "--plugins", plugins]).ok();
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
