//! The built-in receiver, as a person sees it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::{Running, command};

fn receiver(args: &[&str]) -> Running {
    Running::start(command().args(["receiver", "--listen", "127.0.0.1:0"]).args(args))
}

/// Sends a request and leaves the connection open.
fn send(receiver: &Running, headers: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(receiver.url.trim_start_matches("http://")).expect("a connection");
    let head = format!("POST /post?a=1 HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("sent");
    stream
}

fn answer(mut stream: TcpStream) -> Value {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    serde_json::from_str(text.split_once("\r\n\r\n").expect("a head").1).expect("JSON")
}

#[test]
fn a_request_is_shown_when_it_arrives_and_when_it_was_answered() {
    let quick = receiver(&[]);
    let echo = answer(send(&quick, "Connection: close\r\n", b"{\"a\":1}"));
    assert_eq!(quick.line(), "#1 POST http://h/post?a=1");
    assert_eq!(quick.line(), "{\"a\":1}");
    assert!(quick.line().starts_with("#1 → 200 after "));
    let members: Vec<&String> = echo.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["args", "data", "files", "form", "headers", "json", "origin", "url"]);
    assert_eq!((&echo["json"], &echo["origin"]), (&json!({"a": 1}), &json!("127.0.0.1")));
}

#[test]
fn a_slow_answer_does_not_hold_the_request_back() {
    for misbehaviour in [["--delay", "60m"].as_slice(), &["--drip"]] {
        let slow = receiver(misbehaviour);
        let waiting = send(&slow, "", b"{}");
        assert_eq!(slow.line(), "#1 POST http://h/post?a=1", "{misbehaviour:?}");
        assert_eq!(slow.line(), "{}");
        drop(waiting);
        assert!(slow.line().contains("#1 the sender left"), "{misbehaviour:?}");
    }
}

#[test]
fn a_form_and_bytes_are_answered_as_httpbin_answers_them() {
    let receiver = receiver(&["--quiet"]);
    let form = "Connection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nX-One: 1\r\nX-One: 2\r\n";
    let echo = answer(send(&receiver, form, b"x=1&x=2&y=z"));
    assert_eq!((&echo["form"], &echo["data"]), (&json!({"x": ["1", "2"], "y": "z"}), &json!("")));
    assert_eq!(echo["headers"]["X-One"], "1,2");
    let echo = answer(send(&receiver, "Connection: close\r\n", &[0xff, 0xfe]));
    assert_eq!(echo["data"], "data:application/octet-stream;base64,//4=");
}
