//! How much later a well-behaved webhook's deliveries arrive while a hostile plugin runs beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use wasm_encoder::{ComponentSection as _, CustomSection};

use crate::Options;
use crate::load::{Load, percentiles, steadily};
use crate::receiver::Receiver;
use crate::server::Server;

/// Events a second of the neighbour, and of the hostile plugin.
const NEIGHBOUR: u32 = 400;
const HOSTILE: u32 = 10;

const SPAN: Duration = Duration::from_secs(6);

/// How often, and for how long each time, the neighbour is measured alone and beside trouble.
const ROUNDS: usize = 30;
const ROUND: Duration = Duration::from_secs(2);

/// How often the rounds are drawn anew to learn how far a change may be off.
const DRAWS: usize = 500;

/// What the guest `misbehaving` does on demand, each with its settings. The first does no harm: what changes beside it is
/// what the machine does by itself.
const KINDS: [(&str, u32); 9] = [
    ("skip", 0),
    ("loop", 0),
    ("recurse", 0),
    ("allocate", 0),
    ("big_output", 50_000_000),
    ("many_headers", 500_000),
    ("log_flood", 1_000),
    ("trap", 0),
    ("panic", 0),
];

/// Uploads, one in each round: their components, bytes that nobody reads behind them, and a round that they fit into.
const UPLOADS: [(&str, &str, usize, Duration); 4] = [
    ("section", "rust_slack_message.wasm", 30 << 20, ROUND),
    ("javascript", "javascript_quotation_invoice.wasm", 0, ROUND),
    ("python", "python_quotation_invoice.wasm", 0, Duration::from_secs(8)),
    (BOMB, "", 0, ROUND),
];

/// Thousands of functions that take the compiler as long as what is written in JavaScript, and then are no plugin.
const BOMB: &str = "bomb";

/// Deliveries that wait for a receiver which accepts connections and never answers.
const WAITING: usize = 100_000;

/// The neighbour beside a receiver that never answers while very many deliveries wait for it.
pub(crate) async fn dead_receiver(options: &Options) {
    let receiver = Receiver::start().await;
    let server = Server::start(options, &receiver).await;
    let load = Load::new(&server, &receiver);
    load.publish(2_000, crate::load::Way::Batches).await;
    let before = load.latency(NEIGHBOUR, SPAN).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/in", silent.local_addr().expect("an address"));
    // Its backlog accepts connections; nobody ever reads from them.
    let webhook = json!({"doctype": "Silent", "doc_event": "on_update", "request_url": url});
    server.webhook_as("silent", &webhook).await;
    for from in (0..WAITING).step_by(1_000) {
        let event =
            |number| json!({"doctype": "Silent", "doc_event": "on_update", "doc": {"name": number}}).to_string();
        let lines: String = (from..from + 1_000).map(|number| event(number) + "\n").collect();
        server.publish("application/x-ndjson", lines).await;
    }
    let beside = load.latency(NEIGHBOUR, SPAN * 4).await;
    let after = load.latency(NEIGHBOUR, SPAN).await;
    println!(
        "{WAITING} deliveries wait for a receiver that never answers; the neighbour has {NEIGHBOUR} events a second"
    );
    for (when, (p50, p99)) in [("before", before), ("beside it", beside), ("later", after)] {
        println!("{when:<12} p50 {p50:>10.2?}   p99 {p99:>10.2?}");
    }
    drop(silent);
    server.stop().await;
}

