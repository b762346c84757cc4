//! What an operator does: webhooks, events, deliveries, plugins, against a running server.

use serde_json::{Value, json};

use crate::support::{Running, command, component, document, run};

struct Site {
    server: Running,
    receiver: Running,
    dir: tempfile::TempDir,
}

fn site(receiver: &[&str]) -> Site {
    let dir = tempfile::tempdir().expect("a directory");
    Site { server: Running::server(&dir.path().join("data")), receiver: Running::receiver(receiver), dir }
}

impl Site {
    fn apply(&self, name: &str, more: Value) {
        let mut webhook = json!({"doctype": "Quotation", "doc_event": "on_update", "request_url": format!("{}/post?a=1&a=2", self.receiver.url)});
        for (field, value) in more.as_object().expect("an object") {
            webhook[field] = value.clone();
        }
        let file = self.dir.path().join("webhook.json");
        std::fs::write(&file, webhook.to_string()).expect("written");
        self.server.call(["webhook", "apply", file.to_str().expect("UTF-8"), "--name", name]).ok();
    }

    fn send_quotation(&self) {
        self.server.call(["event", "send", document("quotation-on-update.json").to_str().expect("UTF-8")]).ok();
    }

    /// Waits until the one delivery is in `state`, by following attempts.
    fn wait_for(&self, state: &str) -> Value {
        let begun = std::time::Instant::now();
        loop {
            let listed = self.server.call(["--json", "delivery", "list", "--state", state]).ok();
            if let Some(line) = listed.lines().next() {
                return serde_json::from_str(line).expect("JSON");
            }
            assert!(begun.elapsed() < crate::support::PATIENCE, "no delivery became {state}");
        }
    }
}

#[test]
fn an_event_is_received_as_httpbin_would_show_it() {
    let site = site(&[]);
    site.apply(
        "seed",
        json!({"data": [{"fieldname": "name", "key": "id"}, {"fieldname": "items", "key": "lineItems"}]}),
    );
    site.send_quotation();
    let echo = site.receiver.received();
    assert_eq!(echo["args"], json!({"a": ["1", "2"]}));
    assert_eq!(echo["headers"]["Content-Type"], "application/json");
    assert_eq!(echo["json"]["id"], "SAL-QTN-2026-00001");
    assert_eq!(echo["url"], format!("{}/post?a=1&a=2", site.receiver.url));
    let delivery = site.wait_for("delivered");
    let shown = site.server.call(["delivery", "show", delivery["id"].as_str().expect("an id")]).ok();
    for part in ["attempt 1", "POST http://127.0.0.1", "→ 200", r#"{"id":"SAL-QTN-2026-00001""#] {
        assert!(shown.contains(part), "{part:?} is missing in {shown}");
    }
    let id = delivery["id"].as_str().expect("an id");
    site.server.call(["delivery", "redeliver", id]).ok();
    assert_eq!(site.receiver.received()["data"], echo["data"], "the same bytes go out again");
}

