//! Rules of keeping: configuration, blobs, fences, retention, restarts.

use hookmill_core::ports::{
    Appended, ConfigKey, DeliveryQuery, Fence, Record, RetentionPolicy, Revision, StoreErrorKind,
};
use hookmill_core::{DeliveryState, DeliveryStatus, Digest, RedeliverMode, TenantId};

use super::{
    NO_FENCE, Subject, all_pending, append, at, attempt, event, pending_keys, recorded, reopen, request, settled,
    stored, tenant,
};

fn key(tenant: &TenantId, name: &str) -> ConfigKey {
    ConfigKey { tenant: tenant.clone(), kind: "webhook", name: name.into() }
}

/// A change is taken only at the revision that its author saw.
pub async fn configuration_has_revisions(subject: &mut dyn Subject) {
    let store = subject.store();
    let (mine, other) = (tenant(), TenantId::new("aaa").expect("valid"));
    let value = |text: &str| Some(text.to_owned());
    let put = async |name: &str, text: Option<String>, expected| {
        store.put_config(key(&mine, name), text, Revision(expected)).await.map_err(|error| error.kind)
    };
    assert_eq!(put("b", value("1"), 0).await, Ok(Revision(1)));
    assert_eq!(put("b", value("x"), 0).await, Err(StoreErrorKind::Conflict), "it is there already");
    assert_eq!(put("b", value("2"), 1).await, Ok(Revision(2)));
    assert_eq!(put("b", value("x"), 1).await, Err(StoreErrorKind::Conflict), "somebody was quicker");
    assert_eq!(put("b", None, 1).await, Err(StoreErrorKind::Conflict));
    assert_eq!(put("a", value("3"), 0).await, Ok(Revision(1)));
    assert_eq!(put("gone", value("4"), 0).await, Ok(Revision(1)));
    assert_eq!(put("gone", None, 1).await, Ok(Revision(0)));
    assert_eq!(put("gone", None, 0).await, Ok(Revision(0)), "removing what is not there is harmless");
    assert_eq!(put("gone", value("x"), 1).await, Err(StoreErrorKind::Conflict));
    store.put_config(key(&other, "z"), value("5"), Revision(0)).await.expect("writes");
    let token = ConfigKey { kind: "token", ..key(&mine, "a") };
    store.put_config(token.clone(), value("6"), Revision(0)).await.expect("writes");

    subject.reopen().await;
    let store = subject.store();
    let found = store.config("webhook").await.expect("reads");
    let found: Vec<_> = found.iter().map(|entry| (&entry.key, entry.revision.0, entry.value.as_str())).collect();
    let expected = [(&key(&other, "z"), 1, "5"), (&key(&mine, "a"), 1, "3"), (&key(&mine, "b"), 2, "2")];
    assert_eq!(found, expected, "in the order of tenant and name");
    assert_eq!(store.config("token").await.expect("reads")[0].key, token);
    assert_eq!(store.config("nothing").await.expect("reads"), []);
}

/// Blobs are found by the digest of their bytes.
pub async fn blobs_come_back_whole(subject: &mut dyn Subject) {
    let store = subject.store();
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    for bytes in [large.clone(), vec![], large.clone()] {
        store.blob_put(Digest::of(&bytes), bytes).await.expect("writes");
    }
    subject.reopen().await;
    let store = subject.store();
    assert_eq!(store.blob_get(Digest::of(&large)).await.expect("reads"), Some(large));
    assert_eq!(store.blob_get(Digest::of(b"")).await.expect("reads"), Some(vec![]));
    assert_eq!(store.blob_get(Digest::of(b"?")).await.expect("reads"), None);
}

