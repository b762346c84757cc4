//! What only a file can go through: damage, crashes, a full disk, a failing disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hookmill_core::ports::{
    Appended, DeliveryKey, Fence, NewAttempt, NewEvent, Record, Reopen, RetentionPolicy, Store as _, StoreError,
    StoreErrorKind,
};
use hookmill_core::{
    Attempt, DeliveryId, DeliveryState, DeliveryStatus, Digest, Event, EventId, JsonText, RedeliverMode, Replay,
    TenantId, WebhookName,
};
use hookmill_store::conformance::Subject as _;
use hookmill_store::{SqliteOptions, SqliteStore};
use jiff::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::Sqlite;

const FILE: &str = "hookmill.db";

fn event(id: &str, doc_bytes: usize) -> NewEvent {
    let event = Event {
        id: EventId::new(id).unwrap(),
        tenant: TenantId::default_tenant(),
        doctype: "Note".into(),
        doc_event: "on_update".into(),
        document: id.into(),
        occurred_at: Timestamp::UNIX_EPOCH,
        user: None,
        doc: JsonText::parse(&format!(r#"{{"name":"{id}","text":"{:x>doc_bytes$}"}}"#, "")).unwrap(),
        before: None,
        meta: [].into(),
    };
    let webhook = WebhookName::new("one").unwrap();
    let id = DeliveryId::of(&event.tenant, &event.id, &webhook);
    NewEvent {
        content: event.content_digest(),
        deliveries: vec![(webhook, id)],
        received_at: Timestamp::UNIX_EPOCH,
        event: Arc::new(event),
    }
}

pub(crate) async fn append(store: &SqliteStore, id: &str, doc_bytes: usize) -> Result<Appended, StoreError> {
    Ok(store.append(vec![Record::Event(event(id, doc_bytes))], Fence(0)).await?.remove(0))
}

pub(crate) fn delivered(delivery: DeliveryKey) -> Record {
    let attempt = Attempt {
        at: Timestamp::UNIX_EPOCH,
        outcome: "delivered".into(),
        request: None,
        response: None,
        duration_ms: 1,
        plugin: None,
        judge: None,
        error: None,
        replay: None,
    };
    let status = DeliveryStatus { state: DeliveryState::Delivered, reason: None, next_attempt_at: None };
    Record::Attempt(Arc::new(NewAttempt { delivery, attempt, status }))
}

pub(crate) async fn pending_count(store: &SqliteStore) -> usize {
    store.pending(None, Timestamp::MAX, usize::MAX >> 1).await.unwrap().len()
}

pub(crate) fn refused(dir: &Path) -> StoreError {
    SqliteStore::open(dir, SqliteOptions::default()).expect_err("this must not open")
}

#[test]
fn files_that_are_not_ours_are_refused_and_left_alone() {
    let check = |make: &dyn Fn(&Path), cause: &str| {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join(FILE);
        make(&file);
        let before = std::fs::read(&file).unwrap();
        let error = refused(dir.path());
        assert_eq!(error.kind, StoreErrorKind::Damaged, "{error}");
        assert!(error.to_string().contains(cause), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), before);
    };
    let sql = |file: &Path, sql: &str| Connection::open(file).unwrap().execute_batch(sql).unwrap();
    check(&|file| std::fs::write(file, vec![b'?'; 9000]).unwrap(), "not a database");
    check(&|file| sql(file, "CREATE TABLE theirs (a)"), "of another program");
    let make_ours = |file: &Path| drop(SqliteStore::open(file.parent().unwrap(), SqliteOptions::default()).unwrap());
    let newer = |file: &Path| {
        make_ours(file);
        sql(file, "PRAGMA user_version = 99");
    };
    check(&newer, "use a newer one");
    let torn = |file: &Path| {
        make_ours(file);
        let mut bytes = std::fs::read(file).unwrap();
        bytes[100..5000].fill(0xAA);
        std::fs::write(file, bytes).unwrap();
    };
    check(&torn, "malformed");
}

/// A process that ended while it wrote a blob, or deleted one, leaves nothing behind.
#[tokio::test]
async fn parts_of_a_blob_that_is_not_there_are_gone_after_a_restart() {
    let mut options = SqliteOptions::default();
    options.blob_part_bytes = 100_000;
    let mut subject = Sqlite::new(options);
    let bytes = vec![7; 300_000];
    subject.store.blob_put(Digest::of(&bytes), bytes.clone()).await.unwrap();
    subject.store.close().await;
    let file = subject.dir.path().join(FILE);
    let parts = || -> i64 {
        let db = Connection::open(&file).unwrap();
        db.query_row("SELECT count(*) FROM blob_part", [], |row| row.get(0)).unwrap()
    };
    let of_another = "INSERT INTO blob_part SELECT x'00', place, bytes FROM blob_part";
    Connection::open(&file).unwrap().execute_batch(of_another).unwrap();
    assert_eq!(parts(), 4);
    subject.reopen().await;
    assert_eq!(subject.store.blob_get(Digest::of(&bytes)).await.unwrap(), Some(bytes));
    subject.store.close().await;
    assert_eq!(parts(), 2);
}

/// The tables of version 1 are those of today without what a replay says of itself, and whole blobs.
#[tokio::test]
async fn a_file_of_an_older_version_is_brought_up_to_date_with_all_that_is_in_it() {
    let mut subject = Sqlite::new(SqliteOptions::default());
    append(&subject.store, "E-1", 10).await.unwrap();
    let Ok(Appended::Stored(keys)) = append(&subject.store, "E-2", 10).await else { panic!("it is new") };
    subject.store.append(vec![delivered(keys[0])], Fence(0)).await.unwrap();
    subject.store.close().await;
    let older = "ALTER TABLE delivery DROP COLUMN replay; ALTER TABLE attempt DROP COLUMN replay;
        DROP TABLE blob_part; PRAGMA user_version = 1;";
    Connection::open(subject.dir.path().join(FILE)).unwrap().execute_batch(older).unwrap();
    for _ in 0..2 {
        subject.reopen().await;
        assert_eq!(pending_count(&subject.store).await, 1);
        let replay = Replay::after(None, RedeliverMode::AsSent, Timestamp::UNIX_EPOCH, None);
        let reopen = Reopen { delivery: keys[0], replay: replay.clone(), due: Timestamp::UNIX_EPOCH };
        subject.store.append(vec![Record::Reopen(reopen)], Fence(0)).await.unwrap();
        let pending = subject.store.pending(None, Timestamp::MAX, 9).await.unwrap();
        assert_eq!(pending.iter().map(|one| one.replay.clone()).collect::<Vec<_>>(), [None, Some(replay)]);
        subject.store.append(vec![delivered(keys[0])], Fence(0)).await.unwrap();
    }
}

#[test]
fn sqlite_is_new_enough_and_the_directory_is_private() {
    assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("a/b");
    let store = SqliteStore::open(&dir, SqliteOptions::default()).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    }
    assert!(!store.failed());
}

