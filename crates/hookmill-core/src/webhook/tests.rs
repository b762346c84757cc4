//! What is taken as a webhook, and what is refused by which code.

use super::*;

fn parse(json: &str) -> Result<Webhook, &'static str> {
    Webhook::parse(json.as_bytes()).map_err(|error| error.code())
}

const LEAST: &str = r#"{"doctype":"Note","doc_event":"on_update","request_url":"https://example.com/in"}"#;

#[test]
fn three_fields_are_enough() {
    let webhook = parse(LEAST).expect("taken");
    assert!(webhook.enabled);
    assert_eq!((webhook.timeout_ms, webhook.request_method.as_str()), (15_000, "POST"));
}

#[test]
fn each_fault_has_its_code() {
    let with = |extra: &str| parse(&format!("{},{extra}}}", LEAST.trim_end_matches('}'))).map(drop);
    assert_eq!(with(r#""colour":"red""#), Err("webhook_unknown_field"));
    assert_eq!(with(r#""timeout_ms":1"#), Err("webhook_invalid"));
    assert_eq!(with(r#""rate_limit":{"per_second":1}"#), Err("webhook_not_offered"));
    assert_eq!(with(r#""retry":{"schedule":[]}"#), Err("webhook_invalid"));
    assert_eq!(with(r#""plugin":{"name":"p","settings":[]}"#), Err("webhook_invalid"));
    assert_eq!(with(r#""retry":{"schedule":["0s","5s","5m"]}"#), Ok(()));
    assert_eq!(parse("{}").map(drop), Err("webhook_malformed"));
    for url in ["ftp://h/x", "mailto:a@b", "host/path", "http://", "http://[::1"] {
        assert_eq!(parse(&LEAST.replace("https://example.com/in", url)).map(drop), Err("webhook_invalid"), "{url}");
    }
}
