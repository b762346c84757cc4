//! Requests as Frappe makes them: `requests`' own headers, Latin-1, and one signature over the body, which is also checked
//! here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hookmill_core::Request;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::percent_decode_str;
use sha2::Sha256;

use crate::credentials::basic;
use crate::handles::SecretHandles;
use crate::request::{self, BuildError, Outgoing};
use crate::spelling::Spelling;

/// The header that bears the signature.
const SIGNATURE: HeaderName = HeaderName::from_static("x-frappe-webhook-signature");

/// Builds the request for one try.
///
/// Its headers are those that Python's `requests` sets, the signature if there is a `secret`, and the webhook's own, which
/// stand above the others. User and password of the URL become `Authorization`.
pub fn build(request: &Request, secret: Option<&str>, handles: Option<&SecretHandles>) -> Result<Outgoing, BuildError> {
    let (method, to) = request::addressed(request)?;
    let mut headers = HeaderMap::with_capacity(request.headers.len() + 5);
    headers.insert(header::USER_AGENT, HeaderValue::from_static(request::USER_AGENT));
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
    if let Some(secret) = secret {
        let signature = HeaderValue::from_str(&sign(secret, &request.body)).expect("base64 is a header's value");
        headers.insert(SIGNATURE, signature);
    }
    for (name, value) in &request.headers {
        let value = match handles {
            Some(handles) => handles.fill(name, value)?,
            None => value.as_str().into(),
        };
        let bad_header = || BuildError::Header { name: name.chars().take(60).collect() };
        let parsed_name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad_header())?;
        headers.insert(parsed_name, latin1(&value).ok_or_else(bad_header)?);
    }
    if let Some(credentials) = credentials(&request.url)? {
        headers.insert(header::AUTHORIZATION, credentials);
    }
    let (to, body) = (to.without_userinfo(), Bytes::copy_from_slice(&request.body));
    Ok(Outgoing { method, to, headers, body, spelling: Spelling::written_or_title_case(&request.headers) })
}

/// Signs a body: the base64 of its HMAC-SHA256 under the text of the secret.
fn sign(secret: &str, body: &[u8]) -> String {
    STANDARD.encode(mac(secret, body).finalize().into_bytes())
}

/// Tells whether this is Frappe's signature of a body, in a time that says nothing about the right one.
pub fn is_signed(secret: &str, body: &[u8], signature: &str) -> bool {
    STANDARD.decode(signature.trim()).is_ok_and(|signature| mac(secret, body).verify_slice(&signature).is_ok())
}

fn mac(secret: &str, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of every length");
    mac.update(body);
    mac
}

/// Returns a header's value in Latin-1, if it has no other characters.
pub fn latin1(text: &str) -> Option<HeaderValue> {
    let bytes: Option<Vec<u8>> = text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect();
    HeaderValue::from_bytes(&bytes?).ok()
}

/// Returns what `Authorization` is made of a URL's user and password; nothing where either is not there at all.
fn credentials(url: &str) -> Result<Option<HeaderValue>, BuildError> {
    let authority = url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#', '\\']).next());
    let userinfo = authority.and_then(|authority| authority.rsplit_once('@')).map(|(userinfo, _)| userinfo);
    let Some((user, password)) = userinfo.and_then(|userinfo| userinfo.split_once(':')) else { return Ok(None) };
    if user.is_empty() && password.is_empty() {
        return Ok(None);
    }
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pair = format!("{}:{}", plain(user), plain(password));
    let bytes: Option<Vec<u8>> = pair.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect();
    let bytes = bytes.ok_or_else(|| BuildError::Header { name: "Authorization".into() })?;
    Ok(Some(basic(&STANDARD.encode(bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_frappes() {
        // As a site of version 15 sent it.
        assert_eq!(sign("s", b"{}"), "FDyo1Re6GxgQJdcysc8nXZAQT8pXuwKlZVQpeKoYxLY=");
        let body = br#"{"id": "gmuruhduet", "title": "Golden 22 \u00fc \ud83c\udf89", "c": "<p>x</p>"}"#;
        assert_eq!(sign("topsecret", body), "zGxC31y98Oh8AsKWrPoKPrEy0jZyeNgdGwdPiMPcyZY=");
        assert!(is_signed("s", b"{}", "FDyo1Re6GxgQJdcysc8nXZAQT8pXuwKlZVQpeKoYxLY="));
        for (secret, body, signature) in [
            ("t", "{}", "FDyo1Re6GxgQJdcysc8nXZAQT8pXuwKlZVQpeKoYxLY="),
            ("s", "{ }", "FDyo1Re6GxgQJdcysc8nXZAQT8pXuwKlZVQpeKoYxLY="),
            ("s", "{}", "FDyo1Re6GxgQJdcysc8nXZAQT8pXuwKlZVQpeKoYxLU="),
            ("s", "{}", "FDyo"),
            ("s", "{}", ""),
        ] {
            assert!(!is_signed(secret, body.as_bytes(), signature), "{secret} {body} {signature}");
        }
    }

    #[test]
    fn the_headers_are_those_of_requests_and_the_webhooks_own_stand_above_them() {
        let request = Request {
            method: "DELETE".into(),
            url: "http://usr:p%40ss@h/auth?x=1".into(),
            headers: vec![("Accept".into(), "text/x".into()), ("X-Name".into(), "Größe".into())],
            body: b"{}".to_vec(),
        };
        let built = build(&request, None, None).expect("builds");
        assert_eq!(built.to.url().as_str(), "http://h/auth?x=1");
        assert_eq!(built.headers["authorization"], "Basic dXNyOnBAc3M=");
        assert_eq!(built.headers["accept"], "text/x");
        assert_eq!(built.headers["connection"], "keep-alive");
        assert_eq!(built.headers["x-name"].as_bytes(), b"Gr\xf6\xdfe");
        assert_eq!(built.headers.len(), 5, "{:?}", built.headers);
    }

    #[test]
    fn user_and_password_are_read_as_requests_reads_them() {
        for (userinfo, sent) in [
            ("usr:p%40ss", Some("usr:p@ss")),
            ("usr:", Some("usr:")),
            (":pw", Some(":pw")),
            ("usr", None),
            (":", None),
            ("u:p@ss", Some("u:p@ss")),
        ] {
            let credentials = credentials(&format!("http://{userinfo}@h/x@y:z")).expect("builds");
            let expected = sent.map(|pair| format!("Basic {}", STANDARD.encode(pair)));
            assert_eq!(credentials.map(|value| value.to_str().expect("ASCII").to_owned()), expected, "{userinfo}");
        }
        assert_eq!(credentials("http://h/x@y:z").expect("builds"), None);
        let latin = credentials("http://%C3%BC:p@h/").expect("builds").expect("credentials");
        assert_eq!(latin, format!("Basic {}", STANDARD.encode(b"\xfc:p")).as_str());
        assert!(credentials("http://%E6%97%A5:p@h/").is_err());
    }

    #[test]
    fn what_latin_1_does_not_have_is_refused() {
        let request = Request {
            method: "POST".into(),
            url: "http://h/".into(),
            headers: vec![("X-Name".into(), "日本".into())],
            body: vec![],
        };
        assert!(matches!(build(&request, None, None), Err(BuildError::Header { .. })));
    }
}
