//! The readers: pending deliveries, bodies, one delivery in full, configuration.
//!
//! Never writes; each call sees one snapshot of the file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hookmill_core::ports::{ConfigEntry, ConfigKey, DeliveryDetail, DeliveryKey, DeliveryRow, Pending, Revision, Work};
use hookmill_core::{Attempt, DeliveryId, DeliveryStatus, Event, EventId, Request, TenantId};
use rusqlite::{Connection, OptionalExtension as _};

use super::row::{
    ATTEMPT_COLUMNS, EVENT_COLUMNS, REQUEST_COLUMNS, read_attempt, read_event, read_replay, read_request, time,
};
use super::shared::{Shared, event_of, keys_of, state_of};
use super::trouble::{Trouble, damaged};

/// See [`hookmill_core::ports::Store::pending`].
pub(super) fn pending(
    db: &mut Connection,
    shared: &Shared,
    cursor: Option<DeliveryKey>,
    due_before: i64,
    limit: usize,
) -> Result<Vec<Pending>, Trouble> {
    let mut found = vec![];
    let mut from = cursor.map_or(i64::MIN, |key| key.0 + 1);
    while found.len() < limit {
        let missing = limit - found.len();
        // Memory before the snapshot: what is tried in between is then in the index of the snapshot.
        let fresh: Vec<i64> = shared.fresh().range(from..).copied().take(missing).collect();
        let (upto, last_round) = match fresh.last() {
            Some(&last) if fresh.len() == missing => (last, false),
            _ => (i64::MAX, true),
        };
        let snapshot = db.transaction()?;
        let mut keys: BTreeSet<i64> = fresh.into_iter().collect();
        let mut waiting = snapshot.prepare_cached(
            "SELECT key FROM delivery INDEXED BY delivery_waiting
             WHERE state = 'pending' AND later = 1 AND key BETWEEN ? AND ? AND due < ? ORDER BY key LIMIT ?",
        )?;
        let mut rows = waiting.query((from, upto, due_before, i64::try_from(missing).unwrap_or(i64::MAX)))?;
        while let Some(row) = rows.next()? {
            keys.insert(row.get(0)?);
        }
        for key in keys {
            if found.len() < limit {
                found.extend(pending_row(&snapshot, shared, key, due_before)?);
            }
        }
        if last_round {
            break;
        }
        from = upto + 1;
    }
    Ok(found)
}

fn pending_row(db: &Connection, shared: &Shared, key: i64, due_before: i64) -> Result<Option<Pending>, Trouble> {
    let mut statement = db.prepare_cached(
        "SELECT webhook, due, tries, event.id, doctype, document, replay FROM delivery JOIN event ON seq = key >> 16
         WHERE key = ? AND state = 'pending' AND due < ?",
    )?;
    let mut rows = statement.query((key, due_before))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (tenant, webhook) = shared.name(db, row.get(0)?)?;
    let event = event_id(row.get(3)?)?;
    Ok(Some(Pending {
        key: DeliveryKey(key),
        id: DeliveryId::of(&tenant, &event, &webhook),
        tenant,
        webhook,
        doctype: row.get(4)?,
        document: row.get(5)?,
        tries: row.get(2)?,
        due: time(row.get(1)?)?,
        replay: read_replay(row, 6)?,
    }))
}

pub(super) fn event_id(text: String) -> Result<EventId, Trouble> {
    EventId::new(text).map_err(|error| damaged("an event's id", error))
}

/// See [`hookmill_core::ports::Store::bodies`].
pub(super) fn bodies(db: &mut Connection, keys: &[DeliveryKey]) -> Result<Vec<Option<Work>>, Trouble> {
    let snapshot = db.transaction()?;
    // The deliveries of one event often come together; they share it.
    let mut events: BTreeMap<i64, Arc<Event>> = BTreeMap::new();
    let mut statement = snapshot.prepare_cached("SELECT kept FROM delivery WHERE key = ?")?;
    let mut work = Vec::with_capacity(keys.len());
    for &DeliveryKey(key) in keys {
        let kept = statement.query_row([key], |row| row.get::<_, Option<i64>>(0)).optional()?;
        let seq = event_of(key);
        let event = match (kept, events.get(&seq)) {
            (None, _) => None,
            (Some(_), Some(event)) => Some(Arc::clone(event)),
            (Some(_), None) => event(&snapshot, seq)?,
        };
        work.push(match event {
            None => None,
            Some(event) => {
                events.insert(seq, Arc::clone(&event));
                let request = kept.flatten().map(|seq| request(&snapshot, seq)).transpose()?.flatten();
                Some(Work { event, request: request.map(Arc::new) })
            }
        });
    }
    Ok(work)
}

pub(super) fn event(db: &Connection, seq: i64) -> Result<Option<Arc<Event>>, Trouble> {
    let mut statement = db.prepare_cached(&format!("SELECT {EVENT_COLUMNS} FROM event WHERE seq = ?"))?;
    let mut rows = statement.query([seq])?;
    rows.next()?.map(read_event).transpose()
}

