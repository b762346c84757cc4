//! A server whose disk is full, fails or is slow: what it says, what it goes on with, and what is there afterwards.

use std::collections::HashSet;
use std::sync::Mutex;

use hookmill_testing::{Answer, FailingDisk, Receiver, wait_for, wait_until};
use serde_json::{Value, json};

use crate::support::{Running, TOKEN};

/// More than may be under way at one time, to all receivers together.
const OWED: usize = 2_500;

const NO_ROOM: &str = "write fail 28 1 1000000000";
const SYNC_FAILS: &str = "sync fail 5 1 1000000000";
const SYNC_IS_SLOW: &str = "sync slow 100 1 1000000000";

/// Who calls a server.
struct Caller {
    http: reqwest::Client,
    url: String,
}

impl Caller {
    fn of(server: &Running) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { http, url: server.url.clone() }
    }

    /// Returns the status of an answer, its media type and its body; none if there was no answer.
    async fn ask(&self, request: reqwest::RequestBuilder) -> Option<(u16, String, Value)> {
        let answer = request.bearer_auth(TOKEN).send().await.ok()?;
        let status = answer.status().as_u16();
        let kind = answer.headers().get("content-type").map_or("", |kind| kind.to_str().expect("text")).to_owned();
        let text = answer.text().await.ok()?;
        Some((status, kind, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    async fn get(&self, path: &str) -> Option<(u16, String, Value)> {
        self.ask(self.http.get(format!("{}{path}", self.url))).await
    }

    /// Publishes one event as one, and several as lines.
    async fn publish(&self, names: impl IntoIterator<Item = String>) -> Option<(u16, String, Value)> {
        let event =
            |name: String| json!({"id": name, "doctype": "Note", "doc_event": "on_update", "doc": {"name": name}});
        let lines: Vec<String> = names.into_iter().map(|name| event(name).to_string()).collect();
        if let [line] = &*lines {
            return self.ask(self.http.post(format!("{}/v1/events", self.url)).body(line.clone())).await;
        }
        let request = self.http.post(format!("{}/v1/events", self.url)).header("content-type", "application/x-ndjson");
        self.ask(request.body(lines.join("\n"))).await
    }

    async fn webhook(&self, receiver: &Receiver) {
        let webhook = json!({"doctype": "Note", "doc_event": "on_update", "request_url": receiver.url("/in")});
        let request = self.http.put(format!("{}/v1/webhooks/notes", self.url)).body(webhook.to_string());
        assert_eq!(self.ask(request).await.expect("an answer").0, 201);
    }

    /// Waits until nothing is owed any more.
    async fn settled(&self) {
        wait_until("everything to be settled", async || {
            let (_, _, listed) = self.get("/v1/deliveries?state=pending&limit=1").await.expect("an answer");
            listed["deliveries"].as_array().is_some_and(Vec::is_empty)
        })
        .await;
    }
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

/// The documents that a receiver got.
fn documents(receiver: &Receiver) -> Vec<String> {
    let name = |body: &[u8]| serde_json::from_slice::<Value>(body).expect("JSON")["name"].as_str().map(str::to_owned);
    receiver.requests().iter().map(|request| name(&request.body).expect("a name")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_only_what_needs_room() {
    let (disk, receiver) = (FailingDisk::default(), Receiver::start());
    let server = Running::server_with(&disk.data(), |serve| disk.put_under(serve, NO_ROOM));
    let caller = Caller::of(&server);
    caller.webhook(&receiver).await;
    receiver.always(Answer::Hold);
    assert_eq!(caller.publish(names("before", OWED)).await.expect("an answer").0, 202);
    receiver.wait_for_requests(64).await;

    disk.fail();
    receiver.release(10 * OWED);
    receiver.wait_for_requests(OWED).await;
    let (status, kind, problem) = caller.publish(names("refused", 1)).await.expect("an answer");
    assert_eq!((status, kind.as_str(), &problem["code"]), (507, "application/problem+json", &json!("store_full")));
    let (status, _, problem) = caller.publish(names("refused", 3)).await.expect("an answer");
    assert_eq!((status, &problem["errors"][2]["code"], &problem["events"]), (507, &json!("store_full"), &json!([])));
    let (_, _, metrics) = caller.get("/metrics").await.expect("an answer");
    assert!(metrics.as_str().expect("text").contains(&format!("hookmill_attempts_unrecorded {OWED}")), "{metrics}");
    assert_eq!(caller.get("/health/ready").await.expect("an answer").0, 200);

    disk.recover();
    wait_until("events to be taken again", async || {
        caller.publish(names("refused", 3)).await.expect("an answer").0 == 202
    })
    .await;
    receiver.wait_for_requests(OWED + 3).await;
    caller.settled().await;
    assert_eq!(server.stop().0, Some(0));

    let again = Running::server(&disk.data());
    let caller = Caller::of(&again);
    caller.publish(names("after", 1)).await.expect("an answer");
    receiver.wait_for_requests(OWED + 4).await;
    let got = documents(&receiver);
    let distinct: HashSet<_> = got.iter().collect();
    println!(
        "a full disk: {} accepted, {} requests, 0 lost, {} twice",
        OWED + 4,
        got.len(),
        got.len() - distinct.len()
    );
    assert_eq!((got.len(), distinct.len()), (OWED + 4, OWED + 4), "each arrived once, and nothing else did");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_ends_the_server_and_loses_nothing() {
    let (disk, receiver) = (FailingDisk::default(), Receiver::start());
    let server = Running::server_with(&disk.data(), |serve| {
        disk.put_under(serve, SYNC_FAILS);
        serve.args(["--grace", "60"]);
    });
    let caller = Caller::of(&server);
    caller.webhook(&receiver).await;
    receiver.always(Answer::Hold);
    assert_eq!(caller.publish(names("before", 100)).await.expect("an answer").0, 202);
    receiver.wait_for_requests(64).await;

    disk.fail();
    let (status, _, problem) = caller.publish(names("doubtful", 3)).await.expect("an answer");
    assert_eq!((status, &problem["errors"][0]["code"]), (503, &json!("store_unavailable")), "{problem}");
    let (status, _, problem) = caller.get("/health/ready").await.expect("an answer");
    assert_eq!((status, &problem["code"]), (503, &json!("store_failed")), "{problem}");
    let (status, _, problem) = caller.publish(names("late", 1)).await.expect("an answer");
    assert_eq!(status, 503, "{problem}");
    receiver.release(1_000);
    let (code, errors) = server.ended();
    assert_eq!(code, Some(1), "{errors:?}");
    assert!(errors.iter().any(|line| line.contains("[store_failed]")), "{errors:?}");
    let sent = receiver.count();

    disk.recover();
    let again = Running::server(&disk.data());
    Caller::of(&again).settled().await;
    let got = documents(&receiver);
    let distinct: HashSet<_> = got.iter().collect();
    let lost = names("before", 100).iter().filter(|name| !distinct.contains(name)).count();
    println!(
        "a sync that fails: 100 accepted, {} requests, {lost} lost, {} twice",
        got.len(),
        got.len() - distinct.len()
    );
    assert_eq!(lost, 0);
    assert!(got.len() - distinct.len() <= sent, "only what was under way came twice");
    assert!(distinct.iter().all(|name| name.starts_with("before") || name.starts_with("doubtful")), "{distinct:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_sync_acknowledges_nothing_early() {
    let (disk, receiver) = (FailingDisk::default(), Receiver::start());
    let server = Running::server_with(&disk.data(), |serve| disk.put_under(serve, SYNC_IS_SLOW));
    let caller = Caller::of(&server);
    caller.webhook(&receiver).await;
    disk.fail();
    let acknowledged = Mutex::new(HashSet::new());
    let publishing = futures::future::join_all(names("slow", 400).into_iter().map(|name| async {
        if caller.publish([name.clone()]).await.is_some_and(|(status, ..)| status == 202) {
            acknowledged.lock().expect("no panic").insert(name);
        }
    }));
    tokio::select! {
        _ = publishing => {}
        () = wait_until("some to be acknowledged", async || acknowledged.lock().expect("no panic").len() >= 50) => {}
    }
    // Others are being synced now.
    server.kill();
    let again = Running::server(&disk.data());
    let acknowledged = acknowledged.into_inner().expect("no panic");
    let got = wait_for("what was acknowledged", async || {
        let got = documents(&receiver);
        acknowledged.iter().all(|name| got.contains(name)).then_some(got)
    })
    .await;
    let twice = got.len() - got.iter().collect::<HashSet<_>>().len();
    println!(
        "slow syncs and a kill: {} acknowledged, {} requests, 0 lost, {twice} twice",
        acknowledged.len(),
        got.len()
    );
    drop(again);
}
