//! `/v1/sources/frappe`: what Frappe's own Webhooks send becomes an event.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookmill::core::FrappeSource;
use hookmill::{Explain as _, FrappeRequest};
use hookmill_testing::Received;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Reply, Served, send};
use crate::stand::{Stand, tenant};

const SECRET: &str = "topsecret";
const PATH: &str = "/v1/sources/frappe?webhook=notes-on-update";

/// The template that docs/frappe-source.md tells people to use.
fn template() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/frappe-source.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let block = page.split("```jinja\n").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("a template on the page").to_owned()
}

/// Returns the request that a Frappe site makes of the template, byte for byte, as the profiles are held to.
async fn as_frappe_sends_it(profile: &str, doc: &Value) -> Received {
    let site = Served::new().await;
    let headers = json!([{"key": "Content-Type", "value": "application/json"}]);
    let fields = json!({"profile": profile, "secrets": [SECRET], "json_template": template(), "headers": headers});
    site.webhook(fields).await;
    let event = json!({"doctype": "Note", "doc_event": "on_update", "doc": doc});
    site.post("/v1/events", event.to_string()).await.ok(202);
    site.stand.receiver.only_request().await
}

/// Sends a request of Frappe's to hookmill, without the token.
async fn forward(served: &Served, path: &str, request: &Received) -> Reply {
    let mut forwarded = served.bare(Method::POST, path).body(request.body.clone());
    for name in ["content-type", "x-frappe-webhook-signature"] {
        forwarded = forwarded.header(name, request.header(name));
    }
    send(forwarded).await
}

async fn with_secrets(secrets: Value) -> Served {
    let served = Served::new().await;
    served.put("/v1/sources/frappe", json!({"secrets": secrets}).to_string()).await.ok(200);
    served
}

/// A request that a site recorded: signed, but with a body that is not the template's.
fn captured(file: &str) -> Received {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("frappe/golden").join(file);
    let case: Value = serde_json::from_slice(&std::fs::read(file).expect("the case")).expect("JSON");
    let raw = STANDARD.decode(case["requests"][0].as_str().expect("base64")).expect("base64");
    super::frappe::parsed(&raw)
}

