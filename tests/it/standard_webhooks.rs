//! What receivers get is verified by the libraries that they would use: those in Rust, Python and JavaScript.

use hookmill::Webhook;
use hookmill_testing::{Answer, Received};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::json;
use standardwebhooks::Webhook as Verifier;

use crate::node::node_says;
use crate::python::{captured, python_says};
use crate::stand::{Stand, event, note, tenant, webhook_name};

const CURRENT: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const FORMER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const FOREIGN: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn header_map(request: &Received) -> HeaderMap {
    let pair =
        |(name, value): &(String, String)| Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?));
    request.headers.iter().filter_map(pair).collect()
}

fn verifies(request: &Received, secret: &str) -> bool {
    Verifier::new(secret).expect("a secret").verify(&request.body, &header_map(request)).is_ok()
}

/// A note with text in several scripts.
fn multilingual() -> hookmill::EventEnvelope {
    event(
        &json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": "Καλημέρα", "t": "你好 👋 \u{2028} \\ \""}}),
    )
}

/// A note of nearly 1 MB.
fn large() -> hookmill::EventEnvelope {
    let text = "ä".repeat(500_000);
    event(&json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": "large", "text": text}}))
}

/// Lets a webhook that signs with both secrets send everything that there is to verify.
async fn everything() -> Vec<Received> {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"secrets": [CURRENT, FORMER], "retry": {"schedule": ["0s", "0s"]}})).await;
    stand.receiver.script([Answer::Status(500)]);
    for (count, event) in [(2, note("plain, and retried")), (3, multilingual()), (4, large())] {
        stand.publish(event).await;
        stand.receiver.wait_for_requests(count).await;
    }
    stand.receiver.requests()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_library_verifies_every_request_with_either_secret() {
    let requests = everything().await;
    assert_eq!(requests.len(), 4);
    assert!(requests[3].body.len() > 1_000_000);
    for request in &requests {
        assert_eq!(request.header("webhook-signature").split(' ').count(), 2);
        assert!(verifies(request, CURRENT) && verifies(request, FORMER), "{:?}", request.headers);
        assert!(!verifies(request, FOREIGN));
        let mut changed = request.clone();
        changed.body.push(b' ');
        assert!(!verifies(&changed, CURRENT), "the signature does not cover the whole body");
    }
    assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_secret_gives_a_single_signature() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"secrets": [CURRENT]})).await;
    stand.publish(note("N-1")).await;
    let request = stand.receiver.only_request().await;
    assert_eq!(request.header("webhook-signature").split(' ').count(), 1);
    assert!(verifies(&request, CURRENT) && !verifies(&request, FORMER));
}

const ED25519: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";

/// No library of Standard Webhooks verifies Ed25519 yet, so a library of cryptography does it by the specification.
const VERIFY_ED25519: &str = r#"
import base64, json, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

with open(sys.argv[1], encoding="utf-8") as file:
    captured = json.load(file)
key = Ed25519PublicKey.from_public_bytes(base64.b64decode(captured["public_key"].removeprefix("whpk_")))
for request in captured["requests"]:
    headers = request["headers"]
    entries = dict(entry.split(",", 1) for entry in headers["webhook-signature"].split(" "))
    signed = f'{headers["webhook-id"]}.{headers["webhook-timestamp"]}.{request["body"]}'
    key.verify(base64.b64decode(entries["v1a"]), signed.encode())
print("verified", len(captured["requests"]))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn during_a_rotation_both_kinds_of_secret_verify_and_the_public_key_is_shown() {
    let stand = Stand::new().await;
    let former = json!({"secret": CURRENT});
    stand.webhook("notes", json!({"secrets": [ED25519, former]})).await;
    stand.publish(multilingual()).await;
    let request = stand.receiver.only_request().await;
    assert!(verifies(&request, CURRENT), "{:?}", request.headers);
    let stored = serde_json::to_value(stand.engine.webhook(&tenant(), &webhook_name("notes")).unwrap()).unwrap();
    let until: Timestamp = stored["secrets"][1]["until"].as_str().expect("the overlap ends").parse().unwrap();
    let sent: i64 = request.header("webhook-timestamp").parse().unwrap();
    assert!((86_000..=86_400).contains(&(until.as_second() - sent)), "{until} is no day later");
    let shown = json!({"requests": captured(&[request]), "public_key": stored["public_keys"][0]});
    assert_eq!(python_says(VERIFY_ED25519, &shown), "verified 1");
    // What was shown may be given back as it is.
    let given_back = Webhook::parse(stored.to_string().as_bytes()).expect("an answer is a webhook");
    let (again, _) = stand.engine.put_webhook(&tenant(), &webhook_name("notes"), given_back).await.unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap(), stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_has_ended_signs_no_more() {
    let stand = Stand::new().await;
    let ended = json!({"secret": FORMER, "until": "2020-01-01T00:00:00Z"});
    stand.webhook("notes", json!({"secrets": [CURRENT, ended]})).await;
    stand.publish(note("N-1")).await;
    let request = stand.receiver.only_request().await;
    assert!(verifies(&request, CURRENT) && !verifies(&request, FORMER));
}

const VERIFY: &str = r#"
import json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

with open(sys.argv[1], encoding="utf-8") as file:
    captured = json.load(file)
count = 0
for request in captured["requests"]:
    for secret in captured["secrets"]:
        Webhook(secret).verify(request["body"], request["headers"])
        count += 1
    try:
        Webhook(captured["foreign"]).verify(request["body"], request["headers"])
    except WebhookVerificationError:
        continue
    sys.exit("a foreign secret verified")
print("verified", count)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_python_library_verifies_every_request_with_either_secret() {
    let requests = everything().await;
    let shown = json!({"requests": captured(&requests), "secrets": [CURRENT, FORMER], "foreign": FOREIGN});
    assert_eq!(python_says(VERIFY, &shown), "verified 8");
}

const VERIFY_IN_JAVASCRIPT: &str = r#"
let count = 0;
for (const { body, headers } of captured.requests) {
    for (const secret of captured.secrets) {
        new library.Webhook(secret).verify(body, headers);
        count += 1;
    }
    for (const [secret, text] of [[captured.foreign, body], [captured.secrets[0], body + " "]]) {
        let refused = false;
        try {
            new library.Webhook(secret).verify(text, headers);
        } catch (error) {
            refused = error instanceof library.WebhookVerificationError;
        }
        if (!refused) throw new Error("a foreign secret, or another body, verified");
    }
}
console.log("verified", count);
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_library_verifies_every_request_with_either_secret() {
    let requests = everything().await;
    let shown = json!({"requests": captured(&requests), "secrets": [CURRENT, FORMER], "foreign": FOREIGN});
    assert_eq!(node_says(VERIFY_IN_JAVASCRIPT, &shown), "verified 8");
}
