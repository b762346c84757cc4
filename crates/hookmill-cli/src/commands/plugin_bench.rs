//! `hookmill plugin bench`: what a call costs, in time, fuel and memory, and what to do about it.

mod advice;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hookmill::SystemClock;
use hookmill::core::ports::Clock as _;
use hookmill::plugin::{Decision, Fixture, Plugin, PreparedFixture, TransformReport};
use serde_json::json;

use self::advice::Measured;
use super::plugin::refused;
use super::plugin_host::{load, on_guest_thread};
use super::plugin_project::{Subject, read_case};
use crate::commands::read;
use crate::exit_code::{Failure, PLUGIN, USAGE};
use crate::output::{Output, Span, bytes, group, inline};

/// Calls before those that are counted: the first ones meet cold caches.
const CALLS_BEFORE: usize = 5;

/// A slow plugin is not called as often as it was asked for.
const TIME_MAX: Duration = Duration::from_secs(10);

/// The times of many calls, the shortest first.
#[derive(Debug, Default)]
struct Times(Vec<Duration>);

impl Times {
    /// Takes the time of `calls` calls, or of as many as fit into the time that there is for them.
    fn of<T>(calls: usize, mut call: impl FnMut() -> T) -> Self {
        for _ in 0..CALLS_BEFORE.min(calls) {
            call();
        }
        let all = Instant::now();
        let mut times = Vec::new();
        while times.len() < calls && (times.is_empty() || all.elapsed() < TIME_MAX) {
            let one = Instant::now();
            call();
            times.push(one.elapsed());
        }
        times.sort_unstable();
        Self(times)
    }

    /// Returns the time within which so many of a hundred calls were done.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }
}

pub(crate) fn run(path: &Path, event: Option<&Path>, calls: usize, output: &Output) -> anyhow::Result<ExitCode> {
    let subject = Subject::open(path)?;
    let (case, source) = case(&subject, event)?;
    let prepared = case.prepare(SystemClock.now()).map_err(|error| Failure::explained(USAGE, &error))?;
    if cfg!(debug_assertions) {
        output.warning(
            "debug_build",
            "this hookmill is a debug build: times are longer than in use; fuel and memory are the same",
            "build it with `cargo build --release`",
        );
    }
    let spinner = output.spinner("compiling".into());
    let loaded = load(&subject.plain);
    spinner.finish_and_clear();
    let plugin = loaded?.map_err(|error| refused(path, &error))?;
    let spinner = output.spinner(format!("calling it {calls} times"));
    let (report, times) = on_guest_thread(|| measure(&plugin, &prepared, calls))?;
    spinner.finish_and_clear();
    let measured = Measured {
        fresh: times.fresh.percentile(50),
        fresh_p99: times.fresh.percentile(99),
        start: times.start.percentile(50),
        warm: times.warm.percentile(50),
        is_warm: plugin.is_warm(),
        fuel: report.fuel,
        memory: report.memory,
        body_bytes: body_bytes(&report),
        limits: *plugin.limits(),
        wanted: plugin.inspection().manifest.as_ref().and_then(|manifest| manifest.limits).unwrap_or_default(),
    };
    if let Err(fault) = &report.result {
        let message = format!("the plugin fails on {source}: {}", inline(&fault.message));
        return Err(Failure::new(PLUGIN, fault.code.clone(), message)
            .help("give an event that it takes with --event; `hookmill plugin run` shows the log")
            .into());
    }
    let document_bytes = prepared.event.doc.as_str().len();
    print(&measured, &times, (&source, document_bytes), output);
    Ok(ExitCode::SUCCESS)
}

/// Returns what to call the plugin with: the event that is given, or its first fixture's.
fn case(subject: &Subject, event: Option<&Path>) -> anyhow::Result<(Fixture, String)> {
    if let Some(file) = event {
        return Ok((read_case(&read(file)?)?, file.display().to_string()));
    }
    let first = subject.fixtures.first().cloned().ok_or_else(|| {
        Failure::new(USAGE, "no_fixtures", "there is no event to call the plugin with: it has no fixtures")
            .help("give one with --event FILE")
    })?;
    let source = format!("the fixture {}", first.name);
    Ok((first, source))
}

/// The times of calls in fresh instances, of starting these, and of calls in an instance that is kept.
#[derive(Debug, Default)]
struct Measurements {
    fresh: Times,
    start: Times,
    warm: Times,
}

fn measure(plugin: &Plugin, case: &PreparedFixture, calls: usize) -> (TransformReport, Measurements) {
    let input = case.transform();
    let (fresh, warm) = (plugin.fresh(), plugin.warmed());
    let report = fresh.transform(&input);
    if report.result.is_err() {
        return (report, Measurements::default());
    }
    let times = Measurements {
        fresh: Times::of(calls, || fresh.transform(&input)),
        start: Times::of(calls, || fresh.check_start(case.event.occurred_at, input.delivery)),
        warm: Times::of(calls, || warm.transform(&input)),
    };
    (report, times)
}

fn body_bytes(report: &TransformReport) -> usize {
    match &report.result {
        Ok(Decision::Send(request)) => request.body.len(),
        Ok(Decision::Skip(_)) | Err(_) => 0,
    }
}

fn print(measured: &Measured, times: &Measurements, event: (&str, usize), output: &Output) {
    let (Measurements { fresh, start, warm }, (source, document_bytes)) = (times, event);
    let calls = fresh.0.len();
    let advice = measured.advice();
    let Measured { fuel, memory, body_bytes, limits, .. } = measured;
    if output.is_json() {
        let told = |times: &Times| {
            let micros = |percent| (times.percentile(percent).as_secs_f64() * 1e6 * 10.0).round() / 10.0;
            json!({"p50_us": micros(50), "p99_us": micros(99)})
        };
        return output.line(json!({
            "event": source, "calls": calls, "build": if cfg!(debug_assertions) { "debug" } else { "release" },
            "fresh": told(fresh), "start": told(start), "warm": told(warm),
            "fuel": {"used": fuel, "max": limits.fuel_max},
            "memory_bytes": {"used": memory, "max": limits.memory_bytes_max},
            "document_bytes": document_bytes, "body_bytes": body_bytes, "advice": advice,
        }));
    }
    output.heading(&format!("{calls} calls on {}", inline(source)));
    let row = |what: &str, times: &Times| -> [Span; 3] {
        [what.into(), time(times.percentile(50)).into(), time(times.percentile(99)).into()]
    };
    output.table(
        ["", "P50", "P99"],
        vec![
            row("a call in a fresh instance", fresh),
            row("of it, starting the instance", start),
            row("a call in one that is kept", warm),
        ],
    );
    output.line(format!("fuel      {} of {}", group(*fuel), group(limits.fuel_max)));
    output.line(format!("memory    {} of {}", bytes(*memory), bytes(limits.memory_bytes_max as u64)));
    output.line(format!("document  {} in, body {} out", bytes(document_bytes as u64), bytes(*body_bytes as u64)));
    advice.iter().for_each(|sentence| output.line(format!("→ {sentence}")));
}

/// Writes a time with three digits.
fn time(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..10.0 => format!("{micros:.2} µs"),
        ..100.0 => format!("{micros:.1} µs"),
        ..1_000.0 => format!("{micros:.0} µs"),
        ..10_000.0 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.1} ms", micros / 1e3),
    }
}
