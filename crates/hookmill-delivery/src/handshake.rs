//! The handshake of CloudEvents' webhooks (HTTP 1.1 Web Hooks 1.0.2 §4): a receiver that has not said that it wants
//! requests from this origin gets none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hookmill_core::webhook::Handshake;
use hookmill_core::{Fault, Outcome, Response, WebhookError};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jiff::{SignedDuration, Timestamp};
use url::{Origin, Position};

use crate::client::Client;
use crate::destination::Destination;
use crate::request::{Outgoing, USER_AGENT};
use crate::spelling::Spelling;

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const ALLOWED_ORIGIN: &str = "webhook-allowed-origin";

/// How long a receiver's consent is kept before it is asked again.
const AGREED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// URLs of one webhook whose consent is kept; each document may have its own, and asking again does no harm.
const KEPT_MAX: usize = 1_000;

/// The consents that one webhook has. One origin is asked at a time; whoever comes meanwhile waits for it, and nobody waits
/// for another's.
#[derive(Debug)]
pub(crate) struct Handshakes {
    origin: HeaderValue,
    agreed: Mutex<HashMap<String, Timestamp>>,
    asked: Mutex<HashMap<Origin, Arc<Turn>>>,
}

type Turn = tokio::sync::Mutex<()>;

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handshakes {
    pub(crate) fn new(handshake: &Handshake) -> Result<Self, WebhookError> {
        let origin = HeaderValue::from_str(&handshake.origin)
            .map_err(|_| WebhookError::invalid("handshake.origin", "has characters that a header can't bear"))?;
        Ok(Self { origin, agreed: Mutex::default(), asked: Mutex::default() })
    }

    /// Says who sends.
    pub(crate) fn put_on(&self, headers: &mut HeaderMap) {
        headers.insert(REQUEST_ORIGIN, self.origin.clone());
    }

    /// Asks the receiver at the URL of `outgoing` for its consent, unless it has given it already.
    pub(crate) async fn agree(&self, client: &Client, outgoing: &Outgoing, now: Timestamp) -> Result<(), Outcome> {
        let whom = without_query(&outgoing.to);
        if self.has_consent(&whom, now) {
            return Ok(());
        }
        let turn = self.turn(&outgoing.to);
        let _turn = turn.lock().await;
        if self.has_consent(&whom, now) {
            return Ok(());
        }
        let response = client.exchange(self.question(outgoing)).await?;
        self.consent(&response, &outgoing.to)?;
        let mut agreed = hold(&self.agreed);
        if agreed.len() >= KEPT_MAX {
            agreed.clear();
        }
        agreed.insert(whom, now.checked_add(AGREED_FOR).unwrap_or(now));
        Ok(())
    }

    fn has_consent(&self, whom: &str, now: Timestamp) -> bool {
        hold(&self.agreed).get(whom).is_some_and(|until| now < *until)
    }

    /// Returns what whoever asks this origin holds meanwhile.
    fn turn(&self, to: &Destination) -> Arc<Turn> {
        let mut asked = hold(&self.asked);
        if asked.len() >= KEPT_MAX {
            asked.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        asked.entry(to.url().origin()).or_default().clone()
    }

    fn question(&self, outgoing: &Outgoing) -> Outgoing {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(REQUEST_ORIGIN, self.origin.clone());
        // What guards a receiver's requests commonly guards its OPTIONS too.
        headers.extend(outgoing.headers.get(header::AUTHORIZATION).map(|shown| (header::AUTHORIZATION, shown.clone())));
        Outgoing {
            method: Method::OPTIONS,
            to: outgoing.to.clone(),
            headers,
            body: bytes::Bytes::new(),
            spelling: Spelling::default(),
        }
    }

    fn consent(&self, response: &Response, to: &Destination) -> Result<(), Outcome> {
        let fault = |code: &str, why: String| {
            let message = format!("{} did not agree to requests: {why}", to.url().host_str().unwrap_or("the receiver"));
            Fault { code: code.into(), message, backtrace: None }
        };
        match response.status {
            200..=299 => {
                let allowed = response.headers.iter().find(|(name, _)| name == ALLOWED_ORIGIN).map(|(_, value)| value);
                let own = |allowed: &&String| {
                    *allowed == "*" || allowed.as_bytes().eq_ignore_ascii_case(self.origin.as_bytes())
                };
                match allowed {
                    Some(allowed) if own(&allowed) => Ok(()),
                    Some(_) => {
                        Err(Outcome::Refused(fault("handshake_refused", "it allows another origin than this".into())))
                    }
                    None => Err(Outcome::Refused(fault(
                        "handshake_refused",
                        "its answer has no WebHook-Allowed-Origin".into(),
                    ))),
                }
            }
            status @ (405 | 501) => {
                Err(Outcome::Refused(fault("handshake_refused", format!("it answered OPTIONS with {status}"))))
            }
            status => Err(Outcome::Unanswered(fault("handshake_failed", format!("it answered OPTIONS with {status}")))),
        }
    }
}

/// Returns by what a consent is kept: the receiver, user included, and the path.
fn without_query(to: &Destination) -> String {
    format!("{}{}", &to.url()[..Position::BeforePath], to.uri().path())
}
