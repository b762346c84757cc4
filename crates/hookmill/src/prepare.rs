//! From an event to the request that goes out: condition, draft, plugin. Step 5 of the walk.

use hookmill_core::webhook::{Grant, OnError};
use hookmill_core::{DeliveryId, Event, Fault, Outcome, PluginRun, Request};
use hookmill_delivery::cloudevents;
use hookmill_plugin::{Decision, Grants, Plugin, Transform, is_the_hosts};
use hookmill_render::Rendered;

use crate::webhooks::Hook;

/// What became of an event before anything was sent.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The request or, where there is none, how the attempt ends.
    pub(crate) request: Result<Request, Outcome>,
    /// The plugin's run, if one ran.
    pub(crate) run: Option<PluginRun>,
    /// What the plugin did wrong although something else is sent in its place.
    pub(crate) fault: Option<Fault>,
}

impl Prepared {
    fn ends(outcome: Outcome) -> Self {
        Self { request: Err(outcome), run: None, fault: None }
    }

    /// The host itself failed: the same may go well the next time.
    pub(crate) fn failed(code: &str, message: String) -> Self {
        Self::ends(Outcome::Unanswered(Fault { code: code.into(), message, backtrace: None }))
    }

    /// Tells whether the plugin or a template failed, whatever is sent in its place.
    pub(crate) fn has_failed(&self) -> bool {
        self.fault.is_some() || matches!(self.request, Err(Outcome::Refused(_)))
    }

    pub(crate) fn refused(code: &str, message: String) -> Self {
        Self::ends(Outcome::Refused(Fault { code: code.into(), message, backtrace: None }))
    }
}

/// Renders `event` and hands it to the plugin, if the webhook has one, then puts the webhook's envelope around what
/// came of it. Blocks for as long as the guest runs.
pub(crate) fn prepare(hook: &Hook, plugin: Option<&Plugin>, event: &Event, delivery: &DeliveryId) -> Prepared {
    let prepared = rendered(hook, plugin, event, delivery);
    Prepared { request: prepared.request.map(|request| cloudevents::wrap(request, hook.webhook(), event)), ..prepared }
}

fn rendered(hook: &Hook, plugin: Option<&Plugin>, event: &Event, delivery: &DeliveryId) -> Prepared {
    let (draft, draft_has_body) = match hook.renderer.render(event) {
        Ok(Rendered::Draft(draft, made)) => (draft, made),
        Ok(Rendered::Skip(reason)) => return Prepared::ends(Outcome::Skipped(reason)),
        Err(error) => return Prepared::ends(Outcome::Refused(error.into())),
    };
    let (Some(wanted), Some(plugin)) = (&hook.webhook().plugin, plugin) else {
        return Prepared { request: Ok(hook.renderer.complete(draft, draft_has_body, event)), run: None, fault: None };
    };
    let input = Transform {
        event,
        draft: &draft,
        draft_has_body,
        settings: &wanted.settings,
        delivery,
        grants: Grants { url: hook.webhook().grants(Grant::Url), method: hook.webhook().grants(Grant::Method) },
        signature_header: hook.webhook().signature_header.as_deref(),
    };
    let (result, run) = plugin.transform(&input).into_run(wanted.name.clone(), plugin);
    let (request, fault) = match result {
        Ok(Decision::Send(request)) => (Ok(request), None),
        Ok(Decision::Skip(reason)) => (Err(Outcome::Skipped(reason)), None),
        // Nobody's document or plugin is to blame, so the webhook's policy is not asked.
        Err(fault) if is_the_hosts(&fault) => (Err(Outcome::Unanswered(fault.clone())), Some(fault)),
        Err(fault) => match wanted.on_error {
            OnError::SendDefault => (Ok(hook.renderer.complete(draft, draft_has_body, event)), Some(fault)),
            OnError::Skip => (Err(Outcome::Skipped(format!("the plugin failed: {}", fault.message))), Some(fault)),
            _ => (Err(Outcome::Refused(fault.clone())), Some(fault)),
        },
    };
    Prepared { request, run: Some(run), fault }
}
