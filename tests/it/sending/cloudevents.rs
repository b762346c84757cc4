//! CloudEvents are read by their own library, and what is kept of a request has them.

use hookmill::EventEnvelope;
use hookmill::core::DeliveryState;
use hookmill_testing::Answer;
use serde_json::json;
use standardwebhooks::Webhook as Verifier;

use crate::python::{captured, python_says};
use crate::stand::{Stand, event, tenant, webhook_name};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn invoice() -> EventEnvelope {
    event(&json!({"id": "evt-1", "doctype": "Note", "doc_event": "on_update", "doc": {"name": "Größe 50%", "n": 1.5},
        "occurred_at": "2026-03-02T09:31:55Z"}))
}

const READ: &str = r#"
import json, sys
from urllib.parse import unquote
from cloudevents.v1.http import from_http

with open(sys.argv[1], encoding="utf-8") as file:
    captured = json.load(file)
for request in captured["requests"]:
    event = from_http(request["headers"], request["body"])
    said = [event["specversion"], event["id"], event["source"], event["type"], unquote(event["subject"]), event["time"]]
    print(*said, event.data["name"], event.data["n"], sep="|")
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_library_reads_both_forms_and_the_signature_covers_the_envelope() {
    let stand = Stand::new().await;
    for (count, envelope) in [(1, "cloudevents-binary"), (2, "cloudevents-structured")] {
        let fields = json!({"envelope": envelope, "event_source": "https://erp.example.com", "secrets": [SECRET]});
        stand.webhook("notes", fields).await;
        let mut published = invoice();
        published.id = Some(format!("evt-{count}"));
        stand.publish(published).await;
        stand.receiver.wait_for_requests(count).await;
    }
    let requests = stand.receiver.requests();
    assert_eq!(requests[0].header("content-type"), "application/json");
    assert!(requests[1].header("content-type").starts_with("application/cloudevents+json"));
    assert!(requests[1].text().contains("\"n\":1.5"), "{}", requests[1].text());
    for request in &requests {
        let headers = request.headers.iter().filter_map(|(name, value)| {
            Some((name.parse::<http::HeaderName>().ok()?, http::HeaderValue::from_str(value).ok()?))
        });
        Verifier::new(SECRET).unwrap().verify(&request.body, &headers.collect()).expect("it verifies");
    }
    let line =
        |id| format!("1.0|{id}|https://erp.example.com|Note.on_update|Größe 50%|2026-03-02T09:31:55Z|Größe 50%|1.5");
    let said = python_says(READ, &json!({"requests": captured(&requests)}));
    assert_eq!(said, format!("{}\n{}", line("evt-1"), line("evt-2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_keeps_its_envelope_whatever_the_webhook_says_by_then() {
    let stand = Stand::new().await;
    let fields = json!({"envelope": "cloudevents-structured", "retry": {"schedule": ["0s", "1h"]}});
    stand.webhook("notes", fields).await;
    stand.receiver.script([Answer::Status(500)]);
    let id = stand.publish(invoice()).await;
    let detail = stand.tried(id, 1).await;
    stand.webhook("notes", json!({})).await;
    stand.engine.redeliver(&tenant(), id, hookmill::RedeliverMode::AsSent).await.expect("it is sent again");
    stand.reaches(id, DeliveryState::Delivered).await;
    let requests = stand.receiver.requests();
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!(detail.attempts[0].request.as_ref().unwrap().body, requests[0].body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_the_envelope() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"envelope": "cloudevents-binary"})).await;
    let preview = stand.engine.preview(&tenant(), &webhook_name("notes"), invoice()).await.expect("a preview");
    let headers = preview.request.expect("a request").headers;
    let value = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    assert_eq!((value("ce-subject"), value("ce-source")), (Some("Gr%C3%B6%C3%9Fe%2050%25"), Some("/hookmill/default")));
    assert_eq!(stand.receiver.count(), 0);
}
