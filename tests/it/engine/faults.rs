//! Every call to the store fails once, each in a run of its own: what was acknowledged arrives, and little of it twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use hookmill::core::ports::{Store, StoreErrorKind};
use hookmill::core::{DeliveryState, Explain as _};
use hookmill::{DeliveryQuery, DeliveryRow, Engine, EngineError, Parts, RedeliverMode, Webhook};
use hookmill_store::{SqliteOptions, SqliteStore};
use hookmill_testing::{Answer, FaultyStore, Receiver, StoreFault, StoreFaults, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stand::{config, event, note, tenant, webhook_json, webhook_name};

/// Events of one run, and the tries of them that a run without a fault makes: two are refused once, one is sent again.
const EVENTS: usize = 6;
const TRIES: usize = EVENTS + 3;

/// Runs that are made at the same time: most of them wait most of the time.
const TOGETHER: usize = 12;

/// How often whatever was refused is asked again.
const PATIENCE: usize = 20;

/// An engine over a store that fails, started again whenever it ends.
struct Site {
    data: TempDir,
    faults: Arc<StoreFaults>,
    store: Option<Arc<SqliteStore>>,
    engine: Option<Engine>,
    receiver: Receiver,
    gone: Receiver,
    restarts: usize,
}

impl Site {
    fn new(faults: Arc<StoreFaults>) -> Self {
        let (receiver, gone) = (Receiver::start(), Receiver::start());
        receiver.script([Answer::Status(500), Answer::Status(500)]);
        gone.always(Answer::Status(410));
        let data = TempDir::new().expect("a folder");
        Self { data, faults, store: None, engine: None, receiver, gone, restarts: 0 }
    }

    async fn stop(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.shutdown(Duration::from_secs(10)).await;
        }
        if let Some(store) = self.store.take() {
            store.close().await;
        }
    }

    /// Returns the engine; starts one if there is none, or the one there was has failed.
    async fn engine(&mut self) -> Engine {
        if self.engine.as_ref().is_some_and(|engine| engine.failed().now_or_never().is_some()) {
            self.restarts += 1;
            self.stop().await;
        }
        for _ in 0..PATIENCE {
            if let Some(engine) = &self.engine {
                return engine.clone();
            }
            let store = Arc::new(SqliteStore::open(self.data.path(), SqliteOptions::default()).expect("a store"));
            self.store = Some(store.clone());
            let faulty: Arc<dyn Store> = Arc::new(FaultyStore::new(store, self.faults.clone()));
            let mut parts = Parts::default();
            parts.store = Some(faulty);
            match Engine::start_with(config(self.data.path()), parts).await {
                Ok(engine) => self.engine = Some(engine),
                Err(error) => {
                    assert!(error.code().starts_with("store_"), "{error}");
                    self.restarts += 1;
                    self.stop().await;
                }
            }
        }
        panic!("the engine does not start");
    }

    /// Does `work` until it is done, as a caller does that does not give up. One to whom nobody can say whether it was done
    /// asks the next engine.
    async fn insist<T, F: Future<Output = Result<T, EngineError>>>(&mut self, work: impl Fn(Engine) -> F) -> T {
        for _ in 0..PATIENCE {
            match work(self.engine().await).await {
                Ok(done) => return done,
                Err(EngineError::Store(error)) if error.kind == StoreErrorKind::Unavailable => {
                    self.restarts += 1;
                    self.stop().await;
                }
                Err(error) => assert!(
                    error.code().starts_with("store_")
                        || ["shutting_down", "delivery_under_way"].contains(&error.code()),
                    "{error}"
                ),
            }
        }
        panic!("it was never done");
    }

    async fn webhook(&mut self, name: &str, url: String, doctype: &str) {
        let fields = json!({"doctype": doctype, "retry": {"schedule": ["0s", "0s", "0s"]}});
        let webhook = Webhook::parse(webhook_json(&url, &fields).to_string().as_bytes()).expect("a webhook");
        let name = webhook_name(name);
        self.insist(|engine| {
            let (name, webhook) = (name.clone(), webhook.clone());
            async move { engine.put_webhook(&tenant(), &name, webhook).await }
        })
        .await;
    }

    async fn publish(&mut self, json: Value) {
        self.insist(|engine| {
            let event = event(&json);
            async move { engine.publish(&tenant(), event).await }
        })
        .await;
    }

    async fn found(&mut self, query: &DeliveryQuery) -> Vec<DeliveryRow> {
        let search = |engine: Engine| {
            let query = query.clone();
            async move { engine.deliveries(&tenant(), &query, None, 100).await }
        };
        self.insist(search).await.rows
    }

    /// Waits until nothing is owed any more, whatever has to be started again for that.
    async fn settled(&mut self) {
        for _ in 0..PATIENCE {
            let engine = self.engine().await;
            wait_until("everything to be settled, or the store to fail", async || {
                engine.failed().now_or_never().is_some() || engine.load() == (0, 0) && recorded(&engine)
            })
            .await;
            if engine.failed().now_or_never().is_none() {
                return;
            }
        }
        panic!("it is never settled");
    }

    async fn live(&mut self) {
        self.webhook("notes", self.receiver.url("/in"), "Note").await;
        self.webhook("gone", self.gone.url("/in"), "Task").await;
        let publish = |number: usize| named("Note", &format!("N-{number}"));
        for number in 0..EVENTS - 2 {
            self.publish(publish(number)).await;
        }
        self.settled().await;
        // Whose receiver is gone is disabled, with a write of its own.
        self.publish(named("Task", "T-1")).await;
        self.settled().await;
        let query = DeliveryQuery { document: Some("N-0".into()), ..DeliveryQuery::default() };
        let row = self.found(&query).await.remove(0);
        self.insist(|engine| async move { engine.redeliver(&tenant(), row.id, RedeliverMode::AsSent).await }).await;
        self.settled().await;
        self.stop().await;
        for number in EVENTS - 2..EVENTS {
            self.publish(publish(number)).await;
        }
        self.settled().await;
    }
}

