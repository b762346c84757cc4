//! The one thread that writes: gathers what waits, commits it with one sync, answers, then tidies up.
//!
//! Never answers yes before the sync, and after an error that puts earlier syncs in doubt never answers yes again.

use std::path::PathBuf;
use std::sync::Arc;

use hookmill_core::Digest;
use hookmill_core::ports::{Appended, ConfigKey, Fence, Revision, StoreError, StoreErrorKind};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::apply::{Apply, Next, Staged};
use super::row::Row;
use super::shared::Shared;
use super::trouble::Trouble;
use super::{SqliteOptions, blob, room, schema, upkeep};

/// The most records and bytes of one group commit: enough to make a sync cheap, small enough to answer soon.
const GROUP_RECORDS_MAX: usize = 1024;
const GROUP_BYTES_MAX: usize = 4 << 20;

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer can be asked.
#[derive(Debug)]
pub(super) enum Job {
    Append(Call),
    Config { key: ConfigKey, value: Option<String>, expected: Revision, reply: Reply<Revision> },
    BlobPart { digest: Digest, place: u32, count: u32, bytes: Vec<u8>, reply: Reply<bool> },
    BlobDelete { digest: Digest, reply: Reply<()> },
    BlobTrim { digest: Digest, reply: Reply<bool> },
    Lease { reply: Reply<Fence> },
    Retain { seqs: Vec<i64>, before: i64, reply: Reply<usize> },
}

/// One call of `append`.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) rows: Vec<Row>,
    pub(super) bytes: usize,
    pub(super) fence: Fence,
    pub(super) reply: Reply<Vec<Appended>>,
}

impl Call {
    /// Tells whether it brings an event; any other only says what became of one.
    fn brings_events(&self) -> bool {
        self.rows.iter().any(|row| matches!(row, Row::Event(_)))
    }
}

/// The writer and what only it may touch.
#[derive(Debug)]
pub(super) struct Writer {
    db: Connection,
    dir: PathBuf,
    shared: Arc<Shared>,
    next: Next,
    newest: Fence,
    options: SqliteOptions,
    /// How many events `recent` must hold before the index is tried again.
    upkeep_at: usize,
}

impl Writer {
    pub(super) fn new(
        db: Connection,
        dir: PathBuf,
        shared: Arc<Shared>,
        options: SqliteOptions,
        next: Next,
        newest: Fence,
    ) -> Self {
        let upkeep_at = options.index_batch;
        Self { db, dir, shared, next, newest, options, upkeep_at }
    }

