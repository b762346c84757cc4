//! Attempts that the store had no room for: kept here, in order, until it has. Their deliveries are not tried again, and
//! hold up no other. Nothing here is durable: what is lost with the process is sent again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookmill_core::ports::{NewAttempt, Record, StoreErrorKind};

use crate::engine::Inner;
use crate::feed::Settled;
use crate::scheduler::Ticket;

/// The most attempts and bytes that are kept: past either, no delivery begins, so that a crash sends few twice and memory
/// is not what runs out next.
const ATTEMPTS_MAX: usize = 10_000;
const BYTES_MAX: usize = 64 << 20;

/// What an attempt occupies beside its bodies, about.
const ATTEMPT_BYTES: usize = 1024;

/// How often the store is asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The most attempts of one append, once there is room.
const BATCH_MAX: usize = 256;

/// What became of an attempt that was to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorded {
    Yes,
    /// There is no room for now, or another program holds the store.
    NotYet,
    /// The store is gone, which ends the engine: it is made again after the next start.
    Never,
}

/// An attempt, and what is to follow once it is recorded.
#[derive(Debug)]
pub(crate) struct Unrecorded {
    pub(crate) attempt: Arc<NewAttempt>,
    /// Its delivery, unless the scheduler has let go of that already.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) again: Option<Ticket>,
    pub(crate) settled: Option<Settled>,
}

impl Unrecorded {
    fn bytes(&self) -> usize {
        let attempt = &self.attempt.attempt;
        let sent = attempt.request.as_ref().map_or(0, |request| request.body.len());
        let answered = attempt.response.as_ref().map_or(0, |response| response.body.len());
        ATTEMPT_BYTES + sent + answered
    }
}

#[derive(Debug, Default)]
struct List {
    entries: VecDeque<Unrecorded>,
    bytes: usize,
    /// Whether somebody asks the store again.
    watched: bool,
}

/// See the head of the file.
#[derive(Debug, Default)]
pub(crate) struct UnrecordedAttempts(Mutex<List>);

impl UnrecordedAttempts {
    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.list().entries.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        let list = self.list();
        list.entries.len() >= ATTEMPTS_MAX || list.bytes >= BYTES_MAX
    }

    fn oldest(&self, count: usize) -> Vec<Record> {
        let list = self.list();
        list.entries.iter().take(count).map(|entry| Record::Attempt(entry.attempt.clone())).collect()
    }

    fn take(&self, count: usize) -> Vec<Unrecorded> {
        let mut list = self.list();
        let taken: Vec<_> = (0..count).map_while(|_| list.entries.pop_front()).collect();
        list.bytes -= taken.iter().map(Unrecorded::bytes).sum::<usize>();
        taken
    }

    /// Lets the watch end if nothing is left to watch.
    fn ends(&self) -> bool {
        let mut list = self.list();
        list.watched = !list.entries.is_empty();
        !list.watched
    }
}

impl Inner {
    /// Records an attempt, if the store has room now.
    pub(crate) async fn record(&self, attempt: &Arc<NewAttempt>) -> Recorded {
        self.recorded(vec![Record::Attempt(attempt.clone())]).await
    }

    async fn recorded(&self, records: Vec<Record>) -> Recorded {
        match self.store.append(records, self.fence).await {
            Ok(_) => Recorded::Yes,
            Err(error) if matches!(error.kind, StoreErrorKind::Full | StoreErrorKind::Busy) => {
                tracing::debug!(%error, "an attempt waits to be recorded");
                Recorded::NotYet
            }
            Err(error) => {
                self.fail(&error);
                Recorded::Never
            }
        }
    }

    /// Keeps an attempt until it can be recorded.
    pub(crate) fn keep_unrecorded(self: &Arc<Self>, entry: Unrecorded) {
        let mut list = self.unrecorded.list();
        list.bytes += entry.bytes();
        list.entries.push_back(entry);
        if !std::mem::replace(&mut list.watched, true) {
            tracing::error!("the store has no room; deliveries go on, and what becomes of them waits to be recorded");
            self.tasks.spawn(self.clone().record_kept());
        }
    }

    /// Asks the store again and again, until nothing is kept any more or the engine stops.
    async fn record_kept(self: Arc<Self>) {
        let mut batch = 1;
        let mut done = 0;
        while !self.unrecorded.ends() {
            let records = self.unrecorded.oldest(batch);
            let count = records.len();
            match self.recorded(records).await {
                Recorded::Yes => {
                    self.unrecorded.take(count).into_iter().for_each(|entry| self.ended(entry));
                    self.pump();
                    done += count;
                    batch = (batch * 2).min(BATCH_MAX);
                }
                // A large one may be in the way of those before it.
                Recorded::NotYet if batch > 1 => batch = 1,
                Recorded::NotYet if self.stop.is_cancelled() => {
                    let attempts = self.unrecorded.take(usize::MAX).len();
                    tracing::error!(
                        attempts,
                        "some attempts were not recorded; they are made again after the next start"
                    );
                }
                Recorded::NotYet => tokio::select! {
                    () = self.stop.cancelled() => {}
                    () = tokio::time::sleep(AGAIN_AFTER) => {}
                },
                Recorded::Never => return,
            }
        }
        tracing::info!(attempts = done, "what became of deliveries meanwhile is recorded");
    }

    fn ended(self: &Arc<Self>, entry: Unrecorded) {
        self.tell(entry.settled);
        if let Some(ticket) = entry.ticket {
            self.count_in_replay(&ticket, entry.attempt.status.state);
            let now = self.clock.steady();
            self.scheduler().ended(&ticket, entry.again, now);
        }
    }
}
