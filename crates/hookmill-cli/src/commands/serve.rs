//! `hookmill serve`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use futures::FutureExt as _;
use hookmill::plugin::Compiler;
use hookmill::{Engine, EngineConfig, SecretKey};
use hookmill_server::{Server, Token};
use ipnet::IpNet;
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::COMPILE_WORKER;
use crate::allocator::keep_handing_back_memory;
use crate::args::{Serve, StoreSize};
use crate::commands::StopSignal;
use crate::exit_code::{FAILED, Failure, USAGE};
use crate::output::{Output, to_stderr};

/// For how long a server whose store has failed still answers requests that are under way when its deliveries have ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The file of `--config`: the same names as the options.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<String>,
    data: Option<PathBuf>,
    plugins: Option<PathBuf>,
    #[serde(default)]
    allow: Vec<IpNet>,
    #[serde(default, rename = "allow-host")]
    allow_host: Vec<String>,
    proxy: Option<String>,
    #[serde(rename = "secret-key")]
    secret_key: Option<PathBuf>,
    grace: Option<u64>,
    retention: Option<u32>,
    #[serde(rename = "retention-bytes")]
    retention_bytes: Option<String>,
    #[serde(rename = "waiting-max")]
    waiting_max: Option<NonZeroUsize>,
    #[serde(rename = "in-flight")]
    in_flight: Option<NonZeroUsize>,
    #[serde(rename = "in-flight-per-receiver")]
    in_flight_per_receiver: Option<NonZeroUsize>,
    #[serde(rename = "disable-after")]
    disable_after: Option<u32>,
    token: Option<String>,
}

/// What the server is told: an option wins over the file, the file over the default.
struct Settings {
    listen: String,
    engine: EngineConfig,
    grace: Duration,
    token: Option<Token>,
}

impl Settings {
    fn gather(options: Serve, token: Option<String>) -> anyhow::Result<Self> {
        let file = options.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let data = options.data.or(file.data).unwrap_or_else(|| "hookmill-data".into());
        let mut engine = EngineConfig::new(data);
        engine.plugins_dir = options.plugins.or(file.plugins);
        engine.allow = if options.allow.is_empty() { file.allow } else { options.allow };
        engine.allow_hosts = match options.allow_host {
            hosts if hosts.is_empty() => file.allow_host.iter().map(|host| parsed(host)).collect::<Result<_, _>>()?,
            hosts => hosts,
        };
        engine.proxy =
            options.proxy.map_or_else(|| file.proxy.as_deref().map(parsed).transpose(), |proxy| Ok(Some(proxy)))?;
        let key_file = options.secret_key.or(file.secret_key);
        let key = match (options.secret_key_text, key_file) {
            (Some(text), _) => Some(SecretKey::parse(&text)),
            (None, Some(file)) => Some(SecretKey::read(&file)),
            (None, None) => None,
        };
        engine.secret_key = key.transpose().map_err(|error| Failure::explained(USAGE, &error))?;
        if let Some(days) = options.retention.or(file.retention) {
            engine.retention = of_days(days);
        }
        if let Some(days) = options.disable_after.or(file.disable_after) {
            engine.disable_after = Some(of_days(days)).filter(|after| !after.is_zero());
        }
        for (given, limit) in [
            (options.waiting_max.or(file.waiting_max), &mut engine.waiting_max),
            (options.in_flight.or(file.in_flight), &mut engine.in_flight_max),
            (options.in_flight_per_receiver.or(file.in_flight_per_receiver), &mut engine.in_flight_per_receiver_max),
        ] {
            *limit = given.map_or(*limit, NonZeroUsize::get);
        }
        let size = options.retention_bytes.map_or_else(
            || file.retention_bytes.as_deref().map(parsed::<StoreSize>).transpose(),
            |size| Ok(Some(size)),
        )?;
        engine.retention_bytes = size.map(StoreSize::bytes);
        engine.compiler = this_program_as_compiler()?;
        Ok(Self {
            listen: options.listen.or(file.listen).unwrap_or_else(|| "127.0.0.1:8470".into()),
            engine,
            grace: Duration::from_secs(options.grace.or(file.grace).unwrap_or(10)),
            token: token
                .or(file.token)
                .map(|text| Token::given(&text))
                .transpose()
                .map_err(|error| Failure::explained(USAGE, &error))?,
        })
    }
}