    /// Works until every sender is gone and the queue is empty.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut held = None;
        while let Some(job) = held.take().or_else(|| jobs.blocking_recv()) {
            let log_bytes = self.log_bytes_after(&job);
            match job {
                Job::Append(call) => {
                    let (calls, other) = gather(call, &mut jobs);
                    held = other;
                    self.group(calls);
                }
                Job::Config { key, value, expected, reply } => {
                    let result = self.alone(|db| upkeep::put_config(db, &key, value.as_deref(), expected));
                    answer(reply, result, "write the configuration");
                }
                Job::BlobPart { digest, place, count, bytes, reply } => {
                    let room = self.shortage().map_or(Ok(()), Err);
                    let result = room.and_then(|()| self.alone(|db| blob::put(db, digest, place, count, &bytes)));
                    answer(reply, result, "keep a blob");
                }
                Job::BlobDelete { digest, reply } => {
                    answer(reply, self.alone(|db| blob::delete(db, digest)), "delete a blob");
                }
                Job::BlobTrim { digest, reply } => {
                    answer(reply, self.alone(|db| blob::trim(db, digest)), "delete a blob");
                }
                Job::Lease { reply } => {
                    let fence = Fence(self.newest.0 + 1);
                    let result = self.alone(|db| upkeep::set_meta(db, upkeep::FENCE, fence.0.cast_signed()));
                    if result.is_ok() {
                        self.newest = fence;
                    }
                    answer(reply, result.map(|()| fence), "take the lease");
                }
                Job::Retain { seqs, before, reply } => {
                    let result = self.alone(|db| upkeep::forget(db, &seqs, before, self.next));
                    if let Ok(gone) = &result {
                        let mut recent = self.shared.recent();
                        for entry in gone {
                            recent.remove(entry);
                        }
                    }
                    answer(reply, result.map(|gone| gone.len()), "forget old events");
                }
            }
            self.tidy(log_bytes);
        }
        self.leave();
    }

    /// Returns at which length the log is moved into the database. While a blob is written, up to its last part, it is moved
    /// often: all of its megabytes at once would keep events waiting for as long as that takes.
    fn log_bytes_after(&self, job: &Job) -> i64 {
        let often = i64::try_from(self.options.blob_part_bytes * 4).unwrap_or(i64::MAX);
        let all = self.options.checkpoint_bytes;
        if matches!(job, Job::BlobPart { place: 1.., .. }) { all.min(often) } else { all }
    }

    /// Moves the log into the database and lets SQLite remove it with the last connection, unless the file is in
    /// doubt. What stays in the log is moved at the next start.
    fn leave(&self) {
        if self.shared.failed() {
            return;
        }
        let moved = schema::move_log(&self.db).and_then(|()| schema::close_without_checkpoint(&self.db, false));
        if let Err(trouble) = moved {
            tracing::warn!(cause = trouble.cause, "the log stays beside the database until the next start");
        }
    }

    /// Commits the calls together; if that can't be, those that only settle before those that bring events, and each
    /// alone, so that none fails its neighbours and a large one takes no room from small ones.
    fn group(&mut self, calls: Vec<Call>) {
        let (calls, fenced): (Vec<_>, Vec<_>) = calls.into_iter().partition(|call| call.fence >= self.newest);
        for call in fenced {
            let cause = format!("fence {} is older than the newest, {}", call.fence.0, self.newest.0);
            answer(call.reply, Err(Trouble::new(StoreErrorKind::Fenced, cause)), "append");
        }
        let (arriving, settling): (Vec<_>, Vec<_>) = calls.into_iter().partition(Call::brings_events);
        let short = if arriving.is_empty() { None } else { self.shortage() };
        if let Some(trouble) = &short {
            for call in arriving {
                drop(call.reply.send(Err(trouble.during("append"))));
            }
            self.commit_and_answer(settling);
        } else {
            self.commit_and_answer(settling.into_iter().chain(arriving).collect());
        }
    }

    fn shortage(&self) -> Option<Trouble> {
        room::shortage(&self.db, &self.dir, self.options.reserve_bytes)
    }

    fn commit_and_answer(&mut self, calls: Vec<Call>) {
        if calls.is_empty() {
            return;
        }
        match self.commit(&calls) {
            Ok(answers) => {
                for (call, appended) in calls.into_iter().zip(answers) {
                    drop(call.reply.send(Ok(appended)));
                }
            }
            Err(trouble) if calls.len() == 1 || trouble.fatal || trouble.kind == StoreErrorKind::Busy => {
                for call in calls {
                    drop(call.reply.send(Err(trouble.during("append"))));
                }
            }
            Err(trouble) => {
                let (arriving, settling): (Vec<_>, Vec<_>) = calls.into_iter().partition(Call::brings_events);
                let (together, alone) = match trouble.kind {
                    StoreErrorKind::Full if !arriving.is_empty() => (settling, arriving),
                    _ => (vec![], settling.into_iter().chain(arriving).collect()),
                };
                if !together.is_empty() {
                    self.commit_and_answer(together);
                }
                for call in alone {
                    let result = self.commit(std::slice::from_ref(&call)).map(|answers| answers.concat());
                    answer(call.reply, result, "append");
                }
            }
        }
    }

    /// Writes the calls in one transaction and syncs; on an error nothing of them is there.
    fn commit(&mut self, calls: &[Call]) -> Result<Vec<Vec<Appended>>, Trouble> {
        let mut staged = Staged::new(self.next);
        let shared = Arc::clone(&self.shared);
        let answers = self.alone(|db| {
            let mut apply = Apply::new(db, &shared)?;
            let mut call = |call: &Call| call.rows.iter().map(|row| apply.row(row, &mut staged)).collect();
            calls.iter().map(&mut call).collect::<Result<Vec<Vec<_>>, _>>()
        })?;
        self.next = staged.publish(&self.shared);
        Ok(answers)
    }

    /// Runs `work` in a transaction of its own.
    fn alone<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Trouble>) -> Result<T, Trouble> {
        if self.shared.failed() {
            let cause = "an earlier write failed in a way that puts the file in doubt; restart hookmill";
            return Err(Trouble::new(StoreErrorKind::Unavailable, cause));
        }
        let result = self.db.execute_batch("BEGIN IMMEDIATE").map_err(Trouble::from).and_then(|()| {
            let value = work(&self.db)?;
            self.db.execute_batch("COMMIT")?;
            Ok(value)
        });
        if let Err(trouble) = &result {
            // Some errors have rolled back already; then there is nothing to undo.
            let undone = self.db.is_autocommit() || self.db.execute_batch("ROLLBACK").is_ok();
            if trouble.fatal || !undone {
                self.fail(&trouble.cause);
            }
        }
        result
    }

    fn fail(&self, cause: &str) {
        tracing::error!(cause, "the store stops for good: a write or sync failed");
        self.shared.fail();
    }

    /// Moves what memory has gathered into the file, and the log into the database, once there is enough of it.
    fn tidy(&mut self, log_bytes: i64) {
        if self.shared.failed() {
            return;
        }
        let recent = self.shared.recent().len();
        if recent >= self.upkeep_at || self.shared.fresh().len() >= self.options.fresh_max {
            let batch = upkeep::Batch::take(&self.shared, &self.options, self.next);
            match self.alone(|db| batch.write(db)) {
                Ok(()) => {
                    batch.publish(&self.shared);
                    self.upkeep_at = self.options.index_batch;
                }
                // Not lost, only late: both are rebuilt from the tables at the next start.
                Err(trouble) => {
                    self.upkeep_at = recent + self.options.index_batch;
                    tracing::warn!(cause = trouble.cause, "the index of events could not be written yet");
                }
            }
        }
        if let Err(trouble) = upkeep::checkpoint(&self.db, &self.options, log_bytes) {
            if trouble.fatal {
                self.fail(&trouble.cause);
            } else {
                tracing::warn!(cause = trouble.cause, "the log could not be moved into the database yet");
            }
        }
    }
}

/// Takes what waits, up to the limits of a group; a job of another kind ends it and is handed back.
fn gather(first: Call, jobs: &mut mpsc::Receiver<Job>) -> (Vec<Call>, Option<Job>) {
    let (mut records, mut bytes) = (first.rows.len(), first.bytes);
    let mut calls = vec![first];
    while records < GROUP_RECORDS_MAX && bytes < GROUP_BYTES_MAX {
        match jobs.try_recv() {
            Ok(Job::Append(call)) => {
                records += call.rows.len();
                bytes += call.bytes;
                calls.push(call);
            }
            Ok(other) => return (calls, Some(other)),
            Err(_) => break,
        }
    }
    (calls, None)
}

fn answer<T>(reply: Reply<T>, result: Result<T, Trouble>, attempted: &'static str) {
    // A caller that has gone away does not undo what was written.
    drop(reply.send(result.map_err(|trouble| trouble.during(attempted))));
}
