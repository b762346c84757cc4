//! The invoice, against the sample documents.

use hookmill_sdk::{Event, FailureKind, Request, testing};

use super::transform;

const QUOTATION: &str = include_str!("../../../tests/documents/quotation-on-update.json");
const NOTE: &str = include_str!("../../../tests/documents/note-on-update.json");

fn invoice(envelope: &str, settings: &str) -> Request {
    let event = Event::from_json(envelope).unwrap();
    testing::call(transform, &event, testing::draft(), settings).unwrap().into_request().unwrap()
}

#[test]
fn quotation_becomes_invoice() {
    let request = invoice(QUOTATION, "{}");
    let expected = include_str!("../../../tests/documents/expected/quotation-invoice.json");
    assert_eq!(request.body.as_text(), Some(expected));
    assert_eq!(request.url, testing::draft().url);
}

#[test]
fn currency_falls_back_to_the_settings() {
    let without = QUOTATION.replace("\"currency\": \"INR\"", "\"currency\": null");
    assert!(invoice(&without, r#"{"currency": "EUR"}"#).body.as_text().unwrap().contains(r#""currency":"EUR""#));
    assert!(invoice(&without, "{}").body.as_text().unwrap().contains(r#""currency":"USD""#));
}

#[test]
fn lines_that_do_not_add_up_are_logged() {
    let event = Event::from_json(&QUOTATION.replace("\"net_total\": 1250.0", "\"net_total\": 1249.0")).unwrap();
    let (_, lines) = testing::logged(|| testing::call(transform, &event, testing::draft(), "{}"));
    assert_eq!(lines[0].1, "the lines of SAL-QTN-2026-00001 add up to 1250, not to 1249.0");
}

#[test]
fn wrong_documents_and_settings_are_named() {
    let check = |envelope: &str, settings: &str, kind: FailureKind, code: &str, path: Option<&str>| {
        let event = Event::from_json(envelope).unwrap();
        let failure = testing::call(transform, &event, testing::draft(), settings).unwrap_err();
        assert_eq!((failure.kind(), failure.code(), failure.path()), (kind, code, path), "{failure}");
    };
    check(NOTE, "{}", FailureKind::BadDocument, "document_mismatch", None);
    let text = QUOTATION.replace("\"item_name\": \"Präzisionswaage 15 kg\"", "\"item_name\": 15");
    check(&text, "{}", FailureKind::BadDocument, "document_mismatch", Some("/items/0/item_name"));
    let text = QUOTATION.replace("\"qty\": 5.0", "\"qty\": \"five\"");
    check(&text, "{}", FailureKind::BadDocument, "document_mismatch", Some("/items/0/qty"));
    check(QUOTATION, r#"{"currancy": "EUR"}"#, FailureKind::BadSettings, "settings_mismatch", Some("/currancy"));
    let start = QUOTATION.find("\"items\": [").unwrap();
    let end = QUOTATION.find("\"taxes\": [").unwrap();
    let empty = format!("{}\"items\": [], {}", &QUOTATION[..start], &QUOTATION[end..]);
    check(&empty, "{}", FailureKind::BadDocument, "no_items", Some("/items"));
}
