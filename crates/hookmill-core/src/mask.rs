//! What nobody is shown again once it is saved: secret header values, and of a URL user, password and secret parameters.

mod in_url;

use url::Url;

use in_url::{has_masks, has_secrets_in, with_secrets_changed, with_secrets_of};
pub use in_url::{is_secret_parameter, shown_url};

use crate::webhook::{Auth, Ends, Grant, Header, PluginUse, Secret};
use crate::{Attempt, Request, Response, Webhook, WebhookError};

/// What stands in an answer in place of a secret; given back in a PUT, it keeps the stored one.
pub const MASK: &str = "********";

/// Parts of header names, in lower case, by which a value is taken for a secret.
const SECRET_NAMES: [&str; 6] = ["authorization", "token", "key", "secret", "cookie", "password"];

/// Tells whether a header's value is taken for a secret.
pub fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // That key opens nothing: it tells a repeat from another request, and answers commonly have it.
    name != "idempotency-key" && SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// Returns a header's value as it may be shown.
pub fn shown_header<'a>(name: &str, value: &'a str) -> &'a str {
    if is_secret_header(name) { MASK } else { value }
}

/// Returns headers as they may be shown.
pub fn shown_headers(headers: &[(String, String)]) -> Vec<(String, String)> {
    masked(headers.to_vec())
}

impl Webhook {
    /// Returns the webhook as an answer may show it: its secrets masked, as are header values that look like one and the
    /// user and password of its URL.
    pub fn masked(&self) -> Self {
        let shown = |header: &Header| Header {
            key: header.key.clone(),
            value: shown_header(&header.key, &header.value).into(),
            template: header.template,
        };
        Self {
            secrets: self.secrets.iter().map(Secret::masked).collect(),
            auth: self.auth.clone().map(Auth::masked),
            headers: self.headers.iter().map(shown).collect(),
            request_url: shown_url(&self.request_url),
            plugin: self.plugin.as_ref().map(PluginUse::masked),
            ..self.clone()
        }
    }

    /// Puts what is stored back where this webhook has only its mask.
    ///
    /// Header values, user and password go back to the receiver that they were given for only: who may change a webhook
    /// must not learn them by sending them elsewhere.
    pub fn with_secrets_of(mut self, stored: Option<&Self>) -> Result<Self, WebhookError> {
        restore(&mut self.secrets, stored.map(|stored| &*stored.secrets).unwrap_or_default())?;
        let for_same_receiver = stored.filter(|stored| self.has_receiver_of(stored));
        if let Some(auth) = &mut self.auth {
            auth.restore(for_same_receiver.and_then(|stored| stored.auth.as_ref()))?;
        }
        for place in 0..self.headers.len() {
            let Some(kept) = self.masked_header(place, for_same_receiver)? else { continue };
            self.headers[place].value = kept;
        }
        let kept = for_same_receiver.and_then(|stored| stored.plugin.as_ref()).map(|plugin| &plugin.secrets);
        let named = self.plugin.iter_mut().flat_map(|plugin| &mut plugin.secrets);
        for (name, secret) in named.filter(|(_, secret)| *secret == MASK) {
            let kept = kept.and_then(|kept| kept.get(name));
            *secret = kept.ok_or_else(|| nothing_stored("plugin.secrets", &format!("secret {name:?}")))?.clone();
        }
        if has_masks(&self.request_url) {
            let kept = for_same_receiver.and_then(|stored| with_secrets_of(&self.request_url, &stored.request_url));
            self.request_url = kept.ok_or_else(|| nothing_stored("request_url", "user, password or parameter"))?;
        }
        Ok(self)
    }

    /// Returns the stored value of the header at `place` if that has only its mask.
    fn masked_header(&self, place: usize, stored: Option<&Self>) -> Result<Option<String>, WebhookError> {
        let named = |wanted: &str, header: &Header| header.key.eq_ignore_ascii_case(wanted);
        let Some(Header { key, value, .. }) = self.headers.get(place) else { return Ok(None) };
        if value != MASK || !is_secret_header(key) {
            return Ok(None);
        }
        // Of several headers with one name, the n-th keeps the value of the n-th.
        let nth = self.headers.iter().take(place).filter(|header| named(key, header)).count();
        let kept = stored.and_then(|stored| stored.headers.iter().filter(|header| named(key, header)).nth(nth));
        let kept = kept.ok_or_else(|| nothing_stored("headers", &format!("value of {key:?}")))?;
        Ok(Some(kept.value.clone()))
    }

