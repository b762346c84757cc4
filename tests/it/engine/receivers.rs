//! Receivers that fail for long, are gone, ask for patience or may get only so much; and who hears of it.

use std::time::Duration;

use hookmill::core::DeliveryState;
use hookmill::{CircuitPolicy, Engine, EngineConfig, Explain as _};
use hookmill_testing::{Answer, Receiver, RefusingAddress, wait_until};
use serde_json::{Value, json};

use crate::stand::{Stand, config, event, last_error, note, tenant, webhook_json, webhook_name};

fn impatient(config: &mut EngineConfig) {
    let pause = Duration::from_millis(100);
    config.receiver_circuit = CircuitPolicy { failures_max: 3, pause_min: pause, pause_max: pause };
}

/// Has the news of an engine sent to a receiver of its own.
async fn listen(stand: &Stand) -> Receiver {
    let operator = Receiver::start();
    let news = json!({"doctype": "hookmill", "doc_event": "*", "request_url": operator.url("/news")});
    let news = hookmill::Webhook::parse(news.to_string().as_bytes()).expect("a webhook");
    stand.engine.put_webhook(&tenant(), &webhook_name("news"), news).await.expect("saved");
    operator
}

/// Returns the news so far: the name of what it is of, and why.
fn news(operator: &Receiver) -> Vec<(String, String)> {
    let text = |doc: &Value, field: &str| doc[field].as_str().expect(field).to_owned();
    let docs = operator.requests().into_iter().map(|request| serde_json::from_slice(&request.body).expect("JSON"));
    docs.map(|doc| (text(&doc, "name"), text(&doc, "reason"))).collect()
}

