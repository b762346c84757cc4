//! An event goes in; exactly the right request comes out, once.

use hookmill::core::DeliveryState;
use hookmill::{EngineError, Explain as _};
use hookmill_testing::{envelope, expected};
use serde_json::{Value, json};

use crate::stand::{Stand, event, note, tenant};

#[tokio::test(flavor = "multi_thread")]
async fn a_document_arrives_byte_for_byte_with_the_webhooks_headers() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"headers": [{"key": "X-Api-Key", "value": "abc"}]})).await;
    let text = r#"{"doctype":"Note","doc_event":"on_update","doc":{"z":1.0,"name":"N-1","a":12345678901234567890,"n":1e400,"π":"👋"}}"#;
    let id = stand.publish(hookmill::EventEnvelope::parse(text.as_bytes()).unwrap()).await;
    let request = stand.receiver.only_request().await;
    assert_eq!(request.text(), r#"{"z":1.0,"name":"N-1","a":12345678901234567890,"n":1e400,"π":"👋"}"#);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/in"));
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("x-api-key"), "abc");
    assert_eq!(request.header("webhook-id"), id.to_string());
    assert!(request.header("webhook-timestamp").parse::<i64>().unwrap() > 1_700_000_000);
    assert!(request.header("user-agent").starts_with("hookmill/"));
    assert!(!request.has_header("webhook-signature"), "there is no secret to sign with");

    let detail = stand.reaches(id, DeliveryState::Delivered).await;
    let attempt = &detail.attempts[0];
    assert_eq!((detail.attempts.len(), attempt.outcome.as_str()), (1, "delivered"));
    assert_eq!(attempt.response.as_ref().unwrap().status, 200);
    assert_eq!(attempt.request.as_ref().unwrap().body, request.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_webhook_sends_the_keys_of_its_rows_in_order() {
    let stand = Stand::new().await;
    let rows = json!([{"fieldname": "name", "key": "id"}, {"fieldname": "items", "key": "lineItems"}]);
    stand.webhook("quotation", json!({"doctype": "Quotation", "data": rows})).await;
    stand.publish(envelope("quotation-on-update")).await;
    let request = stand.receiver.only_request().await;
    assert_eq!(request.text(), String::from_utf8(expected("quotation-seed")).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_a_method_and_a_url_of_the_document_are_honoured() {
    let stand = Stand::new().await;
    let url = stand.receiver.url("/notes/{{ doc.name }}");
    stand
        .webhook(
            "notes",
            json!({"request_url": url, "dynamic_url": true, "request_method": "PUT",
                   "json_template": "{\"title\": {{ doc.name | tojson }}, \"by\": {{ user | tojson }}}"}),
        )
        .await;
    stand
        .publish(event(&json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": "N-1"}, "user": "me"})))
        .await;
    let request = stand.receiver.only_request().await;
    assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/notes/N-1"));
    assert_eq!(request.text(), r#"{"title":"N-1","by":"me"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_condition_skips_and_a_broken_one_parks() {
    let stand = Stand::new().await;
    stand.webhook("big", json!({"condition": "doc.total > 1000"})).await;
    let with_total = |total: Value| {
        event(&json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": "N", "total": total}}))
    };
    let skipped = stand.reaches(stand.publish(with_total(json!(1000))).await, DeliveryState::Skipped).await;
    assert!(skipped.row.status.reason.unwrap().contains("`doc.total > 1000` is false"));
    let parked = stand.reaches(stand.publish(note("no total")).await, DeliveryState::Parked).await;
    let reason = parked.row.status.reason.clone().unwrap();
    assert!(reason.starts_with("condition_failed: ") && reason.contains("doc.total > 1000"), "{reason}");
    assert_eq!(stand.receiver.count(), 0);
    stand.reaches(stand.publish(with_total(json!(1000.5))).await, DeliveryState::Delivered).await;
    assert_eq!(stand.receiver.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_goes_to_every_webhook_that_matches_and_to_no_other() {
    let stand = Stand::new().await;
    stand.webhook("a", json!({})).await;
    stand.webhook("b", json!({"doc_event": "*"})).await;
    stand.webhook("other event", json!({"doc_event": "on_trash"})).await;
    stand.webhook("other doctype", json!({"doctype": "Task"})).await;
    stand.webhook("disabled", json!({"enabled": false})).await;
    let published = stand.engine.publish(&tenant(), note("N-1")).await.unwrap();
    assert_eq!(published.deliveries.len(), 2);
    for id in published.deliveries {
        let detail = stand.reaches(id, DeliveryState::Delivered).await;
        assert!(["a", "b"].contains(&detail.row.webhook.as_str()));
    }
    let nobody = event(&json!({"doctype": "Unheard", "doc_event": "on_update", "doc": {}}));
    assert!(stand.engine.publish(&tenant(), nobody).await.unwrap().deliveries.is_empty());
    assert_eq!(stand.receiver.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_recognized_and_another_event_of_the_same_id_refused() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({})).await;
    let numbered = |title: &str| {
        event(
            &json!({"id": "evt-7", "doctype": "Note", "doc_event": "on_update", "doc": {"name": "N", "title": title}}),
        )
    };
    let first = stand.engine.publish(&tenant(), numbered("a")).await.unwrap();
    stand.reaches(first.deliveries[0], DeliveryState::Delivered).await;
    let again = stand.engine.publish(&tenant(), numbered("a")).await.unwrap();
    assert_eq!((first.duplicate, again.duplicate), (false, true));
    assert_eq!(first.deliveries, again.deliveries);
    let error = stand.engine.publish(&tenant(), numbered("b")).await.expect_err("refused");
    assert!(matches!(error, EngineError::EventIdTaken { .. }));
    assert_eq!(error.code(), "event_id_taken");
    // What came after went out; so what was not to be sent would have gone before it.
    stand.reaches(stand.publish(note("after")).await, DeliveryState::Delivered).await;
    assert_eq!(stand.receiver.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_event_costs_the_others_of_its_batch_nothing() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({})).await;
    let bad = event(&json!({"doctype": "Note", "doc_event": "on_update", "doc": [1]}));
    let answers = stand.engine.publish_many(&tenant(), vec![note("a"), bad, note("b")]).await;
    assert_eq!(answers[1].as_ref().expect_err("refused").code(), "event_doc_not_object");
    for answer in [&answers[0], &answers[2]] {
        stand.reaches(answer.as_ref().expect("taken").deliveries[0], DeliveryState::Delivered).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_events_that_are_gathered_the_last_state_of_each_document_is_sent() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"coalesce_ms": 2000, "data": [{"fieldname": "title", "key": "title"}]})).await;
    let save = |name: &str, title: u32| {
        event(&json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": name, "title": title}}))
    };
    let mut ids = vec![];
    for (name, title) in [("A", 1), ("B", 1), ("A", 2), ("A", 3)] {
        ids.push(stand.publish(save(name, title)).await);
    }
    let last = stand.reaches(ids[3], DeliveryState::Delivered).await;
    stand.reaches(ids[1], DeliveryState::Delivered).await;
    for (given_way, to) in [(ids[0], ids[2]), (ids[2], ids[3])] {
        let reason = stand.reaches(given_way, DeliveryState::Skipped).await.row.status.reason.expect("a reason");
        assert!(reason.contains(&to.to_string()), "{reason}");
    }
    assert_eq!(last.attempts.len(), 1);
    let mut bodies: Vec<String> = stand.receiver.requests().iter().map(|request| request.text().to_owned()).collect();
    bodies.sort();
    assert_eq!(bodies, [r#"{"title":1}"#, r#"{"title":3}"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_gathered_on_after_a_restart() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"coalesce_ms": 10_000, "data": [{"fieldname": "title", "key": "title"}]})).await;
    let save =
        |title: u32| event(&json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": "A", "title": title}}));
    let first = stand.publish(save(1)).await;
    let stand = stand.restart().await;
    let second = stand.publish(save(2)).await;
    let reason = stand.reaches(first, DeliveryState::Skipped).await.row.status.reason.expect("a reason");
    assert!(reason.contains(&second.to_string()), "{reason}");
    assert_eq!(stand.receiver.count(), 0);
}
