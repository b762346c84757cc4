//! Secrets are nowhere on the disk, and come back with the right key alone.

use std::path::Path;
use std::time::Duration;

use hookmill::core::DeliveryState;
use hookmill::{Engine, Explain as _, RedeliverMode, SecretKey};
use hookmill_testing::Answer;
use serde_json::json;

use crate::stand::{Stand, config, note, tenant};

/// Tells in which file of a folder a text stands, if in any.
fn found(folder: &Path, text: &str) -> Option<std::path::PathBuf> {
    std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).find_map(|path| {
        if path.is_dir() {
            return found(&path, text);
        }
        let bytes = std::fs::read(&path).expect("a file");
        bytes.windows(text.len()).any(|window| window == text.as_bytes()).then_some(path)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhooks_secrets_are_sealed_where_they_are_stored() {
    let stand = Stand::new().await;
    let (secret, password) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a-password-of-the-receiver");
    let row = "a-token-in-a-header-row";
    let fields = json!({
        "secrets": [secret],
        "auth": {"basic": {"username": "u", "password": password}},
        "headers": [{"key": "X-Api-Key", "value": row}],
        "retry": {"schedule": ["0s", "1h"]},
    });
    stand.webhook("notes", fields).await;
    stand.receiver.script([Answer::Status(500)]);
    let kept = stand.publish(note("N-1")).await;
    stand.tried(kept, 1).await;
    let Stand { engine, receiver, data } = stand;
    engine.shutdown(Duration::from_secs(10)).await;
    drop(engine);
    for text in [secret, password, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", row] {
        assert_eq!(found(data.path(), text), None, "{text}");
    }
    assert!(found(data.path(), "N-1").is_some(), "what is stored can be found at all");

    let mut other = config(data.path());
    other.secret_key = Some(SecretKey::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").expect("a key"));
    assert_eq!(Engine::start(other).await.expect_err("refused").code(), "secret_key_wrong");
    let stand = Stand { engine: Engine::start(config(data.path())).await.expect("starts"), receiver, data };
    stand.engine.redeliver(&tenant(), kept, RedeliverMode::AsSent).await.expect("it is sent again");
    stand.reaches(kept, DeliveryState::Delivered).await;
    let request = stand.receiver.requests().into_iter().next_back().expect("a request");
    assert!(request.has_header("webhook-signature") && request.header("authorization").starts_with("Basic "));
    assert_eq!(request.header("x-api-key"), row);
}
