//! What receivers get is verified by the libraries that they would use: the Rust and the Python one.

use std::path::{Path, PathBuf};
use std::process::Command;

use hookmill::Webhook;
use hookmill_testing::{Answer, Received, target_dir};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::{Value, json};
use standardwebhooks::Webhook as Verifier;

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

fn captured(requests: &[Received]) -> Vec<Value> {
    let shown = |request: &Received| {
        let headers: serde_json::Map<String, Value> =
            request.headers.iter().map(|(name, value)| (name.to_lowercase(), json!(value))).collect();
        json!({"headers": headers, "body": request.text()})
    };
    requests.iter().map(shown).collect()
}

/// Runs a script over what was captured.
fn python_says(script: &str, captured: &Value) -> String {
    let dir = tempfile::TempDir::new().expect("a folder");
    let (script_file, file) = (dir.path().join("verify.py"), dir.path().join("captured.json"));
    std::fs::write(&script_file, script).unwrap();
    std::fs::write(&file, captured.to_string()).unwrap();
    run(Command::new(python()).arg(&script_file).arg(&file), "verify what was sent").trim().to_owned()
}

/// Returns a Python that has the libraries, in an environment under the target folder; made at the first use.
fn python() -> PathBuf {
    // Two tests that made it at one time would spoil it for each other.
    static MAKING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = MAKING.lock();
    let environment = target_dir().join("python-standardwebhooks-1.0.1-cryptography-50.0.2");
    let python = environment.join("bin/python3");
    let made = environment.join("made");
    if !made.is_file() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment), "make a Python environment");
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip.args(["standardwebhooks==1.0.1", "cryptography==50.0.2"]);
        run(&mut pip, "install the Python libraries standardwebhooks and cryptography");
        write_mark(&made);
    }
    python
}

fn write_mark(made: &Path) {
    std::fs::write(made, "complete\n").expect("the environment can be written to");
}

fn run(command: &mut Command, attempt: &str) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("failed to {attempt}: {command:?}: {error}; this test needs python3 with pip"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "failed to {attempt}: {}: {errors}; this test needs python3 with pip",
        output.status
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
