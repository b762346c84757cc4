//! Fixtures: tested, updated, shipped, and named where they are wrong.

use serde_json::{Value, json};

use crate::project::Project;
use crate::support::{Running, document, run};

fn quotation() -> Value {
    let text = std::fs::read_to_string(document("quotation-on-update.json")).expect("a document");
    serde_json::from_str(&text).expect("JSON")
}

/// A fixture of the Slack plugin that is met.
fn note(expect: Option<Value>) -> Value {
    let event = json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": "N-1", "title": "A note"}});
    let mut fixture = json!({"event": event, "settings": {}});
    if let Some(expect) = expect {
        fixture["expect"] = expect;
    }
    fixture
}

fn invoice(change: impl FnOnce(&mut Value)) -> Value {
    let expected = std::fs::read_to_string(document("expected/quotation-invoice.json")).expect("a document");
    let mut body: Value = serde_json::from_str(&expected).expect("JSON");
    change(&mut body);
    json!({"event": quotation(), "expect": {"send": {"headers": {"content-type": "application/json"}, "body": body}}})
}

#[test]
fn fixtures_are_tested_and_what_differs_is_named_by_its_path() {
    let project = Project::new("invoice", "rust_quotation_invoice.wasm");
    project.fixture("as-it-is", &invoice(|_| {}));
    project.fixture(
        "other-total",
        &invoice(|body| {
            body["gone"] = json!([1]);
            body["lines"][0]["sku"] = json!("other");
        }),
    );
    let tested = project.run(&["plugin", "test"]);
    assert_eq!(tested.code, Some(4), "{tested:#?}");
    for part in
        ["✓ as-it-is  fuel 1", "✗ other-total", "/gone: [1] → (nothing)", "1 passed, 1 failed", "info: invoice for"]
    {
        assert!(tested.out.contains(part), "{part:?} is missing in {}", tested.out);
    }
    let told = project.run(&["--json", "plugin", "test", "."]);
    let told: Value = serde_json::from_str(&told.out).expect("one object");
    assert_eq!((&told["passed"], &told["failed"]), (&json!(1), &json!(1)));
    assert_eq!(told["fixtures"][0]["name"], "as-it-is");
    assert_eq!(told["fixtures"][1]["differences"][0]["changes"][0]["path"], "/lines/0/sku");

    let chosen = project.run(&["plugin", "test", "--filter", "as-"]).ok();
    assert!(chosen.contains("1 passed, 0 failed"), "{chosen}");
    let none = project.run(&["plugin", "test", "--filter", "nothing"]);
    assert!(none.err.contains("[no_fixtures]") && none.err.contains("as-it-is, other-total"), "{none:#?}");

    // What was built has both in it; without its project, it is held against them too.
    let shipped = run(["plugin", "test", project.path("invoice.wasm").to_str().expect("UTF-8")]);
    assert_eq!(shipped.code, Some(4), "{shipped:#?}");
    assert!(shipped.out.contains("1 passed, 1 failed"), "{}", shipped.out);
    let checked = project.run(&["plugin", "check", "invoice.wasm"]);
    assert_eq!(checked.code, Some(4));
    assert!(checked.err.contains("[plugin_fixture_not_met]"), "{}", checked.err);
}

#[test]
fn an_update_rewrites_what_is_expected_and_nothing_else() {
    let project = Project::new("slack", "rust_slack_message.wasm");
    let event = r#"{"doctype": "Note", "doc_event": "on_update", "doc":   {"name": "N-1", "total": 1.50}}"#;
    project.write("tests/a.json", &format!("{{\n  \"expect\": {{\"skip\": \"x\"}},\n  \"event\": {event}\n}}\n"));
    project.write("tests/b.json", &format!("{{\n  \"event\": {event}\n}}\n"));
    project.fixture("c", &note(Some(json!({"send": {"headers": {"content-type": "text/plain"}}}))));
    let updated = project.run(&["plugin", "test", "--update"]).ok();
    assert!(updated.contains("✓ a") && updated.contains("3 passed, 3 of them updated, 0 failed"), "{updated}");
    let a = project.read("tests/a.json");
    assert!(a.starts_with("{\n  \"expect\": {\n    \"send\": {\n"), "{a}");
    assert!(a.ends_with(&format!("\n  }},\n  \"event\": {event}\n}}\n")), "{a}");
    assert!(project.read("tests/b.json").starts_with(&format!("{{\n  \"event\": {event},\n  \"expect\": {{\n")));
    // What was not compared before is not compared now.
    let c: Value = serde_json::from_str(&project.read("tests/c.json")).expect("JSON");
    assert_eq!(c["expect"], json!({"send": {"headers": {"content-type": "application/json"}}}));

    // The component was written anew, with what is expected now.
    project.run(&["plugin", "check", "slack.wasm"]).ok();
    assert!(project.run(&["plugin", "test"]).ok().contains("3 passed, 0 failed"));
    let refused = project.run(&["plugin", "test", "slack.wasm", "--update"]);
    assert_eq!(refused.code, Some(2), "{refused:#?}");
}

