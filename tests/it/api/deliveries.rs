//! `/v1/deliveries` and `/v1/tail`: looked for, looked at, sent again.

use hookmill::core::{DeliveryId, DeliveryState};
use hookmill_testing::{Answer, wait_until};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Served;
use crate::stand::note;

/// Publishes notes `N-0`, `N-1`, … whose first `dead` die, and waits until all are settled.
async fn with_notes(count: usize, dead: usize) -> (Served, Vec<DeliveryId>) {
    let served = Served::new().await;
    served.webhook(json!({"retry": {"preset": "none"}})).await;
    let mut ids = Vec::new();
    for number in 0..count {
        let (answer, state) = match number < dead {
            true => (Answer::with_body(500, "a strange complaint"), DeliveryState::Dead),
            false => (Answer::Status(200), DeliveryState::Delivered),
        };
        served.stand.receiver.script([answer]);
        ids.push(served.stand.publish(note(&format!("N-{number}"))).await);
        served.stand.reaches(ids[number], state).await;
    }
    (served, ids)
}

fn documents(answer: &Value) -> Vec<&str> {
    let rows = answer["deliveries"].as_array().expect("a list of deliveries");
    rows.iter().map(|row| row["document"].as_str().expect("a document's name")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_found_by_everything_that_is_known_of_them() {
    let (served, ids) = with_notes(4, 2).await;
    let find = async |query: &str| served.get(&format!("/v1/deliveries?{query}")).await.ok(200);
    let all = find("").await;
    assert_eq!(documents(&all), ["N-3", "N-2", "N-1", "N-0"]);
    let row = &all["deliveries"][3];
    assert_eq!((row["id"].as_str(), row["webhook"].as_str()), (Some(&*ids[0].to_string()), Some("notes")));
    assert_eq!((row["state"].as_str(), row["attempts"].as_u64()), (Some("dead"), Some(1)));
    assert!(row["reason"].as_str().unwrap().contains("500"));
    let event_id = all["deliveries"][0]["event_id"].as_str().unwrap();
    let since = all["deliveries"][1]["received_at"].as_str().unwrap();
    for (query, found) in [
        ("state=dead", &["N-1", "N-0"][..]),
        ("state=delivered&document=N-2", &["N-2"]),
        ("webhook=notes&doctype=Note&status=500", &["N-1", "N-0"]),
        ("webhook=other", &[]),
        ("text=strange", &["N-1", "N-0"]),
        (&format!("event_id={event_id}"), &["N-3"]),
        (&format!("since={since}"), &["N-3", "N-2"]),
        (&format!("until={since}"), &["N-1", "N-0"]),
    ] {
        assert_eq!(documents(&find(query).await), found, "{query}");
    }
    for query in ["state=lost", "colour=red", "status=many", "since=yesterday"] {
        served.get(&format!("/v1/deliveries?{query}")).await.problem(400, "query_malformed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_one_another_without_gap_or_repeat() {
    let (served, _) = with_notes(7, 0).await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = served.get(&format!("/v1/deliveries?limit=3{cursor}")).await.ok(200);
        assert!(documents(&page).len() <= 3);
        seen.extend(documents(&page).iter().map(ToString::to_string));
        match page["next"].as_i64() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["N-6", "N-5", "N-4", "N-3", "N-2", "N-1", "N-0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_delivery_is_shown_with_its_event_and_every_attempt() {
    let served = Served::new().await;
    let digest = served.stand.plugin("misbehaving", hookmill_testing::misbehaving()).await;
    let plugin = json!({"name": "misbehaving", "settings": {"do": "stdout"}});
    served.webhook(json!({"plugin": plugin, "retry": {"schedule": ["0s", "0s"]}})).await;
    served.stand.receiver.script([Answer::with_body(500, "broken"), Answer::with_body(201, "thanks")]);
    let id = served.stand.publish(note("N-1")).await;
    served.stand.reaches(id, DeliveryState::Delivered).await;
    let shown = served.get(&format!("/v1/deliveries/{id}")).await.ok(200);
    assert_eq!((shown["id"].as_str(), shown["state"].as_str()), (Some(&*id.to_string()), Some("delivered")));
    assert_eq!(shown["event"]["doc"], json!({"name": "N-1"}));
    let attempts = shown["attempts"].as_array().unwrap();
    let (first, second) = (&attempts[0], &attempts[1]);
    assert_eq!((attempts.len(), &first["outcome"], &second["outcome"]), (2, &json!("retry"), &json!("delivered")));
    assert_eq!((&first["response"]["status"], &first["response"]["body"]), (&json!(500), &json!("broken")));
    assert_eq!((&second["response"]["status"], &second["response"]["body"]), (&json!(201), &json!("thanks")));
    assert_eq!(first["request"]["body"], "printed");
    assert_eq!(first["request"], second["request"]);
    assert_eq!(first["plugin"]["digest"], digest.to_string());
    assert!(first["plugin"]["fuel"].as_u64().unwrap() > 0 && first["plugin"]["memory"].as_u64().unwrap() > 0);
    assert_eq!(first["plugin"]["log"][0], "stdout: a line on stdout");
    assert_eq!(second["plugin"], Value::Null, "a retry runs no plugin");
    assert!(first["duration_ms"].is_u64() && first["at"].as_str().unwrap().ends_with('Z'));

    served.get(&format!("/v1/deliveries/dlv_{}", "0".repeat(32))).await.problem(404, "not_found");
    served.get("/v1/deliveries/nonsense").await.problem(422, "invalid_name");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_or_many_are_sent_again_and_a_dry_run_only_counts() {
    let (served, ids) = with_notes(5, 3).await;
    let path = format!("/v1/deliveries/{}/redeliver", ids[0]);
    let answer = served.post(&path, json!({"mode": "as-sent"}).to_string()).await.ok(202);
    assert_eq!((answer["state"].as_str(), answer["mode"].as_str()), (Some("pending"), Some("as-sent")));
    served.stand.reaches(ids[0], DeliveryState::Delivered).await;
    assert_eq!(served.post(&path, "").await.ok(202)["mode"], "as-sent");
    served.stand.tried(ids[0], 3).await;
    served.post(&path, json!({"mode": "twice"}).to_string()).await.problem(422, "body_malformed");

    let bulk = async |body: Value| served.post("/v1/deliveries/redeliver", body.to_string()).await;
    let report = bulk(json!({"state": "dead", "dry_run": true})).await.ok(200);
    assert_eq!((report["matched"].as_u64(), report["redelivered"].as_u64()), (Some(2), Some(0)));
    let report = bulk(json!({"state": "dead", "mode": "transform"})).await.ok(202);
    assert_eq!((report["matched"].as_u64(), report["redelivered"].as_u64()), (Some(2), Some(2)));
    for id in &ids {
        served.stand.reaches(*id, DeliveryState::Delivered).await;
    }
    let problem = bulk(json!({})).await.problem(422, "filter_missing");
    assert!(problem["help"].as_str().unwrap().contains("dry_run"));
    bulk(json!({"mode": "as-sent"})).await.problem(422, "filter_missing");
    bulk(json!({"state": "dead", "colour": 1})).await.problem(422, "body_malformed");
    let unknown = format!("/v1/deliveries/dlv_{}/redeliver", "0".repeat(32));
    served.post(&unknown, "").await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_begun_watched_and_cancelled() {
    let (served, _) = with_notes(3, 3).await;
    let begin = async |query: &str, body: Value| {
        served.post(&format!("/v1/deliveries/redeliver{query}"), body.to_string()).await
    };
    let told = begin("", json!({"state": "dead", "dry_run": true})).await.ok(200);
    assert_eq!((&told["by_state"], &told["by_webhook"]), (&json!({"dead": 3}), &json!({"notes": 3})));
    let job = begin("?wait=false", json!({"state": "dead", "mode": "transform"})).await.ok(202);
    assert_eq!((&job["query"], &job["mode"]), (&json!({"state": "dead"}), &json!("transform")));
    let path = format!("/v1/replays/{}", job["id"].as_str().expect("an id"));
    wait_until("all to be delivered", async || {
        let job = served.get(&path).await.ok(200);
        job["settled"]["delivered"] == 3 && job["state"] == "done"
    })
    .await;
    let job = served.get(&path).await.ok(200);
    assert_eq!(served.get("/v1/replays").await.ok(200), json!({"replays": [&job]}));
    assert_eq!(served.delete(&path).await.ok(200), job, "one that has ended stays as it is");
    // What became of a delivery can be read a moment before it is let go of.
    wait_until("nothing to be under way", async || served.stand.engine.load() == (0, 0)).await;
    let report = begin("", json!({"webhook": "notes"})).await.ok(202);
    assert_eq!((&report["matched"], &report["redelivered"], &report["passed_over"]), (&json!(3), &json!(3), &json!(0)));
    let listed = served.get("/v1/replays").await.ok(200);
    assert_eq!(listed["replays"][0]["id"], report["replay"]);
    served.get("/v1/replays/rpl_unknown").await.problem(404, "not_found");
    served.get("/v1/replays/unknown").await.problem(422, "invalid_name");
    begin("?wait=perhaps", json!({"state": "dead"})).await.problem(400, "query_malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tail_shows_attempts_as_they_end() {
    let served = Served::new().await;
    served.webhook(json!({"retry": {"preset": "none"}})).await;
    served.stand.receiver.script([Answer::Status(500), Answer::Status(200)]);
    let mut tail = served.request(Method::GET, "/v1/tail").send().await.unwrap();
    assert_eq!(tail.headers()["content-type"], "application/x-ndjson");
    let ids = [served.stand.publish(note("N-1")).await, {
        served.stand.receiver.wait_for_requests(1).await;
        served.stand.publish(note("N-2")).await
    }];
    let mut text = String::new();
    while text.lines().count() < 2 || !text.ends_with('\n') {
        let chunk = tail.chunk().await.unwrap().expect("the tail does not end");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["document"].to_string());
    assert_eq!(
        lines.iter().map(|line| line["delivery"].as_str().unwrap()).collect::<Vec<_>>(),
        ids.map(|id| id.to_string())
    );
    let summary = |line: &Value| (line["outcome"].clone(), line["state"].clone(), line["status"].clone());
    assert_eq!(summary(&lines[0]), (json!("dead"), json!("dead"), json!(500)));
    assert_eq!(summary(&lines[1]), (json!("delivered"), json!("delivered"), json!(200)));
    wait_until("all to be settled", async || served.stand.engine.load() == (0, 0)).await;
}
