//! The words of hookmill and the rules that need no machine.
//!
//! Everything here is a value or a pure function, so that a rule is tested in microseconds and reads the same
//! over every store. This crate never does I/O, never reads a clock and never names a backend; what the engine
//! needs from outside is a trait in [`ports`].

#![warn(clippy::exhaustive_enums)]

pub mod attempt;
pub mod delivery;
pub mod event;
pub mod explain;
pub mod frappe;
pub mod id;
pub mod json;
pub mod limits;
pub mod mask;
pub mod matching;
pub mod ports;
pub mod replay;
pub mod retry;
pub mod select;
pub mod source;
pub mod webhook;

pub use attempt::{Attempt, Fault, Judgement, Outcome, PluginRun, Request, Response, Verdict};
pub use delivery::{DeliveryState, DeliveryStatus};
pub use event::{Event, EventEnvelope, EventError};
pub use explain::Explain;
pub use id::{DeliveryId, Digest, EventId, InvalidName, PluginName, ReplayId, TenantId, WebhookName};
pub use json::JsonText;
pub use replay::{RedeliverMode, Replay};
pub use source::{FrappeSource, SourceError};
pub use webhook::{Webhook, WebhookError};
