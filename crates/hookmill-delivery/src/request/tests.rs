//! What a request bears when it goes out, by each convention for signing.

use hookmill_core::{EventEnvelope, EventId, TenantId, Webhook};
use serde_json::{Value, json};

use super::*;

const SYMMETRIC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const FORMER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const ASYMMETRIC: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";

fn request(url: &str, headers: &[(&str, &str)]) -> Request {
    Request {
        method: "POST".into(),
        url: url.into(),
        headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        body: b"{}".to_vec(),
    }
}

fn id() -> DeliveryId {
    "dlv_000102030405060708090a0b0c0d0e0f".parse().expect("an id")
}

fn event() -> Event {
    let json = json!({"doctype": "Note", "doc_event": "nach \"Änderung\"", "doc": {"name": "N-1"}}).to_string();
    let envelope = EventEnvelope::parse(json.as_bytes()).expect("an event");
    let id = || EventId::new("evt-1").expect("an id");
    envelope.into_event(&TenantId::default_tenant(), Timestamp::UNIX_EPOCH, id).expect("an event")
}

fn signer(fields: Value) -> Signer {
    let mut webhook = json!({"doctype": "Note", "doc_event": "*", "request_url": "https://example.com/"});
    for (name, value) in fields.as_object().expect("fields") {
        webhook[name] = value.clone();
    }
    Signer::new(&Webhook::parse(webhook.to_string().as_bytes()).expect("a webhook")).expect("it can be signed")
}

fn built(request: &Request, signer: &Signer, now: Timestamp) -> Result<Outgoing, BuildError> {
    build(request, &Occasion { id: &id(), event: &event(), now }, signer, None)
}

fn sent(fields: Value, seconds: i64) -> HeaderMap {
    let now = Timestamp::from_second(seconds).expect("in range");
    built(&request("https://example.com/in", &[]), &signer(fields), now).expect("builds").headers
}

fn entries(headers: &HeaderMap) -> Vec<&str> {
    let signature = headers.get("webhook-signature").map(|value| value.to_str().expect("text")).unwrap_or_default();
    signature.split(' ').map(|entry| entry.split_once(',').map_or(entry, |(version, _)| version)).collect()
}

