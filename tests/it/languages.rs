//! The same plugin in five languages gives the same bytes, and what goes wrong in each reaches its author.

use std::sync::{LazyLock, Mutex, OnceLock};

use hookmill::core::{DeliveryId, Event, EventEnvelope, EventId, Fault, JsonText, Request};
use hookmill::plugin::{
    Compiler, Decision, Grants, Plugin, PluginHost, PluginHostConfig, PluginLimits, Transform, TransformReport,
};
use hookmill::{TenantId, WebhookName};
use hookmill_testing::{document, example_plugin, expected, guest};
use jiff::Timestamp;

const INVOICES: [&str; 5] = [
    "rust_quotation_invoice",
    "javascript_quotation_invoice",
    "typescript_quotation_invoice",
    "python_quotation_invoice",
    "c_quotation_invoice",
];

/// Loads a component once, however many tests ask for it: compiling the large ones takes seconds.
fn load(name: &'static str) -> Plugin {
    static DIR: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::TempDir::new().expect("a folder"));
    static HOST: OnceLock<PluginHost> = OnceLock::new();
    static LOADING: Mutex<()> = Mutex::new(());
    let host = HOST.get_or_init(|| {
        let (cache_dir, limits) = (DIR.path().into(), PluginLimits::default());
        PluginHost::new(PluginHostConfig { cache_dir, limits, compiler: Compiler::default(), concurrency: 8 })
            .expect("a host")
    });
    let _one_at_a_time = LOADING.lock();
    let wasm = if name.ends_with("misbehaving") { guest(name) } else { example_plugin(name) };
    host.load(&wasm).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn event(envelope: &str) -> Event {
    let id = || EventId::new("evt_1").expect("valid");
    let envelope = EventEnvelope::parse(envelope.as_bytes()).expect("an event");
    envelope.into_event(&TenantId::default_tenant(), Timestamp::UNIX_EPOCH, id).expect("an event")
}

fn run(plugin: &'static str, envelope: &str, settings: &str) -> TransformReport {
    let tenant = TenantId::default_tenant();
    let event = event(envelope);
    let delivery = DeliveryId::of(&tenant, &event.id, &WebhookName::new("w").expect("valid"));
    let draft = Request { method: "POST".into(), url: "https://example.com/in".into(), headers: vec![], body: vec![] };
    load(plugin).transform(&Transform {
        event: &event,
        draft: &draft,
        draft_has_body: false,
        settings: &JsonText::parse(settings).expect("JSON"),
        delivery: &delivery,
        grants: Grants::default(),
        signature_header: None,
    })
}

fn body(report: TransformReport) -> String {
    match report.result {
        Ok(Decision::Send(request)) => String::from_utf8(request.body).expect("UTF-8"),
        other => panic!("nothing was sent: {other:?}, log {:?}", report.log),
    }
}

fn fault(report: &TransformReport) -> &Fault {
    report.result.as_ref().expect_err("it fails")
}

/// Holds what every language makes of an event against what Rust makes of it.
fn same(what: &str, envelope: &str, settings: &str) -> String {
    let by_rust = body(run(INVOICES[0], envelope, settings));
    for plugin in INVOICES {
        assert_eq!(body(run(plugin, envelope, settings)), by_rust, "{plugin}: {what}");
    }
    by_rust
}

