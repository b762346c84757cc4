//! What a receiver's answer means, where the webhook's plugin has a say in it.

use std::sync::Arc;

use hookmill_core::{DeliveryId, Event, Fault, Outcome, PluginRun, Response};
use hookmill_plugin::{Judge, Plugin};

use crate::choose::Choice;
use crate::engine::Inner;
use crate::webhooks::Hook;

/// An outcome after the plugin had its say.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) outcome: Outcome,
    /// The plugin's run, if it was asked.
    pub(crate) run: Option<PluginRun>,
    /// What the plugin did wrong; then the status alone decides.
    pub(crate) fault: Option<Fault>,
}

impl Inner {
    /// Asks the webhook's plugin about an answer, if there is one and the plugin judges.
    pub(crate) async fn judged(
        &self,
        hook: &Arc<Hook>,
        id: &DeliveryId,
        event: &Arc<Event>,
        choice: &Choice,
        outcome: Outcome,
        response: Option<&Response>,
    ) -> Judged {
        let asks_nobody = |outcome| Judged { outcome, run: None, fault: None };
        let (Some(wanted), Some(response)) = (&hook.webhook().plugin, response) else { return asks_nobody(outcome) };
        let plugin = match choice {
            Choice::Version(plugin) => Some(plugin.clone()),
            // The request was kept from an earlier try, so that nothing had to be chosen yet.
            _ => self.plugins.pick(&hook.tenant, &wanted.name, wanted.digest.as_ref(), &event.id).await,
        };
        let Some(plugin) = plugin.filter(Plugin::judges) else { return asks_nobody(outcome) };
        let (job_hook, job_event, job_id, answer) = (hook.clone(), event.clone(), *id, response.clone());
        let judge = move || {
            let plugin_use = job_hook.webhook().plugin.as_ref()?;
            let judge =
                Judge { event: &job_event, response: &answer, settings: &plugin_use.settings, delivery: &job_id };
            Some(plugin.judge(&judge)?.into_run(plugin_use.name.clone(), &plugin))
        };
        let report = self.guests.run(&hook.pace, judge, |report| matches!(report, Some((Err(_), _))));
        let Some((result, run)) = report.await.flatten() else { return asks_nobody(outcome) };
        let (outcome, fault) = match result {
            Ok(judgement) => (Outcome::Judged { status: response.status, judgement }, None),
            Err(fault) => (outcome, Some(fault)),
        };
        Judged { outcome, run: Some(run), fault }
    }
}
