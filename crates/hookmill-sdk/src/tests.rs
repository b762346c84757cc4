//! What an author meets: reading, building, failing, logging.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::json;

use crate::log::Level;
use crate::{Body, Decision, Event, Failure, FailureKind, Fields, NoSettings, Number, Request, testing};

fn event(doc: &str) -> Event {
    Event::from_json(&format!(r#"{{"doctype": "Quotation", "doc_event": "on_update", "doc": {doc}}}"#)).unwrap()
}

#[derive(Debug, Deserialize)]
struct Quotation<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    items: Vec<Item<'a>>,
}

#[derive(Debug, Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    qty: Number<'a>,
    #[serde(borrow)]
    uom: &'a str,
}

#[test]
fn documents_are_borrowed() {
    let event = event(r#"{"name": "Q-1", "items": [{"qty": 1250.0, "uom": "Nos"}]}"#);
    let doc: Quotation<'_> = event.doc().unwrap();
    assert!(matches!(doc.name, Cow::Borrowed("Q-1")), "{doc:?}");
    assert_eq!((doc.items[0].qty.as_str(), doc.items[0].uom), ("1250.0", "Nos"));
}

#[test]
fn mismatches_name_their_place() {
    let check = |doc: &str, message: &str, path: Option<&str>| {
        let failure = event(doc).doc::<Quotation<'_>>().unwrap_err();
        assert_eq!((failure.kind(), failure.code()), (FailureKind::BadDocument, "document_mismatch"));
        assert_eq!(failure.path(), path, "{failure}");
        assert_eq!(failure.message(), format!("the document doesn't fit this plugin: {message}"));
    };
    check(r#"{"name": "Q-1"}"#, "missing field `items` at line 1 column 15", None);
    let text = "{\"items\": [{\"qty\": 1,\n \"uom\": \"ü\"}, {\"uom\": 1, \"qty\": 1}]}";
    check(text, "invalid type: integer `1`, expected a borrowed string at line 2 column 24", Some("/items/1/uom"));
    let text = r#"{"a": {"\"},{": [1, {}]}, "items": [{"uom": "", "qty": 1}, {"qty": 1}]}"#;
    check(text, "missing field `uom` at line 1 column 69", Some("/items/1"));
    let text = r#"{"name": {"first": ""}}"#;
    check(text, "invalid type: map, expected a string at line 1 column 9", Some("/name"));
    let text = r#"{"name": ["Q-1"]}"#;
    check(text, "invalid type: sequence, expected a string at line 1 column 9", Some("/name"));
    let text = r#"{"items": [{"qty": null, "uom": ""}]}"#;
    check(text, "expected a number, found null at line 1 column 23", Some("/items/0/qty"));
}

#[test]
fn keys_are_escaped_in_pointers() {
    type Deep<'a> = HashMap<&'a str, HashMap<&'a str, u8>>;
    let failure = event(r#"{"a/b": {"c~d": true}}"#).doc::<Deep<'_>>().unwrap_err();
    assert_eq!(failure.path(), Some("/a~1b/c~0d"));
}

#[test]
fn numbers_keep_their_spelling() {
    for text in
        ["0", "-0.0", "1250.0", "1.50", "1e2", "123456789012345678901234567890", "0.1000000000000000055511151231257827"]
    {
        let number: Number<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&number).unwrap(), text);
        assert_eq!(format!("{number} {number:?} {number:>9}"), format!("{text} {text} {text:>9}"));
    }
    assert_eq!(serde_json::from_str::<Number<'_>>("0.1").unwrap().as_f64(), 0.1);
    assert_eq!(serde_json::from_str::<Number<'_>>("1e999").unwrap().as_f64(), f64::INFINITY);
    for (text, found) in
        [("\"1\"", "a string"), ("{}", "an object"), ("[]", "an array"), ("null", "null"), ("true", "a boolean")]
    {
        let error = serde_json::from_str::<Number<'_>>(text).unwrap_err();
        assert!(error.to_string().starts_with(&format!("expected a number, found {found}")), "{error}");
    }
}

#[test]
fn fields_keep_order_and_spelling() {
    let text = r#"{"z": 1.0, "ä\n": [ 1.50, "a b\" [" ], "a": 1, "z": 2.0}"#;
    let mut fields: Fields<'_> = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&fields).unwrap(), r#"{"z":2.0,"ä\n":[1.50,"a b\" ["],"a":1}"#);
    assert_eq!(fields.get("a").unwrap().get(), "1");
    assert!(fields.get("b").is_none());
    fields.set("a", &json!(null)).unwrap();
    fields.set("b", &Failure::other("c", "m").code()).unwrap();
    fields.retain(|key, _| key != "z");
    assert_eq!(
        fields.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" "),
        "ä\n=[ 1.50, \"a b\\\" [\" ] a=null b=\"c\""
    );
    assert!(serde_json::from_str::<Fields<'_>>("[]").is_err());
}

#[test]
fn requests_are_built() {
    let request = testing::draft().method("PUT").url("https://other.example/").header("X-A", "1").header("x-a", "2");
    assert_eq!((&*request.method, &*request.url), ("PUT", "https://other.example/"));
    assert_eq!(request.headers, [("x-a".to_owned(), "2".to_owned())]);
    assert_eq!(request.clone().json(&json!({"a": 1.0})).unwrap().body, Body::Json(r#"{"a":1.0}"#.to_owned()));
    assert_eq!(request.clone().json_text("[ ]").body.as_text(), Some("[ ]"));
    assert_eq!(request.clone().text("t").body.as_bytes(), b"t");
    assert_eq!(request.clone().bytes([1]).body.as_text(), None);
    let failure = request.json(&HashMap::from([((1, 2), 3)])).unwrap_err();
    assert_eq!((failure.kind(), failure.code()), (FailureKind::Other, "body_unwritable"));
}

#[test]
fn settings_are_typed() {
    #[derive(Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        limit: u8,
    }
    let transform = |_: &Event, draft: Request, settings: Settings| draft.json(&settings.limit);
    let run = |settings: &str| testing::call(transform, &event("{}"), testing::draft(), settings);
    for (settings, body) in [("", "0"), ("null", "0"), (" {} ", "0"), (r#"{"limit": 7}"#, "7")] {
        assert_eq!(run(settings).unwrap().into_request().unwrap().body.as_text(), Some(body));
    }
    let failure = run(r#"{"limit": 256}"#).unwrap_err();
    assert_eq!((failure.kind(), failure.code()), (FailureKind::BadSettings, "settings_mismatch"));
    assert_eq!(failure.path(), Some("/limit"));
    assert!(run("[]").is_ok(), "serde reads a struct from a sequence, too");
    assert_eq!(run("7").unwrap_err().path(), None);
}

#[test]
fn question_mark_works_on_serde_json() {
    let read = |text: &str| Ok::<Decision, Failure>(Decision::skip(serde_json::from_str::<String>(text)?));
    assert_eq!(read("\"why\"").unwrap(), Decision::skip("why"));
    assert_eq!(read("1").unwrap_err().kind(), FailureKind::BadDocument);
    let written = serde_json::to_string(&HashMap::from([((1, 2), 3)])).map_err(Failure::from);
    assert_eq!(written.unwrap_err().kind(), FailureKind::Other);
}

#[test]
fn events_come_from_envelopes() {
    let event = Event::from_json(
        r#"{"id": "evt_1", "doctype": "Note", "doc_event": "on_trash", "doc": {"name": "ä\"", "x": 1.0}, "before": {"x": 2.0},
            "occurred_at": "2026-03-02T00:00:00Z", "user": "Administrator", "meta": {"site": "a"}}"#,
    )
    .unwrap();
    assert_eq!(
        (event.id(), event.tenant(), event.doctype(), event.doc_event()),
        ("evt_1", "default", "Note", "on_trash")
    );
    assert_eq!((event.doc_name(), event.occurred_at()), ("ä\"", "2026-03-02T00:00:00Z"));
    assert_eq!((event.meta("site"), event.meta("user"), event.meta("b")), (Some("a"), Some("Administrator"), None));
    assert_eq!(event.doc_text(), r#"{"name": "ä\"", "x": 1.0}"#);
    assert_eq!(event.before::<HashMap<&str, f64>>().unwrap().unwrap()["x"], 2.0);
    assert_eq!(event.before_text(), Some(r#"{"x": 2.0}"#));
    assert_eq!(event.value().unwrap()["x"], 1.0);

    let numbered = self::event(r#"{"name": 7}"#);
    assert_eq!((numbered.doc_name(), numbered.id()), ("7", "evt_test"));
    assert_eq!(self::event("{}").doc_name(), "");
    assert!(numbered.before::<Fields<'_>>().unwrap().is_none());

    let check = |envelope: &str, path: Option<&str>| assert_eq!(Event::from_json(envelope).unwrap_err().path(), path);
    check(r#"{"doctype": "N", "doc_event": "e", "doc": []}"#, Some("/doc"));
    check(r#"{"doctype": "N", "doc_event": "e", "doc": {}, "before": 1}"#, Some("/before"));
    check(r#"{"doctype": "N", "doc_event": "e", "doc": {}, "more": 1}"#, Some("/more"));
}

#[test]
fn lines_are_logged() {
    let transform = |_: &Event, draft: Request, _: NoSettings| {
        let n = 1;
        crate::debug!("a{n}");
        crate::info!("b{}", n);
        crate::warn!("c");
        crate::error!("d");
        Ok::<_, Failure>(draft)
    };
    let (_, lines) = testing::logged(|| testing::call(transform, &event("{}"), testing::draft(), "{}"));
    let expected = [(Level::Debug, "a1"), (Level::Info, "b1"), (Level::Warn, "c"), (Level::Error, "d")];
    assert_eq!(lines, expected.map(|(level, line)| (level, line.to_owned())));
    assert_eq!(testing::logged(|| ()).1, []);
}

#[test]
fn failures_read_well() {
    let failure = Failure::bad_settings("no_currency", "there is no currency");
    assert_eq!(failure.to_string(), "there is no currency (no_currency)");
    assert_eq!(failure.at("/currency").to_string(), "there is no currency (no_currency, at /currency)");
}
