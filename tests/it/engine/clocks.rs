//! A clock that is set by a day, on or back, changes nothing of what waits; and what takes days, within moments.

use std::sync::Arc;
use std::time::Duration;

use hookmill::core::ports::Clock as _;
use hookmill::core::{DeliveryId, DeliveryState};
use hookmill::{CircuitPolicy, EngineConfig, RedeliverMode};
use hookmill_testing::{Answer, Receiver, SetClock, misbehaving, wait_until};
use serde_json::{Value, json};

use crate::stand::{Stand, event, note, tenant, webhook_json, webhook_name};

const DAY: i64 = 86_400;
const HOUR: Duration = Duration::from_secs(3_600);

/// An engine with a clock to set, and a receiver that is always well.
struct Timed {
    stand: Stand,
    clock: Arc<SetClock>,
    well: Receiver,
}

impl Timed {
    async fn new(change: impl FnOnce(&mut EngineConfig)) -> Self {
        let clock = Arc::new(SetClock::default());
        let stand = Stand::with(|config| {
            config.clock = clock.clone();
            change(config);
        })
        .await;
        let well = Receiver::start();
        let json = webhook_json(&well.url("/in"), &json!({"doctype": "Other"}));
        let webhook = hookmill::Webhook::parse(json.to_string().as_bytes()).expect("a webhook");
        stand.engine.put_webhook(&tenant(), &webhook_name("other"), webhook).await.expect("saved");
        Self { stand, clock, well }
    }

    /// Sets the clock, and waits until the engine has looked for what is due by it: everything before would go first.
    async fn set(&self, seconds: i64) {
        self.clock.set_by(seconds);
        let other = event(&json!({"doctype": "Other", "doc_event": "on_update", "doc": {"name": "O"}}));
        let id = self.stand.publish(other).await;
        self.stand.reaches(id, DeliveryState::Delivered).await;
        self.well.wait_for_requests(1).await;
    }

