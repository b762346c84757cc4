//! The rows of a damaged table: read from both ends and, between them, in halves, down to what nothing leads to.

use std::ops::RangeInclusive;

use hookmill_core::ports::StoreErrorKind;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row};

use super::super::trouble::Trouble;
use super::super::upkeep;

/// Hands every row of a table that can be read to `take`, in the order of their keys within each part; returns how many
/// grains of keys nothing leads to.
pub(super) fn each_row(
    db: &Connection,
    table: &str,
    columns: &str,
    grain: i64,
    take: &mut dyn FnMut(&Row<'_>) -> Result<(), Trouble>,
) -> Result<u64, Trouble> {
    let end = |order: &str| -> Option<i64> {
        let sql = format!("SELECT rowid FROM {table} ORDER BY rowid {order} LIMIT 1");
        db.query_row(&sql, [], |row| row.get(0)).optional().ok().flatten()
    };
    // An end that can't be read hides what is before it: then the numbers that were given out, as far as they were
    // noted, and what can be reached from the other end say where to look.
    let highest = end("DESC").unwrap_or_else(|| given_out(db, grain).max(reachable(db, table, end("").unwrap_or(0))));
    let lowest = end("").unwrap_or(if highest > 0 { 1 } else { return Ok(0) });
    let reader = Reader { db, sql: format!("SELECT {columns} FROM {table}"), grain };
    let mut found: Vec<i64> = vec![];
    let lost = reader.part(lowest..=highest, &mut found)?;
    found.sort_unstable();
    let mut one = db.prepare(&format!("{} WHERE rowid = ?", reader.sql))?;
    let mut unread = 0;
    for key in found {
        let mut rows = one.query([key])?;
        match rows.next() {
            Ok(Some(row)) => match take(row) {
                Err(trouble) if trouble.kind == StoreErrorKind::Damaged && !trouble.fatal => unread += 1,
                taken => taken?,
            },
            _ => unread += 1,
        }
    }
    Ok(lost + unread)
}

/// The highest key that a table can have, by what was given out.
fn given_out(db: &Connection, grain: i64) -> i64 {
    let next = |name: &str| {
        let value = db.query_row("SELECT value FROM meta WHERE name = ?", [name], |row| row.get::<_, i64>(0));
        value.unwrap_or(0)
    };
    next(upkeep::NEXT_EVENT).max(next(upkeep::INDEXED)).max(next(upkeep::NEXT_ATTEMPT)).saturating_mul(grain)
}

/// The highest key that is found by going up from `key` in ever longer steps, and then in ever shorter ones.
fn reachable(db: &Connection, table: &str, mut key: i64) -> i64 {
    let sql = format!("SELECT rowid FROM {table} WHERE rowid >= ? ORDER BY rowid LIMIT 1");
    let next = |from: i64| -> Option<i64> { db.query_row(&sql, [from], |row| row.get(0)).ok() };
    let (mut step, mut longer) = (1_i64, true);
    while step > 0 {
        let found = key.checked_add(step).and_then(next);
        longer &= found.is_some();
        key = found.unwrap_or(key);
        step = if longer { step.saturating_mul(2) } else { step / 2 };
    }
    key
}

struct Reader<'a> {
    db: &'a Connection,
    sql: String,
    grain: i64,
}

impl Reader<'_> {
    /// Finds the keys of one part of a table that can be read.
    fn part(&self, keys: RangeInclusive<i64>, found: &mut Vec<i64>) -> Result<u64, Trouble> {
        let mut parts = vec![keys];
        let mut lost = 0;
        while let Some(keys) = parts.pop() {
            let (low, high) = keys.into_inner();
            let Some(up_to) = self.read_end(low, high, "", found)? else { continue };
            let Some(down_to) = self.read_end(up_to, high, "DESC", found)? else { continue };
            let grain = |key: i64| key.div_euclid(self.grain);
            if grain(up_to) == grain(down_to) {
                lost += 1;
                continue;
            }
            // At the border of a grain, so that none is counted twice.
            let middle = (i64::midpoint(grain(up_to), grain(down_to)) + 1) * self.grain - 1;
            parts.push(up_to..=middle);
            parts.push(middle + 1..=down_to);
        }
        Ok(lost)
    }

    /// Reads from one end until a page can't be read; returns the key next to the last that was read, if one was not.
    fn read_end(&self, low: i64, high: i64, order: &str, found: &mut Vec<i64>) -> Result<Option<i64>, Trouble> {
        let sql = format!("{} WHERE rowid BETWEEN ? AND ? ORDER BY rowid {order}", self.sql);
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut rows = statement.query((low, high))?;
        let (step, mut next) = if order.is_empty() { (1, low) } else { (-1, high) };
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let key: i64 = row.get(0)?;
                    found.push(key);
                    next = key + step;
                }
                Ok(None) => return Ok(None),
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => return Ok(Some(next)),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
