//! `hookmill demo`: the whole walk with real parts, a step at a time.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use hookmill::{Engine, EngineConfig};
use hookmill_server::{Server, Token};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::plugin::refused;
use super::serve::this_program_as_compiler;
use super::{StopSignal, plugin_host};
use crate::allocator::keep_handing_back_memory;
use crate::api::Client;
use crate::args::{Demo, Receiver};
use crate::exit_code::{FAILED, Failure, PLUGIN};
use crate::output::{Output, field};
use crate::receiver::{self, Heard};

/// A Quotation as ERPNext has it, and what happened to it.
const QUOTATION: &str = include_str!("../../../../tests/documents/quotation-on-update.json");

/// The example plugins that the demo shows, one after the other under the same name.
const FIRST_PLUGIN: &str = "rust_quotation_invoice.wasm";
const SECOND_PLUGIN: &str = "rust_slack_message.wasm";

/// Far longer than any step takes; only a fault waits for so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server with a receiver beside it.
struct Stage<'a> {
    output: &'a Output,
    engine: Engine,
    client: Client,
    server_url: String,
    token: String,
    receiver_url: String,
    heard: mpsc::Receiver<Heard>,
    plugins_dir: PathBuf,
    data: tempfile::TempDir,
}

pub(crate) async fn run(options: Demo, output: &Output) -> anyhow::Result<ExitCode> {
    let mut signals = StopSignal::listen()?;
    keep_handing_back_memory();
    let mut stage = Stage::set(output).await?;
    // Whatever ends the walk, what it made is taken down after it.
    let walked = tokio::select! {
        walked = stage.walk(&options) => walked,
        () = signals.heard() => Ok(()),
    };
    stage.engine.shutdown(Duration::from_secs(5)).await;
    stage.data.close().context("the demo's directory can't be removed")?;
    walked.map(|()| ExitCode::SUCCESS)
}

impl<'a> Stage<'a> {
    async fn set(output: &'a Output) -> anyhow::Result<Self> {
        let data = tempfile::tempdir().context("a directory for the demo can't be made")?;
        let plugins_dir = data.path().join("plugins");
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the receiver can't listen")?;
        let receiver_url = format!("http://{}", listener.local_addr()?);
        let (told, heard) = mpsc::channel(1_024);
        let options = Receiver {
            listen: String::new(),
            status: 200,
            delay: None,
            drip: false,
            redirect: false,
            fail_first: 0,
            quiet: false,
        };
        #[allow(clippy::disallowed_methods, reason = "lives as long as the demo, which the engine does not wait for")]
        drop(tokio::spawn(receiver::serve(listener, options, told)));

        let mut config = EngineConfig::new(data.path().join("data"));
        config.plugins_dir = Some(plugins_dir.clone());
        config.allow = vec!["127.0.0.0/8".parse().expect("a network")];
        config.compiler = this_program_as_compiler()?;
        let engine = Engine::start(config).await.map_err(|error| Failure::explained(FAILED, &error))?;
        let server = Server::bind("127.0.0.1:0").await?;
        let (server_token, token) = Token::random().context("a token for the demo can't be made")?;
        let server_url = format!("http://{}", server.address());
        let (served, stopping) = (engine.clone(), engine.clone());
        #[allow(clippy::disallowed_methods, reason = "ends with the engine")]
        drop(tokio::spawn(server.serve(served, server_token, async move { stopping.stopping().await })));
        let client = Client::new(&server_url, Some(&token))?;
        let stage = Self { output, engine, client, server_url, token, receiver_url, heard, plugins_dir, data };
        stage.say(&format!("server    {}\nreceiver  {}", stage.server_url, stage.receiver_url));
        Ok(stage)
    }

    /// Goes through all steps and, where somebody watches, stays up until it is told to end.
    async fn walk(&mut self, options: &Demo) -> anyhow::Result<()> {
        self.seed().await?;
        match &options.plugins {
            Some(dir) => self.plugins(dir).await?,
            None => self.say("The steps with plugins are left out: build the examples with `cargo xtask plugins`, then give `--plugins target/plugins`."),
        }
        if !options.once && std::io::stdout().is_terminal() {
            self.stay().await;
        }
        Ok(())
    }

    /// Tells a person; a program hears only what was received.
    fn say(&self, text: &str) {
        if !self.output.is_json() {
            self.output.line(text);
        }
    }

    fn step(&self, number: u32, title: &str) {
        if !self.output.is_json() {
            self.output.heading(&format!("\n{number}. {title}"));
        }
    }