#[test]
fn a_plugin_that_fails_shows_its_log_and_where() {
    let project = Project::new("misbehaving", "misbehaving.wasm");
    let mut fixture = note(None);
    fixture["settings"] = json!({"do": "panic"});
    project.fixture("panics", &fixture);
    let failed = project.run(&["plugin", "test"]);
    assert_eq!(failed.code, Some(4), "{failed:#?}");
    for part in ["✗ panics", "plugin_panic", "backtrace", "src/lib.rs:", "0 passed, 1 failed"] {
        assert!(failed.out.contains(part), "{part:?} is missing in {}", failed.out);
    }
    // A run looks into what the server would not take.
    fixture["expect"] = json!({"skip": "never"});
    project.fixture("panics", &fixture);
    project.run(&["plugin", "build"]).ok();
    let ran = project.run(&["plugin", "run", "misbehaving.wasm", "--event", "tests/panics.json"]);
    assert!(ran.out.contains("[plugin_panic]"), "{ran:#?}");
}

#[test]
fn what_is_no_fixture_is_named_file_by_file() {
    let project = Project::new("slack", "rust_slack_message.wasm");
    let untested = project.run(&["plugin", "test"]);
    assert_eq!(untested.code, Some(1), "{untested:#?}");
    assert!(untested.err.contains("[no_fixtures]") && untested.err.contains("tests is not there"), "{}", untested.err);
    project.run(&["plugin", "build"]).ok();
    project.write("tests/README.md", "no fixture");
    assert!(project.run(&["plugin", "test"]).err.contains("tests has no .json file"));

    project.fixture("good", &note(None));
    project.fixture("event", &quotation());
    project.fixture("typo", &json!({"event": quotation(), "expected": {}}));
    project.write("tests/broken.json", "{");
    for what in ["test", "build"] {
        let refused = project.run(&["plugin", what]);
        assert_eq!(refused.code, Some(4), "{refused:#?}");
        for part in [
            "[plugin_bad_fixture]",
            "3 fixtures",
            "event.json: it is an event, not a fixture",
            "typo.json: unknown field `expected`",
            "broken.json: EOF",
        ] {
            assert!(refused.err.contains(part), "{part:?} is missing in {}", refused.err);
        }
        assert!(!refused.err.contains("good.json"), "{}", refused.err);
    }
    project.write("plugin.toml", "name = \"slack\"\ntests = \"fixtures\"\n");
    let refused = project.run(&["plugin", "build"]);
    assert!(refused.err.contains("[no_fixtures]") && refused.err.contains("fixtures can't be read"), "{refused:#?}");
    project.write("fixtures/one.json", &note(None).to_string());
    assert!(project.run(&["plugin", "build"]).ok().contains("1 fixture,"));
}

#[test]
fn a_fixture_is_an_event_wherever_one_is_read() {
    let data = tempfile::tempdir().expect("a folder");
    let (server, receiver) = (Running::server(data.path()), Running::receiver(&[]));
    let project = Project::new("slack", "rust_slack_message.wasm");
    project.fixture("one", &note(None));
    let webhook = json!({"doctype": "Note", "doc_event": "on_update", "request_url": receiver.url});
    project.write("notes.json", &webhook.to_string());
    let path = |file: &str| project.path(file).to_str().expect("UTF-8").to_owned();
    server.call(["webhook", "apply", &path("notes.json")]).ok();
    let preview = server.call(["--json", "webhook", "preview", "notes", "--event", &path("tests/one.json")]).json();
    assert_eq!(preview["request"]["body"], r#"{"name":"N-1","title":"A note"}"#);
    server.call(["event", "send", &path("tests/one.json")]).ok();
    assert_eq!(receiver.received()["json"]["title"], "A note");
    let settings = ["--settings", r##"{"channel": "#news"}"##];
    let ran = ["--json", "plugin", "run", "slack.wasm", "--event", "tests/one.json"];
    project.run(&["plugin", "build"]).ok();
    let told = project.run(&[&ran[..], &settings[..]].concat()).json();
    assert!(told["request"]["body"].as_str().expect("a body").starts_with(r##"{"channel":"#news""##), "{told}");
}
