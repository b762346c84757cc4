//! What a receiver's answer means, where the plugin knows better than the status.

use std::time::Duration;

use hookmill_core::{DeliveryId, Event, JsonText, Judgement, Response};

use crate::bindings::v1::hookmill::plugin::types as wit;
use crate::call::{Plugin, Report};
use crate::transform::wit_event;

/// Characters of a reason that a guest gives.
const REASON_CHARS_MAX: usize = 1_000;

/// An answer that a plugin is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// The event that was delivered.
    pub event: &'a Event,
    /// What the receiver answered.
    pub response: &'a Response,
    /// The webhook's settings for this plugin: a JSON object.
    pub settings: &'a JsonText,
    /// Seeds the guest's random numbers.
    pub delivery: &'a DeliveryId,
}

impl Plugin {
    /// Tells whether the plugin judges answers.
    pub fn judges(&self) -> bool {
        self.exports().response.is_some()
    }

    /// Asks the plugin what an answer means; none if it does not judge answers. Blocks as
    /// [`transform`](Self::transform) does.
    pub fn judge(&self, input: &Judge<'_>) -> Option<Report<Judgement>> {
        let response = self.exports().response.as_ref()?;
        let event = wit_event(input.event, self.selection());
        let answer = input.response;
        let report = self.run(input.event.occurred_at, input.delivery, |store, instance| {
            let guest = response.load(&mut *store, instance)?;
            let settings = input.settings.as_str();
            guest.call_judge(&mut *store, &event, answer.status, &answer.headers, &answer.body, settings)
        });
        Some(report.and_then(|verdict| Ok(judgement(verdict))))
    }
}

fn judgement(verdict: wit::Verdict) -> Judgement {
    match verdict {
        wit::Verdict::Delivered => Judgement::Delivered,
        wit::Verdict::Retry(seconds) => Judgement::Retry(seconds.map(|seconds| Duration::from_secs(seconds.into()))),
        wit::Verdict::Dead(reason) => Judgement::Dead(reason.chars().take(REASON_CHARS_MAX).collect()),
    }
}
