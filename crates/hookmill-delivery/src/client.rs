//! Sends one request and brings back what the receiver answered.

use std::error::Error as _;
use std::time::{Duration, Instant};

use hookmill_core::limits::REPLY_BYTES_MAX;
use hookmill_core::{Explain as _, Fault, Outcome, Response};
use jiff::Timestamp;
use reqwest::redirect;

use crate::egress::{AddressPolicy, AddressRefused, GuardedResolver};
use crate::request::Outgoing;
use crate::retry_after;

/// How the client is set up.
#[derive(Debug, Clone, Default)]
pub struct ClientConfig {
    /// Which addresses it may connect to.
    pub policy: AddressPolicy,
}

/// The client can't be set up.
#[derive(Debug, thiserror::Error)]
#[error("failed to set up the HTTP client: {0}")]
pub struct ClientError(#[from] reqwest::Error);

/// Sends requests over kept-alive connections. Cloning is cheap and shares them.
///
/// It follows no redirects, uses no proxy of the environment, stores no cookies and decompresses nothing.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    policy: AddressPolicy,
}

/// What came of sending one request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// What is to be judged.
    pub outcome: Outcome,
    /// The answer, if one came.
    pub response: Option<Response>,
    /// From the start of connecting to the last byte that was read.
    pub took: Duration,
}

impl Client {
    /// Sets a client up.
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let ClientConfig { policy } = config;
        let http = reqwest::Client::builder()
            .dns_resolver(GuardedResolver(policy.clone()))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .tcp_nodelay(true)
            // Receivers commonly close idle connections after a minute; to be quicker avoids a race.
            .pool_idle_timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self { http, policy })
    }

    /// Sends `request`; connecting, sending and reading the answer all end at one deadline, `timeout` from now.
    ///
    /// Of the answer's body, 64 KiB are read; what follows is left unread and its connection closed.
    pub async fn send(&self, request: Outgoing, timeout: Duration, now: Timestamp) -> Sent {
        if let Err(refused) = self.policy.check_url(&request.url) {
            return Sent { outcome: Outcome::Refused(refusal(&refused)), response: None, took: Duration::ZERO };
        }
        #[allow(
            clippy::disallowed_methods,
            reason = "a span of this request alone, which no clock of a test should bend"
        )]
        let begun = Instant::now();
        let result = tokio::time::timeout(timeout, self.exchange(request)).await;
        let took = begun.elapsed();
        let (outcome, response) = match result {
            Ok(Ok(response)) => {
                let asked = response.headers.iter().find(|(name, _)| name == "retry-after");
                let retry_after = asked.and_then(|(_, value)| retry_after::parse(value, now));
                (Outcome::Answered { status: response.status, retry_after }, Some(response))
            }
            Ok(Err(error)) => (failure(&error), None),
            Err(_) => {
                let message = format!("the receiver did not answer in full within {} ms", timeout.as_millis());
                (Outcome::Unanswered(Fault { code: "send_timeout".into(), message, backtrace: None }), None)
            }
        };
        Sent { outcome, response, took }
    }

    async fn exchange(&self, request: Outgoing) -> Result<Response, reqwest::Error> {
        let Outgoing { method, url, headers, body } = request;
        let mut answer = self.http.request(method, url).headers(headers).body(body).send().await?;
        let status = answer.status().as_u16();
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let mut body = Vec::new();
        let mut truncated = false;
        while let Some(chunk) = answer.chunk().await? {
            let room = REPLY_BYTES_MAX - body.len();
            truncated = chunk.len() > room;
            body.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
            if truncated {
                break;
            }
        }
        Ok(Response { status, headers, body, truncated })
    }
}

fn refusal(refused: &AddressRefused) -> Fault {
    let help = refused.help().map(|help| format!("; {help}")).unwrap_or_default();
    Fault { code: refused.code().into(), message: format!("{refused}{help}"), backtrace: None }
}

/// Sorts a failure by what an operator would look at first.
fn failure(error: &reqwest::Error) -> Outcome {
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
    let (code, message) = if all.contains("dns error") {
        ("send_dns", format!("the receiver's name could not be resolved: {cause}"))
    } else if all.contains("certificate") || all.contains("tls") || all.contains("TLS") {
        ("send_tls", format!("no secure connection could be made: {cause}"))
    } else if error.is_connect() {
        ("send_connect", format!("no connection could be made: {cause}"))
    } else {
        ("send_failed", format!("the connection broke before the whole answer came: {cause}"))
    };
    Outcome::Unanswered(Fault { code: code.into(), message, backtrace: None })
}
