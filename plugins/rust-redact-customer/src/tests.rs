//! What is dropped and what stays, against the sample documents.

use hookmill_sdk::{Decision, Event, FailureKind, testing};

use super::transform;

const CUSTOMER: &str = include_str!("../../../tests/documents/customer-after-insert.json");

fn decide(envelope: &str, settings: &str) -> Decision {
    testing::call(transform, &Event::from_json(envelope).unwrap(), testing::draft(), settings).unwrap()
}

fn body(envelope: &str, settings: &str) -> String {
    decide(envelope, settings).into_request().unwrap().body.as_text().unwrap().to_owned()
}

fn envelope(doc: &str) -> String {
    format!(r#"{{"doctype": "Customer", "doc_event": "on_update", "doc": {doc}}}"#)
}

#[test]
fn personal_fields_are_dropped() {
    let expected = include_str!("../../../tests/documents/expected/customer-redacted.json");
    assert_eq!(body(CUSTOMER, "{}"), expected);
}

#[test]
fn the_rest_keeps_order_and_spelling() {
    let doc = r#"{"z": 1.50, "email_id": "a@example.com", "a": 12345678901234567890123, "b": [1.0, {"z": 1e2, "phone": 1, "y": [ ]}], "a": 2.0}"#;
    assert_eq!(body(&envelope(doc), "{}"), r#"{"z":1.50,"a":2.0,"b":[1.0,{"z":1e2,"y":[]}]}"#);
}

#[test]
fn settings_name_the_fields() {
    assert_eq!(body(&envelope(r#"{"name": "x", "email_id": "y"}"#), r#"{"fields": ["name"]}"#), r#"{"email_id":"y"}"#);
}

#[test]
fn disabled_and_drafts_are_skipped() {
    for (doc, reason) in [
        (r#"{"disabled": 1}"#, "the customer is disabled"),
        (r#"{"workflow_state": "Draft"}"#, "the customer's workflow_state is Draft"),
        (r#"{"status": "Draft"}"#, "the customer's status is Draft"),
    ] {
        assert_eq!(decide(&envelope(doc), "{}"), Decision::skip(reason));
    }
    assert_eq!(body(&envelope(r#"{"disabled": 0, "status": "Active"}"#), "{}"), r#"{"disabled":0,"status":"Active"}"#);
    assert_eq!(body(&envelope(r#"{"status": "Draft"}"#), r#"{"skip_states": []}"#), r#"{"status":"Draft"}"#);
}

#[test]
fn deep_nesting_is_refused() {
    let doc = format!("{{\"a\": {}1{}}}", "[".repeat(50), "]".repeat(50));
    let event = Event::from_json(&envelope(&doc)).unwrap();
    let failure = testing::call(transform, &event, testing::draft(), "{}").unwrap_err();
    assert_eq!((failure.kind(), failure.code()), (FailureKind::BadDocument, "too_deep"));
}
