//! Builds, signs and sends one request.
//!
//! [`request::build`] is pure; [`Client::send`] is the only way to the network, and goes nowhere that [`egress`] does
//! not allow. This crate never touches the store and never decides whether to try again.

#![warn(clippy::indexing_slicing)]

pub mod client;
pub mod egress;
pub mod frappe;
pub mod handles;
pub mod request;
mod retry_after;
pub mod signature;

pub use client::{Client, ClientConfig, ClientError, Sent};
pub use egress::{AddressPolicy, AddressRefused};
pub use handles::SecretHandles;
pub use request::{BuildError, Outgoing};
pub use signature::{InvalidSecret, SigningSecret};
