//! What an operator does: webhooks, events, deliveries, plugins, against a running server.

use hookmill::plugin::Fixture;
use serde_json::{Value, json};

use crate::support::{Ended, Running, command, component, document, ended, run, wait_until};

pub(crate) struct Site {
    pub(crate) server: Running,
    pub(crate) receiver: Running,
    dir: tempfile::TempDir,
}

pub(crate) fn site(receiver: &[&str]) -> Site {
    let dir = tempfile::tempdir().expect("a directory");
    Site { server: Running::server(&dir.path().join("data")), receiver: Running::receiver(receiver), dir }
}

impl Site {
    pub(crate) fn apply(&self, name: &str, more: Value) -> Ended {
        let mut webhook = json!({"doctype": "Quotation", "doc_event": "on_update", "request_url": format!("{}/post?a=1&a=2", self.receiver.url)});
        for (field, value) in more.as_object().expect("an object") {
            webhook[field] = value.clone();
        }
        let file = self.dir.path().join("webhook.json");
        std::fs::write(&file, webhook.to_string()).expect("written");
        let applied = self.server.call(["webhook", "apply", file.to_str().expect("UTF-8"), "--name", name]);
        assert_eq!(applied.code, Some(0), "{applied:#?}");
        applied
    }

    pub(crate) fn send_quotation(&self) {
        self.server.call(["event", "send", document("quotation-on-update.json").to_str().expect("UTF-8")]).ok();
    }

    /// Waits until the one delivery is in `state`, by following attempts.
    pub(crate) fn wait_for(&self, state: &str) -> Value {
        let mut found = None;
        wait_until(&format!("a delivery that is {state}"), || {
            let listed = self.server.call(["--json", "delivery", "list", "--state", state]).json();
            found = listed["deliveries"].get(0).cloned();
            found.is_some()
        });
        found.expect("it was waited for")
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
fn a_version_is_compared_tried_out_and_proven_before_it_runs() {
    let site = site(&[]);
    let (invoice, slack) = (component("rust_quotation_invoice.wasm"), component("rust_slack_message.wasm"));
    site.server.call(["plugin", "push", invoice.to_str().expect("UTF-8"), "--name", "p"]).ok();
    site.apply("w", json!({"plugin": {"name": "p"}}));
    site.send_quotation();
    site.receiver.received();
    let staged =
        site.server.call(["--json", "plugin", "push", slack.to_str().expect("UTF-8"), "--name", "p", "--stage"]).json();
    let digest: String = staged["digest"].as_str().expect("a digest").chars().take(10).collect();
    let diff = site.server.call(["plugin", "diff", "p", &digest]).ok();
    assert!(diff.contains("body /text") && diff.contains("1 of 1 events would change, 0 to new failures"), "{diff}");
    let refused = site.server.call(["plugin", "activate", "p", &digest, "--if-unchanged"]);
    assert!(refused.code == Some(1) && refused.err.contains("[plugin_would_change]"), "{}", refused.err);
    site.server.call(["plugin", "canary", "p", &digest, "--share", "0.5"]).ok();
    let shown = site.server.call(["--json", "plugin", "list"]).json();
    assert_eq!(shown["plugins"][0]["canary"]["share"], json!(0.5));
    site.server.call(["plugin", "canary", "p", "--end"]).ok();
    site.server.call(["plugin", "activate", "p", &digest, "--release-parked"]).ok();

    let deliveries = site.server.call(["--json", "delivery", "list"]).json();
    let id = deliveries["deliveries"][0]["id"].as_str().expect("an id").to_owned();
    let proof = site.server.call(["delivery", "verify", &id]).ok();
    assert!(proof.contains("proven: the request"), "{proof}");
    let shown = site.server.call(["delivery", "show", &id]).ok();
    assert!(shown.contains("  input ") && shown.contains(", engine "), "{shown}");
    site.apply("w", json!({"plugin": {"name": "p"}, "headers": [{"key": "X-A", "value": "1"}]}));
    let unproven = site.server.call(["delivery", "verify", &id]);
    assert!(unproven.code == Some(1) && unproven.out.contains("input    differs"), "{}", unproven.out);
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
    // The request is refused; no plugin is at fault.
    let refused = site.server.call(["plugin", "rollback", "p"]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.err.contains("[plugin_no_previous]"), "{}", refused.err);
}

#[test]
fn what_became_of_uploads_is_shown_refused_ones_too() {
    let site = site(&[]);
    let slack = std::fs::read(component("rust_slack_message.wasm")).expect("a component");
    let event = json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": "N-1"}});
    let fixture = json!({"event": event, "expect": {"skip": "never"}}).to_string();
    let unmet = Fixture::embed(&[Fixture::parse("unmet", fixture.as_bytes()).expect("a fixture")], &slack);
    let (good, bad) = (site.dir.path().join("good.wasm"), site.dir.path().join("bad.wasm"));
    std::fs::write(&good, &slack).expect("written");
    std::fs::write(&bad, unmet.expect("fixtures")).expect("written");
    let refused = site.server.call(["plugin", "push", bad.to_str().expect("UTF-8"), "--name", "p"]);
    assert!(refused.err.contains("[plugin_fixture_not_met]"), "{}", refused.err);
    assert!(refused.out.starts_with("received → validated") && refused.out.contains("→ rejected"), "{}", refused.out);
    assert!(site.server.call(["plugin", "show", "p"]).ok().contains("no version of p was taken yet"));

    let pushed = site.server.call(["--json", "plugin", "push", good.to_str().expect("UTF-8"), "--name", "p"]).json();
    assert_eq!(pushed["upload"]["state"], "active");
    let shown = site.server.call(["plugin", "show", "p"]).ok();
    for said in ["active", "→ tested", "→ rejected", "[plugin_fixture_not_met]"] {
        assert!(shown.contains(said), "{said:?} is missing in {shown}");
    }
    let none = site.server.call(["plugin", "show", "q"]);
    assert!(none.code == Some(1) && none.err.contains("[not_found]"), "{}", none.err);
}

#[test]
fn a_webhook_with_a_plugin_that_is_not_there_is_saved_with_a_warning() {
    let site = site(&[]);
    let applied = site.apply("w", json!({"plugin": {"name": "invioce"}}));
    assert!(
        applied.err.contains("warning: there is no plugin \"invioce\"") && applied.err.contains("push"),
        "{applied:#?}"
    );
    let invoice = component("rust_quotation_invoice.wasm");
    site.server.call(["plugin", "push", invoice.to_str().expect("UTF-8"), "--name", "invoice"]).ok();
    assert_eq!(site.apply("w", json!({"plugin": {"name": "invoice"}})).err, "");
    let pinned = site.apply("w", json!({"plugin": {"name": "invoice", "digest": "0".repeat(64)}}));
    assert!(pinned.err.contains("has no version 0000"), "{pinned:#?}");
}

#[test]
fn a_preview_of_a_failing_plugin_ends_as_its_run_does() {
    let site = site(&[]);
    let guest = component("misbehaving.wasm");
    site.server.call(["plugin", "push", guest.to_str().expect("UTF-8"), "--name", "p"]).ok();
    site.apply("w", json!({"plugin": {"name": "p", "settings": {"do": "panic"}}}));
    let event = document("quotation-on-update.json");
    let preview = ["webhook", "preview", "w", "--event", event.to_str().expect("UTF-8")];
    let failed = site.server.call(preview);
    assert_eq!(failed.code, Some(4), "{failed:#?}");
    assert!(failed.out.contains("[plugin_panic]") && failed.out.contains("src/lib.rs:"), "{}", failed.out);
    site.apply("w", json!({"condition": "doc.items + 1"}));
    assert_eq!(site.server.call(preview).code, Some(1), "no plugin ran");
}

#[test]
fn a_list_shows_when_and_marks_what_it_cuts() {
    let site = site(&["--redirect"]);
    site.apply("w", json!({"retry": {"preset": "none"}}));
    site.send_quotation();
    let dead = site.wait_for("dead");
    let (reason, received) =
        (dead["reason"].as_str().expect("a reason"), dead["received_at"].as_str().expect("a time"));
    let wide = site.server.call(["delivery", "list"]).ok();
    assert!(wide.contains("RECEIVED") && wide.contains(reason), "{wide}");
    let to_the_second: String = received.chars().take(19).collect();
    assert!(wide.contains(&to_the_second), "{received} is missing in {wide}");
    let narrow =
        ended(command().env("HOOKMILL_URL", &site.server.url).env("COLUMNS", "170").args(["delivery", "list"]), "");
    let narrow = narrow.ok();
    assert!(!narrow.contains(reason), "{narrow}");
    assert!(narrow.lines().skip(1).all(|line| line.ends_with('…') && line.chars().count() <= 170), "{narrow}");
}

#[test]
fn lists_in_json_are_what_the_server_answers() {
    let site = site(&[]);
    for (group, member) in [("webhook", "webhooks"), ("plugin", "plugins"), ("delivery", "deliveries")] {
        let listed = site.server.call(["--json", group, "list"]).json();
        assert_eq!(listed[member], json!([]), "{group}: {listed}");
    }
}

/// Answers one request with bytes that are no text.
fn binary_receiver() -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a request");
        let mut head = [0; 65_536];
        let _length = stream.read(&mut head).expect("the request");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\x00\x1b\x9b").expect("the answer");
    });
    url
}

