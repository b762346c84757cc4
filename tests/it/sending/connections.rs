//! Connections are kept while they can be used, and no longer.

use std::time::Duration;

use hookmill::core::DeliveryState;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::stand::{Stand, last_error, note};

/// A receiver that says nothing of itself, and a URL on it.
async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/in", listener.local_addr().expect("an address"));
    (listener, url)
}

/// Reads the request of this note to the end of its body, and no byte more.
async fn read_request(stream: &mut TcpStream, name: &str) -> Vec<u8> {
    let body = format!("{{\"name\":\"{name}\"}}");
    let mut request = Vec::new();
    while !request.ends_with(body.as_bytes()) {
        request.push(stream.read_u8().await.expect("a whole request on this connection"));
    }
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_answer_came_in_full_bears_the_next_request() {
    let (stand, (listener, url)) = (Stand::new().await, listener().await);
    stand.webhook("notes", json!({"request_url": url})).await;
    let mut connection: Option<TcpStream> = None;
    for name in ["N-1", "N-2", "N-3"] {
        let id = stand.publish(note(name)).await;
        let mut stream = match connection.take() {
            Some(stream) => stream,
            None => listener.accept().await.expect("a connection").0,
        };
        read_request(&mut stream, name).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.expect("it is answered");
        stand.reaches(id, DeliveryState::Delivered).await;
        connection = Some(stream);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_answer_nobody_waits_for_any_more_is_closed() {
    let stand = Stand::new().await;
    for begun in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345"] {
        let (listener, url) = listener().await;
        stand.webhook("notes", json!({"request_url": url, "timeout_ms": 1000, "retry": {"preset": "none"}})).await;
        let id = stand.publish(note("N-1")).await;
        let (mut stream, _) = listener.accept().await.expect("a connection");
        // A byte of an answer before the request is there would be for no request at all.
        let request = read_request(&mut stream, "N-1").await;
        assert!(request.starts_with(b"POST /in HTTP/1.1\r\n"));
        stream.write_all(begun.as_bytes()).await.expect("it is written");
        // This ends when the other side closes, and not before.
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut Vec::new())).await;
        ended.expect("it is closed").expect("in good order");
        let detail = stand.reaches(id, DeliveryState::Dead).await;
        assert_eq!(last_error(&detail).0, "send_timeout", "{begun:?}");
    }
}
