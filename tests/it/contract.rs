//! What users write down and must find unchanged: a webhook's JSON. (`cargo xtask tidy` guards the plugin contract.)

use hookmill::{Explain as _, Webhook};
use serde_json::{Value, json};

use crate::stand::{Stand, tenant, webhook_name};

/// A webhook with every field, as the documentation shows it.
fn example() -> Value {
    json!({
        "doctype": "Quotation", "doc_event": "on_update", "enabled": true, "condition": "doc.grand_total > 1000",
        "request_url": "https://example.com/in", "dynamic_url": false, "request_method": "POST",
        "request_structure": "json", "headers": [{"key": "X-Api-Key", "value": "a key"}],
        "data": [{"fieldname": "name", "key": "id"}], "json_template": null,
        "plugin": {"name": "invoice", "digest": null, "settings": {}, "on_error": "park"},
        "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "profile": "hookmill",
        "retry": {"preset": "default"}, "timeout_ms": 15000, "ordering": "none", "rate_limit": null, "coalesce_ms": 0
    })
}

fn parse(json: &Value) -> Result<Webhook, hookmill::core::WebhookError> {
    Webhook::parse(json.to_string().as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_with_every_field_is_given_back_field_by_field() {
    let (stand, example) = (Stand::new().await, example());
    let webhook = parse(&example).expect("the example is a webhook");
    let (stored, new) = stand.engine.put_webhook(&tenant(), &webhook_name("q"), webhook).await.expect("it is saved");
    assert!(new);
    let mut given_back = serde_json::to_value(&stored).unwrap();
    assert_eq!(given_back["secrets"], json!(["********"]));
    given_back["secrets"] = example["secrets"].clone();
    assert_eq!(given_back["headers"], json!([{"key": "X-Api-Key", "value": "********"}]));
    given_back["headers"] = example["headers"].clone();
    for (field, value) in example.as_object().unwrap() {
        assert_eq!(&given_back[field], value, "{field}");
    }
    // And the name under which it is saved.
    assert_eq!(given_back.as_object().unwrap().len(), example.as_object().unwrap().len() + 1);
}

#[test]
fn each_field_but_three_can_be_left_out_alone() {
    for field in example().as_object().unwrap().keys() {
        let mut without = example();
        without.as_object_mut().unwrap().shift_remove(field);
        let required = ["doctype", "doc_event", "request_url"].contains(&field.as_str());
        assert_eq!(parse(&without).is_err(), required, "{field}");
    }
    let least = json!({"doctype": "Note", "doc_event": "on_update", "request_url": "https://example.com/in"});
    parse(&least).expect("three fields are enough");
}

#[test]
fn every_spelling_that_the_documentation_names_is_taken() {
    for (field, value) in [
        ("request_method", json!("PUT")),
        ("request_method", json!("PATCH")),
        ("request_method", json!("DELETE")),
        ("retry", json!({"schedule": ["0s", "5s", "5m"]})),
        ("retry", json!({"preset": "none"})),
        ("retry", json!({"preset": "frappe"})),
        ("ordering", json!("document")),
        ("plugin", json!({"name": "invoice", "on_error": "send_default"})),
        ("plugin", json!({"name": "invoice", "on_error": "skip", "digest": "0".repeat(64)})),
        ("doc_event", json!("*")),
    ] {
        let mut webhook = example();
        webhook[field] = value.clone();
        assert!(parse(&webhook).is_ok(), "{field}: {value}");
    }
}

#[test]
fn what_is_misspelled_is_refused_by_name() {
    for (field, value, code) in [
        ("colour", json!("red"), "webhook_unknown_field"),
        ("request_method", json!("GET"), "webhook_malformed"),
        ("retry", json!({"preset": "sometimes"}), "webhook_malformed"),
        ("retry", json!({"schedule": ["soon"]}), "webhook_malformed"),
        ("timeout_ms", json!(99), "webhook_invalid"),
        ("rate_limit", json!({"per_second": 1}), "webhook_malformed"),
        ("coalesce_ms", json!(3_600_001), "webhook_invalid"),
        ("request_url", json!("ftp://example.com"), "webhook_invalid"),
    ] {
        let mut webhook = example();
        webhook[field] = value;
        let error = parse(&webhook).expect_err(field);
        assert_eq!(error.code(), code, "{error}");
    }
}
