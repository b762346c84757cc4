//! Trying a webhook out, and setting what Frappe's own Webhooks sign with.

use std::path::Path;

use serde_json::{Value, json};

use crate::operator::site;
use crate::support::{command, document, ended};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_webhook_is_tested_with_a_file_or_what_was_recorded() {
    let site = site(&["--fail-first", "1"]);
    site.apply("w", json!({"data": [{"fieldname": "name", "key": "id"}]}));
    let event = document("quotation-on-update.json");
    let failed = site.server.call(["webhook", "test", "w", "--event", text(&event)]);
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    assert!(failed.out.contains("→ 503 after ") && failed.out.contains("a delivery would be retry"), "{}", failed.out);
    let test = site.server.call(["webhook", "test", "w", "--event", text(&event)]).ok();
    for part in ["POST http://127.0.0.1", r#"{"id":"SAL-QTN-2026-00001"}"#, "→ 200 after ", "would be delivered"] {
        assert!(test.contains(part), "{part:?} is missing in {test}");
    }
    let listed = site.server.call(["--json", "delivery", "list"]).json();
    assert_eq!(listed["deliveries"], json!([]), "a test is no delivery");

    site.server.call(["event", "send", text(&event)]).ok();
    let delivery = site.wait_for("delivered");
    let id = |name: &str| delivery[name].as_str().expect("an id").to_owned();
    for of in [["--delivery", &id("id")], ["--event-id", &id("event_id")]] {
        let told = site.server.call(["--json", "webhook", "test", "w", of[0], of[1]]).json();
        assert_eq!((&told["outcome"], &told["response"]["status"]), (&json!("delivered"), &json!(200)));
        let preview = site.server.call(["--json", "webhook", "preview", "w", of[0], of[1]]).json();
        assert_eq!(preview["request"]["body"], told["request"]["body"]);
    }
    let both = site.server.call(["webhook", "test", "w", "--delivery", &id("id"), "--event", text(&event)]);
    assert_eq!(both.code, Some(2), "{both:#?}");
    let neither = site.server.call(["webhook", "test", "w"]);
    assert_eq!(neither.code, Some(2), "{neither:#?}");
}

#[test]
fn a_webhook_is_previewed_from_its_file() {
    let site = site(&[]);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("new.json");
    let webhook =
        json!({"doctype": "Quotation", "doc_event": "on_update", "request_url": format!("{}/new", site.receiver.url)});
    std::fs::write(&file, webhook.to_string()).expect("written");
    let event = document("quotation-on-update.json");
    let preview =
        site.server.call(["--json", "webhook", "preview", "--file", text(&file), "--event", text(&event)]).json();
    let sent: Value = serde_json::from_str(preview["request"]["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(sent["name"], "SAL-QTN-2026-00001");
    assert_eq!(site.server.call(["--json", "webhook", "list"]).json()["webhooks"], json!([]));
    let both = site.server.call(["webhook", "preview", "w", "--file", text(&file), "--event", text(&event)]);
    assert_eq!(both.code, Some(2), "{both:#?}");
}

#[test]
fn the_secret_of_frappes_webhooks_is_set_and_never_shown() {
    let site = site(&[]);
    let call = |args: &[&str], input: &str| {
        let mut hookmill = command();
        ended(hookmill.env("HOOKMILL_URL", &site.server.url).args(["source", "frappe"]).args(args), input)
    };
    assert!(call(&["show"], "").ok().contains("no secret is set"));
    assert_eq!(call(&["set", "-"], r#"{"secrets": ["a secret of ours"]}"#).ok().trim(), "1 secret is set");
    let rotated = call(&["set", "-"], r#"{"secrets": ["the next secret", {"secret": "********"}]}"#).ok();
    assert!(rotated.starts_with("2 secrets are set, one of them until 20"), "{rotated}");
    let shown = call(&["show", "--json"], "").json();
    assert_eq!(shown["secrets"].as_array().map(Vec::len), Some(2));
    assert!(!shown.to_string().contains("secret of ours") && !shown.to_string().contains("next"), "{shown}");
    let refused = call(&["set", "-"], r#"{"secrets": ["short"]}"#);
    assert!(refused.code == Some(1) && refused.err.contains("[source_bad_secrets]"), "{refused:#?}");
}
