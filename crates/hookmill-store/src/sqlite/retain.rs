//! What retention may take, by age and by the room that the store occupies. Never deletes; the writer does.

use std::path::Path;

use hookmill_core::ports::RetentionPolicy;
use rusqlite::Connection;

use super::shared::keys_of;
use super::trouble::Trouble;

/// After so many events in a row that are too young, retention looks no further: events lie nearly in the order of
/// their receipt, and reading the whole file each time would cost more than what a stray old one occupies.
const YOUNG_IN_A_ROW_MAX: usize = 1000;

/// Events that are looked at in one call. What is owed or was sent again lately stays where it is, among the oldest, and
/// must not be read from the first to the last each time.
const LOOKED_AT_MAX: usize = 10_000;

/// What an event and each of its attempts occupy beside their bodies, about; rather less, so that too little goes in
/// one batch than too much.
const ROW_BYTES: u64 = 300;

/// Finds deliveries, of those with keys from `?1` to `?2`, for which their event is kept: they are owed, or were tried at or
/// after `?3`.
pub(super) const HELD: &str = "SELECT 1 FROM delivery LEFT JOIN attempt ON attempt.seq = last_attempt
    WHERE key BETWEEN ?1 AND ?2 AND (state IN ('pending', 'parked') OR at >= ?3)";

/// Events that may go.
#[derive(Debug)]
pub(super) struct Forgettable {
    /// Their numbers, the oldest first.
    pub(super) seqs: Vec<i64>,
    /// All were received, and their deliveries last tried, before this moment.
    pub(super) before: i64,
    /// The number of the event to look on at; none at the end of the walk.
    pub(super) next: Option<i64>,
}

/// Returns the events that retention may take, at most one batch, from the number `from` on.
pub(super) fn forgettable(
    db: &Connection,
    log: &Path,
    policy: RetentionPolicy,
    from: i64,
) -> Result<Forgettable, Trouble> {
    let before = policy.settled_before.as_microsecond();
    let mut excess = match policy.bytes_max {
        Some(most) => occupied(db, log)?.saturating_sub(most),
        None => 0,
    };
    let over = excess > 0;
    let mut statement = db.prepare_cached("SELECT seq, received_at FROM event WHERE seq >= ? ORDER BY seq")?;
    let mut held = db.prepare_cached(&format!("SELECT EXISTS ({HELD})"))?;
    let mut rows = statement.query([from])?;
    let mut found = Forgettable { seqs: vec![], before: if over { i64::MAX } else { before }, next: None };
    let (mut young, mut looked_at) = (0, 0);
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        if found.seqs.len() >= policy.batch || looked_at >= LOOKED_AT_MAX {
            found.next = Some(seq);
            break;
        }
        if young >= YOUNG_IN_A_ROW_MAX {
            break;
        }
        looked_at += 1;
        if excess == 0 && row.get::<_, i64>(1)? >= before {
            young += 1;
            continue;
        }
        young = 0;
        let keys = keys_of(seq);
        let before = if excess > 0 { i64::MAX } else { before };
        if held.query_row((keys.start(), keys.end(), before), |row| row.get::<_, bool>(0))? {
            continue;
        }
        if excess > 0 {
            excess = excess.saturating_sub(bytes_of(db, seq)?);
        }
        found.seqs.push(seq);
    }
    if over && found.seqs.is_empty() && from == 0 && found.next.is_none() {
        tracing::warn!(excess, "the store occupies more than it may, and no delivery in it is settled");
    }
    Ok(found)
}

/// What is in use of the file, and the log. Pages that are free in the file are used again before it grows.
fn occupied(db: &Connection, log: &Path) -> Result<u64, Trouble> {
    let number = |pragma| db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let pages = number("page_count")? - number("freelist_count")?;
    let log = log.metadata().map_or(0, |log| log.len());
    Ok((pages * number("page_size")?).cast_unsigned() + log)
}

/// Returns about what goes with an event.
fn bytes_of(db: &Connection, seq: i64) -> Result<u64, Trouble> {
    let mut event =
        db.prepare_cached("SELECT octet_length(doc) + coalesce(octet_length(before), 0) FROM event WHERE seq = ?")?;
    let mut last = db.prepare_cached("SELECT last_attempt FROM delivery WHERE key BETWEEN ? AND ?")?;
    let mut attempt = db.prepare_cached(
        "SELECT coalesce(octet_length(request_body), 0) + coalesce(octet_length(response_body), 0), previous
         FROM attempt WHERE seq = ?",
    )?;
    let mut bytes = ROW_BYTES + event.query_row([seq], |row| row.get::<_, i64>(0))?.cast_unsigned();
    let keys = keys_of(seq);
    let mut tails = last.query((keys.start(), keys.end()))?;
    while let Some(row) = tails.next()? {
        let mut at: Option<i64> = row.get(0)?;
        while let Some(seq) = at {
            let (of, previous) = attempt.query_row([seq], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
            bytes += ROW_BYTES + of.cast_unsigned();
            at = Option::<i64>::filter(previous, |previous| *previous < seq);
        }
    }
    Ok(bytes)
}
