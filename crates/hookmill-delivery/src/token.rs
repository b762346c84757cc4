//! Tokens that are fetched with client credentials (RFC 6749 §4.4).
//!
//! It is one form out and three fields back, through the client that vets addresses and under the deadline of the try
//! that needs it, which is why no library stands here.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use hookmill_core::mask::MASK;
use hookmill_core::webhook::{ClientAuth, OAuth2};
use hookmill_core::{Fault, Outcome, Response, WebhookError};
use http::{HeaderMap, HeaderValue, Method, header};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use url::form_urlencoded;

use crate::client::Client;
use crate::credentials::Shown;
use crate::destination::Destination;
use crate::redact::Redaction;
use crate::request::{Outgoing, USER_AGENT};
use crate::spelling::Spelling;

/// How long a token is used whose server does not say how long it is good; a 401 ends it earlier.
const UNTOLD: SignedDuration = SignedDuration::from_mins(10);

/// Longest use of a token, whatever its server says.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// A token that ends within this, or within a tenth of its time, is fetched anew: the request is still to travel.
const BEFORE_ITS_END: SignedDuration = SignedDuration::from_secs(60);

/// Characters of a token server's own words that are passed on.
const WORDS_MAX: usize = 200;

/// The tokens of one webhook. One is fetched at a time; whoever comes meanwhile waits for it.
pub(crate) struct TokenSource {
    oauth2: OAuth2,
    server: Destination,
    state: Mutex<State>,
    /// Fetches that have ended.
    fetches: AtomicU64,
}

#[derive(Default)]
struct State {
    token: Option<(Shown, Timestamp)>,
    /// How the last fetch failed, if it did.
    failure: Option<Outcome>,
}

/// When a token was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetched {
    Now,
    Before,
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSource").field("oauth2", &self.oauth2).finish_non_exhaustive()
    }
}

impl TokenSource {
    pub(crate) fn new(oauth2: OAuth2) -> Result<Self, WebhookError> {
        let server = Destination::parse(oauth2.token_url.trim())
            .map_err(|cause| WebhookError::invalid("auth.oauth2.token_url", format!("is no URL: {cause}")))?;
        Ok(Self { oauth2, server, state: Mutex::default(), fetches: AtomicU64::new(0) })
    }

    /// Returns a token that is good at `now`.
    pub(crate) async fn get(&self, client: &Client, now: Timestamp) -> Result<(Shown, Fetched), Outcome> {
        let fetches = self.fetches.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        if let Some((token, _)) = state.token.as_ref().filter(|(_, until)| now < *until) {
            return Ok((token.clone(), Fetched::Before));
        }
        // A fetch that failed while this one waited failed for this one too: many must not ask one after another.
        if let Some(failure) = state.failure.as_ref().filter(|_| self.fetches.load(Ordering::Acquire) != fetches) {
            return Err(failure.clone());
        }
        let fetched = self.fetch(client, now).await;
        self.fetches.fetch_add(1, Ordering::Release);
        match fetched {
            Ok((token, until)) => {
                *state = State { token: Some((token.clone(), until)), failure: None };
                Ok((token, Fetched::Now))
            }
            Err(failure) => {
                *state = State { token: None, failure: Some(failure.clone()) };
                Err(failure)
            }
        }
    }

    /// Drops the token that a receiver did not take, unless another has come meanwhile.
    pub(crate) async fn forget(&self, refused: &Shown) {
        let mut state = self.state.lock().await;
        if state.token.as_ref().is_some_and(|(token, _)| token.header == refused.header) {
            state.token = None;
        }
    }

    async fn fetch(&self, client: &Client, now: Timestamp) -> Result<(Shown, Timestamp), Outcome> {
        let response = client.exchange(self.request()).await.map_err(|outcome| match outcome {
            Outcome::Unanswered(fault) if fault.code != "send_proxy" => {
                failed("auth_token_failed", format!("the token server gave no answer: {}", fault.message))
            }
            // An address that is refused stays so, and a proxy is nobody's token server.
            other => other,
        })?;
        match response.status {
            200 => self.token(&response, now),
            400..=499 if response.status != 429 => Err(failed("auth_token_refused", self.refusal(&response))),
            status => Err(failed("auth_token_failed", format!("the token server answered {status}"))),
        }
    }

