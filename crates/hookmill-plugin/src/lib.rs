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
mod fault;
mod guest;
mod host;
mod inspect;
mod limits;
mod manifest;

pub use call::{Decision, Grants, Plugin, Transform, TransformReport};
pub use compile::{Compiler, compile_worker};
pub use fault::is_the_hosts;
pub use host::{HostError, PluginHost, PluginHostConfig};
pub use inspect::{Inspection, LoadPluginError, LoadProblem, inspect};
pub use limits::PluginLimits;
pub use manifest::{Manifest, ManifestError};
