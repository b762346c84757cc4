//! Client certificates, and receivers whose own certificate nobody vouches for.

use hookmill::Explain as _;
use hookmill::core::DeliveryState;
use hookmill_testing::{Authority, Certified, Receiver};
use serde_json::{Value, json};

use crate::stand::{Stand, last_error, note};

fn certificate(certified: &Certified, ca: Option<&Authority>) -> Value {
    let Certified { certificate_pem, private_key_pem } = certified;
    json!({"mtls": {"certificate_pem": certificate_pem, "private_key_pem": private_key_pem,
        "ca_pem": ca.map(Authority::pem)}})
}

fn once(receiver: &Receiver, auth: Value) -> Value {
    json!({"request_url": receiver.url("/in"), "auth": auth, "retry": {"preset": "none"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_wants_a_certificate_gets_it() {
    let (stand, authority, callers) = (Stand::new().await, Authority::new(), Authority::new());
    let receiver = Receiver::secure(&authority, Some(&callers));
    let own = callers.certify("erp.example.com");
    let stored = stand.try_webhook("notes", once(&receiver, certificate(&own, Some(&authority)))).await.expect("saved");
    assert!(!stored.to_string().contains("PRIVATE KEY"), "{stored}");
    stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Delivered).await;
    assert_eq!(receiver.only_request().await.method, "POST");

    let foreign = authority.certify("erp.example.com");
    stand.webhook("notes", once(&receiver, certificate(&foreign, Some(&authority)))).await;
    let detail = stand.reaches(stand.publish(note("N-2")).await, DeliveryState::Dead).await;
    assert!(last_error(&detail).0.starts_with("send_"), "{:?}", last_error(&detail));
    assert_eq!(receiver.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_nobody_vouches_for_gets_nothing() {
    let (stand, authority) = (Stand::new().await, Authority::new());
    let receiver = Receiver::secure(&authority, None);
    let own = Authority::new().certify("erp.example.com");
    for auth in [Value::Null, certificate(&own, None), certificate(&own, Some(&Authority::new()))] {
        stand.webhook("notes", once(&receiver, auth)).await;
        let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Dead).await;
        assert_eq!(last_error(&detail).0, "send_tls", "{:?}", last_error(&detail));
    }
    assert_eq!(receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_certificate_is_refused_when_it_is_saved() {
    let (stand, authority) = (Stand::new().await, Authority::new());
    let receiver = Receiver::secure(&authority, None);
    let (good, other) = (authority.certify("a"), authority.certify("b"));
    let swapped = Certified { private_key_pem: other.private_key_pem, ..good.clone() };
    let no_key = Certified { private_key_pem: "secret-key-text".into(), ..good.clone() };
    let mut bad_ca = certificate(&good, None);
    bad_ca["mtls"]["ca_pem"] = json!("no certificate");
    for auth in [certificate(&swapped, None), certificate(&no_key, None), bad_ca] {
        let error = stand.try_webhook("notes", once(&receiver, auth)).await.expect_err("refused");
        assert_eq!(error.code(), "webhook_bad_certificate", "{error}");
        assert!(error.to_string().contains("auth.mtls") && !error.to_string().contains("secret-key"), "{error}");
    }
}
