//! What a receiver's answer means, where the webhook's plugin has a say in it.

use std::sync::Arc;

use hookmill_core::{DeliveryId, Event, Fault, Outcome, PluginRun, Response};
use hookmill_plugin::{Judge, Report};

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
        outcome: Outcome,
        response: Option<&Response>,
    ) -> Judged {
        let asks_nobody = |outcome| Judged { outcome, run: None, fault: None };
        let (Some(wanted), Some(response)) = (&hook.webhook().plugin, response) else { return asks_nobody(outcome) };
        let plugin = self.plugins.pick_or_load(&hook.tenant, &wanted.name, wanted.digest.as_ref(), &event.id).await;
        let Some(plugin) = plugin.filter(|plugin| plugin.judges()) else { return asks_nobody(outcome) };
        let (digest, engine_hash) = (plugin.digest(), plugin.engine_hash());
        let (job_hook, job_event, job_id, answer) = (hook.clone(), event.clone(), *id, response.clone());
        let report = self.guests.run(move || {
            let settings = &job_hook.webhook().plugin.as_ref()?.settings;
            plugin.judge(&Judge { event: &job_event, response: &answer, settings, delivery: &job_id })
        });
        let Some(Report { result, fuel, memory, log, .. }) = report.await.flatten() else {
            return asks_nobody(outcome);
        };
        let run = PluginRun {
            name: wanted.name.clone(),
            digest,
            fuel,
            memory,
            log,
            engine_hash: Some(engine_hash),
            input_hash: None,
            output_hash: None,
        };
        let (outcome, fault) = match result {
            Ok(judgement) => (Outcome::Judged { status: response.status, judgement }, None),
            Err(fault) => (outcome, Some(fault)),
        };
        Judged { outcome, run: Some(run), fault }
    }
}
