//! What waits for a guest thread, and who is next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::Pace;

pub(super) type Job = Box<dyn FnOnce() + Send>;

/// What waits for a thread.
#[derive(Default)]
pub(super) struct Queue {
    quick: VecDeque<(Arc<Pace>, Job)>,
    /// Owners of long jobs in the order of their turns, each with its jobs.
    long: VecDeque<(Arc<Pace>, VecDeque<Job>)>,
    /// Whether a job was moved from the quick ones to the long ones of which no thread was told yet.
    pub(super) turned: bool,
    pub(super) stopped: bool,
    /// Whether nobody rests any more, for all wait for the end.
    pub(super) hurries: bool,
}

/// Which jobs a thread runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Quick,
    Long,
}

impl Queue {
    /// Adds a job; returns of which kind it is.
    pub(super) fn push(&mut self, pace: Arc<Pace>, job: Job) -> Kind {
        if pace.is_quick() {
            self.quick.push_back((pace, job));
            return Kind::Quick;
        }
        match self.long.iter_mut().find(|(owner, _)| Arc::ptr_eq(owner, &pace)) {
            Some((_, jobs)) => jobs.push_back(job),
            None => self.long.push_back((pace, VecDeque::from([job]))),
        }
        Kind::Long
    }

    pub(super) fn take(&mut self, kind: Kind, now: Instant) -> Option<Job> {
        match kind {
            Kind::Quick => self.take_quick(),
            Kind::Long => self.take_long(now),
        }
    }

    fn take_quick(&mut self) -> Option<Job> {
        while let Some((pace, job)) = self.quick.pop_front() {
            if pace.is_quick() {
                return Some(job);
            }
            // Its owner turned out to take long while it waited.
            self.push(pace, job);
            self.turned = true;
        }
        None
    }

    fn take_long(&mut self, now: Instant) -> Option<Job> {
        let turn = self.long.iter().position(|(owner, _)| self.hurries || owner.rests_until(now).is_none())?;
        let (owner, mut jobs) = self.long.remove(turn)?;
        let job = jobs.pop_front()?;
        if !jobs.is_empty() {
            self.long.push_back((owner, jobs));
        }
        Some(job)
    }

    /// Returns when the first owner has rested that has long jobs, if each that has any rests.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.long.iter().filter_map(|(owner, _)| owner.rests_until(now)).min()
    }

    /// Tells whether there is nothing to do for a thread of this kind, nor will be once nothing comes any more: quick jobs may
    /// yet turn into long ones.
    pub(super) fn is_empty_for(&self, kind: Kind) -> bool {
        self.quick.is_empty() && (kind == Kind::Quick || self.long.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::super::pace::paced;
    use super::*;

    /// Runs the jobs of one kind that may run at a moment one after another, and returns their names.
    fn order(queue: &mut Queue, kind: Kind, now: Instant) -> Vec<&'static str> {
        let mut names = vec![];
        while let Some(job) = queue.take(kind, now) {
            job();
            names.extend(NAMES.take());
        }
        names
    }

    thread_local! {
        static NAMES: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    fn push(queue: &mut Queue, pace: &Arc<Pace>, name: &'static str) {
        queue.push(pace.clone(), Box::new(move || NAMES.set(Some(name))));
    }

    #[test]
    fn long_jobs_take_turns_by_owner_and_leave_threads_to_quick_ones() {
        let (quick, slow, slower) = (paced(1_000), paced(50_000_000), paced(500_000_000));
        let mut queue = Queue::default();
        for (pace, name) in
            [(&slow, "s1"), (&slow, "s2"), (&quick, "q1"), (&slower, "t1"), (&quick, "q2"), (&paced(0), "u1")]
        {
            push(&mut queue, pace, name);
        }
        assert_eq!(order(&mut queue, Kind::Quick, Instant::now()), ["q1", "q2"]);
        assert_eq!(order(&mut queue, Kind::Long, Instant::now()), ["s1", "t1", "u1", "s2"]);
    }

    #[test]
    fn a_job_whose_owner_turns_out_to_take_long_goes_to_the_long_ones() {
        let pace = paced(1_000);
        let mut queue = Queue::default();
        push(&mut queue, &pace, "a");
        push(&mut queue, &pace, "b");
        pace.took(Duration::from_millis(250));
        assert_eq!(order(&mut queue, Kind::Quick, Instant::now()), [""; 0]);
        assert_eq!(order(&mut queue, Kind::Long, Instant::now()), ["a", "b"]);
    }

    #[test]
    fn an_owner_whose_job_failed_rests_while_others_take_their_turns() {
        let (now, failed, slow) = (Instant::now(), paced(50_000_000), paced(50_000_000));
        let at = |millis| now + Duration::from_millis(millis);
        let mut queue = Queue::default();
        for (pace, name) in [(&failed, "f1"), (&slow, "s1"), (&failed, "f2")] {
            push(&mut queue, pace, name);
        }
        failed.failed(Duration::from_millis(2), now);
        assert_eq!(order(&mut queue, Kind::Long, now), ["s1"]);
        assert_eq!(queue.rests_until(now), Some(at(100)));
        assert_eq!(order(&mut queue, Kind::Long, at(99)), [""; 0]);
        assert_eq!(order(&mut queue, Kind::Long, at(100)), ["f1", "f2"]);
        assert_eq!(queue.rests_until(at(100)), None);
        failed.failed(Duration::from_secs(1), now);
        push(&mut queue, &failed, "f3");
        assert_eq!(queue.rests_until(now), Some(at(2_000)), "no longer than that");
        queue.hurries = true;
        assert_eq!(order(&mut queue, Kind::Long, now), ["f3"], "nobody is kept waiting for the end");
    }
}
