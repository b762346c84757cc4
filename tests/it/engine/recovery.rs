//! Stopping and starting again loses nothing.

use std::time::Duration;

use hookmill::core::DeliveryState;
use hookmill::{Engine, EngineError, Explain as _};
use hookmill_testing::{Answer, Receiver, wait_until};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::stand::{Stand, config, last_error, note, tenant, webhook_json, webhook_name};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pending_is_delivered_after_a_restart_under_the_same_id() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"retry": {"schedule": ["0s", "1s"]}})).await;
    stand.receiver.script([Answer::Status(500)]);
    let id = stand.publish(note("N-1")).await;
    stand.tried(id, 1).await;
    let stand = stand.restart().await;
    assert_eq!(stand.detail(id).await.attempts.len(), 1);
    stand.reaches(id, DeliveryState::Delivered).await;
    let requests = stand.receiver.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"));
    assert_eq!(requests[0].body, requests[1].body);
}

/// The client of a server may go away at any moment, and its request is dropped where it stands.
#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_goes_away_leaves_nothing_behind_unsent() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({})).await;
    for number in 0..20 {
        let (tenant, event) = (tenant(), note(&format!("N-{number}")));
        let mut publishing = Box::pin(stand.engine.publish(&tenant, event));
        // Begun, and most likely not ended: the store has not synced yet.
        let _seldom_ready = futures::poll!(publishing.as_mut());
    }
    let requests = stand.receiver.wait_for_requests(20).await;
    assert_eq!(requests.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_stays_delivered() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({})).await;
    let id = stand.publish(note("N-1")).await;
    stand.reaches(id, DeliveryState::Delivered).await;
    let stand = stand.restart().await;
    stand.reaches(stand.publish(note("N-2")).await, DeliveryState::Delivered).await;
    assert_eq!(stand.receiver.count(), 2);
    assert_eq!(stand.detail(id).await.row.status.state, DeliveryState::Delivered);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_waits_for_what_is_under_way() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({})).await;
    stand.receiver.always(Answer::Hold);
    let id = stand.publish(note("N-1")).await;
    stand.receiver.wait_for_requests(1).await;
    let (engine, release) = (stand.engine.clone(), async { stand.receiver.release(1) });
    let (report, ()) = tokio::join!(engine.shutdown(Duration::from_secs(20)), release);
    assert_eq!((report.cut_off, report.waiting), (0, 0));
    assert_eq!(stand.detail(id).await.row.status.state, DeliveryState::Delivered);
    let error = stand.engine.publish(&tenant(), note("late")).await.expect_err("refused");
    assert!(matches!(error, EngineError::ShuttingDown));
    assert_eq!(error.code(), "shutting_down");
}

/// Drops the whole runtime in the middle of a delivery, which leaves the data as a crash would.
#[test]
fn what_a_grace_period_cuts_off_is_sent_again_by_the_next_start() {
    let (data, receiver) = (TempDir::new().unwrap(), Receiver::start());
    receiver.script([Answer::Hold]);
    let first = Runtime::new().unwrap();
    let id = first.block_on(async {
        let engine = Engine::start(config(data.path())).await.unwrap();
        let webhook = webhook_json(&receiver.url("/in"), &json!({}));
        let webhook = hookmill::Webhook::parse(webhook.to_string().as_bytes()).unwrap();
        engine.put_webhook(&tenant(), &webhook_name("notes"), webhook).await.unwrap();
        let published = engine.publish(&tenant(), note("N-1")).await.unwrap();
        receiver.wait_for_requests(1).await;
        let report = engine.shutdown(Duration::from_millis(50)).await;
        assert_eq!(report.cut_off, 1);
        published.deliveries[0]
    });
    drop(first);
    Runtime::new().unwrap().block_on(async {
        let engine = Engine::start(config(data.path())).await.expect("the data is free again");
        wait_until("the delivery to be made", async || {
            engine.delivery(&tenant(), id).await.unwrap().row.status.state == DeliveryState::Delivered
        })
        .await;
        let requests = receiver.requests();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_engine_on_the_same_data_is_refused_with_the_reason() {
    let stand = Stand::new().await;
    let error = Engine::start(config(stand.data.path())).await.expect_err("refused");
    assert_eq!(error.code(), "store_in_use");
    assert!(error.help().unwrap().contains("--data"));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_webhook_parks_what_it_still_owes() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"retry": {"schedule": ["0s", "1s"]}})).await;
    stand.receiver.script([Answer::Status(500)]);
    let id = stand.publish(note("N-1")).await;
    stand.tried(id, 1).await;
    stand.engine.delete_webhook(&tenant(), &webhook_name("notes")).await.unwrap();
    let detail = stand.reaches(id, DeliveryState::Parked).await;
    assert_eq!(last_error(&detail).0, "webhook_deleted");
    assert_eq!(stand.receiver.count(), 1);
    let published = stand.engine.publish(&tenant(), note("N-2")).await.unwrap();
    assert!(published.deliveries.is_empty());
}
