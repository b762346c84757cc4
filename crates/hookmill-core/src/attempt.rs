//! An attempt: what ran, what was sent, what came back, and what follows from it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::webhook::Success;
use crate::{DeliveryState, DeliveryStatus, Digest, PluginName, Replay, retry::Retry};

/// A request as rendered: what a retry sends again, byte for byte.
///
/// The headers that depend on the moment (timestamp, signature) are not among these; they are made for each try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// The absolute URL.
    pub url: String,
    /// Names and values in the order in which they are sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(with = "body_text")]
    pub body: Vec<u8>,
}

/// What the receiver answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Names and values as received; values that are not UTF-8 have their bad bytes replaced.
    pub headers: Vec<(String, String)>,
    /// The body, up to the limit.
    #[serde(with = "body_text")]
    pub body: Vec<u8>,
    /// Whether the body went on past the limit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// A body in JSON: text as it is, other bytes as `{"hex": "…"}`.
mod body_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Body<'a> {
        Text(std::borrow::Cow<'a, str>),
        Bytes { hex: String },
    }

    #[allow(clippy::ptr_arg, reason = "the signature that serde's `with` calls")]
    pub(super) fn serialize<S: Serializer>(body: &Vec<u8>, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(body) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => {
                Body::Bytes { hex: body.iter().map(|byte| format!("{byte:02x}")).collect() }.serialize(serializer)
            }
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        match Body::deserialize(deserializer)? {
            Body::Text(text) => Ok(text.into_owned().into_bytes()),
            Body::Bytes { hex } => hex
                .as_bytes()
                .chunks(2)
                .map(|pair| std::str::from_utf8(pair).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok()))
                .collect::<Option<_>>()
                .ok_or_else(|| D::Error::custom("a body in hexadecimal digits has a wrong digit")),
        }
    }
}

/// What a plugin's run cost and said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginRun {
    /// The plugin.
    pub name: PluginName,
    /// Its version.
    pub digest: Digest,
    /// Fuel used; one unit is about one WebAssembly instruction.
    pub fuel: u64,
    /// The largest sum of its linear memories, in bytes.
    pub memory: u64,
    /// What it logged, a line each, with the level in front.
    pub log: Vec<String>,
    /// Whether an instance that was kept from an earlier call ran, as the plugin's manifest asks for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warm: bool,
    /// The digest of the engine, its settings and the limits: what decides the result beside component and input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_hash: Option<Digest>,
    /// The digest of everything that the plugin was handed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_hash: Option<Digest>,
    /// The digest of what it decided, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_hash: Option<Digest>,
}

/// Why an attempt did not lead to a delivered request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// A stable code, for example `plugin_trap` or `send_timeout`.
    pub code: String,
    /// One sentence of cause.
    pub message: String,
    /// The frames of the guest where it trapped, innermost first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backtrace: Option<String>,
}

/// One try of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// What followed from it: `delivered`, `retry`, `skipped`, `parked` or `dead`.
    pub outcome: String,
    /// The request, if one was rendered.
    pub request: Option<Request>,
    /// The answer, if one came.
    pub response: Option<Response>,
    /// How long rendering and sending took together.
    pub duration_ms: u64,
    /// The plugin's run, if one ran in this attempt.
    pub plugin: Option<PluginRun>,
    /// The run in which the plugin judged the answer, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<PluginRun>,
    /// What went wrong, if anything.
    pub error: Option<Fault>,
    /// The replay that it is part of; none in a delivery's first round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
}

impl Attempt {
    /// Returns an attempt in which nothing ran, because nothing was to be sent.
    pub fn skipped(at: Timestamp) -> Self {
        Self {
            at,
            outcome: "skipped".into(),
            request: None,
            response: None,
            duration_ms: 0,
            plugin: None,
            judge: None,
            error: None,
            replay: None,
        }
    }
}

/// What an answer means in a plugin's judgement, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the judge must rule on every judgement")]
pub enum Judgement {
    /// The receiver has it.
    Delivered,
    /// To be tried again, after so long if given, else as the webhook's schedule has it.
    Retry(Option<Duration>),
    /// To be given up, for this reason.
    Dead(String),
}

