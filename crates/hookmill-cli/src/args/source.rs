//! `hookmill source`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Source {
    /// Frappe's own Webhooks, as docs/frappe-source.md sets them up
    #[command(subcommand, after_help = "Example:\n  hookmill source frappe set secrets.json")]
    Frappe(FrappeSource),
}

#[derive(Debug, Subcommand)]
pub(crate) enum FrappeSource {
    /// Set the secrets that their requests may be signed with
    #[command(
        after_help = "Example:\n  echo \"{\\\"secrets\\\": [\\\"$(openssl rand -hex 32)\\\"]}\" > secrets.json\n  hookmill source frappe set secrets.json\n\nTo change a secret: {\"secrets\": [\"the new one\", {\"secret\": \"********\"}]}; the former one is taken for a day more."
    )]
    Set {
        /// A JSON file with the secrets, or - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Show what is set, secrets masked
    #[command(after_help = "Example:\n  hookmill source frappe show")]
    Show,
}