    /// Tells whether requests go where those of `other` go: to the same origin or, where that depends on the document,
    /// by the same template. A plugin that may choose the URL since then may go anywhere.
    fn has_receiver_of(&self, other: &Self) -> bool {
        if self.grants(Grant::Url) && !other.grants(Grant::Url) {
            return false;
        }
        if self.dynamic_url || other.dynamic_url {
            return self.dynamic_url == other.dynamic_url
                && shown_url(&self.request_url) == shown_url(&other.request_url);
        }
        let origin = |webhook: &Self| Url::parse(webhook.request_url.trim()).ok().map(|url| url.origin());
        origin(self).is_some() && origin(self) == origin(other)
    }
}

/// Puts stored secrets back in place of masks: each the one at its place or, if more are given than are stored, as it
/// is when a new one is put before the former ones, the one as far from the end.
pub(crate) fn restore(secrets: &mut [Secret], stored: &[Secret]) -> Result<(), WebhookError> {
    let added = secrets.len().saturating_sub(stored.len());
    let by_place = secrets.iter().skip(stored.len()).all(|secret| secret.text != MASK);
    let moved = if by_place { 0 } else { added };
    for (place, secret) in secrets.iter_mut().enumerate().filter(|(_, secret)| secret.text == MASK) {
        let kept = place.checked_sub(moved).and_then(|place| stored.get(place));
        let kept = kept.ok_or_else(|| nothing_stored("secrets", "secret"))?;
        secret.text.clone_from(&kept.text);
        // To save it once more does not prolong its overlap.
        if let (Ends::AfterOverlap, Ends::At(_)) = (secret.ends, kept.ends) {
            secret.ends = kept.ends;
        }
    }
    Ok(())
}

impl Secret {
    pub(crate) fn masked(&self) -> Self {
        Self { text: MASK.into(), ends: self.ends }
    }
}

impl Auth {
    fn masked(mut self) -> Self {
        self.secrets_mut().into_iter().for_each(|(_, secret)| *secret = MASK.into());
        self
    }

    /// Puts what is stored back where this has only its mask.
    fn restore(&mut self, stored: Option<&Self>) -> Result<(), WebhookError> {
        let mut stored = stored.filter(|stored| stored.shows_itself_where(self)).cloned();
        let mut kept = stored.iter_mut().flat_map(Self::secrets_mut).map(|(_, secret)| secret);
        for (field, secret) in self.secrets_mut() {
            let kept = kept.next();
            if *secret == MASK {
                *secret = kept.ok_or_else(|| nothing_stored(field, "secret"))?.clone();
            }
        }
        Ok(())
    }

    /// Tells whether both are of one kind and, where a secret goes elsewhere than to the receiver, go to the same place.
    fn shows_itself_where(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::OAuth2(stored), Self::OAuth2(sent)) => {
                let origin = |url: &str| Url::parse(url.trim()).ok().map(|url| url.origin());
                origin(&stored.token_url).is_some() && origin(&stored.token_url) == origin(&sent.token_url)
            }
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

fn nothing_stored(field: &str, what: &str) -> WebhookError {
    let rule = format!("holds a mask, but no {what} is stored for this receiver in its place; give it again");
    WebhookError::invalid(field, rule)
}

impl PluginUse {
    fn masked(&self) -> Self {
        let secrets = self.secrets.keys().map(|name| (name.clone(), MASK.to_owned())).collect();
        Self { secrets, ..self.clone() }
    }
}

impl Request {
    /// Tells whether anything in it is masked in an answer.
    pub fn has_secrets(&self) -> bool {
        has_secrets_in(&self.url) || self.headers.iter().any(|(name, _)| is_secret_header(name))
    }

    /// Puts in place of each text that an answer masks what `change` makes of it.
    pub fn change_secrets<E>(&mut self, mut change: impl FnMut(&str) -> Result<String, E>) -> Result<(), E> {
        if has_secrets_in(&self.url) {
            self.url = with_secrets_changed(&self.url, &mut change)?;
        }
        for (_, value) in self.headers.iter_mut().filter(|(name, _)| is_secret_header(name)) {
            *value = change(value)?;
        }
        Ok(())
    }

    /// Puts the secrets of `draft` back where this request has what its [`masked`](Self::masked) form had, and tells
    /// whether any went in. A header keeps its secret under its own name only.
    pub fn unveil(&mut self, draft: &Self) -> bool {
        let mut any = false;
        for place in 0..self.headers.len() {
            let Some((name, MASK)) = self.headers.get(place).map(|(name, value)| (name, value.as_str())) else {
                continue;
            };
            let named = |(other, _): &&(String, String)| other.eq_ignore_ascii_case(name);
            // Of several headers with one name, the n-th gets the value of the n-th.
            let nth = self.headers.iter().take(place).filter(named).count();
            let secret = draft.headers.iter().filter(named).nth(nth).filter(|(name, _)| is_secret_header(name));
            if let Some((_, secret)) = secret {
                self.headers[place].1.clone_from(secret);
                any = true;
            }
        }
        let shown = shown_url(&draft.url);
        if self.url == shown {
            any |= shown != draft.url;
            self.url.clone_from(&draft.url);
        } else if has_masks(&self.url)
            && let Some(url) = with_secrets_of(&self.url, &draft.url)
        {
            self.url = url;
            any = true;
        }
        any
    }

