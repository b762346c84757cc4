//! The same webhook by hookmill and as Frappe's own worker sends it, in turns, to one receiver.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::load::{DOCUMENT, Load, Way};
use crate::receiver::Receiver;
use crate::server::Server;
use crate::{Options, figures};

const SECRET: &str = "a secret for benches";
const ROUNDS: usize = 3;

pub(crate) async fn frappe(options: &Options) {
    let receiver = Receiver::start().await;
    let server = Server::start(options, &receiver).await;
    server.webhook(&webhook(&receiver.url)).await;
    let load = Load::new(&server, &receiver);
    println!("warming up");
    load.publish(2_000, Way::Batches).await;
    let (events, by_worker) = (options.events, options.events / 10);
    println!(
        "{events} events by hookmill, in NDJSON batches of 100, and {by_worker} as Frappe's worker sends them, one by one; \
         bodies of {} bytes",
        receiver.sample().len()
    );
    println!("the worker is a stand-in with the same calls, without queue, fork, database and log\n");
    println!("{:<34}{:>10}{:>10}{:>16}", "", "per second", "ratio", "CPU of hookmill");
    for _ in 0..ROUNDS {
        let before = receiver.received();
        let worker = by_worker as f64 / worker(options, &receiver.url, by_worker).await;
        assert!(receiver.received() >= before + by_worker, "the worker's requests did not all arrive");
        let duplicates = receiver.duplicates();
        println!("{:<34}{worker:>10.0}{:>10}", "Frappe's worker, one by one", "1");
        let cpu_before = server.cpu();
        let elapsed = load.publish(events, Way::Batches).await;
        figures("hookmill", events, elapsed, worker, server.cpu() - cpu_before);
        assert_eq!(receiver.duplicates(), duplicates, "hookmill sent something twice");
    }
    server.stop().await;
}

/// The rows of frappe_worker.py.
fn webhook(url: &str) -> Value {
    let rows = [("id", "name"), ("customer", "party_name"), ("total", "grand_total"), ("items", "items")];
    json!({
        "doctype": "Quotation", "doc_event": "on_update", "request_url": format!("{url}/in"), "profile": "frappe-v15",
        "data": rows.map(|(key, fieldname)| json!({"key": key, "fieldname": fieldname})), "secrets": [SECRET],
        "headers": [{"key": "Content-Type", "value": "application/json"}],
    })
}

/// Runs the worker; returns how many seconds it took, its start not counted.
async fn worker(options: &Options, url: &str, events: usize) -> f64 {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/end_to_end/frappe_worker.py");
    let mut child = Command::new(&options.python)
        .arg(script)
        .args([&format!("{url}/in"), &events.to_string(), SECRET])
        .env("NO_PROXY", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Python with requests: `cargo xtask bench frappe` brings it");
    let document: Value = serde_json::from_str(DOCUMENT).expect("JSON");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(document["doc"].to_string().as_bytes()).await.expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().await.expect("it ends");
    assert!(output.status.success(), "the worker failed: {}", output.status);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.trim().parse().unwrap_or_else(|_| panic!("the worker printed {text:?}"))
}