    fn request(&self) -> Outgoing {
        let OAuth2 { client_id, client_secret, scope, audience, client_auth, .. } = &self.oauth2;
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (name, value) in [("scope", scope), ("audience", audience)] {
            form.extend_pairs(value.as_ref().map(|value| (name, value)));
        }
        match client_auth {
            ClientAuth::Basic => {
                // RFC 6749 §2.3.1 has both encoded as in a form first.
                let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                Shown::basic(&encoded(client_id), &encoded(client_secret)).put_on(&mut headers);
            }
            ClientAuth::Body => {
                form.extend_pairs([("client_id", client_id), ("client_secret", client_secret)]);
            }
        }
        Outgoing {
            method: Method::POST,
            to: self.server.clone(),
            headers,
            body: Bytes::from(form.finish()),
            spelling: Spelling::default(),
        }
    }

    fn token(&self, response: &Response, now: Timestamp) -> Result<(Shown, Timestamp), Outcome> {
        /// What RFC 6749 §5.1 has; the rest is passed over.
        #[derive(Deserialize)]
        struct Answer {
            access_token: String,
            token_type: String,
            #[serde(default)]
            expires_in: Value,
        }
        let malformed = |what: &str| failed("auth_token_malformed", format!("the token server's answer {what}"));
        let answer: Answer = serde_json::from_slice(&response.body)
            // The parser's own words might quote the token.
            .map_err(|_| malformed("is no JSON object with access_token and token_type"))?;
        if !answer.token_type.eq_ignore_ascii_case("bearer") {
            return Err(malformed("has a token of another type than Bearer"));
        }
        let usable = !answer.access_token.is_empty() && answer.access_token.is_ascii();
        let token = Shown::bearer(&answer.access_token).filter(|_| usable);
        let token = token.ok_or_else(|| malformed("has a token that a header can't bear"))?;
        // Some write the number as a text.
        let seconds = answer.expires_in.as_i64().or_else(|| answer.expires_in.as_str()?.parse().ok());
        let good_for = seconds.map_or(UNTOLD, |seconds| SignedDuration::from_secs(seconds.max(0)).min(LONGEST));
        let margin = BEFORE_ITS_END.min(good_for / 10);
        Ok((token, now.checked_add(good_for - margin).unwrap_or(now)))
    }

    /// Says why no token was given, in the server's own words (RFC 6749 §5.2) as far as it has some.
    fn refusal(&self, response: &Response) -> String {
        let answer: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let words = ["error", "error_description"].map(|field| answer.get(field).and_then(Value::as_str));
        let mut redaction = Redaction::default();
        let OAuth2 { client_id, client_secret, .. } = &self.oauth2;
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        redaction.add(client_secret);
        // As `basic` would have it, whichever way was taken.
        redaction.add(&format!("{client_id}:{client_secret}"));
        redaction.add(&format!("{}:{}", encoded(client_id), encoded(client_secret)));
        redaction.add_those_of(&self.request());
        let said = redaction.of_text(&words.into_iter().flatten().collect::<Vec<_>>().join(": "), MASK);
        let said: String = said.chars().take(WORDS_MAX).collect();
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        format!("the token server answered {}{said}", response.status)
    }
}

fn failed(code: &str, message: String) -> Outcome {
    Outcome::Unanswered(Fault { code: code.into(), message, backtrace: None })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::Arc;

    use super::*;
    use crate::{AddressPolicy, ClientConfig};

    #[tokio::test]
    async fn whoever_waited_for_a_fetch_that_failed_does_not_ask_once_more() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let asked = Arc::new(AtomicU64::new(0));
        let counting = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let _head = stream.read(&mut [0; 4096]).expect("a request");
                counting.fetch_add(1, Ordering::SeqCst);
                stream.write_all(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").expect("sent");
            }
        });
        let json = serde_json::json!({"token_url": url, "client_id": "a", "client_secret": "b"});
        let source = TokenSource::new(serde_json::from_value(json).expect("an OAuth2")).expect("a URL");
        let policy = AddressPolicy::new(["127.0.0.0/8".parse().expect("a network")]);
        let client = Client::new(ClientConfig { policy, proxy: None }).expect("a client");
        let get = || source.get(&client, Timestamp::UNIX_EPOCH);
        let (a, b, c) = tokio::join!(get(), get(), get());
        assert!(a.is_err() && b.is_err() && c.is_err());
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert!(get().await.is_err());
        assert_eq!(asked.load(Ordering::SeqCst), 2, "who comes later asks anew");
    }
}
