//! The built-in receiver: answers like httpbin's `/post`, or misbehaves as it is told.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use futures::stream;
use http::{StatusCode, Uri, header};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::args::Receiver;

/// Bytes of a request that are read. More than any webhook sends.
const BODY_BYTES_MAX: usize = 64 << 20;

/// What the receiver got: the answer that it gives, as httpbin would.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) status: u16,
    pub(crate) echo: Value,
}

struct Behaviour {
    options: Receiver,
    count: AtomicU64,
    received: mpsc::Sender<Received>,
}

/// Serves until the task is dropped; everything that arrives is told to `received`.
pub(crate) async fn serve(
    listener: TcpListener,
    options: Receiver,
    received: mpsc::Sender<Received>,
) -> std::io::Result<()> {
    let behaviour = Arc::new(Behaviour { options, count: AtomicU64::new(0), received });
    axum::serve(listener, Router::new().fallback(answer).with_state(behaviour)).await
}

async fn answer(State(behaviour): State<Arc<Behaviour>>, request: Request) -> Response {
    let Behaviour { options, count, received } = &*behaviour;
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default();
    let echo = echo(&parts.uri, &parts.headers, &body);
    let failing = count.fetch_add(1, Ordering::Relaxed) < options.fail_first;
    let status = match options {
        _ if failing => StatusCode::SERVICE_UNAVAILABLE,
        Receiver { redirect: true, .. } => StatusCode::FOUND,
        _ => StatusCode::from_u16(options.status).unwrap_or(StatusCode::OK),
    };
    if let Some(delay) = options.delay {
        tokio::time::sleep(delay).await;
    }
    let text = format!("{echo:#}\n");
    // Nobody listens when the screen is to stay quiet.
    let _unheard =
        received.send(Received { method: parts.method.to_string(), status: status.as_u16(), echo }).await.is_err();
    let body = if options.drip { drip(text) } else { Body::from(text) };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    if options.redirect && !failing {
        answer.headers_mut().insert(header::LOCATION, http::HeaderValue::from_static("/redirected"));
    }
    answer
}

/// Sends an answer a byte a second.
fn drip(text: String) -> Body {
    Body::from_stream(stream::unfold(text.into_bytes().into_iter(), |mut bytes| async move {
        let byte = bytes.next()?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, Infallible>(vec![byte]), bytes))
    }))
}

/// Says what arrived, in httpbin's words.
fn echo(uri: &Uri, headers: &http::HeaderMap, body: &[u8]) -> Value {
    let mut args = Map::new();
    for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        insert(&mut args, &name, value.into_owned());
    }
    let mut shown_headers = Map::new();
    for (name, value) in headers {
        insert(&mut shown_headers, &title_case(name.as_str()), String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    json!({
        "args": args,
        "data": String::from_utf8_lossy(body),
        "files": {},
        "form": {},
        "headers": shown_headers,
        "json": serde_json::from_slice::<Value>(body).unwrap_or(Value::Null),
        "origin": "127.0.0.1",
        "url": format!("http://{host}{uri}"),
    })
}

/// A name that comes twice gets a list, as httpbin has it.
fn insert(map: &mut Map<String, Value>, name: &str, value: String) {
    match map.get_mut(name) {
        None => drop(map.insert(name.to_owned(), Value::String(value))),
        Some(Value::Array(values)) => values.push(Value::String(value)),
        Some(first) => *first = json!([first.take(), value]),
    }
}

fn title_case(name: &str) -> String {
    let capital = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_uppercase().chain(chars).collect::<String>()).unwrap_or_default()
    };
    name.split('-').map(capital).collect::<Vec<_>>().join("-")
}
