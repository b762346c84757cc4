//! One process at a time has a store open.

use std::path::Path;

use hookmill_core::ports::{Store as _, StoreErrorKind};
use hookmill_store::{SqliteOptions, SqliteStore};

use crate::Sqlite;
use crate::sqlite::{append, pending_count, refused};

#[tokio::test]
async fn a_second_open_is_refused_until_the_first_is_closed() {
    let subject = Sqlite::new(SqliteOptions::default());
    assert_eq!(refused(subject.dir.path()).kind, StoreErrorKind::InUse);
    append(&subject.store, "E-1", 10).await.unwrap();
    subject.store.close().await;
    let second = SqliteStore::open(subject.dir.path(), SqliteOptions::default()).unwrap();
    assert_eq!(pending_count(&second).await, 1);
    assert_eq!(append(&subject.store, "E-2", 10).await.unwrap_err().kind, StoreErrorKind::Unavailable);
    assert_eq!(subject.store.config("x").await.unwrap_err().kind, StoreErrorKind::Unavailable);
    drop(second);
    drop(SqliteStore::open(subject.dir.path(), SqliteOptions::default()).unwrap());
}

/// Returns copies of all that this process has open in `dir`, as a child has them until its program runs.
#[cfg(target_os = "linux")]
fn copies_of_open_files(dir: &Path) -> Vec<rustix::fd::OwnedFd> {
    let this = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty()).unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
        let entry = entry.unwrap();
        let of_the_store = std::fs::read_link(entry.path()).is_ok_and(|file| file.starts_with(dir));
        of_the_store.then(|| entry.file_name().to_str().unwrap().parse().unwrap())
    });
    let numbers: Vec<i32> = open.collect();
    let copy = |number| rustix::process::pidfd_getfd(&this, number, rustix::process::PidfdGetfdFlags::empty());
    numbers.into_iter().map(|number| copy(number).unwrap()).collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_closed_store_is_free_while_a_child_that_is_being_started_still_has_its_files() {
    let subject = Sqlite::new(SqliteOptions::default());
    let copies = copies_of_open_files(subject.dir.path());
    assert!(copies.len() >= 2, "the database and the lock: {copies:?}");
    subject.store.close().await;
    SqliteStore::open(subject.dir.path(), SqliteOptions::default()).expect("nobody has it open");
}