    /// Returns the request as an answer may show it.
    pub fn masked(self) -> Self {
        Self { url: shown_url(&self.url), headers: masked(self.headers), ..self }
    }
}

impl Response {
    /// Returns the response as an answer may show it.
    pub fn masked(self) -> Self {
        Self { headers: masked(self.headers), ..self }
    }
}

impl Attempt {
    /// Returns the attempt as an answer may show it.
    pub fn masked(self) -> Self {
        Self { request: self.request.map(Request::masked), response: self.response.map(Response::masked), ..self }
    }
}

fn masked(headers: Vec<(String, String)>) -> Vec<(String, String)> {
    let shown = |(name, value): (String, String)| {
        let value = if is_secret_header(&name) { MASK.to_owned() } else { value };
        (name, value)
    };
    headers.into_iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_secret_are_known() {
        for name in ["Authorization", "X-Auth-Token", "x-api-key", "Client-SECRET", "Set-Cookie", "X-Password"] {
            assert_eq!(shown_header(name, "v"), MASK, "{name}");
        }
        for name in ["Content-Type", "webhook-signature", "X-Site", "Accept", "Idempotency-Key"] {
            assert_eq!(shown_header(name, "v"), "v", "{name}");
        }
    }

    #[test]
    fn a_requests_secrets_are_what_an_answer_masks() {
        let headers = [("X-Api-Key", "k"), ("Accept", "*/*")].map(|(name, value)| (name.into(), value.into())).into();
        let mut request =
            Request { method: "POST".into(), url: "https://u:p@host/in?a=b@c&token=t".into(), headers, body: vec![] };
        assert!(request.has_secrets());
        let mut seen = vec![];
        let Ok(()) = request.change_secrets(|secret| {
            seen.push(secret.to_owned());
            Ok::<_, std::convert::Infallible>(MASK.to_owned())
        });
        assert_eq!(seen, ["u:p", "t", "k"]);
        assert_eq!(request, request.clone().masked());
        let plain = Request { url: "https://host/@a".into(), headers: vec![], ..request };
        assert!(!plain.has_secrets());
    }

    #[test]
    fn who_may_use_secrets_sees_a_mask_and_gives_it_back() {
        let headers = [("X-Api-Key", "one"), ("Accept", "*/*"), ("x-api-key", "two")];
        let headers = headers.map(|(name, value)| (name.into(), value.into())).into();
        let draft = Request { method: "POST".into(), url: "https://u:p@host/in".into(), headers, body: vec![] };
        let mut back = draft.clone().masked();
        assert_eq!(back.url, "https://********@host/in");
        assert!(back.headers.iter().all(|(_, value)| !["one", "two"].contains(&value.as_str())));
        assert!(back.unveil(&draft));
        assert_eq!(back, draft);

        let mut other = draft.clone().masked();
        other.url = "https://********@host/elsewhere".into();
        other.headers = vec![("X-Other".into(), MASK.into()), ("X-API-KEY".into(), MASK.into())];
        assert!(other.unveil(&draft));
        assert_eq!(other.url, "https://u:p@host/elsewhere");
        assert_eq!(
            other.headers,
            [("X-Other".to_owned(), MASK.to_owned()), ("X-API-KEY".to_owned(), "one".to_owned())]
        );
        let mut plain = Request { url: "https://host/".into(), headers: vec![], ..draft.clone() };
        assert!(!plain.unveil(&draft));
    }

    fn webhook(json: &str) -> Webhook {
        let least = r#""doctype":"Note","doc_event":"on_update""#;
        Webhook::parse(format!("{{{least},{json}}}").as_bytes()).expect("a webhook")
    }

    #[test]
    fn a_masked_secret_given_back_keeps_the_stored_one() {
        let mut stored = webhook(r#""request_url":"https://example.com/in""#);
        let secret = |text: &str| Secret::from(text.to_owned());
        stored.secrets = ["whsec_one", "whsec_two"].map(secret).into();
        let masked = stored.masked();
        let merged = |secrets: &[&str]| {
            let sent = Webhook { secrets: secrets.iter().copied().map(secret).collect(), ..masked.clone() };
            let merged = sent.with_secrets_of(Some(&stored)).map_err(|error| error.to_string())?;
            Ok::<_, String>(merged.secrets.into_iter().map(|secret| secret.text).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(merged(&["new", MASK]).as_deref(), Ok("new whsec_two"));
        assert_eq!(merged(&["new", MASK, MASK]).as_deref(), Ok("new whsec_one whsec_two"));
        assert_eq!(merged(&[MASK, MASK, "new"]).as_deref(), Ok("whsec_one whsec_two new"));
        assert_eq!(merged(&[MASK]).as_deref(), Ok("whsec_one"));
        assert!(merged(&[MASK, MASK, MASK]).is_err());
        assert!(masked.with_secrets_of(None).is_err());
    }

    #[test]
    fn what_a_receiver_is_shown_comes_back_for_the_same_receiver_only() {
        for (auth, secret) in [
            (r#"{"basic":{"username":"u-1","password":"pw-1"}}"#, "pw-1"),
            (r#"{"basic":{"username":"key-1","password":""}}"#, "key-1"),
            (r#"{"bearer":"tok-1"}"#, "tok-1"),
            (r#"{"oauth2":{"token_url":"https://id.example/t","client_id":"c","client_secret":"cs-1"}}"#, "cs-1"),
            (r#"{"mtls":{"certificate_pem":"cert","private_key_pem":"key-1"}}"#, "key-1"),
        ] {
            let stored = webhook(&format!(r#""request_url":"https://example.com/in","auth":{auth}"#));
            let masked = stored.masked();
            assert!(!serde_json::to_string(&masked).expect("JSON").contains(secret), "{auth}");
            assert!(!format!("{stored:?}").contains(secret), "{auth}");
            assert_eq!(masked.clone().with_secrets_of(Some(&stored)).expect("merged"), stored);
            assert!(masked.clone().with_secrets_of(None).is_err());
            let moved = Webhook { request_url: "https://evil.example/in".into(), ..masked };
            assert!(moved.with_secrets_of(Some(&stored)).is_err(), "{auth}");
        }
    }

    #[test]
    fn a_clients_secret_is_not_sent_to_another_token_endpoint() {
        let with = |url: &str, secret: &str| {
            webhook(&format!(
                r#""request_url":"https://example.com/in","auth":{{"oauth2":{{"token_url":"{url}","client_id":"c","client_secret":"{secret}"}}}}"#
            ))
        };
        let stored = with("https://id.example/t", "cs-1");
        assert!(with("https://id.example/other", MASK).with_secrets_of(Some(&stored)).is_ok());
        assert!(with("https://evil.example/t", MASK).with_secrets_of(Some(&stored)).is_err());
        let other_kind = webhook(r#""request_url":"https://example.com/in","auth":{"bearer":"********"}"#);
        assert!(other_kind.with_secrets_of(Some(&stored)).is_err());
    }

    #[test]
    fn a_plugins_secrets_come_back_only_where_the_plugin_can_send_them_nowhere_new() {
        let url = r#""request_url":"https://example.com/in""#;
        let with = |more: &str| webhook(&format!(r#"{url},"plugin":{{"name":"p","secrets":{{"t":"s3cret"}}{more}}}"#));
        let stored = with("");
        let masked = stored.masked();
        assert!(!serde_json::to_string(&masked).expect("JSON").contains("s3cret"));
        assert_eq!(masked.clone().with_secrets_of(Some(&stored)).expect("merged"), stored);
        assert!(masked.clone().with_secrets_of(None).is_err());
        let moved = Webhook { request_url: "https://evil.example/".into(), ..masked };
        assert!(moved.with_secrets_of(Some(&stored)).is_err());
        let granted = with(r#","grants":["url"]"#);
        assert!(granted.masked().with_secrets_of(Some(&stored)).is_err());
        assert!(granted.masked().with_secrets_of(Some(&granted)).is_ok());
    }

    #[test]
    fn masked_headers_and_passwords_come_back_for_the_same_receiver_only() {
        let stored = webhook(
            r#""request_url":"https://u:p@example.com/in?key=k&a=b","headers":[{"key":"X-Key","value":"1"},{"key":"A","value":"2"},{"key":"x-key","value":"3"}]"#,
        );
        let masked = stored.masked();
        assert_eq!(masked.request_url, "https://********@example.com/in?key=********&a=b");
        assert_eq!(masked.headers.iter().map(|header| header.value.as_str()).collect::<Vec<_>>(), [MASK, "2", MASK]);
        assert_eq!(masked.clone().with_secrets_of(Some(&stored)).expect("merged"), stored);
        let moved = |url: &str| Webhook { request_url: url.into(), ..masked.clone() }.with_secrets_of(Some(&stored));
        assert_eq!(moved("https://example.com/other").expect("same origin").headers, stored.headers);
        for elsewhere in ["https://evil.example/in", "http://example.com/in", "https://********@evil.example/in"] {
            assert!(moved(elsewhere).is_err(), "{elsewhere}");
        }
        assert!(masked.with_secrets_of(None).is_err());
    }
}
