//! Rules of reading: one delivery, searches, tenants.

use std::collections::BTreeSet;

use hookmill_core::ports::{DeliveryKey, DeliveryQuery, Store};
use hookmill_core::{DeliveryState, DeliveryStatus, Event, Fault, PluginName, PluginRun, TenantId};

use super::{
    Subject, append, at, attempt, event, event_of, rebuilt, recorded, request, response, settled, stored, tenant,
    webhook,
};

/// A delivery in full: its event and, the oldest first, everything that each attempt said.
pub async fn one_delivery_shows_all_its_attempts(subject: &mut dyn Subject) {
    let store = subject.store();
    let new = event("E-1", 3, &["one", "two"]);
    let keys = stored(&*store, new.clone()).await;
    let retry = DeliveryStatus { reason: Some("later".into()), ..DeliveryStatus::due(at(60)) };
    let first = attempt(keys[1], 4, Some(request(r#"{"a": "b"}"#)), Some(response(500, &[0xfe, 1])), retry);
    let mut second = attempt(keys[1], 60, None, None, DeliveryStatus::due(at(120)));
    second.attempt.error = Some(Fault { code: "send_timeout".into(), message: "\"slow\"".into(), backtrace: None });
    let mut third = settled(keys[1], 120, DeliveryState::Parked);
    third.attempt.plugin = Some(PluginRun {
        warm: true,
        name: PluginName::new("invoice").expect("valid"),
        digest: hookmill_core::Digest::of(b"plugin"),
        fuel: u64::MAX / 3,
        memory: 1 << 20,
        log: vec!["info: hello".into()],
        engine_hash: Some(hookmill_core::Digest::of(b"engine")),
        input_hash: Some(hookmill_core::Digest::of(b"input")),
        output_hash: None,
    });
    third.attempt.judge = third.attempt.plugin.clone();
    let mut expected: Vec<_> = [&first, &second, &third].map(|new| new.attempt.clone()).to_vec();
    expected[1].request = expected[0].request.clone();
    for new in [first, second, third] {
        recorded(&*store, new).await;
    }
    subject.reopen().await;
    let store = subject.store();
    let detail = store.delivery(&tenant(), new.deliveries[1].1).await.expect("reads").expect("there");
    assert_eq!(*detail.event, *new.event);
    assert_eq!(detail.attempts, expected);
    assert_eq!(detail.row.key, keys[1]);
    assert_eq!(detail.row.webhook, webhook("two"));
    assert_eq!((detail.row.attempts, detail.row.received_at), (3, at(3)));
    let parked =
        DeliveryStatus { state: DeliveryState::Parked, reason: Some("it is parked".into()), next_attempt_at: None };
    assert_eq!(detail.row.status, parked);
    let listed = store.search(&tenant(), &DeliveryQuery::default(), None, 1).await.expect("finds");
    assert_eq!(listed.rows, [detail.row]);
    let missing = event("E-2", 0, &["one"]).deliveries[0].1;
    assert!(store.delivery(&tenant(), missing).await.expect("reads").is_none());
}

/// Every filter alone, together with others, and one that finds nothing.
pub async fn every_filter_finds_its_deliveries_and_no_others(subject: &mut dyn Subject) {
    let store = subject.store();
    let mut keys = vec![];
    for (n, state) in DeliveryState::ALL.into_iter().enumerate() {
        let n = i64::try_from(n).expect("small");
        let mut new = event(&format!("E-{n}"), 10 * n, &["even", "odd"]);
        if n == 4 {
            let other = Event { doctype: "Invoice".into(), document: "INV".into(), ..(*new.event).clone() };
            new = rebuilt(other, 40, &["even", "odd"]);
        }
        let both = stored(&*store, new).await;
        if state != DeliveryState::Pending {
            recorded(&*store, settled(both[0], 50, state)).await;
        }
        keys.extend(both);
    }
    // One pending delivery that was tried: an answer, then none; the answer still counts.
    let mut tried = attempt(keys[1], 60, Some(request("Needle one")), None, DeliveryStatus::due(at(90)));
    tried.attempt.response = Some(response(503, b"needle TWO"));
    recorded(&*store, tried).await;
    let mut silent = attempt(keys[1], 70, None, None, DeliveryStatus::due(at(99)));
    let message = "the needle \"three\"".into();
    silent.attempt.error = Some(Fault { code: "send_reset".into(), message, backtrace: Some("at frame_9".into()) });
    recorded(&*store, silent).await;

    for reopened in [false, true] {
        if reopened && !subject.reopen().await {
            break;
        }
        let store = subject.store();
        let check = async |query: DeliveryQuery, expected: &[usize]| {
            let found: Vec<_> = everything(&*store, &tenant(), &query, 3).await;
            let expected: Vec<_> = expected.iter().map(|place| keys[*place]).collect();
            assert_eq!(found, expected, "{query:?}");
        };
        let any = DeliveryQuery::default;
        check(any(), &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]).await;
        check(DeliveryQuery { webhook: Some(webhook("even")), ..any() }, &[8, 6, 4, 2, 0]).await;
        check(DeliveryQuery { webhook: Some(webhook("none")), ..any() }, &[]).await;
        let in_state = |state| DeliveryQuery { state: Some(state), ..any() };
        check(in_state(DeliveryState::Pending), &[9, 7, 5, 3, 1, 0]).await;
        check(in_state(DeliveryState::Delivered), &[2]).await;
        check(in_state(DeliveryState::Skipped), &[4]).await;
        check(in_state(DeliveryState::Parked), &[6]).await;
        check(in_state(DeliveryState::Dead), &[8]).await;
        check(DeliveryQuery { webhook: Some(webhook("odd")), ..in_state(DeliveryState::Dead) }, &[]).await;
        check(DeliveryQuery { event_id: Some("E-3".into()), ..any() }, &[7, 6]).await;
        check(DeliveryQuery { event_id: Some("E-3".into()), ..in_state(DeliveryState::Parked) }, &[6]).await;
        check(DeliveryQuery { event_id: Some("E-9".into()), ..any() }, &[]).await;
        check(DeliveryQuery { event_id: Some(String::new()), ..any() }, &[]).await;
        check(DeliveryQuery { doctype: Some("Invoice".into()), ..any() }, &[9, 8]).await;
        check(DeliveryQuery { document: Some("DOC-E-2".into()), ..any() }, &[5, 4]).await;
        check(DeliveryQuery { since: Some(at(20)), until: Some(at(40)), ..any() }, &[7, 6, 5, 4]).await;
        check(DeliveryQuery { status: Some(503), ..any() }, &[1]).await;
        check(DeliveryQuery { status: Some(200), ..any() }, &[8, 6, 4, 2]).await;
        for text in ["NEEDLE ONE", "needle two", "needle \"Three\"", "SEND_RESET", "frame_9"] {
            check(DeliveryQuery { text: Some(text.into()), ..any() }, &[1]).await;
        }
        check(DeliveryQuery { text: Some("GRÜSSE an e-2".replace("SS", "ß")), ..any() }, &[5, 4]).await;
        check(DeliveryQuery { text: Some("haystack".into()), ..any() }, &[]).await;
    }
}

/// Pages lead to every delivery exactly once, whatever arrives meanwhile.
pub async fn a_search_pages_through_everything_once(subject: &mut dyn Subject) {
    let store = subject.store();
    let mut keys = BTreeSet::new();
    for n in 0..50 {
        keys.extend(stored(&*store, event(&format!("E-{n}"), n, &["one"])).await);
    }
    for limit in [1, 10, 25, 50, 51] {
        let found = everything(&*store, &tenant(), &DeliveryQuery::default(), limit).await;
        assert_eq!(found, keys.iter().rev().copied().collect::<Vec<_>>(), "with pages of {limit}");
    }
    let first = store.search(&tenant(), &DeliveryQuery::default(), None, 20).await.expect("finds");
    stored(&*store, event("newer", 60, &["one"])).await;
    let next = store.search(&tenant(), &DeliveryQuery::default(), first.next, 50).await.expect("finds");
    let found: BTreeSet<_> = first.rows.iter().chain(&next.rows).map(|row| row.key).collect();
    assert_eq!((first.rows.len() + next.rows.len(), found), (50, keys));
    assert_eq!(next.next, None);
}

/// The same event id, webhook name and query in two tenants are two of everything.
pub async fn tenants_never_see_each_other(subject: &mut dyn Subject) {
    let store = subject.store();
    let other = TenantId::new("other").expect("valid");
    let (mine, theirs) = (event("E-1", 0, &["one"]), event_of(&other, "E-1", 0, &["one"]));
    let my_key = stored(&*store, mine.clone()).await[0];
    let their_key = stored(&*store, theirs.clone()).await[0];
    assert!(append(&*store, theirs.clone()).await.is_ok());
    let by_id = DeliveryQuery { event_id: Some("E-1".into()), ..DeliveryQuery::default() };
    let by_webhook = DeliveryQuery { webhook: Some(webhook("one")), ..DeliveryQuery::default() };
    for query in [DeliveryQuery::default(), by_id, by_webhook] {
        assert_eq!(everything(&*store, &tenant(), &query, 1).await, [my_key]);
        assert_eq!(everything(&*store, &other, &query, 9).await, [their_key]);
    }
    let (my_id, their_id) = (mine.deliveries[0].1, theirs.deliveries[0].1);
    assert_ne!(my_id, their_id);
    assert!(store.delivery(&other, my_id).await.expect("reads").is_none());
    assert!(store.delivery(&other, their_id).await.expect("reads").is_some());
}

/// Follows the pages of a search to the end.
async fn everything(store: &dyn Store, tenant: &TenantId, query: &DeliveryQuery, limit: usize) -> Vec<DeliveryKey> {
    let (mut found, mut cursor) = (vec![], None);
    loop {
        let page = store.search(tenant, query, cursor, limit).await.expect("finds");
        assert!(page.rows.len() <= limit);
        found.extend(page.rows.iter().map(|row| row.key));
        match page.next {
            Some(next) => {
                assert!(cursor.is_none_or(|cursor| next < cursor), "a cursor moves on");
                cursor = Some(next);
            }
            None => return found,
        }
    }
}
