//! The command line.

mod import;
mod plugin;
mod size;
mod source;
mod webhook;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use hookmill::delivery::{AllowedHost, Proxy};
use ipnet::IpNet;
use jiff::Timestamp;

pub(crate) use self::import::{FrappeProfile, Import};
pub(crate) use self::plugin::{Language, Plugin};
pub(crate) use self::size::StoreSize;
pub(crate) use self::source::{FrappeSource, Source};
pub(crate) use self::webhook::{TriedEvent, Webhook};
use crate::api::Client;
use crate::exit_code::Failure;

/// A webhook engine with a mill in the middle: doc events in, your WebAssembly plugin, an HTTP POST out.
#[derive(Debug, Parser)]
#[command(
    name = "hookmill",
    version,
    after_help = format!(
        "Examples:\n  hookmill demo\n  hookmill serve\n  hookmill plugin new my-plugin\n\n{}",
        crate::exit_code::TABLE
    )
)]
pub(crate) struct Args {
    /// Print JSON, one value a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to log to stderr: error, warn, info, debug or trace
    #[arg(long, global = true, env = "HOOKMILL_LOG", value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the server is, for commands that call it.
#[derive(Debug, clap::Args)]
pub(crate) struct Connection {
    /// The server's URL
    #[arg(long, global = true, env = "HOOKMILL_URL", default_value = "http://127.0.0.1:8470", value_name = "URL")]
    pub(crate) url: String,
    /// The server's bearer token, printed when it first started
    #[arg(long, global = true, env = "HOOKMILL_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
}

impl Connection {
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.url, self.token.as_deref().filter(|token| !token.is_empty()))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server
    Serve(Serve),
    /// See it work: a server, a receiver, a document, a plugin, and its replacement while running
    Demo(Demo),
    /// Run a receiver that answers like httpbin's /post, or misbehaves as you tell it
    Receiver(Receiver),
    /// Publish events
    #[command(subcommand, after_help = "Example:\n  hookmill event send quotation.json")]
    Event(Event),
    /// Save, show and try webhooks
    #[command(
        subcommand,
        after_help = "Example:\n  hookmill webhook apply invoice.json && hookmill webhook preview invoice --event quotation.json"
    )]
    Webhook(Webhook),
    /// Make, build, test, measure and upload plugins
    #[command(
        subcommand,
        after_help = "Example:\n  hookmill plugin new invoice && hookmill plugin test invoice && hookmill plugin push invoice/invoice.wasm"
    )]
    Plugin(Plugin),
    /// Look at deliveries and send them again
    #[command(
        subcommand,
        after_help = "Example:\n  hookmill delivery list --state dead && hookmill delivery redeliver --state dead"
    )]
    Delivery(Delivery),
    /// Take events from systems that send them in a way of their own
    #[command(subcommand, after_help = "Example:\n  hookmill source frappe set secrets.json")]
    Source(Source),
    /// Watch attempts as they happen
    Tail(Tail),
    /// Make a new data directory from what can be read of a damaged one
    Salvage(Salvage),
    /// Take over webhooks from another system
    #[command(subcommand, after_help = "Example:\n  hookmill import frappe fixtures/webhook.json --dry-run")]
    Import(Import),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  hookmill serve --data /var/lib/hookmill --plugins ./plugins --allow 10.0.0.0/8")]
