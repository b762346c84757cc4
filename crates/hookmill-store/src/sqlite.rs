//! The store in one SQLite file: opening, the channel to the writer, the pool of readers.
//!
//! Never runs SQLite on an async thread: writes go to the writer's own thread, reads to tokio's blocking pool.

mod apply;
mod blob;
mod home;
mod log_check;
mod log_file;
mod read;
mod retain;
mod room;
mod row;
mod salvage;
mod schema;
mod search;
mod shared;
mod trouble;
mod upkeep;
mod writer;

use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use hookmill_core::ports::{
    Appended, ConfigEntry, ConfigKey, DeliveryDetail, DeliveryKey, DeliveryQuery, DeliveryRow, Fence, Page, Pending,
    Record, RetentionPolicy, Revision, Store, StoreError, StoreErrorKind, Work,
};
use hookmill_core::{DeliveryId, Digest, TenantId};
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{Semaphore, mpsc, oneshot};

use home::{Lock, prepare, sync_dir};
use row::Row;
pub use salvage::{Counted, Salvaged, salvage};
use shared::Shared;
use trouble::{Trouble, io_trouble};
use writer::{Call, Job, Writer};

/// Calls that may wait for the writer; past that, a caller waits to be let in.
const QUEUE_MAX: usize = 1024;

/// Bytes of a blob that are written in a second, at most. The writer is free for others most of the time between two parts.
const BLOB_BYTES_PER_SEC: f64 = 12e6;

/// How a [`SqliteStore`] uses the machine. The defaults suit a small server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// Connections that read at the same time.
    pub readers: usize,
    /// Events that gather in memory before they go into the index of event ids. More means fewer bytes written,
    /// more memory, and a slower start.
    pub index_batch: usize,
    /// Deliveries never tried that memory holds; beyond, the older half is set aside in the file.
    pub fresh_max: usize,
    /// Bytes of pages that the writer keeps in memory.
    pub cache_bytes: i64,
    /// Length of the write-ahead log at which it is moved into the database.
    pub checkpoint_bytes: i64,
    /// Bytes of a page in a file that is yet to be made: a power of two from 512 to 65 536.
    pub page_size: i64,
    /// The most bytes that the database may have, the log not counted; beyond, the store is full.
    pub file_bytes_max: Option<i64>,
    /// Bytes that are kept free on the device: while less is left, the store is full for events and blobs, so that what
    /// becomes of the events it has can still be written. Without, 64 MiB, or a sixteenth of a device below 1 GiB.
    pub reserve_bytes: Option<u64>,
    /// The most bytes of a blob that are written at once; whatever else is to be written comes in between.
    pub blob_part_bytes: usize,
    /// Length up to which the whole file is checked for damage at the start; of a larger one, the small tables are.
    pub check_bytes_max: u64,
    /// How long to wait for another program that holds the file, such as `sqlite3` in a transaction.
    pub lock_timeout: Duration,
    /// Whether each commit is synced before it is answered. Without, a power cut takes what was acknowledged last:
    /// for measuring what the syncs cost, and for tests that must see the loss. Never for data.
    pub sync_each_commit: bool,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            readers: 4,
            index_batch: 32_768,
            fresh_max: 65_536,
            cache_bytes: 32 << 20,
            checkpoint_bytes: 32 << 20,
            page_size: 8192,
            file_bytes_max: None,
            reserve_bytes: None,
            blob_part_bytes: 64 << 10,
            check_bytes_max: 256 << 20,
            lock_timeout: Duration::from_secs(10),
            sync_each_commit: true,
        }
    }
}

/// Keeps everything in one SQLite file, `hookmill.db`, which one process at a time may open.
///
/// Dropping it finishes what is queued; [`close`](Self::close) does so without blocking the executor.
#[derive(Debug)]
pub struct SqliteStore {
    shared: Arc<Shared>,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    readers: Arc<Readers>,
    lock: Arc<Mutex<Option<Lock>>>,
    /// The number of the event at which retention looks on.
    walked: AtomicI64,
    blob_part_bytes: usize,
}

