//! `hookmill demo`: the whole walk with real parts, a step at a time.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use hookmill::{Engine, EngineConfig};
use hookmill_server::{Server, Token};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::serve::this_program_as_compiler;
use crate::api::Client;
use crate::args::{Demo, Receiver};
use crate::exit_code::{FAILED, Failure};
use crate::output::{Output, field};
use crate::receiver::{self, Received};

/// A Quotation as ERPNext has it, and what happened to it.
const QUOTATION: &str = include_str!("../../../../tests/documents/quotation-on-update.json");

/// The example plugins that the demo shows, one after the other under the same name.
const FIRST_PLUGIN: &str = "rust_quotation_invoice.wasm";
const SECOND_PLUGIN: &str = "rust_slack_message.wasm";

/// Far longer than any step takes; only a fault waits for so long.
const PATIENCE: Duration = Duration::from_secs(30);

const TOKEN: &str = "demo";

/// A running server with a receiver beside it.
struct Stage<'a> {
    output: &'a Output,
    engine: Engine,
    client: Client,
    server_url: String,
    receiver_url: String,
    received: mpsc::Receiver<Received>,
    plugins_dir: PathBuf,
    data: tempfile::TempDir,
}

pub(crate) async fn run(options: Demo, output: &Output) -> anyhow::Result<ExitCode> {
    let mut stage = Stage::set(output).await?;
    stage.seed().await?;
    match &options.plugins {
        Some(dir) => stage.plugins(dir).await?,
        None => stage.say("The steps with plugins are left out: build the examples with `cargo xtask plugins`, then give `--plugins target/plugins`."),
    }
    if !options.once {
        stage.stay().await?;
    }
    stage.engine.shutdown(Duration::from_secs(5)).await;
    Ok(ExitCode::SUCCESS)
}

impl<'a> Stage<'a> {
    async fn set(output: &'a Output) -> anyhow::Result<Self> {
        let data = tempfile::tempdir().context("a directory for the demo can't be made")?;
        let plugins_dir = data.path().join("plugins");
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the receiver can't listen")?;
        let receiver_url = format!("http://{}", listener.local_addr()?);
        let (told, received) = mpsc::channel(1_024);
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
        let server = Server::bind("127.0.0.1:0", engine.clone(), Token::given(TOKEN)).await?;
        let server_url = format!("http://{}", server.address());
        let stopping = engine.clone();
        #[allow(clippy::disallowed_methods, reason = "ends with the engine")]
        drop(tokio::spawn(server.serve(async move { stopping.stopping().await })));
        let client = Client::new(&server_url, Some(TOKEN))?;
        let stage = Self { output, engine, client, server_url, receiver_url, received, plugins_dir, data };
        stage.say(&format!("server    {}\nreceiver  {}", stage.server_url, stage.receiver_url));
        Ok(stage)
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
        // A rename, so that a half-written file is never seen.
        let new = self.plugins_dir.join("demo.new");
        std::fs::write(&new, wasm)
            .and_then(|()| std::fs::rename(&new, &target))
            .context("the plugin's file can't be written")?;
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let active = self
                    .client
                    .get("/v1/plugins/demo", &[])
                    .await
                    .is_ok_and(|plugin| plugin["active"] == digest.as_str());
                if active {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.map_err(|_| anyhow!("the plugin did not become active"))
    }

    async fn publish_and_show(&mut self) -> anyhow::Result<()> {
        let answer = self.client.post("/v1/events", "application/json", QUOTATION).await?;
        self.say(&format!("event     {} is recorded", field(&answer, "id")));
        let received = tokio::time::timeout(PATIENCE, self.received.recv()).await.ok().flatten();
        let received = received.ok_or_else(|| anyhow!("the receiver got nothing"))?;
        self.output.answer(&received.echo, || {
            format!("received  {} {}\n{}", received.method, field(&received.echo, "url"), field(&received.echo, "data"))
        });
        Ok(())
    }

    /// Stays up for the user to play with, until Ctrl-C.
    async fn stay(&mut self) -> anyhow::Result<()> {
        self.say(&format!(
            "\nIt stays up; try, in another terminal:\n  export HOOKMILL_URL={} HOOKMILL_TOKEN={TOKEN}\n  \
             hookmill delivery list\n  hookmill webhook show demo\n  hookmill plugin list\n\
             The plugin's file is {}/demo.wasm: replace it and send another event. Ctrl-C ends, and removes {}.",
            self.server_url,
            self.plugins_dir.display(),
            self.data.path().display(),
        ));
        loop {
            tokio::select! {
                ended = tokio::signal::ctrl_c() => return ended.context("Ctrl-C can't be heard"),
                received = self.received.recv() => {
                    let Some(received) = received else { return Ok(()) };
                    self.output.answer(&received.echo, || format!("received  {}", field(&received.echo, "data")));
                }
            }
        }
    }
}
