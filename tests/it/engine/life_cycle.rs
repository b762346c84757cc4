//! From upload to the version that runs: states, diffs, canaries, suspension, and what was parked meanwhile.

use hookmill::UploadState::{Active, Compiled, Received, Rejected, Staged, Tested, Validated};
use hookmill::core::{Attempt, DeliveryState, Digest};
use hookmill::plugin::Compiler;
use hookmill::{Activation, EngineError, Explain as _, PluginInfo, VersionState};
use hookmill_testing::{Receiver, envelope, example_plugin, misbehaving, wait_for, wait_until};
use serde_json::json;

use crate::stand::{Stand, note, plugin_name, tenant};

async fn info(stand: &Stand) -> PluginInfo {
    stand.engine.plugin(&tenant(), &plugin_name("p")).await.expect("the plugin is known")
}

async fn stage(stand: &Stand, wasm: Vec<u8>) -> Digest {
    stand.engine.upload_plugin(&tenant(), &plugin_name("p"), wasm, false).await.expect("taken").digest
}

async fn activate(stand: &Stand, digest: Digest, how: Activation) -> Result<u64, EngineError> {
    let released = stand.engine.activate_plugin(&tenant(), &plugin_name("p"), digest, how).await?;
    Ok(released.redelivered)
}

/// A plugin for Notes that does as its settings say, and one that always sends a chat message.
fn misbehaves(how: &str) -> serde_json::Value {
    json!({"plugin": {"name": "p", "settings": {"do": how}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_through_its_states_in_sight() {
    let stand = Stand::new().await;
    let name = plugin_name("p");
    let upload = stand.engine.begin_upload(&tenant(), &name, misbehaving(), true).await.expect("begun");
    assert_eq!(upload.state, Received);
    let ended = wait_for("the upload to end", async || {
        let upload = stand.engine.upload(&tenant(), &name, upload.id).expect("known");
        Some(upload).filter(|upload| matches!(upload.state, Active | Rejected))
    })
    .await;
    let states: Vec<_> = ended.steps.iter().map(|step| step.state).collect();
    assert_eq!(states, [Received, Validated, Compiled, Tested, Active]);

    stage(&stand, example_plugin("rust_slack_message")).await;
    stand.engine.upload_plugin(&tenant(), &name, b"junk".to_vec(), true).await.expect_err("refused");
    let info = info(&stand).await;
    assert_eq!(
        info.versions.iter().map(|version| version.state).collect::<Vec<_>>(),
        [VersionState::Staged, VersionState::Active]
    );
    assert_eq!(info.uploads.iter().map(|upload| upload.state).collect::<Vec<_>>(), [Rejected, Staged, Active]);
    assert_eq!(info.uploads[0].failure.as_ref().expect("why").code, "plugin_not_wasm");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diff_says_what_another_version_would_change() {
    let stand = Stand::new().await;
    let active = stand.plugin("p", example_plugin("rust_quotation_invoice")).await;
    stand.webhook("quotations", json!({"doctype": "Quotation", "plugin": {"name": "p"}})).await;
    let id = stand.publish(envelope("quotation-on-update")).await;
    stand.reaches(id, DeliveryState::Delivered).await;
    let staged = stage(&stand, example_plugin("rust_slack_message")).await;

    let diff = |digest| {
        let (engine, tenant, name) = (stand.engine.clone(), tenant(), plugin_name("p"));
        async move { engine.diff_plugin(&tenant, &name, digest, 10).await.expect("a diff") }
    };
    let same = diff(active).await;
    assert_eq!((same.events, same.changed, same.new_failures), (1, 0, 0), "{same:?}");
    let other = diff(staged).await;
    assert_eq!((other.events, other.changed, other.new_failures), (1, 1, 0));
    assert!(other.fuel.active > 1_000 && other.fuel.staged > 1_000);
    let text = other.changes[0].changes.iter().find(|change| change.path == "/text").expect("a change of the body");
    assert!(text.part == "body" && text.active.is_none() && text.staged.is_some(), "{text:?}");

    let careful = Activation { if_unchanged: Some(10), ..Activation::default() };
    let error = activate(&stand, staged, careful).await.expect_err("refused");
    assert_eq!(error.code(), "plugin_would_change");
    assert_eq!(info(&stand).await.active, Some(active));
    activate(&stand, active, careful).await.expect("nothing changes");
    assert_eq!(stand.receiver.count(), 1, "a diff sends nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_takes_up_what_the_old_one_parked() {
    let stand = Stand::new().await;
    stand.plugin("p", misbehaving()).await;
    stand.webhook("notes", misbehaves("panic")).await;
    let parked = stand.publish(note("N-1")).await;
    stand.reaches(parked, DeliveryState::Parked).await;
    let mended = stage(&stand, example_plugin("rust_redact_customer")).await;
    let how = Activation { release_parked: true, ..Activation::default() };
    assert_eq!(activate(&stand, mended, how).await.expect("activated"), 1);
    let detail = stand.tried(parked, 2).await;
    assert_eq!(detail.attempts[1].plugin.as_ref().expect("a run").digest, mended);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_keeps_failing_is_suspended_and_its_deliveries_wait() {
    let stand = Stand::new().await;
    stand.plugin("p", misbehaving()).await;
    stand.webhook("notes", misbehaves("panic")).await;
    for n in 0..10 {
        let id = stand.publish(note(&format!("N-{n}"))).await;
        stand.reaches(id, DeliveryState::Parked).await;
    }
    let suspended = info(&stand).await.suspended.expect("suspended");
    assert!(suspended.failures == 10 && suspended.reason.starts_with("plugin_panic"), "{suspended:?}");
    let waits = stand.publish(note("N-waits")).await;
    // Others go on, whatever this plugin does.
    stand.webhook("plain", json!({"doctype": "Task"})).await;
    let task = json!({"doctype": "Task", "doc_event": "on_update", "doc": {"name": "T-1"}});
    stand.reaches(stand.publish(crate::stand::event(&task)).await, DeliveryState::Delivered).await;
    let detail = stand.detail(waits).await;
    assert!(detail.row.status.state == DeliveryState::Pending && detail.attempts.is_empty(), "no try is used up");

    // A mended version need not wait for the pause to end.
    stand.plugin("p", example_plugin("rust_redact_customer")).await;
    let detail = stand.tried(waits, 1).await;
    assert!(detail.attempts[0].plugin.is_some());
    assert!(info(&stand).await.suspended.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_does_worse_is_taken_back_by_itself() {
    let stand = Stand::new().await;
    let active = stand.plugin("p", example_plugin("rust_quotation_invoice")).await;
    stand.webhook("quotations", json!({"doctype": "Quotation", "plugin": {"name": "p"}})).await;
    // Its settings say nothing of what to do, so it refuses every event; that is no crash, but no success either.
    let worse = stage(&stand, misbehaving()).await;
    stand.engine.begin_canary(&tenant(), &plugin_name("p"), worse, 0.5).await.expect("begun");
    assert_eq!(info(&stand).await.canary.expect("a canary").digest, worse);
    let mut quotation = envelope_of("quotation-on-update");
    let ended = loop {
        let id = stand.publish(quotation.next().expect("endless")).await;
        stand.tried(id, 1).await;
        let info = info(&stand).await;
        if let Some(ended) = info.last_canary {
            assert!(info.canary.is_none() && info.active == Some(active));
            break ended;
        }
    };
    assert!(ended.digest == worse && ended.reason.contains("of the active version"), "{ended:?}");
    let after = stand.publish(quotation.next().expect("endless")).await;
    stand.reaches(after, DeliveryState::Delivered).await;

    for (digest, share) in [(active, 0.5), (worse, 0.0), (worse, 1.5)] {
        let error = stand.engine.begin_canary(&tenant(), &plugin_name("p"), digest, share).await;
        assert_eq!(error.expect_err("refused").code(), "plugin_no_canary");
    }
}

/// The same event again and again; each is published anew, with an id of its own.
fn envelope_of(name: &'static str) -> impl Iterator<Item = hookmill::EventEnvelope> {
    std::iter::repeat_with(move || envelope(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_crashes_is_taken_back_at_once_and_says_so() {
    let stand = Stand::new().await;
    let operator = Receiver::start();
    let news = json!({"doctype": "hookmill", "doc_event": "*", "request_url": operator.url("/news")});
    stand.webhook("news", news).await;
    let active = stand.plugin("p", example_plugin("rust_quotation_invoice")).await;
    stand.webhook("quotations", json!({"doctype": "Quotation", "plugin": {"name": "p"}})).await;
    let crashes = stage(&stand, misbehaving()).await;
    stand.engine.begin_canary(&tenant(), &plugin_name("p"), crashes, 1.0).await.expect("begun");
    for _ in 0..10 {
        let id = stand.publish(quotation("panic")).await;
        // Nobody pays for the trial: what the canary fails, the active version makes.
        let detail = stand.reaches(id, DeliveryState::Delivered).await;
        let ran = |attempt: &Attempt| attempt.plugin.as_ref().expect("a run").digest;
        assert_eq!(detail.attempts.iter().map(ran).collect::<Vec<_>>(), [crashes, active]);
        assert_eq!((detail.attempts[0].outcome.as_str(), detail.row.status.reason), ("retry", None));
    }
    let ended = wait_for("the canary to end", async || info(&stand).await.last_canary).await;
    assert!(ended.digest == crashes && ended.reason.contains("10 times in a row: plugin_panic"), "{ended:?}");
    let digest = crashes.to_string();
    let told = |news: &str| news.contains("10 times in a row") && news.contains(&digest);
    let heard = async || operator.requests().iter().any(|request| told(request.text()));
    wait_until("the operator to hear of it", heard).await;
    let after = stand.publish(quotation("panic")).await;
    let detail = stand.reaches(after, DeliveryState::Delivered).await;
    assert_eq!(detail.attempts[0].plugin.as_ref().expect("a run").digest, active);
    assert!(info(&stand).await.suspended.is_none(), "nothing of the plugin is held back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_takes_its_share_of_the_events_and_an_equal_one_stays() {
    const EVENTS: usize = 200;
    let stand = Stand::new().await;
    stand.plugin("p", example_plugin("rust_slack_message")).await;
    stand.webhook("notes", json!({"plugin": {"name": "p"}})).await;
    let mut twin = example_plugin("rust_slack_message");
    // A custom section, which makes it another component that does the same.
    twin.extend([0, 3, 1, b'n', 1]);
    let canary = stage(&stand, twin).await;
    stand.engine.begin_canary(&tenant(), &plugin_name("p"), canary, 0.25).await.expect("begun");
    let events = (0..EVENTS).map(|n| note(&format!("N-{n}"))).collect();
    for answer in stand.engine.publish_many(&tenant(), events).await {
        let id = answer.expect("taken").deliveries[0];
        stand.reaches(id, DeliveryState::Delivered).await;
    }
    let fared = info(&stand).await.canary.expect("it goes on");
    assert_eq!((fared.canary.runs + fared.active.runs, fared.canary.failures), (EVENTS as u64, 0));
    // Of 200 draws of a quarter, fewer than 20 or more than 90 do not happen.
    assert!((20..=90).contains(&fared.canary.runs), "{fared:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diff_names_every_part_that_changes_and_shows_no_secret() {
    let stand = Stand::new().await;
    stand.plugin("p", example_plugin("rust_quotation_invoice")).await;
    let plugin = json!({"name": "p", "grants": ["url", "method"]});
    let headers = json!([{"key": "X-Api-Key", "value": "k3y-of-the-receiver"}]);
    stand.webhook("quotations", json!({"doctype": "Quotation", "plugin": plugin, "headers": headers})).await;
    let staged = stage(&stand, misbehaving()).await;
    for (how, part, new_failures) in [
        ("echo", "body", 0),
        ("change_method", "method", 0),
        ("change_url", "decision", 1),
        ("drop_headers", "header", 0),
        ("skip", "decision", 0),
        ("panic", "decision", 1),
    ] {
        let id = stand.publish(quotation(how)).await;
        stand.reaches(id, DeliveryState::Delivered).await;
        let diff = stand.engine.diff_plugin(&tenant(), &plugin_name("p"), staged, 1).await.expect("a diff");
        let named = diff.changes[0].changes.iter().any(|change| change.part == part);
        assert!(named && diff.new_failures == new_failures, "{how}: {diff:?}");
        assert!(diff.changes[0].fuel.active > 1_000 && diff.memory.active > 65_536, "{diff:?}");
        let shown = serde_json::to_string(&diff).expect("JSON");
        assert!(!shown.contains("k3y-of-the-receiver"), "{how}: {shown}");
    }
}

/// A quotation that says what `misbehaving` is to do; others pass over that.
fn quotation(what: &str) -> hookmill::EventEnvelope {
    let mut doc: serde_json::Value =
        serde_json::from_str(&hookmill_testing::document("quotation-on-update")).expect("JSON");
    doc["doc"]["do"] = json!(what);
    crate::stand::event(&doc)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_unchanged_that_was_never_compared() {
    let stand = Stand::new().await;
    let active = stand.plugin("p", example_plugin("rust_quotation_invoice")).await;
    stand.webhook("quotations", json!({"doctype": "Quotation", "plugin": {"name": "p"}})).await;
    let staged = stage(&stand, example_plugin("rust_slack_message")).await;
    let careful = Activation { if_unchanged: Some(10), ..Activation::default() };
    let error = activate(&stand, staged, careful).await.expect_err("no event was recorded");
    assert_eq!(error.code(), "plugin_nothing_compared");
    assert_eq!(info(&stand).await.active, Some(active));
}

#[tokio::test(flavor = "multi_thread")]
async fn five_versions_stay_and_the_way_back_besides() {
    let stand = Stand::new().await;
    let version = |number: u8| {
        let mut wasm = example_plugin("rust_slack_message");
        wasm.extend([0, 3, 1, b'n', number]);
        wasm
    };
    let first = stand.plugin("p", version(0)).await;
    let second = stand.plugin("p", version(1)).await;
    let mut staged = vec![];
    for number in 2..9 {
        staged.push(stage(&stand, version(number)).await);
    }
    let known: Vec<_> = info(&stand).await.versions.iter().map(|version| version.digest).collect();
    let newest: Vec<_> = staged.iter().rev().take(3).copied().chain([second, first]).collect();
    assert_eq!(known, newest);
    let (back, _) =
        stand.engine.rollback_plugin(&tenant(), &plugin_name("p"), false).await.expect("there is a way back");
    assert_eq!(back, first);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_waits_for_nobody_who_compiles() {
    let stand = Stand::new().await;
    let first = stand.plugin("p", example_plugin("rust_slack_message")).await;
    stand.plugin("p", example_plugin("rust_quotation_invoice")).await;
    // What comes from now on is compiled by a program that takes its time and makes nothing.
    let slow = Compiler::subprocess("sh", ["-c", "exec sleep 10"]);
    let stand = stand.restart_with(|config| config.compiler = slow).await;
    let name = plugin_name("other");
    let upload = stand.engine.begin_upload(&tenant(), &name, misbehaving(), true).await.expect("begun");
    let state = async || stand.engine.upload(&tenant(), &name, upload.id).expect("known").state;
    wait_until("the upload to be compiled", async || state().await == Validated).await;
    let (back, _) = stand.engine.rollback_plugin(&tenant(), &plugin_name("p"), false).await.expect("rolled back");
    assert_eq!((back, state().await), (first, Validated));
}
