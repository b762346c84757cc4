//! Receivers of GitHub's and Stripe's webhooks take hookmill's, by the libraries that they use.

use hookmill_testing::Answer;
use serde_json::json;

use crate::python::{captured, python_says};
use crate::stand::{Stand, note};

const GITHUB: &str = r#"
import json, sys
from gidgethub import ValidationFailure
from gidgethub.sansio import Event

with open(sys.argv[1], encoding="utf-8") as file:
    captured = json.load(file)
for request in captured["requests"]:
    body = request["body"].encode()
    event = Event.from_http(request["headers"], body, secret="It's a Secret to Everybody")
    print(event.event, event.data["name"], len(event.delivery_id))
    try:
        Event.from_http(request["headers"], body, secret="former")
        print("a former secret verified")
    except ValidationFailure:
        pass
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_of_github_verifies_it() {
    let stand = Stand::new().await;
    let secrets = json!(["It's a Secret to Everybody", {"secret": "former"}]);
    stand.webhook("notes", json!({"signing": "github", "secrets": secrets})).await;
    stand.publish(note("Größe")).await;
    let request = stand.receiver.only_request().await;
    assert!(!request.has_header("webhook-signature"));
    assert_eq!(python_says(GITHUB, &json!({"requests": captured(&[request])})), "on_update Größe 36");
}

const STRIPE: &str = r#"
import json, sys
import stripe

with open(sys.argv[1], encoding="utf-8") as file:
    captured = json.load(file)
count = 0
for request in captured["requests"]:
    for secret in ["whsec_current", "former"]:
        header = request["headers"]["acme-signature"]
        stripe.WebhookSignature.verify_header(request["body"], header, secret, tolerance=300)
        count += 1
    try:
        stripe.WebhookSignature.verify_header(request["body"] + " ", header, "whsec_current")
        print("a changed body verified")
    except stripe.SignatureVerificationError:
        pass
print("verified", count)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_of_stripe_verifies_it_with_either_secret() {
    let stand = Stand::new().await;
    let fields = json!({"signing": "stripe", "secrets": ["whsec_current", {"secret": "former"}],
        "signature_header": "Acme-Signature", "retry": {"schedule": ["0s", "0s"]}});
    stand.webhook("notes", fields).await;
    stand.receiver.script([Answer::Status(500)]);
    stand.publish(note("Größe")).await;
    let requests = stand.receiver.wait_for_requests(2).await;
    assert_eq!(python_says(STRIPE, &json!({"requests": captured(&requests)})), "verified 4");
}
