//! The arguments of `hookmill plugin`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Language {
    /// Rust, typed
    Rust,
    /// JavaScript, with componentize-qjs from npm
    Javascript,
    /// TypeScript, with componentize-qjs from npm
    Typescript,
    /// Python, with componentize-py from PyPI
    Python,
    /// C, with zig cc
    C,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// Make a plugin project that builds and tests at once
    #[command(
        after_help = "Example:\n  hookmill plugin new my-plugin --lang rust && cd my-plugin && cargo test && hookmill plugin build"
    )]
    New {
        /// The plugin's name and directory
        name: String,
        /// The language
        #[arg(long, value_enum, default_value = "rust")]
        lang: Language,
    },
    /// Build a plugin project into a component with its manifest and its fixtures in it
    #[command(after_help = "Example:\n  hookmill plugin build . --out my-plugin.wasm")]
    Build {
        /// The project
        #[arg(default_value = ".", value_name = "DIR")]
        dir: PathBuf,
        /// Where to write the component [default: NAME.wasm in the project]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Check a component as the server would
    #[command(after_help = "Example:\n  hookmill plugin check my-plugin.wasm")]
    Check {
        /// The component
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Run a component on an event, with the server's own limits
    #[command(
        after_help = "Example:\n  hookmill plugin run my-plugin.wasm --event quotation.json --settings '{\"currency\": \"EUR\"}'\n\n\
        Exit code 0: it made a request or skipped the event; 4: it failed."
    )]
    Run {
        /// The component
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The event, or a fixture with one; - for standard input
        #[arg(long, value_name = "FILE")]
        event: PathBuf,
        /// The webhook's settings for the plugin [default: the fixture's, or {}]
        #[arg(long, value_name = "JSON")]
        settings: Option<String>,
        /// The URL of the draft that the plugin is given [default: the fixture's, or https://example.com/]
        #[arg(long = "request-url", value_name = "URL")]
        request_url: Option<String>,
    },
    /// Build a project and hold it against the fixtures in its tests directory
    #[command(
        after_help = "Examples:\n  hookmill plugin test\n  hookmill plugin test . --filter draft\n  hookmill plugin test --update\n\n\
        A fixture, tests/quotation.json:\n  \
        {\"event\": {\"doctype\": \"Quotation\", \"doc_event\": \"on_update\", \"doc\": {\"name\": \"QTN-1\"}},\n   \
        \"settings\": {},\n   \"expect\": {\"send\": {\"headers\": {\"x-site\": \"a\"}, \"body\": {\"id\": \"QTN-1\"}}}}\n\
        Instead of `send`, it expects {\"skip\": \"REASON\"} or {\"fail\": \"CODE\"}; without `expect`, only that the plugin decides.\n\n\
        Exit code 0: all are met, or now updated; 4: one is not."
    )]
    Test {
        /// The project; or a component, to be held against the fixtures that it brings along
        #[arg(default_value = ".", value_name = "DIR|FILE")]
        path: PathBuf,
        /// Write what came out as `expect` into each fixture that is not met or expects nothing yet
        #[arg(long)]
        update: bool,
        /// Only the fixtures with this text in their names
        #[arg(long, value_name = "TEXT")]
        filter: Option<String>,
    },
    /// Show what a component is made of: sections, imports, exports, manifest, fixtures, WIT, native size
    #[command(
        after_help = "Examples:\n  hookmill plugin inspect my-plugin.wasm\n  hookmill plugin inspect my-plugin.wasm --wit\n\n\
        Exit code 0: it is a plugin; 4: it is a component, and why it is no plugin is shown."
    )]
    Inspect {
        /// The component; or a project, which is built first
        #[arg(default_value = ".", value_name = "FILE|DIR")]
        path: PathBuf,
        /// Print its imports and exports as WIT, and nothing else
        #[arg(long)]
        wit: bool,
    },
    /// Measure what a call costs: time, fuel, memory; and say what to do about it
    #[command(
        after_help = "Examples:\n  hookmill plugin bench\n  hookmill plugin bench my-plugin.wasm --event quotation.json --calls 5000"
    )]
    Bench {
        /// The component; or a project, which is built first
        #[arg(default_value = ".", value_name = "FILE|DIR")]
        path: PathBuf,
        /// The event, or a fixture with one; - for standard input [default: its first fixture]
        #[arg(long, value_name = "FILE")]
        event: Option<PathBuf>,
        /// How often to call it, for at most 10 s
        #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
        calls: usize,
    },
    /// Watch a project: with every change build, test, push, replay the last event, and show what differs
    #[command(after_help = "Example:\n  hookmill plugin dev invoice\n\n\
        The last event that a webhook with this plugin matched is worked out before and after; nothing is sent.\n\
        Without a server, it builds and tests only. Ctrl-C ends it.")]
    Dev {
        /// The project
        #[arg(default_value = ".", value_name = "DIR")]
        dir: PathBuf,
    },
    /// Upload a component; from the next event on, it runs
    #[command(after_help = "Example:\n  hookmill plugin push my-plugin.wasm --name invoice")]
    Push {
        /// The component
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The plugin's name; else that of its manifest, else the file's stem
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Upload only; `plugin activate` makes it run
        #[arg(long)]
        stage: bool,
    },
    /// List all plugins with their versions
    #[command(after_help = "Example:\n  hookmill plugin list")]
    List,
    /// Show one plugin: its versions, how a canary fares, and what became of uploads
    #[command(after_help = "Example:\n  hookmill plugin show invoice")]
    Show {
        /// The plugin
        name: String,
    },
    /// Make a version the active one
    #[command(
        after_help = "Examples:\n  hookmill plugin activate invoice 3f2a9c41\n  hookmill plugin activate invoice 3f2a9c41 --if-unchanged --release-parked"
    )]
    Activate {
        /// The plugin
        name: String,
        /// The version's digest, or so much of its beginning that no other begins alike
        digest: String,
        /// Refuse if it would change what is sent for the last recorded events
        #[arg(long)]
        if_unchanged: bool,
        /// How many events that are
        #[arg(long, default_value_t = 100, value_name = "N", requires = "if_unchanged")]
        last: usize,
        /// Make the deliveries again that the plugin parked
        #[arg(long)]
        release_parked: bool,
    },
    /// Say what another version would change for the last recorded events; nothing is sent
    #[command(after_help = "Example:\n  hookmill plugin diff invoice 3f2a9c41 --last 50")]
    Diff {
        /// The plugin
        name: String,
        /// The version's digest, or so much of its beginning that no other begins alike
        digest: String,
        /// How many events to compare on
        #[arg(long, default_value_t = 100, value_name = "N")]
        last: usize,
    },
    /// Try a version out on a share of the events; it is taken back by itself if it does worse
    #[command(
        after_help = "Examples:\n  hookmill plugin canary invoice 3f2a9c41 --share 0.1\n  hookmill plugin canary invoice --end"
    )]
    Canary {
        /// The plugin
        name: String,
        /// The version's digest, or so much of its beginning that no other begins alike
        #[arg(required_unless_present = "end")]
        digest: Option<String>,
        /// The share of events that it takes, more than 0 and at most 1
        #[arg(long, default_value_t = 0.1, value_name = "SHARE")]
        share: f64,
        /// End the trial: the active version takes all events again
        #[arg(long, conflicts_with = "digest")]
        end: bool,
    },
    /// Go back to the version that was active before
    #[command(after_help = "Example:\n  hookmill plugin rollback invoice --release-parked")]
    Rollback {
        /// The plugin
        name: String,
        /// Make the deliveries again that the plugin parked
        #[arg(long)]
        release_parked: bool,
    },
}
