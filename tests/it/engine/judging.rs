//! The optional parts of the contract mean the same in every language.

use hookmill::core::DeliveryState;
use hookmill::{DeliveryDetail, Explain as _};
use hookmill_testing::{Answer, guest};
use serde_json::json;

use super::contract::{chat, save};
use crate::stand::{Stand, last_error, note, plugin_name, tenant};

/// Holds a guest against what the one in Rust does, but for the code and the words of a judge that fails.
async fn does_as_rust_does(name: &str, code: &str, words: &[&str]) {
    let stand = Stand::new().await;
    stand.plugin("chat", guest(name)).await;
    describes_itself_and_checks_settings(&stand).await;
    stand.webhook("chat", chat(json!({}))).await;
    judges_answers(&stand).await;
    fails_with_its_words(&stand, code, words).await;
}

async fn describes_itself_and_checks_settings(stand: &Stand) {
    let plugin = stand.engine.plugin(&tenant(), &plugin_name("chat")).await.expect("the plugin");
    let described = plugin.versions[0].description.as_ref().expect("a description");
    let words = [&described.name, &described.version, &described.description].map(|word| word.as_deref());
    assert_eq!(words, [Some("judging"), Some("1.2.3"), Some("Sends chat messages")]);
    for (settings, says) in [
        (json!({}), "channel"),
        (json!({"channel": 1}), "/channel"),
        (json!({"channel": "#a", "colour": "red"}), "colour"),
        (json!({"channel": "sales"}), "/channel: a channel begins with #, and \"sales\" does not"),
    ] {
        let error = save(stand, &json!({"plugin": {"name": "chat", "settings": settings}})).await.expect_err("refused");
        assert_eq!(error.code(), "plugin_bad_settings");
        assert!(error.to_string().contains(says), "{settings}: {error}");
    }
}

async fn judges_answers(stand: &Stand) {
    stand.receiver.script([
        Answer::with_body(200, r#"{"ok":false,"error":"no_such_channel"}"#),
        Answer::with_body(409, "é 日"),
        Answer::with_body(200, r#"{"ok":false,"error":"slow_down"}"#),
        Answer::Status(500),
    ]);
    let dead = stand.reaches(stand.publish(note("dead")).await, DeliveryState::Dead).await;
    assert!(
        dead.row.status.reason.as_ref().expect("a reason").ends_with("200: there is no such channel"),
        "{:?}",
        dead.row
    );
    assert_eq!(judge_log(&dead), [r#"info: judged 200 {"ok":false,"error":"no_such_channel"}"#]);

    let conflict = stand.reaches(stand.publish(note("conflict")).await, DeliveryState::Delivered).await;
    assert_eq!(judge_log(&conflict), ["info: judged 409 é 日"]);

    let slow = stand.tried(stand.publish(note("slow")).await, 1).await;
    assert_eq!(slow.row.status.state, DeliveryState::Pending);
    let wait = slow.row.status.next_attempt_at.expect("a time").duration_since(slow.attempts[0].at);
    assert!((3_600..3_700).contains(&wait.as_secs()), "{wait}");

    let failed = stand.tried(stand.publish(note("failed")).await, 1).await;
    assert_eq!(failed.row.status.state, DeliveryState::Pending, "by its status");
}

async fn fails_with_its_words(stand: &Stand, code: &str, words: &[&str]) {
    stand.receiver.always(Answer::with_body(200, "panic"));
    let detail = stand.reaches(stand.publish(note("panic")).await, DeliveryState::Delivered).await;
    assert_eq!(last_error(&detail).0, code);
    let log = judge_log(&detail).join("\n");
    for word in words {
        assert!(log.contains(word), "{word}: {log}");
    }
}

fn judge_log(detail: &DeliveryDetail) -> &[String] {
    &detail.attempts[0].judge.as_ref().expect("the judge's run").log
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_rust_judges_and_describes() {
    does_as_rust_does("judging", "plugin_panic", &["panicked in judge", "src/lib.rs"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_javascript_judges_and_describes() {
    let words = ["error: Error: panicked in judge", "at panic (", "javascript-judging/src/plugin.js:"];
    does_as_rust_does("javascript_judging", "plugin_panic", &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_typescript_judges_and_describes() {
    let words = ["error: Error: panicked in judge", "at panic (", "typescript-judging/build/src/plugin.js:"];
    does_as_rust_does("typescript_judging", "plugin_panic", &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_python_judges_and_describes() {
    let words = ["RuntimeError: panicked in judge", "plugin.py\", line", "in panic"];
    does_as_rust_does("python_judging", "plugin_trap", &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_c_judges_and_describes() {
    does_as_rust_does("c_judging", "plugin_trap", &["error: panic: panicked in judge"]).await;
}
