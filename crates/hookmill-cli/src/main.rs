//! The binary `hookmill`: reads arguments, files and the environment, and holds no rules.

mod allocator;
mod api;
mod args;
mod commands;
mod diff;
mod exit_code;
mod output;
mod receiver;
mod templates;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::args::{Args, Command};
use crate::exit_code::{Failure, USAGE};
use crate::output::Output;

/// The hidden first argument that makes this program the compiler's child process.
pub(crate) const COMPILE_WORKER: &str = "compile-worker";

fn main() -> ExitCode {
    let mut raw: Vec<OsString> = std::env::args_os().skip(1).collect();
    if raw.first().is_some_and(|first| first == COMPILE_WORKER) {
        let code = hookmill::plugin::compile_worker(&raw.split_off(1));
        // The kernel takes it all at once when the process ends, and holds the core for milliseconds.
        allocator::hand_back_memory();
        return code.into();
    }
    allocator::keep_freed_memory();
    #[cfg(target_os = "linux")]
    allocator::take_memory_in_small_pages();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return misused(&error, raw.iter().any(|word| word == "--json")),
    };
    start_log(&args);
    let output = Output::new(args.json, columns());
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run_for_reader(args, &output)));
    match result {
        Ok(code) => code,
        Err(error) => {
            output.error(&error);
            exit_code::of(&error)
        }
    }
}

/// Prints why a command line can't be understood, or the help that it asks for.
fn misused(error: &clap::Error, json: bool) -> ExitCode {
    if error.use_stderr() && json {
        let text = error.to_string();
        let (cause, usage) = text.split_once("\n\n").unwrap_or((&text, ""));
        let failure = Failure::new(USAGE, "wrong_usage", cause.trim_start_matches("error: ").trim());
        Output::new(true, None).error(&failure.help(usage.trim()).into());
        return USAGE.into();
    }
    // Nobody may read it any more.
    let _closed = error.print().is_err();
    if error.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS }
}

/// Returns the width to assume where the output goes to no screen.
#[allow(clippy::disallowed_methods, reason = "the environment is read here")]
fn columns() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok()
}

/// Runs a command; one that would go on for ever ends when nobody reads what it prints.
async fn run_for_reader(args: Args, output: &Output) -> anyhow::Result<ExitCode> {
    let for_its_reader = matches!(
        args.command,
        Command::Tail(_) | Command::Receiver(_) | Command::Demo(_) | Command::Plugin(args::Plugin::Dev { .. })
    );
    tokio::select! {
        ended = run(args, output) => ended,
        () = output.closed(), if for_its_reader => Ok(ExitCode::SUCCESS),
    }
}

async fn run(args: Args, output: &Output) -> anyhow::Result<ExitCode> {
    let connection = args.connection;
    match args.command {
        Command::Serve(serve) => commands::serve::run(serve, connection.token, output).await,
        Command::Demo(demo) => commands::demo::run(demo, output).await,
        Command::Receiver(options) => commands::receiver::run(options, output).await,
        Command::Event(command) => commands::event::run(command, &connection.client()?, output).await,
        Command::Webhook(command) => commands::webhook::run(command, &connection.client()?, output).await,
        Command::Plugin(command) => commands::plugin::run(command, &connection, output).await,
        Command::Delivery(command) => commands::delivery::run(command, &connection.client()?, output).await,
        Command::Import(command) => commands::import::run(command, &connection, output).await,
        Command::Source(command) => commands::source::run(command, &connection.client()?, output).await,
        Command::Salvage(options) => commands::salvage::run(options, output).await,
        Command::Tail(options) => commands::tail::run(options, &connection.client()?, output).await,
    }
}

/// Logs to stderr: a server what it does, a command only what goes wrong.
fn start_log(args: &Args) {
    let default = if matches!(args.command, Command::Serve(_)) { "info" } else { "error" };
    let filter = args.log.as_deref().unwrap_or(default);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(default)))
        .with_writer(std::io::stderr)
        .with_target(false);
    if args.json {
        builder.json().init();
    } else {
        builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init();
    }
}
