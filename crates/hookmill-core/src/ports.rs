//! What the engine needs from outside: a clock and a store.
//!
//! The arrows of the house meet here. A store keeps what it is given and finds it again; it never decides when to
//! retry or which delivery is next.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Attempt, DeliveryId, DeliveryState, DeliveryStatus, Digest, Event, Explain, Replay, Request, TenantId, WebhookName,
};

/// A moment of steady time, which nobody sets: what waits, waits until one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Moment(Duration);

impl Moment {
    /// Makes the moment that is so long after the clock's own start.
    pub const fn new(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// Returns how long after the clock's own start it is.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// Returns the moment that is so much later.
    #[must_use]
    pub const fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// Returns how long it is from `earlier` to this moment; nothing if it is not earlier.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Tells the time, of two kinds, and waits. Tests bring their own.
///
/// What happened is told by the wall's time, which a person or a server of time may set at any moment, by a day too.
/// Whatever waits is measured in steady time, so that this makes nothing late or early.
#[async_trait]
pub trait Clock: Send + Sync + fmt::Debug {
    /// Returns the wall's time.
    fn now(&self) -> Timestamp;

    /// Returns the steady time.
    fn steady(&self) -> Moment;

    /// Resolves once the steady time has come to `moment`.
    async fn sleep_until(&self, moment: Moment);
}

/// Where a store keeps a delivery. Only the store that gave it can read it; it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryKey(pub i64);

/// The right to write to a partition. An append under an older fence than the newest lease is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence(pub u64);

/// One thing to remember. A record is stored whole or not at all.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_enums, reason = "a store must know every record")]
pub enum Record {
    /// An event and the deliveries that it owes, in one.
    Event(NewEvent),
    /// An attempt and where it leaves its delivery.
    Attempt(Arc<NewAttempt>),
    /// A delivery that is to be sent again although it was settled.
    Reopen(Reopen),
}

/// An event to record.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The event.
    pub event: Arc<Event>,
    /// Tells a repeat from another event with the same id; see [`Event::content_digest`].
    pub content: Digest,
    /// The webhooks that matched, each with the delivery that it owes; all pending and due at once.
    pub deliveries: Vec<(WebhookName, DeliveryId)>,
    /// When it was taken in.
    pub received_at: Timestamp,
}

/// An attempt to record.
#[derive(Debug, Clone)]
pub struct NewAttempt {
    /// The delivery that was tried.
    pub delivery: DeliveryKey,
    /// What happened. Its request is given only where it was rendered anew; a retry that sent the kept request
    /// leaves it out, and the store shows the kept one.
    pub attempt: Attempt,
    /// Where the delivery stands now.
    pub status: DeliveryStatus,
}

/// A settled delivery to be sent again.
#[derive(Debug, Clone)]
pub struct Reopen {
    /// The delivery.
    pub delivery: DeliveryKey,
    /// The round that begins. A replay that renders again drops the kept request.
    pub replay: Replay,
    /// When it is due.
    pub due: Timestamp,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the publisher must hear which of these it was")]
pub enum Appended {
    /// Stored; for an event, with the keys of its deliveries in the order given.
    Stored(Vec<DeliveryKey>),
    /// An event with this id is there already; nothing was stored.
    Duplicate {
        /// Whether it said the same.
        same_content: bool,
        /// The deliveries of the first one.
        deliveries: Vec<DeliveryId>,
    },
}

/// A pending delivery, without its bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Where it is kept.
    pub key: DeliveryKey,
    /// Its id.
    pub id: DeliveryId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The webhook that owes it.
    pub webhook: WebhookName,
    /// DocType and name of the document, which together are its lane.
    pub doctype: String,
    /// See `doctype`.
    pub document: String,
    /// Tries so far in this round; a reopened delivery begins at 0 again.
    pub tries: u32,
    /// When it is due.
    pub due: Timestamp,
    /// The replay that its tries are part of, if they are.
    pub replay: Option<Replay>,
}

/// What is needed to try a delivery.
#[derive(Debug, Clone)]
pub struct Work {
    /// The event.
    pub event: Arc<Event>,
    /// The kept request of an earlier try.
    pub request: Option<Arc<Request>>,
}

/// Which deliveries to find. Every field that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeliveryQuery {
    /// Owed by this webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookName>,
    /// In this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<DeliveryState>,
    /// Of this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// For a document of this DocType.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doctype: Option<String>,
    /// For the document of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Received at or after this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Received before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whose last answer had this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// With this text in the document, or in any request, answer or error of an attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A delivery as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Where it is kept.
    pub key: DeliveryKey,
    /// Its id.
    pub id: DeliveryId,
    /// The webhook that owes it.
    pub webhook: WebhookName,
    /// The event.
    pub event_id: String,
    /// The event's DocType.
    pub doctype: String,
    /// What happened to the document.
    pub doc_event: String,
    /// The document's name.
    pub document: String,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Attempts so far, all rounds counted.
    pub attempts: u32,
    /// Its last replay, if there was one.
    pub replay: Option<Replay>,
    /// When its event was received.
    pub received_at: Timestamp,
}

/// A page of what was found, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows of this page; may be fewer than asked for although more pages follow.
    pub rows: Vec<T>,
    /// What to pass in for the next page; none on the last.
    pub next: Option<i64>,
}

/// A delivery with all that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryDetail {
    /// The row.
    pub row: DeliveryRow,
    /// The event.
    pub event: Arc<Event>,
    /// The attempts, the oldest first, each with the request that it sent.
    pub attempts: Vec<Attempt>,
}

