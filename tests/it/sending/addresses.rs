//! No way leads to an address that is not allowed: not a preview, not a repeat, not a token's.

use hookmill::core::DeliveryState;
use hookmill::{Explain as _, RedeliverMode};
use hookmill_testing::{Answer, Receiver};
use serde_json::json;

use crate::stand::{Stand, last_error, note, tenant, webhook_name};

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_allowed_by_its_name_alone() {
    let stand = Stand::with(|config| {
        config.allow = vec![];
        config.allow_hosts = vec!["localhost".parse().expect("a host")];
    })
    .await;
    let by_name = format!("http://localhost:{}/in", stand.receiver.address().port());
    stand.webhook("notes", json!({"request_url": by_name})).await;
    stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Delivered).await;
    let error = stand.try_webhook("notes", json!({})).await.expect_err("its address is not its name");
    assert_eq!(error.code(), "address_refused");
    let other_name = format!("http://other.localhost:{}/in", stand.receiver.address().port());
    let error = stand.try_webhook("notes", json!({"request_url": other_name})).await.expect_err("another name");
    assert!(error.help().unwrap().contains("--allow-host other.localhost"), "{:?}", error.help());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_allowed_once_is_checked_again_on_every_way() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"retry": {"schedule": ["0s", "1h"]}})).await;
    let id = stand.publish(note("N-1")).await;
    stand.reaches(id, DeliveryState::Delivered).await;
    let stand = stand.restart_with(|config| config.allow = vec![]).await;
    for mode in [RedeliverMode::AsSent, RedeliverMode::Transform] {
        stand.engine.redeliver(&tenant(), id, mode).await.expect("it is tried");
        let detail = stand.reaches(id, DeliveryState::Parked).await;
        assert_eq!(last_error(&detail).0, "address_refused");
    }
    let preview = stand.engine.preview(&tenant(), &webhook_name("notes"), note("N-2")).await.expect("a preview");
    assert_eq!((preview.decision, preview.error.expect("an error").code.as_str()), ("fail", "address_refused"));
    assert!(preview.request.is_none());
    assert_eq!(stand.receiver.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_not_fetched_from_where_requests_may_not_go() {
    let (stand, server) = (Stand::new().await, Receiver::start());
    server.always(Answer::with_body(200, r#"{"access_token":"at","token_type":"Bearer"}"#));
    let auth = |url: &str| json!({"oauth2": {"token_url": url, "client_id": "a", "client_secret": "b"}});
    let fields = json!({"request_url": "https://receiver.invalid/", "auth": auth(&server.url("/"))});
    stand.webhook("notes", fields.clone()).await;
    let stand = stand.restart_with(|config| config.allow = vec![]).await;
    assert_eq!(stand.try_webhook("others", fields).await.expect_err("refused").code(), "address_refused");
    let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Parked).await;
    assert_eq!(last_error(&detail).0, "address_refused");
    assert_eq!(server.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_cant_be_resolved_can_be_saved() {
    let stand = Stand::new().await;
    let fields = json!({"request_url": "https://receiver.invalid/", "retry": {"preset": "none"}});
    stand.webhook("notes", fields).await;
    let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Dead).await;
    assert_eq!(last_error(&detail).0, "send_dns", "{:?}", last_error(&detail));
}
