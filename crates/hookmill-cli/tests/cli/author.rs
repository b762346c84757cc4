//! What a plugin author does: make, build, check, run.

use serde_json::Value;

use crate::support::{command, component, document, ended, run};

#[test]
fn a_run_prints_the_request_the_log_and_the_use_of_every_limit() {
    let (plugin, event) = (component("rust_quotation_invoice.wasm"), document("quotation-on-update.json"));
    let args = ["plugin", "run", plugin.to_str().expect("UTF-8"), "--event", event.to_str().expect("UTF-8")];
    let out = run(args).ok();
    let expected = std::fs::read_to_string(document("expected/quotation-invoice.json")).expect("the expected body");
    for part in [
        "POST https://example.com/",
        &expected,
        "info: invoice for",
        "fuel",
        "500 000 000",
        "memory",
        "64.00 MiB",
        "document",
        "body",
        "log",
    ] {
        assert!(out.contains(part), "{part:?} is missing in {out}");
    }
    let json: Value = ended(command().arg("--json").args(args), "").json();
    assert_eq!(json["request"]["body"], expected.as_str());
    assert!(json["usage"]["fuel"]["used"].as_u64().expect("fuel") > 10_000);
}

#[test]
fn a_plugin_that_fails_ends_with_four_and_says_where() {
    let (plugin, event) = (component("misbehaving.wasm"), document("note-on-update.json"));
    let args = [
        "plugin",
        "run",
        plugin.to_str().expect("UTF-8"),
        "--event",
        event.to_str().expect("UTF-8"),
        "--settings",
        r#"{"do":"panic"}"#,
    ];
    let failed = run(args);
    assert_eq!(failed.code, Some(4), "{failed:#?}");
    assert!(failed.out.contains("[plugin_panic]") && failed.out.contains("src/lib.rs:"), "{}", failed.out);
}

#[test]
fn what_is_no_plugin_is_named_with_a_way_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("module.wasm");
    std::fs::write(&file, b"\0asm\x01\0\0\0").expect("written");
    let refused = run(["plugin", "check", file.to_str().expect("UTF-8")]);
    assert_eq!(refused.code, Some(4));
    assert!(refused.err.contains("[plugin_core_module]") && refused.err.contains("wasm32-wasip2"), "{}", refused.err);
}

#[test]
fn a_new_project_tests_builds_and_runs_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let in_dir = |args: &[&str]| ended(command().current_dir(dir.path()).args(args), "");
    in_dir(&["plugin", "new", "first-order"]).ok();
    let again = in_dir(&["plugin", "new", "first-order"]);
    assert_eq!(again.code, Some(1), "a project was overwritten");

    let project = dir.path().join("first-order");
    let tested = std::process::Command::new("cargo")
        .current_dir(&project)
        .args(["test", "--quiet"])
        .output()
        .expect("cargo runs");
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
    let tested = in_dir(&["plugin", "test", "first-order"]).ok();
    assert!(tested.contains("✓ draft") && tested.contains("2 passed, 0 failed"), "{tested}");
    assert!(in_dir(&["plugin", "build", "first-order"]).ok().contains("2 fixtures"));
    let checked = in_dir(&["--json", "plugin", "check", "first-order/first-order.wasm"]).json();
    assert_eq!(checked["manifest"]["name"], "first-order");
    let ran = in_dir(&[
        "--json",
        "plugin",
        "run",
        "first-order/first-order.wasm",
        "--event",
        "first-order/tests/quotation.json",
    ])
    .json();
    assert!(
        ran["request"]["body"]
            .as_str()
            .expect("a body")
            .starts_with(r#"{"reference":"SAL-QTN-2026-00001","total":1250.0"#),
        "{ran}"
    );
    assert_eq!(ran["log"][0], "info: 2 lines");
}