/// How the steps before judging ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the judge must rule on every outcome")]
pub enum Outcome {
    /// The receiver answered with this status and, perhaps, asked for patience.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The answer's `Retry-After`, as a span from now.
        retry_after: Option<Duration>,
    },
    /// The receiver answered with this status, and the plugin knows what that means.
    Judged {
        /// The HTTP status.
        status: u16,
        /// What the plugin made of it.
        judgement: Judgement,
    },
    /// No answer came: connecting, sending or reading failed. Trying again may help.
    Unanswered(Fault),
    /// The condition or the plugin decided that nothing is to be sent.
    Skipped(String),
    /// Rendering, the plugin or the address check failed in a way that trying again can't mend.
    Refused(Fault),
}

/// Codes of failures on the way to a receiver that are not its own: of the operator's proxy and of token servers.
const NOT_THE_RECEIVERS: [&str; 4] = ["send_proxy", "auth_token_failed", "auth_token_refused", "auth_token_malformed"];

impl Outcome {
    /// Tells whether a failure speaks against the receiver, so that others that go there should wait. A refusal of this
    /// one request, a 404 say, does not.
    pub fn is_the_receivers_failure(&self) -> bool {
        match self {
            Self::Answered { status, .. } | Self::Judged { status, .. } => matches!(status, 429 | 500..),
            Self::Unanswered(fault) => {
                fault.code.starts_with("send_") && !NOT_THE_RECEIVERS.contains(&fault.code.as_str())
            }
            Self::Skipped(_) | Self::Refused(_) => false,
        }
    }
}

/// What follows from an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "whoever settles an attempt must settle every verdict")]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// Nothing was to be sent.
    Skipped(String),
    /// To be tried again at this moment.
    Retry(Timestamp, String),
    /// Waits for a person or a new plugin version.
    Parked(String),
    /// Given up.
    Dead(String),
}

impl Verdict {
    /// Returns the word that an [`Attempt`] bears.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Skipped(_) => "skipped",
            Self::Retry(..) => "retry",
            Self::Parked(_) => "parked",
            Self::Dead(_) => "dead",
        }
    }

    /// Returns where the delivery stands after this verdict.
    pub fn into_status(self) -> DeliveryStatus {
        let (state, reason, next_attempt_at) = match self {
            Self::Delivered => (DeliveryState::Delivered, None, None),
            Self::Skipped(reason) => (DeliveryState::Skipped, Some(reason), None),
            Self::Retry(at, reason) => (DeliveryState::Pending, Some(reason), Some(at)),
            Self::Parked(reason) => (DeliveryState::Parked, Some(reason), None),
            Self::Dead(reason) => (DeliveryState::Dead, Some(reason), None),
        };
        DeliveryStatus { state, reason, next_attempt_at }
    }
}

