//! What the writer does beside appending: the late index, the watermark, checkpoints, retention and configuration.
//!
//! Never decides when; the writer does.

use std::collections::BTreeSet;

use hookmill_core::ports::{ConfigKey, Fence, Revision, StoreErrorKind};
use hookmill_core::{DeliveryId, EventId, TenantId, WebhookName};
use rusqlite::{Connection, OptionalExtension as _};

use super::SqliteOptions;
use super::apply::Next;
use super::retain::HELD;
use super::shared::{PLACE_BITS, Shared, keys_of};
use super::trouble::{Trouble, damaged};

/// The newest fence.
pub(super) const FENCE: &str = "fence";
/// `event_index` holds every event with a smaller number.
pub(super) const INDEXED: &str = "indexed";
/// No pending delivery with a smaller key is unknown to `delivery_waiting`.
pub(super) const WATERMARK: &str = "watermark";
/// Numbers given out so far; kept when rows are deleted, so that none is given out twice.
pub(super) const NEXT_EVENT: &str = "next_event";
pub(super) const NEXT_ATTEMPT: &str = "next_attempt";

pub(super) fn set_meta(db: &Connection, name: &str, value: i64) -> Result<(), Trouble> {
    let mut statement = db.prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)")?;
    statement.execute((name, value))?;
    Ok(())
}

fn meta(db: &Connection, name: &str) -> Result<i64, Trouble> {
    let value = db.query_row("SELECT value FROM meta WHERE name = ?", [name], |row| row.get(0)).optional()?;
    Ok(value.unwrap_or(0))
}

/// Reads what the writer and the readers keep in memory.
pub(super) fn load(db: &Connection) -> Result<(Shared, Next, Fence), Trouble> {
    let shared = Shared::default();
    let last = |sql: &str| db.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).map(Option::unwrap_or_default);
    let next = Next {
        event: (last("SELECT max(seq) FROM event")? + 1).max(meta(db, NEXT_EVENT)?),
        attempt: (last("SELECT max(seq) FROM attempt")? + 1).max(meta(db, NEXT_ATTEMPT)?),
    };
    let mut statement = db.prepare("SELECT id, tenant, name FROM webhook_name")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let tenant = TenantId::new(row.get::<_, String>(1)?).map_err(|error| damaged("a webhook's tenant", error))?;
        let name = WebhookName::new(row.get::<_, String>(2)?).map_err(|error| damaged("a webhook's name", error))?;
        shared.names().insert(row.get(0)?, tenant, name);
    }
    let mut statement = db.prepare("SELECT seq, tenant, id FROM event WHERE seq >= ?")?;
    let mut rows = statement.query([meta(db, INDEXED)?])?;
    while let Some(row) = rows.next()? {
        let entry = (event_key(row.get(1)?, row.get(2)?)?, row.get(0)?);
        shared.recent().insert(entry);
    }
    let mut statement = db.prepare("SELECT key FROM delivery WHERE key >= ? AND state = 'pending' AND later = 0")?;
    let mut rows = statement.query([meta(db, WATERMARK)?])?;
    while let Some(row) = rows.next()? {
        shared.fresh().insert(row.get(0)?);
    }
    Ok((shared, next, Fence(meta(db, FENCE)?.cast_unsigned())))
}

fn event_key(tenant: String, id: String) -> Result<i64, Trouble> {
    let tenant = TenantId::new(tenant).map_err(|error| damaged("an event's tenant", error))?;
    let id = EventId::new(id).map_err(|error| damaged("an event's id", error))?;
    Ok(DeliveryId::event_key(&tenant, &id).cast_signed())
}

/// What moves from memory into the file at once, sorted, because that touches the fewest pages.
#[derive(Debug)]
pub(super) struct Batch {
    recent: BTreeSet<(i64, i64)>,
    /// Fresh deliveries beyond what memory should hold: the oldest half.
    aside: Vec<i64>,
    next: Next,
    watermark: i64,
}

impl Batch {
    pub(super) fn take(shared: &Shared, options: &SqliteOptions, next: Next) -> Self {
        let recent = shared.recent().clone();
        let fresh = shared.fresh();
        let surplus = if fresh.len() >= options.fresh_max { fresh.len().div_ceil(2) } else { 0 };
        let aside = fresh.iter().copied().take(surplus).collect();
        let watermark = fresh.iter().nth(surplus).copied().unwrap_or(next.event << PLACE_BITS);
        Self { recent, aside, next, watermark }
    }

    pub(super) fn write(&self, db: &Connection) -> Result<(), Trouble> {
        let mut index = db.prepare_cached("INSERT OR IGNORE INTO event_index (key, seq) VALUES (?, ?)")?;
        for entry in &self.recent {
            index.execute(*entry)?;
        }
        let mut later = db.prepare_cached("UPDATE delivery SET later = 1 WHERE key = ?")?;
        for key in &self.aside {
            later.execute([key])?;
        }
        set_meta(db, INDEXED, self.next.event)?;
        set_meta(db, WATERMARK, self.watermark)
    }

    /// Forgets what the file now holds; call only after the commit.
    pub(super) fn publish(&self, shared: &Shared) {
        shared.recent().clear();
        let mut fresh = shared.fresh();
        for key in &self.aside {
            fresh.remove(key);
        }
    }
}

