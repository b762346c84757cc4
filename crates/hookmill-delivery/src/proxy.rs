//! The proxy that all requests go through, if the operator has one.

use std::fmt;
use std::str::FromStr;

use hookmill_core::Explain;
use hookmill_core::mask::shown_url;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::destination::{authorization, uri_at};

/// A proxy: its URL, with user and password where it wants them. Printing it does not show these.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy(Url);

/// A text is not the URL of a proxy. It is not repeated, for a password may be anywhere in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what is given as the proxy's URL is none")]
#[non_exhaustive]
pub struct InvalidProxy;

impl Explain for InvalidProxy {
    fn code(&self) -> &'static str {
        "proxy_invalid"
    }

    fn help(&self) -> Option<String> {
        Some("write `http://`, `https://` or `socks5://`, a host and a port, and nothing after it".into())
    }
}

impl FromStr for Proxy {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        // `socks5h` is left out: with it the proxy would resolve names that nobody vetted.
        Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https" | "socks5"))
            .filter(|url| url.host_str().is_some_and(|host| !host.is_empty()))
            .filter(|url| matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none())
            .filter(|url| uri_at(url, "/").is_ok())
            .map(Self)
            .ok_or(InvalidProxy)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&shown_url(self.0.as_str())).finish()
    }
}

impl Proxy {
    /// Returns where it is, without user and password.
    pub(crate) fn uri(&self) -> Uri {
        uri_at(&self.0, "/").expect("it was made when the URL was read")
    }

    pub(crate) fn is_socks(&self) -> bool {
        self.0.scheme() == "socks5"
    }

    /// Returns what an HTTP proxy is told of who asks.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        authorization(&self.0).filter(|_| !self.is_socks())
    }

    /// Returns what a SOCKS proxy is told of who asks.
    pub(crate) fn user_and_password(&self) -> Option<(String, String)> {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = (self.0.username(), self.0.password());
        let has_some = !user.is_empty() || password.is_some();
        has_some.then(|| (decoded(user), decoded(password.unwrap_or_default())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_proxy_is_refused_and_a_password_is_never_shown() {
        for good in ["http://proxy:3128", "https://proxy.example", "socks5://u:pw-1@10.0.0.1:1080"] {
            assert!(!format!("{:?}", good.parse::<Proxy>().expect(good)).contains("pw-1"));
        }
        for bad in [
            "proxy:3128",
            "ftp://u:pw-1@proxy",
            "socks5h://proxy:1080",
            "socks4://proxy",
            "http://",
            "",
            "http://proxy//u:pw-1@a",
        ] {
            let error = bad.parse::<Proxy>().expect_err(bad);
            assert!(!error.to_string().contains("pw-1"), "{error}");
        }
    }
}
