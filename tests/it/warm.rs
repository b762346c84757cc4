//! A plugin whose manifest asks for it keeps its instances, and nobody else does.

use hookmill::Explain as _;
use hookmill::core::{DeliveryId, EventId, JsonText, Request};
use hookmill::plugin::{
    Compiler, Decision, Fixture, Grants, Manifest, Plugin, PluginHost, PluginHostConfig, PluginLimits, Transform,
    TransformReport,
};
use hookmill::{TenantId, WebhookName};
use hookmill_testing::{envelope, misbehaving};
use jiff::Timestamp;
use tempfile::TempDir;

const WARM: &str = "name = \"warm\"\nwarm = true\n";

fn host(dir: &TempDir) -> PluginHost {
    PluginHost::new(PluginHostConfig {
        cache_dir: dir.path().into(),
        limits: PluginLimits::default(),
        compiler: Compiler::default(),
        concurrency: 2,
    })
    .expect("a host")
}

fn run(plugin: &Plugin, event: &str, settings: &str) -> TransformReport {
    let id = EventId::new(event).expect("valid");
    let tenant = TenantId::default_tenant();
    let delivery = DeliveryId::of(&tenant, &id, &WebhookName::new("w").expect("valid"));
    let event = envelope("note-on-update").into_event(&tenant, Timestamp::UNIX_EPOCH, || id).expect("an event");
    plugin.transform(&Transform {
        event: &event,
        draft: &Request { method: "POST".into(), url: "https://example.com/".into(), headers: vec![], body: vec![] },
        draft_has_body: false,
        settings: &JsonText::parse(settings).expect("JSON"),
        delivery: &delivery,
        grants: Grants::default(),
        signature_header: None,
    })
}

/// Returns which call of its instance this was, and whether the report says that the instance was kept.
fn count(plugin: &Plugin) -> (String, bool) {
    let report = run(plugin, "evt_1", r#"{"do":"static_counter"}"#);
    match report.result {
        Ok(Decision::Send(request)) => (String::from_utf8(request.body).expect("text"), report.warm),
        other => panic!("{other:?}"),
    }
}

fn counted(number: &str, warm: bool) -> (String, bool) {
    (number.into(), warm)
}

#[test]
fn an_instance_is_kept_for_the_next_call_and_dropped_after_a_failure() {
    let dir = TempDir::new().expect("a folder");
    let host = host(&dir);
    let wasm = Manifest::embed(WARM, &misbehaving()).expect("a manifest");
    let (plugin, other) = (host.load(&wasm).expect("a plugin"), host.load(&wasm).expect("the same, of another tenant"));
    // A call that fails drops the instance that the trial at loading left.
    run(&plugin, "evt_1", r#"{"do":"trap"}"#);
    assert_eq!(count(&plugin), counted("1", false));
    assert_eq!(count(&plugin), counted("2", true));
    run(&other, "evt_1", r#"{"do":"trap"}"#);
    assert_eq!(count(&other), counted("1", false), "an instance served another plugin");
    assert_eq!(count(&plugin), counted("3", true));
    assert_eq!(count(&plugin.fresh()), counted("1", false));
    for failing in [r#"{"do":"trap"}"#, r#"{"do":"loop"}"#, r#"{"do":"allocate"}"#, r#"{"do":"exit"}"#] {
        assert!(run(&plugin, "evt_1", failing).result.is_err());
        assert_eq!(count(&plugin), counted("1", false), "after {failing}");
    }
    let usual = host.load(&misbehaving()).expect("a plugin");
    assert_eq!((count(&usual), count(&usual)), (counted("1", false), counted("1", false)));
}

#[test]
fn a_call_in_a_kept_instance_sees_its_own_event_log_and_limits() {
    let dir = TempDir::new().expect("a folder");
    let plugin = host(&dir).load(&Manifest::embed(WARM, &misbehaving()).expect("a manifest")).expect("a plugin");
    let fresh = plugin.fresh();
    for event in ["evt_1", "evt_2", "evt_1"] {
        for settings in [r#"{"do":"echo"}"#, r#"{"do":"stdout"}"#, r#"{"do":"log_flood","count":90,"bytes":1000}"#] {
            let (kept, alone) = (run(&plugin, event, settings), run(&fresh, event, settings));
            assert_eq!((&kept.result, &kept.log), (&alone.result, &alone.log), "{event} {settings}");
        }
    }
    let full = run(&plugin, "evt_1", r#"{"do":"loop"}"#);
    assert_eq!(full.fuel, PluginLimits::default().fuel_max, "fuel was left over from another call");
}

#[test]
fn a_plugin_that_answers_otherwise_when_it_is_kept_is_refused() {
    let dir = TempDir::new().expect("a folder");
    let fixture = r#"{"name": "first", "event": {"doctype": "Note", "doc_event": "on_update", "doc": {"name": "n"}},
                      "settings": {"do": "static_counter"}, "expect": {"send": {"body": 1}}}"#;
    let fixture: Fixture = serde_json::from_str(fixture).expect("a fixture");
    let wasm = Fixture::embed(&[fixture], &misbehaving()).expect("embedded");
    host(&dir).load(&wasm).expect("in fresh instances it meets its fixture");
    let error = host(&dir).load(&Manifest::embed(WARM, &wasm).expect("a manifest")).expect_err("refused");
    assert_eq!(error.code(), "plugin_not_reusable", "{error}");
    assert!(error.help().is_some_and(|help| help.contains("warm")));
}
