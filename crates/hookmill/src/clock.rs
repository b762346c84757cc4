//! The one place that reads the system's clock.

use hookmill_core::ports::Clock;
use jiff::Timestamp;

/// The clock of the system.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::exhaustive_structs, reason = "it has nothing inside")]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock that everyone else is told to use")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
