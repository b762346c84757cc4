//! Finding deliveries, the newest first. Reads a bounded number of rows per call, however rare the match.

use hookmill_core::ports::{DeliveryQuery, DeliveryRow, Page};
use hookmill_core::{DeliveryState, EventId, TenantId};
use rusqlite::Connection;

use super::read::{attempts, delivery_keys, delivery_row, event};
use super::shared::{Shared, event_of};
use super::trouble::Trouble;
use crate::query::{Needle, row_matches};

/// The most deliveries and bytes that one call looks at, so that a rare match holds no reader for long.
const SCAN_ROWS_MAX: usize = 2000;
const SCAN_BYTES_MAX: usize = 16 << 20;

const ALL: &str = "SELECT key FROM delivery WHERE key < ? ORDER BY key DESC";
const PARKED: &str = "SELECT key FROM delivery INDEXED BY delivery_trouble
    WHERE state = 'parked' AND key < ? ORDER BY key DESC";
const DEAD: &str = "SELECT key FROM delivery INDEXED BY delivery_trouble
    WHERE state = 'dead' AND key < ? ORDER BY key DESC";
const WAITING: &str = "SELECT key FROM delivery INDEXED BY delivery_waiting
    WHERE state = 'pending' AND later = 1 AND key < ? ORDER BY key DESC";

/// See [`hookmill_core::ports::Store::search`].
pub(super) fn search(
    db: &mut Connection,
    shared: &Shared,
    tenant: &TenantId,
    query: &DeliveryQuery,
    cursor: Option<i64>,
    limit: usize,
) -> Result<Page<DeliveryRow>, Trouble> {
    let below = cursor.unwrap_or(i64::MAX);
    // Memory before the snapshot: what leaves it in between is in the snapshot.
    let known = known_keys(db, shared, tenant, query, below)?;
    let snapshot = db.transaction()?;
    let sql = match query.state {
        Some(DeliveryState::Pending) => WAITING,
        Some(DeliveryState::Parked) => PARKED,
        Some(DeliveryState::Dead) => DEAD,
        _ => ALL,
    };
    let mut statement = snapshot.prepare_cached(sql)?;
    let mut stored = statement.query_map([below], |row| row.get::<_, i64>(0))?.peekable();
    let mut known_keys = known.keys.into_iter().peekable();
    let keys = std::iter::from_fn(|| {
        if known.complete {
            return known_keys.next().map(Ok);
        }
        match (known_keys.peek(), stored.peek()) {
            (Some(key), Some(Ok(other))) if key == other => {
                stored.next();
                known_keys.next().map(Ok)
            }
            (Some(key), Some(Ok(other))) if key < other => stored.next(),
            (_, Some(Err(_))) | (None, _) => stored.next(),
            _ => known_keys.next().map(Ok),
        }
    });
    let needle = query.text.as_deref().map(Needle::new);
    let mut page = Page { rows: vec![], next: None };
    let (mut rows, mut bytes, mut last) = (0, 0, below);
    for key in keys {
        let key = key?;
        if page.rows.len() >= limit || rows >= SCAN_ROWS_MAX || bytes >= SCAN_BYTES_MAX {
            page.next = Some(last);
            break;
        }
        (rows, last) = (rows + 1, key);
        let Some((row, last_status)) = delivery_row(&snapshot, shared, key, tenant)? else { continue };
        if !row_matches(query, &row, last_status) {
            continue;
        }
        if let (Some(needle), Some(event)) = (&needle, needle.as_ref().map(|_| event(&snapshot, event_of(key)))) {
            let Some(event) = event? else { continue };
            let (found, read) = needle.is_in_delivery(&event, &attempts(&snapshot, key)?);
            bytes += read;
            if !found {
                continue;
            }
        }
        page.rows.push(row);
    }
    Ok(page)
}

/// Keys that are known without a scan, the newest first.
struct Known {
    keys: Vec<i64>,
    /// Whether nothing else can match.
    complete: bool,
}

fn known_keys(
    db: &Connection,
    shared: &Shared,
    tenant: &TenantId,
    query: &DeliveryQuery,
    below: i64,
) -> Result<Known, Trouble> {
    if let Some(id) = &query.event_id {
        let found = match EventId::new(id) {
            Ok(id) => shared.find_event(db, event_key(tenant, &id), tenant.as_str(), id.as_str())?,
            Err(_) => None,
        };
        let mut keys = found.map(|(seq, _)| delivery_keys(db, seq)).transpose()?.unwrap_or_default();
        keys.retain(|key| *key < below);
        keys.reverse();
        return Ok(Known { keys, complete: true });
    }
    let unknown = query.webhook.as_ref().is_some_and(|webhook| shared.names().id(tenant, webhook).is_none());
    let keys = match query.state {
        // One more than can be scanned, so that a scan never ends early for want of them.
        Some(DeliveryState::Pending) if !unknown => {
            shared.fresh().range(..below).rev().copied().take(SCAN_ROWS_MAX + 1).collect()
        }
        _ => vec![],
    };
    Ok(Known { keys, complete: unknown })
}

fn event_key(tenant: &TenantId, id: &EventId) -> i64 {
    hookmill_core::DeliveryId::event_key(tenant, id).cast_signed()
}
