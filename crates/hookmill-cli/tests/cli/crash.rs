//! Killed under load, again and again: what was acknowledged arrives, and each document's events in their order.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::support::{PATIENCE, Running, TOKEN};

const KILLS: u64 = 10;

/// Tasks that publish, each for a document of its own.
const SENDERS: u64 = 8;

/// Publishes events one after another from several tasks until the server goes away; returns what was acknowledged.
async fn publish_until_gone(url: &str, round: u64, enough: u64) -> Vec<(String, String)> {
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let acknowledged = std::sync::Mutex::new(Vec::new());
    let senders = (0..SENDERS).map(|sender| {
        let (http, acknowledged) = (&http, &acknowledged);
        async move {
            for number in 0.. {
                let name = format!("{round}-{sender}-{number}");
                let doc = format!(r#"{{"name":"{sender}","event":"{name}","at":[{round},{number}]}}"#);
                let event = format!(r#"{{"id":"evt-{name}","doctype":"Note","doc_event":"on_update","doc":{doc}}}"#);
                let request = http.post(format!("{url}/v1/events")).bearer_auth(TOKEN).body(event);
                let Ok(answer) = request.send().await else { return };
                let Ok(text) = answer.text().await else { return };
                let answer: Value = serde_json::from_str(&text).expect("JSON");
                let delivery = answer["deliveries"][0].as_str().expect("a delivery").to_owned();
                let mut acknowledged = acknowledged.lock().expect("no panic");
                acknowledged.push((name, delivery));
                if acknowledged.len() as u64 >= enough {
                    return;
                }
            }
        }
    });
    futures::future::join_all(senders).await;
    acknowledged.into_inner().expect("no panic")
}

/// What the receiver got: under which ids each event arrived, and how far each document is.
#[derive(Default)]
struct Seen {
    ids: HashMap<String, HashSet<String>>,
    last: HashMap<String, (u64, u64)>,
    requests: u64,
}

impl Seen {
    fn note(&mut self, line: &str) {
        let echo: Value = serde_json::from_str(line).expect("JSON");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let (doc, id) = (&echo["json"], text(&echo["headers"]["Webhook-Id"]));
        let (document, event) = (text(&doc["name"]), text(&doc["event"]));
        let ids = self.ids.entry(event).or_default();
        if ids.is_empty() {
            let at = (doc["at"][0].as_u64().expect("a round"), doc["at"][1].as_u64().expect("a number"));
            let before = self.last.insert(document, at);
            assert!(before.is_none_or(|before| before < at), "{at:?} came after {before:?}: {echo}");
        }
        ids.insert(id);
        self.requests += 1;
    }
}

#[test]
fn every_acknowledged_event_is_delivered_though_the_server_is_killed_ten_times() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let receiver = Running::receiver(&[]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut acknowledged: HashMap<String, String> = HashMap::new();
    let mut seen = Seen::default();
    for round in 0..KILLS {
        let server = Running::server(&data);
        if round == 0 {
            let webhook = format!(
                r#"{{"doctype":"Note","doc_event":"on_update","request_url":"{}/in","ordering":"document"}}"#,
                receiver.url
            );
            server.call_with(&["webhook", "apply", "-", "--name", "notes"], &webhook).ok();
        }
        // More each time, so that the kill falls into another moment of the group commits.
        let enough = 60 + round * 37;
        acknowledged.extend(runtime.block_on(publish_until_gone(&server.url, round, enough)));
        server.kill();
        receiver.lines_so_far().iter().for_each(|line| seen.note(line));
    }
    let _last = Running::server(&data);
    let begun = std::time::Instant::now();
    while !acknowledged.keys().all(|name| seen.ids.contains_key(name)) {
        seen.note(&receiver.line());
        assert!(begun.elapsed() < PATIENCE, "some acknowledged events were never delivered");
    }
    for (name, ids) in &seen.ids {
        let expected = acknowledged.get(name).into_iter().cloned().collect::<HashSet<_>>();
        assert_eq!(ids.len(), 1, "{name} arrived under several ids");
        assert!(expected.is_empty() || *ids == expected, "{name} arrived under another id than was told");
    }
    assert!(acknowledged.len() as u64 >= KILLS * 60, "the load was no load: {}", acknowledged.len());
    // Of each document one delivery is under way at a kill, and that one may go out again.
    let twice = seen.requests - seen.ids.len() as u64;
    assert!(twice <= KILLS * SENDERS, "{twice} arrived again");
    println!("{} acknowledged, {} distinct received in {} requests", acknowledged.len(), seen.ids.len(), seen.requests);
}
