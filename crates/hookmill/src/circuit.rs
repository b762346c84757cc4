//! A circuit breaker: after failures in a row, what it guards rests for a while, then one probe decides.

use std::time::Duration;

use hookmill_core::ports::Moment;

/// How long others wait while a probe is under way.
const PROBE_WAIT: Duration = Duration::from_secs(5);

/// When a circuit opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "all that there is to set")]
pub struct CircuitPolicy {
    /// Failures in a row that open it.
    pub failures_max: u32,
    /// How long it is open at first; twice as long each time that its probe fails.
    pub pause_min: Duration,
    /// The longest that it is open.
    pub pause_max: Duration,
}

impl Default for CircuitPolicy {
    fn default() -> Self {
        Self { failures_max: 10, pause_min: Duration::from_secs(30), pause_max: Duration::from_secs(600) }
    }
}

/// Counts failures in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Circuit {
    failures: u32,
    /// Set while the circuit is open.
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    until: Moment,
    pause: Duration,
    probing: bool,
}

impl Circuit {
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns until when the circuit is open, if it is.
    pub(crate) fn open_until(&self) -> Option<Moment> {
        self.open.map(|open| open.until)
    }

    /// Returns until when something must wait; none if it may go now, and must then [`begin`](Self::begin).
    pub(crate) fn wait(&self, now: Moment) -> Option<Moment> {
        let open = self.open?;
        if now < open.until {
            return Some(open.until);
        }
        open.probing.then(|| now.after(PROBE_WAIT))
    }

    /// Takes note that something goes: the probe, if the circuit is open.
    pub(crate) fn begin(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = true;
        }
    }

    /// Takes note of a success: the circuit is closed. Returns whether it was open.
    pub(crate) fn succeeded(&mut self) -> bool {
        std::mem::take(self).open.is_some()
    }

    /// Takes note that what went said nothing either way.
    pub(crate) fn undecided(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = false;
        }
    }

    /// Takes note of a failure; returns until when the circuit is open if this opened it, or kept it open.
    pub(crate) fn failed(&mut self, policy: &CircuitPolicy, now: Moment) -> Option<Moment> {
        self.failures = self.failures.saturating_add(1);
        let pause = match self.open {
            Some(open) if open.probing => (open.pause * 2).min(policy.pause_max),
            // One that was under way when the circuit opened.
            Some(_) => return None,
            None if self.failures >= policy.failures_max => policy.pause_min,
            None => return None,
        };
        let until = now.after(pause);
        self.open = Some(Open { until, pause, probing: false });
        Some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Moment {
        Moment::new(Duration::from_secs(secs))
    }

    #[test]
    fn a_circuit_opens_after_failures_in_a_row_and_a_probe_decides() {
        let (mut circuit, policy) = (Circuit::default(), CircuitPolicy::default());
        (0..9).for_each(|_| assert_eq!(circuit.failed(&policy, at(0)), None));
        assert!(!circuit.succeeded());
        (0..9).for_each(|_| assert_eq!(circuit.failed(&policy, at(0)), None));
        assert_eq!(circuit.failed(&policy, at(0)), Some(at(30)));
        assert_eq!(circuit.failed(&policy, at(1)), None, "it was under way before");
        assert_eq!((circuit.wait(at(29)), circuit.wait(at(30))), (Some(at(30)), None));
        circuit.begin();
        assert_eq!(circuit.wait(at(30)), Some(at(35)), "one probe at a time");
        circuit.undecided();
        assert_eq!(circuit.wait(at(30)), None);
        circuit.begin();
        assert_eq!(circuit.failed(&policy, at(31)), Some(at(91)), "twice as long");
        circuit.begin();
        assert!(circuit.succeeded());
        assert_eq!((circuit.wait(at(32)), circuit.failures()), (None, 0));
    }

    #[test]
    fn a_pause_has_an_end() {
        let (mut circuit, policy) = (Circuit::default(), CircuitPolicy { failures_max: 1, ..CircuitPolicy::default() });
        for expected in [30, 60, 120, 240, 480, 600, 600] {
            circuit.begin();
            assert_eq!(circuit.failed(&policy, at(0)), Some(at(expected)));
        }
        assert_eq!(circuit.open_until(), Some(at(600)));
    }
}
