//! Reads what can be read of a damaged file into a new one.
//!
//! Works on a copy, so the damaged file stays as it is. What an event says is checked against its digest, for damage inside
//! a page shows nowhere else.

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hookmill_core::Digest;
use hookmill_core::ports::{StoreError, StoreErrorKind};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params_from_iter};
use tempfile::TempDir;

use rows::each_row;

use super::home::{Lock, prepare, sync_dir};
use super::row::{ATTEMPT_COLUMNS, EVENT_COLUMNS, read_attempt, read_event};
use super::shared::{PLACE_BITS, event_of, keys_of, state_of};
use super::trouble::{Trouble, io_trouble};
use super::{SqliteOptions, schema, upkeep};

/// Rows of one transaction in the new file.
const BATCH: usize = 10_000;

/// What was read of one kind, and what is known to be lost of it: there may be more where nothing leads to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counted {
    /// Read, and in the new file.
    pub read: u64,
    /// Lost.
    pub lost: u64,
}

/// What came of salvaging a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Salvaged {
    /// Events.
    pub events: Counted,
    /// Deliveries; with an event, its deliveries are lost too.
    pub deliveries: Counted,
    /// Attempts.
    pub attempts: Counted,
    /// Pieces of configuration: webhooks, plugins and the like.
    pub config: Counted,
    /// Blobs: components.
    pub blobs: Counted,
}

/// Reads what can be read of the store in `from` into a new one in `to`. Nothing in `from` is changed.
///
/// # Errors
///
/// `InUse` if a process has the store open, `Conflict` if there is a store in `to`, `Damaged` if nothing can be read.
pub fn salvage(from: &Path, to: &Path) -> Result<Salvaged, StoreError> {
    inner(from, to).map_err(|trouble| trouble.during("salvage"))
}

