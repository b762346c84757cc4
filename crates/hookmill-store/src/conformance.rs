//! The suite that every store passes: what the engine may rely on, whatever is underneath.
//!
//! Each rule is a function over a [`Subject`] with an empty store and panics where the store breaks it.
//! [`conformance_tests!`](crate::conformance_tests) makes a test of each. Never looks inside a store.

#![allow(clippy::missing_panics_doc, reason = "a rule panics where it is broken; that is its only answer")]

mod keeping;
mod reading;
mod recording;

use std::sync::Arc;

use async_trait::async_trait;
use hookmill_core::ports::{
    Appended, DeliveryKey, Fence, NewAttempt, NewEvent, Pending, Record, Reopen, Store, StoreError,
};
use hookmill_core::{
    Attempt, DeliveryId, DeliveryState, DeliveryStatus, Event, EventId, JsonText, RedeliverMode, Replay, ReplayId,
    Request, Response, TenantId, WebhookName,
};
use jiff::{SignedDuration, Timestamp};

pub use keeping::{
    blobs_come_back_whole, configuration_has_revisions, deleted_blobs_are_gone, everything_outlives_a_restart,
    older_fences_are_refused, retention_by_size_takes_the_oldest_settled_first, retention_counts_from_the_last_attempt,
    retention_takes_only_what_is_old_and_settled,
};
pub use reading::{
    a_search_pages_through_everything_once, every_filter_finds_its_deliveries_and_no_others,
    one_delivery_shows_all_its_attempts, tenants_never_see_each_other,
};
pub use recording::{
    a_reopened_delivery_begins_a_new_round, a_repeat_is_stored_once, a_replay_is_told_of_until_its_attempts_are_made,
    a_retry_sends_the_kept_request, bodies_come_with_their_event, calls_are_atomic, concurrent_appends_are_all_kept,
    pending_is_paged_by_key_and_due,
};

/// A store under test that can be opened again.
#[async_trait]
pub trait Subject: Send {
    /// Returns the store.
    fn store(&self) -> Arc<dyn Store>;

    /// Closes the store and opens it again; answers false if it lives in memory only.
    async fn reopen(&mut self) -> bool;
}

/// Makes one test of each rule, each with a [`Subject`] of its own.
#[macro_export]
macro_rules! conformance_tests {
    ($subject:expr) => {
        $crate::conformance_tests! { @each $subject;
            a_repeat_is_stored_once a_replay_is_told_of_until_its_attempts_are_made a_reopened_delivery_begins_a_new_round a_retry_sends_the_kept_request
            a_search_pages_through_everything_once blobs_come_back_whole bodies_come_with_their_event
            calls_are_atomic concurrent_appends_are_all_kept configuration_has_revisions deleted_blobs_are_gone
            retention_by_size_takes_the_oldest_settled_first
            every_filter_finds_its_deliveries_and_no_others everything_outlives_a_restart older_fences_are_refused
            one_delivery_shows_all_its_attempts pending_is_paged_by_key_and_due
            retention_counts_from_the_last_attempt
            retention_takes_only_what_is_old_and_settled tenants_never_see_each_other
        }
    };
    (@each $subject:expr; $($rule:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                $crate::conformance::$rule(&mut $subject).await;
            }
        )*
    };
}

const NO_FENCE: Fence = Fence(0);

/// A moment, `seconds` after a fixed one.
fn at(seconds: i64) -> Timestamp {
    let start = Timestamp::from_second(1_700_000_000).expect("within range");
    start.checked_add(SignedDuration::from_secs(seconds)).expect("within range")
}

fn tenant() -> TenantId {
    TenantId::default_tenant()
}

fn webhook(name: &str) -> WebhookName {
    WebhookName::new(name).expect("a valid name")
}

/// An event received `received` seconds after the start, matched by these webhooks.
fn event(id: &str, received: i64, webhooks: &[&str]) -> NewEvent {
    event_of(&tenant(), id, received, webhooks)
}

