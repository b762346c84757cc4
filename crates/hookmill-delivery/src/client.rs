//! The only way to the network: sends one request and reads what comes back.

use std::error::Error as _;

use hookmill_core::limits::{REPLY_BYTES_MAX, REPLY_HEADER_BYTES_MAX};
use hookmill_core::webhook::Mtls;
use hookmill_core::{Explain, Fault, Outcome, Response};
use http::HeaderMap;
use reqwest::{Certificate, ClientBuilder, Identity, redirect};
use url::Url;

use crate::egress::{AddressPolicy, AddressRefused, GuardedResolver, Unvetted, by_the_system};
use crate::proxy::Proxy;
use crate::request::Outgoing;

mod failure;

use failure::{Way, failure};

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
pub struct ClientError(#[from] reqwest::Error);

/// A webhook's client certificate can't be used.
#[derive(Debug, thiserror::Error)]
#[error("`{field}` can't be used: {cause}")]
pub struct InvalidCertificate {
    field: &'static str,
    cause: String,
}

impl Explain for InvalidCertificate {
    fn code(&self) -> &'static str {
        "webhook_bad_certificate"
    }

    fn help(&self) -> Option<String> {
        Some("give certificates and an unencrypted private key in PEM, with their BEGIN and END lines".into())
    }
}

/// Sends requests over kept-alive connections. Cloning is cheap and shares them.
///
/// It follows no redirects, uses no proxy of the environment, stores no cookies and decompresses nothing.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    /// The same with the names of headers in title case.
    title_case: reqwest::Client,
    config: ClientConfig,
}

impl Client {
    /// Sets a client up.
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let title_case = builder(&config)?.http1_title_case_headers().build()?;
        Ok(Self { http: builder(&config)?.build()?, title_case, config })
    }

    /// Sets a client up that shows this certificate, with connections of its own.
    pub fn with_certificate(&self, mtls: &Mtls) -> Result<Self, InvalidCertificate> {
        let invalid = |field| {
            move |error: reqwest::Error| {
                let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                InvalidCertificate { field, cause }
            }
        };
        let pem = format!("{}\n{}", mtls.private_key_pem, mtls.certificate_pem);
        let identity = Identity::from_pem(pem.as_bytes()).map_err(invalid("auth.mtls"))?;
        let mut http = builder(&self.config).map_err(invalid("auth.mtls"))?.identity(identity);
        if let Some(ca) = &mtls.ca_pem {
            let authorities = Certificate::from_pem_bundle(ca.as_bytes()).map_err(invalid("auth.mtls.ca_pem"))?;
            if authorities.is_empty() {
                let cause = "it has no certificate in PEM".into();
                return Err(InvalidCertificate { field: "auth.mtls.ca_pem", cause });
            }
            http = http.tls_certs_merge(authorities);
        }
        let http = http.build().map_err(invalid("auth.mtls"))?;
        // Frappe shows no certificates, so nobody asks for its spelling here.
        Ok(Self { title_case: http.clone(), http, config: self.config.clone() })
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
        self.check(&request.url).map_err(Outcome::Refused)?;
        let way = Way { proxied: self.config.proxy.is_some(), secure: request.url.scheme() == "https" };
        if way.proxied {
            self.config.policy.vet_for_proxy(&request.url).await.map_err(unvetted)?;
        }
        let response = self.talk(request).await.map_err(|error| failure(&error.without_url(), way))?;
        // Only a proxy answers so (RFC 9110 §15.5.8); behind TLS, it would have been the tunnel that failed.
        if way.proxied && !way.secure && response.status == 407 {
            return Err(failure::by_proxy("it wants a user and a password, or others"));
        }
        Ok(response)
    }

    async fn talk(&self, request: Outgoing) -> Result<Response, reqwest::Error> {
        let Outgoing { method, url, headers, body, title_case } = request;
        let http = if title_case { &self.title_case } else { &self.http };
        let mut answer = http.request(method, url).headers(headers).body(body).send().await?;
        let status = answer.status().as_u16();
        let (headers, mut truncated) = kept(answer.headers());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            let room = REPLY_BYTES_MAX - body.len();
            body.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
            if chunk.len() > room {
                truncated = true;
                break;
            }
        }
        Ok(Response { status, headers, body, truncated })
    }
}

/// What every client has in common.
fn builder(config: &ClientConfig) -> Result<ClientBuilder, reqwest::Error> {
    let ClientConfig { policy, proxy } = config;
    let resolver = GuardedResolver {
        policy: policy.clone(),
        look_up: by_the_system,
        proxy: proxy.as_ref().map(|proxy| proxy.host().to_owned()),
    };
    let builder = reqwest::Client::builder()
        .dns_resolver(resolver)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .tcp_nodelay(true)
        // Receivers commonly close idle connections after a minute; to be quicker avoids a race.
        .pool_idle_timeout(std::time::Duration::from_secs(30));
    match proxy {
        Some(proxy) => Ok(builder.proxy(reqwest::Proxy::all(proxy.url().clone())?)),
        None => Ok(builder),
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

fn unvetted(error: Unvetted) -> Outcome {
    match error {
        Unvetted::Refused(refused) => Outcome::Refused(refusal(&refused)),
        Unvetted::Unresolved(cause) => failure::unresolved(&cause.to_string()),
    }
}
