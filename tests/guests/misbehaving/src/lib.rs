//! A plugin that does on demand what a plugin should not, so that the host's tests can see it held.
//!
//! The settings say what: `{"do": "loop"}`; without them, the document does. Each value of `do` is a variant of [`Do`] in
//! snake case.
#![allow(clippy::disallowed_methods, clippy::exit, clippy::panic, reason = "misbehaving is its purpose")]

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use hookmill_sdk::{Body, Decision, Event, Failure, RawValue, Request};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Settings {
    r#do: Option<Do>,
    /// How large: of `big_output` and of each line of `log_flood`.
    #[serde(default = "mebibyte")]
    bytes: usize,
    /// How many: of `many_headers`, `log_flood` and `deep_json`.
    #[serde(default = "thousand")]
    count: usize,
    /// Which failure: `bad-document`, `bad-settings` or `other`; the header of `set_header`; the URL of `change_url`.
    #[serde(default)]
    kind: String,
}

fn mebibyte() -> usize {
    1 << 20
}

fn thousand() -> usize {
    1_000
}

/// A document that says what to do.
#[derive(Deserialize)]
struct Demand {
    r#do: Do,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Do {
    /// Never ends.
    Loop,
    /// Overflows the stack.
    Recurse,
    /// Takes memory until there is none.
    Allocate,
    /// Sends a text body of `bytes`.
    BigOutput,
    /// Sends `count` headers.
    ManyHeaders,
    /// Logs `count` lines of `bytes`.
    LogFlood,
    /// Panics with the message `panicked on demand`.
    Panic,
    /// Executes the `unreachable` instruction.
    Trap,
    /// Sends a header whose value smuggles in a second one.
    BadHeader,
    /// Sends a header that only the host may set.
    ReservedHeader,
    /// Sends the header `kind`.
    SetHeader,
    /// Sends to another URL than the draft's.
    ChangeUrl,
    /// Sends without the draft's headers.
    DropHeaders,
    /// Sends with another method than the draft's.
    ChangeMethod,
    /// Sends a JSON body that is no JSON.
    BadJson,
    /// Sends a JSON body of arrays, `count` deep.
    DeepJson,
    /// Fails with a failure of `kind`.
    Fail,
    /// Prints to stdout and stderr.
    Stdout,
    /// Tells every clock, random number, variable, argument and file that it can get at.
    Clock,
    /// Sleeps for an hour.
    Sleep,
    /// Sends the document, the draft and the rest of the event back.
    Echo,
    /// Skips the event.
    Skip,
    /// Ends the process.
    Exit,
    /// Tells how often this instance has been called.
    StaticCounter,
}

fn transform(event: &Event, draft: Request, settings: Settings) -> Result<Decision, Failure> {
    let nothing = |_| Failure::bad_settings("nothing_to_do", "neither settings nor document say what to do").at("/do");
    let demand = |event: &Event| event.doc::<Demand>().map(|demand| demand.r#do).map_err(nothing);
    let request = match settings.r#do.map_or_else(|| demand(event), Ok)? {
        Do::Loop => endless(),
        Do::Recurse => draft.text(recurse(1).to_string()),
        Do::Allocate => allocate(),
        Do::BigOutput => draft.text("x".repeat(settings.bytes)),
        Do::ManyHeaders => (0..settings.count).fold(draft, |draft, n| draft.header(format!("x-header-{n}"), "value")),
        Do::LogFlood => {
            let line = "x".repeat(settings.bytes);
            (0..settings.count).for_each(|_| hookmill_sdk::log::info(&line));
            draft.text("logged")
        }
        Do::Panic => panic!("panicked on demand"),
        Do::Trap => trap(),
        Do::BadHeader => draft.header("x-harmless", "value\r\nx-smuggled: value"),
        Do::ReservedHeader => draft.header("Webhook-Id", "forged"),
        Do::SetHeader => draft.header(settings.kind, "forged"),
        Do::ChangeUrl if settings.kind.is_empty() => Request { url: "https://elsewhere.example/in".into(), ..draft },
        Do::ChangeUrl => Request { url: settings.kind, ..draft },
        Do::DropHeaders => Request { headers: vec![], ..draft },
        Do::ChangeMethod => Request { method: "GET".into(), ..draft },
        Do::BadJson => draft.json_text("{\"open\": "),
        Do::DeepJson => draft.json_text("[".repeat(settings.count) + &"]".repeat(settings.count)),
        Do::Fail => return Err(fail(&settings.kind)),
        Do::Stdout => {
            println!("a line on stdout");
            eprintln!("a line on stderr");
            draft.text("printed")
        }
        Do::Clock => draft.json(&surroundings())?,
        Do::Sleep => {
            std::thread::sleep(Duration::from_secs(3600));
            draft.text("slept for an hour")
        }
        Do::Echo => echo(event, draft)?,
        Do::Skip => return Ok(Decision::skip("skipped on demand")),
        Do::Exit => std::process::exit(3),
        Do::StaticCounter => {
            static CALLS: AtomicU32 = AtomicU32::new(0);
            let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
            draft.json(&calls)?
        }
    };
    Ok(request.into())
}

