//! `hookmill plugin run`: the server's own host and limits, on a file.

use std::path::Path;
use std::process::ExitCode;

use hookmill::SystemClock;
use hookmill::core::JsonText;
use hookmill::core::ports::Clock as _;
use hookmill::plugin::{Decision, PluginLimits, TransformReport};
use serde_json::json;

use super::plugin::{BODY_MAX, refused};
use super::plugin_host::{load, on_guest_thread};
use super::plugin_project::{Subject, read_case};
use super::webhook::print_request;
use crate::commands::read;
use crate::exit_code::{Failure, PLUGIN, USAGE};
use crate::output::{Output, Span, bytes, group, inline};

/// The URL of the draft, where nobody gives one.
const DRAFT_URL: &str = "https://example.com/";

pub(crate) fn run(
    file: &Path,
    event: &Path,
    settings: Option<&str>,
    url: Option<String>,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    // Without its fixtures: one that does not meet them is the one to be looked into.
    let wasm = Subject::read(file)?.plain;
    let mut case = read_case(&read(event)?)?;
    if let Some(settings) = settings {
        case.settings = JsonText::parse(settings).ok().filter(JsonText::is_object).ok_or_else(|| {
            Failure::new(USAGE, "bad_settings", "the settings are no JSON object")
                .help("write --settings '{\"key\": \"value\"}'")
        })?;
    }
    case.draft.url = url.or(case.draft.url).or_else(|| Some(DRAFT_URL.into()));
    let case = case.prepare(SystemClock.now()).map_err(|error| Failure::explained(USAGE, &error))?;
    let spinner = output.spinner("compiling".into());
    let loaded = load(&wasm);
    spinner.finish_and_clear();
    let plugin = loaded?.map_err(|error| refused(file, &error))?;
    let report = on_guest_thread(|| plugin.transform(&case.transform()))?;
    print(&report, case.event.doc.as_str().len(), plugin.limits(), output);
    Ok(if report.result.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(PLUGIN) })
}

fn print(report: &TransformReport, doc_bytes: usize, limits: &PluginLimits, output: &Output) {
    let body_bytes = match &report.result {
        Ok(Decision::Send(request)) => request.body.len() as u64,
        Ok(Decision::Skip(_)) | Err(_) => 0,
    };
    let log_bytes: usize = report.log.iter().map(String::len).sum();
    let answer = match &report.result {
        Ok(Decision::Send(request)) => json!({"decision": "send", "request": request}),
        Ok(Decision::Skip(reason)) => json!({"decision": "skip", "reason": reason}),
        Err(fault) => json!({"decision": "fail", "error": fault}),
    };
    if output.is_json() {
        let mut answer = answer;
        answer["log"] = json!(report.log);
        answer["usage"] = json!({
            "fuel": {"used": report.fuel, "max": limits.fuel_max},
            "memory_bytes": {"used": report.memory, "max": limits.memory_bytes_max},
            "document_bytes": {"used": doc_bytes, "max": hookmill::core::limits::DOC_BYTES_MAX},
            "body_bytes": {"used": body_bytes, "max": limits.body_bytes_max},
            "log_bytes": {"used": log_bytes, "max": limits.log_bytes_max},
        });
        return output.line(answer);
    }
    match &report.result {
        Ok(Decision::Send(request)) => {
            output.heading(&format!("{} {}", inline(&request.method), inline(&request.url)));
            print_request(&answer["request"], output);
        }
        Ok(Decision::Skip(reason)) => output.heading(&format!("skipped: {}", inline(reason))),
        Err(fault) => {
            output.heading(&format!("failed: {} [{}]", inline(&fault.message), fault.code));
            fault
                .backtrace
                .iter()
                .flat_map(|backtrace| backtrace.lines())
                .for_each(|frame| output.line(format!("    {}", inline(frame))));
        }
    }
    if report.log.is_empty() {
        output.line("log       (nothing)");
    } else {
        output.heading("log");
        report.log.iter().for_each(|line| output.line(format!("  {}", inline(line))));
    }
    let usage = [
        ("fuel", group(report.fuel), group(limits.fuel_max), report.fuel as f64 / limits.fuel_max as f64),
        (
            "memory",
            bytes(report.memory),
            bytes(limits.memory_bytes_max as u64),
            report.memory as f64 / limits.memory_bytes_max as f64,
        ),
        (
            "document",
            bytes(doc_bytes as u64),
            bytes(hookmill::core::limits::DOC_BYTES_MAX as u64),
            doc_bytes as f64 / hookmill::core::limits::DOC_BYTES_MAX as f64,
        ),
        ("body", bytes(body_bytes), bytes(BODY_MAX), body_bytes as f64 / BODY_MAX as f64),
        (
            "log",
            bytes(log_bytes as u64),
            bytes(limits.log_bytes_max as u64),
            log_bytes as f64 / limits.log_bytes_max as f64,
        ),
    ];
    let rows: Vec<[Span; 4]> = usage
        .into_iter()
        .map(|(what, used, max, share)| {
            [what.into(), used.into(), max.into(), format!("{:.2} %", share * 100.0).into()]
        })
        .collect();
    output.table(["", "USED", "LIMIT", "SHARE"], rows);
}
