//! What reaches a terminal, and what happens when nobody reads it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::operator::site;
use crate::support::{Running, command, ended, ended_in_time};

/// Clears a screen, sets a title, begins a line that looks like hookmill's own; the one-byte form of the first too.
const EVIL: &str = "N\u{1b}[2J\u{1b}]0;t\u{7}\nforged\u{9b}2J\u{202e}";

fn is_obeyed(character: char) -> bool {
    (character.is_control() && !matches!(character, '\n' | '\t')) || character == '\u{202e}'
}

#[test]
fn what_came_from_outside_can_not_command_the_terminal() {
    let site = site(&["--redirect"]);
    site.apply("w", json!({"doctype": "Note", "retry": {"preset": "none"}}));
    let tail = Running::start(command().env("HOOKMILL_URL", &site.server.url).arg("tail"));
    let event = json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": EVIL, "text": EVIL}});
    let sent = site.server.call_with(&["event", "send", "-"], &event.to_string());
    sent.ok();
    let dead = site.wait_for("dead");
    let id = dead["id"].as_str().expect("an id");
    for args in [["delivery", "list"].as_slice(), &["delivery", "show", id], &["delivery", "redeliver", EVIL]] {
        let ended = site.server.call(args.iter().copied());
        let printed = ended.out + &ended.err;
        assert!(!printed.contains(is_obeyed), "{args:?}: {printed:?}");
        assert!(printed.contains("\\u{1b}[2J"), "{args:?}: {printed:?}");
        assert!(!printed.contains("\nforged"), "{args:?}: {printed:?}");
    }
    let line = tail.line();
    assert!(!line.contains(is_obeyed) && line.contains("forged"), "{line:?}");
    for args in [["--json", "delivery", "list"].as_slice(), &["--json", "delivery", "show", id]] {
        let printed = site.server.call(args.iter().copied()).ok();
        assert!(!printed.contains(is_obeyed), "{printed:?}");
        assert!(printed.contains("\\u009b"), "{printed:?}");
    }
}

#[test]
fn a_body_can_not_command_the_terminal_of_the_receiver() {
    let receiver = Running::start(command().args(["receiver", "--listen", "127.0.0.1:0"]));
    let mut stream = TcpStream::connect(receiver.url.trim_start_matches("http://")).expect("a connection");
    stream.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n\x1b[2J\nx").expect("sent");
    let (_, first, second) = (receiver.line(), receiver.line(), receiver.line());
    assert_eq!((first.as_str(), second.as_str()), ("\\u{1b}[2J", "x"));
}

#[test]
fn commands_that_go_on_end_when_nobody_reads_them() {
    let site = site(&[]);
    let mut tail = command();
    tail.arg("tail");
    let mut receiver = command();
    receiver.args(["receiver", "--listen", "127.0.0.1:0"]);
    for mut endless in [tail, receiver] {
        let mut child = endless
            .env("HOOKMILL_URL", &site.server.url)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        drop(stdout);
        assert_eq!(ended_in_time(&mut child), Some(0), "after {line}");
    }
}

fn unread(command: &mut Command) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ended = command.stdout(writer).stderr(Stdio::piped()).output().expect("it ends");
    (ended.status.code(), String::from_utf8(ended.stderr).expect("UTF-8"))
}

#[test]
fn a_closed_output_is_no_error() {
    let site = site(&[]);
    site.apply("w", json!({}));
    for args in
        [["webhook", "list"].as_slice(), &["webhook", "show", "w"], &["--help"], &["--json", "delivery", "list"]]
    {
        let ended = unread(command().env("HOOKMILL_URL", &site.server.url).args(args));
        assert_eq!(ended, (Some(0), String::new()), "{args:?}");
    }
}

#[test]
fn wrong_usage_is_an_error_in_json_too() {
    let refused = ended(command().args(["--json", "webhook", "shw"]), "");
    assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""));
    let error: serde_json::Value = serde_json::from_str(&refused.err).expect("an error in JSON");
    assert_eq!(error["error"]["code"], "wrong_usage");
    assert!(error["error"]["message"].as_str().expect("a message").contains("shw"), "{error}");
}