fn endless() -> Request {
    loop {
        black_box(());
    }
}

#[expect(unconditional_recursion, reason = "it is to overflow the stack")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    recurse(depth + 1) + frame.iter().sum::<u64>()
}

fn allocate() -> Request {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn trap() -> Request {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    panic!("there is no such instruction here");
}

fn fail(kind: &str) -> Failure {
    let (code, message) = ("failed_on_demand", "failed on demand");
    match kind {
        "bad-document" => Failure::bad_document(code, message).at("/items/0/qty"),
        "bad-settings" => Failure::bad_settings(code, message).at("/do"),
        _ => Failure::other(code, message),
    }
}

fn surroundings() -> Value {
    let (first, second) = (Instant::now(), Instant::now());
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let listing = std::fs::read_dir("/").and_then(|entries| {
        entries
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<Result<Vec<_>, _>>()
    });
    json!({
        "unix_nanoseconds": since_1970.map(|time| time.as_nanos().to_string()).unwrap_or_default(),
        "instant": format!("{first:?}"),
        "nanoseconds_between": second.duration_since(first).as_nanos().to_string(),
        "random": RandomState::new().build_hasher().finish().to_string(),
        "environment": std::env::vars().collect::<Vec<_>>(),
        "arguments": std::env::args().collect::<Vec<_>>(),
        "root": listing.map_err(|error| error.to_string()).map_or_else(Value::from, Value::from),
    })
}

fn echo(event: &Event, draft: Request) -> Result<Request, Failure> {
    #[derive(serde::Serialize)]
    struct Echo<'a> {
        id: &'a str,
        tenant: &'a str,
        doctype: &'a str,
        doc_event: &'a str,
        doc_name: &'a str,
        occurred_at: &'a str,
        user: Option<&'a str>,
        doc: &'a RawValue,
        before: Option<&'a RawValue>,
        draft: Value,
    }
    let body = match &draft.body {
        Body::Empty => json!({ "kind": "empty" }),
        Body::Json(text) => json!({ "kind": "json", "text": text }),
        Body::Text(text) => json!({ "kind": "text", "text": text }),
        Body::Bytes(bytes) => json!({ "kind": "bytes", "length": bytes.len() }),
    };
    let echo = Echo {
        id: event.id(),
        tenant: event.tenant(),
        doctype: event.doctype(),
        doc_event: event.doc_event(),
        doc_name: event.doc_name(),
        occurred_at: event.occurred_at(),
        user: event.meta("user"),
        doc: event.doc()?,
        before: event.before()?,
        draft: json!({ "method": draft.method, "url": draft.url, "headers": draft.headers, "body": body }),
    };
    draft.json(&echo)
}

hookmill_sdk::plugin!(transform);