#[test]
fn a_request_is_dated_and_signed_with_each_secret_in_order() {
    let headers = sent(json!({"secrets": [ASYMMETRIC, SYMMETRIC]}), 1_614_265_330);
    assert_eq!(headers["webhook-timestamp"], "1614265330");
    assert_eq!(headers["webhook-id"], "dlv_000102030405060708090a0b0c0d0e0f");
    assert_eq!(entries(&headers), ["v1a", "v1"]);
    let twice = built(
        &request("https://example.com/in?a=b", &[("X-A", "1"), ("X-A", "2")]),
        &signer(json!({})),
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!(twice.expect("builds").headers.get_all("x-a").iter().count(), 2);
}

#[test]
fn a_secret_signs_until_it_ends_and_no_longer() {
    let rotated = || json!({"secrets": [SYMMETRIC, {"secret": FORMER, "until": "2026-12-01T00:00:00Z"}]});
    let until = "2026-12-01T00:00:00Z".parse::<Timestamp>().expect("a moment").as_second();
    let before = sent(rotated(), until - 1);
    let after = sent(rotated(), until);
    assert_eq!((entries(&before).len(), entries(&after).len()), (2, 1));
    let stays = SigningSecretOf(SYMMETRIC).sign(until);
    assert_eq!(after["webhook-signature"], stays.as_str());
}

/// What a secret alone makes of the request of these tests.
struct SigningSecretOf(&'static str);

impl SigningSecretOf {
    fn sign(&self, seconds: i64) -> String {
        crate::SigningSecret::parse(self.0).expect("valid").sign(&id().to_string(), seconds, b"{}")
    }
}

#[test]
fn github_receivers_get_their_headers() {
    let headers = sent(json!({"signing": "github", "secrets": ["It's a Secret to Everybody", "former"]}), 0);
    // Made with `printf '{}' | openssl dgst -sha256 -hmac "It's a Secret to Everybody"`.
    let signature = "sha256=50b0123e6e44430d2c43ecca0ee520d961ffd326425c07859f70a57161c3ebcd";
    assert_eq!(headers["x-hub-signature-256"], signature);
    assert_eq!(headers["x-github-event"], "nach%20%22%C3%84nderung%22");
    assert_eq!(headers["x-github-delivery"], "00010203-0405-0607-0809-0a0b0c0d0e0f");
    assert!(!headers.contains_key("webhook-signature") && headers.contains_key("webhook-id"));
}

#[test]
fn stripe_receivers_get_their_header_under_any_name() {
    let fields =
        json!({"signing": "stripe", "secrets": ["whsec_test", "former"], "signature_header": "Acme-Signature"});
    let headers = sent(fields, 1_614_265_330);
    // Made with `printf '1614265330.{}' | openssl dgst -sha256 -hmac whsec_test`, and with `former`.
    let signature = "t=1614265330,v1=5790023bd77209313f2e32e36caf5921bdd2fac398095f83dc2d2ecd5f696f50,v1=a3946356be41fdbbf32cd4bc9fb3744b1f9ac49e53967826a3b4ed02f80016e7";
    assert_eq!(headers["acme-signature"], signature);
    assert!(!headers.contains_key("stripe-signature"));
}

#[test]
fn what_is_not_to_be_signed_is_not() {
    let headers = sent(json!({"signing": "none", "secrets": ["kept for later"]}), 0);
    assert!(!headers.contains_key("webhook-signature") && headers.contains_key("webhook-id"));
}

#[test]
fn a_signature_does_not_take_another_headers_place() {
    let refused = |fields: Value| {
        let mut webhook = json!({"doctype": "Note", "doc_event": "*", "request_url": "https://example.com/"});
        for (name, value) in fields.as_object().expect("fields") {
            webhook[name] = value.clone();
        }
        let webhook = Webhook::parse(webhook.to_string().as_bytes()).expect("a webhook");
        Signer::new(&webhook).expect_err("refused").to_string()
    };
    assert!(refused(json!({"signature_header": "Host"})).contains("signature_header"));
    assert!(refused(json!({"signature_header": "a b"})).contains("signature_header"));
    let taken =
        json!({"signing": "github", "secrets": ["s"], "headers": [{"key": "X-Hub-Signature-256", "value": "x"}]});
    assert!(refused(taken).contains("headers"));
}

#[test]
fn a_header_of_the_request_never_stands_in_for_the_hosts_own() {
    let request = request("http://example.com/", &[("Webhook-Id", "forged"), ("X-Hub-Signature-256", "forged")]);
    let signer = signer(json!({"signing": "github", "secrets": ["s"]}));
    let headers = built(&request, &signer, Timestamp::UNIX_EPOCH).expect("builds").headers;
    assert_eq!(headers.get_all("webhook-id").iter().collect::<Vec<_>>(), [id().to_string().as_str()]);
    assert_eq!(headers.get_all("x-hub-signature-256").iter().count(), 1);
    assert_ne!(headers["x-hub-signature-256"], "forged");
}

#[test]
fn what_http_does_not_allow_is_refused() {
    let code = |url, headers: &[(&str, &str)]| {
        built(&request(url, headers), &signer(json!({})), Timestamp::UNIX_EPOCH).expect_err("refused").code()
    };
    assert_eq!(code("ftp://example.com/", &[]), "request_bad_url");
    assert_eq!(code("http://", &[]), "request_bad_url");
    assert_eq!(code("http://example.com/", &[("X-A", "1\r\nX-B: 2")]), "request_bad_header");
    assert_eq!(code("http://example.com/", &[("X A", "1")]), "request_bad_header");
}
