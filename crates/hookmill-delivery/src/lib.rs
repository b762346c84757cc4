//! Builds, signs and sends one request.
//!
//! A [`Route`] does this for one webhook: [`request::build`] and [`signing`] are pure; [`client`] is the only way to the
//! network, and goes nowhere that [`egress`] does not allow. This crate never touches the store and never decides
//! whether to try again.

#![warn(clippy::indexing_slicing)]

pub mod client;
pub mod cloudevents;
mod credentials;
pub mod destination;
pub mod egress;
pub mod frappe;
pub mod handles;
mod handshake;
mod percent;
pub mod proxy;
mod redact;
pub mod request;
pub mod retry_after;
pub mod route;
pub mod signature;
pub mod signing;
mod spelling;
mod token;

pub use client::{Client, ClientConfig, ClientError, InvalidCertificate};
pub use destination::Destination;
pub use egress::{AddressPolicy, AddressRefused, AllowedHost, InvalidHost};
pub use handles::SecretHandles;
pub use proxy::{InvalidProxy, Proxy};
pub use request::{BuildError, Occasion, Outgoing};
pub use route::{Route, RouteError, Sent};
pub use signature::{InvalidSecret, SigningSecret};
pub use signing::{Signer, SigningError};
pub use spelling::Spelling;