/// Waits for news of the webhook `notes` that says this.
async fn hears(operator: &Receiver, said: &str) {
    let told = |news: &(String, String)| news.0 == "notes" && news.1.contains(said);
    wait_until(said, async || news(operator).iter().any(told)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_is_left_alone_and_its_deliveries_wait_without_losing_a_try() {
    let stand = Stand::with(impatient).await;
    stand.webhook("notes", json!({"retry": {"schedule": ["0s", "1d"]}})).await;
    let operator = listen(&stand).await;
    stand.receiver.script((0..3).map(|_| Answer::Status(500)));
    for number in 0..3 {
        let id = stand.publish(note(&format!("F-{number}"))).await;
        assert_eq!(stand.tried(id, 1).await.row.status.state, DeliveryState::Pending);
    }
    let waits = stand.publish(note("W")).await;
    hears(&operator, "keeps failing").await;
    // It went out once the pause was over, in its first try.
    let detail = stand.reaches(waits, DeliveryState::Delivered).await;
    assert_eq!(detail.attempts.len(), 1);
    hears(&operator, "answers again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_whose_receiver_is_gone_is_disabled_until_it_is_saved_again() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"ordering": "document"})).await;
    let operator = listen(&stand).await;
    stand.receiver.script([Answer::Hold, Answer::Status(410)]);
    let first = stand.publish(note("N-1")).await;
    let (second, third) = (stand.publish(note("N-1")).await, stand.publish(note("N-1")).await);
    wait_until("the first to be under way", async || stand.receiver.count() == 1).await;
    stand.receiver.release(1);
    stand.reaches(first, DeliveryState::Delivered).await;
    stand.reaches(second, DeliveryState::Dead).await;
    let parked = stand.reaches(third, DeliveryState::Parked).await;
    assert!(parked.row.status.reason.is_some_and(|reason| reason.starts_with("webhook_disabled")));
    let shown = stand.engine.webhook(&tenant(), &webhook_name("notes")).expect("there").webhook;
    assert!(!shown.enabled && shown.disabled.as_ref().is_some_and(|why| why.reason.contains("410")), "{shown:?}");
    hears(&operator, "410 Gone").await;

    stand.webhook("notes", json!({"enabled": true})).await;
    let shown = stand.engine.webhook(&tenant(), &webhook_name("notes")).expect("there").webhook;
    assert!(shown.enabled && shown.disabled.is_none());
    stand.engine.redeliver(&tenant(), third, hookmill::RedeliverMode::AsSent).await.expect("released");
    stand.reaches(third, DeliveryState::Delivered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_fails_for_too_long_is_disabled_and_one_success_begins_anew() {
    let stand = Stand::with(|config| config.disable_after = Some(Duration::ZERO)).await;
    stand.webhook("notes", json!({"retry": {"preset": "none"}})).await;
    stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Delivered).await;
    stand.receiver.script([Answer::Status(500)]);
    stand.reaches(stand.publish(note("N-2")).await, DeliveryState::Dead).await;
    wait_until("the webhook to be disabled", async || {
        let shown = stand.engine.webhook(&tenant(), &webhook_name("notes")).expect("there").webhook;
        shown.disabled.is_some_and(|why| why.reason.contains("every try failed"))
    })
    .await;
    // The engine remembers over a restart.
    stand.engine.shutdown(Duration::from_secs(5)).await;
    let Stand { engine, data, .. } = stand;
    drop(engine);
    let again = Engine::start(config(data.path())).await.expect("starts");
    assert!(again.webhook(&tenant(), &webhook_name("notes")).expect("there").webhook.disabled.is_some());
}

/// What fails on the way is not the receiver's failure, and must not disable the webhook however long it lasts.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_proxy_or_token_server_disables_nothing_and_one_that_refuses_does() {
    let (tokens, nobody) = (Receiver::start(), RefusingAddress::new().expect("a port"));
    let stand = Stand::with(|config| config.disable_after = Some(Duration::ZERO)).await;
    let auth = json!({"oauth2": {"token_url": tokens.url("/t"), "client_id": "c", "client_secret": "a-client-secret"}});
    stand.webhook("notes", json!({"retry": {"preset": "none"}, "auth": auth})).await;
    let disabled = |stand: &Stand| {
        stand.engine.webhook(&tenant(), &webhook_name("notes")).expect("there").webhook.disabled.is_some()
    };
    tokens.script([Answer::Status(503)]);
    let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Dead).await;
    assert_eq!((last_error(&detail).0.as_str(), disabled(&stand)), ("auth_token_failed", false));

    let proxy = nobody.url("").parse().expect("a proxy");
    let stand =
        stand.restart_with(|config| (config.disable_after, config.proxy) = (Some(Duration::ZERO), Some(proxy))).await;
    let detail = stand.reaches(stand.publish(note("N-2")).await, DeliveryState::Dead).await;
    assert_eq!((last_error(&detail).0.as_str(), disabled(&stand)), ("send_proxy", false));

    let stand = stand.restart_with(|config| config.disable_after = Some(Duration::ZERO)).await;
    tokens.script([Answer::Status(401)]);
    let detail = stand.reaches(stand.publish(note("N-3")).await, DeliveryState::Dead).await;
    assert_eq!((last_error(&detail).0.as_str(), disabled(&stand)), ("auth_token_refused", true));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_counts_as_success_is_the_webhooks_to_say() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"success": ["2xx", "409"], "retry": {"preset": "none"}})).await;
    stand.receiver.script([Answer::Status(409), Answer::Status(404)]);
    stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Delivered).await;
    stand.reaches(stand.publish(note("N-2")).await, DeliveryState::Dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_holds_for_redeliveries_too() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"rate_limit": "20/s"})).await;
    let mut ids = vec![];
    for number in 0..5 {
        ids.push(stand.publish(note(&format!("N-{number}"))).await);
    }
    for id in &ids {
        stand.reaches(*id, DeliveryState::Delivered).await;
    }
    let query = hookmill::DeliveryQuery::default();
    let mode = hookmill::RedeliverMode::AsSent;
    let report = stand.engine.redeliver_many(&tenant(), &query, mode, false).await.expect("redelivered");
    assert_eq!(report.redelivered, 5);
    wait_until("all to arrive again", async || stand.receiver.count() == 10).await;
    let mut starts = vec![];
    for id in &ids {
        starts.extend(stand.tried(*id, 2).await.attempts.iter().map(|attempt| attempt.at));
    }
    starts.sort();
    // Ten requests at 20 a second have nine intervals of 50 ms between them; a task may begin a little late.
    let took = starts[9].duration_since(starts[0]).as_millis();
    assert!(took >= 400, "ten requests went out within {took} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trouble_of_one_tenants_receiver_is_not_anothers() {
    let stand = Stand::with(|config| {
        impatient(config);
        config.receiver_circuit.pause_min = Duration::from_secs(3600);
        config.receiver_circuit.pause_max = Duration::from_secs(3600);
    })
    .await;
    stand.webhook("notes", json!({"retry": {"preset": "none"}})).await;
    stand.receiver.script((0..3).map(|_| Answer::Status(500)));
    for number in 0..3 {
        stand.reaches(stand.publish(note(&format!("F-{number}"))).await, DeliveryState::Dead).await;
    }
    let other = hookmill::TenantId::new("other").expect("valid");
    let json = webhook_json(&stand.receiver.url("/in"), &json!({}));
    let webhook = hookmill::Webhook::parse(json.to_string().as_bytes()).expect("a webhook");
    stand.engine.put_webhook(&other, &webhook_name("notes"), webhook).await.expect("saved");
    stand.engine.publish(&other, note("O-1")).await.expect("taken");
    wait_until("the other tenant's to arrive", async || stand.receiver.count() == 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_tells_hookmills_news() {
    let stand = Stand::new().await;
    let forged = event(&json!({"doctype": "hookmill", "doc_event": "webhook_disabled", "doc": {"name": "notes"}}));
    let error = stand.engine.publish(&tenant(), forged).await.expect_err("refused");
    assert_eq!(error.code(), "event_doctype_reserved");
}
