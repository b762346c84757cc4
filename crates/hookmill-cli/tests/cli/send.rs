//! Publishing files of events.

use serde_json::{Value, json};

use crate::operator::site;
use crate::support::ended;
use crate::support::{Running, command};

fn note(name: impl std::fmt::Display) -> String {
    format!(r#"{{"doctype":"Note","doc_event":"on_update","doc":{{"name":"{name}"}}}}"#)
}

fn server() -> (tempfile::TempDir, Running) {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Running::server(&dir.path().join("data"));
    (dir, server)
}

#[test]
fn a_batch_with_bad_lines_takes_the_good_ones_and_names_the_bad() {
    let site = site(&[]);
    site.apply("all", json!({"doctype": "Note"}));
    let lines = format!("{}\n{{\"doctype\":\"Note\",\"doc_event\":\"on_update\",\"doc\":7}}\nnonsense\n", note("good"));
    let refused = site.server.call_with(&["event", "send", "-"], &lines);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.err.contains("line 2: `doc` is not a JSON object") && refused.err.contains("line 3:"),
        "{}",
        refused.err
    );
    assert_eq!(site.receiver.received()["json"]["name"], "good");
}

#[test]
fn many_events_go_in_one_command() {
    let site = site(&["--quiet"]);
    site.apply("all", json!({"doctype": "Note"}));
    let lines: String = (0..2_500).map(|number| note(number) + "\n").collect();
    let sent = site.server.call_with(&["--json", "event", "send", "-"], &lines).json();
    assert_eq!(sent, json!({"events": 2_500, "deliveries": 2_500}));
}

/// Blank lines count, requests end every thousand events, and a bad one costs no other.
#[test]
fn every_bad_line_is_named_by_its_number_in_the_file() {
    let (_dir, server) = server();
    let bad = [4, 1_500, 2_999, 5_003];
    let lines: String = (1..=5_003)
        .map(|number| match number {
            _ if bad.contains(&number) => "{\"doctype\":\"Note\"\n".to_owned(),
            _ if number % 2 == 0 => "\n".to_owned(),
            _ => note(number) + "\n",
        })
        .collect();
    let refused = server.call_with(&["--json", "event", "send", "-"], &lines);
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    let error: Value = serde_json::from_str(&refused.err).expect("an error in JSON");
    let named: Vec<&Value> =
        error["error"]["errors"].as_array().expect("errors").iter().map(|error| &error["line"]).collect();
    assert_eq!(named, [4, 1_500, 2_999, 5_003], "{error}");
    // All odd lines but the two bad ones.
    assert!(error["error"]["message"].as_str().expect("a message").contains("2500 are recorded"), "{error}");

    let text = server.call_with(&["event", "send", "-"], &lines).err;
    assert!(bad.iter().all(|line| text.contains(&format!("\n  line {line}: "))), "{text}");
}

#[test]
fn a_bad_element_is_named_by_its_index() {
    let (_dir, server) = server();
    let elements: Vec<String> =
        (0..1_200).map(|number| if number == 1_100 { "7".to_owned() } else { note(number) }).collect();
    let refused = server.call_with(&["event", "send", "-"], &format!("[{}]", elements.join(",\n")));
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("\n  index 1100: ") && refused.err.contains("1199 are recorded"), "{}", refused.err);
}

#[test]
fn a_broken_event_over_several_lines_is_one_error() {
    let text = "{\n  \"doctype\": \"Note\",\n  \"doc_event\": \"on_update\"\n  \"doc\": {\"name\": \"N\"}\n}\n";
    let refused = ended(command().args(["--url", "http://127.0.0.1:9", "event", "send", "-"]), text);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.err.contains("line 4 column 3") && refused.err.contains("[event_malformed]"), "{}", refused.err);
    assert_eq!(refused.err.lines().count(), 2, "{}", refused.err);
}
