//! Files that were damaged: the store does not start on what is left of them, and says what is wrong and what to do.

use std::fs;
use std::path::Path;

use hookmill_core::Explain as _;
use hookmill_core::ports::StoreErrorKind;
use hookmill_store::{SqliteOptions, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::sqlite::{append, pending_count};

const FILE: &str = "hookmill.db";
const LOG: &str = "hookmill.db-wal";
/// Bytes of a page, and of a frame of the log.
const PAGE: usize = 8192;
const FRAME: usize = PAGE + 24;
const LOG_HEADER: usize = 32;

/// A directory as a crash leaves it, with a log of many transactions, or as a clean end does.
async fn directory(crashed: bool) -> TempDir {
    let home = TempDir::new().unwrap();
    let store = SqliteStore::open(home.path(), SqliteOptions::default()).unwrap();
    for n in 0..30 {
        append(&store, &format!("E-{n}"), 3000).await.unwrap();
    }
    if !crashed {
        store.close().await;
        return home;
    }
    let copy = TempDir::new().unwrap();
    for name in [FILE, LOG] {
        fs::copy(home.path().join(name), copy.path().join(name)).unwrap();
    }
    copy
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

/// Opening is refused with this in the message, the way to salvage is told, and the files are as they were.
fn refused(dir: &Path, cause: &str) {
    // SQLite makes an empty log where there is none.
    let files = || [FILE, LOG].map(|name| fs::read(dir.join(name)).unwrap_or_default());
    let before = files();
    let error = SqliteStore::open(dir, SqliteOptions::default()).expect_err("this must not open");
    assert_eq!((error.kind, error.code()), (StoreErrorKind::Damaged, "store_damaged"), "{error}");
    assert!(error.to_string().contains(cause), "{error}");
    assert!(error.help().unwrap().contains("hookmill salvage --data"));
    assert!(files() == before, "a file was touched");
}

#[tokio::test]
async fn damage_in_the_log_is_not_taken_for_its_end() {
    let home = directory(true).await;
    let log = home.path().join(LOG);
    let whole = fs::read(&log).unwrap();
    let frames = (whole.len() - LOG_HEADER) / FRAME;
    assert!(frames > 60, "{frames} frames");
    let mut refusals = 0;
    for frame in 0..frames - 12 {
        for at in [9, 100, FRAME - 1] {
            fs::write(&log, &whole).unwrap();
            change(&log, |bytes| bytes[LOG_HEADER + frame * FRAME + at] ^= 0x10);
            refused(home.path(), "hookmill.db-wal: a frame is not what was written");
            refusals += 1;
        }
    }
    assert!(refusals > 150);
    fs::write(&log, &whole).unwrap();
    change(&log, |bytes| bytes[17] ^= 1);
    refused(home.path(), "hookmill.db-wal: its header is not what was written");

    fs::write(&log, &whole).unwrap();
    let store = SqliteStore::open(home.path(), SqliteOptions::default()).unwrap();
    assert_eq!(pending_count(&store).await, 30, "unharmed, it opens");
}

/// What a cut leaves is not damage: the last transaction was not acknowledged yet.
#[tokio::test]
async fn a_torn_end_of_the_log_is_cut_off() {
    let home = directory(true).await;
    let log = home.path().join(LOG);
    let len = fs::read(&log).unwrap().len();
    change(&log, |bytes| bytes[len - 5] ^= 1);
    let store = SqliteStore::open(home.path(), SqliteOptions::default()).unwrap();
    assert_eq!(pending_count(&store).await, 29);
}

#[tokio::test]
async fn damaged_pages_are_found_at_the_start() {
    let home = directory(false).await;
    let file = home.path().join(FILE);
    let whole = fs::read(&file).unwrap();
    let pages = whole.len() / PAGE;
    let mut refusals = 0;
    for page in 0..pages {
        fs::write(&file, &whole).unwrap();
        // The head of a page says how it is laid out.
        change(&file, |bytes| bytes[page * PAGE..page * PAGE + 8].fill(0xA5));
        // The first 8 bytes of the file say what it is; those of a page that continues a document are text.
        let opened = SqliteStore::open(home.path(), SqliteOptions::default());
        match opened {
            Err(error) => {
                assert_eq!(error.kind, StoreErrorKind::Damaged, "page {page}: {error}");
                refusals += 1;
            }
            Ok(store) => store.close().await,
        }
    }
    assert!(refusals > pages / 2, "{refusals} of {pages}");

    fs::write(&file, &whole).unwrap();
    let root: usize = {
        let db = Connection::open(&file).unwrap();
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'attempt'";
        db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().try_into().unwrap()
    };
    change(&file, |bytes| bytes[(root - 1) * PAGE..root * PAGE].fill(0xA5));
    refused(home.path(), "the check of hookmill.db");
}

#[tokio::test]
async fn a_file_that_was_cut_short_is_refused() {
    let home = directory(false).await;
    let file = home.path().join(FILE);
    change(&file, |bytes| bytes.truncate(bytes.len() - 3 * PAGE));
    refused(home.path(), "malformed");
    change(&file, |bytes| bytes.truncate(PAGE / 2));
    refused(home.path(), "malformed");
}

/// A large file is not read whole at each start; what the engine can't start without is.
#[tokio::test]
async fn of_a_large_file_the_small_tables_are_checked() {
    let home = directory(false).await;
    let file = home.path().join(FILE);
    let mut options = SqliteOptions::default();
    options.check_bytes_max = 0;
    let root = |table: &str| -> usize {
        let db = Connection::open(&file).unwrap();
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?";
        db.query_row(sql, [table], |row| row.get::<_, i64>(0)).unwrap().try_into().unwrap()
    };
    let config = root("config");
    change(&file, |bytes| bytes[(config - 1) * PAGE..config * PAGE].fill(0xA5));
    let error = SqliteStore::open(home.path(), options).expect_err("this must not open");
    assert_eq!(error.kind, StoreErrorKind::Damaged, "{error}");
    assert!(error.to_string().contains("the check of hookmill.db"), "{error}");
}
