//! Deliveries of one document in order, where a webhook asks for it.

use hookmill::core::DeliveryState;
use hookmill_testing::Answer;
use serde_json::json;

use crate::stand::{Stand, event};

fn version(document: &str, number: u32) -> hookmill::EventEnvelope {
    event(&json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": document, "version": number}}))
}

fn body(document: &str, number: u32) -> String {
    format!(r#"{{"name":"{document}","version":{number}}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_documents_deliveries_keep_their_order_through_a_retry_and_others_pass_by() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"ordering": "document", "retry": {"schedule": ["0s", "1s", "1s"]}})).await;
    stand.receiver.script([Answer::Status(500)]);
    let first = stand.publish(version("A", 1)).await;
    stand.tried(first, 1).await;
    let second = stand.publish(version("A", 2)).await;
    let third = stand.publish(version("A", 3)).await;
    // Another document does not wait.
    let other = stand.publish(version("B", 1)).await;
    stand.reaches(other, DeliveryState::Delivered).await;
    assert_eq!(stand.detail(second).await.attempts.len(), 0, "the second overtook the first");
    for id in [first, second, third] {
        stand.reaches(id, DeliveryState::Delivered).await;
    }
    let bodies: Vec<String> = stand.receiver.requests().iter().map(|request| request.text().to_owned()).collect();
    assert_eq!(bodies, [body("A", 1), body("B", 1), body("A", 1), body("A", 2), body("A", 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_one_document_arrives_in_order_and_over_a_restart() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"ordering": "document", "retry": {"schedule": ["0s", "1s"]}})).await;
    stand.receiver.script([Answer::Status(500)]);
    let first = stand.publish(version("A", 0)).await;
    stand.tried(first, 1).await;
    let mut ids = vec![first];
    for number in 1..30 {
        ids.push(stand.publish(version("A", number)).await);
    }
    let stand = stand.restart().await;
    for id in ids {
        stand.reaches(id, DeliveryState::Delivered).await;
    }
    let bodies: Vec<String> = stand.receiver.requests().iter().skip(1).map(|request| request.text().into()).collect();
    assert_eq!(bodies, (0..30).map(|number| body("A", number)).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_delivery_lets_the_next_of_its_document_go() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"ordering": "document", "retry": {"preset": "none"}})).await;
    stand.receiver.script([Answer::Status(500)]);
    let (first, second) = (stand.publish(version("A", 1)).await, stand.publish(version("A", 2)).await);
    stand.reaches(first, DeliveryState::Dead).await;
    stand.reaches(second, DeliveryState::Delivered).await;
}
