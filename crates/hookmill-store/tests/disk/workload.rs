//! What is done to a store while its disk is watched, and what must be found of it afterwards.
//!
//! Everything follows from the number of an event, so that whoever checks knows each byte. The child that runs it
//! notes what it heard; a store in memory, fed the same steps, says what must be there.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hookmill_core::ports::{
    Appended, ConfigKey, DeliveryKey, Fence, NewAttempt, NewEvent, Record, Reopen, RetentionPolicy, Revision,
    Store as _, StoreError, StoreErrorKind,
};
use hookmill_core::{
    Attempt, DeliveryId, DeliveryState, DeliveryStatus, Digest, Event, EventId, Explain as _, JsonText, RedeliverMode,
    Replay, Request, Response, TenantId, WebhookName,
};
use hookmill_store::{SqliteOptions, SqliteStore};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

/// Says to the process that it is the child, and what to do.
pub(crate) const CHILD: &str = "HOOKMILL_STORE_WORKLOAD";
pub(crate) const CHILD_TEST: &str = "workload::runs_in_a_process_of_its_own";

/// How much is done, and with which options.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The number of the first event.
    pub(crate) first: u32,
    /// Events in each opening of the store.
    pub(crate) events: u32,
    /// How often the store is opened and closed.
    pub(crate) openings: u32,
    /// Calls at the same time.
    pub(crate) tasks: u32,
    pub(crate) page_size: i64,
    pub(crate) sync_each_commit: bool,
}

impl Plan {
    pub(crate) fn options(&self) -> SqliteOptions {
        let mut options = SqliteOptions::default();
        // So small that index batches, setting aside and checkpoints fall between the records.
        (options.index_batch, options.fresh_max, options.checkpoint_bytes) = (17, 11, 120_000);
        options.blob_part_bytes = 4_000;
        (options.readers, options.page_size) = (1, self.page_size);
        options.sync_each_commit = self.sync_each_commit;
        // What the device has left is no part of this.
        options.reserve_bytes = Some(0);
        options
    }
}

/// What the child says that it heard, or is about to do where that may take something away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Note {
    /// The first `done` steps of an event are acknowledged.
    Step {
        event: u32,
        done: usize,
    },
    /// No further step of an event will be tried; the last was refused with nothing written.
    GivenUp {
        event: u32,
    },
    Config {
        name: String,
        revision: u64,
    },
    Blob {
        number: u32,
    },
    Lease {
        fence: u64,
    },
    /// Events received before are about to be forgotten, if they are settled.
    Forgetting {
        before: u32,
    },
    Refused {
        code: String,
        cause: String,
    },
    /// The store is closed.
    Closed,
}

/// One step in the life of an event.
pub(crate) enum Step {
    Arrive,
    Try { place: usize, state: DeliveryState, anew: bool },
    SendAgain { place: usize, render_again: bool },
}

pub(crate) fn steps(event: u32) -> Vec<Step> {
    use DeliveryState::{Dead, Delivered, Parked, Pending, Skipped};
    let attempt = |place, state, anew| Step::Try { place, state, anew };
    let again = |place, render_again| Step::SendAgain { place, render_again };
    let mut steps = vec![Step::Arrive];
    steps.extend(match event % 5 {
        0 => vec![],
        1 => vec![attempt(0, Delivered, true), attempt(1, Delivered, true)],
        2 => vec![attempt(0, Pending, true), attempt(0, Delivered, false), attempt(1, Skipped, false)],
        3 => vec![attempt(1, Dead, true), again(1, true), attempt(1, Pending, true), attempt(0, Parked, false)],
        _ => vec![attempt(0, Dead, true), again(0, false), attempt(0, Delivered, false), attempt(1, Delivered, true)],
    });
    steps
}

fn noise(seed: u32, len: usize) -> impl Iterator<Item = u8> {
    let mut state = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(len)
}

fn text(seed: u32, len: usize) -> String {
    noise(seed, len).map(|byte| char::from(b'a' + byte % 26)).collect()
}

pub(crate) fn at(second: u32) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + i64::from(second)).unwrap()
}

