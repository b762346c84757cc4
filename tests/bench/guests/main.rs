//! One call of each component, in a fresh instance as the server makes it: `cargo bench -p hookmill-tests --bench guests`.
//!
//! The document has 1.5 KB. Beside it stand the same work without a sandbox (`serde_json::Value`, natively) and the same component in plain
//! wasmtime, with neither limits nor checks nor a log; what hookmill costs over the latter is its own part.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use hookmill::core::{DeliveryId, Event, EventId, JsonText, Request};
use hookmill::plugin::{Compiler, Grants, Plugin, PluginHost, PluginHostConfig, PluginLimits, Transform};
use hookmill::{TenantId, WebhookName};
use hookmill_testing::{envelope, example_plugin, misbehaving};
use jiff::Timestamp;
use serde_json::{Value, json};

mod plain;
#[path = "../../it/shape.rs"]
mod shape;

/// The same transform in each language.
const LANGUAGES: [&str; 5] = ["rust", "c", "javascript", "typescript", "python"];

/// A guest that skips every event at once: what its call costs is the host's.
const NOTHING: &str = r#"
    (memory (export "memory") 1)
    (data (i32.const 2048) "\00\00\00\00\01")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
    (func (export "transform") (param i32) (result i32) i32.const 2048)"#;

/// What a plugin is handed in every call.
struct Case {
    event: Event,
    draft: Request,
    settings: JsonText,
    delivery: DeliveryId,
}

impl Case {
    fn new() -> Self {
        let tenant = TenantId::default_tenant();
        let id = EventId::new("evt_1").expect("valid");
        let delivery = DeliveryId::of(&tenant, &id, &WebhookName::new("w").expect("valid"));
        let envelope = envelope("quotation-small");
        let event = envelope.into_event(&tenant, Timestamp::UNIX_EPOCH, || id).expect("an event");
        let url = "https://example.com/".into();
        let draft = Request { method: "POST".into(), url, headers: vec![], body: vec![] };
        Self { event, draft, settings: JsonText::empty_object(), delivery }
    }

    fn input(&self) -> Transform<'_> {
        let Self { event, draft, settings, delivery } = self;
        Transform {
            event,
            draft,
            draft_has_body: false,
            settings,
            delivery,
            grants: Grants::default(),
            signature_header: None,
        }
    }
}

fn load(host: &PluginHost, language: &str) -> Plugin {
    host.load(&example_plugin(&format!("{language}_quotation_invoice"))).expect("a plugin")
}

fn calls(criterion: &mut Criterion) {
    let cache = tempfile::TempDir::new().expect("a folder");
    let host = PluginHost::new(PluginHostConfig {
        cache_dir: cache.path().into(),
        limits: PluginLimits::default(),
        compiler: Compiler::default(),
        concurrency: 2,
    })
    .expect("a host");
    let case = Case::new();
    let mut group = criterion.benchmark_group("call");
    group.bench_function("native serde_json::Value", |bench| bench.iter(|| native(black_box(case.event.doc.as_str()))));
    let nothing = shape::wit_shaped(NOTHING);
    let skips = host.load(&nothing).expect("a plugin");
    group.bench_function("a guest that does nothing", |bench| bench.iter(|| skips.transform(&case.input())));
    let plain = [("does nothing", nothing), ("rust", example_plugin("rust_quotation_invoice"))];
    for (name, wasm) in plain {
        let mut plain = plain::Plain::new(&wasm);
        group.bench_function(format!("{name}, in plain wasmtime"), |bench| bench.iter(|| plain.call(black_box(&case))));
    }
    for language in LANGUAGES {
        let plugin = load(&host, language);
        assert!(plugin.transform(&case.input()).result.is_ok(), "{language} fails");
        let (fresh, warm) = (plugin.fresh(), plugin.warmed());
        group.bench_function(format!("{language}, fresh"), |bench| bench.iter(|| fresh.transform(&case.input())));
        group.bench_function(format!("{language}, warm"), |bench| bench.iter(|| warm.transform(&case.input())));
    }
    let misbehaves = host.load(&misbehaving()).expect("a plugin");
    for what in ["trap", "panic"] {
        let settings = JsonText::parse(&json!({"do": what}).to_string()).expect("JSON");
        let case = Case { settings, ..Case::new() };
        assert!(misbehaves.transform(&case.input()).result.is_err(), "no {what}");
        group.bench_function(format!("a {what}"), |bench| bench.iter(|| misbehaves.transform(&case.input())));
    }
    group.finish();
}

/// Making a component ready that was compiled before, as every start of the server does.
fn cached_loads(criterion: &mut Criterion) {
    let cache = tempfile::TempDir::new().expect("a folder");
    let host = || {
        PluginHost::new(PluginHostConfig {
            cache_dir: cache.path().into(),
            limits: PluginLimits::default(),
            compiler: Compiler::default(),
            concurrency: 2,
        })
        .expect("a host")
    };
    let mut group = criterion.benchmark_group("cached load");
    for language in ["rust", "javascript", "python"] {
        let wasm = example_plugin(&format!("{language}_quotation_invoice"));
        let host = host();
        let digest = host.load(&wasm).expect("a plugin").digest();
        // What was written this very moment is hashed each time, as the times of files don't tell changes apart that fast.
        #[allow(clippy::disallowed_methods, reason = "nothing tells that the time is over")]
        std::thread::sleep(Duration::from_millis(200));
        let known = || host.load_known(black_box(&digest)).expect("a plugin").expect("it is known");
        group.bench_function(language, |bench| bench.iter(known));
        let again = || host.load(black_box(&wasm)).expect("a plugin");
        group.bench_function(format!("{language}, uploaded again"), |bench| bench.iter(again));
    }
    group.finish();
}

/// The invoice, made by a program that was never put in a sandbox.
fn native(doc: &str) -> String {
    let doc: Value = serde_json::from_str(doc).expect("JSON");
    let rows = |field: &str, row: &dyn Fn(&Value) -> Value| -> Vec<Value> {
        doc[field].as_array().into_iter().flatten().map(row).collect()
    };
    let line = |item: &Value| {
        json!({"sku": item["item_code"], "name": item["item_name"], "quantity": item["qty"], "unit": item["uom"],
               "unitPrice": item["net_rate"], "amount": item["net_amount"]})
    };
    let tax = |tax: &Value| json!({"name": tax["description"], "rate": tax["rate"], "amount": tax["tax_amount"]});
    json!({
        "reference": doc["name"], "customer": doc["customer_name"], "issued": doc["transaction_date"],
        "due": doc["valid_till"], "currency": doc["currency"], "lines": rows("items", &line), "taxes": rows("taxes", &tax),
        "totals": {"net": doc["net_total"], "tax": doc["total_taxes_and_charges"], "gross": doc["grand_total"]},
    })
    .to_string()
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = calls, cached_loads
}
criterion_main!(benches);
