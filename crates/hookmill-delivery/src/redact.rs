//! Takes secrets out of an answer: a receiver may say back what it was sent, and whoever reads the answer, a plugin or a
//! person, is not to learn them.

use hookmill_core::Response;

/// Bytes of the shortest secret that is looked for: shorter ones stand in any answer by chance.
pub(crate) const REDACTED_BYTES_MIN: usize = 4;

/// Puts `mask` wherever a header's value or the body has one of the secrets.
pub(crate) fn redact<'a>(response: &mut Response, secrets: impl Iterator<Item = &'a str>, mask: &str) {
    for secret in secrets.filter(|secret| secret.len() >= REDACTED_BYTES_MIN) {
        for (_, value) in response.headers.iter_mut().filter(|(_, value)| value.contains(secret)) {
            *value = value.replace(secret, mask);
        }
        if memchr::memmem::find(&response.body, secret.as_bytes()).is_some() {
            response.body = replaced(&response.body, secret.as_bytes(), mask.as_bytes());
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

    #[test]
    fn an_answer_that_says_a_secret_back_is_redacted() {
        let mut response = Response {
            status: 200,
            headers: vec![("x-echo".into(), "Bearer s3cret".into())],
            body: b"\xffs3cret and s3cret".to_vec(),
            truncated: false,
        };
        redact(&mut response, ["", "a", "s3cret"].into_iter(), "***");
        assert_eq!(response.headers[0].1, "Bearer ***");
        assert_eq!(response.body, b"\xff*** and ***");
    }
}
