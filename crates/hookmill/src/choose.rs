//! Which version of a plugin runs for an event, and whether it may run now.

use std::sync::Arc;

use hookmill_core::ports::Moment;
use hookmill_core::{DeliveryId, Digest, Event, Fault, Outcome, PluginName, PluginRun, TenantId};
use hookmill_plugin::{Plugin, is_the_hosts};
use serde_json::json;

use crate::announce::News;
use crate::engine::Inner;
use crate::plugins::{Admission, Ran, Suspension};
use crate::prepare::{Prepared, prepare};
use crate::webhooks::Hook;

/// What is to run for an event.
#[derive(Debug, Clone)]
pub(crate) enum Choice {
    /// The webhook has no plugin, or its request is kept from an earlier try.
    Nothing,
    /// This version.
    Version(Plugin),
    /// The webhook's plugin, or the version that it stays on, is not there.
    Unknown(String),
}

impl Inner {
    /// Chooses the version that runs for `event`; past a trial, no canary.
    pub(crate) async fn choose(&self, hook: &Hook, event: &Event, past_trial: bool) -> Choice {
        let Some(wanted) = &hook.webhook().plugin else { return Choice::Nothing };
        let (tenant, name, digest) = (&hook.tenant, &wanted.name, wanted.digest.as_ref());
        let picked = match past_trial {
            true => self.plugins.lasting(tenant, name, digest).await,
            false => self.plugins.pick(tenant, name, digest, &event.id).await,
        };
        match picked {
            Some(plugin) => Choice::Version(plugin),
            None => {
                let version = wanted.digest.map(|digest| format!(" of version {digest}")).unwrap_or_default();
                Choice::Unknown(format!("there is no plugin {:?}{version} to run", wanted.name.as_str()))
            }
        }
    }

    /// Tells whether a failure is that of a version on trial: of one that is not the active one, and that the webhook did not
    /// ask for by its digest.
    pub(crate) fn fails_on_trial(&self, hook: &Hook, choice: &Choice, fault: &Fault) -> bool {
        let (Choice::Version(plugin), Some(wanted)) = (choice, &hook.webhook().plugin) else { return false };
        let is_lasting = || self.plugins.is_active(&hook.tenant, &wanted.name, plugin.digest());
        wanted.digest.is_none() && !is_the_hosts(fault) && !is_lasting()
    }

    /// Returns until when a choice must wait, its version being suspended for its failures.
    pub(crate) fn suspended_until(&self, hook: &Hook, choice: &Choice) -> Option<Moment> {
        let (Choice::Version(plugin), Some(wanted)) = (choice, &hook.webhook().plugin) else { return None };
        match self.plugins.admit(&hook.tenant, &wanted.name, plugin.digest()) {
            Admission::Run => None,
            Admission::WaitUntil(until) => Some(until),
        }
    }

    /// Step 5, on a guest thread where a guest or a user's expression runs.
    pub(crate) async fn prepared(
        &self,
        hook: &Arc<Hook>,
        id: &DeliveryId,
        event: &Arc<Event>,
        choice: Choice,
    ) -> Prepared {
        let plugin = match choice {
            Choice::Nothing => None,
            Choice::Version(plugin) => Some(plugin),
            Choice::Unknown(message) => return Prepared::refused("plugin_unknown", message),
        };
        if plugin.is_none() && hook.renderer.is_cheap() {
            return prepare(hook, None, event, id);
        }
        let pace = hook.pace.clone();
        let (hook, event, id) = (hook.clone(), event.clone(), *id);
        let job = move || prepare(&hook, plugin.as_ref(), &event, &id);
        self.guests.run(&pace, job, Prepared::has_failed).await.unwrap_or_else(|| {
            Prepared::failed(
                "plugin_host_panic",
                "the host failed while it rendered the request; please report this".into(),
            )
        })
    }

    /// Tells the registry how the version that was chosen fared; a canary that does worse is taken back.
    pub(crate) fn fared(
        self: &Arc<Self>,
        hook: &Hook,
        choice: &Choice,
        run: Option<&PluginRun>,
        fault: Option<&Fault>,
        outcome: &Outcome,
    ) {
        let (Choice::Version(plugin), Some(wanted)) = (choice, &hook.webhook().plugin) else { return };
        let digest = plugin.digest();
        if fault.is_some_and(|fault| fault.backtrace.is_some()) {
            hook.pace.crashed();
        }
        if run.is_none() {
            return self.plugins.not_run(&hook.tenant, &wanted.name, digest);
        }
        let refused = matches!(outcome, Outcome::Answered { status, .. } if !(200..300).contains(status));
        let (tenant, name, ran) = (&hook.tenant, &wanted.name, Ran { digest, fault, refused });
        let lost = self.plugins.settle_canary(tenant, name, ran);
        let suspension = self.plugins.settle(tenant, name, ran);
        match (lost, suspension) {
            (Some(reason), _) => self.take_back(tenant.clone(), name.clone(), digest, reason),
            // There is a version that works, so nothing has to wait for this one.
            (None, Some(Suspension { failures, reason, .. })) if self.plugins.is_canary(tenant, name, digest) => {
                let reason = format!("it failed {failures} times in a row: {reason}");
                self.take_back(tenant.clone(), name.clone(), digest, reason);
            }
            (None, Some(suspension)) => {
                self.announce(tenant, News::PluginSuspended, name.as_str(), json!(suspension));
            }
            (None, None) => {}
        }
    }

    /// Ends a canary that does worse than the active version.
    fn take_back(self: &Arc<Self>, tenant: TenantId, name: PluginName, digest: Digest, reason: String) {
        let engine = self.clone();
        self.tasks.spawn(async move {
            match engine.plugins.end_canary(&tenant, &name, Some(reason.clone())).await {
                Ok(()) => {
                    // What waits for the canary goes on with the active version.
                    engine.version_changed();
                    let details = json!({"digest": digest, "reason": reason});
                    engine.announce(&tenant, News::CanaryTakenBack, name.as_str(), details);
                }
                Err(error) => {
                    tracing::error!(plugin = %name, %error, "a canary that does worse could not be taken back");
                }
            }
        });
    }
}
