//! Why no answer came, sorted by what an operator would look at first.

use std::error::Error;

use hookmill_core::{Fault, Outcome};
use hyper_util::client::legacy;

use super::connector::ProxyFailed;
use super::refusal;
use crate::egress::Unvetted;

/// Sorts what kept a request from being answered.
pub(super) fn failure(error: &(dyn Error + 'static)) -> Outcome {
    let causes: Vec<_> = std::iter::successors(Some(error), |&error| error.source()).collect();
    // The innermost cause says most; those around it repeat each other.
    let cause = causes.last().unwrap_or(&error).to_string();
    if causes.iter().any(|cause| cause.is::<ProxyFailed>()) {
        return by_proxy(&cause);
    }
    if let Some(error) = causes.iter().find_map(|cause| cause.downcast_ref::<Unvetted>()) {
        return unvetted(error);
    }
    let is_of_tls = |text: &String| ["certificate", "tls", "TLS"].iter().any(|word| text.contains(word));
    let (code, message) = if causes.iter().map(ToString::to_string).any(|text| is_of_tls(&text)) {
        ("send_tls", format!("no secure connection could be made: {cause}"))
    } else if error.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect) {
        ("send_connect", format!("no connection could be made: {cause}"))
    } else {
        ("send_failed", format!("the connection broke before the whole answer came: {cause}"))
    };
    unanswered(code, message)
}

pub(super) fn by_proxy(cause: &str) -> Outcome {
    unanswered("send_proxy", format!("the proxy did not make the connection: {cause}"))
}

pub(super) fn unvetted(error: &Unvetted) -> Outcome {
    match error {
        Unvetted::Refused(refused) => Outcome::Refused(refusal(refused)),
        Unvetted::Unresolved(cause) => {
            unanswered("send_dns", format!("the receiver's name could not be resolved: {cause}"))
        }
    }
}

fn unanswered(code: &str, message: String) -> Outcome {
    Outcome::Unanswered(Fault { code: code.into(), message, backtrace: None })
}
