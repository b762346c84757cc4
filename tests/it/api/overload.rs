//! More than the engine may owe: callers are told to come back, and what was taken arrives.

use std::collections::HashSet;

use hookmill_testing::{Answer, wait_until};
use serde_json::{Value, json};

use super::client::{Reply, Served};

/// What may wait, and what may be under way beside it.
const WAITING_MAX: usize = 20;
const IN_FLIGHT: usize = 4;

async fn stalled() -> Served {
    let served = Served::with(|config| {
        (config.waiting_max, config.in_flight_per_receiver_max) = (WAITING_MAX, IN_FLIGHT);
    })
    .await;
    served.stand.receiver.always(Answer::Hold);
    served.webhook(json!({})).await;
    served
}

fn note(name: &str) -> Value {
    json!({"id": name, "doctype": "Note", "doc_event": "on_update", "doc": {"name": name}})
}

#[track_caller]
fn told_to_come_back(reply: Reply, code: &str) -> Value {
    assert_eq!(reply.retry_after.as_deref(), Some("1"), "{}", reply.json);
    reply.problem(503, code)
}

/// Lets everything go, and checks that each event that was taken arrives, and nothing else.
async fn all_arrive(served: &Served, taken: &[String]) {
    served.stand.receiver.release(1000);
    let requests = served.stand.receiver.wait_for_requests(taken.len()).await;
    wait_until("all to be settled", async || served.stand.engine.load() == (0, 0)).await;
    let name =
        |body: &[u8]| serde_json::from_slice::<Value>(body).expect("JSON")["name"].as_str().expect("a name").to_owned();
    let got: Vec<_> = requests.iter().map(|request| name(&request.body)).collect();
    assert_eq!(got.len(), served.stand.receiver.count());
    let (got, taken): (HashSet<_>, HashSet<_>) = (got.iter().collect(), taken.iter().collect());
    assert_eq!(got, taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_too_many_is_refused_until_there_is_room() {
    let served = stalled().await;
    let mut taken = vec![];
    let refused = loop {
        let name = format!("N-{}", taken.len());
        let reply = served.post("/v1/events", note(&name).to_string()).await;
        if reply.status != 202 {
            break reply;
        }
        taken.push(name);
        assert!(taken.len() <= WAITING_MAX + IN_FLIGHT, "{} were taken", taken.len());
    };
    assert!(taken.len() >= WAITING_MAX, "{} were taken", taken.len());
    told_to_come_back(refused, "overloaded");
    let nobody = json!({"doctype": "Other", "doc_event": "x", "doc": {"name": "X"}});
    served.post("/v1/events", nobody.to_string()).await.ok(202);

    served.stand.receiver.release(1);
    wait_until("an event to be taken again", async || {
        served.post("/v1/events", note("again").to_string()).await.status == 202
    })
    .await;
    taken.push("again".into());
    all_arrive(&served, &taken).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_batch_as_much_is_taken_as_there_is_room_for() {
    let served = stalled().await;
    let batches = (0..4).map(|batch| {
        let events: Vec<_> = (0..50).map(|number| note(&format!("B-{batch}-{number}"))).collect();
        let served = &served;
        async move { served.post("/v1/events", json!(events).to_string()).await }
    });
    let mut taken = vec![];
    for reply in futures::future::join_all(batches).await {
        let problem = told_to_come_back(reply, "events_refused");
        let errors = problem["errors"].as_array().expect("errors");
        assert!(errors.iter().all(|error| error["code"] == "overloaded"), "{problem}");
        taken.extend(
            problem["events"].as_array().expect("events").iter().map(|event| event["id"].as_str().unwrap().to_owned()),
        );
    }
    assert!((WAITING_MAX..=WAITING_MAX + IN_FLIGHT).contains(&taken.len()), "{} were taken", taken.len());
    all_arrive(&served, &taken).await;
}
