//! The file: its tables, its version and the settings of a connection. Never reads or writes a record.

use std::path::Path;
use std::time::Duration;

use hookmill_core::ports::StoreErrorKind;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::trouble::{Trouble, io_trouble, sync_trouble};
use super::{SqliteOptions, log_check, log_file};

/// The name of the file inside the data directory.
pub(super) const FILE_NAME: &str = "hookmill.db";

/// The name of the write-ahead log beside it, which SQLite makes.
pub(super) const LOG_NAME: &str = "hookmill.db-wal";

/// Marks the file as hookmill's own ("hkml"), so that `file` can tell and no other database is taken for it.
const APPLICATION_ID: i32 = 0x686b_6d6c;

/// Grows with every change of the tables.
const SCHEMA_VERSION: i32 = 3;

/// What makes the tables of each version those of the next, from version 1 on.
const STEPS: [&str; 2] = [
    "ALTER TABLE delivery ADD COLUMN replay TEXT; ALTER TABLE attempt ADD COLUMN replay TEXT;",
    "CREATE TABLE blob_part (blob BLOB NOT NULL, place INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (blob, place));",
];

const _: () = assert!(STEPS.len() as i32 + 1 == SCHEMA_VERSION, "a step is missing");

/// Older versions can lose a commit when a checkpoint races with a WAL reset (fixed in 3.51.3).
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// Tables are append-only with sequential keys where it matters, so that a group commit writes few pages:
/// a delivery's key is its event's number and its place in it, so no index joins them; the attempts of a delivery
/// are a list through `previous`, so no index gathers them; `event_index` is filled in large sorted batches; and
/// the two partial indexes never hear of a delivery that succeeds at once.
pub(super) const TABLES: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL, id TEXT NOT NULL,
  doctype TEXT NOT NULL, doc_event TEXT NOT NULL, document TEXT NOT NULL,
  occurred_at TEXT NOT NULL,     -- RFC 3339, in the publisher's own precision
  received_at INTEGER NOT NULL,  -- this and every other time: microseconds since 1970, UTC
  content BLOB NOT NULL,         -- SHA-256, tells a repeat from another event with the same id
  user TEXT, meta TEXT, doc TEXT NOT NULL, before TEXT);
CREATE TABLE event_index (key INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (key, seq)) WITHOUT ROWID;

CREATE TABLE webhook_name (
  id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (tenant, name));

CREATE TABLE delivery (
  key INTEGER PRIMARY KEY,       -- event.seq * 65536 + place among the event's deliveries
  webhook INTEGER NOT NULL,      -- webhook_name.id
  state TEXT NOT NULL,
  due INTEGER,
  later INTEGER NOT NULL,        -- 1 once tried or set aside: then `delivery_waiting` knows it while pending
  tries INTEGER NOT NULL, attempts INTEGER NOT NULL,
  last_attempt INTEGER,          -- attempt.seq
  kept INTEGER,                  -- attempt.seq of the one whose request a retry sends again
  last_status INTEGER,           -- of the last answer
  reason TEXT,
  replay TEXT);                  -- JSON: its last replay; of an attempt: the one that it is part of
CREATE INDEX delivery_waiting ON delivery (key, due) WHERE state = 'pending' AND later = 1;
CREATE INDEX delivery_trouble ON delivery (state, key) WHERE state = 'parked' OR state = 'dead';

CREATE TABLE attempt (
  seq INTEGER PRIMARY KEY,
  delivery INTEGER NOT NULL,
  previous INTEGER,              -- attempt.seq of the delivery's attempt before this
  sent INTEGER,                  -- attempt.seq of the one that holds the request that this one sent
  at INTEGER NOT NULL, outcome TEXT NOT NULL, duration_ms INTEGER NOT NULL,
  request TEXT, request_body,    -- bodies are text where they are UTF-8, else blobs
  response TEXT, response_body,
  plugin TEXT, judge TEXT, error TEXT, replay TEXT);

CREATE TABLE config (
  kind TEXT NOT NULL, tenant TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (kind, tenant, name)) WITHOUT ROWID;

-- A blob's first part, with which it is there, and the others.
CREATE TABLE blob (digest BLOB PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE blob_part (blob BLOB NOT NULL, place INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (blob, place));
";

/// Opens the connection of the writer and brings the file to this version's tables.
pub(super) fn open_writer(dir: &Path, options: &SqliteOptions) -> Result<Connection, Trouble> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        let cause = format!("SQLite {} is older than 3.51.3, which never loses a commit", rusqlite::version());
        return Err(Trouble::new(StoreErrorKind::Unavailable, cause));
    }
    check_log(&dir.join(LOG_NAME))?;
    let mut db = Connection::open_with_flags(
        dir.join(FILE_NAME),
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    close_without_checkpoint(&db, true)?;
    db.busy_timeout(options.lock_timeout)?;
    db.set_prepared_statement_cache_capacity(64);
    // The page size counts only while the file is empty.
    db.pragma_update(None, "page_size", options.page_size)?;
    let known = check_kind(&db)?;
    if known.is_some() {
        check_pages(&db, dir, options)?;
    }
    turn_log_on(&db)?;
    db.pragma_update(None, "synchronous", if options.sync_each_commit { "full" } else { "normal" })?;
    // The writer checkpoints by itself, after it has answered: SQLite's own checkpoint hides a failed sync.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "journal_size_limit", 4 * options.checkpoint_bytes)?;
    db.pragma_update(None, "cache_size", -(options.cache_bytes / 1024))?;
    db.pragma_update(None, "temp_store", "memory")?;
    take_over_log(&db, dir)?;
    if let Some(bytes) = options.file_bytes_max {
        db.pragma_update_and_check(None, "max_page_count", (bytes / options.page_size).max(1), |_| Ok(()))?;
    }
    bring_up_to_date(&mut db, known)?;
    Ok(db)
}

