//! A guest that misbehaves is held, told why, and leaves nothing behind.

use std::path::Path;
use std::sync::{LazyLock, OnceLock};

use hookmill::core::{DeliveryId, Event, EventId, Fault, JsonText, Request};
use hookmill::plugin::{
    Compiler, Decision, Grants, Plugin, PluginHost, PluginHostConfig, PluginLimits, Transform, TransformReport,
};
use hookmill::{TenantId, WebhookName};
use hookmill_testing::{envelope, example_plugin, expected, misbehaving};
use jiff::Timestamp;
use serde_json::Value;

struct Guests {
    host: PluginHost,
    misbehaving: Plugin,
}

fn guests() -> &'static Guests {
    static GUESTS: OnceLock<Guests> = OnceLock::new();
    static DIR: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::TempDir::new().expect("a folder"));
    GUESTS.get_or_init(|| {
        let config = PluginHostConfig {
            cache_dir: DIR.path().into(),
            limits: PluginLimits::default(),
            compiler: Compiler::default(),
            concurrency: 16,
        };
        let host = PluginHost::new(config).expect("a host");
        let misbehaving = host.load(&misbehaving()).expect("the guest is a plugin");
        Guests { host, misbehaving }
    })
}

fn event(name: &str) -> Event {
    let envelope = envelope(name);
    let id = || EventId::new("evt_1").expect("valid");
    envelope.into_event(&TenantId::default_tenant(), Timestamp::UNIX_EPOCH, id).expect("an event")
}

fn delivery(event_id: &str) -> DeliveryId {
    let (event, webhook) = (EventId::new(event_id).expect("valid"), WebhookName::new("w").expect("valid"));
    DeliveryId::of(&TenantId::default_tenant(), &event, &webhook)
}

fn run(plugin: &Plugin, event: &Event, settings: &str, delivery: &DeliveryId) -> TransformReport {
    let draft = Request {
        method: "POST".into(),
        url: "https://example.com/in".into(),
        headers: vec![("x-of-the-webhook".into(), "1".into())],
        body: vec![],
    };
    plugin.transform(&Transform {
        event,
        draft: &draft,
        draft_has_body: false,
        settings: &JsonText::parse(settings).expect("JSON"),
        delivery,
        grants: Grants::default(),
        signature_header: None,
    })
}

