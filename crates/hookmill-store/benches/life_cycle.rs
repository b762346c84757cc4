//! How many event life cycles a second the store takes, and what one costs in CPU and bytes written.
//!
//! A life cycle is an event of 1.5 KB with one delivery, recorded; then its attempt of 1.2 KB, recorded. Many tasks
//! do this at once, as publishers and workers do. Beside it runs the floor: the same bytes appended to a plain file
//! by one thread with one sync for whatever waits, which no store on this disk can beat.
//!
//! `cargo bench -p hookmill-store --bench life_cycle -- [events] [tasks] [events already there] [page size] [index batch]`; as a
//! test it smoke-runs.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a bench prints, and stops on a failure")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use hookmill_core::ports::{Appended, DeliveryKey, Fence, NewAttempt, NewEvent, Record, Store as _};
use hookmill_core::{
    Attempt, DeliveryId, DeliveryState, DeliveryStatus, Event, EventId, JsonText, Request, Response, TenantId,
    WebhookName,
};
use hookmill_store::{SqliteOptions, SqliteStore};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

fn main() {
    let real = std::env::args().any(|arg| arg == "--bench");
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<usize>().ok());
    let events = numbers.next().unwrap_or(if real { 50_000 } else { 300 });
    let tasks = numbers.next().unwrap_or(256);
    let already = numbers.next().unwrap_or(0);
    let mut options = SqliteOptions::default();
    options.page_size = numbers.next().map_or(options.page_size, |bytes| bytes as i64);
    options.index_batch = numbers.next().unwrap_or(options.index_batch);
    let dir = tempfile::TempDir::new_in(".").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (page, batch) = (options.page_size, options.index_batch);
    println!("pages of {page} bytes, index batches of {batch}");
    println!("{events} life cycles, {tasks} tasks, {already} events there already");
    runtime.block_on(async {
        plain_file(&dir.path().join("floor"), events, tasks).await;
        sqlite(&dir.path().join("store"), options, events, tasks, already).await;
    });
}

async fn plain_file(path: &Path, events: usize, tasks: usize) {
    let mut file = File::create(path).unwrap();
    let (send, mut queue) = mpsc::channel::<(Vec<u8>, oneshot::Sender<()>)>(1024);
    let writer = std::thread::spawn(move || {
        while let Some(first) = queue.blocking_recv() {
            let mut group = vec![first];
            while let Ok(next) = queue.try_recv() {
                group.push(next);
            }
            file.write_all(&group.iter().flat_map(|(bytes, _)| bytes).copied().collect::<Vec<_>>()).unwrap();
            file.sync_data().unwrap();
            for (_, reply) in group {
                reply.send(()).unwrap();
            }
        }
    });
    let append = async move |bytes: usize| {
        let (reply, done) = oneshot::channel();
        send.send((vec![b'x'; bytes], reply)).await.unwrap();
        done.await.unwrap();
    };
    measure("plain file", events, tasks, move |_| {
        let append = append.clone();
        async move {
            append(1_500).await;
            append(1_200).await;
        }
    })
    .await;
    writer.join().unwrap();
}

async fn sqlite(dir: &Path, options: SqliteOptions, events: usize, tasks: usize, already: usize) {
    let store = Arc::new(SqliteStore::open(dir, options).unwrap());
    for start in (0..already).step_by(1000) {
        let batch = (start..already.min(start + 1000)).map(|n| Record::Event(event(&format!("old-{n}")))).collect();
        store.append(batch, Fence(0)).await.unwrap();
    }
    let shared = Arc::clone(&store);
    measure("sqlite", events, tasks, move |n| {
        let store = Arc::clone(&shared);
        async move {
            let new = event(&format!("evt-{n}"));
            let answer = store.append(vec![Record::Event(new)], Fence(0)).await.unwrap().remove(0);
            let Appended::Stored(keys) = answer else { panic!("{answer:?}") };
            let attempt = Record::Attempt(Arc::new(attempt(keys[0])));
            store.append(vec![attempt], Fence(0)).await.unwrap();
        }
    })
    .await;
    let begin = Instant::now();
    store.close().await;
    let size: u64 = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    let close = begin.elapsed();
    let begin = Instant::now();
    drop(SqliteStore::open(dir, SqliteOptions::default()).unwrap());
    println!(
        "  {} bytes on disk per event; closed in {close:.1?}, opened in {:.1?}",
        size as usize / (events + already),
        begin.elapsed()
    );
}

async fn measure<F, Fut>(what: &str, events: usize, tasks: usize, cycle: F)
where
    F: Fn(usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let (begin, written, cpu) = (Instant::now(), bytes_written(), cpu_micros());
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let (next, cycle) = (Arc::clone(&next), cycle.clone());
        running.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= events {
                    break;
                }
                cycle(n).await;
            }
        });
    }
    drop(cycle);
    running.join_all().await;
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{what:>10}: {:>6.0} life cycles/s, {:>6} bytes written and {:>5.1} µs CPU per life cycle",
        events as f64 / seconds,
        (bytes_written() - written) / events,
        (cpu_micros() - cpu) as f64 / events as f64,
    );
}

fn event(id: &str) -> NewEvent {
    let items: Vec<_> = (0..8)
        .map(|n| format!(r#"{{"item_code":"ITEM-{n:05}","item_name":"Part number {n}","qty":{n}.0,"rate":19.99,"amount":199.90,"uom":"Nos","warehouse":"Stores - HQ"}}"#))
        .collect();
    let doc = format!(
        r#"{{"name":"{id}","customer":"ACME GmbH","grand_total":1234.50,"items":[{}],"remarks":"{:0>300}"}}"#,
        items.join(","),
        0
    );
    let event = Event {
        id: EventId::new(id).unwrap(),
        tenant: TenantId::default_tenant(),
        doctype: "Quotation".into(),
        doc_event: "on_update".into(),
        document: id.into(),
        occurred_at: Timestamp::from_second(1_700_000_000).unwrap(),
        user: Some("ann@example.com".into()),
        doc: JsonText::parse(&doc).unwrap(),
        before: None,
        meta: [].into(),
    };
    let webhook = WebhookName::new("erp").unwrap();
    let id = DeliveryId::of(&event.tenant, &event.id, &webhook);
    NewEvent {
        content: event.content_digest(),
        deliveries: vec![(webhook, id)],
        received_at: event.occurred_at,
        event: Arc::new(event),
    }
}

fn attempt(delivery: DeliveryKey) -> NewAttempt {
    let header = |name: &str| (name.to_owned(), "application/json; charset=utf-8".to_owned());
    let body = format!(r#"{{"invoice":"{:0>850}"}}"#, delivery.0).into_bytes();
    let attempt = Attempt {
        at: Timestamp::from_second(1_700_000_001).unwrap(),
        outcome: "delivered".into(),
        request: Some(Request {
            method: "POST".into(),
            url: "https://receiver.example/hooks/erp".into(),
            headers: vec![header("content-type"), header("accept")],
            body,
        }),
        response: Some(Response {
            status: 200,
            headers: vec![header("content-type")],
            body: b"{\"ok\":true}".to_vec(),
            truncated: false,
        }),
        duration_ms: 12,
        plugin: None,
        judge: None,
        error: None,
        replay: None,
    };
    let status = DeliveryStatus { state: DeliveryState::Delivered, reason: None, next_attempt_at: None };
    NewAttempt { delivery, attempt, status }
}

/// Bytes that this process caused to be written to a disk.
fn bytes_written() -> usize {
    let text = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let field = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    field.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// User and system time of this process, in µs; the kernel counts it in ticks of 10 ms.
fn cpu_micros() -> u64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10_000
}