/// Connections for reading; the semaphore says how many may work at the same time.
#[derive(Debug)]
struct Readers {
    dir: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SqliteStore {
    /// Opens the store in `dir`, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// `InUse` if another process, or another store of this one, has it open; `Damaged` if the file or its log is
    /// damaged, not a database of hookmill, or of a newer version.
    pub fn open(dir: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        Self::open_inner(dir, options).map_err(|trouble| trouble.during("open"))
    }

    fn open_inner(dir: &Path, options: SqliteOptions) -> Result<Self, Trouble> {
        let lock = prepare(dir)?;
        let db = schema::open_writer(dir, &options)?;
        // SQLite syncs it too, but tells nobody if that fails.
        sync_dir(dir)?;
        blob::trim_all(&db)?;
        let (shared, next, newest) = upkeep::load(&db)?;
        let shared = Arc::new(shared);
        let readers = (0..options.readers.max(1)).map(|_| schema::open_reader(dir)).collect::<Result<Vec<_>, _>>()?;
        let permits = Arc::new(Semaphore::new(readers.len()));
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        let blob_part_bytes = options.blob_part_bytes.max(1);
        let writer = Writer::new(db, dir.to_owned(), Arc::clone(&shared), options, next, newest);
        let writer = std::thread::Builder::new()
            .name("hookmill-store".into())
            .spawn(move || writer.run(queue))
            .map_err(|error| io_trouble("start the writer's thread", dir, &error))?;
        Ok(Self {
            shared,
            jobs: Mutex::new(Some(jobs)),
            writer: Mutex::new(Some(writer)),
            readers: Arc::new(Readers { dir: dir.to_owned(), idle: Mutex::new(readers), permits }),
            lock: Arc::new(Mutex::new(Some(lock))),
            walked: AtomicI64::new(0),
            blob_part_bytes,
        })
    }

    /// Tells whether a write or sync has failed in a way that puts the file in doubt.
    ///
    /// From then on nothing is acknowledged. Only a restart, which reads the file anew, can mend it.
    pub fn failed(&self) -> bool {
        self.shared.failed() || hold(&self.writer).as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Finishes what is queued, closes the file and lets others open it. Later calls answer `Unavailable`.
    pub async fn close(&self) {
        let closing = self.stop();
        let done = tokio::task::spawn_blocking(move || closing.finish()).await;
        if let Err(error) = done {
            tracing::error!(%error, "closing the store failed");
        }
    }

    /// Lets no new call in.
    fn stop(&self) -> Closing {
        self.readers.permits.close();
        Closing {
            jobs: hold(&self.jobs).take(),
            writer: hold(&self.writer).take(),
            readers: Arc::clone(&self.readers),
            lock: Arc::clone(&self.lock),
        }
    }

    async fn write<T>(
        &self,
        attempted: &'static str,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let jobs = hold(&self.jobs).clone();
        let sent = match jobs {
            Some(jobs) => jobs.send(job(reply)).await.is_ok(),
            None => false,
        };
        if sent && let Ok(result) = answer.await {
            return result;
        }
        Err(Trouble::new(StoreErrorKind::Unavailable, "the store is closed").during(attempted))
    }

    /// Keeps the parts of a blob, the first one last: then it is there.
    async fn put_parts(&self, digest: Digest, parts: &[&[u8]]) -> Result<(), StoreError> {
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        loop {
            let mut whole = true;
            for (place, part) in (0..count).zip(parts).rev() {
                let pause = Duration::from_secs_f64(part.len() as f64 / BLOB_BYTES_PER_SEC);
                let bytes = part.to_vec();
                let part = |reply| Job::BlobPart { digest, place, count, bytes, reply };
                whole = self.write("keep a blob", part).await?;
                if place > 0 {
                    // Else who has an event to write would often find the writer at work on a part.
                    tokio::time::sleep(pause).await;
                }
            }
            if whole {
                return Ok(());
            }
        }
    }

    /// Deletes the parts of a blob that is not there.
    async fn trim(&self, digest: Digest) -> Result<(), StoreError> {
        while self.write("delete a blob", |reply| Job::BlobTrim { digest, reply }).await? {}
        Ok(())
    }

    async fn read<T: Send + 'static>(
        &self,
        attempted: &'static str,
        work: impl FnOnce(&mut Connection, &Shared) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        let unavailable = |cause: &dyn std::fmt::Display| {
            Trouble::new(StoreErrorKind::Unavailable, cause.to_string()).during(attempted)
        };
        let permits = Arc::clone(&self.readers.permits);
        let permit = permits.acquire_owned().await.map_err(|_| unavailable(&"the store is closed"))?;
        let (shared, readers) = (Arc::clone(&self.shared), Arc::clone(&self.readers));
        let done = tokio::task::spawn_blocking(move || {
            // Held in here, because a caller that goes away does not stop the work.
            let _permit = permit;
            let idle = hold(&readers.idle).pop();
            // A read that panicked took its connection with it.
            let mut db = idle.map_or_else(|| schema::open_reader(&readers.dir), Ok)?;
            let result = work(&mut db, &shared);
            hold(&readers.idle).push(db);
            result
        });
        done.await.map_err(|error| unavailable(&error))?.map_err(|trouble| trouble.during(attempted))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.stop().finish();
    }
}

/// A store that lets no new call in.
struct Closing {
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    readers: Arc<Readers>,
    lock: Arc<Mutex<Option<Lock>>>,
}

impl Closing {
    /// Waits for what is queued. The writer closes the file last, because it alone knows whether the log may be
    /// removed.
    fn finish(self) {
        hold(&self.readers.idle).clear();
        drop(self.jobs);
        if self.writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the writer of the store panicked");
        }
        drop(hold(&self.lock).take());
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn append(&self, records: Vec<Record>, fence: Fence) -> Result<Vec<Appended>, StoreError> {
        let mut rows = Vec::with_capacity(records.len());
        let mut bytes = 0;
        for record in records {
            let (row, size) = Row::new(record).map_err(|trouble| trouble.during("append"))?;
            rows.push(row);
            bytes += size;
        }
        self.write("append", |reply| Job::Append(Call { rows, bytes, fence, reply })).await
    }