fn misbehave(settings: &str) -> TransformReport {
    let plugin = &guests().misbehaving;
    let report = run(plugin, &event("note-on-update"), settings, &delivery("evt_1"));
    // Whatever it did, the next call finds it as new.
    let after = run(plugin, &event("note-on-update"), r#"{"do":"static_counter"}"#, &delivery("evt_1"));
    assert_eq!(sent(&after).body, b"1", "after {settings}");
    report
}

fn sent(report: &TransformReport) -> &Request {
    match &report.result {
        Ok(Decision::Send(request)) => request,
        other => panic!("nothing was sent: {other:?}, log {:?}", report.log),
    }
}

/// Checks that the guest was stopped with this code, and that what it cost is told.
fn held(settings: &str, code: &str) -> (Fault, TransformReport) {
    let report = misbehave(settings);
    let fault = report.result.clone().expect_err("held");
    assert_eq!(fault.code, code, "{fault:?}");
    assert!(!fault.message.is_empty() && report.fuel > 0 && report.memory > 0, "{report:?}");
    (fault, report)
}

#[test]
fn an_endless_loop_runs_out_of_fuel() {
    let (fault, report) = held(r#"{"do":"loop"}"#, "plugin_out_of_fuel");
    assert_eq!(report.fuel, PluginLimits::default().fuel_max);
    assert!(fault.message.contains("500000000"), "{}", fault.message);
    assert!(fault.backtrace.is_some_and(|frames| frames.contains("misbehaving::transform")));
}

#[test]
fn memory_has_an_end() {
    let (fault, report) = held(r#"{"do":"allocate"}"#, "plugin_out_of_memory");
    assert!(fault.message.contains("more than the 67108864"), "{}", fault.message);
    assert!(report.memory > 60 << 20 && report.memory <= 64 << 20, "{}", report.memory);
}

#[test]
fn endless_recursion_is_held() {
    let report = misbehave(r#"{"do":"recurse"}"#);
    let fault = report.result.expect_err("held");
    assert!(["plugin_stack_overflow", "plugin_trap"].contains(&fault.code.as_str()), "{fault:?}");
    let says_why = fault.message.contains("too deep") || fault.message.contains("stack overflow");
    assert!(says_why, "{}", fault.message);
}

#[test]
fn a_panic_reaches_the_author_with_message_and_place() {
    let (fault, report) = held(r#"{"do":"panic"}"#, "plugin_panic");
    assert!(fault.message.contains("panicked at src/lib.rs:"), "{}", fault.message);
    let log = report.log.join("\n");
    assert!(fault.message.contains("on demand") || log.contains("panicked on demand"), "{fault:?} {log}");
    let frames = fault.backtrace.expect("a backtrace");
    let frame = frames.lines().find(|frame| frame.starts_with("misbehaving::transform")).expect("the function");
    assert!(frame.contains("misbehaving/src/lib.rs:"), "{frames}");
    let loaded_again = guests().host.load(&misbehaving()).expect("the guest is a plugin");
    let again = run(&loaded_again, &event("note-on-update"), r#"{"do":"panic"}"#, &delivery("evt_1"));
    assert_eq!(again.result.expect_err("held").backtrace, Some(frames));
}

#[test]
fn a_trap_names_the_function() {
    let (fault, _) = held(r#"{"do":"trap"}"#, "plugin_trap");
    assert!(fault.message.contains("unreachable"), "{}", fault.message);
    let frames = fault.backtrace.expect("a backtrace");
    assert!(frames.contains("misbehaving::"), "{frames}");
}

#[test]
fn output_has_an_end() {
    let within = misbehave(r#"{"do":"big_output","bytes":1048576}"#);
    assert_eq!(sent(&within).body.len(), 1 << 20);
    let (fault, _) = held(r#"{"do":"big_output","bytes":1048577}"#, "plugin_output_too_large");
    assert!(fault.message.contains("1048577"), "{}", fault.message);
    // So much that the host would not even copy it.
    held(r#"{"do":"big_output","bytes":20000000}"#, "plugin_output_too_large");
}

#[test]
fn json_however_deep_costs_the_host_no_stack() {
    let deepest = misbehave(r#"{"do":"deep_json","count":524288}"#);
    let body = &sent(&deepest).body;
    assert_eq!((body.len(), body[524_287], body[524_288]), (1_048_576, b'[', b']'));
    let (fault, _) = held(r#"{"do":"bad_json"}"#, "plugin_body_not_json");
    assert!(fault.message.contains("not JSON"), "{fault:?}");
}

/// A guest's way to do harm that nothing provokes is one that nobody knows to be held.
#[test]
fn every_way_to_misbehave_is_tried_by_some_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guest = std::fs::read_to_string(root.join("guests/misbehaving/src/lib.rs")).expect("the guest");
    let (_, rest) = guest.split_once("enum Do {").expect("the ways");
    let (ways, _) = rest.split_once("\n}").expect("their end");
    let ways: Vec<&str> = ways.lines().filter_map(|line| line.trim().strip_suffix(',')).collect();
    assert!(ways.len() > 20, "{ways:?}");
    let tests = tests_below(&root.join("it")) + &tests_below(&root.join("../crates/hookmill-cli/tests"));
    for way in ways {
        let snake = way.chars().fold(String::new(), |snake, letter| match letter {
            'A'..='Z' if !snake.is_empty() => snake + "_" + &letter.to_ascii_lowercase().to_string(),
            letter => snake + &letter.to_ascii_lowercase().to_string(),
        });
        assert!(tests.contains(&format!("\"{snake}\"")), "no test has the guest do {snake}");
    }
}

fn tests_below(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).expect("a folder of tests").map(|entry| entry.expect("an entry").path());
    entries
        .map(|path| match path.is_dir() {
            true => tests_below(&path),
            false => std::fs::read_to_string(path).unwrap_or_default(),
        })
        .collect()
}

#[test]
fn headers_are_counted_and_checked() {
    assert_eq!(sent(&misbehave(r#"{"do":"many_headers","count":62}"#)).headers.len(), 63);
    held(r#"{"do":"many_headers","count":64}"#, "plugin_too_many_headers");
    held(r#"{"do":"many_headers","count":1000}"#, "plugin_too_many_headers");
    let (fault, _) = held(r#"{"do":"bad_header"}"#, "plugin_bad_header");
    assert!(fault.message.contains("x-harmless"), "{}", fault.message);
}

#[test]
fn what_only_the_webhook_may_decide_stays_as_it_decided() {
    let (fault, _) = held(r#"{"do":"change_url"}"#, "plugin_changed_url");
    assert!(fault.message.contains("https://elsewhere.example/in"), "{}", fault.message);
    let (fault, _) = held(r#"{"do":"change_method"}"#, "plugin_changed_method");
    assert!(fault.message.contains("GET"), "{}", fault.message);
    let (fault, _) = held(r#"{"do":"reserved_header"}"#, "plugin_reserved_header");
    assert!(fault.message.contains("Webhook-Id"), "{}", fault.message);
}

#[test]
fn a_flood_of_log_is_cut_and_says_so() {
    for settings in [r#"{"do":"log_flood","count":1000,"bytes":1000}"#, r#"{"do":"log_flood","count":50000,"bytes":0}"#]
    {
        let report = misbehave(settings);
        assert_eq!(sent(&report).body, b"logged");
        let bytes: usize = report.log.iter().map(String::len).sum();
        assert!(bytes > 60_000 && bytes < 67_000, "{settings}: {bytes}");
        assert!(report.log.last().unwrap().contains("the log was cut here"), "{settings}");
    }
    let all = misbehave(r#"{"do":"log_flood","count":3,"bytes":4}"#);
    assert_eq!(all.log, ["info: xxxx"; 3]);
}

#[test]
fn what_a_guest_makes_the_host_do_costs_it_fuel() {
    let fuel = |settings| misbehave(settings).fuel;
    let once = fuel(r#"{"do":"log_flood","count":1,"bytes":100000}"#);
    let often = fuel(r#"{"do":"log_flood","count":1001,"bytes":100000}"#);
    // Each call, and each byte that the host had to look at, though the log was full long before.
    assert!(often - once >= 1_000 * (2_000 + 100_000), "{often} against {once}");
    held(r#"{"do":"log_flood","count":10000,"bytes":100000}"#, "plugin_out_of_fuel");
}

#[test]
fn a_guest_that_ends_itself_ends_its_call_only() {
    let (fault, _) = held(r#"{"do":"exit"}"#, "plugin_exit");
    assert!(fault.message.contains('3') || fault.message.contains("exit code"), "{}", fault.message);
}

#[test]
fn stdout_and_stderr_go_to_the_log() {
    let report = misbehave(r#"{"do":"stdout"}"#);
    assert_eq!(report.log, ["stdout: a line on stdout", "stderr: a line on stderr"]);
}

#[test]
fn the_world_of_a_guest_is_frozen_and_empty() {
    let plugin = &guests().misbehaving;
    let note = event("note-on-update");
    let look = |id: &str| -> Value {
        let report = run(plugin, &note, r#"{"do":"clock"}"#, &delivery(id));
        serde_json::from_slice(&sent(&report).body).expect("JSON")
    };
    let seen = look("evt_1");
    assert_eq!(seen["unix_nanoseconds"], note.occurred_at.as_nanosecond().to_string());
    assert_eq!(seen["nanoseconds_between"], "0");
    assert_eq!(seen["environment"], Value::Array(vec![]));
    assert_eq!(seen["arguments"], Value::Array(vec![]));
    assert!(seen["root"].is_string(), "a folder can be read: {}", seen["root"]);
    assert_eq!(look("evt_1"), seen, "the same delivery saw another world");
    assert_ne!(look("evt_2")["random"], seen["random"], "another delivery has the same random numbers");
}

#[test]
fn sleeping_takes_no_time() {
    // If it slept for an hour, this test would not end.
    assert_eq!(sent(&misbehave(r#"{"do":"sleep"}"#)).body, b"slept for an hour");
}

#[test]
fn a_failure_keeps_its_kind_its_words_and_its_place() {
    for (kind, code, place) in [
        ("bad-document", "plugin_bad_document", " (at /items/0/qty)"),
        ("bad-settings", "plugin_bad_settings", " (at /do)"),
        ("other", "plugin_failed", ""),
    ] {
        let (fault, _) = held(&format!(r#"{{"do":"fail","kind":"{kind}"}}"#), code);
        assert_eq!(fault.message, format!("failed_on_demand: failed on demand{place}"));
    }
    held(r#"{"do":"something else"}"#, "plugin_bad_settings");
}

#[test]
fn a_skip_carries_its_reason() {
    assert_eq!(misbehave(r#"{"do":"skip"}"#).result, Ok(Decision::Skip("skipped on demand".into())));
}

#[test]
fn a_guest_sees_the_event_and_the_draft() {
    let note = event("note-on-update");
    let report = run(&guests().misbehaving, &note, r#"{"do":"echo"}"#, &delivery("evt_1"));
    let request = sent(&report);
    assert!(std::str::from_utf8(&request.body).unwrap().contains(note.doc.as_str()), "the document was rewritten");
    let echo: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!((echo["doctype"].as_str(), echo["doc_event"].as_str()), (Some("Note"), Some("on_update")));
    assert_eq!((echo["user"].as_str(), echo["tenant"].as_str()), (Some("Administrator"), Some("default")));
    assert_eq!(echo["draft"]["body"]["kind"], "empty");
    assert_eq!(echo["draft"]["url"], "https://example.com/in");
    let content_type = ("content-type".to_owned(), "application/json".to_owned());
    assert_eq!(request.headers, [content_type, ("x-of-the-webhook".into(), "1".into())]);
}

#[test]
fn the_same_input_gives_the_same_report_to_the_last_unit_of_fuel() {
    let guests = guests();
    for (plugin, name) in [("rust_quotation_invoice", "quotation-on-update"), ("rust_slack_message", "note-on-update")]
    {
        let plugin = guests.host.load(&example_plugin(plugin)).expect("a plugin");
        let event = event(name);
        let first = run(&plugin, &event, "{}", &delivery("evt_1"));
        assert!(first.fuel > 1_000 && first.memory >= 65_536, "{first:?}");
        assert!((0..5).all(|_| run(&plugin, &event, "{}", &delivery("evt_1")) == first));
    }
    for settings in [r#"{"do":"clock"}"#, r#"{"do":"panic"}"#, r#"{"do":"trap"}"#, r#"{"do":"allocate"}"#] {
        assert_eq!(misbehave(settings), misbehave(settings), "{settings}");
    }
}

#[test]
fn each_example_gives_exactly_what_is_expected() {
    for (plugin, event_name, bytes) in [
        ("rust_quotation_invoice", "quotation-on-update", "quotation-invoice"),
        ("rust_slack_message", "quotation-on-update", "quotation-slack"),
        ("rust_redact_customer", "customer-after-insert", "customer-redacted"),
    ] {
        let plugin = guests().host.load(&example_plugin(plugin)).expect("a plugin");
        let report = run(&plugin, &event(event_name), "{}", &delivery("evt_1"));
        let body = String::from_utf8(sent(&report).body.clone()).expect("UTF-8");
        assert_eq!(body, String::from_utf8(expected(bytes)).expect("UTF-8"));
    }
}
