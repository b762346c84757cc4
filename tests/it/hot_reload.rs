//! A plugin is replaced while everything runs: the next event is the new version's, and nothing is lost.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use hookmill::core::{DeliveryState, Digest};
use hookmill::{Activation, DeliveryQuery, Explain as _, PluginInfo, Source};
use hookmill_testing::{envelope, example_plugin, expected, wait_for, wait_until};
use serde_json::json;

use crate::stand::{Stand, plugin_name, tenant};

fn invoice() -> Vec<u8> {
    example_plugin("rust_quotation_invoice")
}

fn slack() -> Vec<u8> {
    example_plugin("rust_slack_message")
}

/// A webhook for Quotations with the plugin `p`.
async fn with_webhook(stand: Stand) -> Stand {
    stand.webhook("quotations", json!({"doctype": "Quotation", "plugin": {"name": "p"}})).await;
    stand
}

async fn info(stand: &Stand) -> PluginInfo {
    stand.engine.plugin(&tenant(), &plugin_name("p")).await.expect("the plugin is known")
}

async fn becomes_active(stand: &Stand, digest: Digest) {
    wait_until("the version to be active", async || {
        let info = stand.engine.plugin(&tenant(), &plugin_name("p")).await;
        info.is_ok_and(|info| info.active == Some(digest))
    })
    .await;
}

