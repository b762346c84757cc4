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
    assert_eq!(with(r#""rate_limit":{"per_second":1}"#), Err("webhook_malformed"));
    assert_eq!(with(r#""coalesce_ms":3600001"#), Err("webhook_invalid"));
    assert_eq!(with(r#""retry":{"schedule":[]}"#), Err("webhook_invalid"));
    assert_eq!(with(r#""plugin":{"name":"p","settings":[]}"#), Err("webhook_invalid"));
    assert_eq!(with(r#""retry":{"schedule":["0s","5s","5m"]}"#), Ok(()));
    assert_eq!(parse("{}").map(drop), Err("webhook_malformed"));
    for url in ["ftp://h/x", "mailto:a@b", "host/path", "http://", "http://[::1"] {
        assert_eq!(parse(&LEAST.replace("https://example.com/in", url)).map(drop), Err("webhook_invalid"), "{url}");
    }
}

#[test]
fn a_secret_may_end_but_never_the_last() {
    let with = |secrets: &str| parse(&format!(r#"{},"secrets":{secrets}}}"#, LEAST.trim_end_matches('}')));
    let webhook = with(r#"["whsec_b",{"secret":"whsec_a","until":"2026-12-01T00:00:00Z"},{"secret":"whsec_0"}]"#);
    let secrets = webhook.expect("taken").secrets;
    let until: jiff::Timestamp = "2026-12-01T00:00:00Z".parse().expect("a moment");
    assert_eq!(secrets[1].ends, Ends::At(until));
    let just_before = until - jiff::SignedDuration::from_nanos(1);
    assert!(secrets[1].signs_at(just_before) && !secrets[1].signs_at(until));
    assert_eq!((secrets[0].ends, secrets[2].ends), (Ends::Never, Ends::AfterOverlap));
    let json = serde_json::to_string(&secrets).expect("JSON");
    assert_eq!(json, r#"["whsec_b",{"secret":"whsec_a","until":"2026-12-01T00:00:00Z"},{"secret":"whsec_0"}]"#);
    assert_eq!(with(r#"[{"secret":"whsec_a"}]"#).err(), Some("webhook_invalid"));
    assert_eq!(with(r#"[{"secret":"a","since":"b"}]"#).err(), Some("webhook_unknown_field"));
    assert_eq!(with("[1]").err(), Some("webhook_malformed"));
}

#[test]
fn what_is_said_of_sending_has_rules() {
    let with = |extra: &str| parse(&format!("{},{extra}}}", LEAST.trim_end_matches('}'))).map(drop);
    for good in [
        r#""signing":"none""#,
        r#""signing":"github","secrets":["any text"]"#,
        r#""signing":"stripe","secrets":["a"],"signature_header":"Acme-Signature""#,
        r#""envelope":"cloudevents-structured","event_source":"https://erp.example.com/a?b=c""#,
        r#""envelope":"cloudevents-binary","event_source":"/erp","handshake":{"origin":"erp.example.com"}"#,
        r#""auth":{"basic":{"username":"token","password":""}}"#,
    ] {
        assert_eq!(with(good), Ok(()), "{good}");
    }
    for bad in [
        r#""signing":"github""#,
        r#""signing":"none","signature_header":"X""#,
        r#""event_source":"a b""#,
        r#""event_source":"""#,
        r#""handshake":{"origin":"a b"}"#,
        r#""auth":{"bearer":"a\nb"}"#,
        r#""auth":{"bearer":" "}"#,
        r#""auth":{"basic":{"username":"a:b","password":"c"}}"#,
        r#""auth":{"oauth2":{"token_url":"ftp://h/","client_id":"a","client_secret":"b"}}"#,
        r#""auth":{"bearer":"a"},"headers":[{"key":"authorization","value":"b"}]"#,
    ] {
        assert_eq!(with(bad), Err("webhook_invalid"), "{bad}");
    }
    let mtls = r#""auth":{"mtls":{"certificate_pem":"c","private_key_pem":"k"}}"#;
    assert_eq!(with(mtls), Ok(()));
    let in_the_clear = LEAST.replace("https:", "http:");
    assert_eq!(parse(&format!("{},{mtls}}}", in_the_clear.trim_end_matches('}'))).err(), Some("webhook_invalid"));
    for none in [r#""auth":{"magic":"a"}"#, r#""signing":"magic""#, r#""envelope":"cloudevents""#] {
        assert_eq!(with(none), Err("webhook_malformed"), "{none}");
    }
    assert_eq!(with(r#""auth":{"basic":{"username":"a","password":"b","realm":"c"}}"#), Err("webhook_unknown_field"));
}