/// A deleted blob is gone, the others are not, and it can be kept again.
pub async fn deleted_blobs_are_gone(subject: &mut dyn Subject) {
    let store = subject.store();
    let (kept_bytes, gone_bytes) = (vec![b'k'; 1_000_000], vec![b'g'; 1_000_000]);
    let (kept, gone) = (Digest::of(&kept_bytes), Digest::of(&gone_bytes));
    store.blob_put(kept, kept_bytes.clone()).await.expect("writes");
    store.blob_put(gone, gone_bytes.clone()).await.expect("writes");
    for _ in 0..2 {
        store.blob_delete(gone).await.expect("deletes, and deletes again");
    }
    subject.reopen().await;
    let store = subject.store();
    assert_eq!(store.blob_get(gone).await.expect("reads"), None);
    assert_eq!(store.blob_get(kept).await.expect("reads"), Some(kept_bytes));
    store.blob_put(gone, gone_bytes.clone()).await.expect("writes");
    assert_eq!(store.blob_get(gone).await.expect("reads"), Some(gone_bytes));
}

/// Where room is short, the oldest settled events go before their time; what is owed stays.
pub async fn retention_by_size_takes_the_oldest_settled_first(subject: &mut dyn Subject) {
    let store = subject.store();
    let mut keys = vec![];
    for n in 0..6 {
        let key = stored(&*store, event(&format!("E-{n}"), 100 + n, &["one"])).await[0];
        let state = if n == 1 { DeliveryState::Parked } else { DeliveryState::Delivered };
        if n != 2 {
            recorded(&*store, settled(key, 100 + n, state)).await;
        }
        keys.push(key);
    }
    let policy = |bytes_max| RetentionPolicy { settled_before: at(0), bytes_max: Some(bytes_max), batch: 2 };
    assert_eq!(store.retain(policy(u64::MAX)).await.expect("deletes"), 0, "there is room");
    let left = async || -> Vec<_> {
        let page = store.search(&tenant(), &DeliveryQuery::default(), None, 99).await.expect("finds");
        page.rows.iter().map(|row| row.key).rev().collect()
    };
    assert_eq!(store.retain(policy(0)).await.expect("deletes"), 2);
    assert_eq!(left().await, [keys[1], keys[2], keys[4], keys[5]]);
    assert_eq!(store.retain(policy(0)).await.expect("deletes"), 2);
    assert_eq!(left().await, [keys[1], keys[2]], "what is owed stays");
    assert_eq!(store.retain(policy(0)).await.expect("deletes"), 0);
}

/// Whoever took over is the only one that can append.
pub async fn older_fences_are_refused(subject: &mut dyn Subject) {
    let store = subject.store();
    let record = |id: &str| vec![Record::Event(event(id, 0, &["one"]))];
    let first = store.lease(0).await.expect("leases");
    assert!(first > NO_FENCE);
    store.append(record("E-1"), first).await.expect("appends");
    let second = store.lease(0).await.expect("leases");
    assert!(second > first);
    let refused = |kind: StoreErrorKind| assert_eq!(kind, StoreErrorKind::Fenced);
    refused(store.append(record("E-2"), first).await.expect_err("fenced").kind);
    store.append(record("E-2"), second).await.expect("appends");
    if subject.reopen().await {
        refused(subject.store().append(record("E-3"), first).await.expect_err("fenced").kind);
        subject.store().append(record("E-3"), second).await.expect("appends");
        assert!(subject.store().lease(0).await.expect("leases") > second);
    }
    assert_eq!(NO_FENCE, Fence(0));
}

