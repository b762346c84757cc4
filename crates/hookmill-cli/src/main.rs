//! The binary `hookmill`: reads arguments, files and the environment, and holds no rules.

mod allocator;
mod api;
mod args;
mod commands;
mod exit_code;
mod output;
mod receiver;
mod templates;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::args::{Args, Command};
use crate::output::Output;

/// The hidden first argument that makes this program the compiler's child process.
pub(crate) const COMPILE_WORKER: &str = "compile-worker";

fn main() -> ExitCode {
    let mut raw: Vec<OsString> = std::env::args_os().skip(1).collect();
    if raw.first().is_some_and(|first| first == COMPILE_WORKER) {
        return hookmill::plugin::compile_worker(&raw.split_off(1)).into();
    }
    allocator::keep_freed_memory();
    let args = Args::parse();
    start_log(&args);
    let output = Output::new(args.json);
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(args, &output)));
    match result {
        Ok(code) => code,
        Err(error) => {
            output.error(&error);
            exit_code::of(&error)
        }
    }
}

async fn run(args: Args, output: &Output) -> anyhow::Result<ExitCode> {
    let connection = args.connection;
    match args.command {
        Command::Serve(serve) => commands::serve::run(serve, connection.token).await,
        Command::Demo(demo) => commands::demo::run(demo, output).await,
        Command::Receiver(options) => commands::receiver::run(options, output).await,
        Command::Event(command) => commands::event::run(command, &connection.client()?, output).await,
        Command::Webhook(command) => commands::webhook::run(command, &connection.client()?, output).await,
        Command::Plugin(command) => commands::plugin::run(command, &connection, output).await,
        Command::Delivery(command) => commands::delivery::run(command, &connection.client()?, output).await,
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
