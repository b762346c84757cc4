//! `POST /v1/events`: single, array, NDJSON, and everything that can be wrong with them.

use hookmill::core::DeliveryState;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Reply, Served, send};

fn note(name: &str) -> Value {
    json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": name}})
}

async fn ndjson(served: &Served, lines: impl Into<reqwest::Body>) -> Reply {
    send(served.request(Method::POST, "/v1/events").header("content-type", "application/x-ndjson").body(lines)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_is_accepted_and_a_repeat_is_known() {
    let served = Served::new().await;
    served.webhook(json!({})).await;
    let mut event = note("N-1");
    event["id"] = json!("evt-1");
    let first = served.post("/v1/events", event.to_string()).await.ok(202);
    assert_eq!((first["id"].as_str(), first["duplicate"].as_bool()), (Some("evt-1"), Some(false)));
    let id = first["deliveries"][0].as_str().unwrap().parse().unwrap();
    served.stand.reaches(id, DeliveryState::Delivered).await;

    let again = served.post("/v1/events", event.to_string()).await.ok(200);
    assert_eq!((&again["deliveries"], again["duplicate"].as_bool()), (&first["deliveries"], Some(true)));
    event["doc"]["title"] = json!("other");
    served.post("/v1/events", event.to_string()).await.problem(409, "event_id_taken");
    let made = served.post("/v1/events", note("N-2").to_string()).await.ok(202);
    assert!(made["id"].as_str().unwrap().starts_with("evt_"));
    assert_eq!(served.stand.receiver.wait_for_requests(2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_is_taken_in_its_order() {
    let served = Served::new().await;
    served.webhook(json!({})).await;
    let answer = served.post("/v1/events", json!([note("a"), note("b"), note("c")]).to_string()).await.ok(202);
    let events = answer["events"].as_array().unwrap();
    assert_eq!(events.iter().map(|event| event["index"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
    served.stand.receiver.wait_for_requests(3).await;
    served.post("/v1/events", "[]").await.problem(400, "no_events");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_lines_the_good_ones_are_delivered_and_the_bad_one_is_named() {
    let served = Served::new().await;
    served.webhook(json!({})).await;
    let lines = format!("{}\n{}\n\n{{\"doctype\":\"Note\"\n{}\n", note("a"), note("b"), note("c"));
    let problem = ndjson(&served, lines).await.problem(400, "events_refused");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 1);
    assert_eq!(
        (problem["errors"][0]["line"].as_u64(), &problem["errors"][0]["code"]),
        (Some(4), &json!("event_malformed"))
    );
    assert!(problem["detail"].as_str().unwrap().contains("line 4"), "{problem}");
    let taken: Vec<_> = problem["events"].as_array().unwrap().iter().map(|event| event["line"].as_u64()).collect();
    assert_eq!(taken, [Some(1), Some(2), Some(5)]);
    let requests = served.stand.receiver.wait_for_requests(3).await;
    let mut bodies: Vec<_> = requests.iter().map(|request| request.text().to_owned()).collect();
    bodies.sort();
    assert_eq!(bodies, [r#"{"name":"a"}"#, r#"{"name":"b"}"#, r#"{"name":"c"}"#]);

    let good = format!("{}\r\n{}", note("d"), note("e"));
    assert_eq!(ndjson(&served, good).await.ok(202)["events"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_all_bad_are_all_named_and_nothing_is_stored() {
    let served = Served::new().await;
    served.webhook(json!({})).await;
    let mut lines = b"nonsense\n{\"doctype\":\"Note\",\"doc_event\":\"e\",\"doc\":[]}\n\"\xff\"\n".to_vec();
    lines.extend(br#"{"id":"","doctype":"Note","doc_event":"e","doc":{}}"#);
    let problem = ndjson(&served, lines).await.problem(400, "events_refused");
    let errors: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["code"]).collect();
    assert_eq!(errors, ["event_malformed", "event_doc_not_object", "event_not_utf8", "event_bad_id"]);
    assert_eq!(problem["events"], json!([]));
    ndjson(&served, "\n\n").await.problem(400, "no_events");
    assert_eq!(served.get("/v1/deliveries").await.ok(200)["deliveries"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_event_has_its_status_its_code_and_stores_nothing() {
    let served = Served::new().await;
    served.webhook(json!({"doc_event": "*"})).await;
    let with_doc = |doc: &str| format!(r#"{{"doctype":"Note","doc_event":"on_update","doc":{doc}}}"#).into_bytes();
    let cases: [(Vec<u8>, u16, &str); 10] = [
        (vec![], 400, "event_malformed"),
        (b"{".to_vec(), 400, "event_malformed"),
        (b"\xff\xfe".to_vec(), 400, "event_not_utf8"),
        (
            with_doc("\"\u{e9}\"").iter().map(|byte| if *byte == 0xc3 { 0xff } else { *byte }).collect(),
            400,
            "event_not_utf8",
        ),
        (with_doc("[1]"), 422, "event_doc_not_object"),
        (with_doc("\"text\""), 422, "event_doc_not_object"),
        (with_doc("null"), 422, "event_doc_not_object"),
        (with_doc(&format!(r#"{{"text":"{}"}}"#, "x".repeat(5 << 20))), 413, "event_doc_too_large"),
        (br#"{"doctype":"","doc_event":"e","doc":{}}"#.to_vec(), 422, "event_bad_field"),
        (br#"{"doctype":"Note","doc_event":"e","doc":{},"colour":1}"#.to_vec(), 400, "event_malformed"),
    ];
    for (body, status, code) in cases {
        served.post("/v1/events", body).await.problem(status, code);
    }
    let problem = served.post("/v1/events", vec![b' '; 17 << 20]).await.problem(413, "body_too_large");
    assert!(problem["detail"].as_str().unwrap().contains("16777216"), "{problem}");
    assert_eq!(served.get("/v1/deliveries").await.ok(200)["deliveries"], json!([]));
    assert_eq!(served.stand.receiver.count(), 0);
}
