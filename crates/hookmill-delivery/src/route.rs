//! The way of a webhook's requests to its receiver: built, signed, sent, and read back.

use std::time::{Duration, Instant};

use hookmill_core::mask::MASK;
use hookmill_core::webhook::{Auth, Grant, Secret};
use hookmill_core::{Explain, Fault, Outcome, Request, Response, Webhook, WebhookError};
use http::{HeaderValue, header};
use jiff::Timestamp;
use url::{Origin, Url};

use crate::client::{Client, InvalidCertificate};
use crate::credentials::{Credentials, Shown};
use crate::frappe;
use crate::handles::SecretHandles;
use crate::handshake::Handshakes;
use crate::redact::Redaction;
use crate::request::{BuildError, Occasion, Outgoing, build};
use crate::retry_after;
use crate::signing::{Signer, SigningError};
use crate::token::Fetched;

/// Everything that the requests of one webhook need besides themselves.
#[derive(Debug)]
pub struct Route {
    client: Client,
    /// Shows the receiver a certificate, where it has one.
    own: Client,
    /// Where credentials may go; anywhere, if only the webhook itself says where requests go.
    receiver: Option<Origin>,
    convention: Convention,
    /// What a plugin may use by name; none without one, for then nobody means handles by what looks like them.
    handles: Option<SecretHandles>,
    credentials: Credentials,
    handshakes: Option<Handshakes>,
    timeout: Duration,
}

/// By whose rules requests are made and signed.
#[derive(Debug)]
enum Convention {
    Own(Signer),
    Frappe(Vec<Secret>),
}

impl Convention {
    fn of(webhook: &Webhook) -> Result<Self, SigningError> {
        match webhook.profile.is_frappe() {
            // Frappe signs with the text itself, whatever it is.
            true => Ok(Self::Frappe(webhook.secrets.clone())),
            false => Signer::new(webhook).map(Self::Own),
        }
    }

    fn build(
        &self,
        request: &Request,
        occasion: &Occasion<'_>,
        handles: Option<&SecretHandles>,
    ) -> Result<Outgoing, BuildError> {
        match self {
            Self::Own(signer) => build(request, occasion, signer, handles),
            Self::Frappe(secrets) => {
                let secret = secrets.iter().find(|secret| secret.signs_at(occasion.now));
                frappe::build(request, secret.map(|secret| secret.text.as_str()), handles)
            }
        }
    }
}

/// A webhook's requests can't be sent as it says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// They can't be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The client certificate can't be used.
    #[error(transparent)]
    Certificate(#[from] InvalidCertificate),
    /// A field breaks its rule.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
}

