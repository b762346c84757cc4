//! Many sent again as one job: in order, in view, over a restart, within the limits.

use std::collections::HashMap;

use hookmill::core::{DeliveryId, DeliveryState};
use hookmill::{DeliveryQuery, EngineConfig, Explain as _, RedeliverMode, ReplayId, ReplayJob, ReplayState};
use hookmill_testing::{Answer, wait_for, wait_until};
use serde_json::{Value, json};

use crate::stand::{Stand, event, note, tenant, webhook_name};

fn dead() -> DeliveryQuery {
    DeliveryQuery { state: Some(DeliveryState::Dead), ..DeliveryQuery::default() }
}

/// Publishes so many notes that all die at their first try; returns their ids.
async fn with_dead(stand: &Stand, count: usize) -> Vec<DeliveryId> {
    stand.webhook("notes", json!({"retry": {"preset": "none"}})).await;
    stand.receiver.script(vec![Answer::Status(404); count]);
    let mut ids = vec![];
    for from in (0..count).step_by(500) {
        let events = (from..(from + 500).min(count)).map(|number| note(&format!("N-{number}"))).collect();
        let published = stand.engine.publish_many(&tenant(), events).await;
        ids.extend(published.into_iter().flat_map(|published| published.expect("taken").deliveries));
        wait_until("all to be settled", async || stand.engine.load() == (0, 0)).await;
    }
    ids
}

async fn begin(stand: &Stand, query: &DeliveryQuery) -> ReplayId {
    stand.engine.begin_replay(&tenant(), query, RedeliverMode::AsSent).await.expect("begun").id
}

fn shown(stand: &Stand, id: &ReplayId) -> ReplayJob {
    stand.engine.replay(&tenant(), id).expect("remembered")
}

async fn reaches(stand: &Stand, id: &ReplayId, what: &str, holds: impl Fn(&ReplayJob) -> bool) -> ReplayJob {
    wait_for(what, async || Some(shown(stand, id)).filter(&holds)).await
}

