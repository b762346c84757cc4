//! What receivers get is verified by the libraries that they would use: the Rust and the Python one.

use std::path::{Path, PathBuf};
use std::process::Command;

use hookmill_testing::{Answer, Received, target_dir};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use standardwebhooks::Webhook as Verifier;

use crate::stand::{Stand, event, note};

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
    let captured: Vec<Value> = requests
        .iter()
        .map(|request| {
            let headers: serde_json::Map<String, Value> =
                request.headers.iter().map(|(name, value)| (name.to_lowercase(), json!(value))).collect();
            json!({"headers": headers, "body": request.text()})
        })
        .collect();
    let dir = tempfile::TempDir::new().expect("a folder");
    let (script, file) = (dir.path().join("verify.py"), dir.path().join("captured.json"));
    std::fs::write(&script, VERIFY).unwrap();
    let json = json!({"requests": captured, "secrets": [CURRENT, FORMER], "foreign": FOREIGN});
    std::fs::write(&file, json.to_string()).unwrap();
    let printed = run(Command::new(python()).arg(&script).arg(&file), "verify what was sent");
    assert_eq!(printed.trim(), "verified 8");
}

/// Returns a Python that has the library, in an environment under the target folder; made at the first use.
fn python() -> PathBuf {
    let environment = target_dir().join("python-standardwebhooks-1.0.1");
    let python = environment.join("bin/python3");
    let made = environment.join("made");
    if !made.is_file() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment), "make a Python environment");
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "standardwebhooks==1.0.1"]);
        run(&mut pip, "install the Python library standardwebhooks");
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
