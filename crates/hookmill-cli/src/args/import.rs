//! What `hookmill import` takes.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// Take over Frappe's webhooks: fixtures, an export, or what its REST API answers
    #[command(
        after_help = "Examples:\n  hookmill import frappe fixtures/webhook.json --dry-run\n  hookmill import frappe exported/ --secrets secrets.json\n\n\
        A file holds one Webhook document, a list of them, or {\"data\": [...]}. Frappe masks the secrets in it; --secrets names\n\
        a file with {\"name of the webhook\": \"secret\"}. Without it, a terminal is asked; a webhook whose secret nobody gives is saved\n\
        disabled."
    )]
    Frappe(FromFrappe),
}

#[derive(Debug, clap::Args)]
pub(crate) struct FromFrappe {
    /// Files, directories with .json files at any depth, or - for standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Whose bytes receivers are to get
    #[arg(long, value_enum, default_value_t, value_name = "PROFILE")]
    pub(crate) profile: FrappeProfile,
    /// Print the webhooks and save none; no server is asked
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// A JSON file with secrets in plain text, by the name of the webhook
    #[arg(long, value_name = "FILE")]
    pub(crate) secrets: Option<PathBuf>,
    /// A JSON file that tells of each DocType whether it is submittable: {"Quotation": {"is_submittable": 1}}
    #[arg(long, value_name = "FILE")]
    pub(crate) doctypes: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum FrappeProfile {
    /// Frappe up to version 15
    #[default]
    FrappeV15,
    /// Frappe since it sorts the keys of a body
    FrappeNewest,
}