/// Counts how often each delivery arrived.
fn arrivals(stand: &Stand) -> HashMap<String, usize> {
    let mut arrived = HashMap::new();
    for request in stand.receiver.requests() {
        *arrived.entry(request.header("webhook-id").to_owned()).or_default() += 1;
    }
    arrived
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_one_document_arrive_again_in_their_order() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"ordering": "document"})).await;
    for version in 0..30 {
        let doc = json!({"name": "A", "version": version});
        stand.publish(event(&json!({"doctype": "Note", "doc_event": "on_update", "doc": doc}))).await;
    }
    wait_until("all to be delivered", async || stand.engine.load() == (0, 0)).await;
    let all = DeliveryQuery { webhook: Some(webhook_name("notes")), ..DeliveryQuery::default() };
    let report = stand.engine.redeliver_many(&tenant(), &all, RedeliverMode::AsSent, false).await.expect("replayed");
    assert_eq!((report.matched, report.redelivered, report.passed_over), (30, 30, 0));
    let requests = stand.receiver.wait_for_requests(60).await;
    let version =
        |text: &str| serde_json::from_str::<Value>(text).expect("JSON")["version"].as_u64().expect("a number");
    let versions: Vec<u64> = requests.iter().skip(30).map(|request| version(request.text())).collect();
    assert_eq!(versions, (0..30).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_how_far_a_replay_is_and_what_became_of_its_deliveries() {
    let stand = Stand::new().await;
    let ids = with_dead(&stand, 6).await;
    stand.webhook("notes", json!({"retry": {"schedule": ["0s", "1d"]}})).await;
    let held = |status| Answer::Held(Box::new(Answer::Status(status)));
    stand.receiver.script([200, 200, 200, 410, 500, 500].map(held));
    let id = begin(&stand, &dead()).await;
    let job = reaches(&stand, &id, "all to be handed over", |job| job.state == ReplayState::Done).await;
    assert_eq!((job.matched, job.redelivered, job.passed_over), (6, 6, 0));
    assert_eq!((job.settled.sum(), job.retrying), (0, 0), "nobody has answered yet");
    assert!(job.ended_at.is_some_and(|ended| ended >= job.begun_at) && job.failure.is_none());
    stand.receiver.wait_for_requests(12).await;
    stand.receiver.release(6);
    let job = reaches(&stand, &id, "all to be tried", |job| job.settled.sum() + job.retrying == 6).await;
    assert_eq!((job.settled.delivered, job.settled.dead, job.retrying), (3, 1, 2));

    // The webhook is disabled since the 410: what waits for its next try is parked, whoever asks for it.
    let mut waiting = vec![];
    for one in ids {
        let pending = stand.detail(one).await.row.status.state == DeliveryState::Pending;
        waiting.extend(pending.then_some(one));
    }
    stand.engine.redeliver(&tenant(), waiting[0], RedeliverMode::AsSent).await.expect("sent again");
    let job = reaches(&stand, &id, "one to be taken over", |job| job.settled.superseded == 1).await;
    assert_eq!((job.settled.sum(), job.retrying), (5, 1));
    assert_eq!(stand.engine.replays(&tenant()), [job]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_a_restart_cuts_off_goes_on_and_sends_each_once() {
    const COUNT: usize = 1_200;
    let stand = Stand::with(few).await;
    with_dead(&stand, COUNT).await;
    stand.webhook("notes", json!({})).await;
    stand.receiver.always(Answer::Hold);
    let id = begin(&stand, &dead()).await;
    let cut = reaches(&stand, &id, "some to be handed over", |job| job.redelivered > 0).await;
    stand.receiver.release(150);
    reaches(&stand, &id, "some to be delivered", |job| job.settled.delivered == 150).await;
    assert_eq!((cut.state, cut.matched), (ReplayState::Sending, COUNT as u64));
    stand.receiver.release(10 * COUNT);
    let stand = stand.restart_with(few).await;
    let job = reaches(&stand, &id, "all to be settled", |job| job.settled.sum() == COUNT as u64).await;
    assert_eq!((job.state, job.matched, job.redelivered, job.passed_over), (ReplayState::Done, 1_200, 1_200, 0));
    assert_eq!((job.settled.delivered, job.retrying), (COUNT as u64, 0));
    let arrived = arrivals(&stand);
    assert!(arrived.len() == COUNT && arrived.values().all(|count| *count == 2), "once before, and once more");

    // What is over is remembered as it was.
    let stand = stand.restart_with(few).await;
    assert_eq!(stand.engine.replays(&tenant()), [job]);
}

/// So few may wait that a replay must wait for room.
fn few(config: &mut EngineConfig) {
    (config.waiting_max, config.in_flight_max) = (600, 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cancelled_replay_has_not_handed_over_stays_as_it_is() {
    let stand = Stand::with(few).await;
    with_dead(&stand, 500).await;
    stand.receiver.always(Answer::Hold);
    let id = begin(&stand, &dead()).await;
    // Half of what may wait, beside what is under way.
    let most = 300 + 64;
    reaches(&stand, &id, "the room to be used up", |job| job.redelivered == most).await;
    let job = stand.engine.cancel_replay(&tenant(), &id).await.expect("cancelled");
    assert_eq!((job.state, job.matched, job.redelivered), (ReplayState::Cancelled, 500, most));
    stand.receiver.release(1_000);
    let job = reaches(&stand, &id, "the others to arrive", |job| job.settled.delivered == most).await;
    let left = stand.engine.deliveries(&tenant(), &dead(), None, 500).await.expect("found").rows.len() as u64;
    assert_eq!(left, 500 - most);
    // Neither does a restart go on with it, nor a second cancellation change it.
    let stand = stand.restart_with(few).await;
    assert_eq!(stand.engine.cancel_replay(&tenant(), &id).await.expect("as it was"), job);
    let unknown = ReplayId::new("rpl_none").expect("valid");
    let error = stand.engine.cancel_replay(&tenant(), &unknown).await.expect_err("unknown");
    assert_eq!(error.code(), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_leaves_room_for_fresh_events() {
    let stand = Stand::with(few).await;
    with_dead(&stand, 500).await;
    stand.receiver.always(Answer::Hold);
    let id = begin(&stand, &dead()).await;
    reaches(&stand, &id, "the room to be used up", |job| job.redelivered == 300 + 64).await;
    assert_eq!(stand.engine.load(), (300, 64));
    stand.engine.publish(&tenant(), note("fresh")).await.expect("there is room");
    stand.receiver.release(1_000);
    let job = reaches(&stand, &id, "all to be delivered", |job| job.settled.delivered == 500).await;
    assert_eq!((job.state, job.redelivered), (ReplayState::Done, 500));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_what_would_become_of_them() {
    let stand = Stand::new().await;
    with_dead(&stand, 3).await;
    let other = |name: &str| event(&json!({"doctype": name, "doc_event": "on_update", "doc": {"name": "O"}}));
    stand.webhook("retried", json!({"doctype": "Retried", "retry": {"schedule": ["0s", "1d"]}})).await;
    stand.webhook("gone", json!({"doctype": "Gone", "retry": {"preset": "none"}})).await;
    stand.webhook("held", json!({"doctype": "Held"})).await;
    stand.receiver.script([Answer::Status(500), Answer::Status(404)]);
    let retried = stand.publish(other("Retried")).await;
    stand.tried(retried, 1).await;
    stand.reaches(stand.publish(other("Gone")).await, DeliveryState::Dead).await;
    stand.engine.delete_webhook(&tenant(), &webhook_name("gone")).await.expect("deleted");
    stand.receiver.script([Answer::Hold]);
    stand.publish(other("Held")).await;
    stand.receiver.wait_for_requests(6).await;
    stand.webhook("disabled", json!({"doctype": "Disabled"})).await;
    stand.receiver.script([Answer::Status(410)]);
    stand.reaches(stand.publish(other("Disabled")).await, DeliveryState::Dead).await;
    // An attempt can be read a moment before its delivery is let go of.
    wait_until("one to wait and one to be under way", async || stand.engine.load() == (1, 1)).await;

    let all = DeliveryQuery::default();
    let report = stand.engine.redeliver_many(&tenant(), &all, RedeliverMode::AsSent, true).await.expect("counted");
    assert_eq!((report.matched, report.redelivered, report.passed_over), (7, 0, 2));
    let told = serde_json::to_value(&report).expect("JSON");
    assert_eq!(told["by_state"], json!({"dead": 5, "pending": 2}));
    assert_eq!(told["by_webhook"], json!({"notes": 3, "retried": 1, "gone": 1, "held": 1, "disabled": 1}));
    assert_eq!(told["parked_at_once"], 1);
    assert!(told.get("replay").is_none() && stand.engine.replays(&tenant()).is_empty());
    stand.receiver.release(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_tell_which_replay_they_are_part_of() {
    let stand = Stand::new().await;
    let id = with_dead(&stand, 1).await[0];
    let report = stand.engine.redeliver_many(&tenant(), &dead(), RedeliverMode::Transform, false).await.expect("sent");
    stand.reaches(id, DeliveryState::Delivered).await;
    let mut feed = stand.engine.subscribe();
    // A restart between the reopening and the attempt forgets nothing.
    stand.webhook("notes", json!({"rate_limit": "1/d"})).await;
    stand.engine.redeliver(&tenant(), id, RedeliverMode::AsSent).await.expect("sent again");
    stand.tried(id, 3).await;
    let told = feed.recv().await.expect("an attempt").replay.expect("a replay");
    stand.engine.redeliver(&tenant(), id, RedeliverMode::AsSent).await.expect("sent again");
    let stand = stand.restart().await;
    let detail = stand.tried(id, 4).await;
    let rounds = |attempt: &hookmill::core::Attempt| {
        attempt.replay.as_ref().map(|replay| (replay.round, replay.mode, replay.id.clone()))
    };
    let (as_sent, transform) = (RedeliverMode::AsSent, RedeliverMode::Transform);
    let expected = [None, Some((2, transform, report.replay)), Some((3, as_sent, None)), Some((4, as_sent, None))];
    assert_eq!(detail.attempts.iter().map(rounds).collect::<Vec<_>>(), expected);
    assert_eq!((told.round, told.at), (3, detail.attempts[2].replay.as_ref().expect("a replay").at));
    assert_eq!(detail.row.id, id);
}