/// What is in the files when the process vanishes is what a copy of them holds.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_in_the_files_at_that_moment() {
    let mut options = SqliteOptions::default();
    // Checkpoints and index batches fall between the copies.
    (options.checkpoint_bytes, options.index_batch) = (100_000, 50);
    let subject = Sqlite::new(options);
    for round in 0..6 {
        let mut calls = JoinSet::new();
        for n in 0..60 {
            let store = Arc::clone(&subject.store);
            calls.spawn(async move { append(&store, &format!("E-{round}-{n}"), 500).await.unwrap() });
        }
        calls.join_all().await;
        let copy = TempDir::new().unwrap();
        for name in [FILE, "hookmill.db-wal"] {
            std::fs::copy(subject.dir.path().join(name), copy.path().join(name)).unwrap();
        }
        let store = SqliteStore::open(copy.path(), SqliteOptions::default()).unwrap();
        assert_eq!(pending_count(&store).await, 60 * (round + 1));
        for round in 0..=round {
            let repeat = append(&store, &format!("E-{round}-7"), 500).await.unwrap();
            assert!(matches!(repeat, Appended::Duplicate { same_content: true, .. }), "{repeat:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_late_index_hides_no_repeat() {
    let mut options = SqliteOptions::default();
    options.index_batch = 300;
    let mut subject = Sqlite::new(options);
    for n in 0..1000 {
        append(&subject.store, &format!("E-{n}"), 10).await.unwrap();
    }
    let indexed = |dir: &Path| -> i64 {
        let db = Connection::open(dir.join(FILE)).unwrap();
        db.query_row("SELECT count(*) FROM event_index", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(indexed(subject.dir.path()), 900, "three batches, the rest in memory");
    for _ in 0..2 {
        for n in (0..1000).step_by(7).chain([299, 300, 899, 900, 999]) {
            let repeat = append(&subject.store, &format!("E-{n}"), 10).await.unwrap();
            assert!(matches!(repeat, Appended::Duplicate { same_content: true, .. }), "{n}: {repeat:?}");
        }
        assert!(subject.reopen().await);
    }
    assert_eq!(indexed(subject.dir.path()), 900);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_acknowledges_nothing_and_is_got_over() {
    let mut options = SqliteOptions::default();
    options.file_bytes_max = Some(1 << 20);
    let mut subject = Sqlite::new(options);
    let mut keys: Vec<DeliveryKey> = vec![];
    let mut full = 0;
    for round in 0..40 {
        let mut calls = JoinSet::new();
        for n in 0..8 {
            let store = Arc::clone(&subject.store);
            calls.spawn(async move { append(&store, &format!("E-{round}-{n}"), 20_000).await });
        }
        for answer in calls.join_all().await {
            match answer {
                Ok(Appended::Stored(new)) => keys.extend(new),
                Ok(other) => panic!("{other:?}"),
                Err(error) => {
                    assert_eq!(error.kind, StoreErrorKind::Full, "{error}");
                    full += 1;
                }
            }
        }
    }
    assert!(full > 8 && keys.len() > 16, "{full} refused, {} stored", keys.len());
    assert!(!subject.store.failed());
    assert_eq!(pending_count(&subject.store).await, keys.len(), "just what was acknowledged");
    subject.reopen().await;
    assert_eq!(pending_count(&subject.store).await, keys.len());

    // Attempts are small; they find room, or the reopened file was checkpointed into some.
    for key in keys.iter().take(10) {
        subject.store.append(vec![delivered(*key)], Fence(0)).await.unwrap();
    }
    let policy = RetentionPolicy { settled_before: Timestamp::MAX, bytes_max: None, batch: 100 };
    assert_eq!(subject.store.retain(policy).await.unwrap(), 10);
    assert!(append(&subject.store, "after", 20_000).await.is_ok(), "there is room again");
}

/// Two calls of one group: the small one that settles must not wait for room that only the large one lacks.
#[tokio::test(flavor = "multi_thread")]
async fn what_settles_finds_room_beside_events_that_do_not() {
    let mut options = SqliteOptions::default();
    options.file_bytes_max = Some(1 << 20);
    let subject = Sqlite::new(options);
    let mut keys: Vec<DeliveryKey> = vec![];
    for n in 0..25 {
        let answer = append(&subject.store, &format!("E-{n}"), 20_000).await.unwrap();
        let Appended::Stored(new) = answer else { panic!("{answer:?}") };
        keys.extend(new);
    }
    let mut calls = JoinSet::new();
    for (n, key) in keys.iter().copied().take(20).enumerate() {
        for call in 0..4 {
            let store = Arc::clone(&subject.store);
            let large = (0..8).map(|part| Record::Event(event(&format!("L-{n}-{call}-{part}"), 60_000))).collect();
            calls.spawn(async move { store.append(large, Fence(0)).await.is_ok() });
        }
        let store = Arc::clone(&subject.store);
        calls.spawn(async move {
            store.append(vec![delivered(key)], Fence(0)).await.expect("what settles is small");
            false
        });
    }
    assert!(calls.join_all().await.iter().all(|stored| !stored), "no large event found room");
    assert_eq!(pending_count(&subject.store).await, keys.len() - 20);
}

#[tokio::test]
async fn what_is_kept_free_is_for_what_settles() {
    let mut subject = Sqlite::new(SqliteOptions::default());
    let Appended::Stored(keys) = append(&subject.store, "E-1", 10).await.unwrap() else { panic!("it is new") };
    subject.options.reserve_bytes = Some(u64::MAX);
    subject.reopen().await;
    let error = append(&subject.store, "E-2", 10).await.expect_err("no device has so much");
    assert_eq!(error.kind, StoreErrorKind::Full, "{error}");
    assert_eq!(
        subject.store.blob_put(Digest::of(&[1]), vec![1]).await.expect_err("nor for this").kind,
        StoreErrorKind::Full
    );
    subject.store.append(vec![delivered(keys[0])], Fence(0)).await.expect("it settles");
    assert_eq!(pending_count(&subject.store).await, 0);
}

/// Room that retention made is used again: the file does not grow with what passes through it.
#[tokio::test(flavor = "multi_thread")]
async fn the_file_stays_small_however_much_passes_through_it() {
    const BYTES_MAX: u64 = 1 << 20;
    let mut options = SqliteOptions::default();
    (options.checkpoint_bytes, options.index_batch) = (100_000, 50);
    let mut subject = Sqlite::new(options);
    let policy = RetentionPolicy { settled_before: Timestamp::MIN, bytes_max: Some(BYTES_MAX), batch: 20 };
    let (mut forgotten, mut largest) = (0, 0);
    for round in 0..40 {
        for n in 0..20 {
            let answer = append(&subject.store, &format!("E-{round}-{n}"), 10_000).await.unwrap();
            let Appended::Stored(keys) = answer else { panic!("{answer:?}") };
            subject.store.append(vec![delivered(keys[0])], Fence(0)).await.unwrap();
        }
        loop {
            match subject.store.retain(policy).await.unwrap() {
                0 => break,
                gone => forgotten += gone,
            }
        }
        let files = [FILE, "hookmill.db-wal"].map(|name| subject.dir.path().join(name).metadata().unwrap().len());
        largest = largest.max(files.iter().sum());
        if round % 10 == 9 {
            assert!(subject.reopen().await);
        }
    }
    assert!(forgotten > 650, "{forgotten} of 800 were forgotten, of 8 MB");
    assert!(largest < 3 * BYTES_MAX, "{largest} bytes");
}

#[tokio::test]
async fn a_lock_of_another_program_is_waited_out() {
    let mut options = SqliteOptions::default();
    options.lock_timeout = Duration::from_millis(20);
    let subject = Sqlite::new(options);
    append(&subject.store, "before", 10).await.unwrap();
    let other = Connection::open(subject.dir.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(append(&subject.store, "meanwhile", 10).await.unwrap_err().kind, StoreErrorKind::Busy);
    other.execute_batch("ROLLBACK").unwrap();
    append(&subject.store, "meanwhile", 10).await.unwrap();
    assert_eq!(pending_count(&subject.store).await, 2);
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_its_owners_even_in_a_directory_open_to_all() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::new().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let store = SqliteStore::open(dir.path(), SqliteOptions::default()).unwrap();
    append(&store, "E-1", 10).await.unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap().flatten() {
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", entry.path().display());
    }
}

/// A write that fails for another reason than room puts the file in doubt. The shell limits the size of files and
/// ignores the signal that comes with it, so that SQLite meets a real error of the system.
#[cfg(unix)]
#[test]
fn an_io_error_ends_all_acknowledgement() {
    const CHILD: &str = "HOOKMILL_STORE_TEST_OF_IO_ERRORS";
    if std::env::var_os(CHILD).is_some() {
        tokio::runtime::Runtime::new().unwrap().block_on(until_the_disk_fails());
        return;
    }
    let output = std::process::Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -f 2000; exec "$0" --exact "$1""#])
        .arg(std::env::current_exe().unwrap())
        .arg("sqlite::an_io_error_ends_all_acknowledgement")
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(unix)]
async fn until_the_disk_fails() {
    let subject = Sqlite::new(SqliteOptions::default());
    let mut stored = 0;
    let error = loop {
        match append(&subject.store, &format!("E-{stored}"), 20_000).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 1000, "the limit of the file's size is not met");
    };
    assert_eq!(error.kind, StoreErrorKind::Unavailable, "{error}");
    assert!(subject.store.failed() && stored > 10);
    for bytes in [10, 20_000] {
        let error = append(&subject.store, "later", bytes).await.expect_err("never again");
        assert_eq!(error.kind, StoreErrorKind::Unavailable);
        assert!(error.cause.contains("restart"), "{error}");
    }
    assert_eq!(subject.store.lease(0).await.expect_err("never again").kind, StoreErrorKind::Unavailable);
    assert_eq!(pending_count(&subject.store).await, stored, "reading goes on");
}
