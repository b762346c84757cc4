//! How long events are kept, and in how much room.

use std::time::Duration;

use hookmill::core::{DeliveryId, DeliveryState};
use hookmill::{DeliveryQuery, RedeliverMode};
use hookmill_testing::{Answer, wait_until};
use serde_json::json;

use crate::stand::{Stand, note, tenant};

async fn kept(stand: &Stand) -> Vec<DeliveryId> {
    let page = stand.engine.deliveries(&tenant(), &DeliveryQuery::default(), None, 100).await.expect("found");
    page.rows.iter().map(|row| row.id).rev().collect()
}

/// Two deliveries that are settled, between them one that is owed and one that waits for a person.
async fn four(stand: &Stand) -> [DeliveryId; 4] {
    stand.webhook("notes", json!({"retry": {"schedule": ["0s", "1d"]}})).await;
    stand.receiver.script([Answer::Status(200), Answer::Status(500)]);
    let first = stand.publish(note("N-1")).await;
    stand.reaches(first, DeliveryState::Delivered).await;
    let owed = stand.publish(note("N-2")).await;
    stand.tried(owed, 1).await;
    // A receiver that does not agree to a handshake gets nothing until somebody has seen to that.
    stand.webhook("notes", json!({"handshake": {"origin": "erp.example.com"}})).await;
    let parked = stand.publish(note("N-3")).await;
    stand.reaches(parked, DeliveryState::Parked).await;
    stand.webhook("notes", json!({"retry": {"schedule": ["0s", "1d"]}})).await;
    let last = stand.publish(note("N-4")).await;
    stand.reaches(last, DeliveryState::Delivered).await;
    [first, owed, parked, last]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_settled_goes_when_its_time_is_over_and_what_is_owed_stays() {
    let stand = Stand::new().await;
    let [_, owed, parked, _] = four(&stand).await;
    let stand = stand.restart_with(|config| config.retention = Duration::ZERO).await;
    wait_until("the settled ones to go", async || kept(&stand).await == [owed, parked]).await;
    stand.engine.redeliver(&tenant(), parked, RedeliverMode::Transform).await.expect("it is there to be sent");
    stand.reaches(parked, DeliveryState::Delivered).await;
    let stand = stand.restart_with(|config| config.retention = Duration::ZERO).await;
    wait_until("it to go too", async || kept(&stand).await == [owed]).await;
    assert_eq!(stand.detail(owed).await.row.status.state, DeliveryState::Pending);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_room_is_short_what_is_settled_goes_before_its_time() {
    let stand = Stand::new().await;
    let [_, owed, parked, _] = four(&stand).await;
    let stand = stand.restart_with(|config| config.retention_bytes = Some(1)).await;
    wait_until("the settled ones to go", async || kept(&stand).await == [owed, parked]).await;
}
