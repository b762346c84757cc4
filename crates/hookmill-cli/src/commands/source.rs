//! `hookmill source`.

use std::process::ExitCode;

use serde_json::Value;

use crate::api::Client;
use crate::args::{FrappeSource, Source};
use crate::commands::read;
use crate::output::{Output, field};

pub(crate) async fn run(command: Source, client: &Client, output: &Output) -> anyhow::Result<ExitCode> {
    let Source::Frappe(command) = command;
    let path = Client::path(&["sources", "frappe"]);
    let answer = match command {
        FrappeSource::Set { file } => client.put(&path, "application/json", read(&file)?).await?,
        FrappeSource::Show => client.get(&path, &[]).await?,
    };
    output.answer(&answer, || told(&answer));
    Ok(ExitCode::SUCCESS)
}

/// Says how many secrets there are, and until when those are taken that end.
fn told(answer: &Value) -> String {
    let secrets = answer["secrets"].as_array().map(Vec::as_slice).unwrap_or_default();
    if secrets.is_empty() {
        return "no secret is set, so requests need the token; set one with `hookmill source frappe set FILE`".into();
    }
    let ends = secrets.iter().filter(|secret| secret.is_object()).map(|secret| field(secret, "until"));
    let ends: String = ends.map(|until| format!(", one of them until {until}")).collect();
    let count = if secrets.len() == 1 { "1 secret is".into() } else { format!("{} secrets are", secrets.len()) };
    format!("{count} set{ends}")
}
