//! `/v1/webhooks`: written, read, previewed and removed.

use hookmill::core::DeliveryState;
use serde_json::{Value, json};

use super::client::Served;
use crate::stand::webhook_json;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn to(served: &Served, fields: &Value) -> String {
    webhook_json(&served.stand.receiver.url("/in"), fields).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_made_changed_listed_and_removed() {
    let served = Served::new().await;
    let made = served.put("/v1/webhooks/my%20notes", to(&served, &json!({}))).await.ok(201);
    assert_eq!((made["name"].as_str(), made["enabled"].as_bool()), (Some("my notes"), Some(true)));
    let changed = served.put("/v1/webhooks/my%20notes", to(&served, &json!({"enabled": false}))).await.ok(200);
    assert_eq!(changed["enabled"], false);
    assert_eq!(served.get("/v1/webhooks/my%20notes").await.ok(200), changed);
    assert_eq!(served.get("/v1/webhooks").await.ok(200)["webhooks"], json!([changed]));
    served.delete("/v1/webhooks/my%20notes").await.ok(204);
    for reply in [served.delete("/v1/webhooks/my%20notes").await, served.get("/v1/webhooks/my%20notes").await] {
        reply.problem(404, "not_found");
    }
    assert_eq!(served.get("/v1/webhooks").await.ok(200)["webhooks"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_webhook_is_named() {
    let served = Served::new().await;
    for (fields, code, named) in [
        (json!({"colour": "red"}), "webhook_unknown_field", "colour"),
        (json!({"secrets": ["sesame"]}), "webhook_bad_secret", "whsec_"),
        (json!({"secrets": ["********"]}), "webhook_invalid", "secret"),
        (json!({"condition": "doc.total >"}), "webhook_invalid", "condition"),
        (json!({"json_template": "{{ doc.name"}), "webhook_invalid", "json_template"),
        (json!({"headers": [{"key": "X A", "value": "1"}]}), "webhook_invalid", "X A"),
        (json!({"request_url": "http://10.0.0.1/"}), "address_refused", "10.0.0.1"),
        (json!({"rate_limit": "1 per second"}), "webhook_malformed", "rate_limit"),
        (json!({"name": "other"}), "webhook_invalid", "other"),
    ] {
        let problem = served.put("/v1/webhooks/notes", to(&served, &fields)).await.problem(422, code);
        assert!(problem["detail"].as_str().unwrap().contains(named), "{problem}");
    }
    served.put("/v1/webhooks/notes", "{").await.problem(422, "webhook_malformed");
    served.put("/v1/webhooks/notes", "").await.problem(422, "webhook_malformed");
    served.put("/v1/webhooks/a%2Fb", to(&served, &json!({}))).await.problem(422, "invalid_name");
    assert_eq!(served.get("/v1/webhooks").await.ok(200)["webhooks"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_never_shown_and_survive_being_given_back_masked() {
    let served = Served::new().await;
    let mut stored = served.put("/v1/webhooks/notes", to(&served, &json!({"secrets": [SECRET]}))).await.ok(201);
    assert_eq!(stored["secrets"], json!(["********"]));
    stored["timeout_ms"] = json!(5000);
    let again = served.put("/v1/webhooks/notes", stored.to_string()).await.ok(200);
    assert_eq!((&again["secrets"], &again["timeout_ms"]), (&json!(["********"]), &json!(5000)));
    let event = json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": "N"}});
    served.post("/v1/events", event.to_string()).await.ok(202);
    let request = served.stand.receiver.only_request().await;
    let verifier = standardwebhooks::Webhook::new(SECRET).unwrap();
    let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        .map(|name| (name.parse::<http::HeaderName>().unwrap(), request.header(name).parse().unwrap()));
    verifier.verify(&request.body, &headers.into_iter().collect()).expect("still signed with the secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn header_values_and_passwords_are_sent_but_never_shown() {
    let served = Served::new().await;
    let url = served.stand.receiver.url("/in").replace("http://", "http://user:pa55@");
    let fields = json!({"headers": [{"key": "X-Api-Key", "value": "t0p"}, {"key": "X-Site", "value": "a"}]});
    let shown = served.put("/v1/webhooks/notes", webhook_json(&url, &fields).to_string()).await.ok(201);
    assert_eq!(shown["headers"][0]["value"], "********");
    assert_eq!(shown["headers"][1]["value"], "a");
    served.put("/v1/webhooks/notes", shown.to_string()).await.ok(200);
    let event = json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": "N"}}).to_string();
    let preview = served.post("/v1/webhooks/notes/preview", event.clone()).await.ok(200);
    let id = served.post("/v1/events", event).await.ok(202)["deliveries"][0].as_str().unwrap().to_owned();
    let request = served.stand.receiver.only_request().await;
    assert_eq!((request.header("x-api-key"), request.header("authorization")), ("t0p", "Basic dXNlcjpwYTU1"));
    served.stand.reaches(id.parse().unwrap(), DeliveryState::Delivered).await;
    let delivery = served.get(&format!("/v1/deliveries/{id}")).await.ok(200);
    let listed = served.get("/v1/webhooks").await.ok(200);
    for answer in [&shown, &preview, &delivery, &listed] {
        let text = answer.to_string();
        assert!(!text.contains("t0p") && !text.contains("pa55"), "{text}");
        assert!(text.contains("http://********@"), "{text}");
    }
    // Whoever may change a webhook can't have the values sent elsewhere.
    let mut elsewhere = shown.clone();
    elsewhere["request_url"] = json!("http://127.0.0.1:9/");
    let problem = served.put("/v1/webhooks/notes", elsewhere.to_string()).await.problem(422, "webhook_invalid");
    assert!(problem["detail"].as_str().unwrap().contains("headers"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_tells_everything_and_sends_nothing() {
    let served = Served::new().await;
    served.stand.plugin("misbehaving", hookmill_testing::misbehaving()).await;
    let fields = json!({"secrets": [SECRET], "condition": "doc.name != 'draft'",
                        "plugin": {"name": "misbehaving", "settings": {"do": "stdout"}}});
    served.webhook(fields).await;
    let preview = async |name: &str| {
        let event = json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": name}});
        served.post("/v1/webhooks/notes/preview", event.to_string()).await.ok(200)
    };
    let sent = preview("N-1").await;
    assert_eq!((&sent["matches"], &sent["condition"], &sent["decision"]), (&json!(true), &json!(true), &json!("send")));
    assert_eq!(sent["request"]["body"], "printed");
    let headers = sent["request"]["headers"].as_array().unwrap();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature", "content-type"] {
        assert!(headers.iter().any(|header| header[0] == name), "{name} is missing in {headers:?}");
    }
    assert_eq!(sent["plugin"]["log"], json!(["stdout: a line on stdout", "stderr: a line on stderr"]));
    assert!(sent["plugin"]["fuel"].as_u64().unwrap() > 0);

    let skipped = preview("draft").await;
    assert_eq!((&skipped["condition"], &skipped["decision"]), (&json!(false), &json!("skip")));
    assert_eq!(skipped["request"], Value::Null);
    let other = json!({"doctype": "Task", "doc_event": "on_update", "doc": {"name": "T"}});
    assert_eq!(served.post("/v1/webhooks/notes/preview", other.to_string()).await.ok(200)["matches"], false);

    served.webhook(json!({"plugin": {"name": "misbehaving", "settings": {"do": "panic"}}})).await;
    let failed = preview("N-1").await;
    assert_eq!((&failed["decision"], &failed["error"]["code"]), (&json!("fail"), &json!("plugin_panic")));

    served.post("/v1/webhooks/notes/preview", "{").await.problem(400, "event_malformed");
    served.post("/v1/webhooks/missing/preview", other.to_string()).await.problem(404, "not_found");
    assert_eq!(served.stand.receiver.count(), 0);
    assert_eq!(served.get("/v1/deliveries").await.ok(200)["deliveries"], json!([]));
}
