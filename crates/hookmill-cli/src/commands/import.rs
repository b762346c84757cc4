//! `hookmill import`.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use console::Term;
use hookmill::core::frappe::{self, Doctypes, Imported, Options};
use hookmill::core::webhook::Profile;
use hookmill::{EngineError, Explain as _, Webhook};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::Client;
use crate::args::{Connection, FrappeProfile, Import};
use crate::commands::read;
use crate::exit_code::{FAILED, Failure, USAGE};
use crate::output::{Output, pretty, to_stderr};

pub(crate) async fn run(command: Import, connection: &Connection, output: &Output) -> anyhow::Result<ExitCode> {
    let Import::Frappe(asked) = command;
    let client = if asked.dry_run { None } else { Some(connection.client()?) };
    let doctypes: Option<Doctypes> = asked.doctypes.as_deref().map(json_of).transpose()?;
    let secrets: BTreeMap<String, String> = asked.secrets.as_deref().map(json_of).transpose()?.unwrap_or_default();
    let profile = match asked.profile {
        FrappeProfile::FrappeV15 => Profile::FrappeV15,
        FrappeProfile::FrappeNewest => Profile::FrappeNewest,
    };
    let (mut imported, mut refused) = (Vec::new(), Vec::new());
    for document in documents(&asked.files)? {
        let name = document["name"].as_str().unwrap_or_default().to_owned();
        let may_ask = !asked.dry_run && !output.is_json();
        let secret = match secrets.get(&name) {
            Some(secret) => Some(secret.clone()),
            None if may_ask && frappe::hides_its_secret(&document) => typed_secret(&name)?,
            None => None,
        };
        let options = Options { profile, doctypes: doctypes.as_ref(), secret: secret.as_deref() };
        match taken_over(&document, &options, client.as_ref()).await {
            Ok((found, webhook)) => imported.push(told(&found, webhook, output)),
            Err(failure) if failure.exit_code == FAILED => refused.push(refusal(&name, &failure, output)),
            Err(failure) => return Err(failure.into()),
        }
    }
    let failed = !refused.is_empty();
    if output.is_json() {
        output.line(json!({"imported": imported, "refused": refused}));
    } else {
        let (webhooks, are) = if imported.len() == 1 { ("webhook", "is") } else { ("webhooks", "are") };
        let done = if asked.dry_run { "can be taken over".to_owned() } else { format!("{are} saved") };
        output.line(format!("{} {webhooks} {done}, {} can't be", imported.len(), refused.len()));
    }
    Ok(if failed { FAILED.into() } else { ExitCode::SUCCESS })
}

/// Asks for a secret, without showing it, if somebody sits at a terminal.
fn typed_secret(name: &str) -> anyhow::Result<Option<String>> {
    let terminal = Term::stderr();
    if !terminal.is_term() || !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    to_stderr(&format!("the secret of {name} (nothing, and it is imported disabled):"));
    let secret = terminal.read_secure_line().context("the secret can't be read")?;
    Ok(Some(secret).filter(|secret| !secret.is_empty()))
}

fn json_of<T: DeserializeOwned>(file: &Path) -> anyhow::Result<T> {
    let unreadable = |error: serde_json::Error| {
        Failure::new(USAGE, "import_unreadable", format!("{} can't be read: {error}", file.display()))
    };
    Ok(serde_json::from_slice(&read(file)?).map_err(unreadable)?)
}

/// Reads the Webhook documents of all files.
fn documents(files: &[PathBuf]) -> anyhow::Result<Vec<Value>> {
    let mut found = Vec::new();
    for file in files {
        if !file.is_dir() {
            found.extend(frappe::documents(json_of(file)?));
            continue;
        }
        for path in json_files(file)? {
            found.extend(frappe::documents(json_of(&path)?));
        }
    }
    if found.is_empty() {
        let failure = Failure::new(USAGE, "import_empty", "there is no Webhook document in what was given");
        return Err(failure
            .help("export them with `bench export-fixtures`, or take /api/resource/Webhook/NAME")
            .into());
    }
    Ok(found)
}

/// Returns the .json files of a directory and of those in it, by name. Links are not followed, for they could lead in a ring.
fn json_files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut files, mut directories) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(directory) = directories.pop() {
        let unreadable = || format!("{} can't be read", directory.display());
        for entry in std::fs::read_dir(&directory).with_context(unreadable)? {
            let entry = entry.with_context(unreadable)?;
            let path = entry.path();
            if entry.file_type().with_context(unreadable)?.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Checks a document and saves what it becomes, if there is a server to save it.
async fn taken_over(
    document: &Value,
    options: &Options<'_>,
    client: Option<&Client>,
) -> Result<(Imported, Value), Failure> {
    let imported = frappe::import(document, options).map_err(|refused| {
        Failure::new(FAILED, "frappe_refuses", refused.message.trim().to_owned())
            .help(format!("Frappe does not save this either ({})", refused.exception))
    })?;
    let webhook = Webhook::parse(imported.webhook.to_string().as_bytes())
        .map_err(EngineError::from)
        .and_then(|webhook| hookmill::check_webhook(&imported.name, &webhook).map(|()| webhook))
        .map_err(|error| not_carried_over(&error))?;
    let Some(client) = client else {
        return Ok((imported, json!(webhook.masked())));
    };
    let path = Client::path(&["webhooks", &imported.name]);
    let saved = client.put(&path, "application/json", imported.webhook.to_string().into_bytes()).await?;
    Ok((imported, saved))
}

fn not_carried_over(error: &EngineError) -> Failure {
    let message = error.to_string();
    let suggestion = if message.starts_with("`condition`") {
        "write it with what docs/frappe.md lists, or take it out and let a plugin decide"
    } else if message.contains("asks the site") {
        "put the value into the document before the event is sent, or into a field of it"
    } else {
        "correct it in the file and import it again"
    };
    Failure::new(FAILED, error.code(), message).help(error.help().unwrap_or_else(|| suggestion.into()))
}

/// Prints what became of a webhook and returns it for programs.
fn told(imported: &Imported, webhook: Value, output: &Output) -> Value {
    let notes: Vec<Value> =
        imported.notes.iter().map(|note| json!({"field": note.field, "message": note.message})).collect();
    if !output.is_json() {
        output.heading(&imported.name);
        for note in &imported.notes {
            output.line(format!("  note: {} {}", note.field, note.message));
        }
        output.line(pretty(&webhook));
    }
    json!({"name": imported.name, "webhook": webhook, "notes": notes})
}

fn refusal(name: &str, failure: &Failure, output: &Output) -> Value {
    let help = failure.help.as_deref().unwrap_or_default();
    if !output.is_json() {
        output.heading(name);
        output.line(format!("  can't be taken over: {} [{}]\n  help: {help}", failure.message, failure.code));
    }
    json!({"name": name, "code": failure.code, "message": failure.message, "help": help})
}
