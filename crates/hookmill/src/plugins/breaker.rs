//! Suspends a plugin that keeps failing, so that its deliveries wait for a mended version instead of failing one by one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hookmill_core::ports::{Clock, Moment};
use hookmill_core::{Digest, Fault, PluginName, TenantId};

use super::stored::Suspension;
use crate::circuit::{Circuit, CircuitPolicy};
use crate::clock::on_the_wall;

/// A version has a breaker of its own, for two may run side by side: a canary, or one that a webhook stays on.
type Key = (TenantId, PluginName, Digest);

/// What is known of a version that failed last. Each failure is recorded at its delivery.
#[derive(Debug, Default)]
struct Breaker {
    circuit: Circuit,
    reason: String,
}

/// Whether a version may run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Run,
    /// Not before this moment.
    WaitUntil(Moment),
}

/// A version that is suspended, until a moment of steady time.
#[derive(Debug)]
pub(super) struct Suspended {
    digest: Digest,
    failures: u32,
    until: Moment,
    reason: String,
}

impl Suspended {
    /// Returns it as people are told of it.
    pub(super) fn shown(self, clock: &dyn Clock) -> Suspension {
        let Self { digest, failures, until, reason } = self;
        Suspension { digest, failures, until: on_the_wall(clock, until), reason }
    }
}

/// The breakers of all versions. Only those that failed last have one.
#[derive(Debug, Default)]
pub(crate) struct Breakers(Mutex<HashMap<Key, Breaker>>);

impl Breakers {
    fn breakers(&self) -> MutexGuard<'_, HashMap<Key, Breaker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks whether this version may run. Who is let through must call [`settle`](Self::settle).
    pub(crate) fn admit(&self, tenant: &TenantId, name: &PluginName, digest: Digest, now: Moment) -> Admission {
        let mut breakers = self.breakers();
        if breakers.is_empty() {
            return Admission::Run;
        }
        let breaker = breakers.get_mut(&(tenant.clone(), name.clone(), digest));
        let Some(Breaker { circuit, .. }) = breaker else { return Admission::Run };
        if let Some(until) = circuit.wait(now) {
            return Admission::WaitUntil(until);
        }
        circuit.begin();
        Admission::Run
    }

    /// Takes note of how a run went; returns the suspension if this began or prolonged one. What the document or the
    /// settings are to blame for is no failure of the plugin.
    pub(super) fn settle(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        digest: Digest,
        fault: Option<&Fault>,
        now: Moment,
    ) -> Option<Suspended> {
        let mut breakers = self.breakers();
        let fault = fault.filter(|fault| is_the_plugins(fault));
        if fault.is_none() && breakers.is_empty() {
            return None;
        }
        let key = (tenant.clone(), name.clone(), digest);
        let Some(fault) = fault else {
            breakers.remove(&key);
            return None;
        };
        let breaker = breakers.entry(key).or_default();
        breaker.reason = format!("{}: {}", fault.code, fault.message);
        let until = breaker.circuit.failed(&CircuitPolicy::default(), now)?;
        let (failures, reason) = (breaker.circuit.failures(), &breaker.reason);
        let secs = until.since(now).as_secs();
        tracing::warn!(plugin = %name, %digest, failures, secs, reason, "a plugin keeps failing; its deliveries wait");
        Some(Suspended { digest, failures, until, reason: reason.clone() })
    }

    /// Takes note that a run that was let through did not take place: the condition held it back, say.
    pub(crate) fn not_run(&self, tenant: &TenantId, name: &PluginName, digest: Digest) {
        let mut breakers = self.breakers();
        if breakers.is_empty() {
            return;
        }
        if let Some(breaker) = breakers.get_mut(&(tenant.clone(), name.clone(), digest)) {
            breaker.circuit.undecided();
        }
    }

    /// Forgets what is known of a plugin's failures: another version is active.
    pub(crate) fn reset(&self, tenant: &TenantId, name: &PluginName) {
        self.breakers().retain(|(of_tenant, of, _), _| of_tenant != tenant || of != name);
    }

