//! The way of a webhook's requests to its receiver: built, signed, sent, and read back.

use std::time::{Duration, Instant};

use hookmill_core::mask::MASK;
use hookmill_core::{Fault, Outcome, Request, Response, Webhook};

use crate::client::Client;
use crate::handles::SecretHandles;
use crate::redact::redact;
use crate::request::{BuildError, Occasion, Outgoing, build};
use crate::retry_after;
use crate::signing::{Signer, SigningError};

/// Everything that the requests of one webhook need besides themselves.
#[derive(Debug)]
pub struct Route {
    client: Client,
    signer: Signer,
    /// What a plugin may use by name; none without one, for then nobody means handles by what looks like them.
    handles: Option<SecretHandles>,
    timeout: Duration,
}

/// A webhook's requests can't be sent as it says.
pub type RouteError = SigningError;

/// What came of sending one request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// What is to be judged.
    pub outcome: Outcome,
    /// The answer, if one came, without the secrets that it may say back.
    pub response: Option<Response>,
    /// From the start of connecting to the last byte that was read.
    pub took: Duration,
}

impl Route {
    /// Prepares what the requests of `webhook` need.
    pub fn new(webhook: &Webhook, client: &Client) -> Result<Self, RouteError> {
        Ok(Self {
            client: client.clone(),
            signer: Signer::new(webhook)?,
            handles: webhook.plugin.as_ref().map(|plugin| SecretHandles::new(plugin.secrets.clone())),
            timeout: Duration::from_millis(webhook.timeout_ms.into()),
        })
    }

    /// Returns the public keys that receivers may be given.
    pub fn public_keys(&self) -> Vec<String> {
        self.signer.public_keys()
    }

    /// Returns the request as it would go out, with secrets masked; nothing is sent.
    pub fn preview(&self, request: &Request, occasion: &Occasion<'_>) -> Result<Outgoing, Fault> {
        let handles = self.handles.as_ref().map(|handles| handles.masked(MASK));
        let outgoing = build(request, occasion, &self.signer, handles.as_ref())?;
        self.client.check(&outgoing.url)?;
        Ok(outgoing)
    }

    /// Sends `request`; everything that this takes ends at one deadline, the webhook's `timeout_ms` from now.
    pub async fn send(&self, request: &Request, occasion: &Occasion<'_>) -> Sent {
        #[allow(
            clippy::disallowed_methods,
            reason = "a span of this request alone, which no clock of a test should bend"
        )]
        let begun = Instant::now();
        let deadline = Deadline { at: begun + self.timeout, span: self.timeout };
        let result = self.exchange(request, occasion, deadline).await;
        let took = begun.elapsed();
        let (outcome, response) = match result {
            Ok(mut response) => {
                redact(&mut response, self.secrets(), MASK);
                let asked = response.headers.iter().find(|(name, _)| name == "retry-after");
                let retry_after = asked.and_then(|(_, value)| retry_after::parse(value, occasion.now));
                (Outcome::Answered { status: response.status, retry_after }, Some(response))
            }
            Err(outcome) => (outcome, None),
        };
        Sent { outcome, response, took }
    }

    async fn exchange(
        &self,
        request: &Request,
        occasion: &Occasion<'_>,
        deadline: Deadline,
    ) -> Result<Response, Outcome> {
        let outgoing = build(request, occasion, &self.signer, self.handles.as_ref()).map_err(refused)?;
        deadline.within("send_timeout", "the receiver", self.client.exchange(outgoing)).await
    }

    fn secrets(&self) -> impl Iterator<Item = &str> {
        self.handles.iter().flat_map(SecretHandles::secrets)
    }
}

fn refused(error: BuildError) -> Outcome {
    Outcome::Refused(error.into())
}

/// The moment at which a try ends, whatever it is doing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    span: Duration,
}

impl Deadline {
    /// Ends a step of the try at the deadline, with this code and the name of the one who was too slow.
    pub(crate) async fn within<T>(
        self,
        code: &str,
        who: &str,
        step: impl Future<Output = Result<T, Outcome>>,
    ) -> Result<T, Outcome> {
        tokio::time::timeout_at(self.at.into(), step).await.unwrap_or_else(|_| {
            let message = format!("{who} did not answer in full within {} ms", self.span.as_millis());
            Err(Outcome::Unanswered(Fault { code: code.into(), message, backtrace: None }))
        })
    }
}
