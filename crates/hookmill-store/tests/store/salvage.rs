//! What is read of damaged files into new ones: all that the damage did not hit.

use std::fs;
use std::path::Path;

use hookmill_core::ports::{
    Appended, ConfigKey, DeliveryKey, DeliveryQuery, Fence, Revision, Store as _, StoreErrorKind,
};
use hookmill_core::{DeliveryState, Digest, TenantId};
use hookmill_store::{Salvaged, SqliteOptions, SqliteStore, salvage};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::sqlite::{append, delivered, pending_count};

const FILE: &str = "hookmill.db";
const PAGE: usize = 8192;
const EVENTS: usize = 400;
const WEBHOOKS: usize = 30;
static BLOB: [u8; 50_000] = [7; 50_000];

fn place(number: usize) -> ConfigKey {
    ConfigKey { tenant: TenantId::default_tenant(), kind: "webhook", name: format!("W-{number}") }
}

/// A store with events of which every other one is delivered, configuration and a blob, closed in good order.
async fn directory() -> TempDir {
    let home = TempDir::new().unwrap();
    let mut options = SqliteOptions::default();
    options.blob_part_bytes = 20_000;
    let store = SqliteStore::open(home.path(), options).unwrap();
    for n in 0..EVENTS {
        let answer = append(&store, &format!("E-{n}"), if n % 10 == 0 { 20_000 } else { 700 }).await.unwrap();
        let Appended::Stored(keys) = answer else { panic!("{answer:?}") };
        if n % 2 == 0 {
            store.append(vec![delivered(keys[0])], Fence(0)).await.unwrap();
        }
    }
    for number in 0..WEBHOOKS {
        store.put_config(place(number), Some(format!("{number:0>900}")), Revision(0)).await.unwrap();
    }
    store.blob_put(Digest::of(&BLOB), BLOB.to_vec()).await.unwrap();
    store.close().await;
    home
}

fn salvaged(from: &Path) -> (Salvaged, TempDir) {
    let before = fs::read(from.join(FILE)).unwrap();
    let to = TempDir::new().unwrap();
    let salvaged = salvage(from, &to.path().join("new")).unwrap();
    assert!(fs::read(from.join(FILE)).unwrap() == before, "the old file was touched");
    (salvaged, to)
}

/// Opens what was salvaged and checks that what it says of itself is there, and whole.
async fn check(salvaged: &Salvaged, new: &Path) -> Vec<(String, DeliveryKey, DeliveryState)> {
    let store = SqliteStore::open(new, SqliteOptions::default()).unwrap();
    let page = store.search(&TenantId::default_tenant(), &DeliveryQuery::default(), None, 10_000).await.unwrap();
    assert_eq!(page.rows.len() as u64, salvaged.deliveries.read);
    let mut attempts = 0;
    for row in &page.rows {
        let detail = store.delivery(&TenantId::default_tenant(), row.id).await.unwrap().unwrap();
        assert!(detail.event.doc.as_str().contains(detail.event.id.as_str()), "{}", row.event_id);
        assert_eq!(detail.attempts.len(), usize::try_from(row.attempts).unwrap());
        attempts += detail.attempts.len() as u64;
        // A repeat is known, and a new event is taken.
        let repeat = append(
            &store,
            &row.event_id,
            detail.event.doc.as_str().len() - r#"{"name":"","text":""}"#.len() - row.event_id.len(),
        );
        assert!(matches!(repeat.await.unwrap(), Appended::Duplicate { same_content: true, .. }), "{}", row.event_id);
    }
    assert_eq!(attempts, salvaged.attempts.read);
    assert_eq!(store.config("webhook").await.unwrap().len() as u64, salvaged.config.read);
    let pending = page.rows.iter().filter(|row| row.status.state == DeliveryState::Pending).count();
    assert_eq!(pending_count(&store).await, pending);
    append(&store, "new", 10).await.unwrap();
    let found = page.rows.iter().map(|row| (row.event_id.clone(), row.key, row.status.state)).collect();
    store.close().await;
    found
}

