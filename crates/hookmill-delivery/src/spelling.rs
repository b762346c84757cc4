//! How the names of headers are spelt over HTTP/1.1: receivers exist that tell `X-API-Key` from `x-api-key`.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{Extensions, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;

/// How the names of a request's headers are spelt. HTTP/2 has all of them in lower case.
#[derive(Debug, Clone, Default)]
pub struct Spelling {
    /// Names as they were written, where that is not as the others go out; of one that stands twice, both.
    written: Vec<String>,
    /// The others go out as `X-Title-Case`, as Python's `requests` has its own, else in lower case.
    title_case: bool,
}

impl Spelling {
    /// Spells these names as they are written, and others in lower case.
    pub(crate) fn written(headers: &[(String, String)]) -> Self {
        Self::of(headers, false)
    }

    /// Spells these names as they are written, and others in title case.
    pub(crate) fn written_or_title_case(headers: &[(String, String)]) -> Self {
        Self::of(headers, true)
    }

    fn of(headers: &[(String, String)], title_case: bool) -> Self {
        let all_alike = headers.iter().all(|(name, _)| {
            if title_case { *name == in_title_case(name) } else { !name.bytes().any(|byte| byte.is_ascii_uppercase()) }
        });
        let written = if all_alike { vec![] } else { headers.iter().map(|(name, _)| name.clone()).collect() };
        Self { written, title_case }
    }

    /// Tells how names are spelt that nobody wrote.
    pub(crate) fn is_title_case(&self) -> bool {
        self.title_case
    }

    /// Returns what tells hyper of the names that were written.
    ///
    /// hyper spells a request's names as those of the request were that it is passed on from, and has no other way to be
    /// told: so it is given one to read. <https://docs.rs/hyper/1/hyper/client/conn/http1/struct.Builder.html#method.preserve_header_case>
    pub(crate) async fn for_hyper(&self) -> Extensions {
        if self.written.is_empty() {
            return Extensions::new();
        }
        let lines: String = self.written.iter().map(|name| format!("{name}: \r\n")).collect();
        let head = format!("GET / HTTP/1.1\r\n{lines}\r\n");
        let (mut to_hyper, read_by_hyper) = tokio::io::duplex(head.len());
        let found = Arc::new(OnceLock::new());
        let service = service_fn(|request: http::Request<Incoming>| {
            let found = Arc::clone(&found);
            async move {
                found.get_or_init(|| request.extensions().clone());
                // Nobody waits for an answer.
                Err::<Response<Empty<Bytes>>, _>(std::fmt::Error)
            }
        });
        let mut reader = http1::Builder::new();
        reader.preserve_header_case(true).max_headers(self.written.len());
        // It all fits into the buffer, and both ends are here.
        if to_hyper.write_all(head.as_bytes()).await.is_ok() {
            drop(reader.serve_connection(TokioIo::new(read_by_hyper), service).await);
        }
        found.get().cloned().unwrap_or_default()
    }
}

/// Returns a name with the first letter of each word large and the others small.
fn in_title_case(name: &str) -> String {
    let mut begins = true;
    name.chars()
        .map(|letter| {
            let spelt = if begins { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() };
            begins = letter == '-';
            spelt
        })
        .collect()
}
