//! A receiver is shown who calls, and nobody else is.

use hookmill::Explain as _;
use hookmill::core::DeliveryState;
use hookmill_testing::{Answer, Receiver, misbehaving};
use serde_json::{Value, json};

use crate::stand::{Stand, note, tenant, webhook_name};

async fn shown_to_the_receiver(auth: Value, header: &str, secrets: &[&str]) {
    let stand = Stand::new().await;
    let stored = stand.try_webhook("notes", json!({"auth": auth, "secrets": []})).await.expect("saved");
    // A receiver that says back what it was sent.
    stand.receiver.script([Answer::Reply {
        status: 200,
        headers: vec![("x-echo".into(), header.into())],
        body: header.as_bytes().to_vec(),
    }]);
    let id = stand.publish(note("N-1")).await;
    let detail = stand.reaches(id, DeliveryState::Delivered).await;
    assert_eq!(stand.receiver.only_request().await.header("authorization"), header);
    let preview = stand.engine.preview(&tenant(), &webhook_name("notes"), note("N-1")).await.expect("a preview");
    let listed = serde_json::to_string(&stand.engine.webhooks(&tenant())).expect("JSON");
    let attempts = serde_json::to_string(&detail.attempts).expect("JSON");
    let response = detail.attempts[0].response.as_ref().expect("an answer");
    assert!(response.body.windows(8).any(|part| part == b"********"), "{attempts}");
    for secret in secrets {
        for told in [&stored.to_string(), &listed, &attempts, &serde_json::to_string(&preview).expect("JSON")] {
            assert!(!told.contains(secret), "{secret} in {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_and_password() {
    let auth = json!({"basic": {"username": "Aladdin", "password": "open sesame"}});
    let secrets = ["Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="];
    shown_to_the_receiver(auth, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", &secrets).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_place_of_the_user() {
    let auth = json!({"basic": {"username": "k3y-s3cret", "password": "X"}});
    // base64 of `k3y-s3cret:X`.
    shown_to_the_receiver(auth, "Basic azN5LXMzY3JldDpY", &["k3y-s3cret", "azN5LXMzY3JldDpY"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token() {
    shown_to_the_receiver(json!({"bearer": "t0p-s3cret"}), "Bearer t0p-s3cret", &["t0p-s3cret"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_chooses_the_url_does_not_carry_them_off() {
    let (stand, elsewhere) = (Stand::new().await, Receiver::start());
    stand.plugin("free", misbehaving()).await;
    let plugin =
        |url: String| json!({"name": "free", "grants": ["url"], "settings": {"do": "change_url", "kind": url}});
    for url in [elsewhere.url("/in"), stand.receiver.url("/other")] {
        stand.webhook("notes", json!({"auth": {"bearer": "t"}, "plugin": plugin(url.clone())})).await;
        let id = stand.publish(note(&url)).await;
        stand.reaches(id, DeliveryState::Delivered).await;
    }
    assert!(!elsewhere.only_request().await.has_header("authorization"));
    assert_eq!(stand.receiver.only_request().await.header("authorization"), "Bearer t");
    let dynamic = json!({"auth": {"bearer": "t"}, "plugin": plugin(elsewhere.url("/")), "dynamic_url": true});
    assert_eq!(stand.try_webhook("notes", dynamic).await.expect_err("refused").code(), "webhook_invalid");
}
