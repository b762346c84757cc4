//! Takes secrets out of an answer: a receiver may say back what it was sent, and whoever reads the answer, a plugin or a
//! person, is not to learn them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookmill_core::Response;
use hookmill_core::mask::{is_secret_header, is_secret_parameter};
use url::form_urlencoded;

use crate::request::Outgoing;

/// Bytes of the shortest secret that is looked for: shorter ones stand in any answer by chance.
pub(crate) const REDACTED_BYTES_MIN: usize = 4;

/// Texts that an answer must not say back, each in every form in which a receiver is likely to.
#[derive(Default)]
pub(crate) struct Redaction(Vec<String>);

impl Redaction {
    /// Adds a secret: as it is, as in a form or URL, as in JSON, and as base64.
    pub(crate) fn add(&mut self, secret: &str) {
        if secret.len() < REDACTED_BYTES_MIN {
            return;
        }
        let in_json = serde_json::to_string(secret).unwrap_or_default();
        let in_form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let in_url = in_form.replace('+', "%20");
        self.0.extend(
            [secret, in_json.trim_matches('"'), &in_form, &in_url, &STANDARD.encode(secret)].map(str::to_owned),
        );
    }

    /// Adds what a request bears: secret headers, and user, password and secret parameters of its URL.
    pub(crate) fn add_those_of(&mut self, request: &Outgoing) {
        let values = request.headers.iter().filter(|(name, _)| is_secret_header(name.as_str()));
        for value in values.filter_map(|(_, value)| value.to_str().ok()) {
            self.add(value);
            // `Bearer` and the like are no secret, and a receiver may say back what follows alone.
            if let Some((_, bare)) = value.split_once(' ') {
                self.add(bare);
            }
        }
        let url = request.to.url();
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = (decoded(url.username()), url.password().map(decoded));
        let query = request.to.uri().query().unwrap_or_default();
        for (_, value) in form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| is_secret_parameter(name)) {
            self.add(&value);
        }
        if !user.is_empty() || password.is_some() {
            // As the client sends it, and with a password that is none the user is the secret.
            let password = password.unwrap_or_default();
            self.add(&format!("{user}:{password}"));
            self.add(if password.len() < REDACTED_BYTES_MIN { &user } else { &password });
            self.add(url.password().unwrap_or_else(|| url.username()));
        }
    }

    /// Puts `mask` wherever a header's value or the body has one of the secrets, or ends in the midst of one.
    pub(crate) fn of(mut self, response: &mut Response, mask: &str) {
        self.sort();
        for (_, value) in &mut response.headers {
            *value = self.in_text(value, mask);
        }
        for secret in &self.0 {
            if memchr::memmem::find(&response.body, secret.as_bytes()).is_some() {
                response.body = replaced(&response.body, secret.as_bytes(), mask.as_bytes());
            }
        }
        if response.truncated {
            self.cut_end(&mut response.body, mask);
        }
    }

    /// Returns a text with `mask` in place of the secrets.
    pub(crate) fn of_text(mut self, text: &str, mask: &str) -> String {
        self.sort();
        self.in_text(text, mask)
    }

    /// The longest first: a part of another must not be taken out of it.
    fn sort(&mut self) {
        self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        self.0.dedup();
    }

    fn in_text(&self, text: &str, mask: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| match text.contains(secret) {
            true => text.replace(secret, mask),
            false => text,
        })
    }

    fn cut_end(&self, body: &mut Vec<u8>, mask: &str) {
        let begun = |secret: &String| {
            let lengths = (REDACTED_BYTES_MIN..secret.len()).rev();
            lengths.into_iter().find(|len| secret.as_bytes().get(..*len).is_some_and(|begin| body.ends_with(begin)))
        };
        if let Some(len) = self.0.iter().filter_map(begun).max() {
            body.truncate(body.len() - len);
            body.extend_from_slice(mask.as_bytes());
        }
    }
}

fn replaced(body: &[u8], secret: &[u8], mask: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut done = 0;
    for place in memchr::memmem::find_iter(body, secret) {
        out.extend_from_slice(body.get(done..place).unwrap_or_default());
        out.extend_from_slice(mask);
        done = place + secret.len();
    }
    out.extend_from_slice(body.get(done..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spelling::Spelling;

    fn redacted(secrets: &[&str], said: &[u8], truncated: bool) -> String {
        let mut redaction = Redaction::default();
        secrets.iter().for_each(|secret| redaction.add(secret));
        let mut response = Response { status: 200, headers: vec![], body: said.to_vec(), truncated };
        redaction.of(&mut response, "***");
        String::from_utf8_lossy(&response.body).into_owned()
    }

    #[test]
    fn an_answer_that_says_a_secret_back_is_redacted() {
        let mut response = Response {
            status: 200,
            headers: vec![("x-echo".into(), "Bearer s3cret".into())],
            body: b"\xffs3cret and s3cret".to_vec(),
            truncated: false,
        };
        let mut redaction = Redaction::default();
        ["", "a", "s3cret"].into_iter().for_each(|secret| redaction.add(secret));
        redaction.of(&mut response, "***");
        assert_eq!(response.headers[0].1, "Bearer ***");
        assert_eq!(response.body, b"\xff*** and ***");
    }

    #[test]
    fn a_secret_is_known_in_other_forms() {
        let secret = "a \"b\"/c";
        let said = r#"a "b"/c, a \"b\"/c, a+%22b%22%2Fc, a%20%22b%22%2Fc, YSAiYiIvYw=="#.as_bytes();
        assert_eq!(redacted(&[secret], said, false), "***, ***, ***, ***, ***");
        assert_eq!(redacted(&["abcd", "abcdef"], b"abcdef abcd", false), "*** ***");
    }

    #[test]
    fn an_answer_that_was_cut_off_in_a_secret_does_not_end_in_a_part_of_it() {
        assert_eq!(redacted(&["0123456789"], b"x 0123456", true), "x ***");
        assert_eq!(redacted(&["0123456789"], b"x 0123456", false), "x 0123456");
    }

    #[test]
    fn what_a_request_bears_is_redacted() {
        let url = "https://us%40er:pass%2Fword@host/in?api_key=k-12345&a=plain";
        let to = crate::destination::Destination::parse(url).expect("a URL");
        let mut headers = http::HeaderMap::new();
        headers.insert("x-api-key", http::HeaderValue::from_static("row-12345"));
        headers.insert("authorization", http::HeaderValue::from_static("Token tok-12345"));
        headers.insert("x-site", http::HeaderValue::from_static("site"));
        let (method, body, spelling) = (http::Method::POST, bytes::Bytes::new(), Spelling::default());
        let request = Outgoing { method, to, headers, body, spelling };
        let mut redaction = Redaction::default();
        redaction.add_those_of(&request);
        let basic = STANDARD.encode("us@er:pass/word");
        let said = format!("row-12345 tok-12345 k-12345 pass/word pass%2Fword {basic} plain site");
        assert_eq!(redaction.of_text(&said, "*"), "* * * * * * plain site");
    }
}