    /// Without a plugin: rows choose fields and name keys.
    async fn seed(&mut self) -> anyhow::Result<()> {
        self.step(1, "A Quotation is updated; a webhook sends two of its fields under other names.");
        let webhook = json!({
            "doctype": "Quotation", "doc_event": "on_update", "request_url": format!("{}/post", self.receiver_url),
            "data": [{"fieldname": "name", "key": "id"}, {"fieldname": "items", "key": "lineItems"}],
        });
        self.save(&webhook).await?;
        self.publish_and_show().await
    }

    /// With a plugin, and then with another one in its place while everything runs.
    async fn plugins(&mut self, dir: &Path) -> anyhow::Result<()> {
        self.step(2, "The same event through a plugin: a sandboxed component makes an invoice of it.");
        self.put_plugin(&dir.join(FIRST_PLUGIN)).await?;
        let webhook = json!({
            "doctype": "Quotation", "doc_event": "on_update", "request_url": format!("{}/post", self.receiver_url),
            "plugin": {"name": "demo"},
        });
        self.save(&webhook).await?;
        self.publish_and_show().await?;
        self.step(3, "The plugin's file is replaced while running; the next event is a chat message.");
        self.put_plugin(&dir.join(SECOND_PLUGIN)).await?;
        self.publish_and_show().await
    }

    async fn save(&self, webhook: &Value) -> anyhow::Result<()> {
        self.client.put("/v1/webhooks/demo", "application/json", webhook.to_string()).await?;
        self.say(&format!("webhook   {webhook}"));
        Ok(())
    }

    /// Puts a component into the watched directory and waits until it runs.
    async fn put_plugin(&self, file: &Path) -> anyhow::Result<()> {
        let wasm = std::fs::read(file).map_err(|error| {
            Failure::new(FAILED, "plugin_unreadable", format!("{} can't be read: {error}", file.display()))
                .help("build the examples with `cargo xtask plugins`")
        })?;
        let digest = hookmill::core::Digest::of(&wasm).to_string();
        let target = self.plugins_dir.join("demo.wasm");
        self.say(&format!("plugin    {} → {}", file.display(), target.display()));
        // A file that can't be a plugin leaves its reason in the log only; here it ends the demo.
        plugin_host::load(&wasm)?.map_err(|error| refused(file, &error))?;
        // A rename, so that a half-written file is never seen.
        let new = self.plugins_dir.join("demo.new");
        std::fs::write(&new, wasm)
            .and_then(|()| std::fs::rename(&new, &target))
            .context("the plugin's file can't be written")?;
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let plugin = self.client.get("/v1/plugins/demo", &[]).await.unwrap_or_default();
                if plugin["active"] == digest.as_str() {
                    return Ok(());
                }
                if plugin["last_failure"].is_object() {
                    let failure = &plugin["last_failure"];
                    return Err(Failure::new(PLUGIN, field(failure, "code"), field(failure, "message")));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Ok(waited.await.map_err(|_| anyhow!("the plugin did not become active"))??)
    }

    async fn publish_and_show(&mut self) -> anyhow::Result<()> {
        let answer = self.client.post("/v1/events", "application/json", QUOTATION).await?;
        self.say(&format!("event     {} is recorded", field(&answer, "id")));
        let received = tokio::time::timeout(PATIENCE, self.received()).await.ok().flatten();
        let (method, echo) = received.ok_or_else(|| anyhow!("the receiver got nothing"))?;
        self.output.answer(&echo, || {
            format!("received  {method} {}\n{}", field(&echo, "url"), echo["data"].as_str().unwrap_or_default())
        });
        Ok(())
    }

    /// Waits for the next request to arrive at the receiver: its method and what it was.
    async fn received(&mut self) -> Option<(String, Value)> {
        loop {
            if let Heard::Arrived { method, echo, .. } = self.heard.recv().await? {
                return Some((method, echo));
            }
        }
    }

    /// Stays up for the user to play with.
    async fn stay(&mut self) {
        self.say(&format!(
            "\nIt stays up; try, in another terminal:\n  export HOOKMILL_URL={} HOOKMILL_TOKEN={}\n  \
             hookmill delivery list\n  hookmill webhook show demo\n  hookmill plugin list\n\
             The plugin's file is {}/demo.wasm: replace it and send another event. Ctrl-C ends, and removes {}.",
            self.server_url,
            self.token,
            self.plugins_dir.display(),
            self.data.path().display(),
        ));
        while let Some((_, echo)) = self.received().await {
            self.output.answer(&echo, || format!("received  {}", echo["data"].as_str().unwrap_or_default()));
        }
    }
}