fn note() -> Value {
    json!({"doctype": "Note", "name": "N-1", "modified": "2026-11-23 23:51:57.067896", "title": "ü \"x\" 🎉", "items": [{"qty": 2.0}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_either_frappe_sends_becomes_one_event_however_often_it_is_tried() {
    let served = with_secrets(json!([SECRET])).await;
    served.webhook(json!({"data": [{"fieldname": "title", "key": "t"}]})).await;
    let mut ids = Vec::new();
    for (profile, begin) in [("frappe-v15", r#"{"doctype": "Note""#), ("frappe-newest", "{\n \"doc\": {\n")] {
        let request = as_frappe_sends_it(profile, &note()).await;
        assert!(request.text().starts_with(begin), "{}", request.text());
        let taken = forward(&served, PATH, &request).await.ok(202);
        let again = forward(&served, PATH, &request).await.ok(200);
        assert_eq!((&again["id"], &again["duplicate"]), (&taken["id"], &json!(true)));
        let id = taken["deliveries"][0].as_str().expect("a delivery").to_owned();
        let event = served.get(&format!("/v1/deliveries/{id}")).await.ok(200)["event"].clone();
        assert_eq!((&event["doctype"], &event["doc_event"]), (&json!("Note"), &json!("on_update")));
        assert_eq!((&event["document"], &event["doc"]), (&json!("N-1"), &note()));
        assert_eq!(event["meta"], json!({"frappe_webhook": "notes-on-update"}));
        ids.push(taken["id"].clone());
    }
    assert_ne!(ids[0], ids[1]);
    let sent = served.stand.receiver.wait_for_requests(2).await;
    // The text stays as Frappe wrote it.
    let text = r#"{"t":"\u00fc \"x\" \ud83c\udf89"}"#;
    assert!(sent.iter().all(|sent| sent.text() == text), "{sent:?}");

    // A later change of the document is another event.
    let mut later = note();
    later["modified"] = json!("2026-11-23 23:52:00.000000");
    forward(&served, PATH, &as_frappe_sends_it("frappe-v15", &later).await).await.ok(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_site_signed_is_known_by_its_secret_and_by_no_other() {
    let right = with_secrets(json!(["another secret", SECRET])).await;
    let wrong = with_secrets(json!(["another secret"])).await;
    let none = Served::new().await;
    for file in ["22-secret-signature-fields.json", "newest/22-secret-signature-fields.json"] {
        let request = captured(file);
        // The signature holds, so the body is read; the webhook of the site had another template.
        let refused = forward(&right, PATH, &request).await.problem(400, "source_body_malformed");
        assert!(refused["help"].as_str().expect("a help").contains("docs/frappe-source.md"), "{refused}");
        forward(&wrong, PATH, &request).await.problem(401, "source_wrong_signature");
        forward(&none, PATH, &request).await.problem(401, "source_no_secret");
        let mut forged = request.clone();
        *forged.body.last_mut().expect("a body") = b' ';
        forward(&right, PATH, &forged).await.problem(401, "source_wrong_signature");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_signature_the_token_is_needed_and_a_wrong_one_is_refused_in_spite_of_it() {
    let served = with_secrets(json!([SECRET])).await;
    let body = json!({"doctype": "Note", "event": "on_update", "doc": note()}).to_string();
    let unsigned = send(served.bare(Method::POST, PATH).body(body.clone())).await;
    unsigned.problem(401, "source_unsigned");
    let with_token = |signature: Option<&str>| {
        let request = served.request(Method::POST, PATH).body(body.clone());
        match signature {
            Some(signature) => send(request.header("x-frappe-webhook-signature", signature.to_owned())),
            None => send(request),
        }
    };
    with_token(Some("AAAA")).await.problem(401, "source_wrong_signature");
    with_token(None).await.ok(202);
    // Nothing else is reached by a signature.
    send(served.bare(Method::GET, "/v1/sources/frappe")).await.problem(401, "unauthorized");
    send(served.bare(Method::PUT, "/v1/sources/frappe").body("{}")).await.problem(401, "unauthorized");
    served.delete("/v1/sources/frappe").await.problem(405, "wrong_method");
    served.post("/v1/sources/frappe?web=1", body).await.problem(400, "query_malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_is_refused_with_the_reason() {
    let served = with_secrets(json!([SECRET])).await;
    for (body, status, code) in [
        ("", 400, "source_body_malformed"),
        (r#"{"doctype": "Note", "event": "on_update", "doc": {"n": NaN}}"#, 400, "source_body_malformed"),
        (r#"{"doctype": "Note", "doc": {}}"#, 400, "source_body_malformed"),
        (r#"{"doctype": "Note", "event": "on_update", "doc": {}, "x": 1}"#, 400, "source_body_malformed"),
        (r#"{"doctype": "Note", "event": "on_update", "doc": "Note"}"#, 422, "event_doc_not_object"),
        (r#"{"doctype": "hookmill", "event": "on_update", "doc": {}}"#, 422, "event_doctype_reserved"),
    ] {
        served.post(PATH, body).await.problem(status, code);
    }
    let large = format!(r#"{{"doctype": "Note", "event": "e", "doc": {{"n": "{}"}}}}"#, "n".repeat(1 << 20));
    served.post(PATH, large).await.problem(413, "event_doc_too_large");
    served.post(PATH, "n".repeat(3 << 20)).await.problem(413, "body_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_masked_and_rotated() {
    let served = Served::new().await;
    assert_eq!(served.get("/v1/sources/frappe").await.ok(200), json!({"secrets": []}));
    for (body, code) in [
        (json!({"secrets": ["short"]}), "source_bad_secrets"),
        (json!({"secrets": ["********"]}), "source_bad_secrets"),
        (json!({"secret": SECRET}), "source_malformed"),
    ] {
        served.put("/v1/sources/frappe", body.to_string()).await.problem(422, code);
    }
    let put = served.put("/v1/sources/frappe", json!({"secrets": [SECRET]}).to_string()).await.ok(200);
    assert_eq!(put, json!({"secrets": ["********"]}));
    let rotated = json!({"secrets": ["the next secret", {"secret": "********"}]});
    let put = served.put("/v1/sources/frappe", rotated.to_string()).await.ok(200);
    assert_eq!(put["secrets"][0], "********");
    assert!(put["secrets"][1]["until"].is_string(), "{put}");
    let request = as_frappe_sends_it("frappe-v15", &note()).await;
    forward(&served, PATH, &request).await.ok(202);
    let over = json!({"secrets": ["the next secret", {"secret": "********", "until": "2026-01-01T00:00:00Z"}]});
    served.put("/v1/sources/frappe", over.to_string()).await.ok(200);
    forward(&served, PATH, &request).await.problem(401, "source_wrong_signature");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_survive_a_restart() {
    let stand = Stand::new().await;
    let source = FrappeSource::parse(json!({"secrets": [SECRET]}).to_string().as_bytes()).expect("settings");
    stand.engine.put_frappe_source(&tenant(), source).await.expect("taken");
    let stand = stand.restart().await;
    let sent = captured("22-secret-signature-fields.json");
    let code = async |signature: &str| {
        let request = FrappeRequest { body: &sent.body, webhook: None, signature: Some(signature), trusted: false };
        stand.engine.publish_from_frappe(&tenant(), request).await.map_err(|error| error.code())
    };
    let signature = sent.header("x-frappe-webhook-signature");
    assert_eq!(code(signature).await, Err("source_body_malformed"));
    assert_eq!(code("AAAA").await, Err("source_wrong_signature"));
}
