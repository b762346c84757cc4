//! The message, against the sample documents.

use hookmill_sdk::{Event, testing};

use super::{encode, escape, shorten, title, transform};

const QUOTATION: &str = include_str!("../../../tests/documents/quotation-on-update.json");
const CUSTOMER: &str = include_str!("../../../tests/documents/customer-after-insert.json");
const NOTE: &str = include_str!("../../../tests/documents/note-on-update.json");

fn message(envelope: &str, settings: &str) -> String {
    let event = Event::from_json(envelope).unwrap();
    let request = testing::call(transform, &event, testing::draft(), settings).unwrap().into_request().unwrap();
    request.body.as_text().unwrap().to_owned()
}

#[test]
fn quotation_becomes_message() {
    let expected = include_str!("../../../tests/documents/expected/quotation-slack.json");
    assert_eq!(message(QUOTATION, "{}"), expected);
}

#[test]
fn settings_choose_fields_channel_and_link() {
    let settings = r##"{"fields": ["grand_total", "missing", "items"], "channel": "#sales",
        "link": "https://erp.example.com/app/{doctype}/{name}"}"##;
    let event = Event::from_json(CUSTOMER).unwrap();
    let (_, lines) = testing::logged(|| testing::call(transform, &event, testing::draft(), settings));
    assert_eq!(lines.len(), 3, "each missing field is named: {lines:?}");
    let sent = message(QUOTATION, settings);
    assert!(sent.starts_with(r##"{"channel":"#sales","text":"##), "{sent}");
    assert!(sent.contains(r#""fields":[{"type":"mrkdwn","text":"*Grand total*\n1475.0"}]"#), "{sent}");
    assert!(sent.contains("<https://erp.example.com/app/Quotation/SAL-QTN-2026-00001|Open>"), "{sent}");
}

#[test]
fn text_can_not_mention_or_link() {
    let sent = message(NOTE, "{}");
    assert!(sent.contains("&lt;p&gt;Open 9–17 h"), "{sent}");
    assert_eq!(escape("<!channel> & co"), "&lt;!channel&gt; &amp; co");
}

#[test]
fn words_are_shaped() {
    assert_eq!(title("grand_total"), "Grand total");
    assert_eq!(title(""), "");
    assert_eq!(shorten("häuser", 6), "häuser");
    assert_eq!(shorten("häuser", 5), "häus…");
    assert_eq!(encode("Söhne & Co/1"), "S%C3%B6hne%20%26%20Co%2F1");
}