impl Explain for RouteError {
    fn code(&self) -> &'static str {
        match self {
            Self::Signing(error) => error.code(),
            Self::Certificate(error) => error.code(),
            Self::Webhook(error) => error.code(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Signing(error) => error.help(),
            Self::Certificate(error) => error.help(),
            Self::Webhook(error) => error.help(),
        }
    }
}

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
        let own = match &webhook.auth {
            Some(Auth::Mtls(mtls)) => client.with_certificate(mtls)?,
            _ => client.clone(),
        };
        Ok(Self {
            client: client.clone(),
            own,
            receiver: receiver(webhook)?,
            convention: Convention::of(webhook)?,
            handles: webhook.plugin.as_ref().map(|plugin| SecretHandles::new(plugin.secrets.clone())),
            credentials: Credentials::new(webhook.auth.as_ref())?,
            handshakes: webhook.handshake.as_ref().map(Handshakes::new).transpose()?,
            timeout: Duration::from_millis(webhook.timeout_ms.into()),
        })
    }

    /// Returns the public keys that receivers may be given.
    pub fn public_keys(&self) -> Vec<String> {
        match &self.convention {
            Convention::Own(signer) => signer.public_keys(),
            Convention::Frappe(_) => vec![],
        }
    }

    /// Returns the request as it would go out, with secrets masked; nothing is sent.
    pub fn preview(&self, request: &Request, occasion: &Occasion<'_>) -> Result<Outgoing, Fault> {
        let handles = self.handles.as_ref().map(|handles| handles.masked(MASK));
        let mut outgoing = self.convention.build(request, occasion, handles.as_ref())?;
        self.client.check(outgoing.to.url())?;
        if self.credentials.are_shown() && self.leads_to_receiver(outgoing.to.url()) {
            outgoing.headers.insert(header::AUTHORIZATION, HeaderValue::from_static(MASK));
        }
        if let Some(handshakes) = &self.handshakes {
            handshakes.put_on(&mut outgoing.headers);
        }
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
            Ok(response) => {
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
        let mut outgoing = self.convention.build(request, occasion, self.handles.as_ref()).map_err(refused)?;
        let mut redaction = Redaction::default();
        redaction.add_those_of(&outgoing);
        let client = if self.leads_to_receiver(outgoing.to.url()) { &self.own } else { &self.client };
        let mut shown = self.authorize(&mut outgoing, occasion.now, deadline).await?;
        if let Some(handshakes) = &self.handshakes {
            let agreed = handshakes.agree(client, &outgoing, occasion.now);
            deadline.within("send_timeout", "the receiver, asked for its consent,", agreed).await?;
            handshakes.put_on(&mut outgoing.headers);
        }
        let again = matches!(shown, Some((_, Fetched::Before))).then(|| outgoing.clone());
        let sent = client.exchange(outgoing);
        let mut response = deadline.within("send_timeout", "the receiver", sent).await?;
        if let (401, Some((refused, _)), Some(mut again)) = (response.status, &shown, again) {
            // The token may have been taken back before its time, so the receiver gets one more chance with a new one.
            self.credentials.forget(refused).await;
            shown = self.authorize(&mut again, occasion.now, deadline).await?;
            let sent = client.exchange(again);
            response = deadline.within("send_timeout", "the receiver", sent).await?;
        }
        let handles = self.handles.iter().flat_map(SecretHandles::secrets);
        let shown = shown.iter().flat_map(|(shown, _)| &shown.secrets).map(String::as_str);
        handles.chain(shown).for_each(|secret| redaction.add(secret));
        redaction.of(&mut response, MASK);
        Ok(response)
    }

    /// Tells whether a request goes to the receiver that the credentials are for. A plugin that may choose the URL must
    /// not carry them off.
    fn leads_to_receiver(&self, url: &Url) -> bool {
        self.receiver.as_ref().is_none_or(|receiver| url.origin() == *receiver)
    }

    /// Puts the `Authorization` on that the receiver asks for; returns what was put on.
    async fn authorize(
        &self,
        outgoing: &mut Outgoing,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Option<(Shown, Fetched)>, Outcome> {
        if !self.leads_to_receiver(outgoing.to.url()) {
            return Ok(None);
        }
        let fetched = self.credentials.get(&self.client, now);
        let shown = deadline.within("auth_token_failed", "the token server", fetched).await?;
        if let Some((shown, _)) = &shown {
            shown.put_on(&mut outgoing.headers);
        }
        Ok(shown)
    }
}

/// Returns the one origin that credentials may go to, where a plugin may send requests anywhere.
fn receiver(webhook: &Webhook) -> Result<Option<Origin>, WebhookError> {
    if webhook.auth.is_none() || !webhook.grants(Grant::Url) {
        return Ok(None);
    }
    if webhook.dynamic_url {
        let rule = "can't be kept to its receiver where the URL is dynamic and the plugin may change it besides";
        return Err(WebhookError::invalid("auth", rule));
    }
    let url = Url::parse(webhook.request_url.trim());
    url.map(|url| Some(url.origin()))
        .map_err(|error| WebhookError::invalid("request_url", format!("is no URL: {error}")))
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
