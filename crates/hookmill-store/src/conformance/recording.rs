//! Rules of recording: events, attempts, reopening, and what is pending afterwards.

use std::collections::BTreeSet;

use hookmill_core::RedeliverMode::{AsSent, Transform};
use hookmill_core::ports::{Appended, DeliveryKey, Record, StoreErrorKind};
use hookmill_core::{DeliveryState, DeliveryStatus, Event, JsonText};
use tokio::task::JoinSet;

use super::{
    NO_FENCE, Recorded, Subject, all_pending, append, at, attempt, event, pending_keys, rebuilt, recorded, reopen,
    request, response, settled, stored,
};

/// An event with an id that is there already stores nothing, in the same call as in a later one.
pub async fn a_repeat_is_stored_once(subject: &mut dyn Subject) {
    let store = subject.store();
    let first = event("E-1", 0, &["one", "two"]);
    let ids: Vec<_> = first.deliveries.iter().map(|(_, id)| *id).collect();
    let same = Appended::Duplicate { same_content: true, deliveries: ids.clone() };
    let other = Appended::Duplicate { same_content: false, deliveries: ids.clone() };
    let changed = || {
        let doc = JsonText::parse(r#"{"name": "changed"}"#).expect("valid");
        rebuilt(Event { doc, ..(*first.event).clone() }, 9, &["three"])
    };
    let batch = [first.clone(), changed(), first.clone()].map(Record::Event).to_vec();
    let answers = store.append(batch, NO_FENCE).await.expect("appends");
    assert!(matches!(&answers[0], Appended::Stored(keys) if keys.len() == 2 && keys[0] < keys[1]), "{answers:?}");
    assert_eq!(answers[1..], [other.clone(), same.clone()]);

    let mut repeat = first.clone();
    repeat.received_at = at(99);
    repeat.deliveries.pop();
    assert_eq!(append(&*store, repeat).await.expect("appends"), same);
    assert_eq!(append(&*store, changed()).await.expect("appends"), other);
    assert_eq!(all_pending(&*store).await.len(), 2);
    if subject.reopen().await {
        let store = subject.store();
        assert_eq!(append(&*store, first.clone()).await.expect("appends"), same);
        assert_eq!(append(&*store, changed()).await.expect("appends"), other);
    }
    assert_eq!(stored(&*subject.store(), event("E-2", 0, &[])).await, []);
    let nothing = Appended::Duplicate { same_content: true, deliveries: vec![] };
    assert_eq!(append(&*subject.store(), event("E-2", 1, &["late"])).await.expect("appends"), nothing);
}

/// A call is stored whole or not at all, and one that fails takes no other with it.
pub async fn calls_are_atomic(subject: &mut dyn Subject) {
    let store = subject.store();
    let keys = stored(&*store, event("E-1", 0, &["one"])).await;
    let missing = settled(DeliveryKey(i64::MAX - 70_000), 1, DeliveryState::Delivered);
    let mut calls = JoinSet::new();
    for n in 0..40 {
        let good = event(&format!("good-{n}"), 0, &["one"]);
        let bad = vec![
            Recorded::from(event(&format!("bad-{n}"), 0, &[if n == 3 { "new" } else { "one" }])).0,
            Recorded::from(settled(keys[0], 1, DeliveryState::Dead)).0,
            Recorded::from(missing.clone()).0,
        ];
        let (store, other) = (subject.store(), subject.store());
        calls.spawn(async move { store.append(vec![Record::Event(good)], NO_FENCE).await.map_err(|error| error.kind) });
        calls.spawn(async move {
            let error = other.append(bad, NO_FENCE).await.expect_err("the last record has no delivery");
            Err(error.kind)
        });
    }
    let answers = calls.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 40);
    assert_eq!(answers.iter().filter(|answer| **answer == Err(StoreErrorKind::Conflict)).count(), 40);
    assert_eq!(all_pending(&*store).await.len(), 41, "nothing of the failed calls is there");
    assert_eq!(stored(&*store, event("bad-3", 0, &["new"])).await.len(), 1, "an id of a failed call is free");
    assert_eq!(store.append(vec![], NO_FENCE).await.expect("appends nothing"), []);
}

