//! What must hold of every input, whatever it is. Each takes bytes, and panics where something does not hold.

use std::net::IpAddr;

use hookmill_core::{DeliveryId, EventEnvelope, EventId, Request, TenantId, Webhook, mask};
use hookmill_delivery::{AddressPolicy, AllowedHost, Proxy, Signer, SigningSecret, frappe, retry_after};
use http::HeaderValue;
use jiff::Timestamp;
use url::{Host, Url};

/// A URL that passes the guard does not name an address that is not public, in the eyes of whoever dials it either.
pub fn url_guard(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let shown = mask::shown_url(text);
    let Ok(url) = Url::parse(text) else { return };
    if let Some(password) = url.password().filter(|password| password.len() > 8 && !mask::MASK.contains(password)) {
        let parsed = Url::parse(&shown).expect("a masked URL is one");
        assert_ne!(parsed.password(), Some(password), "{shown} shows a password");
    }
    // No request is built for another scheme, and `Url` reads hosts in these two only.
    if !matches!(url.scheme(), "http" | "https") || AddressPolicy::default().check_url(&url).is_err() {
        return;
    }
    let named = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(name)) => {
            assert!(
                !name.trim_end_matches('.').ends_with("localhost") || name.trim_end_matches('.').len() > 9,
                "{name}"
            );
            None
        }
        None => None,
    };
    if let Some(address) = named {
        assert_public(address);
    }
    let request = Request { method: "POST".into(), url: text.into(), headers: vec![], body: vec![] };
    let Ok(sent) = frappe::build(&request, None, None) else { return };
    // The connector reads the host anew from the request's URI.
    let uri = sent.to.uri();
    let dialled = uri.host().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    assert_eq!(dialled, named, "{url} is vetted as another host than the one that is dialled");
    assert_eq!((uri.host(), uri.port_u16()), (url.host_str(), url.port()), "{url} is not where its request goes");
    let target = uri.path_and_query().expect("a target").as_str();
    assert!(target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic()), "{target:?} is no target");
}

fn assert_public(address: IpAddr) {
    let special = match address.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_unspecified()
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
        }
    };
    assert!(!special, "{address} was allowed");
}

/// A webhook that is taken is written back the same, and its mask gives nothing away and takes everything back.
pub fn webhook(data: &[u8]) {
    let Ok(webhook) = Webhook::parse(data) else { return };
    let mut taken = webhook.clone();
    // These are carried beside the webhook, or worked out from it.
    (taken.name, taken.public_keys) = (None, None);
    let json = serde_json::to_string(&taken).expect("a webhook is JSON");
    assert_eq!(Webhook::parse(json.as_bytes()).expect("what was taken is taken again"), taken);
    let masked = taken.masked();
    let shown = serde_json::to_string(&masked).expect("a webhook is JSON");
    assert!(masked.secrets.iter().all(|secret| secret.text == mask::MASK), "{shown}");
    if let Ok(back) = masked.with_secrets_of(Some(&taken)) {
        assert_eq!(back.secrets, taken.secrets);
        assert_eq!(back.auth, taken.auth);
    }
    // Whatever can be signed with gives headers that can be sent.
    if let Ok(signer) = Signer::new(&webhook) {
        let envelope = EventEnvelope::parse(br#"{"doctype":"a","doc_event":"\u00e9\n","doc":{}}"#).expect("an event");
        let id = || EventId::new("e").expect("an id");
        if let Ok(event) = envelope.into_event(&TenantId::default_tenant(), Timestamp::UNIX_EPOCH, id) {
            let delivery: DeliveryId = "dlv_000102030405060708090a0b0c0d0e0f".parse().expect("an id");
            for (_, value) in signer.headers(&delivery, &event, Timestamp::UNIX_EPOCH, b"{}") {
                HeaderValue::from_str(&value).expect("a signature can be sent");
            }
        }
    }
}

/// An event that is taken has its document in the sender's own text.
pub fn event(data: &[u8]) {
    let Ok(envelope) = EventEnvelope::parse(data) else { return };
    let text = std::str::from_utf8(data).expect("what was taken is UTF-8");
    let id = || EventId::new("e").expect("an id");
    if let Ok(event) = envelope.into_event(&TenantId::default_tenant(), Timestamp::UNIX_EPOCH, id) {
        assert!(text.contains(event.doc.as_str()), "the document was rewritten: {}", event.doc.as_str());
        assert_eq!(event.content_digest(), event.content_digest());
    }
}

/// A secret signs what can be sent; nothing that is taken as a host or a proxy shows a password.
pub fn secret(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(secret) = SigningSecret::parse(text) {
        let entry = secret.sign("id", 0, data);
        assert!(entry.starts_with("v1,") || entry.starts_with("v1a,"), "{entry}");
        assert!(!entry.contains(' ') && HeaderValue::from_str(&entry).is_ok(), "{entry}");
        assert_eq!(secret.public_key().is_some(), text.starts_with("whsk_"));
        assert!(!format!("{secret:?}").contains(text));
    }
    if let Ok(host) = text.parse::<AllowedHost>() {
        assert!(host.to_string().parse::<IpAddr>().is_err(), "{host} is an address");
        assert_eq!(host.to_string().parse::<AllowedHost>().as_ref(), Ok(&host), "{host} is read in another way again");
    }
    if let Ok(proxy) = text.parse::<Proxy>() {
        assert!(!format!("{proxy:?}").contains("@") || format!("{proxy:?}").contains(mask::MASK), "{proxy:?}");
    }
}

/// A signature is taken for the very body that it was made for, whatever stands in its header: a line of a secret, a line
/// of a header, then the body.
pub fn signature(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let (Some(secret), Some(header), Some(body)) = (lines.next(), lines.next(), lines.next()) else { return };
    let (Ok(secret), Ok(header)) = (std::str::from_utf8(secret), std::str::from_utf8(header)) else { return };
    let taken = frappe::is_signed(secret, body, header);
    let other = [body, b"."].concat();
    assert!(!taken || !frappe::is_signed(secret, &other, header), "{header:?} is taken for two bodies");
    let Ok(signing) = SigningSecret::parse(secret) else { return };
    let entry = signing.sign("id", 0, body);
    assert_eq!(entry, signing.sign("id", 0, body), "the same is signed otherwise");
    assert_ne!(entry, signing.sign("id", 1, body), "the moment is not signed");
    assert_ne!(entry, signing.sign("id", 0, &other), "the body is not signed");
}

/// Whatever a receiver writes there, waiting is a span of time or nothing.
pub fn retry_after(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let now: Timestamp = "2026-11-23T20:00:00Z".parse().expect("a moment");
    let digits = text.trim();
    let parsed = retry_after::parse(text, now);
    if !digits.is_empty() && digits.len() < 19 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        assert_eq!(parsed.map(|span| span.as_secs()), digits.parse().ok(), "{digits}");
    }
}