/// A piece of configuration: a webhook, the versions of a plugin, a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConfigKey {
    /// Whose it is.
    pub tenant: TenantId,
    /// What it is, for example `webhook`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
}

/// How often a piece of configuration was written; 0 if it is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Revision(pub u64);

/// A piece of configuration with its key and revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its key.
    pub key: ConfigKey,
    /// How often it was written.
    pub revision: Revision,
    /// Its value: JSON.
    pub value: String,
}

/// What may be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Events received before this moment whose deliveries are all delivered, skipped or dead, and none tried since.
    pub settled_before: Timestamp,
    /// What the store may occupy; beyond, the oldest events with such deliveries go too, whatever their age. What is
    /// still owed stays, even if it alone is more.
    pub bytes_max: Option<u64>,
    /// The most events that one call deletes, so that writers never wait long.
    pub batch: usize,
}

/// Keeps events, deliveries, attempts, configuration and blobs.
///
/// Every implementation passes `hookmill_store::conformance`.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// Writes `records`, the only way to write what happened.
    ///
    /// Atomic, and durable once it resolves. Several calls may share one commit. The answers stand in the order of
    /// the records. After [`StoreErrorKind::Unavailable`] the outcome is unknown: append again with the same event id.
    async fn append(&self, records: Vec<Record>, fence: Fence) -> Result<Vec<Appended>, StoreError>;

    /// Returns pending deliveries that are due before `due_before`, in the order of their keys, those after `cursor`.
    async fn pending(
        &self,
        cursor: Option<DeliveryKey>,
        due_before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Pending>, StoreError>;

    /// Returns what is needed to try each of these deliveries; none for a key that is no longer there.
    async fn bodies(&self, keys: &[DeliveryKey]) -> Result<Vec<Option<Work>>, StoreError>;

    /// Finds deliveries, the newest first. `cursor` is the `next` of the page before.
    async fn search(
        &self,
        tenant: &TenantId,
        query: &DeliveryQuery,
        cursor: Option<i64>,
        limit: usize,
    ) -> Result<Page<DeliveryRow>, StoreError>;

    /// Returns one delivery with its event and attempts.
    async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError>;

    /// Returns all configuration of a kind, of every tenant, in the order of tenant and name.
    async fn config(&self, kind: &'static str) -> Result<Vec<ConfigEntry>, StoreError>;

    /// Writes a piece of configuration, or removes it with `None`, if it is still at the `expected` revision.
    ///
    /// Answers with the new revision; [`StoreErrorKind::Conflict`] if somebody else was quicker.
    async fn put_config(
        &self,
        key: ConfigKey,
        value: Option<String>,
        expected: Revision,
    ) -> Result<Revision, StoreError>;

    /// Keeps bytes under `digest`, which must be theirs; keeping the same again is harmless.
    async fn blob_put(&self, digest: Digest, bytes: Vec<u8>) -> Result<(), StoreError>;

    /// Returns the bytes with this digest.
    async fn blob_get(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError>;

    /// Deletes the bytes with this digest; deleting what is not there is harmless.
    async fn blob_delete(&self, digest: Digest) -> Result<(), StoreError>;

    /// Takes the partition over: the fence it returns is newer than all before it.
    async fn lease(&self, partition: u32) -> Result<Fence, StoreError>;

    /// Resolves when another process may have appended; never, for a store that only one process can open.
    async fn wake(&self);

    /// Forgets what the policy allows, at most one batch; returns how many events went.
    async fn retain(&self, policy: RetentionPolicy) -> Result<usize, StoreError>;
}

/// Why the store did not do as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The outcome is unknown; asking again is safe.
    Unavailable,
    /// No room is left on the device for this; nothing was written. What is smaller, or only settles, may find some.
    Full,
    /// Another program holds the store for now; nothing was written.
    Busy,
    /// Somebody else changed it first.
    Conflict,
    /// A newer lease exists; this writer must stop.
    Fenced,
    /// The file is damaged or of a kind that this version can't read.
    Damaged,
    /// Another process has the store open.
    InUse,
}

/// An error of a store: what was attempted, of which kind the trouble is, and the backend's own words.
#[derive(Debug, thiserror::Error)]
#[error("the store failed to {attempted}: {cause}")]
pub struct StoreError {
    /// The kind, on which callers decide.
    pub kind: StoreErrorKind,
    /// What was attempted, to be read after "failed to".
    pub attempted: &'static str,
    /// The backend's own words.
    pub cause: String,
}

impl Explain for StoreError {
    fn code(&self) -> &'static str {
        match self.kind {
            StoreErrorKind::Unavailable => "store_unavailable",
            StoreErrorKind::Full => "store_full",
            StoreErrorKind::Busy => "store_busy",
            StoreErrorKind::Conflict => "store_conflict",
            StoreErrorKind::Fenced => "store_fenced",
            StoreErrorKind::Damaged => "store_damaged",
            StoreErrorKind::InUse => "store_in_use",
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self.kind {
            StoreErrorKind::Unavailable => "try again; an event with the same id is stored once".into(),
            StoreErrorKind::Full => {
                "make room on the disk of the data directory; nothing that was acknowledged is lost".into()
            }
            StoreErrorKind::Busy => "end the program that holds a lock on the file, such as an open `sqlite3`".into(),
            StoreErrorKind::Conflict => "read it again and repeat the change".into(),
            StoreErrorKind::Fenced => "another hookmill has taken over; stop this one".into(),
            StoreErrorKind::Damaged => {
                "stop hookmill, then `hookmill salvage --data DIR --to NEW` reads what can be read into a new directory"
                    .into()
            }
            StoreErrorKind::InUse => "stop the other hookmill, or give this one its own `--data` directory".into(),
        })
    }
}