/// A retry leaves the request out; the first one is kept, shown and handed out.
pub async fn a_retry_sends_the_kept_request(subject: &mut dyn Subject) {
    let store = subject.store();
    let keys = stored(&*store, event("E-1", 0, &["one"])).await;
    assert!(store.bodies(&keys).await.expect("reads")[0].as_ref().expect("there").request.is_none());
    let kept = request(r#"{"first": true}"#);
    let retry = |due| DeliveryStatus::due(at(due));
    recorded(&*store, attempt(keys[0], 1, Some(kept.clone()), Some(response(500, b"no")), retry(60))).await;
    recorded(&*store, attempt(keys[0], 60, None, None, retry(120))).await;
    for reopened in [false, true] {
        if reopened && !subject.reopen().await {
            break;
        }
        let store = subject.store();
        let work = store.bodies(&keys).await.expect("reads").remove(0).expect("there");
        assert_eq!(work.request.as_deref(), Some(&kept));
        let pending = all_pending(&*store).await;
        assert_eq!((pending.len(), pending[0].tries, pending[0].due), (1, 2, at(120)));
    }
    let store = subject.store();
    recorded(&*store, settled(keys[0], 120, DeliveryState::Delivered)).await;
    let (_, id) = event("E-1", 0, &["one"]).deliveries[0];
    let detail = store.delivery(&super::tenant(), id).await.expect("reads").expect("there");
    let sent: Vec<_> = detail.attempts.iter().map(|attempt| attempt.request.as_ref()).collect();
    assert_eq!(sent, [Some(&kept), Some(&kept), Some(&request("{}"))]);
    assert_eq!(pending_keys(&*store).await, []);
}

/// A reopened delivery is pending with no tries, its attempts go on counting, and its request is kept or dropped.
pub async fn a_reopened_delivery_begins_a_new_round(subject: &mut dyn Subject) {
    let store = subject.store();
    let keys = stored(&*store, event("E-1", 0, &["as-sent", "again", "waiting"])).await;
    for key in &keys[..2] {
        recorded(&*store, attempt(*key, 1, Some(request("{}")), None, DeliveryStatus::due(at(60)))).await;
        recorded(&*store, settled(*key, 60, DeliveryState::Dead)).await;
    }
    for (key, mode) in keys.iter().zip([AsSent, Transform, AsSent]) {
        recorded(&*store, reopen(*key, 100, mode, None)).await;
    }
    subject.reopen().await;
    let store = subject.store();
    let pending = all_pending(&*store).await;
    assert_eq!(pending.iter().map(|one| one.key).collect::<Vec<_>>(), keys);
    assert!(pending.iter().all(|one| one.tries == 0 && one.due == at(100)), "{pending:?}");
    let work = store.bodies(&keys).await.expect("reads");
    let kept: Vec<_> = work.iter().map(|work| work.as_ref().expect("there").request.is_some()).collect();
    assert_eq!(kept, [true, false, false]);

    // The plugin fails this time: no request, and none of an earlier round may be shown in its place.
    let parked = DeliveryStatus { state: DeliveryState::Parked, reason: None, next_attempt_at: None };
    recorded(&*store, attempt(keys[1], 100, None, None, parked)).await;
    let id = event("E-1", 0, &["again"]).deliveries[0].1;
    let detail = store.delivery(&super::tenant(), id).await.expect("reads").expect("there");
    assert_eq!((detail.row.attempts, detail.attempts.len()), (3, 3));
    assert_eq!(detail.attempts[2].request, None);
    assert_eq!(detail.attempts[2].at, at(100), "the oldest attempt comes first");
    let gone = reopen(DeliveryKey(-5), 1, AsSent, None);
    assert_eq!(append(&*store, gone).await.expect_err("no such key").kind, StoreErrorKind::Conflict);
}

/// What a replay says of itself is there with the pending delivery, its attempts and its row, over a restart too.
pub async fn a_replay_is_told_of_until_its_attempts_are_made(subject: &mut dyn Subject) {
    let store = subject.store();
    let keys = stored(&*store, event("E-1", 0, &["one", "two"])).await;
    let id = event("E-1", 0, &["one"]).deliveries[0].1;
    recorded(&*store, settled(keys[0], 1, DeliveryState::Dead)).await;
    assert!(all_pending(&*store).await.iter().all(|pending| pending.replay.is_none()));
    let second = reopen(keys[0], 10, AsSent, None);
    recorded(&*store, second.clone()).await;
    assert_eq!((second.replay.round, second.replay.at), (2, at(10)));

    subject.reopen().await;
    let store = subject.store();
    let pending = all_pending(&*store).await;
    assert_eq!(pending.iter().map(|one| one.replay.clone()).collect::<Vec<_>>(), [Some(second.replay.clone()), None]);
    for (begun, ends) in [(10, None), (20, Some(DeliveryState::Delivered))] {
        let status = ends.map_or_else(
            || DeliveryStatus::due(at(20)),
            |state| DeliveryStatus { state, reason: None, next_attempt_at: None },
        );
        let mut new = attempt(keys[0], begun, None, Some(response(200, b"")), status);
        new.attempt.replay = pending[0].replay.clone();
        recorded(&*store, new).await;
        let waiting = all_pending(&*store).await.into_iter().find(|one| one.key == keys[0]);
        assert_eq!(waiting.and_then(|one| one.replay), ends.is_none().then(|| second.replay.clone()));
    }
    let third = reopen(keys[0], 30, Transform, Some(&second.replay));
    recorded(&*store, third.clone()).await;
    assert_eq!(third.replay.round, 3);

    subject.reopen().await;
    let detail = subject.store().delivery(&super::tenant(), id).await.expect("reads").expect("there");
    let told: Vec<_> = detail.attempts.iter().map(|attempt| attempt.replay.clone()).collect();
    assert_eq!(told, [None, Some(second.replay.clone()), Some(second.replay)]);
    assert_eq!(detail.row.replay, Some(third.replay));
}

/// Pending deliveries come in the order of their keys, each once, whether tried or not.
pub async fn pending_is_paged_by_key_and_due(subject: &mut dyn Subject) {
    let store = subject.store();
    let mut expected = vec![];
    for n in 0..30 {
        let keys = stored(&*store, event(&format!("E-{n}"), n, &["one", "two"])).await;
        assert!(expected.last().is_none_or(|last| *last < keys[0]), "keys grow");
        match n % 3 {
            0 => recorded(&*store, attempt(keys[1], n, None, None, DeliveryStatus::due(at(500 + n)))).await,
            1 => recorded(&*store, settled(keys[1], n, DeliveryState::Delivered)).await,
            _ => {}
        }
        expected.extend(keys.into_iter().take(if n % 3 == 1 { 1 } else { 2 }));
    }
    for reopened in [false, true] {
        if reopened && !subject.reopen().await {
            break;
        }
        let store = subject.store();
        for limit in [1, 7, 1000] {
            let (mut found, mut cursor) = (vec![], None);
            loop {
                let page = store.pending(cursor, at(10_000), limit).await.expect("lists");
                assert!(page.len() <= limit);
                found.extend(page.iter().map(|one| one.key));
                cursor = page.last().map(|one| one.key);
                if page.len() < limit {
                    break;
                }
            }
            assert_eq!(found, expected, "with pages of {limit}");
        }
        let due = |pending: Vec<super::Pending>| pending.into_iter().map(|one| one.due).collect::<BTreeSet<_>>();
        assert_eq!(due(store.pending(None, at(0), 99).await.expect("lists")), [].into(), "due before, not at");
        assert_eq!(due(store.pending(None, at(3), 99).await.expect("lists")), (0..3).map(at).collect());
        assert_eq!(store.pending(None, at(503), 99).await.expect("lists").len(), 41);
    }
    let first = all_pending(&*subject.store()).await.remove(0);
    let expected = event("E-0", 0, &["one"]);
    assert_eq!((first.id, &first.webhook), (expected.deliveries[0].1, &expected.deliveries[0].0));
    assert_eq!((first.doctype.as_str(), first.document.as_str(), first.tries), ("Quotation", "DOC-E-0", 0));
}

/// Bodies come in the order asked for, to the last byte, and none where there is no delivery.
pub async fn bodies_come_with_their_event(subject: &mut dyn Subject) {
    let store = subject.store();
    let (one, two) = (event("E-1", 0, &["one", "two"]), event("E-2", 5, &["one"]));
    let first = stored(&*store, one.clone()).await;
    let second = stored(&*store, two.clone()).await;
    let mut odd = request("");
    odd.body = vec![0xff, 0, b'"'];
    recorded(&*store, attempt(second[0], 1, Some(odd.clone()), None, DeliveryStatus::due(at(9)))).await;
    subject.reopen().await;
    let asked = [second[0], first[1], DeliveryKey(i64::MAX), first[0]];
    let work = subject.store().bodies(&asked).await.expect("reads");
    let events: Vec<_> = work.iter().map(|work| work.as_ref().map(|work| (*work.event).clone())).collect();
    let (one, two) = (Some((*one.event).clone()), Some((*two.event).clone()));
    assert_eq!(events, [two, one.clone(), None, one]);
    assert_eq!(work[0].as_ref().and_then(|work| work.request.as_deref()), Some(&odd));
}

/// Many callers at once: every acknowledged event is there, once, with keys of its own.
pub async fn concurrent_appends_are_all_kept(subject: &mut dyn Subject) {
    let mut calls = JoinSet::new();
    for n in 0..600 {
        let store = subject.store();
        // Every third id is published twice.
        let id = format!("E-{}", if n % 3 == 2 { n - 1 } else { n });
        calls.spawn(async move {
            match append(&*store, event(&id, 0, &["one"])).await.expect("appends") {
                Appended::Stored(keys) => Some(keys[0]),
                Appended::Duplicate { same_content, .. } => {
                    assert!(same_content);
                    None
                }
            }
        });
    }
    let keys: Vec<DeliveryKey> = calls.join_all().await.into_iter().flatten().collect();
    let distinct: BTreeSet<_> = keys.iter().copied().collect();
    assert_eq!((keys.len(), distinct.len()), (400, 400));
    subject.reopen().await;
    assert_eq!(pending_keys(&*subject.store()).await, distinct.into_iter().collect::<Vec<_>>());
}
