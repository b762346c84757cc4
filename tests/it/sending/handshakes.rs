//! A receiver that has not agreed gets nothing.

use hookmill::core::DeliveryState;
use hookmill_testing::{Answer, Receiver};
use serde_json::{Value, json};

use crate::stand::{Stand, event, last_error, note, tenant, webhook_name};

fn asking() -> Value {
    json!({"handshake": {"origin": "erp.example.com"}, "auth": {"bearer": "t"}, "retry": {"schedule": ["0s", "0s"]}})
}

fn allowing(origin: &str) -> Answer {
    Answer::with_header(200, "WebHook-Allowed-Origin", origin)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_is_asked_once_and_told_the_origin_each_time() {
    let stand = Stand::new().await;
    stand.webhook("notes", asking()).await;
    stand.receiver.script([allowing("ERP.example.com")]);
    for document in ["N-1", "N-2"] {
        let id = stand.publish(note(document)).await;
        stand.reaches(id, DeliveryState::Delivered).await;
    }
    let requests = stand.receiver.requests();
    assert_eq!(requests.iter().map(|request| &*request.method).collect::<Vec<_>>(), ["OPTIONS", "POST", "POST"]);
    for request in &requests {
        assert_eq!(request.header("webhook-request-origin"), "erp.example.com");
        assert_eq!(request.header("authorization"), "Bearer t");
    }
    assert!(requests[0].body.is_empty() && !requests[0].has_header("webhook-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_parks_and_nothing_is_sent() {
    let stand = Stand::new().await;
    let refusals = [Answer::Status(200), allowing("other.example.com"), Answer::Status(405)];
    for (number, refusal) in refusals.into_iter().enumerate() {
        stand.webhook("notes", asking()).await;
        stand.receiver.script([refusal]);
        let id = stand.publish(note(&format!("N-{number}"))).await;
        let detail = stand.reaches(id, DeliveryState::Parked).await;
        assert_eq!(last_error(&detail).0, "handshake_refused", "{:?}", last_error(&detail));
    }
    assert!(stand.receiver.requests().iter().all(|request| request.method == "OPTIONS"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_is_asked_again_and_then_gets_it() {
    let stand = Stand::new().await;
    stand.webhook("notes", asking()).await;
    stand.receiver.script([Answer::Status(503), allowing("*")]);
    let id = stand.publish(note("N-1")).await;
    let detail = stand.reaches(id, DeliveryState::Delivered).await;
    assert_eq!(detail.attempts[0].error.as_ref().unwrap().code, "handshake_failed");
    let methods: Vec<_> = stand.receiver.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["OPTIONS", "OPTIONS", "POST"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_says_nothing_holds_up_no_other_of_the_webhook() {
    let (stand, silent) = (Stand::new().await, Receiver::start());
    silent.always(Answer::Stall);
    stand.receiver.script([allowing("*")]);
    let fields = json!({"handshake": {"origin": "erp.example.com"}, "dynamic_url": true, "request_url": "{{ doc.url }}",
        "timeout_ms": 60_000});
    stand.webhook("notes", fields).await;
    let to =
        |url: String| event(&json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": url, "url": url}}));
    for number in 0..3 {
        stand.publish(to(silent.url(&format!("/{number}")))).await;
    }
    silent.wait_for_requests(1).await;
    let id = stand.publish(to(stand.receiver.url("/in"))).await;
    stand.reaches(id, DeliveryState::Delivered).await;
    assert_eq!(silent.count(), 1, "one request at a time asks the silent one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_asks_nobody() {
    let stand = Stand::new().await;
    stand.webhook("notes", asking()).await;
    let preview = stand.engine.preview(&tenant(), &webhook_name("notes"), note("N-1")).await.expect("a preview");
    let headers = preview.request.expect("a request").headers;
    assert!(headers.contains(&("webhook-request-origin".into(), "erp.example.com".into())), "{headers:?}");
    assert!(headers.contains(&("authorization".into(), "********".into())), "{headers:?}");
    assert_eq!(stand.receiver.count(), 0);
}