fn inner(from: &Path, to: &Path) -> Result<Salvaged, Trouble> {
    let _lock = Lock::for_reading(from)?;
    if to.join(schema::FILE_NAME).exists() {
        let cause = format!("{} has a store already", to.display());
        return Err(Trouble::new(StoreErrorKind::Conflict, cause));
    }
    let new_lock = prepare(to)?;
    let copy = TempDir::new_in(to).map_err(|error| io_trouble("make a directory in", to, &error))?;
    for name in [schema::FILE_NAME, schema::LOG_NAME] {
        let file = from.join(name);
        if file.exists() {
            std::fs::copy(&file, copy.path().join(name)).map_err(|error| io_trouble("copy", &file, &error))?;
        }
    }
    let old = Connection::open_with_flags(copy.path().join(schema::FILE_NAME), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // What is out of place within a page is then found before it is read.
    old.pragma_update(None, "cell_size_check", true)?;
    let new = schema::open_writer(to, &SqliteOptions::default())?;
    let mut work = Work { old, new, done: Salvaged::default(), next_event: 1, next_attempt: 1 };
    work.config()?;
    work.blobs()?;
    let events = work.events()?;
    let kept = work.deliveries(&events)?;
    work.attempts(kept)?;
    work.meta()?;
    schema::move_log(&work.new)?;
    drop(new_lock);
    sync_dir(to)?;
    Ok(work.done)
}

/// A row as it stands, with its key before it.
type Cells = Vec<Value>;

/// What is kept of a delivery until its attempts are known: the row, and the attempts that were read.
type Kept = BTreeMap<i64, (Cells, Vec<i64>)>;

struct Work {
    old: Connection,
    new: Connection,
    done: Salvaged,
    next_event: i64,
    next_attempt: i64,
}

/// The columns of the tables, the key first.
const EVENT: &str =
    "seq, tenant, id, doctype, doc_event, document, occurred_at, received_at, content, user, meta, doc, before";
const DELIVERY: &str = "key, webhook, state, due, later, tries, attempts, last_attempt, kept, last_status, reason";
const ATTEMPT: &str = "seq, delivery, previous, sent, at, outcome, duration_ms, request, request_body, response, \
    response_body, plugin, judge, error";

impl Work {
    fn config(&mut self) -> Result<(), Trouble> {
        let mut found: BTreeMap<String, Cells> = BTreeMap::new();
        let mut broken = false;
        // It has no row numbers, so there are but two ends.
        for order in ["kind, tenant, name", "kind DESC, tenant DESC, name DESC"] {
            let sql = format!("SELECT kind, tenant, name, revision, value FROM config ORDER BY {order}");
            let mut statement = self.old.prepare(&sql)?;
            let mut rows = statement.query([])?;
            loop {
                match rows.next() {
                    Ok(Some(row)) => {
                        let cells = cells(row, 5)?;
                        found.insert(format!("{:?}", cells.get(..3)), cells);
                    }
                    Ok(None) => break,
                    Err(_) => {
                        broken = true;
                        break;
                    }
                }
            }
        }
        insert(&self.new, "config", "kind, tenant, name, revision, value", found.values())?;
        self.done.config = Counted { read: found.len() as u64, lost: u64::from(broken) };
        Ok(())
    }

    fn blobs(&mut self) -> Result<(), Trouble> {
        // A part that is lost makes its blob's digest a wrong one.
        let mut parts: BTreeMap<Vec<u8>, BTreeMap<i64, Vec<u8>>> = BTreeMap::new();
        if self.old.table_exists(None, "blob_part").unwrap_or(false) {
            self.rows("blob_part", "rowid, blob, place, bytes", 1, |row| {
                parts.entry(row.get(1)?).or_default().insert(row.get(2)?, row.get(3)?);
                Ok(())
            })?;
        }
        let (mut bad, mut found, mut others) = (0, vec![], vec![]);
        let lost = self.rows("blob", "rowid, digest, bytes", 1, |row| {
            let (digest, first): (Vec<u8>, Vec<u8>) = (row.get(1)?, row.get(2)?);
            let parts = parts.remove(&digest).unwrap_or_default();
            let whole = std::iter::once(&first).chain(parts.values()).map(Vec::as_slice).collect::<Vec<_>>().concat();
            if Digest::of(&whole).as_bytes().as_slice() == digest {
                let cell = |(place, part)| vec![Value::Blob(digest.clone()), Value::Integer(place), Value::Blob(part)];
                others.extend(parts.into_iter().map(cell));
                found.push(vec![Value::Blob(digest), Value::Blob(first)]);
            } else {
                bad += 1;
            }
            Ok(())
        })?;
        insert(&self.new, "blob_part", "blob, place, bytes", &others)?;
        insert(&self.new, "blob", "digest, bytes", &found)?;
        self.done.blobs = Counted { read: found.len() as u64, lost: lost + bad };
        Ok(())
    }

    /// Copies events; returns the numbers of those that are whole.
    fn events(&mut self) -> Result<BTreeSet<i64>, Trouble> {
        let (mut whole, mut index, mut bad) = (BTreeSet::new(), vec![], 0);
        let mut out = Copying::new(&self.new, "event", EVENT)?;
        let (old, new) = (&self.old, &self.new);
        let mut parsed = old.prepare(&format!("SELECT {EVENT_COLUMNS} FROM event WHERE seq = ?"))?;
        let lost = each_row(old, "event", EVENT, 1, &mut |row| {
            let (seq, content): (i64, Vec<u8>) = (row.get(0)?, row.get(8)?);
            let event =
                parsed.query_row([seq], |row| Ok(read_event(row))).map_err(Trouble::from).and_then(|event| event);
            match event {
                Ok(event) if event.content_digest().as_bytes().as_slice() == content => {
                    let key = hookmill_core::DeliveryId::event_key(&event.tenant, &event.id).cast_signed();
                    index.push(vec![Value::Integer(key), Value::Integer(seq)]);
                    whole.insert(seq);
                    out.put(&cells(row, 13)?)?;
                }
                _ => bad += 1,
            }
            Ok(())
        })?;
        out.end()?;
        // Sorted, that touches the fewest pages.
        index.sort_by_key(|entry| if let Some(Value::Integer(key)) = entry.first() { *key } else { 0 });
        insert(new, "event_index", "key, seq", &index)?;
        self.next_event = whole.last().map_or(1, |seq| seq + 1);
        self.done.events = Counted { read: whole.len() as u64, lost: lost + bad };
        Ok(whole)
    }

    /// Reads the names of webhooks, and the deliveries whose events are whole.
    fn deliveries(&mut self, events: &BTreeSet<i64>) -> Result<Kept, Trouble> {
        let (mut names, mut known) = (vec![], BTreeSet::new());
        self.rows("webhook_name", "id, tenant, name", 1, |row| {
            known.insert(row.get::<_, i64>(0)?);
            names.push(cells(row, 3)?);
            Ok(())
        })?;
        insert(&self.new, "webhook_name", "id, tenant, name", &names)?;
        let (mut kept, mut bad, mut without) = (Kept::new(), 0, BTreeSet::new());
        let lost = self.rows("delivery", DELIVERY, 1 << PLACE_BITS, |row| {
            let (key, webhook, state): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if events.contains(&event_of(key)) && known.contains(&webhook) && state_of(&state).is_ok() {
                kept.insert(key, (cells(row, 11)?, vec![]));
            } else {
                bad += 1;
                without.extend(Some(event_of(key)).filter(|event| !events.contains(event)));
            }
            Ok(())
        })?;
        // Where nothing leads into the table of events, these are all that tells of them.
        self.done.events.lost = self.done.events.lost.max(without.len() as u64);
        self.done.deliveries = Counted { read: kept.len() as u64, lost: lost + bad };
        Ok(kept)
    }

    /// Copies attempts, then the deliveries, each with the chain of those of its attempts that were read.
    fn attempts(&mut self, mut kept: Kept) -> Result<(), Trouble> {
        let (mut there, mut bad) = (BTreeSet::new(), 0);
        let mut out = Copying::new(&self.new, "attempt", ATTEMPT)?;
        let mut parsed = self.old.prepare(&format!("SELECT {ATTEMPT_COLUMNS} FROM attempt WHERE seq = ?"))?;
        let lost = each_row(&self.old, "attempt", ATTEMPT, 1, &mut |row| {
            let (seq, delivery): (i64, i64) = (row.get(0)?, row.get(1)?);
            let readable = parsed.query_row([seq], |row| Ok(read_attempt(row).is_ok())).unwrap_or(false);
            let Some((_, chain)) = kept.get_mut(&delivery).filter(|_| readable) else {
                bad += 1;
                return Ok(());
            };
            let mut cells = cells(row, 14)?;
            let sent = row.get::<_, Option<i64>>(3)?.filter(|sent| there.contains(sent));
            (cells[2], cells[3]) = (number(chain.last().copied()), number(sent));
            chain.push(seq);
            there.insert(seq);
            out.put(&cells)
        })?;
        out.end()?;
        self.next_attempt = there.last().map_or(1, |seq| seq + 1);
        self.done.attempts = Counted { read: there.len() as u64, lost: lost + bad };
        let mut out = Copying::new(&self.new, "delivery", DELIVERY)?;
        for (mut cells, chain) in kept.into_values() {
            // Where the request that was to be sent again is lost, it is rendered anew.
            let again =
                if let Value::Integer(seq) = cells[8] { Some(seq).filter(|seq| there.contains(seq)) } else { None };
            cells[4] = Value::Integer(1);
            cells[6] = Value::Integer(i64::try_from(chain.len()).unwrap_or(i64::MAX));
            (cells[7], cells[8]) = (number(chain.last().copied()), number(again));
            out.put(&cells)?;
        }
        out.end()
    }

    /// Writes where numbers go on: above all that were given out, as far as anybody knows.
    fn meta(&mut self) -> Result<(), Trouble> {
        let known = |name: &str| {
            let value = self.old.query_row("SELECT value FROM meta WHERE name = ?", [name], |row| row.get::<_, i64>(0));
            value.optional().ok().flatten().unwrap_or(0)
        };
        let last = |table: &str| {
            let sql = format!("SELECT max(rowid) FROM {table}");
            self.old.query_row(&sql, [], |row| row.get::<_, Option<i64>>(0)).ok().flatten().unwrap_or(0)
        };
        let event = self.next_event.max(known(upkeep::NEXT_EVENT)).max(last("event") + 1);
        let attempt = self.next_attempt.max(known(upkeep::NEXT_ATTEMPT)).max(last("attempt") + 1);
        for (name, value) in [
            (upkeep::FENCE, known(upkeep::FENCE)),
            (upkeep::NEXT_EVENT, event),
            (upkeep::NEXT_ATTEMPT, attempt),
            (upkeep::INDEXED, event),
            (upkeep::WATERMARK, *keys_of(event).start()),
        ] {
            upkeep::set_meta(&self.new, name, value)?;
        }
        Ok(())
    }

    fn rows(
        &self,
        table: &str,
        columns: &str,
        grain: i64,
        mut take: impl FnMut(&Row<'_>) -> Result<(), Trouble>,
    ) -> Result<u64, Trouble> {
        each_row(&self.old, table, columns, grain, &mut take)
    }
}

fn number(value: Option<i64>) -> Value {
    value.map_or(Value::Null, Value::Integer)
}

fn cells(row: &Row<'_>, count: usize) -> Result<Cells, Trouble> {
    Ok((0..count).map(|at| row.get(at)).collect::<Result<_, _>>()?)
}

fn insert<'a>(
    db: &Connection,
    table: &str,
    columns: &str,
    rows: impl IntoIterator<Item = &'a Cells>,
) -> Result<(), Trouble> {
    let mut out = Copying::new(db, table, columns)?;
    rows.into_iter().try_for_each(|row| out.put(row))?;
    out.end()
}

/// Rows on their way into the new file, in transactions.
struct Copying<'a> {
    db: &'a Connection,
    sql: String,
    rows: usize,
}

impl<'a> Copying<'a> {
    fn new(db: &'a Connection, table: &str, columns: &str) -> Result<Self, Trouble> {
        let places = vec!["?"; columns.split(',').count()].join(", ");
        db.execute_batch("BEGIN")?;
        Ok(Self { db, sql: format!("INSERT OR IGNORE INTO {table} ({columns}) VALUES ({places})"), rows: 0 })
    }

    fn put(&mut self, cells: &Cells) -> Result<(), Trouble> {
        self.db.prepare_cached(&self.sql)?.execute(params_from_iter(cells))?;
        self.rows += 1;
        if self.rows.is_multiple_of(BATCH) {
            self.db.execute_batch("COMMIT; BEGIN")?;
        }
        Ok(())
    }

    fn end(self) -> Result<(), Trouble> {
        self.db.execute_batch("COMMIT")?;
        Ok(())
    }
}
