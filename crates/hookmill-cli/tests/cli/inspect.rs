//! `plugin inspect`: what a component is made of.

use serde_json::json;

use crate::project::Project;
use crate::support::{component, run};

#[test]
fn a_plugin_is_taken_apart() {
    let file = component("rust_redact_customer.wasm");
    let file = file.to_str().expect("UTF-8");
    let shown = run(["plugin", "inspect", file]).ok();
    for part in [
        "is a plugin",
        "redact-customer 0.1.0",
        "hookmill:plugin/log@1.0.0",
        "hookmill:plugin/transform@1.0.0",
        "of native code",
        "fixtures  customer, disabled",
        "core code",
        "custom: hookmill:plugin.toml",
    ] {
        assert!(shown.contains(part), "{part:?} is missing in {shown}");
    }
    let told = run(["--json", "plugin", "inspect", file]).json();
    assert_eq!((&told["plugin"], &told["memories"]["count"]), (&json!(true), &json!(1)));
    assert_eq!(told["bytes"], std::fs::metadata(file).expect("a file").len());
    let sections = told["sections"].as_array().expect("sections");
    let sizes: Vec<u64> = sections.iter().map(|section| section["bytes"].as_u64().expect("bytes")).collect();
    assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
    let all: u64 = sizes.iter().sum();
    let bytes = told["bytes"].as_u64().expect("bytes");
    assert!(all < bytes && all > bytes * 9 / 10, "the sections have {all} of {bytes}");
    assert!(told["native_bytes"].as_u64().expect("bytes") > all);
}

#[test]
fn the_wit_is_printed_alone() {
    let file = component("judging.wasm");
    let wit = run(["plugin", "inspect", "--wit", file.to_str().expect("UTF-8")]).ok();
    for part in
        ["world root {", "export hookmill:plugin/response@1.0.0;", "package hookmill:plugin@1.0.0 {", "judge: func("]
    {
        assert!(wit.contains(part), "{part:?} is missing in {wit}");
    }
}

#[test]
fn a_component_that_is_no_plugin_is_taken_apart_too() {
    let project = Project::new("p", "rust_slack_message.wasm");
    let foreign = wat::parse_str(r#"(component (import "wasi:http/types@0.2.3" (instance)))"#).expect("a component");
    std::fs::write(project.path("foreign.wasm"), foreign).expect("written");
    let shown = project.run(&["plugin", "inspect", "foreign.wasm"]);
    assert_eq!(shown.code, Some(4), "{shown:#?}");
    for part in
        ["can't be a plugin", "[plugin_missing_export]", "[plugin_unknown_import]", "imports   wasi:http/types@0.2.3"]
    {
        assert!(shown.out.contains(part), "{part:?} is missing in {}", shown.out);
    }
    // A project is built first; here into what does not meet its fixture.
    project.fixture("one", &json!({"event": {"doctype": "A", "doc_event": "b", "doc": {}}, "expect": {"skip": "no"}}));
    let shown = project.run(&["--json", "plugin", "inspect"]);
    assert_eq!(shown.code, Some(4), "{shown:#?}");
    let told: serde_json::Value = serde_json::from_str(&shown.out).expect("one object");
    assert_eq!(told["problems"][0]["code"], "plugin_fixture_not_met");
    project.write("nothing.wasm", "nothing");
    assert!(project.run(&["plugin", "inspect", "nothing.wasm"]).err.contains("[plugin_not_wasm]"));
}