#[test]
fn webhooks_are_listed_shown_previewed_and_removed() {
    let site = site(&[]);
    site.apply(
        "one",
        json!({"secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "condition": "doc.grand_total > 100000"}),
    );
    let listed = site.server.call(["webhook", "list"]).ok();
    assert!(listed.contains("one") && listed.contains("Quotation"), "{listed}");
    let shown = site.server.call(["webhook", "show", "one"]).ok();
    assert!(shown.contains("********") && !shown.contains("whsec_"), "{shown}");
    let event = document("quotation-on-update.json");
    let preview = site.server.call(["webhook", "preview", "one", "--event", event.to_str().expect("UTF-8")]).ok();
    assert!(preview.contains("skip") && preview.contains("doc.grand_total > 100000"), "{preview}");
    site.server.call(["webhook", "delete", "one"]).ok();
    let gone = site.server.call(["webhook", "show", "one"]);
    assert_eq!(gone.code, Some(1));
    assert!(gone.err.contains("[not_found]"), "{}", gone.err);
}

#[test]
fn a_batch_with_bad_lines_takes_the_good_ones_and_names_the_bad() {
    let site = site(&[]);
    site.apply("all", json!({"doctype": "Note"}));
    let lines = "{\"doctype\":\"Note\",\"doc_event\":\"on_update\",\"doc\":{\"name\":\"good\"}}\n{\"doctype\":\"Note\",\"doc_event\":\"on_update\",\"doc\":7}\nnonsense\n";
    let refused = site.server.call_with(&["event", "send", "-"], lines);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.err.contains("line 2: `doc` is not a JSON object") && refused.err.contains("line 3:"),
        "{}",
        refused.err
    );
    assert_eq!(site.receiver.received()["json"]["name"], "good");
}

#[test]
fn many_events_go_in_one_command() {
    let site = site(&["--quiet"]);
    site.apply("all", json!({"doctype": "Note"}));
    let lines: String = (0..2_500)
        .map(|number| {
            format!("{{\"doctype\":\"Note\",\"doc_event\":\"on_update\",\"doc\":{{\"name\":\"{number}\"}}}}\n")
        })
        .collect();
    let sent = site.server.call_with(&["--json", "event", "send", "-"], &lines).json();
    assert_eq!(sent, json!({"events": 2_500, "deliveries": 2_500}));
}

#[test]
fn plugins_are_pushed_listed_activated_and_rolled_back() {
    let site = site(&[]);
    let (invoice, slack) = (component("rust_quotation_invoice.wasm"), component("rust_slack_message.wasm"));
    let first = site.server.call(["--json", "plugin", "push", invoice.to_str().expect("UTF-8"), "--name", "p"]).json();
    let second =
        site.server.call(["--json", "plugin", "push", slack.to_str().expect("UTF-8"), "--name", "p", "--stage"]).json();
    assert_eq!((&first["active"], &second["active"]), (&json!(true), &json!(false)));
    site.apply("w", json!({"plugin": {"name": "p"}}));
    let received = || {
        site.send_quotation();
        site.receiver.received()["data"].as_str().expect("a body").chars().take(10).collect::<String>()
    };
    assert_eq!(received(), r#"{"referenc"#);
    let short: String = second["digest"].as_str().expect("a digest").chars().take(8).collect();
    site.server.call(["plugin", "activate", "p", &short]).ok();
    assert_eq!(received(), r#"{"text":"Q"#);
    site.server.call(["plugin", "rollback", "p"]).ok();
    assert_eq!(received(), r#"{"referenc"#);
    let listed = site.server.call(["plugin", "list"]).ok();
    assert!(listed.contains(&short) && listed.contains("active"), "{listed}");
    let refused = site.server.call(["plugin", "activate", "p", "0000"]);
    assert!(refused.err.contains("has no version"), "{}", refused.err);
}

#[test]
fn a_failing_receiver_is_seen_in_tail_and_tried_again() {
    let site = site(&["--fail-first", "1"]);
    site.apply("w", json!({"retry": {"schedule": ["0s", "0s"]}}));
    // Its first line says that it watches: from then on it misses nothing.
    let tail = Running::start(command().env("HOOKMILL_URL", &site.server.url).arg("tail"));
    site.send_quotation();
    let (first, second) = (tail.line(), tail.line());
    assert!(first.contains("retry 503") && second.contains("delivered 200"), "{first}\n{second}");
    let (one, two) = (site.receiver.received(), site.receiver.received());
    assert_eq!(one["headers"]["Webhook-Id"], two["headers"]["Webhook-Id"]);
    assert_eq!(one["data"], two["data"]);
}

#[test]
fn redirects_are_failures_and_dead_deliveries_are_found() {
    let site = site(&["--redirect"]);
    site.apply("w", json!({"retry": {"preset": "none"}}));
    site.send_quotation();
    let dead = site.wait_for("dead");
    assert!(dead["reason"].as_str().expect("a reason").contains("302"), "{dead}");
    let counted = site.server.call(["delivery", "redeliver", "--state", "dead", "--dry-run"]).ok();
    assert!(counted.starts_with("1 deliveries would"), "{counted}");
}

#[test]
fn no_server_and_wrong_usage_have_codes_of_their_own() {
    let nobody = run(["--url", "http://127.0.0.1:9", "webhook", "list"]);
    assert_eq!(nobody.code, Some(3));
    assert!(nobody.err.contains("help: start one with `hookmill serve`"), "{}", nobody.err);
    assert_eq!(run(["webhook"]).code, Some(2));
    assert_eq!(run(["delivery", "redeliver"]).code, Some(2));
    let json = crate::support::ended(command().args(["--json", "--url", "http://127.0.0.1:9", "webhook", "list"]), "");
    let error: Value = serde_json::from_str(&json.err).expect("an error in JSON");
    assert_eq!(error["error"]["code"], "server_unreachable");
}
