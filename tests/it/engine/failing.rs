//! Receivers fail in every way that they can, and nothing is lost.

use std::time::Duration;

use hookmill::core::DeliveryState;
use hookmill::{Engine, EngineConfig, EngineError, Explain as _, Webhook};
use hookmill_testing::{Answer, Receiver, RefusingAddress};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tempfile::TempDir;

use crate::stand::{Stand, last_error, note, tenant, webhook_json, webhook_name};

/// Two tries, the second at once.
fn twice() -> serde_json::Value {
    json!({"retry": {"schedule": ["0s", "0s"]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_sends_the_same_bytes_under_the_same_id() {
    let stand = Stand::new().await;
    stand.webhook("notes", twice()).await;
    stand.receiver.script([Answer::with_body(500, "out of order")]);
    let id = stand.publish(note("N-1")).await;
    let detail = stand.reaches(id, DeliveryState::Delivered).await;
    let requests = stand.receiver.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"));
    assert_eq!(requests[0].body, requests[1].body);
    let outcomes: Vec<_> = detail.attempts.iter().map(|attempt| attempt.outcome.as_str()).collect();
    assert_eq!(outcomes, ["retry", "delivered"]);
    assert_eq!(detail.attempts[0].response.as_ref().unwrap().body, b"out of order");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receivers_wish_for_patience_is_granted() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({})).await;
    stand.receiver.script([Answer::with_header(503, "Retry-After", 3600)]);
    let before = Timestamp::UNIX_EPOCH;
    let detail = stand.tried(stand.publish(note("N-1")).await, 1).await;
    let next = detail.row.status.next_attempt_at.expect("it waits");
    let wait = next.duration_since(detail.attempts[0].at);
    assert!(wait >= SignedDuration::from_secs(3600) && wait < SignedDuration::from_secs(3630), "{wait}");
    assert!(next > before && detail.row.status.state == DeliveryState::Pending);
    assert_eq!(detail.row.status.reason.as_deref(), Some("the receiver answered 503"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_schedule_comes_back_after_five_seconds_give_or_take() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({})).await;
    stand.receiver.script([Answer::Status(500)]);
    let detail = stand.tried(stand.publish(note("N-1")).await, 1).await;
    let wait = detail.row.status.next_attempt_at.expect("it waits").duration_since(detail.attempts[0].at);
    assert!(wait >= SignedDuration::from_secs(4) && wait < SignedDuration::from_secs(16), "{wait}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_ends_it_at_once() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({})).await;
    stand.receiver.script([Answer::Status(410)]);
    let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Dead).await;
    assert!(detail.row.status.reason.unwrap().contains("410 Gone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_a_failure_and_never_followed() {
    let stand = Stand::new().await;
    let elsewhere = Receiver::start();
    for status in [301, 302, 307, 308] {
        stand.webhook(&format!("notes {status}"), json!({"retry": {"preset": "none"}})).await;
        stand.receiver.script([Answer::with_header(status, "Location", elsewhere.url("/stolen"))]);
        let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Dead).await;
        let reason = detail.row.status.reason.unwrap();
        assert!(reason.contains(&status.to_string()) && reason.contains("redirects are not followed"), "{reason}");
        stand.engine.delete_webhook(&tenant(), &webhook_name(&format!("notes {status}"))).await.unwrap();
    }
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_schedule_ends_in_death_with_the_reason() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"retry": {"schedule": ["0s", "0s", "0s"]}})).await;
    stand.receiver.always(Answer::Status(500));
    let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Dead).await;
    assert_eq!(detail.row.status.reason.as_deref(), Some("the receiver answered 500; that was try 3 of 3"));
    assert_eq!((detail.attempts.len(), stand.receiver.count()), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_drops_without_end_run_into_the_deadline() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"timeout_ms": 300, "retry": {"preset": "none"}})).await;
    for answer in [Answer::Stall, Answer::Drip] {
        stand.receiver.script([answer]);
        let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Dead).await;
        let (code, message) = last_error(&detail);
        assert_eq!((code.as_str(), message.contains("300 ms")), ("send_timeout", true), "{message}");
        assert!(detail.attempts[0].duration_ms >= 300);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_and_a_broken_connection_are_told_apart() {
    let stand = Stand::new().await;
    let refusing = RefusingAddress::new().unwrap();
    stand.webhook("nobody", json!({"request_url": refusing.url("/"), "retry": {"preset": "none"}})).await;
    let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Dead).await;
    assert_eq!(last_error(&detail).0, "send_connect");
    stand.engine.delete_webhook(&tenant(), &webhook_name("nobody")).await.unwrap();

    stand.webhook("rude", json!({"retry": {"preset": "none"}})).await;
    stand.receiver.script([Answer::Close]);
    let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Dead).await;
    assert_eq!(last_error(&detail).0, "send_failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_does_not_exist_is_a_failure_to_resolve() {
    let stand = Stand::new().await;
    let fields = json!({"request_url": "http://no-such-host.invalid/", "retry": {"preset": "none"}});
    stand.webhook("nowhere", fields).await;
    let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Dead).await;
    assert_eq!(last_error(&detail).0, "send_dns");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_huge_answer_the_first_64_kib_are_kept() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({})).await;
    stand.receiver.script([Answer::with_body(200, vec![b'x'; 5 << 20]), Answer::with_body(200, vec![b'y'; 64 << 10])]);
    let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Delivered).await;
    let response = detail.attempts[0].response.as_ref().unwrap();
    assert_eq!((response.body.len(), response.truncated), (64 << 10, true));
    // One of exactly that size is whole.
    let detail = stand.reaches(stand.publish(note("N-2")).await, DeliveryState::Delivered).await;
    let response = detail.attempts[0].response.as_ref().unwrap();
    assert_eq!((response.body.len(), response.truncated), (64 << 10, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_not_public_are_refused_unless_allowed() {
    let (data, receiver) = (TempDir::new().unwrap(), Receiver::start());
    let engine = Engine::start(EngineConfig::new(data.path())).await.unwrap();
    let parse = |url: &str, dynamic: bool| {
        let json = webhook_json(url, &json!({"dynamic_url": dynamic}));
        Webhook::parse(json.to_string().as_bytes()).expect("a webhook")
    };
    let port = receiver.address().port();
    let by_name = format!("http://localhost:{port}/");
    let urls = ["http://[::1]:1/", "http://169.254.169.254/", "http://0x7f.1/", &by_name, &receiver.url("/")];
    for url in urls.map(str::to_owned) {
        let error = engine.put_webhook(&tenant(), &webhook_name("w"), parse(&url, false)).await.expect_err("refused");
        assert!(matches!(error, EngineError::Address(_)) && error.code() == "address_refused", "{error}");
        assert!(error.help().unwrap().contains("--allow"));
    }
    // A URL that only the document gives is caught when it is dialled.
    for url in [format!("http://localhost:{port}/{{{{ doc.name }}}}"), receiver.url("/{{ doc.name }}")] {
        engine.put_webhook(&tenant(), &webhook_name("w"), parse(&url, true)).await.expect("saved");
        let published = engine.publish(&tenant(), note("N-1")).await.unwrap();
        let id = published.deliveries[0];
        let detail = hookmill_testing::wait_for("the delivery to be parked", async || {
            let detail = engine.delivery(&tenant(), id).await.unwrap();
            (detail.row.status.state == DeliveryState::Parked).then_some(detail)
        })
        .await;
        assert_eq!(last_error(&detail).0, "address_refused");
        assert!(last_error(&detail).1.contains("loopback"), "{}", last_error(&detail).1);
    }
    assert_eq!(receiver.count(), 0);
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_receiver_does_not_hold_up_another() {
    let stand = Stand::new().await;
    let stuck = Receiver::start();
    stuck.always(Answer::Stall);
    stand.webhook("stuck", json!({"doctype": "Task", "request_url": stuck.url("/"), "timeout_ms": 60000})).await;
    stand.webhook("notes", json!({})).await;
    let task = |number: u32| {
        crate::stand::event(&json!({"doctype": "Task", "doc_event": "on_update", "doc": {"name": number}}))
    };
    for answer in stand.engine.publish_many(&tenant(), (0..200).map(task).collect()).await {
        answer.expect("taken");
    }
    stuck.wait_for_requests(60).await;
    stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Delivered).await;
}