/// Moves the log into the database if it has grown to `log_bytes`.
///
/// A failed sync shows here, which it would not in SQLite's own automatic checkpoint.
pub(super) fn checkpoint(db: &Connection, options: &SqliteOptions, log_bytes: i64) -> Result<(), Trouble> {
    let run = |sql: &str| -> Result<(i64, i64), Trouble> {
        let mut statement = db.prepare_cached(sql)?;
        Ok(statement.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))?)
    };
    let (pages, moved) = run("PRAGMA wal_checkpoint(NOOP)")?;
    if pages > moved && pages * options.page_size >= log_bytes {
        run("PRAGMA wal_checkpoint(PASSIVE)")?;
    }
    Ok(())
}

/// Deletes those of `seqs` that may still go; returns them with their event keys.
pub(super) fn forget(db: &Connection, seqs: &[i64], before: i64, next: Next) -> Result<Vec<(i64, i64)>, Trouble> {
    // A delivery may have been reopened since a reader found these.
    let mut event = db.prepare_cached(&format!(
        "DELETE FROM event WHERE seq = ?4 AND received_at < ?3 AND NOT EXISTS ({HELD}) RETURNING tenant, id"
    ))?;
    let mut index = db.prepare_cached("DELETE FROM event_index WHERE key = ? AND seq = ?")?;
    let mut last = db.prepare_cached("SELECT last_attempt FROM delivery WHERE key BETWEEN ? AND ?")?;
    let mut deliveries = db.prepare_cached("DELETE FROM delivery WHERE key BETWEEN ? AND ?")?;
    let mut attempt = db.prepare_cached("DELETE FROM attempt WHERE seq = ? RETURNING previous")?;
    let mut gone = vec![];
    for &seq in seqs {
        let keys = keys_of(seq);
        let found = event
            .query_row((keys.start(), keys.end(), before, seq), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((tenant, id)) = found else { continue };
        let key = event_key(tenant, id)?;
        index.execute((key, seq))?;
        let tails =
            last.query_map((keys.start(), keys.end()), |row| row.get(0))?.collect::<Result<Vec<Option<i64>>, _>>()?;
        deliveries.execute((keys.start(), keys.end()))?;
        for mut tail in tails {
            while let Some(at) = tail {
                tail = attempt.query_row([at], |row| row.get(0)).optional()?.flatten();
            }
        }
        gone.push((key, seq));
    }
    set_meta(db, NEXT_EVENT, next.event)?;
    set_meta(db, NEXT_ATTEMPT, next.attempt)?;
    Ok(gone)
}

/// Writes or removes a piece of configuration if it is at the expected revision.
pub(super) fn put_config(
    db: &Connection,
    key: &ConfigKey,
    value: Option<&str>,
    expected: Revision,
) -> Result<Revision, Trouble> {
    let place = (key.kind, key.tenant.as_str(), &key.name);
    let found = db
        .prepare_cached("SELECT revision FROM config WHERE kind = ? AND tenant = ? AND name = ?")?
        .query_row(place, |row| row.get::<_, i64>(0))
        .optional()?;
    let found = Revision(found.unwrap_or(0).cast_unsigned());
    if found != expected {
        let cause = format!("{:?} is at revision {}, not {}", key.name, found.0, expected.0);
        return Err(Trouble::new(StoreErrorKind::Conflict, cause));
    }
    let Some(value) = value else {
        db.execute("DELETE FROM config WHERE kind = ? AND tenant = ? AND name = ?", place)?;
        return Ok(Revision(0));
    };
    let revision = Revision(found.0 + 1);
    let (kind, tenant, name) = place;
    db.execute(
        "INSERT OR REPLACE INTO config (kind, tenant, name, revision, value) VALUES (?, ?, ?, ?, ?)",
        (kind, tenant, name, revision.0.cast_signed(), value),
    )?;
    Ok(revision)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::schema;

    #[test]
    fn what_was_reopened_since_a_reader_looked_is_spared() {
        let db = Connection::open_in_memory().expect("opens");
        db.execute_batch(schema::TABLES).expect("makes the tables");
        for (seq, state) in [(1, "delivered"), (2, "pending"), (3, "parked"), (4, "dead")] {
            let event = "INSERT INTO event (seq, tenant, id, doctype, doc_event, document, occurred_at, received_at,
                content, doc) VALUES (?1, 'default', ?1, '', '', '', '', 10, x'', '{}')";
            db.execute(event, [seq]).expect("inserts");
            let delivery = "INSERT INTO delivery (key, webhook, state, later, tries, attempts)
                VALUES (?, 1, ?, 1, 0, 0)";
            db.execute(delivery, (seq << PLACE_BITS, state)).expect("inserts");
        }
        let next = Next { event: 5, attempt: 1 };
        assert_eq!(forget(&db, &[1, 2, 3, 4], 10, next).expect("deletes"), [], "received at, not before");
        let gone = forget(&db, &[1, 2, 3, 4], 11, next).expect("deletes");
        assert_eq!(gone.into_iter().map(|(_, seq)| seq).collect::<Vec<_>>(), [1, 4]);
    }
}
