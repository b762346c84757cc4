//! Work that takes a core for long and for which no delivery waits: on threads of its own, which step aside.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hookmill_plugin::priority::{offer_core, step_aside};
use tokio::sync::oneshot;

/// Runs `work` on a thread of its own behind all else that wants a core; processes that it starts inherit that. Fails if
/// the thread can't be started or `work` panicked.
pub(crate) async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (answer, answered) = oneshot::channel();
    std::thread::Builder::new().name("background".into()).spawn(move || {
        step_aside();
        let _offers = offer_core();
        let result = catch_unwind(AssertUnwindSafe(work)).map_err(|_| io::Error::other("it panicked"));
        // Nobody waits any more if the engine is being torn down.
        let _unheard = answer.send(result).is_err();
    })?;
    answered.await.unwrap_or_else(|_| Err(io::Error::other("its thread ended")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_and_a_panic_is_told() {
        assert_eq!(in_background(|| 7).await.expect("an answer"), 7);
        #[allow(clippy::panic, reason = "what is tested")]
        let panicked = in_background(|| panic!("on purpose")).await.map(|()| 7);
        assert_eq!(panicked.expect_err("a failure").to_string(), "it panicked");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn its_thread_steps_aside() {
        let niceness = || rustix::process::getpriority_process(None).expect("Linux tells");
        let here = niceness();
        let there = in_background(niceness).await.expect("an answer");
        assert_eq!(there - here, hookmill_plugin::priority::NICENESS);
    }
}