/// Publishes a quotation and returns what arrives.
async fn payload(stand: &Stand) -> Vec<u8> {
    let before = stand.receiver.count();
    let id = stand.publish(envelope("quotation-on-update")).await;
    stand.reaches(id, DeliveryState::Delivered).await;
    stand.receiver.requests()[before].body.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_the_next_events_version() {
    let stand = with_webhook(Stand::new().await).await;
    for (wasm, name) in
        [(invoice(), "quotation-invoice"), (slack(), "quotation-slack"), (invoice(), "quotation-invoice")]
    {
        stand.plugin("p", wasm).await;
        assert_eq!(payload(&stand).await, expected(name));
    }
    assert_eq!(info(&stand).await.versions.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_written_in_place_or_renamed_into_place_is_taken_within_a_second() {
    let stand = with_webhook(Stand::watching().await).await;
    let file = stand.watched("p.wasm");
    let mut quickest = Duration::MAX;
    let versions = [(invoice(), "quotation-invoice"), (slack(), "quotation-slack")];
    for round in 0..6 {
        let (wasm, name) = &versions[round % 2];
        let begun = Instant::now();
        if round < 3 {
            fs::write(&file, wasm).unwrap();
        } else {
            let beside = stand.watched("p.wasm.new");
            fs::write(&beside, wasm).unwrap();
            fs::rename(&beside, &file).unwrap();
        }
        becomes_active(&stand, Digest::of(wasm)).await;
        quickest = quickest.min(begun.elapsed());
        assert_eq!(payload(&stand).await, expected(name), "round {round}");
    }
    // The machine may be busy with other tests in some rounds, but not in all.
    assert!(quickest < Duration::from_secs(1), "the quickest change took {quickest:?}");
    assert_eq!(info(&stand).await.versions[0].source, Source::Directory);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_there_at_the_start_is_taken() {
    let stand = with_webhook(Stand::watching().await).await;
    fs::write(stand.watched("p.wasm"), invoice()).unwrap();
    fs::write(stand.watched("notes.txt"), "not a plugin").unwrap();
    let stand = stand.restart().await;
    assert_eq!(payload(&stand).await, expected("quotation-invoice"));
    assert_eq!(stand.engine.plugins(&tenant()).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_leaves_the_old_version_serving_and_says_why() {
    let stand = with_webhook(Stand::watching().await).await;
    let file = stand.watched("p.wasm");
    fs::write(&file, invoice()).unwrap();
    becomes_active(&stand, Digest::of(&invoice())).await;
    for (bytes, code) in [
        (b"not wasm at all".to_vec(), "plugin_not_wasm"),
        (slack()[..20_000].to_vec(), "plugin_corrupt"),
        (wat::parse_str("(component)").unwrap(), "plugin_missing_export"),
    ] {
        fs::write(&file, bytes).unwrap();
        let failure = wait_for("the failure to be told", async || {
            info(&stand).await.last_failure.filter(|failure| failure.code == code)
        })
        .await;
        assert!(!failure.message.is_empty() && failure.help.is_some(), "{failure:?}");
        assert_eq!(payload(&stand).await, expected("quotation-invoice"));
    }
    fs::write(&file, slack()).unwrap();
    becomes_active(&stand, Digest::of(&slack())).await;
    assert_eq!(info(&stand).await.last_failure, None);
    assert_eq!(payload(&stand).await, expected("quotation-slack"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_upload_leaves_the_old_version_serving_and_says_why() {
    let stand = with_webhook(Stand::new().await).await;
    let digest = stand.plugin("p", invoice()).await;
    let error = stand.engine.upload_plugin(&tenant(), &plugin_name("p"), b"nonsense".to_vec(), true).await;
    assert_eq!(error.expect_err("refused").code(), "plugin_not_wasm");
    let known = info(&stand).await;
    assert_eq!((known.active, known.versions.len()), (Some(digest), 1));
    assert_eq!(known.last_failure.unwrap().code, "plugin_not_wasm");
    assert_eq!(payload(&stand).await, expected("quotation-invoice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_staged_activated_rolled_back_and_survive_a_restart() {
    let stand = with_webhook(Stand::new().await).await;
    let name = plugin_name("p");
    let first = stand.plugin("p", invoice()).await;
    let staged = stand.engine.upload_plugin(&tenant(), &name, slack(), false).await.unwrap().digest;
    assert_eq!(info(&stand).await.active, Some(first));
    assert_eq!(payload(&stand).await, expected("quotation-invoice"));

    stand.engine.activate_plugin(&tenant(), &name, staged, Activation::default()).await.unwrap();
    assert_eq!(payload(&stand).await, expected("quotation-slack"));
    let stand = stand.restart().await;
    let known = info(&stand).await;
    assert_eq!(known.active, Some(staged));
    assert_eq!(known.versions.iter().map(|version| version.digest).collect::<Vec<_>>(), [staged, first]);
    assert_eq!(payload(&stand).await, expected("quotation-slack"));

    assert_eq!(stand.engine.rollback_plugin(&tenant(), &name, false).await.unwrap().0, first);
    assert_eq!(payload(&stand).await, expected("quotation-invoice"));
    let error = stand.engine.rollback_plugin(&tenant(), &name, false).await.expect_err("nothing is before the first");
    assert_eq!(error.code(), "plugin_no_previous");
    let unknown = stand.engine.activate_plugin(&tenant(), &name, Digest::of(b"unknown"), Activation::default()).await;
    assert_eq!(unknown.expect_err("refused").code(), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_was_rolled_back_stays_so_over_a_restart_though_its_file_is_there() {
    let stand = with_webhook(Stand::watching().await).await;
    let file = stand.watched("p.wasm");
    for wasm in [invoice(), slack()] {
        fs::write(&file, &wasm).unwrap();
        becomes_active(&stand, Digest::of(&wasm)).await;
    }
    stand.engine.rollback_plugin(&tenant(), &plugin_name("p"), false).await.unwrap();
    let stand = stand.restart().await;
    assert_eq!(payload(&stand).await, expected("quotation-invoice"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_mixed_while_the_plugin_is_replaced_twenty_times() {
    const EVENTS: usize = 3_000;
    const SWAPS: usize = 20;
    let stand = with_webhook(Stand::new().await).await;
    // Both are compiled before, so that each swap falls into the stream of its round.
    stand.plugin("p", slack()).await;
    stand.plugin("p", invoice()).await;
    for swap in 0..SWAPS {
        let publishing = async {
            for _ in 0..EVENTS / SWAPS / 10 {
                let events = (0..10).map(|_| envelope("quotation-on-update")).collect();
                for answer in stand.engine.publish_many(&tenant(), events).await {
                    answer.expect("taken");
                }
            }
        };
        tokio::join!(publishing, stand.plugin("p", if swap % 2 == 0 { slack() } else { invoice() }));
    }
    let unsettled = DeliveryQuery { state: Some(DeliveryState::Pending), ..DeliveryQuery::default() };
    wait_until("everything to be settled", async || {
        stand.engine.deliveries(&tenant(), &unsettled, None, 1).await.unwrap().rows.is_empty()
    })
    .await;

    let requests = stand.receiver.requests();
    assert_eq!(requests.len(), EVENTS);
    let ids: HashSet<&str> = requests.iter().map(|request| request.header("webhook-id")).collect();
    assert_eq!(ids.len(), EVENTS, "a delivery came twice");
    let (invoices, messages) = (expected("quotation-invoice"), expected("quotation-slack"));
    let of = |body: &[u8]| requests.iter().filter(|request| request.body == body).count();
    let (invoices, messages) = (of(&invoices), of(&messages));
    assert_eq!(invoices + messages, EVENTS, "a payload is of neither version");
    assert!(invoices > 0 && messages > 0, "{invoices} invoices, {messages} messages");
}

/// The files of compiled components, by the digests that they are named after.
fn compiled(stand: &Stand) -> HashSet<String> {
    let mut digests = HashSet::new();
    let mut folders = vec![stand.data.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "cwasm") {
                let name = entry.file_name().and_then(|name| name.to_str()).expect("a name");
                digests.insert(name.split('-').next().expect("a digest").to_owned());
            }
        }
    }
    digests
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_of_forgotten_versions_is_deleted() {
    let stand = with_webhook(Stand::new().await).await;
    let version = |number: u8| {
        let mut wasm = invoice();
        // A custom section named `n`, which makes it another component that does the same.
        wasm.extend([0, 3, 1, b'n', number]);
        wasm
    };
    let shared = stand.plugin("other", version(0)).await.to_string();
    let mut uploaded = vec![];
    for number in 0..8 {
        uploaded.push(stand.plugin("p", version(number)).await.to_string());
    }
    let known: HashSet<_> = info(&stand).await.versions.iter().map(|version| version.digest.to_string()).collect();
    let forgotten: Vec<_> = uploaded.iter().filter(|digest| !known.contains(*digest)).collect();
    assert!(forgotten.len() > 1 && forgotten.contains(&&shared), "{forgotten:?}");
    let left: HashSet<_> = known.iter().cloned().chain([shared]).collect();
    assert_eq!(compiled(&stand), left, "the other plugin still has its version");

    let stand = stand.restart().await;
    assert_eq!(payload(&stand).await, expected("quotation-invoice"));
    let other = stand.engine.plugin(&tenant(), &plugin_name("other")).await.expect("known");
    stand.webhook("quotations", json!({"doctype": "Quotation", "plugin": {"name": "other"}})).await;
    assert_eq!(payload(&stand).await, expected("quotation-invoice"), "{:?}", other.active);
}
