//! `hookmill plugin run`: the server's own host and limits, on a file.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use hookmill::core::{DeliveryId, EventId, JsonText, Request, WebhookName};
use hookmill::plugin::{
    Compiler, Decision, Grants, LoadPluginError, Plugin, PluginHost, PluginHostConfig, PluginLimits, Transform,
    TransformReport,
};
use hookmill::{EventEnvelope, SystemClock, TenantId};
use serde_json::json;

use super::plugin::{BODY_MAX, read_component, refused};
use super::webhook::print_request;
use crate::commands::read;
use crate::exit_code::{FAILED, Failure, PLUGIN, USAGE};
use crate::output::{Output, Span, bytes, inline};

/// A guest's own megabyte of stack, and what the host needs.
const STACK_BYTES: usize = 8 << 20;

pub(crate) fn run(file: &Path, event: &Path, settings: &str, url: &str, output: &Output) -> anyhow::Result<ExitCode> {
    let (wasm, _) = read_component(file)?;
    let settings = JsonText::parse(settings).ok().filter(JsonText::is_object).ok_or_else(|| {
        Failure::new(USAGE, "bad_settings", "the settings are no JSON object")
            .help("write --settings '{\"key\": \"value\"}'")
    })?;
    let tenant = TenantId::default_tenant();
    let now = hookmill::core::ports::Clock::now(&SystemClock);
    let event = EventEnvelope::parse(&read(event)?)
        .and_then(|envelope| envelope.into_event(&tenant, now, || EventId::new("plugin-run").expect("a valid id")))
        .map_err(|error| Failure::explained(FAILED, &error))?;
    let spinner = output.spinner("compiling".into());
    let loaded = load(&wasm);
    spinner.finish_and_clear();
    let plugin = loaded?.map_err(|error| refused(file, &error))?;
    let draft = Request { method: "POST".into(), url: url.to_owned(), headers: vec![], body: vec![] };
    let delivery = DeliveryId::of(&tenant, &event.id, &WebhookName::new("plugin-run").expect("a valid name"));
    let doc_bytes = event.doc.as_str().len();
    let limits = *plugin.limits();
    let run = move || {
        plugin.transform(&Transform {
            event: &event,
            draft: &draft,
            draft_has_body: false,
            settings: &settings,
            delivery: &delivery,
            grants: Grants::default(),
        })
    };
    let report = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(run)
        .context("a thread for the plugin can't be started")?
        .join()
        .map_err(|_| {
            Failure::new(FAILED, "plugin_host_panic", "the host failed while it ran the plugin; please report this")
        })?;
    print(&report, doc_bytes, &limits, output);
    Ok(if report.result.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(PLUGIN) })
}

/// Loads a component as the server does, but in this process: the file is the user's own.
pub(crate) fn load(wasm: &[u8]) -> anyhow::Result<Result<Plugin, LoadPluginError>> {
    let cache = tempfile::tempdir().context("a directory for the compiled plugin can't be made")?;
    let host = PluginHost::new(PluginHostConfig {
        cache_dir: cache.path().to_owned(),
        limits: PluginLimits::default(),
        compiler: Compiler::InProcess,
        concurrency: 1,
    })
    .map_err(|error| Failure::explained(FAILED, &error))?;
    Ok(host.load(wasm))
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

/// Writes a number with a space between thousands.
fn group(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