    async fn pending(
        &self,
        cursor: Option<DeliveryKey>,
        due_before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Pending>, StoreError> {
        let due_before = due_before.as_microsecond();
        self.read("list pending deliveries", move |db, shared| read::pending(db, shared, cursor, due_before, limit))
            .await
    }

    async fn bodies(&self, keys: &[DeliveryKey]) -> Result<Vec<Option<Work>>, StoreError> {
        let keys = keys.to_vec();
        self.read("read deliveries", move |db, _| read::bodies(db, &keys)).await
    }

    async fn search(
        &self,
        tenant: &TenantId,
        query: &DeliveryQuery,
        cursor: Option<i64>,
        limit: usize,
    ) -> Result<Page<DeliveryRow>, StoreError> {
        let (tenant, query) = (tenant.clone(), query.clone());
        self.read("search", move |db, shared| search::search(db, shared, &tenant, &query, cursor, limit)).await
    }

    async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
        let tenant = tenant.clone();
        self.read("read a delivery", move |db, shared| read::delivery(db, shared, &tenant, id)).await
    }

    async fn config(&self, kind: &'static str) -> Result<Vec<ConfigEntry>, StoreError> {
        self.read("read the configuration", move |db, _| read::config(db, kind)).await
    }

    async fn put_config(
        &self,
        key: ConfigKey,
        value: Option<String>,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        self.write("write the configuration", |reply| Job::Config { key, value, expected, reply }).await
    }

    async fn blob_put(&self, digest: Digest, bytes: Vec<u8>) -> Result<(), StoreError> {
        if self.read("keep a blob", move |db, _| blob::is_there(db, digest)).await? {
            return Ok(());
        }
        let parts: Vec<&[u8]> = bytes.chunks(self.blob_part_bytes).collect();
        let kept = self.put_parts(digest, if parts.is_empty() { &[&[]] } else { &parts }).await;
        if kept.is_err() {
            // What is left when this fails, too, is deleted at the next start.
            let _left = self.trim(digest).await;
        }
        kept
    }

    async fn blob_get(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.read("read a blob", move |db, _| blob::read(db, digest)).await
    }

    async fn blob_delete(&self, digest: Digest) -> Result<(), StoreError> {
        self.write("delete a blob", |reply| Job::BlobDelete { digest, reply }).await?;
        self.trim(digest).await
    }

    async fn lease(&self, _partition: u32) -> Result<Fence, StoreError> {
        // One process, one partition: an append does not say which it belongs to, so one counter serves all.
        self.write("take the lease", |reply| Job::Lease { reply }).await
    }

    async fn wake(&self) {
        pending::<()>().await;
    }

    async fn retain(&self, policy: RetentionPolicy) -> Result<usize, StoreError> {
        // Found by a reader, so that looking for them holds up no writer; a walk that began in the midst begins anew at
        // its end, for what was owed there may be settled.
        let begun = self.walked.load(Ordering::Relaxed);
        for from in [begun, 0] {
            let log = self.readers.dir.join(schema::LOG_NAME);
            let look = move |db: &mut Connection, _: &Shared| retain::forgettable(db, &log, policy, from);
            let retain::Forgettable { seqs, before, next } = self.read("forget old events", look).await?;
            self.walked.store(next.unwrap_or(0), Ordering::Relaxed);
            if !seqs.is_empty() {
                return self.write("forget old events", |reply| Job::Retain { seqs, before, reply }).await;
            }
            if from == 0 || next.is_some() {
                break;
            }
        }
        Ok(0)
    }
}
