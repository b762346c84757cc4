//! What went wrong in a guest, in the words of its author.

use hookmill_core::Fault;
use wasmtime::{FrameInfo, PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::bindings::v1::hookmill::plugin::types::{Failure, Problem};
use crate::guest::GrowthRefused;
use crate::limits::PluginLimits;
use crate::lines::{SourceFrame, SourceLines};

/// Characters of a message that a guest may have chosen. It stands in each attempt and in the delivery's reason.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// Lines and characters of a backtrace, whose names the guest chose too.
const BACKTRACE_LINES_MAX: usize = 64;
const BACKTRACE_CHARS_MAX: usize = 16_000;

fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

/// Makes a fault without a backtrace.
pub(crate) fn fault(code: &str, message: impl AsRef<str>) -> Fault {
    Fault { code: code.into(), message: cut(message.as_ref(), MESSAGE_CHARS_MAX), backtrace: None }
}

/// Tells whether a fault is the host's own, so that the same call may go well another time.
pub fn is_the_hosts(fault: &Fault) -> bool {
    fault.code.starts_with("plugin_host_")
}

/// Explains why a call ended without an answer. `log` is what the guest wrote: a panic tells of itself there.
pub(crate) fn from_trap(error: &wasmtime::Error, log: &[String], limits: &PluginLimits, source: &SourceLines) -> Fault {
    let panic = log.iter().rev().find_map(|line| {
        let text = line.split_once(": ").map_or(line.as_str(), |(_, text)| text);
        text.contains("panicked at").then_some(text)
    });
    let (code, message) = if let Some(refused) = error.downcast_ref::<GrowthRefused>() {
        ("plugin_out_of_memory", refused.to_string())
    } else if error.is::<PoolConcurrencyLimitError>() {
        ("plugin_host_busy", format!("the host has no room for another instance now: {error}"))
    } else if let Some(exit) = error.downcast_ref::<I32Exit>() {
        ("plugin_exit", format!("the plugin ended itself with exit code {}", exit.0))
    } else {
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => (
                "plugin_out_of_fuel",
                format!("the plugin used all of its {} units of fuel without an answer", limits.fuel_max),
            ),
            Some(Trap::StackOverflow) => ("plugin_stack_overflow", "the plugin called itself too deep".into()),
            _ if panic.is_some() => ("plugin_panic", panic.unwrap_or_default().to_owned()),
            Some(Trap::MemoryOutOfBounds) => (
                "plugin_trap",
                "the plugin reached outside of its memory; in Rust and C this may be a stack overflow".into(),
            ),
            Some(trap) => ("plugin_trap", trap.to_string()),
            None => from_message(&error.root_cause().to_string(), error.downcast_ref::<WasmBacktrace>().is_some()),
        }
    };
    Fault { backtrace: backtrace(error, source), ..fault(code, message) }
}

/// Explains an error without a type. One that happened outside of the guest's frames happened while the host handed
/// data in or took the answer out, by what the guest said of its own memory.
fn from_message(message: &str, in_guest: bool) -> (&'static str, String) {
    // The engine has no types for these two.
    if message.contains("fuel allocated for hostcalls") {
        ("plugin_output_too_large", "the plugin handed more data to the host at once than it may".into())
    } else if message.contains("handle") && message.contains("limit")
        || message.contains("resource table has no free keys")
    {
        ("plugin_too_many_handles", "the plugin holds more handles than it may".into())
    } else if in_guest {
        ("plugin_trap", message.to_owned())
    } else {
        ("plugin_bad_answer", format!("the plugin handed the host what can't be: {message}"))
    }
}

fn backtrace(error: &wasmtime::Error, source: &SourceLines) -> Option<String> {
    let frames = error.downcast_ref::<WasmBacktrace>()?.frames();
    let lines: Vec<String> =
        frames.iter().flat_map(|frame| in_source(frame, source)).take(BACKTRACE_LINES_MAX).collect();
    (!lines.is_empty()).then(|| cut(&lines.join("\n"), BACKTRACE_CHARS_MAX))
}

/// Returns the lines of one frame: the functions that were inlined come before the one that they were inlined into.
fn in_source(frame: &FrameInfo, source: &SourceLines) -> Vec<String> {
    // Its path, which debug information cuts down to the last part.
    let name = frame.func_name().map_or_else(|| format!("function {}", frame.func_index()), demangled);
    let place = frame.module_offset().zip(frame.func_offset());
    let places = place.map_or_else(Vec::new, |(place, within)| source.at(place.saturating_sub(within), place));
    let inlined = places.len().saturating_sub(1);
    let line = |(depth, place): (usize, &SourceFrame<'_>)| {
        let name = place.name.filter(|_| depth < inlined).map_or_else(|| name.clone(), demangled);
        match (place.file, place.line) {
            (Some(file), Some(line)) => format!("{name} at {file}:{line}"),
            _ => name,
        }
    };
    if places.is_empty() { vec![name.clone()] } else { places.iter().enumerate().map(line).collect() }
}

fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// Carries a failure that the plugin itself reported.
pub(crate) fn from_failure(failure: Failure) -> Fault {
    let (kind, problem) = match failure {
        Failure::BadDocument(problem) => ("plugin_bad_document", problem),
        Failure::BadSettings(problem) => ("plugin_bad_settings", problem),
        Failure::Other(problem) => ("plugin_failed", problem),
    };
    let Problem { code, message, path } = problem;
    let place = path.map(|path| format!(" (at {path})")).unwrap_or_default();
    fault(kind, format!("{code}: {message}{place}"))
}
