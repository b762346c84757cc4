//! What any use of a core costs the deliveries, whoever uses it: a thread that computes when nothing else wants the core.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};

/// As in the server: often enough for the system to ask who should have the core.
const BEAT: Duration = Duration::from_micros(500);

/// Keeps the last core busy for so long with a thread of the lowest priority and, as the server does beside its own lesser
/// work, one that wakes there often.
pub(crate) async fn keep_a_core_busy(span: Duration) {
    let ended = Arc::new(AtomicBool::new(false));
    let threads = [on_the_last_core(&ended, step_back, || ()), on_the_last_core(&ended, || (), beat)];
    tokio::time::sleep(span).await;
    ended.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("it ends");
    }
}

fn on_the_last_core(ended: &Arc<AtomicBool>, begin: fn(), again: fn()) -> JoinHandle<()> {
    let ended = ended.clone();
    spawn(move || {
        let all = sched_getaffinity(None).expect("Linux tells");
        let last = (0..CpuSet::MAX_CPU).rfind(|core| all.is_set(*core)).expect("a core");
        let mut only = CpuSet::new();
        only.set(last);
        sched_setaffinity(None, &only).expect("one of its own cores");
        begin();
        while !ended.load(Ordering::Relaxed) {
            again();
        }
    })
}

fn step_back() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), thread_priority::ThreadPriority::Min, idle).expect("lower");
}

#[allow(clippy::disallowed_methods, reason = "a thread of its own, which is there to sleep and wake")]
fn beat() {
    sleep(BEAT);
}