#[test]
fn a_delivery_shows_its_id_as_sent_and_bytes_that_are_no_text() {
    let site = site(&[]);
    site.apply("w", json!({"request_url": binary_receiver()}));
    site.send_quotation();
    let delivered = site.wait_for("delivered");
    let id = delivered["id"].as_str().expect("an id");
    let shown = site.server.call(["delivery", "show", id]).ok();
    assert!(shown.contains(&format!("webhook-id: {id}")), "{shown}");
    assert!(shown.contains("4 B that are no text: ff001b9b"), "{shown}");
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
    for wrong in
        [["--state", "sent"], ["--since", "yesterday"], ["--until", "12"], ["--status", "ok"], ["--status", "9"]]
    {
        let refused = run(["--url", "http://127.0.0.1:9", "delivery", "list", wrong[0], wrong[1]]);
        assert_eq!(refused.code, Some(2), "{refused:#?}");
        let refused = run(["--json", "--url", "http://127.0.0.1:9", "delivery", "list", wrong[0], wrong[1]]);
        let error: Value = serde_json::from_str(&refused.err).expect("an error in JSON");
        assert_eq!((refused.code, &error["error"]["code"]), (Some(2), &json!("wrong_usage")), "{refused:#?}");
        assert!(error["error"]["message"].as_str().expect("a message").contains(wrong[1]), "{error}");
    }
    let json = ended(command().args(["--json", "--url", "http://127.0.0.1:9", "webhook", "list"]), "");
    let error: Value = serde_json::from_str(&json.err).expect("an error in JSON");
    assert_eq!(error["error"]["code"], "server_unreachable");
}
