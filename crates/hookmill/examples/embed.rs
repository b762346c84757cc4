//! An engine inside another program: start, add a webhook with a plugin, publish, shut down.
//!
//! `cargo xtask plugins && cargo run -p hookmill --example embed -- https://example.com/in`

#![allow(clippy::print_stdout, reason = "an example tells what it does")]

use std::time::Duration;

use hookmill::core::PluginName;
use hookmill::{Engine, EngineConfig, EventEnvelope, TenantId, Webhook, WebhookName};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8471/post".into());
    let tenant = TenantId::default_tenant();

    let mut config = EngineConfig::new(std::env::temp_dir().join("hookmill-embed"));
    config.allow = vec!["127.0.0.0/8".parse()?];
    let engine = Engine::start(config).await?;
    let mut attempts = engine.subscribe();

    let component = std::fs::read("target/plugins/rust_quotation_invoice.wasm")?;
    engine.upload_plugin(&tenant, &PluginName::new("invoice")?, component, true).await?;
    let webhook = format!(
        r#"{{"doctype": "Quotation", "doc_event": "on_update", "request_url": "{url}", "plugin": {{"name": "invoice"}}}}"#
    );
    engine.put_webhook(&tenant, &WebhookName::new("invoices")?, Webhook::parse(webhook.as_bytes())?).await?;

    let event = EventEnvelope::parse(include_bytes!("../../../tests/documents/quotation-on-update.json"))?;
    let published = engine.publish(&tenant, event).await?;
    let attempt = attempts.recv().await?;
    println!("{}: {} → {} ({:?})", published.id, attempt.delivery, attempt.outcome, attempt.reason);

    engine.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
