//! A version that is tried out on a share of the events, and taken back by itself if it does worse.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hookmill_core::{DeliveryId, Digest, EventId, PluginName, TenantId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Runs of the canary before its failures are weighed.
const RUNS_MIN: u64 = 20;

/// By how much its share of failures may exceed the active version's.
const RISE_MAX: f64 = 0.05;

/// Fewer failures than this are chance.
const FAILURES_MIN: u64 = 3;

/// A canary as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Canary {
    pub(super) digest: Digest,
    /// 0 to 1.
    pub(super) share: f64,
    pub(super) since: Timestamp,
}

/// How one version fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Fared {
    /// Attempts in which it ran.
    pub runs: u64,
    /// Of these, the ones that the plugin failed or the receiver refused.
    pub failures: u64,
}

impl Fared {
    fn share(self) -> f64 {
        if self.runs == 0 { 0.0 } else { self.failures as f64 / self.runs as f64 }
    }
}

/// A canary beside the active version.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CanaryInfo {
    /// The version that is tried out.
    pub digest: Digest,
    /// The share of events that it takes, 0 to 1.
    pub share: f64,
    /// Since when.
    pub since: Timestamp,
    /// How it fared since then, or since hookmill was started.
    pub canary: Fared,
    /// How the active version fared in the same time.
    pub active: Fared,
}

/// How a canary ended by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CanaryEnd {
    /// The version that was tried out.
    pub digest: Digest,
    /// When it was taken back.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

type Key = (TenantId, PluginName);

/// How a canary and the version beside it fare.
#[derive(Debug, Clone, Copy)]
struct Race {
    of: Digest,
    canary: Fared,
    active: Fared,
}

/// How canaries and the versions beside them fare.
#[derive(Debug, Default)]
pub(super) struct Canaries(Mutex<HashMap<Key, Race>>);

impl Race {
    fn begin(of: Digest) -> Self {
        Self { of, canary: Fared::default(), active: Fared::default() }
    }

    fn is_lost(&self) -> bool {
        self.canary.runs >= RUNS_MIN
            && self.canary.failures >= FAILURES_MIN
            && self.canary.share() > self.active.share() + RISE_MAX
    }
}

impl Canary {
    /// Tells whether this event is one of the canary's: the same for every try, on every machine.
    pub(super) fn takes(&self, tenant: &TenantId, event: &EventId) -> bool {
        let place = DeliveryId::event_key(tenant, event) as f64 / u64::MAX as f64;
        place < self.share
    }
}

impl Canaries {
    fn all(&self) -> MutexGuard<'_, HashMap<Key, Race>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a run beside a canary; returns why the canary is to end, if it is.
    pub(super) fn settle(&self, key: &Key, canary: Digest, ran: Digest, failed: bool) -> Option<String> {
        let mut all = self.all();
        let race = all.entry(key.clone()).or_insert_with(|| Race::begin(canary));
        if race.of != canary {
            *race = Race::begin(canary);
        }
        let fared = if ran == canary { &mut race.canary } else { &mut race.active };
        fared.runs += 1;
        fared.failures += u64::from(failed);
        race.is_lost().then(|| {
            let Race { canary, active, .. } = race;
            format!(
                "{} of {} runs failed, and {} of {} of the active version",
                canary.failures, canary.runs, active.failures, active.runs
            )
        })
    }

    pub(super) fn info(&self, key: &Key, canary: &Canary) -> CanaryInfo {
        let all = self.all();
        let race = all.get(key).filter(|race| race.of == canary.digest).copied();
        let race = race.unwrap_or_else(|| Race::begin(canary.digest));
        let Canary { digest, share, since } = *canary;
        CanaryInfo { digest, share, since, canary: race.canary, active: race.active }
    }

    pub(super) fn forget(&self, key: &Key) {
        self.all().remove(key);
    }
}
