//! The optional parts of the plugin contract, and what a webhook may let a plugin do.

use hookmill::core::mask::MASK;
use hookmill::core::{DeliveryState, Digest};
use hookmill::plugin::Manifest;
use hookmill::{EngineError, Explain as _, Webhook};
use hookmill_testing::{Answer, Receiver, envelope, example_plugin, guest, misbehaving};
use serde_json::{Value, json};

use crate::stand::{Stand, event, last_error, note, plugin_name, tenant, webhook_json, webhook_name};

/// A webhook whose plugin takes settings, judges answers and uses a secret.
pub(super) fn chat(settings: Value) -> Value {
    let mut settings = settings;
    settings["channel"] = json!("#sales");
    json!({"plugin": {"name": "chat", "settings": settings, "secrets": {"chat-token": "t0p-s3cret"}}})
}

async fn chat_stand(settings: Value) -> Stand {
    let stand = Stand::new().await;
    stand.plugin("chat", guest("judging")).await;
    stand.webhook("chat", chat(settings)).await;
    stand
}

pub(super) async fn save(stand: &Stand, fields: &Value) -> Result<(), EngineError> {
    let json = webhook_json(&stand.receiver.url("/in"), fields);
    let webhook = Webhook::parse(json.to_string().as_bytes()).expect("a webhook");
    stand.engine.put_webhook(&tenant(), &webhook_name("chat"), webhook).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_judges_answers_better_than_their_status() {
    let stand = chat_stand(json!({})).await;
    stand.receiver.script([
        Answer::with_body(200, r#"{"ok":false,"error":"no_such_channel"}"#),
        Answer::Status(409),
        Answer::with_body(200, r#"{"ok":false,"error":"slow_down"}"#),
        Answer::Status(500),
    ]);
    let dead = stand.reaches(stand.publish(note("dead")).await, DeliveryState::Dead).await;
    assert!(dead.row.status.reason.as_ref().unwrap().ends_with("200: there is no such channel"), "{:?}", dead.row);
    let judge = dead.attempts[0].judge.as_ref().expect("the judge's run");
    assert_eq!(judge.log, [r#"info: judged 200 {"ok":false,"error":"no_such_channel"}"#]);
    assert!(judge.fuel > 1_000 && judge.digest == dead.attempts[0].plugin.as_ref().unwrap().digest);

    stand.reaches(stand.publish(note("conflict")).await, DeliveryState::Delivered).await;

    let slow = stand.tried(stand.publish(note("slow")).await, 1).await;
    assert_eq!(slow.row.status.state, DeliveryState::Pending);
    let wait = slow.row.status.next_attempt_at.unwrap().duration_since(slow.attempts[0].at);
    assert!((3_600..3_700).contains(&wait.as_secs()), "{wait}");

    let failed = stand.tried(stand.publish(note("failed")).await, 1).await;
    assert_eq!(failed.row.status.state, DeliveryState::Pending, "by its status");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_judge_that_fails_leaves_the_word_to_the_status() {
    let stand = chat_stand(json!({})).await;
    stand.receiver.always(Answer::with_body(200, "panic"));
    let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Delivered).await;
    let (code, message) = last_error(&detail);
    assert!(code == "plugin_panic" && message.contains("panicked in judge"), "{code} {message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_held_against_schema_and_plugin_when_a_webhook_is_saved() {
    let stand = chat_stand(json!({})).await;
    let version = stand.engine.plugin(&tenant(), &plugin_name("chat")).await.unwrap();
    let described = version.versions[0].description.as_ref().expect("a description");
    assert_eq!(described.version.as_deref(), Some("1.2.3"));

    let with = |settings: Value| json!({"plugin": {"name": "chat", "settings": settings}});
    for (settings, says) in [
        (json!({}), "channel"),
        (json!({"channel": 1}), "/channel"),
        (json!({"channel": "#a", "colour": "red"}), "colour"),
        (json!({"channel": "sales"}), "/channel: a channel begins with #, and \"sales\" does not"),
    ] {
        let error = save(&stand, &with(settings.clone())).await.expect_err("refused");
        assert_eq!(error.code(), "plugin_bad_settings");
        assert!(error.to_string().contains(says), "{settings}: {error}");
    }
    save(&stand, &with(json!({"channel": "#sales"}))).await.expect("taken");
    // Of a plugin that is yet to come nothing can be said.
    save(&stand, &json!({"plugin": {"name": "later", "settings": {"any": 1}}})).await.expect("taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_uses_a_secret_and_nobody_sees_it() {
    let stand = chat_stand(json!({})).await;
    stand.receiver.always(Answer::with_body(409, "you sent Bearer t0p-s3cret"));
    let id = stand.publish(note("N-1")).await;
    assert_eq!(stand.receiver.only_request().await.header("x-sign"), "Bearer t0p-s3cret");
    let detail = stand.reaches(id, DeliveryState::Delivered).await;
    let recorded = serde_json::to_string(&detail.attempts).expect("JSON");
    assert!(recorded.contains(r#"Bearer secret(\"chat-token\")"#), "{recorded}");
    assert!(!recorded.contains("t0p-s3cret"), "{recorded}");
    assert!(detail.attempts[0].judge.as_ref().unwrap().log[0].contains(MASK));

    let shown = serde_json::to_string(&stand.engine.webhook(&tenant(), &webhook_name("chat")).unwrap()).unwrap();
    assert!(!shown.contains("t0p-s3cret") && shown.contains(MASK), "{shown}");
    let preview = stand.engine.preview(&tenant(), &webhook_name("chat"), note("N-2")).await.expect("a preview");
    let headers = preview.request.expect("a request").headers;
    assert!(headers.contains(&("x-sign".into(), format!("Bearer {MASK}"))), "{headers:?}");

    let mut without = chat(json!({}));
    without["plugin"]["secrets"] = json!({});
    save(&stand, &without).await.expect("saved");
    let parked = stand.reaches(stand.publish(note("N-3")).await, DeliveryState::Parked).await;
    assert_eq!(last_error(&parked).0, "request_unknown_secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn url_and_method_change_only_where_the_webhook_grants_it() {
    let stand = Stand::new().await;
    let there = stand.receiver.url("/there");
    stand.plugin("chat", guest("judging")).await;
    stand.webhook("chat", chat(json!({"url": there, "method": "PUT"}))).await;
    let parked = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Parked).await;
    assert_eq!(last_error(&parked).0, "plugin_changed_url");

    let mut granted = chat(json!({"url": there, "method": "PUT"}));
    granted["plugin"]["grants"] = json!(["url"]);
    save(&stand, &granted).await.expect("saved");
    let parked = stand.reaches(stand.publish(note("N-2")).await, DeliveryState::Parked).await;
    assert_eq!(last_error(&parked).0, "plugin_changed_method");

    granted["plugin"]["grants"] = json!(["url", "method"]);
    save(&stand, &granted).await.expect("saved");
    stand.reaches(stand.publish(note("N-3")).await, DeliveryState::Delivered).await;
    let request = stand.receiver.only_request().await;
    assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/there"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_chooses_the_url_carries_no_secret_off() {
    let stand = Stand::new().await;
    let elsewhere = Receiver::start();
    stand.plugin("chat", guest("judging")).await;
    let mut fields = chat(json!({"url": elsewhere.url("/there")}));
    fields["plugin"]["grants"] = json!(["url"]);
    stand.webhook("chat", fields.clone()).await;
    let parked = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Parked).await;
    assert_eq!(last_error(&parked).0, "plugin_secret_elsewhere");

    // A row of the webhook that is a secret does not go along either.
    stand.plugin("free", misbehaving()).await;
    let mut fields = json!({"plugin": {"name": "free", "settings": {"do": "change_url"}, "grants": ["url"]}});
    fields["headers"] = json!([{"key": "X-Api-Key", "value": "k3y"}]);
    stand.webhook("chat", fields).await;
    let parked = stand.reaches(stand.publish(note("N-2")).await, DeliveryState::Parked).await;
    assert_eq!(last_error(&parked).0, "plugin_secret_elsewhere");
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webhooks_own_secrets_pass_through_a_plugin_that_can_not_read_them() {
    let stand = Stand::new().await;
    stand.plugin("echo", misbehaving()).await;
    let url = stand.receiver.url("/in").replacen("http://", "http://me:pa55word@", 1);
    let headers = json!([{"key": "X-Api-Key", "value": "k3y"}, {"key": "X-Site", "value": "here"}]);
    let plugin = json!({"name": "echo", "settings": {"do": "echo"}});
    stand.webhook("notes", json!({"request_url": url, "headers": headers, "plugin": plugin})).await;
    let id = stand.publish(note("N-1")).await;
    let request = stand.receiver.only_request().await;
    assert_eq!((request.header("x-api-key"), request.header("x-site")), ("k3y", "here"));
    assert!(request.header("authorization").starts_with("Basic "));
    let seen = request.text();
    assert!(seen.contains("here") && !seen.contains("k3y") && !seen.contains("pa55word"), "{seen}");
    stand.reaches(id, DeliveryState::Delivered).await;
    let proof = stand.engine.verify(&tenant(), id).await.expect("a verification");
    assert!(proof.verified, "{proof:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_plugin_sets_a_header_that_is_the_hosts() {
    let stand = Stand::new().await;
    for header in [
        "Connection",
        "Content-Length",
        "Host",
        "Keep-Alive",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Webhook-Id",
        "Webhook-Signature",
        "Webhook-Timestamp",
        "X-Frappe-Webhook-Signature",
        "X-Hub-Signature-256",
        "Stripe-Signature",
        "Acme-Signature",
    ] {
        // Each for itself, or it would be suspended for its failures.
        let name = header.to_lowercase();
        stand.plugin(&name, misbehaving()).await;
        let plugin = json!({"name": name, "settings": {"do": "set_header", "kind": header}});
        let fields = json!({
            "plugin": plugin, "signing": "github", "signature_header": "Acme-Signature", "secrets": ["a-secret-text"],
        });
        stand.webhook("notes", fields).await;
        let parked = stand.reaches(stand.publish(note(header)).await, DeliveryState::Parked).await;
        assert_eq!(last_error(&parked).0, "plugin_reserved_header", "{header}");
        assert_eq!(parked.attempts.len(), 1, "what always fails is not tried again");
    }
    assert_eq!(stand.receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_a_plugin_makes_passes_the_same_address_check() {
    let stand = Stand::new().await;
    stand.plugin("p", misbehaving()).await;
    for url in ["http://10.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[::ffff:10.0.0.1]/"] {
        let plugin = json!({"name": "p", "settings": {"do": "change_url", "kind": url}, "grants": ["url"]});
        stand.webhook("chat", json!({"plugin": plugin})).await;
        let parked = stand.reaches(stand.publish(note(url)).await, DeliveryState::Parked).await;
        assert_eq!(last_error(&parked).0, "address_refused", "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_sees_only_what_its_manifest_selects() {
    let stand = Stand::new().await;
    let manifest = "name = \"narrow\"\nselect = [\"/name\", \"/items/*/qty\"]\n";
    let narrow = Manifest::embed(manifest, &misbehaving()).expect("a manifest");
    stand.plugin("narrow", narrow).await;
    stand.webhook("notes", json!({"plugin": {"name": "narrow", "settings": {"do": "echo"}}})).await;
    let doc = json!({"name": "N-1", "salary": 1, "items": [{"qty": 2, "rate": 3}]});
    let before = json!({"name": "N-1", "salary": 2, "items": []});
    let event = event(&json!({"doctype": "Note", "doc_event": "on_update", "doc": doc, "before": before}));
    let id = stand.publish(event).await;
    let seen: Value = serde_json::from_slice(&stand.receiver.only_request().await.body).expect("JSON");
    assert_eq!(seen["doc"], json!({"name": "N-1", "items": [{"qty": 2}]}));
    assert_eq!(seen["before"], json!({"name": "N-1", "items": []}));
    let detail = stand.reaches(id, DeliveryState::Delivered).await;
    assert!(detail.event.doc.as_str().contains("salary"), "what is recorded is whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_lowers_limits_and_can_not_raise_them() {
    let stand = Stand::new().await;
    let with = |limits: &str| {
        Manifest::embed(&format!("name = \"n\"\n[limits]\n{limits}\n"), &misbehaving()).expect("a manifest")
    };
    stand.plugin("frugal", with("fuel = 1_000_000")).await;
    stand.webhook("notes", json!({"plugin": {"name": "frugal", "settings": {"do": "loop"}}})).await;
    let parked = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Parked).await;
    assert!(last_error(&parked).1.contains("1000000 units"), "{:?}", last_error(&parked));
    let (tenant, name) = (tenant(), plugin_name("n"));
    let error = stand.engine.upload_plugin(&tenant, &name, with("memory_mib = 65"), true).await.expect_err("refused");
    assert!(error.code() == "plugin_bad_manifest" && error.to_string().contains("65 MiB"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_proven_to_come_from_event_and_plugin() {
    let stand = Stand::new().await;
    let digest = stand.plugin("invoice", example_plugin("rust_quotation_invoice")).await;
    stand.webhook("invoices", json!({"doctype": "Quotation", "plugin": {"name": "invoice"}})).await;
    let id = stand.publish(envelope("quotation-on-update")).await;
    stand.reaches(id, DeliveryState::Delivered).await;
    // Another version is active meanwhile; the one that ran is what counts.
    stand.plugin("invoice", example_plugin("rust_slack_message")).await;
    let stand = stand.restart().await;
    let proof = stand.engine.verify(&tenant(), id).await.expect("a verification");
    assert!(proof.verified, "{proof:?}");
    assert!(proof.plugin == digest && proof.input.recorded.is_some() && proof.output.recorded.is_some());

    let changed =
        json!({"doctype": "Quotation", "plugin": {"name": "invoice"}, "headers": [{"key": "X-A", "value": "1"}]});
    stand.webhook("invoices", changed).await;
    let proof = stand.engine.verify(&tenant(), id).await.expect("a verification");
    assert!(!proof.verified && !proof.input.same, "{proof:?}");

    stand.webhook("notes", json!({})).await;
    let plain = stand.publish(note("N-1")).await;
    stand.reaches(plain, DeliveryState::Delivered).await;
    let error = stand.engine.verify(&tenant(), plain).await.expect_err("nothing to verify");
    assert_eq!(error.code(), "delivery_without_plugin");
    assert_ne!(digest, Digest::of(b""));
}