pub(crate) async fn neighbours(options: &Options) {
    let receiver = Receiver::start().await;
    let server = Server::start(options, &receiver).await;
    let load = Load::new(&server, &receiver);
    load.publish(2_000, crate::load::Way::Batches).await;
    println!(
        "{NEIGHBOUR} events a second of the neighbour, {HOSTILE} of the hostile plugin beside it, in {ROUNDS} rounds of \
         {ROUND:?} alone and {ROUND:?} beside it; or an upload beside it\n"
    );
    println!(
        "{:<14}{:>12}{:>12}{:>12}{:>12}{:>12}{:>18}",
        "", "p50 alone", "p99 alone", "p50 beside", "p99 beside", "p99 change", "nine times in ten"
    );
    let guest = options.plugins.join("../guests-wasm/misbehaving.wasm");
    for (kind, amount) in KINDS.into_iter().filter(|(kind, _)| options.concerns(kind)) {
        server.push_as(kind, &guest).await;
        let webhook = |what: &str| {
            let settings = json!({"do": what, "bytes": amount.max(1_000), "count": amount.max(1_000)});
            json!({
                "doctype": kind, "doc_event": "on_update", "request_url": format!("{}/in", receiver.url),
                "plugin": {"name": kind, "settings": settings},
            })
        };
        // A plugin that only fails is soon suspended, and then disturbs nobody. This one now and then does as it should.
        server.webhook_as(&format!("{kind}-not"), &webhook("skip")).await;
        let event = json!({"doctype": kind, "doc_event": "on_update", "doc": {"name": "h"}}).to_string();
        side_by_side(
            kind,
            &load,
            ROUND,
            async || (),
            async |()| {
                server.webhook_as(kind, &webhook(kind)).await;
                drop(steadily(HOSTILE, ROUND, || server.publish("application/json", event.clone())).await);
                // What rests after a failure would run when the neighbour is measured alone.
                server.without_webhook(kind).await;
            },
        )
        .await;
    }
    for (kind, file, junk, round) in UPLOADS.into_iter().filter(|(kind, ..)| options.concerns(kind)) {
        let wasm = if kind == BOMB { bomb() } else { std::fs::read(options.plugins.join(file)).expect("built") };
        let wasm = Arc::new(with_section(&wasm, &vec![0x55; junk]));
        let uploads = AtomicU8::new(0);
        // The same component each time but for a number, so that each is compiled anew.
        let numbered = async || {
            let (number, wasm) = (uploads.fetch_add(1, Ordering::Relaxed), wasm.clone());
            // Copying megabytes takes milliseconds, in which events would be late.
            tokio::task::spawn_blocking(move || with_section(&wasm, &[number])).await.expect("bytes")
        };
        side_by_side(kind, &load, round, numbered, async |wasm| {
            let taken = server.push_over_network(kind, wasm).await;
            assert_eq!(taken.is_ok(), kind != BOMB, "{taken:?}");
        })
        .await;
    }
    server.stop().await;
}

fn bomb() -> Vec<u8> {
    // Each conversion is a handful of branches and traps in machine code.
    let step = "local.get 0 local.get 1 f64.mul i64.trunc_f64_s f64.convert_i64_s local.set 0 ";
    let functions = format!("(func (param f64 f64) {})", step.repeat(25)).repeat(4_000);
    let export = r#"(instance $t) (export "hookmill:plugin/transform@1.0.0" (instance $t))"#;
    wat::parse_str(format!("(component (core module {functions}) {export})")).expect("a component")
}

/// Appends a custom section without a name.
fn with_section(component: &[u8], data: &[u8]) -> Vec<u8> {
    let mut wasm = component.to_vec();
    CustomSection { name: "".into(), data: data.into() }.append_to_component(&mut wasm);
    wasm
}

/// Measures the neighbour alone and beside `trouble` in turns, so that what else the machine does meets both. What `trouble`
/// needs is made before either.
async fn side_by_side<T>(
    kind: &str,
    load: &Load<'_>,
    round: Duration,
    prepared: impl AsyncFn() -> T,
    trouble: impl AsyncFn(T),
) {
    let count = ROUNDS * ROUND.as_secs() as usize / round.as_secs() as usize;
    let mut rounds = Vec::with_capacity(count);
    for _ in 0..count {
        let needed = prepared().await;
        let alone = load.latencies(NEIGHBOUR, round).await;
        let (beside, ()) = tokio::join!(load.latencies(NEIGHBOUR, round), trouble(needed));
        rounds.push((alone, beside));
    }
    let (alone, beside) = pooled(rounds.iter());
    let change = |alone: Duration, beside: Duration| (beside.as_secs_f64() / alone.as_secs_f64() - 1.0) * 100.0;
    let (low, high) = interval(&rounds, change);
    println!(
        "{kind:<14}{:>12.2?}{:>12.2?}{:>12.2?}{:>12.2?}{:>+11.0}%{:>18}",
        alone.0,
        alone.1,
        beside.0,
        beside.1,
        change(alone.1, beside.1),
        format!("{low:+.0}% to {high:+.0}%")
    );
}

type Round = (Vec<Duration>, Vec<Duration>);

/// Returns the percentiles of all rounds together, alone and beside.
fn pooled<'a>(rounds: impl Iterator<Item = &'a Round>) -> ((Duration, Duration), (Duration, Duration)) {
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for round in rounds {
        alone.extend(&round.0);
        beside.extend(&round.1);
    }
    (percentiles(alone), percentiles(beside))
}

/// Returns between which values nine of ten changes of p99 lie if the rounds are drawn anew, some twice and some not at
/// all: what strikes one round, as a disk that stalls, would in other runs have struck none or two (the bootstrap).
fn interval(rounds: &[Round], change: impl Fn(Duration, Duration) -> f64) -> (f64, f64) {
    let mut random = StdRng::seed_from_u64(0);
    let mut changes: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let drawn = (0..rounds.len()).map(|_| &rounds[random.random_range(0..rounds.len())]);
            let (alone, beside) = pooled(drawn);
            change(alone.1, beside.1)
        })
        .collect();
    changes.sort_by(f64::total_cmp);
    (changes[DRAWS / 20], changes[DRAWS - DRAWS / 20])
}
