//! A receiver on a real socket that records every request and answers by a script.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::serving::Serving;
use crate::{Answer, Authority, wait_for};

/// A request as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names and values in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

impl Received {
    /// Returns the value of a header; fails the test if it is missing or came twice.
    pub fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let (_, value) = values.next().unwrap_or_else(|| panic!("no header {name} in {:?}", self.headers));
        assert!(values.next().is_none(), "the header {name} came twice");
        value
    }

    /// Tells whether a header is there.
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// Returns the body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }
}

/// A receiver that answers 200 unless its script says otherwise. It stops when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    serving: Serving,
    scheme: &'static str,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    released: Semaphore,
}

#[derive(Debug)]
struct State {
    script: VecDeque<Answer>,
    after_script: Answer,
    requests: Vec<Received>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receiver {
    /// Starts a receiver on a free port of 127.0.0.1.
    pub fn start() -> Self {
        Self::serving("http", |stream, shared| async move { talk(stream, &shared).await })
    }

    /// Starts a receiver that speaks TLS with a certificate of `authority`; callers must have one of `callers`, if given.
    pub fn secure(authority: &Authority, callers: Option<&Authority>) -> Self {
        let acceptor = authority.acceptor(callers);
        Self::serving("https", move |stream, shared| {
            let acceptor = acceptor.clone();
            async move { talk(acceptor.accept(stream).await?, &shared).await }
        })
    }

    /// Starts a receiver that speaks TLS and HTTP/2 alone, and answers 200 whatever its script says.
    pub fn http2(authority: &Authority) -> Self {
        let acceptor = authority.http2_acceptor();
        Self::serving("https", move |stream, shared| {
            let acceptor = acceptor.clone();
            async move { talk_http2(acceptor.accept(stream).await?, shared).await.map_err(std::io::Error::other) }
        })
    }

    /// Starts a listener that takes connections and never says a word.
    pub fn silent() -> Self {
        Self::serving("https", |stream, _| async move {
            let _open = stream;
            std::future::pending().await
        })
    }

    fn serving<S, F>(scheme: &'static str, serve: S) -> Self
    where
        S: Fn(TcpStream, Arc<Shared>) -> F + Send + 'static,
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let state = State { script: VecDeque::new(), after_script: Answer::Status(200), requests: vec![] };
        let shared = Arc::new(Shared { state: Mutex::new(state), released: Semaphore::new(0) });
        let recording = shared.clone();
        let serving = Serving::start(move |stream| serve(stream, recording.clone()));
        Self { serving, scheme, shared }
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.serving.address
    }

    /// Returns a URL on it; `path` begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address())
    }

    /// Answers the next requests with these, in order of arrival.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.state().script.extend(answers);
    }

    /// Answers with this whenever the script has run out.
    pub fn always(&self, answer: Answer) {
        self.shared.state().after_script = answer;
    }

    /// Lets `count` requests go that [`Answer::Hold`] holds, or will hold.
    pub fn release(&self, count: usize) {
        self.shared.released.add_permits(count);
    }

    /// Returns all requests so far.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.state().requests.clone()
    }

    /// Returns how many requests came so far.
    pub fn count(&self) -> usize {
        self.shared.state().requests.len()
    }

    /// Waits until `count` requests came, and returns all so far.
    pub async fn wait_for_requests(&self, count: usize) -> Vec<Received> {
        let what = format!("{count} requests at the receiver");
        wait_for(&what, async || (self.count() >= count).then(|| self.requests())).await
    }

    /// Waits for the only request and returns it.
    pub async fn only_request(&self) -> Received {
        let mut requests = self.wait_for_requests(1).await;
        assert_eq!(requests.len(), 1, "more than one request came");
        requests.remove(0)
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin + Send, shared: &Shared) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream).await? {
        let answer = {
            let mut state = shared.state();
            state.requests.push(request);
            let otherwise = state.after_script.clone();
            state.script.pop_front().unwrap_or(otherwise)
        };
        if !answer.give(&mut stream, &shared.released).await? {
            break;
        }
    }
    Ok(())
}

async fn talk_http2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    shared: Arc<Shared>,
) -> Result<(), h2::Error> {
    let (mut connection, mut calls) = (h2::server::handshake(stream).await?, JoinSet::new());
    while let Some(call) = connection.accept().await {
        let ((head, mut stream), mut respond) = call.map(|(request, respond)| (request.into_parts(), respond))?;
        let shared = shared.clone();
        // What follows of the request comes only while the connection is waited for.
        calls.spawn(async move {
            let mut body = Vec::new();
            while let Some(chunk) = stream.data().await {
                let chunk = chunk?;
                stream.flow_control().release_capacity(chunk.len())?;
                body.extend_from_slice(&chunk);
            }
            let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
            let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
            shared.state().requests.push(Received { method: head.method.to_string(), path, headers, body });
            respond.send_response(http::Response::new(()), true).map(drop)
        });
    }
    Ok(())
}

async fn read_request(
    stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>,
) -> std::io::Result<Option<Received>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) if head.is_empty() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    // Other senders than ours have Latin-1 in headers.
    let head =
        String::from_utf8(head).unwrap_or_else(|error| error.as_bytes().iter().map(|byte| char::from(*byte)).collect());
    let mut lines = head.trim_end_matches("\r\n").split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ').map(String::from);
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').unwrap_or((line, "")))
        .map(|(name, value)| (name.to_owned(), value.trim_start().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(Received { method, path, headers, body }))
}

/// An address of this machine where every connection is refused, for as long as this is kept.
#[derive(Debug)]
pub struct RefusingAddress(TcpSocket);

impl RefusingAddress {
    /// Takes a port and does not listen on it.
    pub fn new() -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        Ok(Self(socket))
    }

    /// Returns a URL on it; `path` begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.0.local_addr().expect("a bound socket has an address"))
    }
}