pub(crate) struct Serve {
    /// The address to listen on [default: 127.0.0.1:8470]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Where everything is kept [default: ./hookmill-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// A directory of .wasm files to watch; a file's stem is its plugin's name
    #[arg(long, value_name = "DIR")]
    pub(crate) plugins: Option<PathBuf>,
    /// A network that receivers may be in although it is not public; may be given several times
    #[arg(long, value_name = "CIDR")]
    pub(crate) allow: Vec<IpNet>,
    /// A host that receivers may be although its addresses are not public; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<AllowedHost>,
    /// The proxy that every request to a receiver goes through: http, https or socks5
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<Proxy>,
    /// A file with the key that secrets are sealed with where they are stored; HOOKMILL_SECRET_KEY gives the key itself
    /// [default: secret.key in the data directory, made at the first start]
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_key: Option<PathBuf>,
    /// The key itself, for the environment: a list of processes shows options to everybody
    #[arg(long, env = "HOOKMILL_SECRET_KEY", hide = true, hide_env_values = true)]
    pub(crate) secret_key_text: Option<String>,
    /// How long to wait for deliveries under way when stopping, in seconds [default: 10]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) grace: Option<u64>,
    /// For how long events are kept once all their deliveries are settled, in days [default: 30]
    #[arg(long, value_name = "DAYS")]
    pub(crate) retention: Option<u32>,
    /// What the store may occupy, such as 512MiB or 20GB; beyond, the oldest settled events go before their time
    #[arg(long, value_name = "SIZE")]
    pub(crate) retention_bytes: Option<StoreSize>,
    /// How many deliveries may wait; beyond, events are refused until some are settled [default: 1000000]
    #[arg(long, value_name = "COUNT")]
    pub(crate) waiting_max: Option<NonZeroUsize>,
    /// How many deliveries may be under way at one time [default: 2048]
    #[arg(long, value_name = "COUNT")]
    pub(crate) in_flight: Option<NonZeroUsize>,
    /// How many of them may be to one receiver [default: 64]
    #[arg(long, value_name = "COUNT")]
    pub(crate) in_flight_per_receiver: Option<NonZeroUsize>,
    /// After how many days of nothing but failures a webhook is disabled; never with 0 [default: 5]
    #[arg(long, value_name = "DAYS")]
    pub(crate) disable_after: Option<u32>,
    /// A TOML file with the same names, and token; an option wins over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  hookmill salvage --data hookmill-data --to hookmill-salvaged\n\nStop the server first. Nothing is written to the old directory."
)]
pub(crate) struct Salvage {
    /// The damaged data directory
    #[arg(long, default_value = "hookmill-data", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The new one, which is made
    #[arg(long, value_name = "NEW")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  hookmill demo --plugins target/plugins --once")]
pub(crate) struct Demo {
    /// End after the last step instead of staying up, as it does where nobody watches on a terminal
    #[arg(long)]
    pub(crate) once: bool,
    /// The directory with the built example plugins; without it, the steps with plugins are left out
    #[arg(long, value_name = "DIR")]
    pub(crate) plugins: Option<PathBuf>,
}

#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  hookmill receiver\n  hookmill receiver --listen 127.0.0.1:9000 --status 500 --delay 2s"
)]
pub(crate) struct Receiver {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1:8471", value_name = "ADDR")]
    pub(crate) listen: String,
    /// Answer with this status
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(200..=599), value_name = "STATUS")]
    pub(crate) status: u16,
    /// Wait before answering: `500ms`, `2s`, `1m`
    #[arg(long, value_parser = parse_delay, value_name = "TIME")]
    pub(crate) delay: Option<std::time::Duration>,
    /// Send the answer a byte a second
    #[arg(long)]
    pub(crate) drip: bool,
    /// Answer with a redirect to another path
    #[arg(long)]
    pub(crate) redirect: bool,
    /// Answer the first N requests with status 503, then as told
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) fail_first: u64,
    /// Print nothing for each request
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

fn parse_delay(text: &str) -> Result<std::time::Duration, String> {
    let (digits, unit_ms) = match text {
        _ if text.ends_with("ms") => (text.trim_end_matches("ms"), 1),
        _ if text.ends_with('s') => (text.trim_end_matches('s'), 1_000),
        _ if text.ends_with('m') => (text.trim_end_matches('m'), 60_000),
        _ => (text, 1_000),
    };
    let number: u64 = digits.parse().map_err(|_| "write a time like `500ms`, `2s` or `1m`".to_owned())?;
    Ok(std::time::Duration::from_millis(number.saturating_mul(unit_ms)))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Event {
    /// Publish events from a file or from standard input: one, a JSON array, or one a line (NDJSON)
    #[command(
        after_help = "Examples:\n  hookmill event send quotation.json\n  hookmill event send - --doctype Note --doc-event on_update < note.json"
    )]
    Send(EventSend),
}

