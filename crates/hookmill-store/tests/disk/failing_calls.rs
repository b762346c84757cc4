//! Every call to the disk fails once, each in a run of its own: nothing acknowledged is lost, nothing that failed is
//! acknowledged, and what went wrong has the right name.

use crate::ledger::Ledger;
use crate::watched::{Disk, Op, notes};
use crate::workload::{Note, Plan};

const EINTR: i32 = 4;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// One call after the other, so that what comes after a failure is known.
fn plan() -> Plan {
    Plan { first: 0, events: 6, openings: 2, tasks: 1, page_size: 8192, sync_each_commit: true }
}

/// What a run with a failure left.
struct Run {
    fault: String,
    ops: Vec<Op>,
}

impl Run {
    fn codes(&self) -> Vec<&str> {
        fn code(note: &Note) -> Option<&str> {
            if let Note::Refused { code, .. } = note { Some(code) } else { None }
        }
        notes(&self.ops).filter_map(code).collect()
    }

    fn struck(&self) -> bool {
        self.ops.iter().any(|op| matches!(op, Op::Struck))
    }

    fn finished(&self) -> bool {
        notes(&self.ops).filter(|note| matches!(note, Note::Closed)).count() == 2 && self.codes().is_empty()
    }

    /// The store went on after it was refused room, and did all that was asked.
    fn got_over_it(&self) {
        let codes = self.codes();
        assert!(codes.iter().all(|code| *code == "store_full"), "{}: {codes:?}", self.fault);
        let closed = notes(&self.ops).filter(|note| matches!(note, Note::Closed)).count();
        assert_eq!(closed, 2, "{}: the store went on", self.fault);
    }

    /// SQLite does not tell if it can't sync the directory; the store syncs it itself and does.
    fn stopped_unless_it_was_the_directory(&self) {
        let directory = matches!(&self.ops[self.strike() + 1], Op::SyncBegins { name, .. } if name.is_empty());
        if !directory || !self.codes().is_empty() { self.stopped_for_good() } else { assert!(self.finished()) }
    }

    /// Where the call failed.
    fn strike(&self) -> usize {
        self.ops.iter().position(|op| matches!(op, Op::Struck)).unwrap()
    }

    /// From the failure on nothing was acknowledged, and nothing more was tried with the files.
    fn stopped_for_good(&self) {
        let codes = self.codes();
        assert!(codes.iter().all(|code| *code == "store_unavailable"), "{}: {codes:?}", self.fault);
        let (before, after) = self.ops.split_at(self.strike());
        let opening = matches!(notes(before).last(), None | Some(Note::Closed));
        let heard = notes(after).next();
        if matches!(heard, Some(Note::Closed)) {
            // It failed while it closed, or too late for anybody to hear; what was in the log is there at the next start.
            assert_eq!(codes, [""; 0], "{}", self.fault);
        } else {
            let acknowledged =
                |note: &&Note| !matches!(note, Note::Refused { .. } | Note::Closed | Note::Forgetting { .. });
            let refused = notes(after).position(|note| matches!(note, Note::Refused { .. }));
            let refused = refused.unwrap_or_else(|| panic!("{}: nobody was told", self.fault));
            // One answer, given before the file was tidied up, may have been under way.
            assert!(notes(after).take(refused).filter(acknowledged).count() <= 1, "{}", self.fault);
            let late: Vec<_> = notes(after).skip(refused).filter(acknowledged).collect();
            assert!(late.is_empty(), "{}: acknowledged after the failure: {late:?}", self.fault);
        }
        let touches = |op: &&Op| matches!(op, Op::Write { .. } | Op::SyncBegins { .. } | Op::Truncate { .. });
        let rest = after.iter().take_while(|op| !matches!(op, Op::Noted(Note::Closed)));
        // A sync that fails is noted behind the mark. While it is made, a file is cleared away again.
        let most = if opening { usize::MAX } else { 1 };
        assert!(rest.filter(touches).count() <= most, "{}: files were touched after the failure", self.fault);
    }
}

/// Runs with the first, second, … of these calls failing, until none is left that could; returns how many did.
fn each(call: &str, how: &str, errno: i32, count: u32, judge: impl Fn(&Run)) -> u32 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for nth in 1.. {
        let (disk, plan) = (Disk::new(), plan());
        let fault = format!("{call} {how} {errno} {nth} {count}");
        disk.run_to_the_end(&plan, Some(&fault));
        let run = Run { fault, ops: disk.ops() };
        if !run.struck() && how != "short" {
            assert!(run.finished(), "{}: {:?}", run.fault, run.codes());
            println!("{call} {how} {errno}: {} calls failed, each in its run", nth - 1);
            return nth - 1;
        }
        judge(&run);
        let ledger = Ledger::of(notes(&run.ops));
        let found = runtime.block_on(ledger.check(&disk.data(), plan.options()));
        found.unwrap_or_else(|lost| panic!("{}: {lost}", run.fault));
    }
    0
}

#[test]
fn a_sync_that_fails_is_the_last() {
    assert!(each("sync", "fail", EIO, 1, Run::stopped_unless_it_was_the_directory) > 30);
}

#[test]
fn a_sync_without_room_is_the_last_too() {
    assert!(each("sync", "fail", ENOSPC, 1, Run::stopped_unless_it_was_the_directory) > 30);
}

#[test]
fn a_write_that_fails_ends_all_acknowledgement() {
    assert!(each("write", "fail", EIO, 1, Run::stopped_for_good) > 60);
}

#[test]
fn a_disk_without_room_is_got_over() {
    for count in [1, 7] {
        assert!(each("write", "fail", ENOSPC, count, Run::got_over_it) > 60);
    }
}

#[test]
fn a_disk_that_takes_half_of_the_last_write_is_got_over() {
    assert!(each("write", "torn", ENOSPC, 3, Run::got_over_it) > 60);
}

#[test]
fn an_interrupted_write_is_made_again() {
    assert!(each("write", "fail", EINTR, 1, |run| assert!(run.finished(), "{}", run.fault)) > 60);
}

#[test]
fn a_file_that_cannot_be_cut_short_loses_nothing() {
    let either = |run: &Run| if run.codes().is_empty() { assert!(run.finished()) } else { run.stopped_for_good() };
    each("truncate", "fail", EIO, 1, either);
    each("truncate", "fail", ENOSPC, 1, either);
}

/// The shared memory of the log is a file too, and grows; nothing durable stands in it.
#[test]
fn shared_memory_without_room_is_got_over() {
    assert!(each("shm", "fail", ENOSPC, 1, Run::got_over_it) > 5);
}

#[test]
fn short_writes_are_completed() {
    let (disk, plan) = (Disk::new(), plan());
    disk.run_to_the_end(&plan, Some("write short 0 1 100000"));
    let run = Run { fault: "short".into(), ops: disk.ops() };
    assert!(run.finished(), "{:?}", run.codes());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Ledger::of(notes(&run.ops)).check(&disk.data(), plan.options())).unwrap();
}
