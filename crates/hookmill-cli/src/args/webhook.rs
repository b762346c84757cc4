//! `hookmill webhook`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Webhook {
    /// Save a webhook from a JSON file, new or changed
    #[command(after_help = "Example:\n  hookmill webhook apply invoice.json --name invoice\n\nA webhook:\n  \
        {\"doctype\": \"Quotation\", \"doc_event\": \"on_update\", \"request_url\": \"https://example.com/in\",\n   \
        \"enabled\": true, \"condition\": \"doc.grand_total > 1000\", \"dynamic_url\": false, \"request_method\": \"POST\",\n   \
        \"request_structure\": \"json\", \"headers\": [{\"key\": \"X-Api-Key\", \"value\": \"…\"}],\n   \
        \"data\": [{\"fieldname\": \"name\", \"key\": \"id\"}], \"json_template\": null,\n   \
        \"plugin\": {\"name\": \"invoice\", \"digest\": null, \"settings\": {}, \"on_error\": \"park\"},\n   \
        \"secrets\": [\"whsec_…\"], \"profile\": \"hookmill\", \"retry\": {\"preset\": \"default\"}, \"timeout_ms\": 15000,\n   \
        \"ordering\": \"none\", \"rate_limit\": null, \"coalesce_ms\": 0}\nThe first three fields are needed. For signing, auth and envelope see docs/delivery.md.")]
    Apply {
        /// The file, or - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Its name; else `name` in the file, else the file's stem
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// List all webhooks
    #[command(after_help = "Example:\n  hookmill webhook list")]
    List,
    /// Show one webhook
    #[command(after_help = "Example:\n  hookmill webhook show invoice")]
    Show {
        /// Its name
        name: String,
    },
    /// Remove a webhook
    #[command(after_help = "Example:\n  hookmill webhook delete invoice")]
    Delete {
        /// Its name
        name: String,
    },
    /// Show what a webhook would send for an event; nothing is sent
    #[command(
        after_help = "Examples:\n  hookmill webhook preview invoice --event quotation.json\n  hookmill webhook preview --file invoice.json --delivery dlv_2f0c…"
    )]
    Preview {
        /// Its name
        #[arg(required_unless_present = "file", conflicts_with = "file")]
        name: Option<String>,
        /// A webhook that need not be saved, in place of a name
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        event: TriedEvent,
    },
    /// Send what a webhook makes of an event to its receiver, once and now, and show what comes back
    #[command(
        after_help = "Example:\n  hookmill webhook test invoice --event quotation.json\n\nNothing is recorded or tried again. Exit code 0: it would have been delivered, or nothing was to be sent."
    )]
    Test {
        /// Its name
        name: String,
        #[command(flatten)]
        event: TriedEvent,
    },
}

/// For which event a webhook is tried out.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct TriedEvent {
    /// The event, or a fixture with one; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) event: Option<PathBuf>,
    /// The recorded event with this id
    #[arg(long, value_name = "ID")]
    pub(crate) event_id: Option<String>,
    /// The event of this delivery
    #[arg(long, value_name = "ID")]
    pub(crate) delivery: Option<String>,
}
