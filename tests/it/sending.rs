//! What stands between a rendered request and its receiver: signatures, credentials, envelopes, addresses, proxies.

mod addresses;
mod bounds;
mod cloudevents;
mod connections;
mod conventions;
mod credentials;
mod handshakes;
mod proxies;
mod targets;
mod tls;
mod tokens;