fn request(db: &Connection, seq: i64) -> Result<Option<Request>, Trouble> {
    let mut statement = db.prepare_cached(&format!("SELECT {REQUEST_COLUMNS} FROM attempt WHERE seq = ?"))?;
    let mut rows = statement.query([seq])?;
    Ok(rows.next()?.map(|row| read_request(row, 0)).transpose()?.flatten())
}

/// See [`hookmill_core::ports::Store::delivery`].
pub(super) fn delivery(
    db: &mut Connection,
    shared: &Shared,
    tenant: &TenantId,
    id: DeliveryId,
) -> Result<Option<DeliveryDetail>, Trouble> {
    let candidates = shared.candidates(db, id.event_part().cast_signed())?;
    let snapshot = db.transaction()?;
    for seq in candidates {
        for key in delivery_keys(&snapshot, seq)? {
            let row = delivery_row(&snapshot, shared, key, tenant)?.map(|(row, _)| row).filter(|row| row.id == id);
            if let (Some(row), Some(event)) = (row, event(&snapshot, seq)?) {
                return Ok(Some(DeliveryDetail { row, event, attempts: attempts(&snapshot, key)? }));
            }
        }
    }
    Ok(None)
}

/// Returns the keys of an event's deliveries.
pub(super) fn delivery_keys(db: &Connection, seq: i64) -> Result<Vec<i64>, Trouble> {
    let mut statement = db.prepare_cached("SELECT key FROM delivery WHERE key BETWEEN ? AND ? ORDER BY key")?;
    let keys = keys_of(seq);
    Ok(statement.query_map((keys.start(), keys.end()), |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Reads one delivery as a list shows it, with the status of its last answer; none if it is gone or another tenant's.
pub(super) fn delivery_row(
    db: &Connection,
    shared: &Shared,
    key: i64,
    tenant: &TenantId,
) -> Result<Option<(DeliveryRow, Option<u16>)>, Trouble> {
    let mut statement = db.prepare_cached(
        "SELECT webhook, state, due, attempts, reason, event.id, doctype, doc_event, document, received_at,
           last_status, replay
         FROM delivery JOIN event ON seq = key >> 16 WHERE key = ?",
    )?;
    let mut rows = statement.query([key])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (owner, webhook) = shared.name(db, row.get(0)?)?;
    if owner != *tenant {
        return Ok(None);
    }
    let event = event_id(row.get(5)?)?;
    let due: Option<i64> = row.get(2)?;
    let found = DeliveryRow {
        key: DeliveryKey(key),
        id: DeliveryId::of(tenant, &event, &webhook),
        webhook,
        event_id: event.into(),
        doctype: row.get(6)?,
        doc_event: row.get(7)?,
        document: row.get(8)?,
        status: DeliveryStatus {
            state: state_of(&row.get::<_, String>(1)?)?,
            reason: row.get(4)?,
            next_attempt_at: due.map(time).transpose()?,
        },
        attempts: row.get(3)?,
        replay: read_replay(row, 11)?,
        received_at: time(row.get(9)?)?,
    };
    Ok(Some((found, row.get(10)?)))
}

/// Walks the attempts of a delivery; returns them the oldest first, each with the request that it sent.
pub(super) fn attempts(db: &Connection, key: i64) -> Result<Vec<Attempt>, Trouble> {
    let mut at: Option<i64> =
        db.prepare_cached("SELECT last_attempt FROM delivery WHERE key = ?")?.query_row([key], |row| row.get(0))?;
    let mut statement =
        db.prepare_cached(&format!("SELECT {ATTEMPT_COLUMNS}, sent, previous FROM attempt WHERE seq = ?"))?;
    let mut found = vec![];
    while let Some(seq) = at {
        let mut rows = statement.query([seq])?;
        let Some(row) = rows.next()? else { break };
        let mut attempt = read_attempt(row)?;
        let sent: Option<i64> = row.get(11)?;
        if let (None, Some(sent)) = (&attempt.request, sent) {
            attempt.request = request(db, sent)?;
        }
        // A list that does not lead backwards is damaged and would never end.
        at = row.get::<_, Option<i64>>(12)?.filter(|previous| *previous < seq);
        found.push(attempt);
    }
    found.reverse();
    Ok(found)
}

/// See [`hookmill_core::ports::Store::config`].
pub(super) fn config(db: &Connection, kind: &'static str) -> Result<Vec<ConfigEntry>, Trouble> {
    let mut statement =
        db.prepare_cached("SELECT tenant, name, revision, value FROM config WHERE kind = ? ORDER BY tenant, name")?;
    let mut rows = statement.query([kind])?;
    let mut entries = vec![];
    while let Some(row) = rows.next()? {
        let tenant = TenantId::new(row.get::<_, String>(0)?).map_err(|error| damaged("configuration", error))?;
        entries.push(ConfigEntry {
            key: ConfigKey { tenant, kind, name: row.get(1)? },
            revision: Revision(row.get::<_, i64>(2)?.cast_unsigned()),
            value: row.get(3)?,
        });
    }
    Ok(entries)
}
