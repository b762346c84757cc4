//! Both stores against the suite, and what only a file can go through.

#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test are tests too")]

use std::sync::Arc;

use async_trait::async_trait;
use hookmill_core::ports::Store;
use hookmill_store::conformance::Subject;
use hookmill_store::{MemoryStore, SqliteOptions, SqliteStore};
use tempfile::TempDir;

mod damage;
mod locks;
mod salvage;
mod sqlite;

#[derive(Default)]
struct Memory(Arc<MemoryStore>);

#[async_trait]
impl Subject for Memory {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0) as Arc<dyn Store>
    }

    async fn reopen(&mut self) -> bool {
        false
    }
}

/// A store in a directory of its own.
struct Sqlite {
    dir: TempDir,
    options: SqliteOptions,
    store: Arc<SqliteStore>,
}

impl Sqlite {
    fn new(options: SqliteOptions) -> Self {
        let dir = TempDir::new().unwrap();
        let store = Arc::new(SqliteStore::open(dir.path(), options.clone()).unwrap());
        Self { dir, options, store }
    }
}

#[async_trait]
impl Subject for Sqlite {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }

    async fn reopen(&mut self) -> bool {
        self.store.close().await;
        self.store = Arc::new(SqliteStore::open(self.dir.path(), self.options.clone()).unwrap());
        true
    }
}

mod memory_conforms {
    hookmill_store::conformance_tests!(crate::Memory::default());
}

mod sqlite_conforms {
    hookmill_store::conformance_tests!(crate::Sqlite::new(hookmill_store::SqliteOptions::default()));
}

/// With batches so small that everything moves from memory into the file all the time.
mod sqlite_with_tiny_batches_conforms {
    fn tiny() -> hookmill_store::SqliteOptions {
        let mut options = hookmill_store::SqliteOptions::default();
        (options.index_batch, options.fresh_max, options.checkpoint_bytes, options.readers) = (2, 3, 1, 1);
        options.blob_part_bytes = 50_000;
        options
    }

    hookmill_store::conformance_tests!(crate::Sqlite::new(tiny()));
}