pub(crate) fn tenant() -> TenantId {
    TenantId::default_tenant()
}

pub(crate) fn new_event(number: u32) -> NewEvent {
    // Most are small, some take several pages.
    let len = if number.is_multiple_of(7) { 9_000 } else { 300 };
    let event = Event {
        id: EventId::new(format!("E-{number}")).unwrap(),
        tenant: tenant(),
        doctype: "Note".into(),
        doc_event: "on_update".into(),
        document: format!("N-{number}"),
        occurred_at: at(number),
        user: None,
        doc: JsonText::parse(&format!(r#"{{"name": "N-{number}", "text": "{}"}}"#, text(number, len))).unwrap(),
        before: None,
        meta: [].into(),
    };
    let owed = |name: &str| {
        let webhook = WebhookName::new(name).unwrap();
        let id = DeliveryId::of(&event.tenant, &event.id, &webhook);
        (webhook, id)
    };
    // New names of webhooks come up again and again.
    let deliveries = vec![owed("one"), owed(&format!("two-{}", number / 40))];
    NewEvent { content: event.content_digest(), deliveries, received_at: at(number), event: Arc::new(event) }
}

pub(crate) fn record(event: u32, step: &Step, keys: &[DeliveryKey]) -> Record {
    match *step {
        Step::Arrive => Record::Event(new_event(event)),
        Step::SendAgain { place, render_again } => {
            let mode = if render_again { RedeliverMode::Transform } else { RedeliverMode::AsSent };
            let replay = Replay::after(None, mode, at(event), None);
            Record::Reopen(Reopen { delivery: keys[place], replay, due: at(event) })
        }
        Step::Try { place, state, anew } => {
            let request = anew.then(|| Request {
                method: "POST".into(),
                url: "https://receiver.example/in".into(),
                headers: vec![],
                body: noise(event, 900).collect(),
            });
            let response =
                Response { status: 200, headers: vec![], body: text(event, 200).into_bytes(), truncated: false };
            let attempt = Attempt {
                at: at(event + 1),
                outcome: state.as_str().into(),
                request,
                response: Some(response),
                duration_ms: u64::from(event),
                plugin: None,
                judge: None,
                error: None,
                replay: None,
            };
            let next_attempt_at = (state == DeliveryState::Pending).then(|| at(event + 9));
            let status = DeliveryStatus { state, reason: Some(text(event, 20)), next_attempt_at };
            Record::Attempt(Arc::new(NewAttempt { delivery: keys[place], attempt, status }))
        }
    }
}

fn config_key(name: &str) -> ConfigKey {
    ConfigKey { tenant: tenant(), kind: "webhook", name: name.to_owned() }
}

pub(crate) fn config_value(name: &str, revision: u64) -> String {
    format!(r#"{{"name": "{name}", "revision": {revision}, "text": "{}"}}"#, text(7, 500))
}

pub(crate) fn blob(number: u32) -> Vec<u8> {
    noise(number, 9_000).collect()
}

/// The child: a test that does nothing unless it was started as one.
#[test]
fn runs_in_a_process_of_its_own() {
    let Some(plan) = std::env::var_os(CHILD) else { return };
    let plan: Plan = serde_json::from_str(plan.to_str().unwrap()).unwrap();
    let [dir, acks] = ["DISK_DIR", "DISK_ACKS"].map(|name| std::env::var_os(name).unwrap());
    let notebook = Notebook {
        file: OpenOptions::new().create(true).append(true).open(acks).unwrap(),
        broken: AtomicBool::new(false),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(work(&plan, Path::new(&dir), Arc::new(notebook)));
}

/// Where the child writes what it heard.
struct Notebook {
    file: File,
    /// Whether the store has said that it can't go on.
    broken: AtomicBool,
}

impl Notebook {
    fn note(&self, note: &Note) {
        // One call, so that it stands in one place among the calls of the store.
        (&self.file).write_all(&serde_json::to_vec(note).unwrap()).unwrap();
    }

    /// Does `work` until it is done; a full disk gets room after a while. None if the store can't go on.
    async fn insist<T, F: Future<Output = Result<T, StoreError>>>(&self, mut work: impl FnMut() -> F) -> Option<T> {
        loop {
            match work().await {
                Ok(value) => return Some(value),
                Err(error) => {
                    if !self.refused(&error) {
                        return None;
                    }
                }
            }
        }
    }

    /// Notes a refusal; tells whether it is worth another try.
    fn refused(&self, error: &StoreError) -> bool {
        self.note(&Note::Refused { code: error.code().into(), cause: error.cause.clone() });
        let again = error.kind == StoreErrorKind::Full;
        if !again {
            self.broken.store(true, Ordering::SeqCst);
        }
        again
    }
}

/// What the tasks of one opening share.
struct Hand {
    store: SqliteStore,
    fence: Fence,
    notebook: Arc<Notebook>,
}

async fn work(plan: &Plan, dir: &Path, notebook: Arc<Notebook>) {
    for opening in 0..plan.openings {
        let open = || std::future::ready(SqliteStore::open(dir, plan.options()));
        let Some(store) = notebook.insist(open).await else { return };
        let Some(fence) = notebook.insist(|| store.lease(0)).await else { return store.close().await };
        notebook.note(&Note::Lease { fence: fence.0 });
        let hand = Arc::new(Hand { store, fence, notebook: Arc::clone(&notebook) });
        let first = plan.first + opening * plan.events;
        let mut tasks = JoinSet::new();
        for task in 0..plan.tasks {
            let (hand, count, all) = (Arc::clone(&hand), plan.events, plan.tasks);
            tasks.spawn(async move {
                for event in (first..first + count).filter(|event| event % all == task) {
                    hand.live(event).await;
                    if event / all % 4 == 1 {
                        hand.keep(event, &format!("of-{task}")).await;
                    }
                }
            });
        }
        tasks.join_all().await;
        hand.store.close().await;
        notebook.note(&Note::Closed);
        if notebook.broken.load(Ordering::SeqCst) {
            return;
        }
    }
}

impl Hand {
    /// Takes an event through its steps. On a full disk, some events are given up and the others tried again.
    async fn live(&self, event: u32) {
        let mut keys = vec![];
        for (done, step) in steps(event).iter().enumerate() {
            let answer = loop {
                match self.store.append(vec![record(event, step, &keys)], self.fence).await {
                    Ok(mut answers) => break answers.remove(0),
                    Err(error) if !self.notebook.refused(&error) => return,
                    Err(_) if event.is_multiple_of(3) => return self.notebook.note(&Note::GivenUp { event }),
                    Err(_) => {}
                }
            };
            match answer {
                Appended::Stored(new) if done == 0 => keys = new,
                Appended::Stored(_) => {}
                Appended::Duplicate { .. } => panic!("event {event} is there before anybody was told so"),
            }
            self.notebook.note(&Note::Step { event, done: done + 1 });
        }
    }

    /// Writes configuration and a blob, and forgets what is old.
    async fn keep(&self, event: u32, name: &str) {
        let Some(entries) = self.notebook.insist(|| self.store.config("webhook")).await else { return };
        let seen = entries.iter().find(|entry| entry.key.name == name).map_or(0, |entry| entry.revision.0);
        let value = config_value(name, seen + 1);
        let put = || self.store.put_config(config_key(name), Some(value.clone()), Revision(seen));
        if let Some(Revision(revision)) = self.notebook.insist(put).await {
            self.notebook.note(&Note::Config { name: name.into(), revision });
        }
        let digest = Digest::of(&blob(event));
        if self.notebook.insist(|| self.store.blob_put(digest, blob(event))).await.is_some() {
            self.notebook.note(&Note::Blob { number: event });
        }
        if let Some(before) = event.checked_sub(25) {
            self.notebook.note(&Note::Forgetting { before });
            let policy = RetentionPolicy { settled_before: at(before), bytes_max: None, batch: 5 };
            self.notebook.insist(|| self.store.retain(policy)).await;
        }
    }
}
