//! The load: events into the server, and the same bodies straight to the receiver.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt as _};
use tokio::time::MissedTickBehavior;

use crate::receiver::Receiver;
use crate::server::Server;

/// Requests under way at one time.
pub(crate) const CONNECTIONS: usize = 64;

/// Events of one NDJSON request.
const BATCH: usize = 100;

pub(crate) const DOCUMENT: &str = include_str!("../../documents/quotation-on-update.json");

/// How events go in.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// A hundred a request, as NDJSON.
    Batches,
    /// One a request.
    Single,
}

pub(crate) struct Load<'a> {
    server: &'a Server,
    receiver: &'a Receiver,
    /// The event without line breaks, cut where the document's name stands.
    pieces: Vec<String>,
    numbers: AtomicUsize,
}

impl<'a> Load<'a> {
    pub(crate) fn new(server: &'a Server, receiver: &'a Receiver) -> Self {
        let value: serde_json::Value = serde_json::from_str(DOCUMENT).expect("JSON");
        let name = value["doc"]["name"].as_str().expect("a name").to_owned();
        let pieces = value.to_string().split(&name).map(str::to_owned).collect();
        Self { server, receiver, pieces, numbers: AtomicUsize::new(0) }
    }

    /// Makes an event of a document that was not seen before; returns its name too.
    fn event(&self) -> (String, String) {
        let name = format!("QTN-{:08}", self.numbers.fetch_add(1, Ordering::Relaxed));
        (self.pieces.join(&name), name)
    }

    /// Publishes events as quickly as they are taken; returns when the last was received.
    pub(crate) async fn publish(&self, events: usize, way: Way) -> Duration {
        let before = self.receiver.distinct();
        let begun = Instant::now();
        match way {
            Way::Single => {
                let requests = stream::iter(0..events).map(|_| self.server.publish("application/json", self.event().0));
                requests.buffer_unordered(CONNECTIONS).collect::<()>().await;
            }
            Way::Batches => {
                let requests = stream::iter((0..events).step_by(BATCH)).map(|from| {
                    let lines = (from..(from + BATCH).min(events)).map(|_| self.event().0 + "\n").collect();
                    self.server.publish("application/x-ndjson", lines)
                });
                requests.buffer_unordered(8).collect::<()>().await;
            }
        }
        self.receiver.wait_for(before + events).await;
        begun.elapsed()
    }

    /// Posts the same body straight to the receiver; returns how many a second.
    pub(crate) async fn bare_loop(&self, events: usize, connections: usize) -> f64 {
        let begun = Instant::now();
        stream::iter(0..events).map(|_| self.bare_post()).buffer_unordered(connections).collect::<()>().await;
        events as f64 / begun.elapsed().as_secs_f64()
    }

    async fn bare_post(&self) {
        let request = self.server.http.post(&self.receiver.url).header("content-type", "application/json");
        let answer = request.body(self.receiver.sample()).send().await.expect("an answer");
        answer.bytes().await.expect("a body");
    }

    /// Publishes at a steady rate; returns the median and the 99th percentile from publishing to receiving.
    pub(crate) async fn latency(&self, per_second: u32, span: Duration) -> (Duration, Duration) {
        percentiles(self.latencies(per_second, span).await)
    }

    /// Publishes at a steady rate; returns how long each took from publishing to receiving.
    pub(crate) async fn latencies(&self, per_second: u32, span: Duration) -> Vec<Duration> {
        let sent = steadily(per_second, span, || async {
            let (event, name) = self.event();
            let begun = Instant::now();
            self.server.publish("application/json", event).await;
            (name, begun)
        })
        .await;
        let mut spans = Vec::with_capacity(sent.len());
        for (name, begun) in sent {
            spans.push(self.receiver.arrival(&name).await - begun);
        }
        spans
    }

    /// Posts straight to the receiver at a steady rate; returns the median and the 99th percentile.
    pub(crate) async fn bare_latency(&self, per_second: u32, span: Duration) -> (Duration, Duration) {
        let took = steadily(per_second, span, || async {
            let begun = Instant::now();
            self.bare_post().await;
            begun.elapsed()
        });
        percentiles(took.await)
    }
}

/// Starts something so many times a second, whether or not earlier ones have ended.
pub(crate) async fn steadily<T, F: Future<Output = T>>(
    per_second: u32,
    span: Duration,
    start: impl Fn() -> F,
) -> Vec<T> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let total = (f64::from(per_second) * span.as_secs_f64()) as usize;
    let mut begun = 0;
    let mut under_way = stream::FuturesUnordered::new();
    let mut ended = Vec::with_capacity(total);
    while ended.len() < total {
        tokio::select! {
            _ = ticks.tick(), if begun < total => {
                begun += 1;
                under_way.push(start());
            }
            Some(value) = under_way.next() => ended.push(value),
        }
    }
    ended
}

/// Returns the median and the 99th percentile.
pub(crate) fn percentiles(mut spans: Vec<Duration>) -> (Duration, Duration) {
    spans.sort_unstable();
    (spans[spans.len() / 2], spans[spans.len() * 99 / 100])
}