fn of_days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 24 * 3600)
}

/// Reads a text of the file.
fn parsed<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error: T::Err| Failure::new(USAGE, "config_invalid", error.to_string()))
}

fn read_file(file: &Path) -> anyhow::Result<File> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::new(USAGE, "config_unreadable", format!("{} can't be read: {error}", file.display()))
    })?;
    let parsed = toml::from_str(&text).map_err(|error| {
        Failure::new(USAGE, "config_invalid", format!("{} can't be used: {}", file.display(), error.to_string().trim()))
            .help("it may have the names of the options of `hookmill serve`, and token")
    })?;
    Ok(parsed)
}

/// Components of strangers are compiled in a child process with limits, which is this very program.
pub(crate) fn this_program_as_compiler() -> anyhow::Result<Compiler> {
    let program = std::env::current_exe().context("this program's own path can't be found")?;
    Ok(Compiler::subprocess(program, [COMPILE_WORKER]))
}

pub(crate) async fn run(options: Serve, token: Option<String>, output: &Output) -> anyhow::Result<ExitCode> {
    let Settings { listen, engine, grace, token } = Settings::gather(options, token)?;
    let data_dir = engine.data_dir.clone();
    // Listening for signals begins before anything that must be undone.
    let mut signals = StopSignal::listen()?;
    // The port comes before the engine: where it is taken, nothing was begun.
    let server = Server::bind(&listen).await.map_err(|error| {
        Failure::new(FAILED, "cannot_listen", error.to_string()).help("choose another address with --listen")
    })?;
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files can't be raised; many connections may find none left");
    }
    keep_handing_back_memory();
    let engine = Engine::start(engine).await.map_err(|error| Failure::explained(FAILED, &error))?;
    let token = match token {
        Some(token) => token,
        None => {
            let (token, made) = Token::load_or_make(&data_dir).map_err(|error| Failure::explained(FAILED, &error))?;
            if let Some(text) = made {
                to_stderr(&format!("the token for callers, shown only this once:\n  export HOOKMILL_TOKEN={text}"));
            }
            token
        }
    };
    output.line(format!("hookmill is ready at http://{}", server.address()));
    let (stop, stopped) = oneshot::channel::<()>();
    let stopping = engine.clone();
    // Where the store failed, whoever asks is told so until the last delivery has ended.
    let mut serving = Box::pin(server.serve(engine.clone(), token, async move {
        stopping.stopping().await;
        if stopping.failed().now_or_never().is_some() {
            // The sender is kept until then.
            drop(stopped.await);
        }
    }));
    let failed = tokio::select! {
        () = signals.heard() => false,
        () = engine.failed() => true,
        () = &mut serving => false,
    };
    end_at_second(signals);
    tracing::info!("stopping");
    // Both at once: callers whose event is being recorded hear of it, and deliveries under way end.
    let ending = async {
        let report = engine.shutdown(grace).await;
        drop(stop);
        report
    };
    let last_words = if failed { LAST_WORDS } else { Duration::ZERO };
    let (report, served) = tokio::join!(ending, tokio::time::timeout(grace + last_words, serving));
    if served.is_err() {
        tracing::warn!("some connections were still open when the grace period ended");
    }
    tracing::info!(
        waiting = report.waiting,
        cut_off = report.cut_off,
        "stopped; what waits is taken up at the next start"
    );
    if failed {
        return Err(Failure::new(FAILED, "store_failed", "the store can't be written any more, see the log")
            .help("check the disk of the data directory, then start again")
            .into());
    }
    Ok(ExitCode::SUCCESS)
}

/// From now on, a signal ends the process at once: the user asked twice.
fn end_at_second(mut signals: StopSignal) {
    #[allow(clippy::disallowed_methods, reason = "outlives the engine, so none of its tasks can do this")]
    drop(tokio::spawn(async move {
        signals.heard().await;
        #[allow(clippy::exit, reason = "the user asked twice")]
        std::process::exit(i32::from(FAILED));
    }));
}