    async fn retried(&self) -> DeliveryId {
        self.stand.webhook("notes", json!({"retry": {"schedule": ["0s", "1h"]}})).await;
        self.stand.receiver.script([Answer::Status(500)]);
        let id = self.stand.publish(note("N-1")).await;
        self.stand.tried(id, 1).await;
        id
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_neither_early_nor_late() {
    for set in [DAY, -DAY] {
        let timed = Timed::new(|_| ()).await;
        let id = timed.retried().await;
        timed.set(set).await;
        timed.clock.pass(HOUR.mul_f64(0.7));
        timed.set(0).await;
        assert_eq!(timed.stand.detail(id).await.attempts.len(), 1, "its jitter is a fifth");
        timed.clock.pass(HOUR.mul_f64(0.5));
        timed.stand.reaches(id, DeliveryState::Delivered).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_waits_can_be_sent_again_at_once() {
    for set in [DAY, -DAY] {
        let timed = Timed::new(|_| ()).await;
        let id = timed.retried().await;
        timed.set(set).await;
        timed.stand.engine.redeliver(&tenant(), id, RedeliverMode::AsSent).await.expect("it waits");
        timed.stand.reaches(id, DeliveryState::Delivered).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_is_left_alone_for_as_long_as_ever() {
    for set in [DAY, -DAY] {
        let circuit = CircuitPolicy { failures_max: 2, pause_min: HOUR, pause_max: HOUR };
        let timed = Timed::new(|config| config.receiver_circuit = circuit).await;
        timed.stand.webhook("notes", json!({"retry": {"preset": "none"}})).await;
        timed.stand.receiver.script([500, 500].map(Answer::Status));
        for name in ["N-1", "N-2"] {
            timed.stand.reaches(timed.stand.publish(note(name)).await, DeliveryState::Dead).await;
        }
        timed.set(set).await;
        let waits = timed.stand.publish(note("N-3")).await;
        timed.set(0).await;
        assert_eq!((timed.stand.receiver.count(), timed.stand.engine.load()), (2, (1, 0)));
        timed.clock.pass(HOUR);
        timed.stand.reaches(waits, DeliveryState::Delivered).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_holds_and_holds_up_no_longer() {
    for set in [DAY, -DAY] {
        let timed = Timed::new(|_| ()).await;
        timed.stand.webhook("notes", json!({"rate_limit": "1/h"})).await;
        timed.stand.reaches(timed.stand.publish(note("N-1")).await, DeliveryState::Delivered).await;
        let waits = timed.stand.publish(note("N-2")).await;
        timed.set(set).await;
        assert_eq!((timed.stand.receiver.count(), timed.stand.engine.load()), (1, (1, 0)));
        timed.clock.pass(HOUR);
        timed.stand.reaches(waits, DeliveryState::Delivered).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_gathered_for_their_time() {
    for set in [DAY, -DAY] {
        let timed = Timed::new(|_| ()).await;
        timed.stand.webhook("notes", json!({"coalesce_ms": 3_600_000})).await;
        let first = timed.stand.publish(note("N-1")).await;
        timed.set(set).await;
        let last = timed.stand.publish(note("N-1")).await;
        timed.stand.reaches(first, DeliveryState::Skipped).await;
        timed.set(0).await;
        assert_eq!(timed.stand.receiver.count(), 0);
        timed.clock.pass(HOUR);
        timed.stand.reaches(last, DeliveryState::Delivered).await;
        assert_eq!(timed.stand.receiver.count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_plugin_stays_so_for_its_time() {
    for set in [DAY, -DAY] {
        let timed = Timed::new(|_| ()).await;
        timed.stand.plugin("p", misbehaving()).await;
        let plugin = |what: &str| json!({"plugin": {"name": "p", "settings": {"do": what}}});
        timed.stand.webhook("notes", plugin("trap")).await;
        for number in 0..10 {
            timed.stand.reaches(timed.stand.publish(note(&format!("N-{number}"))).await, DeliveryState::Parked).await;
        }
        timed.stand.webhook("notes", plugin("stdout")).await;
        let waits = timed.stand.publish(note("N-10")).await;
        timed.set(set).await;
        assert_eq!(timed.stand.detail(waits).await.attempts.len(), 0);
        timed.clock.pass(Duration::from_secs(30));
        timed.stand.reaches(waits, DeliveryState::Delivered).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_takes_what_is_old_and_nothing_else() {
    let timed = Timed::new(|config| config.retention = HOUR).await;
    timed.stand.webhook("notes", json!({})).await;
    let delivered = async |name: &str| {
        let id = timed.stand.publish(note(name)).await;
        timed.stand.reaches(id, DeliveryState::Delivered).await;
        id
    };
    let gone = async |id: DeliveryId| timed.stand.engine.delivery(&tenant(), id).await.is_err();
    let old = delivered("old").await;
    timed.clock.pass(Duration::from_secs(58 * 60));
    let young = delivered("young").await;
    timed.clock.set_by(DAY);
    let set = delivered("while it is set").await;
    timed.clock.pass(Duration::from_secs(3 * 60));
    wait_until("the old one to be forgotten", async || gone(old).await).await;
    assert!(!gone(young).await && !gone(set).await);
    timed.clock.set_by(-DAY);
    timed.clock.pass(Duration::from_secs(57 * 60));
    wait_until("the other one to be forgotten", async || gone(young).await).await;
    assert!(!gone(set).await, "it bears a time of tomorrow");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_disabled_after_five_days_of_failure_over_a_restart_and_not_by_a_clock() {
    let Timed { stand, clock, well } = Timed::new(|_| ()).await;
    stand.webhook("notes", json!({"retry": {"preset": "none"}})).await;
    let news = webhook_json(&well.url("/news"), &json!({"doctype": "hookmill", "doc_event": "webhook_disabled"}));
    let news = hookmill::Webhook::parse(news.to_string().as_bytes()).expect("a webhook");
    stand.engine.put_webhook(&tenant(), &webhook_name("news"), news).await.expect("saved");
    let fails = async |stand: &Stand, name: &str| {
        stand.receiver.script([Answer::Status(500)]);
        stand.reaches(stand.publish(note(name)).await, DeliveryState::Dead).await;
    };
    let disabled =
        |stand: &Stand| stand.engine.webhook(&tenant(), &webhook_name("notes")).expect("there").webhook.disabled;
    // Nearly five days, and then it works once: all begins anew.
    fails(&stand, "N-1").await;
    clock.pass(HOUR * 119);
    fails(&stand, "N-2").await;
    stand.reaches(stand.publish(note("N-3")).await, DeliveryState::Delivered).await;
    clock.pass(HOUR * 2);
    let begun = clock.now();
    fails(&stand, "N-4").await;
    clock.set_by(10 * DAY);
    fails(&stand, "N-5").await;
    clock.set_by(-10 * DAY);
    clock.pass(HOUR * 118);
    fails(&stand, "N-6").await;
    assert!(disabled(&stand).is_none());

    let stand = stand.restart_with(|config| config.clock = clock.clone()).await;
    clock.pass(HOUR);
    fails(&stand, "N-7").await;
    assert!(disabled(&stand).is_none());
    clock.pass(HOUR);
    fails(&stand, "N-8").await;
    wait_until("the webhook to be disabled", async || disabled(&stand).is_some()).await;
    let reason = disabled(&stand).expect("disabled").reason;
    let (_, since) = reason.split_once("since ").expect("since when");
    let since: jiff::Timestamp = since.split(',').next().expect("a time").parse().expect("a time");
    let off = since.duration_since(begun);
    assert!(off.abs() < jiff::SignedDuration::from_mins(5), "{reason}");
    let told = well.wait_for_requests(1).await.pop().expect("news");
    let told: Value = serde_json::from_slice(&told.body).expect("JSON");
    assert_eq!((&told["name"], &told["reason"]), (&json!("notes"), &json!(reason)));
}
