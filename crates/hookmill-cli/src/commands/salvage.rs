//! `hookmill salvage`.

use std::process::ExitCode;

use hookmill::{Counted, Salvaged};
use serde_json::{Value, json};

use crate::args::Salvage;
use crate::exit_code::{FAILED, Failure};
use crate::output::Output;

/// The name of the store's file.
const STORE_FILE: &str = "hookmill.db";

pub(crate) async fn run(options: Salvage, output: &Output) -> anyhow::Result<ExitCode> {
    let Salvage { data, to } = options;
    if !data.join(STORE_FILE).exists() {
        let message = format!("{} has no {STORE_FILE}", data.display());
        return Err(Failure::new(FAILED, "no_data", message).help("give the data directory with --data").into());
    }
    if to.join(STORE_FILE).exists() {
        let message = format!("{} has a {STORE_FILE} already", to.display());
        return Err(Failure::new(FAILED, "already_there", message).help("give a new directory with --to").into());
    }
    let shown = to.display().to_string();
    // Reads and writes whole files, which no async thread should wait for.
    let salvaged = tokio::task::spawn_blocking(move || hookmill::salvage(&data, &to)).await?;
    let Salvaged { events, deliveries, attempts, config, blobs, .. } =
        salvaged.map_err(|error| Failure::explained(FAILED, &error))?;
    let counts =
        [("events", events), ("deliveries", deliveries), ("attempts", attempts), ("config", config), ("blobs", blobs)];
    let json: serde_json::Map<String, Value> = counts
        .iter()
        .map(|(name, Counted { read, lost, .. })| ((*name).to_owned(), json!({"read": read, "lost": lost})))
        .collect();
    output.answer(&json, || {
        let line = |(name, Counted { read, lost, .. }): &(&str, Counted)| {
            format!("{name}: {read} read, {lost} known to be lost\n")
        };
        let lines: String = counts.iter().map(line).collect();
        format!("{lines}the new data directory is {shown}; the old one is as it was")
    });
    Ok(ExitCode::SUCCESS)
}
