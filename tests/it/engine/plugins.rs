//! What becomes of a delivery whose webhook has a plugin.

use hookmill::core::DeliveryState;
use hookmill::plugin::PluginLimits;
use hookmill::{Explain as _, LimitsOf, TenantId};
use hookmill_testing::{Answer, envelope, example_plugin, expected, misbehaving};
use serde_json::{Value, json};

use crate::stand::{Stand, last_error, note, plugin_name};

fn misbehaves(how: &Value, on_error: &str) -> Value {
    json!({"plugin": {"name": "misbehaving", "settings": how, "on_error": on_error}})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plugins_payload_arrives_and_its_cost_is_recorded() {
    let stand = Stand::new().await;
    let digest = stand.plugin("invoice", example_plugin("rust_quotation_invoice")).await;
    stand.webhook("invoices", json!({"doctype": "Quotation", "plugin": {"name": "invoice"}})).await;
    let id = stand.publish(envelope("quotation-on-update")).await;
    let request = stand.receiver.only_request().await;
    assert_eq!(request.text(), String::from_utf8(expected("quotation-invoice")).unwrap());
    assert_eq!(request.header("content-type"), "application/json");
    let detail = stand.reaches(id, DeliveryState::Delivered).await;
    let run = detail.attempts[0].plugin.as_ref().expect("the plugin's run");
    assert_eq!((run.name.as_str(), run.digest), ("invoice", digest));
    assert!(run.fuel > 1_000 && run.memory >= 65_536, "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_nobody_uploaded_parks_the_delivery() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"plugin": {"name": "missing"}})).await;
    let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Parked).await;
    let (code, message) = last_error(&detail);
    assert_eq!(code, "plugin_unknown");
    assert!(message.contains("missing"), "{message}");
    assert_eq!(stand.receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_plugin_parks_sends_the_default_or_skips_as_the_webhook_says() {
    let stand = Stand::new().await;
    stand.plugin("misbehaving", misbehaving()).await;

    stand.webhook("notes", misbehaves(&json!({"do": "panic"}), "park")).await;
    let detail = stand.reaches(stand.publish(note("parked")).await, DeliveryState::Parked).await;
    assert_eq!(last_error(&detail).0, "plugin_panic");
    assert!(detail.row.status.reason.unwrap().starts_with("plugin_panic: "));
    assert!(detail.attempts[0].plugin.as_ref().unwrap().log.join("\n").contains("panicked on demand"));
    assert!(detail.attempts[0].error.as_ref().unwrap().backtrace.is_some());

    stand.webhook("notes", misbehaves(&json!({"do": "loop"}), "skip")).await;
    let detail = stand.reaches(stand.publish(note("skipped")).await, DeliveryState::Skipped).await;
    assert_eq!(last_error(&detail).0, "plugin_out_of_fuel");
    assert_eq!(stand.receiver.count(), 0);

    stand.webhook("notes", misbehaves(&json!({"do": "trap"}), "send_default")).await;
    let detail = stand.reaches(stand.publish(note("default")).await, DeliveryState::Delivered).await;
    assert_eq!(last_error(&detail).0, "plugin_trap");
    assert_eq!(stand.receiver.only_request().await.text(), r#"{"name":"default"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_skips_says_why() {
    let stand = Stand::new().await;
    stand.plugin("misbehaving", misbehaving()).await;
    stand.webhook("notes", misbehaves(&json!({"do": "skip"}), "park")).await;
    let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Skipped).await;
    assert_eq!(detail.row.status.reason.as_deref(), Some("skipped on demand"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_sees_the_draft_that_the_rows_made() {
    let stand = Stand::new().await;
    stand.plugin("misbehaving", misbehaving()).await;
    let mut webhook = misbehaves(&json!({"do": "echo"}), "park");
    webhook["data"] = json!([{"fieldname": "name", "key": "id"}]);
    stand.webhook("notes", webhook).await;
    stand.publish(note("N-1")).await;
    let echo: Value = serde_json::from_slice(&stand.receiver.only_request().await.body).unwrap();
    assert_eq!(echo["draft"]["body"], json!({"kind": "json", "text": "{\"id\":\"N-1\"}"}));
    assert_eq!(echo["draft"]["url"], stand.receiver.url("/in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_sends_what_the_first_version_made_though_it_was_replaced() {
    let stand = Stand::new().await;
    stand.plugin("p", example_plugin("rust_quotation_invoice")).await;
    stand
        .webhook(
            "quotations",
            json!({"doctype": "Quotation", "plugin": {"name": "p"}, "retry": {"schedule": ["0s", "1s"]}}),
        )
        .await;
    stand.receiver.script([Answer::Status(500)]);
    let id = stand.publish(envelope("quotation-on-update")).await;
    stand.tried(id, 1).await;
    stand.plugin("p", example_plugin("rust_slack_message")).await;
    stand.reaches(id, DeliveryState::Delivered).await;
    let requests = stand.receiver.requests();
    assert_eq!(requests[1].text(), String::from_utf8(expected("quotation-invoice")).unwrap());
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"));
    // The next event is the new version's.
    stand.publish(envelope("quotation-on-update")).await;
    let requests = stand.receiver.wait_for_requests(3).await;
    assert_eq!(requests[2].text(), String::from_utf8(expected("quotation-slack")).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_can_stay_on_a_version() {
    let stand = Stand::new().await;
    let first = stand.plugin("p", example_plugin("rust_quotation_invoice")).await;
    stand.plugin("p", example_plugin("rust_slack_message")).await;
    stand.webhook("quotations", json!({"doctype": "Quotation", "plugin": {"name": "p", "digest": first}})).await;
    stand.publish(envelope("quotation-on-update")).await;
    assert_eq!(stand.receiver.only_request().await.body, expected("quotation-invoice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_takes_long_holds_up_no_other_webhook_of_its_receiver() {
    let stand = Stand::new().await;
    stand.plugin("misbehaving", misbehaving()).await;
    stand.webhook("slow", misbehaves(&json!({"do": "loop"}), "park")).await;
    stand.webhook("quick", json!({"doctype": "Quotation"})).await;
    // More than may be under way to one receiver.
    let mut slow = vec![];
    for number in 0..100 {
        slow.push(stand.publish(note(&format!("N-{number}"))).await);
    }
    let quick = stand.publish(envelope("quotation-on-update")).await;
    stand.reaches(quick, DeliveryState::Delivered).await;
    let mut tried = 0;
    for id in &slow {
        tried += stand.detail(*id).await.attempts.len();
    }
    assert!(tried < 8, "{tried} runs of the slow plugin were waited for, about as many as suspend it");
    // None of them is forgotten for having waited aside.
    stand.plugin("misbehaving", example_plugin("rust_slack_message")).await;
    for id in slow {
        stand.looks(id, "settled", |detail| detail.row.status.state != DeliveryState::Pending).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_may_have_less_than_others() {
    let stand = Stand::with(|config| {
        config.limits_of = Some(LimitsOf::new(|tenant| {
            let mut limits = PluginLimits::default();
            match tenant.as_str() {
                "small" => (limits.fuel_max, limits.log_bytes_max) = (1_000, 0),
                "tiny" => limits.component_bytes_max = 1_000,
                // More than the host has for anybody.
                _ => limits.fuel_max *= 1_000,
            }
            limits
        }));
    })
    .await;
    let wasm = example_plugin("rust_quotation_invoice");
    let upload = async |tenant: &str| {
        let tenant = TenantId::new(tenant).expect("valid");
        stand.engine.upload_plugin(&tenant, &plugin_name("p"), wasm.clone(), true).await
    };
    upload("default").await.expect("as ever");
    // The component is known by now, and the tenant's own bounds are held against it all the same.
    let refused = upload("small").await.expect_err("its own fixtures take more");
    assert!(refused.code() == "plugin_fixture_not_met" && refused.to_string().contains("1000"), "{refused}");
    assert_eq!(upload("tiny").await.expect_err("too large").code(), "plugin_too_large");
    let of = |tenant: &str| stand.engine.plugin_limits(&TenantId::new(tenant).expect("valid")).fuel_max;
    assert_eq!((of("small"), of("another")), (1_000, PluginLimits::default().fuel_max));
    stand.webhook("quotations", json!({"doctype": "Quotation", "plugin": {"name": "p"}})).await;
    stand.reaches(stand.publish(envelope("quotation-on-update")).await, DeliveryState::Delivered).await;
}
