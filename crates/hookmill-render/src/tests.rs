//! What a webhook without a plugin makes of a document.

use super::*;
use hookmill_core::{EventEnvelope, EventId, TenantId};
use jiff::Timestamp;

fn event(doc: &str) -> Event {
    let json = format!(r#"{{"doctype":"Quotation","doc_event":"on_update","doc":{doc}}}"#);
    EventEnvelope::parse(json.as_bytes())
        .and_then(|envelope| {
            envelope
                .into_event(&TenantId::default_tenant(), Timestamp::UNIX_EPOCH, || EventId::new("e").expect("valid"))
        })
        .expect("an event")
}

fn renderer(fields: &str) -> Result<Renderer, WebhookError> {
    let json =
        format!(r#"{{"doctype":"Quotation","doc_event":"on_update","request_url":"https://example.com/in"{fields}}}"#);
    Renderer::compile(Arc::new(Webhook::parse(json.as_bytes())?))
}

#[track_caller]
fn check_body(fields: &str, doc: &str, expected: &str) {
    let renderer = renderer(fields).expect("compiles");
    match renderer.render(&event(doc)).expect("renders") {
        Rendered::Draft(request, made) => {
            let request = renderer.complete(request, made, &event(doc));
            assert_eq!(String::from_utf8_lossy(&request.body), expected);
        }
        Rendered::Skip(reason) => panic!("skipped: {reason}"),
    }
}

#[track_caller]
fn check_condition(condition: &str, doc: &str, expected: Result<bool, &str>) {
    let fields = format!(r#","condition":{}"#, serde_json::to_string(condition).expect("JSON"));
    let result = renderer(&fields).expect("compiles").render(&event(doc));
    let result = result.map(|rendered| matches!(rendered, Rendered::Draft(..))).map_err(|error| error.code());
    assert_eq!(result, expected, "{condition} of {doc}");
}

#[test]
fn without_rows_and_template_the_body_is_the_document() {
    check_body("", r#"{"b": 1.50, "a": 9007199254740993, "t": " x "}"#, r#"{"b":1.50,"a":9007199254740993,"t":" x "}"#);
}

#[test]
fn rows_give_keys_in_row_order_with_the_documents_own_values() {
    let rows = r#","data":[{"fieldname":"name","key":"id"},{"fieldname":"items","key":"lineItems"},{"fieldname":"nope","key":"n"}]"#;
    check_body(
        rows,
        r#"{"items":[{"qty": 2.0, "é":1e400}],"name":"SAL-1","other":1}"#,
        r#"{"id":"SAL-1","lineItems":[{"qty":2.0,"é":1e400}],"n":null}"#,
    );
}

#[test]
fn a_repeated_key_keeps_its_first_place_and_last_value() {
    let rows = r#","data":[{"fieldname":"a","key":"x"},{"fieldname":"b","key":"y"},{"fieldname":"c","key":"x"}]"#;
    check_body(rows, r#"{"a":1,"b":2,"c":3}"#, r#"{"x":3,"y":2}"#);
}

#[test]
fn a_template_gives_json_and_nothing_else() {
    check_body(
        r#","json_template":"{\"id\": {{ doc.name|tojson }}, \"n\": {{ doc.items|length }}}""#,
        r#"{"name":"A\"B","items":[1,2]}"#,
        r#"{"id":"A\"B","n":2}"#,
    );
    let ordered = renderer(r#","json_template":"{{ {\"doc\": doc, \"by\": {\"z\": 1, \"a\": 2}}|tojson }}""#);
    let Rendered::Draft(draft, _) =
        ordered.expect("compiles").render(&event(r#"{"name":"A","b":1,"a":[{"y":1,"x":2}]}"#)).expect("renders")
    else {
        panic!("it is sent")
    };
    let body = r#"{"doc":{"name":"A","b":1,"a":[{"y":1,"x":2}]},"by":{"z":1,"a":2}}"#;
    assert_eq!(String::from_utf8_lossy(&draft.body), body, "keys stay in their order");
    let broken = renderer(r#","json_template":"{{ doc.name }}""#).expect("compiles");
    assert_eq!(broken.render(&event(r#"{"name":"A"}"#)).expect_err("no JSON").code(), "json_template_not_json");
}

#[test]
fn conditions_are_python_like() {
    let doc = r#"{"grand_total":1500.5,"status":"Open","items":[{"qty":1}],"none":null}"#;
    check_condition("doc.grand_total > 1000", doc, Ok(true));
    check_condition("doc.grand_total > 1000 and doc.status in (\"Open\", \"Replied\")", doc, Ok(true));
    check_condition("not doc.none and doc.items", doc, Ok(true));
    check_condition("doc.status == 'Closed'", doc, Ok(false));
    check_condition("doc.typo > 3", doc, Err("condition_failed"));
    check_condition("  ", doc, Ok(true));
}

#[test]
fn mistakes_are_found_when_the_webhook_is_saved() {
    for fields in [
        r#","condition":"doc.a >""#,
        r#","json_template":"{% if %}""#,
        r#","dynamic_url":true,"request_url":"http://{{ x""#,
    ] {
        let fields = fields.replace(r#","request_url""#, r#","condition":null,"request_url""#);
        let error = if fields.contains("dynamic_url") {
            let json = r#"{"doctype":"A","doc_event":"e","dynamic_url":true,"request_url":"http://{{ x"}"#;
            Renderer::compile(Arc::new(Webhook::parse(json.as_bytes()).expect("parses"))).expect_err("a mistake")
        } else {
            renderer(&fields).expect_err("a mistake")
        };
        assert_eq!(error.code(), "webhook_invalid", "{fields}");
    }
}

#[test]
fn a_dynamic_url_is_filled_from_the_document() {
    let json = r#"{"doctype":"A","doc_event":"e","dynamic_url":true,"request_url":"https://example.com/{{ doc.name|urlencode }}"}"#;
    let renderer = Renderer::compile(Arc::new(Webhook::parse(json.as_bytes()).expect("parses"))).expect("compiles");
    let Rendered::Draft(request, made) = renderer.render(&event(r#"{"name":"a b/c"}"#)).expect("renders") else {
        panic!("skipped")
    };
    assert_eq!((request.url.as_str(), made), ("https://example.com/a%20b/c", false));
}

#[test]
fn an_endless_expression_runs_out_of_fuel() {
    check_condition(
        "range(100000)|list|length > 0 and range(100000)|map('string')|list",
        "{}",
        Err("condition_failed"),
    );
}

#[test]
fn a_long_row_of_operators_is_refused_and_the_longest_that_is_taken_does_no_harm() {
    let condition = |text: &str| renderer(&format!(r#","condition":"{text}""#)).map(drop);
    let template = |text: &str| renderer(&format!(r#","json_template":"{text}""#)).map(drop);
    for (unit, end) in [("-", "1"), ("1+", "1"), ("not ", "1"), ("(", "1"), ("[", "1")] {
        let longest = unit.repeat(990 / unit.len()) + end;
        let endless = unit.repeat(30_000 / unit.len()) + end;
        // Taken or not, the parser must come back.
        let _come_back = (condition(&longest).is_ok(), template(&format!("{{{{ {longest} }}}}")).is_ok());
        assert!(condition(&endless).is_err() && template(&format!("{{{{ {endless} }}}}")).is_err(), "{unit}");
    }
}

#[test]
fn joins_have_an_end() {
    let grown =
        "{% set x = doc.text %}".to_owned() + &"{% set x = [x,x,x,x,x,x,x,x]|join %}".repeat(12) + "{{ x|length }}";
    let fields = format!(r#","json_template":{}"#, serde_json::to_string(&grown).expect("JSON"));
    let error = renderer(&fields).expect("compiles").render(&event(r#"{"text":"xxxxxxxx"}"#)).expect_err("held");
    assert_eq!(error.code(), "json_template_failed");
    assert!(error.to_string().contains("join makes more than"), "{error}");
}

#[test]
fn a_join_takes_joiner_and_attribute() {
    let join = |template: &str, expected: &str| {
        let fields = format!(r#","json_template":{}"#, serde_json::to_string(template).expect("JSON"));
        check_body(&fields, r#"{"items":[{"of":{"qty":1}},{"of":{"qty":2.5}}],"tags":["a","b"]}"#, expected);
    };
    join(r#"{{ doc.tags|join(", ")|tojson }}"#, r#""a, b""#);
    join(r#"{{ doc.tags|join(d="-")|tojson }}"#, r#""a-b""#);
    join(r#"{{ doc["items"]|join("+", attribute="of.qty")|tojson }}"#, r#""1+2.5""#);
}