/// Decides what follows from an outcome.
///
/// An answer that is a `success` is delivered; 410 ends the delivery, for the receiver says that it is gone for good
/// (RFC 9110 §15.5.11); everything else, redirects included, is tried again while `retry` has tries left. `tried` counts
/// this attempt too. `roll` in 0..1 decides the jitter.
pub fn judge(outcome: &Outcome, success: &Success, retry: &Retry, tried: u32, now: Timestamp, roll: f64) -> Verdict {
    let (reason, retry_after) = match outcome {
        Outcome::Answered { status, .. } if success.has(*status) => return Verdict::Delivered,
        Outcome::Answered { status: 410, .. } => return Verdict::Dead("the receiver answered 410 Gone".into()),
        Outcome::Judged { judgement: Judgement::Delivered, .. } => return Verdict::Delivered,
        Outcome::Judged { judgement: Judgement::Dead(reason), status } => {
            return Verdict::Dead(format!("the plugin gave up on the receiver's answer {status}: {reason}"));
        }
        Outcome::Judged { judgement: Judgement::Retry(after), status } => {
            (format!("the plugin wants another try after the receiver's answer {status}"), *after)
        }
        Outcome::Skipped(reason) => return Verdict::Skipped(reason.clone()),
        Outcome::Refused(fault) => return Verdict::Parked(format!("{}: {}", fault.code, fault.message)),
        Outcome::Answered { status: status @ 300..=399, .. } => {
            (format!("the receiver answered {status}; redirects are not followed"), None)
        }
        Outcome::Answered { status, retry_after } => (format!("the receiver answered {status}"), *retry_after),
        Outcome::Unanswered(fault) => (format!("{}: {}", fault.code, fault.message), None),
    };
    let next = retry
        .next_wait(tried, retry_after, roll)
        .and_then(|wait| SignedDuration::try_from(wait).ok())
        .and_then(|wait| now.checked_add(wait).ok());
    match next {
        Some(at) => Verdict::Retry(at, reason),
        None => Verdict::Dead(format!("{reason}; that was try {tried} of {tried}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, tried: u32) -> Verdict {
        let outcome = Outcome::Answered { status, retry_after: None };
        judge(&outcome, &Success::default(), &Retry::default(), tried, Timestamp::UNIX_EPOCH, 0.5)
    }

    #[test]
    fn every_status_has_its_verdict() {
        assert_eq!(answered(200, 1), Verdict::Delivered);
        assert_eq!(answered(299, 9), Verdict::Delivered);
        assert_eq!(answered(410, 1).outcome(), "dead");
        for status in [100, 199, 300, 301, 302, 307, 308, 400, 401, 404, 429, 500, 503, 599] {
            assert_eq!(answered(status, 1).outcome(), "retry", "{status}");
            assert_eq!(answered(status, 10).outcome(), "dead", "{status}");
        }
    }

    #[test]
    fn the_first_retry_comes_after_five_seconds_or_when_the_receiver_asks() {
        let at = |verdict| match verdict {
            Verdict::Retry(at, _) => at.as_second(),
            other => panic!("{other:?}"),
        };
        assert_eq!(at(answered(500, 1)), 5);
        let outcome = Outcome::Answered { status: 503, retry_after: Some(Duration::from_secs(77)) };
        assert_eq!(at(judge(&outcome, &Success::default(), &Retry::default(), 1, Timestamp::UNIX_EPOCH, 0.5)), 77);
    }

    #[test]
    fn what_counts_as_success_is_the_webhooks_to_say() {
        let success: Success = serde_json::from_str(r#"["2xx","409","410"]"#).expect("statuses");
        let judged = |status| {
            let outcome = Outcome::Answered { status, retry_after: None };
            judge(&outcome, &success, &Retry::default(), 1, Timestamp::UNIX_EPOCH, 0.5).outcome()
        };
        assert_eq!([200, 409, 410, 404].map(judged), ["delivered", "delivered", "delivered", "retry"]);
    }

    #[test]
    fn what_fails_on_the_way_does_not_speak_against_the_receiver() {
        let unanswered = |code: &str| {
            Outcome::Unanswered(Fault { code: code.into(), message: String::new(), backtrace: None })
                .is_the_receivers_failure()
        };
        assert!(unanswered("send_timeout") && unanswered("send_connect"));
        assert!(!unanswered("send_proxy") && !unanswered("auth_token_failed") && !unanswered("plugin_host_busy"));
        let answered = |status| Outcome::Answered { status, retry_after: None }.is_the_receivers_failure();
        assert!(answered(500) && answered(429) && !answered(302) && !answered(404) && !answered(204));
        assert!(!Outcome::Skipped("no".into()).is_the_receivers_failure());
    }

    #[test]
    fn a_plugins_judgement_stands_above_the_status() {
        let judged = |judgement, tried| {
            let outcome = Outcome::Judged { status: 200, judgement };
            judge(&outcome, &Success::default(), &Retry::default(), tried, Timestamp::UNIX_EPOCH, 0.5)
        };
        assert_eq!(judged(Judgement::Delivered, 1), Verdict::Delivered);
        assert_eq!(judged(Judgement::Dead("no".into()), 1).outcome(), "dead");
        assert_eq!(judged(Judgement::Retry(None), 10).outcome(), "dead");
        match judged(Judgement::Retry(Some(Duration::from_secs(77))), 1) {
            Verdict::Retry(at, reason) => assert!(at.as_second() == 77 && reason.contains("200"), "{at} {reason}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_body_that_is_not_text_survives_json() {
        let request =
            Request { method: "POST".into(), url: "http://h/".into(), headers: vec![], body: vec![0xff, 0, 0x41] };
        let json = serde_json::to_string(&request).expect("serializes");
        assert_eq!(serde_json::from_str::<Request>(&json).expect("reads back"), request);
    }
}