    pub(super) fn suspension(&self, tenant: &TenantId, name: &PluginName) -> Option<Suspended> {
        let breakers = self.breakers();
        let of_plugin = breakers.iter().filter(|((of_tenant, of, _), _)| of_tenant == tenant && of == name);
        // Of several, the one that waits longest is what holds up most.
        let open =
            of_plugin.filter_map(|((.., digest), breaker)| Some((*digest, breaker.circuit.open_until()?, breaker)));
        let (digest, until, Breaker { circuit, reason }) = open.max_by_key(|(_, until, _)| *until)?;
        Some(Suspended { digest, failures: circuit.failures(), until, reason: reason.clone() })
    }
}

fn is_the_plugins(fault: &Fault) -> bool {
    !matches!(fault.code.as_str(), "plugin_bad_document" | "plugin_bad_settings")
        && !hookmill_plugin::is_the_hosts(fault)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Stand {
        breakers: Breakers,
        tenant: TenantId,
        name: PluginName,
        digest: Digest,
    }

    impl Stand {
        fn new() -> Self {
            let (tenant, name) = (TenantId::default_tenant(), PluginName::new("p").expect("valid"));
            Self { breakers: Breakers::default(), tenant, name, digest: Digest::of(b"1") }
        }

        fn admit(&self, secs: u64) -> Admission {
            self.breakers.admit(&self.tenant, &self.name, self.digest, at(secs))
        }

        fn settle(&self, code: Option<&str>, secs: u64) {
            let fault = code.map(|code| Fault { code: code.into(), message: "why".into(), backtrace: None });
            let _suspension = self.breakers.settle(&self.tenant, &self.name, self.digest, fault.as_ref(), at(secs));
        }

        fn fail(&self, times: u32) {
            (0..times).for_each(|_| self.settle(Some("plugin_trap"), 0));
        }
    }

    fn at(secs: u64) -> Moment {
        Moment::new(Duration::from_secs(secs))
    }

    #[test]
    fn ten_failures_in_a_row_suspend_and_one_success_ends_it() {
        let stand = Stand::new();
        stand.fail(9);
        stand.settle(None, 0);
        stand.fail(9);
        assert_eq!(stand.admit(0), Admission::Run);
        stand.fail(1);
        assert_eq!(stand.admit(1), Admission::WaitUntil(at(30)));
        let suspension = stand.breakers.suspension(&stand.tenant, &stand.name).expect("suspended");
        assert_eq!((suspension.failures, suspension.reason.as_str()), (10, "plugin_trap: why"));

        assert_eq!(stand.admit(30), Admission::Run, "the probe");
        assert_eq!(stand.admit(30), Admission::WaitUntil(at(35)), "one probe at a time");
        stand.settle(Some("plugin_panic"), 31);
        assert_eq!(stand.admit(32), Admission::WaitUntil(at(91)), "twice as long");
        assert_eq!(stand.admit(91), Admission::Run);
        stand.settle(None, 92);
        assert_eq!(stand.admit(92), Admission::Run);
        assert!(stand.breakers.suspension(&stand.tenant, &stand.name).is_none());
    }

    #[test]
    fn documents_settings_and_the_host_are_not_held_against_the_plugin() {
        let stand = Stand::new();
        for code in ["plugin_bad_document", "plugin_bad_settings", "plugin_host_busy"] {
            (0..50).for_each(|_| stand.settle(Some(code), 0));
        }
        assert_eq!(stand.admit(0), Admission::Run);
    }

    #[test]
    fn versions_fail_each_for_itself() {
        let mut stand = Stand::new();
        let (one, other) = (stand.digest, Digest::of(b"2"));
        for _ in 0..10 {
            stand.digest = one;
            stand.fail(1);
            stand.digest = other;
            stand.settle(None, 0);
        }
        assert_eq!(stand.admit(0), Admission::Run);
        stand.digest = one;
        assert_eq!(stand.admit(0), Admission::WaitUntil(at(30)));
        stand.breakers.reset(&stand.tenant, &stand.name);
        assert_eq!(stand.admit(0), Admission::Run);
    }
}