#[test]
fn all_languages_give_the_same_bytes() {
    let quotation = document("quotation-on-update");
    let invoice = same("the sample", &quotation, "{}");
    assert_eq!(invoice, String::from_utf8(expected("quotation-invoice")).expect("UTF-8"));

    let other = quotation
        .replace("\"currency\": \"INR\"", "\"currency\": null")
        .replace("\"valid_till\": \"2026-04-01\",", "")
        .replace("\"customer_name\": \"Café Beispiel\",", "")
        .replace("\"total_taxes_and_charges\": 225.0,", "\"total_taxes_and_charges\": null,");
    assert!(same("what may be missing", &other, r#"{"currency": "EUR"}"#).contains(r#""currency":"EUR""#));
    assert!(same("no settings", &other, "{}").contains(r#""tax":null"#));

    let numbers = quotation
        .replace("\"grand_total\": 1475.0", "\"grand_total\": 12345678901234567890.10")
        .replace("\"qty\": 5.0", "\"qty\": -0")
        .replace("\"net_rate\": 250.0", "\"net_rate\": 2.50E+2");
    let invoice = same("numbers keep their spelling", &numbers, "{}");
    for spelling in ["12345678901234567890.10", ":-0,", "2.50E+2"] {
        assert!(invoice.contains(spelling), "{spelling}: {invoice}");
    }
    let text = quotation.replace("Präzisionswaage 15 kg", r#"\u001f \"\\\/ \n\u2028 \ud83d\ude00 日本"#);
    assert!(same("escapes and scripts", &text, "{}").contains(r#""\u001f \"\\/ \n"#));
}

#[test]
fn a_component_exports_only_what_its_author_wrote() {
    for plugin in INVOICES {
        let loaded = load(plugin);
        assert!(!loaded.judges() && loaded.description().is_none(), "{plugin}");
    }
}

#[test]
fn all_languages_refuse_alike() {
    let quotation = document("quotation-on-update");
    let mismatch = quotation.replace("\"qty\": 5.0", "\"qty\": \"five\"");
    let empty = quotation.replace("\"items\": [", "\"items\": [], \"others\": [");
    let no_items =
        "no_items: the quotation SAL-QTN-2026-00001 has no items, so there is nothing to invoice (at /items)";
    for plugin in INVOICES {
        let check = |envelope: &str, settings: &str, code: &str, start: &str, end: &str| {
            let report = run(plugin, envelope, settings);
            let Fault { code: found, message, .. } = fault(&report);
            assert_eq!(found, code, "{plugin}: {message}");
            assert!(message.starts_with(start) && message.ends_with(end), "{plugin}: {message}");
        };
        check(&empty, "{}", "plugin_bad_document", no_items, "");
        check(&mismatch, "{}", "plugin_bad_document", "document_mismatch: ", "(at /items/0/qty)");
        check(&document("note-on-update"), "{}", "plugin_bad_document", "document_mismatch: ", "");
        check(&quotation, r#"{"currancy": 1}"#, "plugin_bad_settings", "settings_mismatch: ", "(at /currancy)");
        check(&quotation, r#"{"currency": 1}"#, "plugin_bad_settings", "settings_mismatch: ", "(at /currency)");
    }
}

#[test]
fn the_same_event_costs_the_same_fuel() {
    let quotation = document("quotation-on-update");
    for plugin in INVOICES {
        let first = run(plugin, &quotation, "{}");
        assert_eq!(run(plugin, &quotation, "{}"), first, "{plugin}");
        assert_eq!(first.log, ["info: invoice for SAL-QTN-2026-00001 over INR 1475.0"], "{plugin}");
    }
}

#[test]
fn skips_and_failures_keep_their_words() {
    for plugin in
        ["misbehaving", "javascript_misbehaving", "typescript_misbehaving", "python_misbehaving", "c_misbehaving"]
    {
        let note = document("note-on-update");
        assert_eq!(run(plugin, &note, r#"{"do":"skip"}"#).result, Ok(Decision::Skip("skipped on demand".into())));
        let report = run(plugin, &note, r#"{"do":"fail","kind":"bad-document"}"#);
        let Fault { code, message, .. } = fault(&report);
        let words = "failed_on_demand: failed on demand (at /items/0/qty)";
        assert_eq!((code.as_str(), message.as_str()), ("plugin_bad_document", words), "{plugin}");
    }
}

/// Checks that an uncaught error's message and stack are in the failure and in the log.
fn throws(plugin: &'static str, message: &str, stack: &[&str]) {
    let report = run(plugin, &document("note-on-update"), r#"{"do":"throw"}"#);
    let fault = fault(&report);
    assert_eq!(fault.code, "plugin_failed", "{fault:?}");
    assert!(fault.message.starts_with(&format!("uncaught_error: {message}")), "{}", fault.message);
    let log = report.log.join("\n");
    for part in stack.iter().chain([&message]) {
        assert!(fault.message.contains(part) && log.contains(part), "{part:?}: {} — {log}", fault.message);
    }
}

#[test]
fn an_error_in_javascript_reaches_the_author() {
    throws("javascript_misbehaving", "TypeError: ", &["at lookUp (", "javascript-misbehaving/src/plugin.js:2"]);
    let thrown = run("javascript_misbehaving", &document("note-on-update"), r#"{"do":"throw_a_string"}"#);
    assert_eq!(fault(&thrown).message, "uncaught_error: no error at all");
    let undecided = run("javascript_misbehaving", &document("note-on-update"), "{}");
    assert!(fault(&undecided).message.starts_with("no_decision: "), "{undecided:?}");
}

#[test]
fn an_error_in_typescript_reaches_the_author() {
    throws("typescript_misbehaving", "TypeError: ", &["at lookUp (", "typescript-misbehaving/build/src/plugin.js:"]);
}

#[test]
fn an_error_in_python_reaches_the_author() {
    throws(
        "python_misbehaving",
        "KeyError: 'nothing'",
        &["plugin.py\", line 40, in look_up", "return doc[\"nothing\"]"],
    );
    let chained = run("python_misbehaving", &document("note-on-update"), r#"{"do":"raise"}"#);
    let message = &fault(&chained).message;
    assert!(message.starts_with("uncaught_error: ValueError: not this one"), "{message}");
    assert!(message.contains("direct cause") && message.contains("KeyError: 'nothing'"), "{message}");
    let exited = run("python_misbehaving", &document("note-on-update"), r#"{"do":"exit"}"#);
    assert!(fault(&exited).message.starts_with("uncaught_error: SystemExit: 3"), "{exited:?}");
    for (what, start) in [
        ("clock", "not_granted: a plugin has no clock"),
        ("open", "not_granted: a plugin has no files"),
        ("import", "uncaught_error: ImportError: uuid is imported while the plugin runs"),
    ] {
        let denied = run("python_misbehaving", &document("note-on-update"), &format!(r#"{{"do":"{what}"}}"#));
        assert!(fault(&denied).message.starts_with(start), "{denied:?}");
    }
}

#[test]
fn a_trap_in_c_reaches_the_author() {
    let report = run("c_misbehaving", &document("note-on-update"), r#"{"do":"throw"}"#);
    assert_eq!(fault(&report).code, "plugin_trap");
    let frames = fault(&report).backtrace.as_deref().expect("a backtrace");
    assert!(frames.contains("look_up") && frames.contains("hookmill_transform"), "{frames}");
    assert!(report.log.iter().any(|line| line.starts_with("stdout: looking up ")), "{:?}", report.log);
    let report = run("c_misbehaving", &document("note-on-update"), r#"{"do":"assert"}"#);
    let log = report.log.join("\n");
    assert!(log.contains("stderr: Assertion failed: ") && log.contains("plugin.c"), "{log}");
    let undecided = run("c_misbehaving", &document("note-on-update"), "{}");
    assert!(fault(&undecided).message.starts_with("no_decision: "), "{undecided:?}");
}

#[test]
fn what_is_printed_is_logged() {
    for (plugin, lines) in [
        ("javascript_misbehaving", &["info: printed {\"a\":1}", "error: and an error"][..]),
        ("python_misbehaving", &["info: printed {'a': 1}", "error: and an error"]),
        ("c_misbehaving", &["stdout: printed"]),
    ] {
        let report = run(plugin, &document("note-on-update"), r#"{"do":"print"}"#);
        assert_eq!(report.log, lines, "{plugin}");
        let body = body(report);
        assert!(body.contains("\"meta\":\"Administrator\"") && body.contains("\"before\":{"), "{plugin}: {body}");
    }
}
