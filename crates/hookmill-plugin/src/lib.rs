//! Runs untrusted WebAssembly components: checks, compiles, caches and calls them, within limits.
//!
//! A component is taken in by [`PluginHost::load`] and answers events through [`Plugin::transform`]. Everything that a
//! guest does wrong is data (a [`LoadPluginError`] or a [`Fault`](hookmill_core::Fault)), never a panic of the host.
//! This crate never touches the network, and links nothing into a guest that could.

#![warn(clippy::indexing_slicing)]

mod bindings;
mod cache;
mod call;
mod compile;
mod describe;
mod difference;
mod expect;
mod fault;
mod fixture;
mod guest;
mod hash;
mod host;
mod inspect;
mod judge;
mod limits;
mod lines;
mod log;
mod manifest;
mod parts;
pub mod priority;
mod problem;
mod section;
mod transform;
mod trial;
mod warm;

pub use call::{Plugin, Report};
pub use compile::{Compiler, compile_worker};
pub use describe::{Description, SettingsError, SettingsProblem};
pub use difference::Difference;
pub use expect::{Expect, ExpectedRequest};
pub use fault::is_the_hosts;
pub use fixture::{Draft, Fixture, FixtureError, FixtureReport, PreparedFixture};
pub use host::{HostError, PluginHost, PluginHostConfig, Stage};
pub use inspect::{Inspection, inspect};
pub use judge::Judge;
pub use limits::PluginLimits;
pub use manifest::{Manifest, ManifestError, WantedLimits};
pub use problem::{LoadPluginError, LoadProblem};
pub use transform::{Decision, Grants, Transform, TransformReport};
