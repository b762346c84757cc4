//! Why no answer came, sorted by what an operator would look at first.

use std::error::Error as _;

use hookmill_core::{Fault, Outcome};

use super::refusal;
use crate::egress::AddressRefused;

/// How a request went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// Through the operator's proxy.
    pub(super) proxied: bool,
    /// With TLS to the receiver.
    pub(super) secure: bool,
}

/// Answers of a SOCKS proxy that speak of the receiver, not of the proxy.
const OF_THE_RECEIVER: [&str; 4] = ["network unreachable", "host unreachable", "connection refused", "ttl expired"];

pub(super) fn failure(error: &reqwest::Error, way: Way) -> Outcome {
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(refused) = cause.downcast_ref::<AddressRefused>() {
            return Outcome::Refused(refusal(refused));
        }
        causes.push(cause.to_string());
        source = cause.source();
    }
    // The innermost cause says most; those around it repeat each other.
    let cause = causes.last().cloned().unwrap_or_else(|| error.to_string());
    let all = causes.join(": ");
    let tls = all.contains("certificate") || all.contains("tls") || all.contains("TLS");
    if way.proxied && error.is_connect() && is_the_proxys(&all, way, tls) {
        return by_proxy(&cause);
    }
    let (code, message) = if all.contains("dns error") {
        return unresolved(&cause);
    } else if tls {
        ("send_tls", format!("no secure connection could be made: {cause}"))
    } else if error.is_connect() {
        ("send_connect", format!("no connection could be made: {cause}"))
    } else {
        ("send_failed", format!("the connection broke before the whole answer came: {cause}"))
    };
    unanswered(code, message)
}

/// Tells whether a connection failed on the proxy's side. Through a proxy every connection is to it; the receiver's are
/// only the TLS within a tunnel and what a SOCKS proxy says of it.
fn is_the_proxys(causes: &str, way: Way, tls: bool) -> bool {
    let in_tunnel = way.secure && tls && !causes.contains("tunnel error");
    let said = causes.rsplit(": ").next().unwrap_or_default();
    let of_the_receiver = causes.contains("socks") && OF_THE_RECEIVER.contains(&said);
    !in_tunnel && !of_the_receiver
}

pub(super) fn by_proxy(cause: &str) -> Outcome {
    unanswered("send_proxy", format!("the proxy did not make the connection: {cause}"))
}

pub(super) fn unresolved(cause: &str) -> Outcome {
    unanswered("send_dns", format!("the receiver's name could not be resolved: {cause}"))
}

fn unanswered(code: &str, message: String) -> Outcome {
    Outcome::Unanswered(Fault { code: code.into(), message, backtrace: None })
}