fn named(doctype: &str, name: &str) -> Value {
    json!({"id": name, "doctype": doctype, "doc_event": "on_update", "doc": {"name": name}})
}

fn recorded(engine: &Engine) -> bool {
    engine.metrics().contains("hookmill_attempts_unrecorded 0")
}

/// What one run came to.
struct Run {
    struck: bool,
    lost: usize,
    /// Requests beyond those of a run without a fault.
    twice: usize,
    restarts: usize,
}

async fn run(nth: usize, fault: StoreFault) -> Run {
    let mut site = Site::new(StoreFaults::nth(nth, fault));
    site.live().await;
    let requests = site.receiver.requests();
    let mut arrivals: BTreeMap<String, usize> = BTreeMap::new();
    for request in &requests {
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        *arrivals.entry(body["name"].as_str().expect("a name").to_owned()).or_default() += 1;
    }
    let query = DeliveryQuery { state: Some(DeliveryState::Delivered), ..DeliveryQuery::default() };
    let delivered = site.found(&query).await.len();
    let arrived = (0..EVENTS).filter(|number| arrivals.contains_key(&format!("N-{number}"))).count();
    assert_eq!(delivered, EVENTS, "{fault:?} at call {nth}: what arrived is recorded");
    let struck = site.faults.struck();
    site.stop().await;
    let twice = requests.len().saturating_sub(TRIES);
    Run { struck, lost: EVENTS - arrived, twice, restarts: site.restarts }
}

#[allow(clippy::print_stdout, reason = "figures, for whoever looks at a test")]
async fn each_call_fails_once(fault: StoreFault, twice_max: usize) {
    let (mut runs, mut lost, mut twice, mut restarts) = (0, 0, 0, 0);
    for first in (1..).step_by(TOGETHER) {
        let ended = futures::future::join_all((first..first + TOGETHER).map(|nth| run(nth, fault))).await;
        for (nth, run) in (first..).zip(&ended).filter(|(_, run)| run.struck) {
            runs += 1;
            lost += run.lost;
            twice += run.twice;
            restarts += run.restarts;
            assert!(run.twice <= twice_max, "{fault:?} at call {nth}: {} requests too many", run.twice);
        }
        if ended.iter().any(|run| !run.struck) {
            break;
        }
    }
    println!("{fault:?}: {runs} calls failed, each in its run; {lost} lost, {twice} twice, {restarts} restarts");
    assert_eq!(lost, 0);
    assert!(runs > 30, "{runs} calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_room_loses_nothing_and_sends_nothing_twice() {
    each_call_fails_once(StoreFault::Full, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_others_hold_loses_nothing_and_sends_nothing_twice() {
    each_call_fails_once(StoreFault::Busy, 0).await;
}

/// Whoever was under way when the engine ended is sent again, and a redelivery that nobody could confirm is asked twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_loses_nothing() {
    each_call_fails_once(StoreFault::Unavailable, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_it_and_is_gone_loses_nothing() {
    each_call_fails_once(StoreFault::DoneButUnavailable, 3).await;
}

/// Attempts wait in memory, but not without end: then nothing begins until they are recorded.
#[tokio::test(flavor = "multi_thread")]
async fn no_delivery_begins_while_too_much_waits_to_be_recorded() {
    const EVENTS: usize = 150;
    let mut site = Site::new(StoreFaults::nth(0, StoreFault::Full));
    site.webhook("notes", site.receiver.url("/in"), "Note").await;
    let engine = site.engine().await;
    site.faults.refuse_attempts(true);
    for first in (0..EVENTS).step_by(10) {
        let large = (first..first + 10).map(|number| {
            event(&json!({"doctype": "Note", "doc_event": "on_update",
                "doc": {"name": format!("N-{number}"), "text": "x".repeat(700_000)}}))
        });
        for answer in engine.publish_many(&tenant(), large.collect()).await {
            answer.expect("taken");
        }
    }
    wait_until("nothing to begin any more", async || site.receiver.count() > 80 && engine.load().1 == 0).await;
    let sent = site.receiver.count();
    assert!(sent < EVENTS, "{sent} were sent");
    let small = engine.publish(&tenant(), note("small")).await.expect("events have room");
    assert_eq!(site.receiver.count(), sent, "it waits with the others");
    site.faults.refuse_attempts(false);
    site.settled().await;
    let detail = engine.delivery(&tenant(), small.deliveries[0]).await.expect("there");
    assert_eq!(detail.row.status.state, DeliveryState::Delivered);
    // Two of them were refused once.
    assert_eq!(site.receiver.count(), EVENTS + 1 + 2, "each was sent once");
    site.stop().await;
}
