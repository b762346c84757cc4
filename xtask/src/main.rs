//! Every chore of the workspace, as `cargo xtask <chore>`. It needs no shell, and installs what it can itself.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "telling what happens is what a chore does here")]

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod bench;
mod check;
mod demo;
mod layers;
mod plugins;
mod process;
mod test;
mod tidy;
mod toolchains;
mod workspace;

use workspace::Workspace;

/// Every chore of the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Show the whole walk: server, receiver, webhook, event, plugin, hot reload.
    ///
    /// Example: cargo xtask demo --once
    Demo {
        /// Passed on to `hookmill demo`; `--once` ends it after the walk.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Build the plugins and run every test.
    ///
    /// Example: cargo xtask test -p hookmill-core
    Test {
        /// Passed on to `cargo test`, in place of `--workspace` if they choose packages.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure events in, plugin, POST received, beside a bare client loop or Frappe's own worker; in release.
    ///
    /// Example: cargo xtask bench reload --events 100000
    Bench {
        /// `rate` (default), `reload`, `frappe`, `neighbours`, `dead-receiver` or `uploads`, and `--events N`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Check format, lints, layers and tidiness.
    Check,
    /// Build the example plugins and the tests' guests into components.
    Plugins,
    /// Check that crates depend on each other only as drawn.
    Layers,
    /// Check the rules that no compiler knows.
    Tidy,
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match chore {
        Chore::Demo { arguments } => return demo::demo(&workspace, &arguments),
        Chore::Test { arguments } => test::test(&workspace, &arguments)?,
        Chore::Bench { arguments } => bench::bench(&workspace, &arguments)?,
        Chore::Check => check::check(&workspace)?,
        Chore::Plugins => plugins::build(&workspace)?,
        Chore::Layers => layers::check(&workspace)?,
        Chore::Tidy => tidy::check(&workspace)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs one step of a chore, saying what it is and how long it took.
fn step(name: &str, run: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("→ {name}");
    let start = Instant::now();
    run()?;
    println!("✓ {name} ({:.1} s)", start.elapsed().as_secs_f64());
    Ok(())
}
