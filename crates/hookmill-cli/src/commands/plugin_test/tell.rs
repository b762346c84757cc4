//! Telling how fixtures went.

use hookmill::core::Digest;
use hookmill::plugin::Difference;
use serde_json::{Value, json};

use super::Outcome;
use crate::diff;
use crate::output::{Output, Span, group, inline};

/// Prints a fixture's line and, where it is not met, why.
pub(in crate::commands) fn outcome(outcome: &Outcome, output: &Output) {
    if output.is_json() {
        return;
    }
    let report = &outcome.report.report;
    let mark = if outcome.is_good() { "✓" } else { "✗" };
    let fuel = format!("  fuel {}", group(report.fuel));
    let note = if outcome.updated { "  (updated)" } else { "" };
    output.spans(&[
        Span::State(mark.into()),
        Span::Plain(format!(" {}", inline(&outcome.name))),
        Span::State(fuel),
        note.into(),
    ]);
    outcome.report.differences.iter().for_each(|difference| self::difference(difference, output));
    if outcome.is_good() {
        return;
    }
    if let Some(backtrace) = report.result.as_ref().err().and_then(|fault| fault.backtrace.as_ref()) {
        output.line("    backtrace");
        backtrace.lines().for_each(|frame| output.line(format!("      {}", inline(frame))));
    }
    if !report.log.is_empty() {
        output.line("    log");
        report.log.iter().for_each(|line| output.line(format!("      {}", inline(line))));
    }
}

fn difference(difference: &Difference, output: &Output) {
    let changes = match difference {
        Difference::Body { expected, actual } => diff::json(expected, actual),
        _ => None,
    };
    match (difference, changes) {
        (_, Some(changes)) => {
            output.line("    the body, expected → actual");
            changes.iter().for_each(|change| output.line(format!("      {}", inline(&change.line()))));
        }
        (Difference::Part { part, expected, actual }, None) if expected.contains('\n') || actual.contains('\n') => {
            output.line(format!("    {}, - expected, + actual", inline(part)));
            diff::lines(expected, actual).lines().for_each(|line| output.line(format!("      {}", inline(line))));
        }
        (other, None) => output.line(format!("    {}", inline(&other.to_string()))),
    }
}

/// Prints how many went well; in JSON, all of it.
pub(super) fn summary(outcomes: &[Outcome], version: &Digest, output: &Output) {
    let failed = outcomes.iter().filter(|outcome| !outcome.is_good()).count();
    let updated = outcomes.iter().filter(|outcome| outcome.updated).count();
    let passed = outcomes.len() - failed;
    if output.is_json() {
        let fixtures: Vec<Value> = outcomes.iter().map(as_json).collect();
        return output.line(json!({
            "digest": version, "passed": passed, "failed": failed, "updated": updated, "fixtures": fixtures,
        }));
    }
    let updated = if updated > 0 { format!(", {updated} of them updated") } else { String::new() };
    output.line(format!("{passed} passed{updated}, {failed} failed"));
}

/// Returns all of an outcome.
pub(in crate::commands) fn as_json(outcome: &Outcome) -> Value {
    let report = &outcome.report.report;
    let differences: Vec<Value> = outcome
        .report
        .differences
        .iter()
        .map(|difference| match difference {
            Difference::Body { expected, actual } => {
                json!({"message": difference.to_string(), "changes": diff::json(expected, actual)})
            }
            _ => json!({"message": difference.to_string()}),
        })
        .collect();
    json!({
        "name": outcome.name, "passed": outcome.is_good(), "updated": outcome.updated, "differences": differences,
        "fuel": report.fuel, "memory_bytes": report.memory, "log": report.log, "error": report.result.as_ref().err(),
    })
}
