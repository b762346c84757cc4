//! The built-in receiver: answers like httpbin's `/post`, or misbehaves as it is told.

mod echo;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use http::{StatusCode, header};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::args::Receiver;

/// Bytes of a request that are read. More than any webhook sends.
const BODY_BYTES_MAX: usize = 64 << 20;

/// What the receiver tells of a request: first that it is here, later how it ended.
#[derive(Debug)]
pub(crate) enum Heard {
    /// All of it has arrived.
    Arrived {
        /// Counted from 1.
        number: u64,
        method: String,
        /// What the answer says, as httpbin would.
        echo: Value,
    },
    /// It was answered, or the sender left before it was.
    Ended { number: u64, status: u16, whole: bool, after: Duration },
}

struct Behaviour {
    options: Receiver,
    count: AtomicU64,
    heard: mpsc::Sender<Heard>,
}

/// Serves until the task is dropped; everything that arrives is told to `heard`.
pub(crate) async fn serve(listener: TcpListener, options: Receiver, heard: mpsc::Sender<Heard>) -> std::io::Result<()> {
    let behaviour = Arc::new(Behaviour { options, count: AtomicU64::new(0), heard });
    let service = Router::new().fallback(answer).with_state(behaviour);
    axum::serve(listener, service.into_make_service_with_connect_info::<SocketAddr>()).await
}

async fn answer(
    State(behaviour): State<Arc<Behaviour>>,
    ConnectInfo(sender): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let Behaviour { options, count, heard } = &*behaviour;
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large, or broke off\n").into_response();
    };
    let begun = Instant::now();
    let number = 1 + count.fetch_add(1, Ordering::Relaxed);
    let failing = number <= options.fail_first;
    let status = match options {
        _ if failing => StatusCode::SERVICE_UNAVAILABLE,
        Receiver { redirect: true, .. } => StatusCode::FOUND,
        _ => StatusCode::from_u16(options.status).unwrap_or(StatusCode::OK),
    };
    let echo = echo::echo(&parts.uri, &parts.headers, &body, sender.ip());
    let text = format!("{echo:#}\n");
    // Nobody listens when the screen is to stay quiet.
    let _unheard = heard.send(Heard::Arrived { number, method: parts.method.to_string(), echo }).await.is_err();
    let ending = Ending { heard: heard.clone(), number, status: status.as_u16(), begun, whole: false };
    if let Some(delay) = options.delay {
        tokio::time::sleep(delay).await;
    }
    let body = if options.drip { drip(text, ending) } else { at_once(text, ending).await };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    if options.redirect && !failing {
        answer.headers_mut().insert(header::LOCATION, http::HeaderValue::from_static("/redirected"));
    }
    answer
}

async fn at_once(text: String, ending: Ending) -> Body {
    ending.whole().await;
    Body::from(text)
}

/// Sends an answer a byte a second.
fn drip(text: String, ending: Ending) -> Body {
    Body::from_stream(stream::unfold((text.into_bytes().into_iter(), ending), |(mut bytes, ending)| async move {
        let Some(byte) = bytes.next() else {
            ending.whole().await;
            return None;
        };
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, Infallible>(vec![byte]), (bytes, ending)))
    }))
}

/// Tells how a request ended; dropped before its time, that the sender left.
struct Ending {
    heard: mpsc::Sender<Heard>,
    number: u64,
    status: u16,
    begun: Instant,
    whole: bool,
}

impl Ending {
    fn told(&self) -> Heard {
        Heard::Ended { number: self.number, status: self.status, whole: self.whole, after: self.begun.elapsed() }
    }

    async fn whole(mut self) {
        self.whole = true;
        let _unheard = self.heard.send(self.told()).await.is_err();
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.whole {
            // What can't be told now is not worth waiting for.
            let _unheard = self.heard.try_send(self.told()).is_err();
        }
    }
}