/// Retention deletes old events in batches, whole, and spares what is young or still open.
pub async fn retention_takes_only_what_is_old_and_settled(subject: &mut dyn Subject) {
    use DeliveryState::{Dead, Delivered, Parked, Skipped};
    let store = subject.store();
    let mut keys = vec![];
    for (n, state) in [Some(Delivered), Some(Skipped), Some(Dead), Some(Parked), None].into_iter().enumerate() {
        let both = stored(&*store, event(&format!("old-{n}"), 0, &["one", "two"])).await;
        recorded(&*store, settled(both[0], 1, Delivered)).await;
        if let Some(state) = state {
            recorded(&*store, attempt(both[1], 1, Some(request("{}")), None, DeliveryStatus::due(at(2)))).await;
            recorded(&*store, settled(both[1], 2, state)).await;
        }
        keys.push(both);
    }
    stored(&*store, event("old-without", 0, &[])).await;
    let young = stored(&*store, event("young", 100, &["one"])).await;
    recorded(&*store, settled(young[0], 101, Delivered)).await;
    let back = stored(&*store, event("back", 0, &["one"])).await;
    recorded(&*store, settled(back[0], 1, Dead)).await;
    recorded(&*store, reopen(back[0], 5, RedeliverMode::AsSent, None)).await;

    let policy = RetentionPolicy { settled_before: at(100), bytes_max: None, batch: 3 };
    let gone = [store.retain(policy).await, store.retain(policy).await, store.retain(policy).await];
    assert_eq!(gone.map(|gone| gone.expect("deletes")), [3, 1, 0]);
    for reopened in [false, true] {
        if reopened && !subject.reopen().await {
            break;
        }
        let store = subject.store();
        let left = store.search(&tenant(), &DeliveryQuery::default(), None, 99).await.expect("finds");
        let mut left: Vec<_> = left.rows.iter().map(|row| row.key).collect();
        left.reverse();
        assert_eq!(left, [keys[3][0], keys[3][1], keys[4][0], keys[4][1], young[0], back[0]]);
        assert!(store.bodies(&keys[0]).await.expect("reads").iter().all(Option::is_none));
        let id = event("old-0", 0, &["one"]).deliveries[0].1;
        assert!(store.delivery(&tenant(), id).await.expect("reads").is_none());
    }
    // A forgotten id is new again, under a key that nobody had before.
    let again = stored(&*subject.store(), event("old-0", 200, &["one"])).await;
    assert!(again[0] > back[0]);
    assert!(matches!(append(&*subject.store(), event("young", 0, &[])).await, Ok(Appended::Duplicate { .. })));
}

/// What was sent again lately is kept for as long as what is new.
pub async fn retention_counts_from_the_last_attempt(subject: &mut dyn Subject) {
    use DeliveryState::Delivered;
    let store = subject.store();
    let policy = |before| RetentionPolicy { settled_before: at(before), bytes_max: None, batch: 10 };
    let mut keys = vec![];
    for n in 0..3 {
        let key = stored(&*store, event(&format!("E-{n}"), 0, &["one"])).await[0];
        recorded(&*store, settled(key, 1, Delivered)).await;
        keys.push(key);
    }
    recorded(&*store, reopen(keys[1], 150, RedeliverMode::AsSent, None)).await;
    assert_eq!(store.retain(policy(100)).await.expect("deletes"), 2);
    recorded(&*store, settled(keys[1], 150, Delivered)).await;
    assert_eq!(store.retain(policy(100)).await.expect("deletes"), 0);
    assert_eq!(store.retain(policy(150)).await.expect("deletes"), 0);
    assert_eq!(store.retain(policy(151)).await.expect("deletes"), 1);
}

/// Everything is still there after a restart, and writing goes on where it stopped.
pub async fn everything_outlives_a_restart(subject: &mut dyn Subject) {
    let store = subject.store();
    let keys = stored(&*store, event("E-1", 0, &["one", "two"])).await;
    recorded(&*store, settled(keys[0], 1, DeliveryState::Delivered)).await;
    let policy = RetentionPolicy { settled_before: at(50), bytes_max: None, batch: 10 };
    let newest = stored(&*store, event("E-2", 0, &["one"])).await;
    recorded(&*store, settled(newest[0], 1, DeliveryState::Delivered)).await;
    assert_eq!(store.retain(policy).await.expect("deletes"), 1);
    let before = all_pending(&*store).await;
    for _ in 0..3 {
        if !subject.reopen().await {
            return;
        }
        assert_eq!(all_pending(&*subject.store()).await, before);
    }
    let store = subject.store();
    let next = stored(&*store, event("E-3", 9, &["one"])).await;
    assert!(next[0] > newest[0], "a key is not given twice, even if its delivery is gone");
    recorded(&*store, settled(keys[1], 9, DeliveryState::Delivered)).await;
    assert_eq!(pending_keys(&*store).await, next);
}
