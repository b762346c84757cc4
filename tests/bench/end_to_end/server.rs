//! The server under test: the release binary, in a process of its own.

use std::convert::Infallible;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{MissedTickBehavior, interval};

use crate::Options;
use crate::receiver::Receiver;

const TOKEN: &str = "a-token-for-benches";

/// Bytes that a network brings in so long: a gigabit a second.
const PART_BYTES: usize = 128 << 10;
const PART_TIME: Duration = Duration::from_millis(1);

pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    _data: tempfile::TempDir,
}

impl Server {
    /// Starts a server with the invoice plugin and a webhook to the receiver.
    pub(crate) async fn start(options: &Options, receiver: &Receiver) -> Self {
        // Beside the build, on a real disk: the temporary directory may be in memory.
        let data = tempfile::tempdir_in(&options.data).expect("a directory");
        let mut child = Command::new(&options.hookmill)
            .args(["serve", "--listen", "127.0.0.1:0", "--allow", "127.0.0.0/8", "--log", "warn", "--data"])
            .arg(data.path())
            .env("HOOKMILL_TOKEN", TOKEN)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("build the server first: `cargo xtask bench` does");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let ready = lines.next_line().await.expect("readable").expect("the server says when it is ready");
        let url = ready.rsplit(' ').next().expect("a URL").to_owned();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let server = Self { child, url, http, _data: data };
        server.push(&options.plugins.join("rust_quotation_invoice.wasm")).await;
        let webhook = json!({
            "doctype": "Quotation", "doc_event": "on_update", "request_url": format!("{}/in", receiver.url),
            "plugin": {"name": "invoice"}, "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        });
        server.webhook(&webhook).await;
        server
    }

    /// Puts another webhook in the place of the one with the plugin.
    pub(crate) async fn webhook(&self, webhook: &Value) {
        self.put("/v1/webhooks/bench", "application/json", webhook.to_string().into_bytes()).await;
    }

    /// Uploads a component, which then is the active version.
    pub(crate) async fn push(&self, file: &Path) {
        let wasm = std::fs::read(file).expect("build the plugins first: `cargo xtask plugins`");
        self.put("/v1/plugins/invoice", "application/wasm", wasm).await;
    }

    /// Uploads a component under a name of its own, as fast as a network of a gigabit brings it: written to a socket of the
    /// same machine at once, its megabytes alone would keep the cores busy for as long as that takes. Returns what the
    /// server said if it refused.
    pub(crate) async fn push_over_network(&self, name: &str, wasm: Vec<u8>) -> Result<(), String> {
        let mut ticks = interval(PART_TIME);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let length = wasm.len();
        let paced = stream::unfold((Bytes::from(wasm), ticks), async |(mut rest, mut ticks)| {
            ticks.tick().await;
            let part = rest.split_to(PART_BYTES.min(rest.len()));
            (!part.is_empty()).then_some((Ok::<_, Infallible>(part), (rest, ticks)))
        });
        let request = self.putting(&format!("/v1/plugins/{name}"), "application/wasm");
        sent(request.header("content-length", length).body(reqwest::Body::wrap_stream(paced))).await
    }

    /// Uploads a component under a name of its own.
    pub(crate) async fn push_as(&self, name: &str, file: &Path) {
        let wasm = std::fs::read(file).expect("build the guests first: `cargo xtask plugins`");
        self.push_bytes(name, wasm).await;
    }

    /// Does the same with the component itself.
    pub(crate) async fn push_bytes(&self, name: &str, wasm: Vec<u8>) {
        self.put(&format!("/v1/plugins/{name}"), "application/wasm", wasm).await;
    }

    /// Saves a webhook under a name of its own.
    pub(crate) async fn webhook_as(&self, name: &str, webhook: &Value) {
        self.put(&format!("/v1/webhooks/{name}"), "application/json", webhook.to_string().into_bytes()).await;
    }

    /// Removes such a webhook, and returns once nothing waits for it any more.
    pub(crate) async fn without_webhook(&self, name: &str) {
        done(self.http.delete(format!("{}/v1/webhooks/{name}", self.url)).bearer_auth(TOKEN)).await;
        let pending = format!("/v1/deliveries?webhook={name}&state=pending&limit=1");
        while self.get(&pending).await["deliveries"].as_array().is_none_or(|page| !page.is_empty()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns what the server says of this.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.url)).bearer_auth(TOKEN).send().await.expect("an answer");
        serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON")
    }

    async fn put(&self, path: &str, content_type: &str, body: Vec<u8>) {
        done(self.putting(path, content_type).body(body)).await;
    }

    fn putting(&self, path: &str, content_type: &str) -> RequestBuilder {
        self.http.put(format!("{}{path}", self.url)).bearer_auth(TOKEN).header("content-type", content_type)
    }

    /// Publishes events; returns when they are acknowledged.
    pub(crate) async fn publish(&self, content_type: &'static str, body: String) {
        let request =
            self.http.post(format!("{}/v1/events", self.url)).bearer_auth(TOKEN).header("content-type", content_type);
        done(request.body(body)).await;
    }

    /// Returns the CPU time that the server used so far, user and system together.
    pub(crate) fn cpu(&self) -> Duration {
        let id = self.child.id().expect("it runs");
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("Linux");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        // Fields 14 and 15 of the file, in hundredths of a second.
        let ticks: u64 = [11, 12].iter().map(|place| fields[*place].parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 10)
    }

    pub(crate) async fn stop(mut self) {
        self.child.kill().await.expect("it can be ended");
    }
}

/// Sends a request that is to succeed.
async fn done(request: RequestBuilder) {
    sent(request).await.expect("done");
}

/// Sends a request; returns what the server said if it refused.
async fn sent(request: RequestBuilder) -> Result<(), String> {
    let answer = request.send().await.expect("an answer");
    let (url, status) = (answer.url().clone(), answer.status());
    // Read to the end, or the connection is not used again.
    let body = answer.text().await.expect("a body");
    if status.is_success() { Ok(()) } else { Err(format!("{url}: {body}")) }
}