/// Makes the tables of a new file, or turns those of an older version into this one's: whole, or not at all.
fn bring_up_to_date(db: &mut Connection, known: Option<i32>) -> Result<(), Trouble> {
    if known == Some(SCHEMA_VERSION) {
        return Ok(());
    }
    let change = db.transaction()?;
    match known {
        None => {
            change.execute_batch(TABLES)?;
            change.pragma_update(None, "application_id", APPLICATION_ID)?;
        }
        Some(version) => {
            for step in STEPS.iter().skip(usize::try_from(version - 1).unwrap_or(0)) {
                change.execute_batch(step)?;
            }
        }
    }
    change.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    change.commit()?;
    Ok(())
}

/// Says whether closing the last connection leaves the log alone. After a failed sync it must: moving the log would
/// sync again, hear yes and remove the only good copy.
pub(super) fn close_without_checkpoint(db: &Connection, without: bool) -> Result<(), Trouble> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, without)?;
    Ok(())
}

/// Makes the file one with a write-ahead log, if it is not yet.
fn turn_log_on(db: &Connection) -> Result<(), Trouble> {
    let mut statement = db.prepare("PRAGMA journal_mode = wal")?;
    let mut rows = statement.query([])?;
    let mut mode = String::new();
    // To the end: the change is committed after the row that tells of it, and that commit can fail.
    while let Some(row) = rows.next()? {
        mode = row.get(0)?;
    }
    if mode == "wal" {
        return Ok(());
    }
    let cause = format!("{FILE_NAME} can't have a write-ahead log here; put the data directory on a local disk");
    Err(Trouble::new(StoreErrorKind::Unavailable, cause))
}

/// Makes sure of what an earlier process left in the log, and moves it into the database, before anything is written
/// behind it.
fn take_over_log(db: &Connection, dir: &Path) -> Result<(), Trouble> {
    // Nobody else writes meanwhile.
    db.execute_batch("BEGIN IMMEDIATE")?;
    let path = dir.join(LOG_NAME);
    let log = log_file::write_anew(&path).map_err(|error| io_trouble("write anew", &path, &error))?;
    log.map_or(Ok(()), |log| log.sync_all()).map_err(|error| sync_trouble(&path, &error))?;
    db.execute_batch("COMMIT")?;
    move_log(db)
}

/// Moves the log into the database.
pub(super) fn move_log(db: &Connection) -> Result<(), Trouble> {
    let mut statement = db.prepare("PRAGMA wal_checkpoint(PASSIVE)")?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// Opens a connection that can't write.
pub(super) fn open_reader(dir: &Path) -> Result<Connection, Trouble> {
    let db = Connection::open_with_flags(
        dir.join(FILE_NAME),
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    close_without_checkpoint(&db, true)?;
    db.busy_timeout(Duration::from_secs(10))?;
    db.set_prepared_statement_cache_capacity(64);
    db.pragma_update(None, "query_only", true)?;
    Ok(db)
}

/// Refuses a log with damage that SQLite would take for its end.
fn check_log(path: &Path) -> Result<(), Trouble> {
    match log_check::damage(path).map_err(|error| io_trouble("read", path, &error))? {
        None => Ok(()),
        Some(what) => Err(Trouble::new(StoreErrorKind::Damaged, format!("{LOG_NAME}: {what}"))),
    }
}

/// Refuses a file whose pages don't fit together. A large one takes long to read, so only the small tables of it are
/// checked, without which the engine would start as if nothing had been set up.
fn check_pages(db: &Connection, dir: &Path, options: &SqliteOptions) -> Result<(), Trouble> {
    let path = dir.join(FILE_NAME);
    let len = path.metadata().map_err(|error| io_trouble("read", &path, &error))?.len();
    let whole = ["PRAGMA quick_check(1)"].as_slice();
    let small =
        ["PRAGMA quick_check(meta)", "PRAGMA quick_check(webhook_name)", "PRAGMA quick_check(config)"].as_slice();
    for sql in if len <= options.check_bytes_max { whole } else { small } {
        let found = match db.query_row(sql, [], |row| row.get::<_, String>(0)).map_err(Trouble::from) {
            Err(trouble) if trouble.kind == StoreErrorKind::Damaged => trouble.cause,
            found => found?,
        };
        if found != "ok" {
            let cause = format!("the check of {FILE_NAME} ({sql}) found: {}", found.trim().replace('\n', "; "));
            return Err(Trouble::new(StoreErrorKind::Damaged, cause));
        }
    }
    Ok(())
}

/// Returns the version of our tables in the file, none in an empty one; a file that is neither is refused.
fn check_kind(db: &Connection) -> Result<Option<i32>, Trouble> {
    let number = |pragma| db.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let objects: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let cause = match (application, version, objects) {
        (APPLICATION_ID, version @ 1..=SCHEMA_VERSION, 1..) => return Ok(Some(version)),
        (0, 0, 0) => return Ok(None),
        (APPLICATION_ID, newer, _) if newer > SCHEMA_VERSION => {
            format!("{FILE_NAME} has version {newer}, this hookmill reads up to {SCHEMA_VERSION}; use a newer one")
        }
        (APPLICATION_ID, ..) => format!("{FILE_NAME} lacks its tables"),
        _ => format!("{FILE_NAME} is a database of another program"),
    };
    Err(Trouble::new(StoreErrorKind::Damaged, cause))
}
