//! The only way to the network: sends one request and reads what comes back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookmill_core::limits::{REPLY_BYTES_MAX, REPLY_HEADER_BYTES_MAX};
use hookmill_core::webhook::Mtls;
use hookmill_core::{Explain as _, Fault, Outcome, Response};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use url::Url;

use crate::destination::authorization;
use crate::egress::{AddressPolicy, AddressRefused, GuardedResolver, by_the_system};
use crate::proxy::Proxy;
use crate::request::Outgoing;

mod connector;
mod failure;
mod tls;

use connector::Connector;
use failure::failure;
pub use tls::InvalidCertificate;

/// Receivers commonly close idle connections after a minute; to be quicker avoids a race.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// How the client is set up.
#[derive(Debug, Clone, Default)]
pub struct ClientConfig {
    /// Which addresses it may connect to.
    pub policy: AddressPolicy,
    /// The proxy that every request goes through.
    pub proxy: Option<Proxy>,
}

/// The client can't be set up.
#[derive(Debug, thiserror::Error)]
#[error("failed to set up the HTTP client: {0}")]
pub struct ClientError(#[from] rustls::Error);

/// Sends requests over kept-alive connections. Cloning is cheap and shares them.
///
/// It follows no redirects, uses no proxy of the environment, stores no cookies, decompresses nothing and sends
/// nothing twice, but for what a kept connection took no byte of before it closed.
#[derive(Debug, Clone)]
pub struct Client {
    http: Http,
    /// The same with those names of headers in title case that nobody wrote.
    title_case: Http,
    config: ClientConfig,
}

type Http = legacy::Client<HttpsConnector<Connector>, Full<Bytes>>;

impl Client {
    /// Sets a client up.
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        Ok(Self::securing(config, tls::anonymous()?))
    }

    /// Sets a client up that shows this certificate, with connections of its own.
    pub fn with_certificate(&self, mtls: &Mtls) -> Result<Self, InvalidCertificate> {
        Ok(Self::securing(self.config.clone(), tls::showing(mtls)?))
    }

    fn securing(config: ClientConfig, tls: rustls::ClientConfig) -> Self {
        let tls = Arc::new(tls);
        let resolver = GuardedResolver { policy: config.policy.clone(), look_up: by_the_system };
        let connector = Connector::new(resolver, config.proxy.as_ref(), &tls);
        let connector = HttpsConnector::from((connector, tls));
        let http = |title_case| {
            legacy::Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_MAX)
                .http1_title_case_headers(title_case)
                .build(connector.clone())
        };
        Self { http: http(false), title_case: http(true), config }
    }

    /// Returns which addresses it may connect to.
    pub fn policy(&self) -> &AddressPolicy {
        &self.config.policy
    }

    /// Checks what can be told of a URL without looking its name up.
    pub(crate) fn check(&self, url: &Url) -> Result<(), Fault> {
        self.config.policy.check_url(url).map_err(|refused| refusal(&refused))
    }

    /// Sends `request` and reads the answer; the caller sets the deadline.
    ///
    /// Of the answer's body, 64 KiB are read; what follows is left unread and its connection closed.
    pub(crate) async fn exchange(&self, request: Outgoing) -> Result<Response, Outcome> {
        let url = request.to.url();
        self.check(url).map_err(Outcome::Refused)?;
        let (proxied, plain) = (self.config.proxy.is_some(), url.scheme() == "http");
        if proxied {
            self.config.policy.vet_for_proxy(url).await.map_err(|error| failure::unvetted(&error))?;
        }
        let response = self.talk(request).await?;
        // Only a proxy answers so (RFC 9110 §15.5.8); behind TLS, it would have been the tunnel that failed.
        if proxied && plain && response.status == 407 {
            return Err(failure::by_proxy("it wants a user and a password, or others"));
        }
        Ok(response)
    }

    async fn talk(&self, request: Outgoing) -> Result<Response, Outcome> {
        let http = if request.spelling.is_title_case() { &self.title_case } else { &self.http };
        let answer = http.request(self.final_form(request).await).await.map_err(|error| failure(&error))?;
        let status = answer.status().as_u16();
        let (headers, mut truncated) = kept(answer.headers());
        let (mut stream, mut body) = (answer.into_body(), Vec::new());
        while let Some(frame) = stream.frame().await {
            let Ok(chunk) = frame.map_err(|error| failure(&error))?.into_data() else { continue };
            let room = REPLY_BYTES_MAX - body.len();
            body.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
            if chunk.len() > room {
                truncated = true;
                break;
            }
        }
        Ok(Response { status, headers, body, truncated })
    }

    /// Adds what is the connection's and the URL's to a request.
    async fn final_form(&self, request: Outgoing) -> http::Request<Full<Bytes>> {
        let Outgoing { method, to, mut headers, body, spelling } = request;
        if let Some(authorization) = authorization(to.url()) {
            headers.entry(header::AUTHORIZATION).or_insert(authorization);
        }
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        // Of a secure request, a proxy sees only that a tunnel is to be made.
        let handed_over = self.config.proxy.as_ref().filter(|_| to.url().scheme() == "http");
        if let Some(authorization) = handed_over.and_then(Proxy::authorization) {
            headers.insert(header::PROXY_AUTHORIZATION, authorization);
        }
        let mut request = http::Request::new(Full::new(body));
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, to.uri().clone(), headers);
        *request.extensions_mut() = spelling.for_hyper().await;
        request
    }
}

/// Returns the headers that are kept of an answer, and whether some are not: they have a limit as the body has one.
fn kept(headers: &HeaderMap) -> (Vec<(String, String)>, bool) {
    let mut room = REPLY_HEADER_BYTES_MAX;
    let mut kept = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let Some(left) = room.checked_sub(name.as_str().len() + value.len()) else { return (kept, true) };
        room = left;
        kept.push((name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    }
    (kept, false)
}

fn refusal(refused: &AddressRefused) -> Fault {
    let help = refused.help().map(|help| format!("; {help}")).unwrap_or_default();
    Fault { code: refused.code().into(), message: format!("{refused}{help}"), backtrace: None }
}
