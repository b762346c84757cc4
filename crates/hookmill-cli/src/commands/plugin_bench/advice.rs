//! What measurements mean for the plugin's author.

use std::time::Duration;

use hookmill::plugin::{PluginLimits, WantedLimits};

use crate::output::{bytes, group};

/// A limit of its own leaves room for documents that are so many times as large.
const ROOM: u64 = 20;

/// A call that is quicker than this in a fresh instance is quick enough.
const WORTH_KEEPING: Duration = Duration::from_micros(500);

/// What was measured, and under which limits.
#[derive(Debug)]
pub(super) struct Measured {
    /// The time of half of all calls.
    pub(super) fresh: Duration,
    pub(super) fresh_p99: Duration,
    /// The time of half of all starts.
    pub(super) start: Duration,
    /// The time of half of all calls in an instance that is kept.
    pub(super) warm: Duration,
    /// Whether the manifest asks for that.
    pub(super) is_warm: bool,
    pub(super) fuel: u64,
    pub(super) memory: u64,
    pub(super) body_bytes: usize,
    pub(super) limits: PluginLimits,
    /// The limits that the manifest asks for.
    pub(super) wanted: WantedLimits,
}

impl Measured {
    /// Returns sentences that say what to do, the most useful first.
    pub(super) fn advice(&self) -> Vec<String> {
        let all =
            [self.of_time(), self.of_warmth(), self.of_fuel(), self.of_memory(), self.of_body(), self.of_the_machine()];
        all.into_iter().flatten().collect()
    }

    fn of_time(&self) -> Option<String> {
        let (fresh, start) = (self.fresh.as_secs_f64(), self.start.as_secs_f64());
        let per_second = group((1.0 / fresh.max(1e-9)) as u64);
        let share = (start / fresh.max(1e-9) * 100.0).min(100.0).round();
        Some(if share >= 50.0 {
            format!(
                "{share} % of a call is starting the instance, before any code of yours: a smaller component starts \
                 sooner (fewer packages; Rust and C start soonest). A thread makes some {per_second} calls a second."
            )
        } else {
            format!(
                "{share} % of a call is starting the instance, the rest is the plugin at work: look for what it reads \
                 and writes of the document. A thread makes some {per_second} calls a second."
            )
        })
    }

    fn of_warmth(&self) -> Option<String> {
        (!self.is_warm && self.fresh > WORTH_KEEPING && self.warm < self.fresh / 2).then(|| {
            let times = self.fresh.as_secs_f64() / self.warm.as_secs_f64().max(1e-9);
            format!(
                "a call in an instance that is kept is {times:.0} times as quick: `warm = true` in plugin.toml, if the \
                 plugin keeps nothing in global state from one call to the next"
            )
        })
    }

    fn of_fuel(&self) -> Option<String> {
        let (used, max) = (self.fuel, self.limits.fuel_max);
        if used > max / 2 {
            return Some(format!(
                "fuel is short: {} of {}; a document twice as large fails with plugin_out_of_fuel",
                group(used),
                group(max)
            ));
        }
        let enough = round_up(used.saturating_mul(ROOM));
        (self.wanted.fuel.is_none() && enough < max).then(|| {
            format!(
                "fuel {} of {}: `[limits] fuel = {enough}` in plugin.toml catches a runaway early, with room for {ROOM} \
                 times as much",
                group(used),
                group(max)
            )
        })
    }

    fn of_memory(&self) -> Option<String> {
        let (used, max) = (self.memory, self.limits.memory_bytes_max as u64);
        if used > max / 4 * 3 {
            return Some(format!("memory is short: {} of {}; keep less at once", bytes(used), bytes(max)));
        }
        let enough = (used >> 20).saturating_add(1).saturating_mul(4);
        (self.wanted.memory_mib.is_none() && enough < max >> 20).then(|| {
            format!("memory {} of {}: `memory_mib = {enough}` under `[limits]` is enough", bytes(used), bytes(max))
        })
    }

    fn of_body(&self) -> Option<String> {
        let (used, max) = (self.body_bytes, self.limits.body_bytes_max);
        (used > max / 2)
            .then(|| format!("the body has {} of {}: send fewer fields", bytes(used as u64), bytes(max as u64)))
    }

    fn of_the_machine(&self) -> Option<String> {
        (self.fresh_p99 > self.fresh * 5).then(|| {
            "one call of a hundred takes more than five times the usual: measure again on a machine at rest".into()
        })
    }
}

/// Rounds up to two digits and noughts.
fn round_up(number: u64) -> u64 {
    let digits = number.max(1).ilog10();
    let unit = 10_u64.pow(digits.saturating_sub(1));
    number.div_ceil(unit).saturating_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(fuel: u64, memory_mib: u64, start_micros: u64) -> Measured {
        Measured {
            fresh: Duration::from_micros(100),
            fresh_p99: Duration::from_micros(200),
            start: Duration::from_micros(start_micros),
            warm: Duration::from_micros(90),
            is_warm: false,
            fuel,
            memory: memory_mib << 20,
            body_bytes: 10,
            limits: PluginLimits::default(),
            wanted: WantedLimits::default(),
        }
    }

    fn check(measured: &Measured, parts: &[&str]) {
        let advice = measured.advice();
        assert_eq!(advice.len(), parts.len(), "{advice:#?}");
        for (sentence, part) in advice.iter().zip(parts) {
            assert!(sentence.contains(part), "{part:?} is missing in {sentence:?}");
        }
    }

    #[test]
    fn limits_are_recommended_until_they_are_set_or_short() {
        check(
            &measured(106_394, 1, 80),
            &["80 % of a call is starting", "[limits] fuel = 2200000", "`memory_mib = 8`"],
        );
        check(&measured(400_000_000, 60, 20), &["20 % of a call is starting", "fuel is short", "memory is short"]);
        let mut limited = measured(106_394, 1, 20);
        limited.wanted.fuel = Some(1_000_000);
        limited.wanted.memory_mib = Some(4);
        limited.fresh_p99 = Duration::from_millis(1);
        limited.body_bytes = 900_000;
        check(&limited, &["10 000 calls a second", "the body has", "machine at rest"]);
    }

    #[test]
    fn a_slow_start_is_worth_an_instance_that_is_kept() {
        let mut slow = measured(500_000_000, 64, 900);
        (slow.fresh, slow.fresh_p99) = (Duration::from_micros(1_800), Duration::from_micros(2_000));
        check(&slow, &["50 % of a call", "20 times as quick: `warm = true`", "fuel is short", "memory is short"]);
        slow.is_warm = true;
        check(&slow, &["50 % of a call", "fuel is short", "memory is short"]);
    }

    #[test]
    fn numbers_are_rounded_to_two_digits() {
        assert_eq!([0, 9, 10, 101, 2_127_880].map(round_up), [0, 9, 10, 110, 2_200_000]);
    }
}