#[derive(Debug, clap::Args)]
pub(crate) struct EventSend {
    /// The file, or - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The file is a bare document of this DocType, not an event
    #[arg(long, requires = "doc_event", value_name = "NAME")]
    pub(crate) doctype: Option<String>,
    /// What happened to that document
    #[arg(long, requires = "doctype", value_name = "NAME")]
    pub(crate) doc_event: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Mode {
    /// The very bytes that were sent before
    #[default]
    AsSent,
    /// What webhook and plugin make of the event now
    Transform,
}

impl Mode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::AsSent => "as-sent",
            Self::Transform => "transform",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Delivery {
    /// List deliveries, the newest first
    #[command(after_help = "Example:\n  hookmill delivery list --state parked --webhook invoice")]
    List {
        #[command(flatten)]
        filter: Filter,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show a delivery with its event and attempts
    #[command(after_help = "Example:\n  hookmill delivery show dlv_2f0c…")]
    Show {
        /// Its id
        id: String,
    },
    /// Run the plugin again in the version that ran then, and prove that the request came from it
    #[command(
        after_help = "Example:\n  hookmill delivery verify dlv_2f0c…\n\nExit code 0: proven; 1: something differs, and is shown."
    )]
    Verify {
        /// Its id
        id: String,
    },
    /// Send a delivery again, or all that a filter finds
    #[command(
        after_help = "Examples:\n  hookmill delivery redeliver dlv_2f0c…\n  hookmill delivery redeliver --state dead --webhook invoice --dry-run"
    )]
    Redeliver {
        /// Its id; instead of a filter
        id: Option<String>,
        #[command(flatten)]
        filter: Filter,
        /// What to send
        #[arg(long, value_enum, default_value_t)]
        mode: Mode,
        /// Count only
        #[arg(long)]
        dry_run: bool,
        /// With a filter: do not wait, the server goes on by itself
        #[arg(long)]
        detach: bool,
    },
    /// Show how far replays are: what `redeliver` with a filter began
    #[command(
        after_help = "Examples:\n  hookmill delivery replays\n  hookmill delivery replays rpl_019c… --cancel\n\nWhat was handed over before it is cancelled goes out all the same."
    )]
    Replays {
        /// Watch this one until it is over
        id: Option<String>,
        /// Cancel what it has not handed over yet
        #[arg(long, requires = "id")]
        cancel: bool,
    },
}

/// Which deliveries.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Filter {
    /// Of this webhook
    #[arg(long, value_name = "NAME")]
    pub(crate) webhook: Option<String>,
    /// In this state
    #[arg(long, value_name = "STATE", value_parser = ["pending", "delivered", "skipped", "parked", "dead"])]
    pub(crate) state: Option<String>,
    /// Of this event
    #[arg(long, value_name = "ID")]
    pub(crate) event_id: Option<String>,
    /// For documents of this DocType
    #[arg(long, value_name = "NAME")]
    pub(crate) doctype: Option<String>,
    /// For this document
    #[arg(long, value_name = "NAME")]
    pub(crate) document: Option<String>,
    /// Received since this moment, in RFC 3339: `2026-03-02T09:30:00Z`
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<Timestamp>,
    /// Received before this moment
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Timestamp>,
    /// Last answered with this status
    #[arg(long, value_parser = clap::value_parser!(u16).range(100..=599), value_name = "STATUS")]
    pub(crate) status: Option<u16>,
    /// With this text in document, request, answer or error
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
}

impl Filter {
    /// Returns what is given, as query parameters.
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let texts = [
            ("webhook", &self.webhook),
            ("state", &self.state),
            ("event_id", &self.event_id),
            ("doctype", &self.doctype),
            ("document", &self.document),
            ("text", &self.text),
        ];
        let times = [("since", self.since), ("until", self.until)];
        let mut pairs: Vec<_> = texts.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
        pairs.extend(times.into_iter().filter_map(|(name, time)| Some((name, time?.to_string()))));
        pairs.extend(self.status.map(|status| ("status", status.to_string())));
        pairs
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  hookmill tail --webhook invoice")]
pub(crate) struct Tail {
    /// Of this webhook only
    #[arg(long, value_name = "NAME")]
    pub(crate) webhook: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn check(command: &mut clap::Command, path: &str) {
        let help = command.render_long_help().to_string();
        assert!(help.contains("Example"), "`{path} --help` has no example:\n{help}");
        assert!(help.contains("--json"), "`{path} --help` does not tell of --json:\n{help}");
        for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help") {
            let path = format!("{path} {}", inner.get_name());
            check(inner, &path);
        }
    }

    #[test]
    fn every_command_has_help_with_an_example() {
        let mut command = Args::command();
        command.build();
        check(&mut command, "hookmill");
    }
}
