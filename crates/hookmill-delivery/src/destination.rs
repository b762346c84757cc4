//! Where a request goes: a URL as it was written, and as the standard for URLs reads it.
//!
//! Guards, origins and connections go by what was read, the target in the request's first line by what was written: a
//! receiver that signs or routes by its target sees the one that it was told. The host is always the one that was read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use url::{Position, Url};

use crate::credentials::basic;

/// What no request line can hold, besides what is not ASCII.
const NOT_IN_A_TARGET: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`');

/// Where a request goes.
#[derive(Debug, Clone)]
pub struct Destination {
    url: Url,
    uri: Uri,
}

impl Destination {
    /// Reads the URL of a request, or says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err("it must begin with http:// or https:// and name a host".into());
        }
        let uri = uri_at(&url, target(text, &url)).map_err(|error| error.to_string())?;
        Ok(Self { url, uri })
    }

    /// Returns the URL as it was read: what is vetted and compared.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns what is connected to and asked for, without user and password.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Drops user and password, so that no `Authorization` is made of them.
    pub(crate) fn without_userinfo(mut self) -> Self {
        // A URL with a host takes both.
        let _ = self.url.set_username("").and_then(|()| self.url.set_password(None));
        self
    }
}

/// Returns the target of a request to `url`, which was read from `text`: path and query as they are written there.
///
/// A text in which the path begins elsewhere than a plain reader would say (after odd slashes, or after line breaks that
/// the standard passes over) has the target that was read.
fn target(text: &str, url: &Url) -> String {
    let written =
        written_target(text, url.scheme()).unwrap_or_else(|| &url[Position::BeforePath..Position::AfterQuery]);
    let slash = if written.starts_with('/') { "" } else { "/" };
    format!("{slash}{}", utf8_percent_encode(written, NOT_IN_A_TARGET))
}

fn written_target<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    // The standard takes these off; so the end of a URL is what looks like it.
    let text = text.trim_matches(|character| character <= ' ');
    let (_, rest) = text.split_once("://").filter(|(written, _)| written.eq_ignore_ascii_case(scheme))?;
    let authority_len = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(authority_len)?;
    if authority.is_empty() || authority.contains(['\t', '\n', '\r']) || target.starts_with('\\') {
        return None;
    }
    Some(target.split_once('#').map_or(target, |(target, _fragment)| target))
}

/// Returns the URI of `target` at the host and port of `url`.
pub(crate) fn uri_at(url: &Url, target: impl Into<String>) -> Result<Uri, http::Error> {
    let host = url.host_str().unwrap_or_default();
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    Uri::builder().scheme(url.scheme()).authority(authority).path_and_query(target.into()).build()
}

/// Returns the `Authorization` that user and password of a URL stand for, if it has either.
pub(crate) fn authorization(url: &Url) -> Option<HeaderValue> {
    let has_some = !url.username().is_empty() || url.password().is_some();
    let pair = [url.username(), ":", url.password().unwrap_or_default()].map(percent_decode_str);
    has_some.then(|| basic(&STANDARD.encode(pair.into_iter().flatten().collect::<Vec<u8>>())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_goes_out_as_it_was_written() {
        for (text, sent) in [
            ("http://h", "/"),
            ("http://h/", "/"),
            ("HTTP://H:80/A", "/A"),
            ("http://h?a=b", "/?a=b"),
            ("http://h/?", "/?"),
            ("http://h#f", "/"),
            ("http://h/a?b#f?g", "/a?b"),
            ("http://h/it's?it's=(1)", "/it's?it's=(1)"),
            ("http://h/a/../b/./c", "/a/../b/./c"),
            ("http://h/a/%2e%2E/b/%2e", "/a/%2e%2E/b/%2e"),
            ("http://h/..", "/.."),
            ("http://h//x//y", "//x//y"),
            ("http://h/%zz%?%", "/%zz%?%"),
            ("http://h/%41%7e?%41", "/%41%7e?%41"),
            ("http://h/{a}|^[b]\\c?{a}|^[b]\\c", "/{a}|^[b]\\c?{a}|^[b]\\c"),
            ("http://h/a b?c d", "/a%20b?c%20d"),
            ("http://h/\"<>`?\"<>`", "/%22%3C%3E%60?%22%3C%3E%60"),
            ("http://h/Größe?ü=日", "/Gr%C3%B6%C3%9Fe?%C3%BC=%E6%97%A5"),
            ("http://h/a\tb\r\nc\x7f\0?d\te", "/a%09b%0D%0Ac%7F%00?d%09e"),
            ("http://u:p@h/in?@", "/in?@"),
            ("http://u:p@ss@h/in", "/in"),
            ("http://[::1]:8080/in?a=[b]", "/in?a=[b]"),
            (" \n http://h/in \t", "/in"),
        ] {
            let destination = Destination::parse(text).expect(text);
            assert_eq!(destination.uri().path_and_query().map(|target| target.as_str()), Some(sent), "{text:?}");
        }
    }

    #[test]
    fn a_text_that_readers_do_not_agree_on_has_the_target_that_was_read_and_its_host() {
        for (text, authority, sent) in [
            ("http://a\\@b/c'?'", "a", "/@b/c'?%27"),
            ("http:\\\\a/b", "a", "/b"),
            ("http:///x/'?'", "x", "/'?%27"),
            ("http:/x/y?'", "x", "/y?%27"),
            ("http:x/y?'", "x", "/y?%27"),
            ("http://\\x/y?'", "x", "/y?%27"),
            ("http://a\t/@b/y?'", "a", "/@b/y?%27"),
            ("http://a\n.b/y?'", "a.b", "/y?%27"),
            ("ht\ntp://a/y?'", "a", "/y?%27"),
            ("http:/\t/a/y?'", "a", "/y?%27"),
            ("http://a/x://b/'?'", "a", "/x://b/'?'"),
            ("http://u@a:81/?http://b/", "a:81", "/?http://b/"),
            ("http://a@b:81@c:82/d", "c:82", "/d"),
            ("http://①②⑦.1/d", "127.0.0.1", "/d"),
        ] {
            let destination = Destination::parse(text).expect(text);
            let uri = destination.uri();
            assert_eq!(uri.authority().map(|authority| authority.as_str()), Some(authority), "{text:?}");
            assert_eq!(uri.path_and_query().map(|target| target.as_str()), Some(sent), "{text:?}");
            assert_eq!(uri.host(), destination.url().host_str(), "{text:?}");
        }
    }

    #[test]
    fn what_no_request_can_go_to_is_refused() {
        let long = format!("http://h/{}", "x".repeat(70_000));
        for text in ["", "/in", "ftp://h/", "http://", "http://a b/", "http://h:99999/", "http://u@/x", &long] {
            assert!(Destination::parse(text).is_err(), "{text:.20}");
        }
    }
}