#[tokio::test]
async fn of_a_whole_file_all_is_read() {
    let home = directory().await;
    let (salvaged, to) = salvaged(home.path());
    let read = |counted: hookmill_store::Counted| (counted.read, counted.lost);
    assert_eq!(read(salvaged.events), (EVENTS as u64, 0));
    assert_eq!(read(salvaged.deliveries), (EVENTS as u64, 0));
    assert_eq!(read(salvaged.attempts), (EVENTS as u64 / 2, 0));
    assert_eq!((read(salvaged.config), read(salvaged.blobs)), ((WEBHOOKS as u64, 0), (1, 0)));
    let new = SqliteStore::open(&to.path().join("new"), SqliteOptions::default()).unwrap();
    assert_eq!(new.blob_get(Digest::of(&BLOB)).await.unwrap(), Some(BLOB.to_vec()));
    new.close().await;
    let found = check(&salvaged, &to.path().join("new")).await;
    for (event, _, state) in found {
        let number: usize = event.trim_start_matches("E-").parse().unwrap();
        assert_eq!(state, if number.is_multiple_of(2) { DeliveryState::Delivered } else { DeliveryState::Pending });
    }
}

/// Whichever page is hit: what is read is whole, and the other pages are read.
#[tokio::test]
async fn around_a_damaged_page_everything_is_read() {
    let home = directory().await;
    let file = home.path().join(FILE);
    let whole = fs::read(&file).unwrap();
    let pages = whole.len() / PAGE;
    // Nothing leads into a table whose first page is gone; the tables beside it are read.
    let roots: Vec<usize> = {
        let db = Connection::open(&file).unwrap();
        let mut statement = db.prepare("SELECT rootpage FROM sqlite_schema WHERE type = 'table'").unwrap();
        let roots = statement.query_map([], |row| row.get::<_, i64>(0)).unwrap();
        roots.map(|root| usize::try_from(root.unwrap()).unwrap() - 1).collect()
    };
    let (mut least, mut losses) = (EVENTS as u64, 0);
    for page in (1..pages).filter(|page| page % 3 == 0 || roots.contains(page)) {
        let mut bytes = whole.clone();
        bytes[page * PAGE..(page + 1) * PAGE].fill(0xA5);
        fs::write(&file, &bytes).unwrap();
        let to = TempDir::new().unwrap();
        let salvaged = match salvage(home.path(), &to.path().join("new")) {
            Ok(salvaged) => salvaged,
            Err(error) => panic!("page {page} of {pages}: {error}"),
        };
        assert!(fs::read(&file).unwrap() == bytes, "the old file was touched");
        check(&salvaged, &to.path().join("new")).await;
        let read = salvaged.events.read;
        assert!(read + salvaged.events.lost >= EVENTS as u64, "page {page}: {salvaged:?}");
        if !roots.contains(&page) {
            losses += u64::from(read < EVENTS as u64);
            least = least.min(read);
        }
    }
    println!(
        "{pages} pages: {losses} of those that were hit had events; {least} of {EVENTS} events were read at least"
    );
    assert!(losses > 5 && least > EVENTS as u64 * 8 / 10, "{losses} losses, {least} read");
}

/// Damage inside a page, which nothing but the event's own digest shows.
#[tokio::test]
async fn a_document_that_is_not_what_was_written_is_not_taken() {
    let home = directory().await;
    let file = home.path().join(FILE);
    let mut bytes = fs::read(&file).unwrap();
    let mut random = StdRng::seed_from_u64(7);
    let texts: Vec<usize> = memmem(&bytes, b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    for _ in 0..5 {
        bytes[texts[random.random_range(0..texts.len())]] = b'y';
    }
    fs::write(&file, bytes).unwrap();
    let (salvaged, to) = salvaged(home.path());
    assert!((1..=5).contains(&salvaged.events.lost), "{salvaged:?}");
    assert_eq!(salvaged.events.read + salvaged.events.lost, EVENTS as u64);
    check(&salvaged, &to.path().join("new")).await;
}

fn memmem(bytes: &[u8], text: &[u8]) -> Vec<usize> {
    (0..bytes.len() - text.len()).filter(|at| bytes[*at..].starts_with(text)).collect()
}

#[tokio::test]
async fn a_store_in_use_and_one_that_is_there_are_left_alone() {
    let home = directory().await;
    let to = TempDir::new().unwrap();
    let store = SqliteStore::open(home.path(), SqliteOptions::default()).unwrap();
    assert_eq!(salvage(home.path(), to.path()).unwrap_err().kind, StoreErrorKind::InUse);
    store.close().await;
    salvage(home.path(), to.path()).unwrap();
    assert_eq!(salvage(home.path(), to.path()).unwrap_err().kind, StoreErrorKind::Conflict);
}
