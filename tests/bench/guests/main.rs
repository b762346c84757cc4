//! Measures one call of each component, in a fresh instance as the server makes it: `cargo bench -p hookmill-tests
//! --bench guests [-- FILE.wasm …]`.
#![allow(clippy::print_stdout, reason = "telling what was measured is what a bench does")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hookmill::core::{DeliveryId, EventId, JsonText, Request};
use hookmill::plugin::{Compiler, Grants, PluginHost, PluginHostConfig, PluginLimits, Transform};
use hookmill::{TenantId, WebhookName};
use hookmill_testing::{envelope, target_dir};
use jiff::Timestamp;

/// Calls of a batch; the quickest of all batches counts, for it is the one that was disturbed least.
const CALLS: u32 = 50;
const BATCHES: u32 = 40;

fn main() {
    let mut files: Vec<PathBuf> =
        std::env::args_os().skip(1).map(PathBuf::from).filter(|file| file.extension().is_some()).collect();
    if files.is_empty() {
        let folder = target_dir().join("plugins");
        let entries = std::fs::read_dir(folder).expect("`cargo xtask plugins` made the folder");
        files = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "wasm"));
        files.sort();
    }
    let cache = tempfile::TempDir::new().expect("a folder");
    let host = PluginHost::new(PluginHostConfig {
        cache_dir: cache.path().into(),
        limits: PluginLimits::default(),
        compiler: Compiler::default(),
        concurrency: 2,
    })
    .expect("a host");
    println!("{:40} {:>9} {:>10} {:>10} {:>10}", "component", "KB", "load, s", "call, µs", "fuel");
    for file in &files {
        measure(&host, file);
    }
}

fn measure(host: &PluginHost, file: &Path) {
    let wasm = std::fs::read(file).expect("a component");
    let started = Instant::now();
    let plugin = host.load(&wasm).expect("a plugin");
    let load = started.elapsed();
    let tenant = TenantId::default_tenant();
    let id = EventId::new("evt_1").expect("valid");
    let delivery = DeliveryId::of(&tenant, &id, &WebhookName::new("w").expect("valid"));
    let event = envelope("quotation-on-update").into_event(&tenant, Timestamp::UNIX_EPOCH, || id).expect("an event");
    let draft = Request { method: "POST".into(), url: "https://example.com/".into(), headers: vec![], body: vec![] };
    let settings = JsonText::parse("{}").expect("JSON");
    let call = || {
        plugin.transform(&Transform {
            event: &event,
            draft: &draft,
            draft_has_body: false,
            settings: &settings,
            delivery: &delivery,
            grants: Grants::default(),
        })
    };
    let fuel = call().fuel;
    let mut best = Duration::MAX;
    for _ in 0..BATCHES {
        let started = Instant::now();
        for _ in 0..CALLS {
            std::hint::black_box(call());
        }
        best = best.min(started.elapsed() / CALLS);
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    println!(
        "{name:40} {:>9} {:>10.2} {:>10.1} {fuel:>10}",
        wasm.len().div_ceil(1000),
        load.as_secs_f64(),
        best.as_secs_f64() * 1e6
    );
}
