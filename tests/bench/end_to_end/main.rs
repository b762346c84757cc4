//! End to end, as an operator would measure it: events in over HTTP, through a plugin, POSTs received.
//!
//! Run with `cargo xtask bench`. Every figure stands beside that of a bare loop of the same HTTP client posting the
//! same bodies to the same receiver in the same run, for the machine may be busy with other things.

#![allow(clippy::panic, clippy::print_stdout, reason = "a bench tells its figures, and ends where it can't go on")]

mod frappe;
mod load;
mod neighbours;
mod receiver;
mod server;
mod uploads;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::load::{CONNECTIONS, Load, Way};
use crate::receiver::Receiver;
use crate::server::Server;

/// What the bench is told.
struct Options {
    /// Events of each measurement.
    events: usize,
    /// The server's program.
    hookmill: PathBuf,
    /// Where the built plugins are.
    plugins: PathBuf,
    /// Where the server's data directory is made. In memory, what a disk does by itself is out of the way.
    data: PathBuf,
    /// A Python that has what Frappe's worker sends with.
    python: PathBuf,
    scenario: String,
    /// The one kind of trouble that neighbours are measured beside; every kind without it.
    only: Option<String>,
}

impl Options {
    fn from_args() -> Self {
        let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target");
        let mut options = Self {
            events: 20_000,
            hookmill: target.join("release/hookmill"),
            plugins: target.join("plugins"),
            data: target,
            python: "python3".into(),
            scenario: "rate".into(),
            only: None,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().unwrap_or_else(|| panic!("{arg} needs a value"));
            match arg.as_str() {
                "--events" => options.events = value().parse().expect("a number of events"),
                "--hookmill" => options.hookmill = value().into(),
                "--plugins" => options.plugins = value().into(),
                "--data" => options.data = value().into(),
                "--only" => options.only = Some(value()),
                "--python" => options.python = value().into(),
                // Cargo adds this one.
                "--bench" => {}
                scenario => options.scenario = scenario.to_owned(),
            }
        }
        options
    }

    fn concerns(&self, kind: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == kind)
    }
}

#[tokio::main]
async fn main() {
    let options = Options::from_args();
    match options.scenario.as_str() {
        "rate" => rate(&options).await,
        "reload" => reload(&options).await,
        "frappe" => frappe::frappe(&options).await,
        "neighbours" => neighbours::neighbours(&options).await,
        "dead-receiver" => neighbours::dead_receiver(&options).await,
        "uploads" => uploads::uploads(&options).await,
        other => panic!(
            "there is no scenario {other:?}; there are `rate`, `reload`, `frappe`, `neighbours`, `dead-receiver` and \
             `uploads`"
        ),
    }
}

async fn rate(options: &Options) {
    let receiver = Receiver::start().await;
    let server = Server::start(options, &receiver).await;
    let load = Load::new(&server, &receiver);
    println!("warming up");
    load.publish(2_000, Way::Batches).await;
    let events = options.events;
    println!("{events} events for each line; {CONNECTIONS} connections; bodies of {} bytes\n", receiver.sample().len());
    println!("{:<34}{:>10}{:>10}{:>16}", "", "per second", "ratio", "CPU of hookmill");
    let one_by_one = load.bare_loop(events / 4, 1).await;
    println!("{:<34}{one_by_one:>10.0}", "bare client loop, one by one");
    let mut bare = load.bare_loop(events, CONNECTIONS).await;
    println!("{:<34}{bare:>10.0}{:>10}", "bare client loop", "1");
    for (name, way) in [("events in batches of 100 (NDJSON)", Way::Batches), ("one event a request", Way::Single)] {
        let cpu_before = server.cpu();
        let elapsed = load.publish(events, way).await;
        let cpu = server.cpu() - cpu_before;
        figures(name, events, elapsed, bare, cpu);
        bare = load.bare_loop(events, CONNECTIONS).await;
        println!("{:<34}{bare:>10.0}{:>10}", "bare client loop again", "1");
    }
    for per_second in [500, 2_000] {
        let (bare_p50, bare_p99) = load.bare_latency(per_second, Duration::from_secs(5)).await;
        let (p50, p99) = load.latency(per_second, Duration::from_secs(5)).await;
        println!(
            "\nat {per_second} events a second, from publishing to receiving: p50 {p50:.2?}, p99 {p99:.2?}; \
             a bare POST to the receiver: p50 {bare_p50:.2?}, p99 {bare_p99:.2?}"
        );
    }
    println!("\nreceived twice: {}", receiver.duplicates());
    server.stop().await;
}

/// Prints a rate beside another one, with the CPU time of an event.
fn figures(name: &str, events: usize, elapsed: Duration, beside: f64, cpu: Duration) {
    let rate = events as f64 / elapsed.as_secs_f64();
    println!("{name:<34}{rate:>10.0}{:>10.2}{:>13.0} µs", rate / beside, cpu.as_secs_f64() * 1e6 / events as f64);
}

/// All events at full speed while the plugin is replaced twenty times.
async fn reload(options: &Options) {
    const SWAPS: usize = 20;
    let receiver = Receiver::start().await;
    let server = Server::start(options, &receiver).await;
    let load = Load::new(&server, &receiver);
    let begun = Instant::now();
    let published = load.publish(options.events, Way::Batches);
    let swapped = async {
        let mut slowest = Duration::ZERO;
        for number in 0..SWAPS {
            // Spread over the run: after each twentieth part of the deliveries.
            let part = options.events * (number + 1) / (SWAPS + 1);
            receiver.wait_for(part).await;
            let swap = Instant::now();
            server
                .push(&options.plugins.join(if number % 2 == 0 {
                    "rust_slack_message.wasm"
                } else {
                    "rust_quotation_invoice.wasm"
                }))
                .await;
            slowest = slowest.max(swap.elapsed());
        }
        slowest
    };
    let (_, slowest) = tokio::join!(published, swapped);
    let elapsed = begun.elapsed();
    let counts = receiver.counts();
    println!("{} events published and {SWAPS} swaps made in {elapsed:.1?}; slowest swap {slowest:.1?}", options.events);
    println!("received: {} distinct, {} twice", counts.distinct, receiver.duplicates());
    println!(
        "by the first version: {}; by the second: {}; by neither whole: {}",
        counts.invoices, counts.messages, counts.broken
    );
    assert_eq!(
        (counts.distinct, receiver.duplicates(), counts.broken),
        (options.events, 0, 0),
        "an event was lost, sent twice or mixed"
    );
    server.stop().await;
}
