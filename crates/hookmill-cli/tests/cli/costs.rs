//! `plugin bench`: what a call costs.

use serde_json::{Value, json};

use crate::project::Project;
use crate::support::{component, document, run};

#[test]
fn a_call_is_measured_and_limits_are_recommended() {
    let (file, event) = (component("rust_quotation_invoice.wasm"), document("quotation-on-update.json"));
    let (file, event) = (file.to_str().expect("UTF-8"), event.to_str().expect("UTF-8"));
    let shown = run(["plugin", "bench", file, "--event", event, "--calls", "50"]);
    assert_eq!(shown.code, Some(0), "{shown:#?}");
    assert_eq!(shown.err.contains("[debug_build]"), cfg!(debug_assertions), "{}", shown.err);
    for part in
        ["50 calls on", "P50", "P99", "starting the instance", "of 500 000 000", "354 B out", "[limits] fuel = "]
    {
        assert!(shown.out.contains(part), "{part:?} is missing in {}", shown.out);
    }
    let told = run(["--json", "plugin", "bench", file, "--event", event, "--calls", "20"]).json();
    assert_eq!(told["calls"], 20);
    let ran = run(["--json", "plugin", "run", file, "--event", event]).json();
    assert_eq!((&told["fuel"], &told["memory_bytes"]), (&ran["usage"]["fuel"], &ran["usage"]["memory_bytes"]));
    let micros = |times: &Value, which: &str| times[which].as_f64().expect("a time");
    let (p50, p99) = (micros(&told["fresh"], "p50_us"), micros(&told["fresh"], "p99_us"));
    assert!(0.0 < p50 && p50 <= p99 && micros(&told["start"], "p50_us") > 0.0, "{told}");
    // Without an event, its own first fixture.
    let told = run(["--json", "plugin", "bench", file, "--calls", "1"]).json();
    assert_eq!(told["event"], "the fixture currency-of-the-settings");
}

#[test]
fn limits_that_are_set_are_not_recommended_and_failures_are_told() {
    let project = Project::new("misbehaving", "misbehaving.wasm");
    project.write("plugin.toml", "name = \"misbehaving\"\n[limits]\nfuel = 400000000\nmemory_mib = 8\n");
    let none = project.run(&["plugin", "bench"]);
    assert_eq!(none.code, Some(2), "{none:#?}");
    assert!(none.err.contains("[no_fixtures]") && none.err.contains("--event FILE"), "{}", none.err);
    let event = json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": "N-1"}});
    project.fixture("a-pass", &json!({"event": event, "settings": {"do": "big_output", "bytes": 10}}));
    let told = project.run(&["--json", "plugin", "bench", "--calls", "10"]).json();
    assert_eq!((&told["fuel"]["max"], &told["memory_bytes"]["max"]), (&json!(400_000_000), &json!(8 << 20)));
    let advice = told["advice"].to_string();
    assert!(!advice.contains("[limits]"), "{advice}");
    project.fixture("a-pass", &json!({"event": event, "settings": {"do": "panic"}}));
    let failed = project.run(&["plugin", "bench"]);
    assert_eq!(failed.code, Some(4), "{failed:#?}");
    assert!(failed.err.contains("[plugin_panic]") && failed.err.contains("the fixture a-pass"), "{}", failed.err);
}
