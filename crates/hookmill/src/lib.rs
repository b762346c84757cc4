//! The embeddable webhook engine.
//!
//! [`Engine::start`] opens a data directory; [`Engine::publish`] takes an event in and answers once it is durable;
//! from there on the engine matches, renders, transforms, signs, sends and retries until the receiver has it.
//! [`Engine::shutdown`] lets what is under way finish. The server is one more user of this same interface.
//!
//! This crate knows nothing of serving HTTP and nothing of command lines. Of the process that it is in, it takes the signal
//! `SIGURG` on Linux, [for threads of its own](hookmill_plugin::priority::offer_core).

mod announce;
mod assemble;
mod background;
mod choose;
mod circuit;
mod clock;
mod config;
mod deliver;
mod deliveries;
mod diff;
mod engine;
mod error;
mod feed;
mod guests;
mod health;
mod housekeeping;
pub mod json_diff;
mod judge;
mod metrics;
mod plugin_calls;
mod plugins;
mod prepare;
mod preview;
mod publish;
mod replays;
mod salvage;
mod scheduler;
mod seal;
mod sealed_store;
mod sources;
mod unrecorded;
mod verify;
mod watch;
mod webhooks;

#[doc(hidden)]
pub use assemble::Parts;
pub use circuit::CircuitPolicy;
pub use clock::SystemClock;
pub use config::{EngineConfig, LimitsOf};
pub use diff::{Change, CostChange, EventDiff, PluginDiff};
pub use engine::{Engine, ShutdownReport};
pub use error::{EngineError, StartError};
pub use feed::Settled;
pub use plugin_calls::Activation;
pub use plugins::{
    CanaryEnd, CanaryInfo, Fared, PluginInfo, PluginVersion, ReloadFailure, Source, Suspension, Upload, UploadState,
    UploadStep, VersionState,
};
pub use preview::{Preview, TestSend, TriedEvent};
pub use publish::Published;
pub use replays::{DryRun, RedeliverReport, ReplayFailure, ReplayJob, ReplaySettled, ReplayState};
pub use salvage::salvage;
pub use seal::{SecretKey, SecretKeyError};
pub use sources::FrappeRequest;
pub use verify::{Compared, Verification};
pub use webhooks::{StoredWebhook, check_webhook};

pub use hookmill_core as core;
pub use hookmill_core::ports::{DeliveryDetail, DeliveryQuery, DeliveryRow, Page};
pub use hookmill_core::{EventEnvelope, Explain, RedeliverMode, ReplayId, TenantId, Webhook, WebhookName};
pub use hookmill_delivery as delivery;
pub use hookmill_plugin as plugin;
pub use hookmill_store::{Counted, Salvaged};
