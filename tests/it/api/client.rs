//! A served engine and a client that knows its token.

use hookmill::EngineConfig;
use hookmill_server::{Server, ServerLimits, Token};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::stand::Stand;

pub(super) const TOKEN: &str = "a token for tests";

/// A server on a free port over a [`Stand`].
pub(super) struct Served {
    pub(super) stand: Stand,
    base: String,
    http: reqwest::Client,
    _serving: JoinSet<()>,
}

/// What the server answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) retry_after: Option<String>,
    pub(super) json: Value,
}

impl Reply {
    /// Checks that this is a problem document with this status and code, and returns it.
    #[track_caller]
    pub(super) fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.json["code"].as_str()), (status, Some(code)), "{}", self.json);
        assert_eq!(self.content_type, "application/problem+json");
        assert_eq!(self.json["status"], status);
        let text = |member: &str| self.json[member].as_str().is_some_and(|text| !text.is_empty());
        assert!(text("title") && text("detail") && text("type"), "{}", self.json);
        self.json
    }

    /// Checks the status and returns the answer.
    #[track_caller]
    pub(super) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.json);
        assert!(self.status == 204 || self.content_type == "application/json", "{}", self.content_type);
        self.json
    }
}

impl Served {
    pub(super) async fn new() -> Self {
        Self::with_limits(ServerLimits::default()).await
    }

    pub(super) async fn with_limits(limits: ServerLimits) -> Self {
        Self::over(Stand::new().await, limits).await
    }

    /// Serves an engine with other settings than the defaults.
    pub(super) async fn with(change: impl FnOnce(&mut EngineConfig)) -> Self {
        Self::over(Stand::with(change).await, ServerLimits::default()).await
    }

    async fn over(stand: Stand, limits: ServerLimits) -> Self {
        let server = Server::bind("127.0.0.1:0").await.expect("a server").with_limits(limits);
        let base = format!("http://{}", server.address());
        let mut serving = JoinSet::new();
        let (engine, token) = (stand.engine.clone(), Token::given(TOKEN).expect("a token"));
        serving.spawn(server.serve(engine, token, std::future::pending()));
        // A connection for each request: one that is kept may be closed by the server just as the next request leaves.
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("a client");
        Self { stand, base, http, _serving: serving }
    }

    /// Returns the host and port that it listens on.
    pub(super) fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// Begins a request without the token.
    pub(super) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Begins a request with the token.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(TOKEN)
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        send(self.request(Method::GET, path)).await
    }

    pub(super) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        send(self.request(Method::POST, path).header("content-type", "application/json").body(body)).await
    }

    pub(super) async fn put(&self, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        send(self.request(Method::PUT, path).body(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Reply {
        send(self.request(Method::DELETE, path)).await
    }

    /// Saves a webhook for Notes that sends to the receiver.
    pub(super) async fn webhook(&self, fields: Value) {
        self.stand.webhook("notes", fields).await;
    }
}

/// Sends a request and reads the answer; an empty one becomes null.
pub(super) async fn send(request: RequestBuilder) -> Reply {
    let answer = request.send().await.expect("the server answers");
    let header = |name| answer.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
    let (content_type, retry_after) = (header("content-type").unwrap_or_default(), header("retry-after"));
    let status = answer.status().as_u16();
    let bytes = answer.bytes().await.expect("a whole answer");
    let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Reply { status, content_type, retry_after, json }
}
