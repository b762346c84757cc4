//! Sending again what was settled.

use hookmill::core::DeliveryState;
use hookmill::{DeliveryQuery, Explain as _, RedeliverMode};
use hookmill_testing::{Answer, envelope, example_plugin, expected};
use serde_json::json;

use crate::stand::{Stand, note, tenant, webhook_name};

#[tokio::test(flavor = "multi_thread")]
async fn as_sent_repeats_the_bytes_and_transform_makes_them_anew() {
    let stand = Stand::new().await;
    stand.plugin("p", example_plugin("rust_quotation_invoice")).await;
    stand.webhook("quotations", json!({"doctype": "Quotation", "plugin": {"name": "p"}})).await;
    let id = stand.publish(envelope("quotation-on-update")).await;
    stand.reaches(id, DeliveryState::Delivered).await;
    stand.plugin("p", example_plugin("rust_slack_message")).await;

    stand.engine.redeliver(&tenant(), id, RedeliverMode::AsSent).await.unwrap();
    let requests = stand.receiver.wait_for_requests(2).await;
    assert_eq!(requests[1].body, expected("quotation-invoice"));
    stand.tried(id, 2).await;
    stand.engine.redeliver(&tenant(), id, RedeliverMode::Transform).await.unwrap();
    let requests = stand.receiver.wait_for_requests(3).await;
    assert_eq!(requests[2].body, expected("quotation-slack"));
    let ids: Vec<_> = requests.iter().map(|request| request.header("webhook-id")).collect();
    assert!(ids.iter().all(|other| *other == id.to_string()), "{ids:?}");

    let detail = stand.tried(id, 3).await;
    let sent: Vec<_> =
        detail.attempts.iter().map(|attempt| attempt.request.as_ref().unwrap().body.as_slice()).collect();
    assert_eq!(sent, [expected("quotation-invoice"), expected("quotation-invoice"), expected("quotation-slack")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_delivery_goes_once_its_plugin_is_there() {
    let stand = Stand::new().await;
    stand.webhook("quotations", json!({"doctype": "Quotation", "plugin": {"name": "late"}})).await;
    let id = stand.publish(envelope("quotation-on-update")).await;
    stand.reaches(id, DeliveryState::Parked).await;
    stand.plugin("late", example_plugin("rust_quotation_invoice")).await;
    stand.engine.redeliver(&tenant(), id, RedeliverMode::AsSent).await.unwrap();
    stand.reaches(id, DeliveryState::Delivered).await;
    assert_eq!(stand.receiver.only_request().await.body, expected("quotation-invoice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_waits_for_its_retry_goes_at_once() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"retry": {"schedule": ["0s", "1d"]}})).await;
    stand.receiver.script([Answer::Status(500)]);
    let id = stand.publish(note("N-1")).await;
    stand.tried(id, 1).await;
    stand.engine.redeliver(&tenant(), id, RedeliverMode::AsSent).await.unwrap();
    stand.reaches(id, DeliveryState::Delivered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_under_way_is_left_alone() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({})).await;
    stand.receiver.script([Answer::Hold]);
    let id = stand.publish(note("N-1")).await;
    stand.receiver.wait_for_requests(1).await;
    let error = stand.engine.redeliver(&tenant(), id, RedeliverMode::AsSent).await.expect_err("refused");
    assert_eq!(error.code(), "delivery_under_way");
    stand.receiver.release(1);
    stand.reaches(id, DeliveryState::Delivered).await;
    assert_eq!(stand.receiver.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_delivery_gets_its_whole_schedule_again() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"retry": {"schedule": ["0s", "0s"]}})).await;
    stand.receiver.script([500, 500, 500].map(Answer::Status));
    let id = stand.publish(note("N-1")).await;
    stand.reaches(id, DeliveryState::Dead).await;
    stand.engine.redeliver(&tenant(), id, RedeliverMode::AsSent).await.unwrap();
    let detail = stand.reaches(id, DeliveryState::Delivered).await;
    assert_eq!(detail.attempts.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_counted_first_and_then_sent() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"retry": {"preset": "none"}})).await;
    stand.receiver.script(vec![Answer::Status(500); 12]);
    for number in 0..12 {
        stand.publish(note(&format!("N-{number}"))).await;
    }
    let dead = DeliveryQuery {
        state: Some(DeliveryState::Dead),
        webhook: Some(webhook_name("notes")),
        ..DeliveryQuery::default()
    };
    hookmill_testing::wait_until("all to be dead", async || {
        stand.engine.deliveries(&tenant(), &dead, None, 100).await.unwrap().rows.len() == 12
    })
    .await;
    let many = async |dry_run| stand.engine.redeliver_many(&tenant(), &dead, RedeliverMode::AsSent, dry_run).await;
    let report = many(true).await.unwrap();
    assert_eq!((report.matched, report.redelivered), (12, 0));
    assert_eq!(stand.receiver.count(), 12);
    let report = many(false).await.unwrap();
    assert_eq!((report.matched, report.redelivered, report.passed_over), (12, 12, 0));
    stand.receiver.wait_for_requests(24).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_ask_at_once_send_it_once_more() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({})).await;
    let id = stand.publish(note("N-1")).await;
    stand.reaches(id, DeliveryState::Delivered).await;
    stand.receiver.always(Answer::Hold);
    let tenant = tenant();
    let ask = || stand.engine.redeliver(&tenant, id, RedeliverMode::AsSent);
    let (one, two) = tokio::join!(ask(), ask());
    let refused = [one, two].into_iter().filter_map(Result::err).map(|error| error.code()).collect::<Vec<_>>();
    assert_eq!(refused, ["delivery_under_way"]);
    stand.receiver.wait_for_requests(2).await;
    stand.receiver.release(1);
    stand.tried(id, 2).await;
    assert_eq!(stand.receiver.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_more_than_ten_thousand_leaves_none_out() {
    const EVENTS: usize = 10_050;
    let stand = Stand::new().await;
    stand.webhook("notes", json!({})).await;
    for from in (0..EVENTS).step_by(1_000) {
        let events = (from..(from + 1_000).min(EVENTS)).map(|number| note(&format!("N-{number}"))).collect();
        let answers = stand.engine.publish_many(&tenant(), events).await;
        assert!(answers.iter().all(Result::is_ok));
    }
    let delivered = DeliveryQuery { state: Some(DeliveryState::Delivered), ..DeliveryQuery::default() };
    let replay = async |dry_run| {
        let mode = RedeliverMode::AsSent;
        stand.engine.redeliver_many(&tenant(), &delivered, mode, dry_run).await.expect("replayed")
    };
    hookmill_testing::wait_until("all to be delivered", async || replay(true).await.matched == EVENTS as u64).await;
    let report = replay(false).await;
    // Those that are sent again while the pages are read are no longer found, and none is found twice.
    assert_eq!((report.matched, report.redelivered, report.passed_over), (EVENTS as u64, EVENTS as u64, 0));
    hookmill_testing::wait_until("all to arrive again", async || stand.receiver.count() == 2 * EVENTS).await;
    let mut ids: Vec<String> =
        stand.receiver.requests().iter().map(|one| one.header("webhook-id").to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), EVENTS, "a replay has the id of its original");
}
