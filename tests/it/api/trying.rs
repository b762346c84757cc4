//! Trying a webhook out: previews of recorded events and of webhooks that are not saved, and sending once.

use hookmill::core::DeliveryState;
use hookmill_testing::Answer;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Served, send};
use crate::stand::webhook_json;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn event(name: &str) -> Value {
    json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": name, "total": 12345678901234567890_u64}})
}

/// Publishes an event that owes one delivery, and waits until it is delivered; returns the ids of both.
async fn delivered(served: &Served, name: &str) -> (String, String) {
    let answer = served.post("/v1/events", event(name).to_string()).await.ok(202);
    let id = answer["deliveries"][0].as_str().expect("a delivery").to_owned();
    served.stand.reaches(id.parse().expect("an id"), DeliveryState::Delivered).await;
    (answer["id"].as_str().expect("an id").to_owned(), id)
}

fn header<'a>(request: &'a Value, name: &str) -> &'a str {
    let headers = request["headers"].as_array().expect("headers");
    let found = headers.iter().find(|header| header[0] == name).unwrap_or_else(|| panic!("no {name} in {headers:?}"));
    found[1].as_str().expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_event_is_previewed_by_its_id_or_a_delivery_of_it() {
    let served = Served::new().await;
    served.webhook(json!({"secrets": [SECRET], "condition": "doc.total > 1"})).await;
    let (event_id, delivery) = delivered(&served, "N-1").await;
    let sent = served.stand.receiver.only_request().await;
    for body in
        [json!({"event_id": event_id}), json!({"delivery": delivery}), json!({"event": event("N-1")}), event("N-1")]
    {
        let preview = served.post("/v1/webhooks/notes/preview", body.to_string()).await.ok(200);
        assert_eq!((&preview["decision"], &preview["condition"]), (&json!("send"), &json!(true)), "{body}");
        assert_eq!(preview["request"]["body"], sent.text(), "{body}");
        let same_id = header(&preview["request"], "webhook-id") == sent.header("webhook-id");
        assert_eq!(same_id, body["event"].is_null() && body["doctype"].is_null(), "{body}");
        assert!(header(&preview["request"], "webhook-signature").starts_with("v1,"), "{body}");
    }
    assert_eq!(served.stand.receiver.count(), 1, "nothing was sent");
    for (body, status, code) in [
        (json!({"event_id": "unheard of"}), 404, "not_found"),
        (json!({"delivery": delivery.replace(|digit: char| digit.is_ascii_digit(), "0")}), 404, "not_found"),
        (json!({"delivery": "N-1"}), 422, "invalid_name"),
        (json!({}), 422, "body_malformed"),
        (json!({"event_id": event_id, "delivery": delivery}), 422, "body_malformed"),
        (json!({"event_id": event_id, "colour": 1}), 422, "body_malformed"),
        (json!({"doctype": "Note"}), 400, "event_malformed"),
    ] {
        served.post("/v1/webhooks/notes/preview", body.to_string()).await.problem(status, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_previewed_before_it_is_saved() {
    let served = Served::new().await;
    let url = served.stand.receiver.url("/new");
    let preview = async |fields: Value| {
        let body = json!({"webhook": webhook_json(&url, &fields), "event": event("N-1")});
        served.post("/v1/webhooks/preview", body.to_string()).await
    };
    let shown = preview(json!({"data": [{"fieldname": "name", "key": "id"}], "secrets": [SECRET]})).await.ok(200);
    assert_eq!((&shown["request"]["url"], &shown["request"]["body"]), (&json!(url), &json!(r#"{"id":"N-1"}"#)));
    let skipped = preview(json!({"condition": "doc.total < 1"})).await.ok(200);
    assert_eq!((&skipped["decision"], &skipped["condition"]), (&json!("skip"), &json!(false)));
    // What could not be saved is refused as when saving.
    preview(json!({"condition": "doc.total <"})).await.problem(422, "webhook_invalid");
    preview(json!({"request_url": "http://10.0.0.1/"})).await.problem(422, "address_refused");
    preview(json!({"secrets": ["********"]})).await.problem(422, "webhook_invalid");
    served
        .post("/v1/webhooks/preview", json!({"event": event("N-1")}).to_string())
        .await
        .problem(422, "body_malformed");
    assert_eq!(served.get("/v1/webhooks").await.ok(200)["webhooks"], json!([]), "nothing is saved");
    assert_eq!(served.stand.receiver.count(), 0, "nothing is sent");

    // Masks stand for the secrets of the saved one, so that a change of it can be looked at.
    served.webhook(json!({"secrets": [SECRET]})).await;
    preview(json!({"name": "notes", "secrets": ["********"]})).await.ok(200);

    // The call's name is one that a webhook may bear, and another is none that can be posted to.
    served.put("/v1/webhooks/preview", webhook_json(&url, &json!({})).to_string()).await.ok(201);
    assert_eq!(served.get("/v1/webhooks/preview").await.ok(200)["name"], "preview");
    let answer = served.request(Method::POST, "/v1/webhooks/notes").send().await.expect("an answer");
    assert_eq!(answer.headers()["allow"], "GET,HEAD,PUT,DELETE");
    send(served.request(Method::POST, "/v1/webhooks/notes")).await.problem(405, "wrong_method");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_sends_one_request_and_answers_with_all_of_it() {
    let served = Served::new().await;
    let headers = json!([{"key": "X-Api-Key", "value": "t0p"}]);
    served.webhook(json!({"secrets": [SECRET], "headers": headers, "enabled": false})).await;
    served.stand.receiver.script([Answer::with_header(201, "x-seen", "yes")]);
    let told = served.post("/v1/webhooks/notes/test", event("N-1").to_string()).await.ok(200);
    let sent = served.stand.receiver.only_request().await;
    assert_eq!((&told["sent"], &told["outcome"], &told["matches"]), (&json!(true), &json!("delivered"), &json!(false)));
    assert_eq!((&told["response"]["status"], header(&told["response"], "x-seen")), (&json!(201), "yes"));
    assert!(told["duration_ms"].is_u64(), "{told}");
    // It is the very request, but for what nobody is to see.
    assert_eq!((&told["request"]["body"], sent.header("x-api-key")), (&json!(sent.text()), "t0p"));
    assert_eq!(header(&told["request"], "x-api-key"), "********");
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        assert_eq!(header(&told["request"], name), sent.header(name));
    }
    let verifier = standardwebhooks::Webhook::new(SECRET).expect("a secret");
    let signed = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let signed = signed
        .map(|name| (name.parse::<http::HeaderName>().expect("a name"), sent.header(name).parse().expect("a value")));
    verifier.verify(&sent.body, &signed.into_iter().collect()).expect("signed");
    assert_eq!(served.get("/v1/deliveries").await.ok(200)["deliveries"], json!([]), "nothing is recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_fails_is_told_and_not_tried_again() {
    let served = Served::new().await;
    served.webhook(json!({"retry": {"schedule": ["0s", "0s"]}, "timeout_ms": 1000})).await;
    let test = async || served.post("/v1/webhooks/notes/test", event("N-1").to_string()).await.ok(200);
    served.stand.receiver.script([Answer::Status(500), Answer::Close, Answer::Stall]);
    let told = test().await;
    assert_eq!((&told["outcome"], &told["response"]["status"]), (&json!("retry"), &json!(500)));
    assert!(told["reason"].as_str().expect("a reason").contains("500"), "{told}");
    let told = test().await;
    assert_eq!((&told["outcome"], &told["response"]), (&json!("retry"), &Value::Null));
    assert!(told["error"]["code"].as_str().expect("a code").starts_with("send_"), "{told}");
    assert_eq!(test().await["error"]["code"], "send_timeout");
    assert_eq!(served.stand.receiver.count(), 3);

    // What has nothing to send goes nowhere, and so does what may not go there.
    served.webhook(json!({"condition": "doc.name == 'other'"})).await;
    let told = test().await;
    assert_eq!((&told["sent"], &told["decision"], &told["outcome"]), (&json!(false), &json!("skip"), &Value::Null));
    let away = json!({"request_url": "http://{{ doc.name }}/", "dynamic_url": true});
    served.webhook(away).await;
    let inside = json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": "10.0.0.1"}});
    let told = served.post("/v1/webhooks/notes/test", inside.to_string()).await.ok(200);
    assert_eq!((&told["sent"], &told["error"]["code"]), (&json!(false), &json!("address_refused")));
    assert_eq!(served.stand.receiver.count(), 3);
    served.post("/v1/webhooks/none/test", event("N-1").to_string()).await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_of_a_recorded_event_is_no_repeat_of_its_delivery() {
    let served = Served::new().await;
    served.webhook(json!({})).await;
    let (event_id, delivery) = delivered(&served, "N-1").await;
    for body in [json!({"event_id": event_id}), json!({"delivery": delivery})] {
        let told = served.post("/v1/webhooks/notes/test", body.to_string()).await.ok(200);
        assert_eq!(told["outcome"], "delivered");
    }
    let sent = served.stand.receiver.wait_for_requests(3).await;
    assert_eq!((&sent[0].body, &sent[0].body), (&sent[1].body, &sent[2].body));
    let ids: std::collections::BTreeSet<&str> = sent.iter().map(|request| request.header("webhook-id")).collect();
    assert_eq!(ids.len(), 3);
    let detail = served.get(&format!("/v1/deliveries/{delivery}")).await.ok(200);
    assert_eq!(detail["attempts"].as_array().expect("attempts").len(), 1);
}
