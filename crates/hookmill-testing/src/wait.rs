//! Waiting for a condition, never for a time.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

/// How long a condition may take. Far more than any test needs on a busy machine, so that only a fault reaches it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `look` finds something and returns it; fails the test, naming `what`, if that takes too long.
pub async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut ticks = interval(Duration::from_millis(5));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
    }
}

/// Waits until `holds` is true; fails the test, naming `what`, if that takes too long.
pub async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    wait_for(what, async || holds().await.then_some(())).await;
}