fn event_of(tenant: &TenantId, id: &str, received: i64, webhooks: &[&str]) -> NewEvent {
    let id = EventId::new(id).expect("a valid id");
    let doc = format!(r#"{{"name": "DOC-{id}", "total": 1.50, "note": "Grüße an {id}"}}"#);
    let event = Event {
        doctype: "Quotation".into(),
        doc_event: "on_update".into(),
        document: format!("DOC-{id}"),
        occurred_at: at(received).checked_add(SignedDuration::from_nanos(123)).expect("within range"),
        user: Some("ann@example.com".into()),
        doc: JsonText::parse(&doc).expect("valid"),
        before: Some(JsonText::parse("{ \"name\":1e400 }").expect("valid")),
        meta: [("source".into(), "desk".into())].into(),
        tenant: tenant.clone(),
        id,
    };
    rebuilt(event, received, webhooks)
}

/// The record of `event`, with digest and delivery ids as the engine would make them.
fn rebuilt(event: Event, received: i64, webhooks: &[&str]) -> NewEvent {
    let owed = |name: &&str| {
        let webhook = webhook(name);
        let id = DeliveryId::of(&event.tenant, &event.id, &webhook);
        (webhook, id)
    };
    let deliveries = webhooks.iter().map(owed).collect();
    NewEvent { content: event.content_digest(), deliveries, received_at: at(received), event: Arc::new(event) }
}

fn request(body: &str) -> Request {
    Request {
        method: "POST".into(),
        url: "https://receiver.example/in".into(),
        headers: vec![("content-type".into(), "application/json".into())],
        body: body.into(),
    }
}

fn response(status: u16, body: &[u8]) -> Response {
    Response { status, headers: vec![("server".into(), "it".into())], body: body.to_vec(), truncated: status == 500 }
}

/// An attempt `begun` seconds after the start that leaves its delivery in `status`.
fn attempt(
    key: DeliveryKey,
    begun: i64,
    sent: Option<Request>,
    answer: Option<Response>,
    status: DeliveryStatus,
) -> NewAttempt {
    let outcome = if status.state == DeliveryState::Pending { "retry" } else { status.state.as_str() };
    let attempt = Attempt {
        at: at(begun),
        outcome: outcome.into(),
        request: sent,
        response: answer,
        duration_ms: 7,
        plugin: None,
        judge: None,
        error: None,
        replay: None,
    };
    NewAttempt { delivery: key, attempt, status }
}

/// An attempt that ends its delivery in `state`.
fn settled(key: DeliveryKey, begun: i64, state: DeliveryState) -> NewAttempt {
    let status = DeliveryStatus { state, reason: Some(format!("it is {}", state.as_str())), next_attempt_at: None };
    attempt(key, begun, Some(request("{}")), Some(response(200, b"ok")), status)
}

/// A delivery that is sent again from `due` seconds after the start on, in the round after `before`.
fn reopen(key: DeliveryKey, due: i64, mode: RedeliverMode, before: Option<&Replay>) -> Reopen {
    let id = ReplayId::new("rpl_1").ok();
    Reopen { delivery: key, replay: Replay::after(before, mode, at(due), id), due: at(due) }
}

async fn append(store: &dyn Store, record: impl Into<Recorded>) -> Result<Appended, StoreError> {
    let mut answers = store.append(vec![record.into().0], NO_FENCE).await?;
    assert_eq!(answers.len(), 1, "one answer for each record");
    Ok(answers.remove(0))
}

/// Appends an event that must be new; returns the keys of its deliveries.
async fn stored(store: &dyn Store, event: NewEvent) -> Vec<DeliveryKey> {
    let owed = event.deliveries.len();
    let answer = append(store, event).await.expect("appends");
    let keys = if let Appended::Stored(keys) = answer { keys } else { vec![] };
    assert_eq!(keys.len(), owed, "a new event is stored with a key for each delivery");
    keys
}

async fn recorded(store: &dyn Store, record: impl Into<Recorded>) {
    assert_eq!(append(store, record).await.expect("appends"), Appended::Stored(vec![]));
}

async fn all_pending(store: &dyn Store) -> Vec<Pending> {
    store.pending(None, at(1_000_000), 1_000_000).await.expect("lists")
}

async fn pending_keys(store: &dyn Store) -> Vec<DeliveryKey> {
    all_pending(store).await.into_iter().map(|pending| pending.key).collect()
}

/// A record, from whatever kind of it.
struct Recorded(Record);

impl From<NewEvent> for Recorded {
    fn from(event: NewEvent) -> Self {
        Self(Record::Event(event))
    }
}

impl From<NewAttempt> for Recorded {
    fn from(attempt: NewAttempt) -> Self {
        Self(Record::Attempt(Arc::new(attempt)))
    }
}

impl From<Reopen> for Recorded {
    fn from(reopen: Reopen) -> Self {
        Self(Record::Reopen(reopen))
    }
}
