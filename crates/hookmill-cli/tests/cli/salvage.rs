//! A data directory that was damaged, and a server on what was salvaged of it.

use std::collections::HashSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Running, command, ended, refused, run};

const EVENTS: usize = 300;
const PAGE: usize = 8192;

/// Damages some pages in the midst of the documents.
fn damage(file: &Path) -> usize {
    let mut bytes = std::fs::read(file).expect("a file");
    let has = |page: &[u8], text: &[u8]| page.windows(text.len()).filter(|window| *window == text).count();
    // Attempts hold documents too, with the requests that they are of.
    let of_events = |page: &[u8]| has(page, b"the text: ") > 5 && has(page, b"\"method\"") == 0;
    let pages: Vec<usize> =
        (1..bytes.len() / PAGE).filter(|page| of_events(&bytes[page * PAGE..(page + 1) * PAGE])).collect();
    let hit = &pages[pages.len() / 3..pages.len() / 3 + 3];
    hit.iter().for_each(|page| bytes[page * PAGE..(page + 1) * PAGE].fill(0xA5));
    std::fs::write(file, bytes).expect("written");
    hit.len()
}

fn serve(data: &Path) -> std::process::Command {
    let mut serve = command();
    serve
        .env_remove("HOOKMILL_TOKEN")
        .args(["serve", "--listen", "127.0.0.1:0", "--allow", "127.0.0.0/8", "--data"])
        .arg(data);
    serve
}

#[test]
fn a_server_goes_on_with_what_was_salvaged() {
    let dir = tempfile::tempdir().expect("a directory");
    let (data, new) = (dir.path().join("data"), dir.path().join("new"));
    // Refuses everything, so that all is still owed.
    let receiver = Running::receiver(&["--status", "404"]);
    let first = Running::start(&mut serve(&data));
    let token = first.error_with("HOOKMILL_TOKEN=").split_once("HOOKMILL_TOKEN=").expect("a token").1.to_owned();
    let call = |server: &Running, args: &[&str], input: &str| {
        ended(command().env("HOOKMILL_URL", &server.url).env("HOOKMILL_TOKEN", &token).args(args), input)
    };
    let webhook = json!({"doctype": "Note", "doc_event": "on_update", "request_url": receiver.url,
        "retry": {"schedule": ["0s", "1d"]}, "headers": [{"key": "X-Api-Key", "value": "row-s3cret"}]});
    call(&first, &["webhook", "apply", "-", "--name", "notes"], &webhook.to_string()).ok();
    let event = |n: usize| json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": format!("N-{n}"), "text": format!("the text: {n:0>400}")}});
    let lines: Vec<String> = (0..EVENTS).map(|n| event(n).to_string()).collect();
    call(&first, &["event", "send", "-"], &lines.join("\n")).ok();
    (0..EVENTS).for_each(|_| drop(receiver.received()));
    assert_eq!(first.stop().0, Some(0));

    let hit = damage(&data.join("hookmill.db"));
    let damaged = std::fs::read(data.join("hookmill.db")).expect("a file");
    let refused = refused(&mut serve(&data));
    assert!(refused.code == Some(1) && refused.err.contains("[store_damaged]"), "{refused:?}");
    assert!(refused.err.contains("hookmill salvage --data"), "{}", refused.err);
    let [from, to] = [&data, &new].map(|path| path.to_str().expect("UTF-8"));
    let salvaged = run(["--json", "salvage", "--data", from, "--to", to]).json();
    let count = |kind: &str, what: &str| salvaged[kind][what].as_u64().expect("a number");
    println!("{hit} damaged pages: {salvaged}");
    assert_eq!(count("events", "read") + count("events", "lost"), EVENTS as u64);
    assert!(count("events", "lost") > 0 && count("events", "read") > EVENTS as u64 * 3 / 4, "{salvaged}");
    assert_eq!((count("config", "lost"), count("blobs", "lost")), (0, 0));
    assert!(std::fs::read(data.join("hookmill.db")).expect("a file") == damaged, "the old file was touched");
    let again = run(["salvage", "--data", from, "--to", to]);
    assert!(again.code == Some(1) && again.err.contains("[already_there]"), "{again:?}");

    // With the token and the key of the old one.
    let second = Running::start(&mut serve(&new));
    let listed = call(&second, &["--json", "delivery", "list", "--limit", "500"], "").json();
    let left = listed["deliveries"].as_array().expect("deliveries").len() as u64;
    assert_eq!(left, count("deliveries", "read"));
    call(&second, &["delivery", "redeliver", "--state", "pending"], "").ok();
    let names: HashSet<Value> = (0..left)
        .map(|_| {
            let echo = receiver.received();
            assert_eq!(echo["headers"]["X-Api-Key"], "row-s3cret");
            echo["json"]["name"].clone()
        })
        .collect();
    assert_eq!(names.len() as u64, left, "each arrived once");
    assert_eq!(second.stop().0, Some(0));
}
