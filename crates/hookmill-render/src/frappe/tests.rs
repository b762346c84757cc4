//! What Frappe's templates and forms become.

use std::sync::Arc;

use hookmill_core::{Event, EventEnvelope, EventId, Explain as _, TenantId, Webhook};
use serde_json::json;

use crate::{RenderError, Rendered, Renderer};

const DOC: &str = r#"{"doctype": "Quotation", "name": "Q 1", "title": "Ana's \"list\"", "grand_total": 1500.0, "big": 9007199254740993,
 "date": "2026-02-03", "at": "2026-02-04 05:06:07", "none": null, "flag": true, "notes": "<b>a & b</b>",
 "items": [{"item_code": "SKU-1", "qty": 2.0}, {"item_code": "SKU-2", "qty": 1e-7}]}"#;

fn event() -> Event {
    let json = format!(
        r#"{{"doctype":"Quotation","doc_event":"on_update","user":"ana","occurred_at":"2026-02-03T04:05:06.7Z","doc":{DOC}}}"#
    );
    EventEnvelope::parse(json.as_bytes())
        .and_then(|envelope| {
            let now = "2030-01-01T00:00:00Z".parse().expect("a time");
            envelope.into_event(&TenantId::default_tenant(), now, || EventId::new("e").expect("valid"))
        })
        .expect("an event")
}

fn renderer(fields: &serde_json::Value) -> Result<Renderer, hookmill_core::WebhookError> {
    let mut webhook = json!({"doctype": "Quotation", "doc_event": "on_update", "request_url": "http://h/in", "profile": "frappe-v15"});
    for (field, value) in fields.as_object().expect("fields") {
        webhook[field] = value.clone();
    }
    Renderer::compile(Arc::new(Webhook::parse(webhook.to_string().as_bytes())?))
}

fn rendered(fields: &serde_json::Value) -> Result<hookmill_core::Request, RenderError> {
    let renderer = renderer(fields).expect("compiles");
    match renderer.render(&event())? {
        Rendered::Draft(request, made) => Ok(renderer.complete(request, made, &event())),
        Rendered::Skip(reason) => panic!("skipped: {reason}"),
    }
}

#[track_caller]
fn check_body(fields: serde_json::Value, expected: &str) {
    let request = rendered(&fields).expect("renders");
    assert_eq!(String::from_utf8_lossy(&request.body), expected, "{fields}");
}

/// Checks what a template prints, as text.
#[track_caller]
fn check(template: &str, expected: &str) {
    let header = json!({"headers": [{"key": "X", "value": template, "template": true}]});
    let request = rendered(&header).unwrap_or_else(|error| panic!("{template}: {error}"));
    let value = request.headers.iter().find(|(name, _)| name == "X").map(|(_, value)| value.as_str());
    assert_eq!(value.unwrap_or_default(), expected, "{template}");
}

#[test]
fn values_print_as_python_prints_them() {
    check(
        "{{ doc.none }} {{ doc.missing }} {{ doc.flag }} {{ doc.grand_total }} {{ doc.big }}",
        "None None True 1500.0 9007199254740993",
    );
    check("{{ doc['items'][1].qty }} {{ [1, 'a', none] }} {{ (1,) }}", "1e-07 [1, 'a', None] (1,)");
    check("{{ {'a': doc.flag} }} {{ 1 == 1 }} {{ 7 // 2 }} {{ 1 / 2 }}", "{'a': True} True 3 0.5");
    check("{{ doc['items'][0] }}", "{'item_code': 'SKU-1', 'qty': 2.0}");
}

#[test]
fn what_is_not_there_prints_that_it_is_missing() {
    check("a {{ nope }} b", "a {{ nope }} b");
    check("{{ nope is defined }} {{ nope|default('x') }} {{ 1 if nope else 2 }}", "False x 2");
    for template in ["{{ nope.x }}", "{{ nope() }}", "{{ doc.title.nope() }}"] {
        let fields = json!({"json_template": template});
        assert_eq!(rendered(&fields).expect_err(template).code(), "json_template_failed");
    }
}

#[test]
fn filters_functions_and_methods_are_frappes() {
    check("{{ doc.title|len }} {{ '7.9'|int }} {{ 'x'|flt }} {{ 3|str }}", "12 7 0.0 3");
    check(
        "{{ doc.items|len }} {{ doc.items()|len }} {{ doc.get('nope', 'd') }} {{ doc.get('title')|upper }}",
        "2 11 d ANA'S \"LIST\"",
    );
    check(
        "{{ doc.date|global_date_format }} {{ utils.formatdate(doc.date, 'dd.MM.yyyy') }}",
        "February 3, 2026 03.02.2026",
    );
    check(
        "{{ frappe.utils.add_days(doc.date, days=2) }} {{ utils.now_datetime() }}",
        "2026-02-05 2026-02-03 04:05:06.700000",
    );
    check("{{ utils.get_datetime(doc.at).isoformat() }} {{ utils.getdate(doc.at).year }}", "2026-02-04T05:06:07 2026");
    check("{{ ' a '.strip() }}{{ 'a,b'.split(',') }} {{ '{}-{:.2f}'.format('x', 1.5) }}", "a['a', 'b'] x-1.50");
    check("{{ frappe.session.user }} {{ _('Open') }} {{ sum([1, 2]) }} {{ len(doc['items']) }}", "ana Open 3 2");
    check("{% for key, value in {'a': 1}.items() %}{{ key }}={{ value }}{% endfor %}", "a=1");
    check("{{ event_id }} {{ doctype }} {{ doc_event }}", "e Quotation on_update");
    check("{{ range(0, 100)|random }}", &rendered_once("{{ range(0, 100)|random }}"));
}

fn rendered_once(template: &str) -> String {
    let header = json!({"headers": [{"key": "X", "value": template, "template": true}]});
    let request = rendered(&header).expect("renders");
    let value = request.headers[0].1.clone();
    assert!(value.parse::<u32>().is_ok_and(|number| number < 100), "{value}");
    value
}

#[test]
fn templates_have_macros() {
    check(
        "{% macro row(item) %}{{ item.item_code }};{% endmacro %}{% for item in doc.items %}{{ row(item) }}{% endfor %}",
        "SKU-1;SKU-2;",
    );
}

#[test]
fn a_body_is_read_and_written_by_pythons_rules() {
    check_body(
        json!({"json_template": "{\"t\": {{ doc.title|tojson }}, \"j\": {{ doc.notes|json }}, \"d\": {{ json.dumps(doc.notes) }}}"}),
        r#"{"t": "Ana's \"list\"", "j": "<b>a & b</b>", "d": "<b>a & b</b>"}"#,
    );
    check_body(
        json!({"json_template": "{\"n\": NaN, \"i\": -Infinity, \"e\": 1e400, \"é\": 1E5}"}),
        r#"{"n": NaN, "i": -Infinity, "e": Infinity, "\u00e9": 100000.0}"#,
    );
    check_body(
        json!({"json_template": "[{% for row in doc.items %}\"{{ row.item_code }}\"{% if not loop.last %},{% endif %}{% endfor %}]"}),
        r#"["SKU-1", "SKU-2"]"#,
    );
    check_body(
        json!({"json_template": "{\"b\": 1, \"a\": [{}]}", "profile": "frappe-newest"}),
        "{\n \"a\": [\n  {}\n ],\n \"b\": 1\n}",
    );
    check_body(json!({}), "{}");
    let broken = rendered(&json!({"json_template": "{\n \"a\": {{ doc.title }}\n}"})).expect_err("no JSON");
    assert!(broken.code() == "json_template_not_json" && broken.to_string().contains("line 2"), "{broken}");
    assert!(broken.to_string().contains("`{\n \"a\": Ana's \"list\"\n}`"), "{broken}");
}

#[test]
fn rows_stand_before_a_template_and_a_form_has_none() {
    let rows = json!([{"fieldname": "name", "key": "id"}, {"fieldname": "none", "key": "n"}]);
    let structure = |structure: &str| json!({"data": rows, "json_template": "[1]", "request_structure": structure});
    check_body(structure(""), r#"{"id": "Q 1", "n": null}"#);
    check_body(structure("Form URL-Encoded"), r#"{"id": "Q 1", "n": null}"#);
    check_body(structure("form_encoded"), "id=Q+1&n=");
    check_body(json!({"json_template": "[1]", "request_structure": "form"}), "{}");
    check_body(json!({"json_template": "[1]", "request_structure": ""}), "[1]");
    let form = rendered(&structure("form_encoded")).expect("renders");
    assert_eq!(form.headers, [("content-type".into(), "application/x-www-form-urlencoded".into())]);
}

#[test]
fn a_url_is_filled_from_the_document_and_spelt_as_requests_spells_it() {
    let url = |template: &str| {
        let fields = json!({"request_url": template, "dynamic_url": true});
        rendered(&fields).expect("renders").url
    };
    assert_eq!(url("http://h/{{ doc.name }}.json"), "http://h/Q%201.json");
    assert_eq!(
        url("http://h/{{ doc.items[0].item_code }}/{{ doc.date.year }}/{{ doc.date }}/{{ doc.at.hour }}"),
        "http://h/SKU-1/2026/2026-02-03/5"
    );
    assert!(url("http://h/{{ doc.nope }}").contains("no%20such%20element"));
}

#[test]
fn header_rows_are_static_unless_they_say_otherwise() {
    let rows = json!([
        {"key": "X-A", "value": "{{ doc.name }}"}, {"key": "X-B", "value": "{{ doc.name }}", "template": true},
        {"key": "X-C", "value": " one "}, {"key": "x-c", "value": " two "}, {"key": "", "value": "x"}, {"key": "X-D", "value": ""}
    ]);
    let sent = rendered(&json!({"headers": rows})).expect("renders").headers;
    let expected = [("X-A", "{{ doc.name }}"), ("X-B", "Q 1"), ("x-c", "two ")];
    assert_eq!(sent, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn what_can_never_work_is_refused_when_it_is_saved() {
    for (fields, said) in [
        (json!({"json_template": "{{ doc.__class__ }}"}), "Illegal template"),
        (json!({"json_template": "{{ frappe.get_doc('User', 'x') }}"}), "frappe.get_doc asks the site"),
        (
            json!({"request_url": "http://h/{{ frappe.db.get_value('a', 'b') }}", "dynamic_url": true}),
            "frappe.db.get_value asks the site",
        ),
        (json!({"json_template": "{\n\"a\": {{ doc.x }"}), "line 2"),
        (json!({"condition": "doc.a ="}), "invalid syntax"),
        (json!({"request_structure": "form", "plugin": {"name": "p"}}), "can't be a form"),
    ] {
        let error = renderer(&fields).map(drop).expect_err("refused");
        assert!(error.to_string().contains(said), "{fields}: {error}");
    }
}

#[test]
fn lists_and_dictionaries_change_for_every_name_that_they_have() {
    check("{% set a = [] %}{% set b = a %}{% set _ = b.append(1) %}{{ a }}", "[1]");
    check(
        "{% set g = {} %}{% for row in doc.items %}{% set _ = g.setdefault(row.qty > 1, []).append(row.item_code) %}{% endfor %}{{ g }}",
        "{True: ['SKU-1'], False: ['SKU-2']}",
    );
    check(
        "{% set ns = namespace(l=[]) %}{% for i in range(3) %}{% set _ = ns.l.insert(0, i) %}{% endfor %}{{ ns.l }}",
        "[2, 1, 0]",
    );
    check(
        "{% for row in doc.items %}{% set _ = row.update({'n': loop.index}) %}{% endfor %}{{ doc['items'][1].n }}",
        "2",
    );
}

#[test]
fn what_one_template_does_to_the_document_no_other_sees() {
    let fields = json!({
        "request_url": "http://h/{{ doc.items[0].item_code }}/{{ doc.items|length }}", "dynamic_url": true,
        "headers": [
            {"key": "X-A", "value": "{% set _ = doc.pop('title') %}{% set _ = doc['items'].pop() %}{{ doc['items']|length }}", "template": true},
            {"key": "X-B", "value": "{{ doc['items']|length }}{{ doc['items'][1].item_code }}", "template": true},
        ],
        "json_template": "{{ [doc['items']|map(attribute='item_code')|list, doc.title is none]|tojson }}",
    });
    let request = rendered(&fields).expect("renders");
    assert_eq!(request.url, "http://h/SKU-1/2");
    let values: Vec<&str> = request.headers.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(values, ["1", "2SKU-2"]);
    assert_eq!(String::from_utf8_lossy(&request.body), r#"[["SKU-1", "SKU-2"], false]"#);
}

#[test]
fn what_was_there_before_costs_nothing_and_going_through_it_does() {
    let rows = "{% set l = range(2000)|list %}";
    let often = "{% for i in l %}{% set _ = l[0] or l %}{% endfor %}{% set out = [] %}{% for i in l %}{% set _ = out.append(i) %}{% endfor %}";
    check(&format!("{rows}{often}{{{{ out|length }}}}"), "2000");
    let costly = [
        "{% set s = 'x' * 1000000 %}{% for i in range(100000) %}{% set _ = s[i] %}{% endfor %}",
        "{% set l = range(90000)|list %}{% for i in l %}{% if -1 in l %}{% endif %}{% endfor %}",
        "{% set l = range(90000)|list %}{% for i in l %}{% set _ = l.count(i) %}{% endfor %}",
        "{% set r = range(100000) %}{% for i in r %}{% set _ = r[i] %}{% endfor %}",
        "{% set s = 'x' * 1000000 %}{% for i in range(100000) %}{% set _ = s.find('y') %}{% endfor %}",
        "{% set l = range(90000)|list %}{% for i in l %}{% set _ = l|max %}{% endfor %}",
    ];
    for template in costly {
        let error = rendered(&json!({"json_template": template})).expect_err(template).to_string();
        assert!(error.contains("steps"), "{template}: {error}");
    }
    check("{% set r = range(100000) %}{% for i in r %}{% if r %}{% endif %}{% endfor %}{{ r|length }}", "100000");
}

#[test]
fn a_failure_names_the_part_its_place_and_the_value() {
    let fields = json!({"json_template": "{\n\"a\": {{ doc.none > 1 }}\n}"});
    let error = rendered(&fields).expect_err("None has no order").to_string();
    let expected = "'>' not supported between instances of 'NoneType' and 'int': None > 1, in `doc.none > 1` (line 2, character 9)";
    assert!(error.contains(expected), "{error}");
    for (template, said) in [
        ("{{ 1 in '12' }}", "requires string as left operand, not int, in `1 in '12'` (line 1, character 4)"),
        ("{{ doc.title + 1 }}", "can only concatenate str (not \"int\") to str"),
    ] {
        let error = rendered(&json!({"json_template": template})).expect_err(template).to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn headers_are_put_together_as_frappe_and_requests_do_it() {
    let sent = |rows: &[(&str, &str)]| {
        let rows: Vec<_> = rows.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        rendered(&json!({"headers": rows})).expect("renders").headers
    };
    assert_eq!(sent(&[("X-A", "1"), ("x-a", "2"), ("X-A", "3")]), [("x-a".to_owned(), "2".to_owned())]);
    let expected = [("X-A", "3"), ("X-B", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(sent(&[("X-A", "1"), ("X-B", "2"), ("X-A", "3")]), expected);
}

#[test]
fn what_holds_itself_or_is_nested_deep_does_no_harm() {
    let grown = |step: &str| {
        format!("{{% set ns = namespace(x=[]) %}}{{% for i in range(30000) %}}{{% set ns.x = {step} %}}{{% endfor %}}")
    };
    for step in ["[ns.x]", "(ns.x,)", "{'a': ns.x}", "[ns.x]|list", "[ns.x]|map('default')"] {
        // A filter goes through what it is given, and stops there.
        if !step.contains('|') {
            check(&grown(step), "");
        }
        for use_of_it in ["{{ ns.x }}", "{{ ns.x == ns.x|list }}", "{{ ns.x|tojson }}", "{{ json.dumps(ns.x) }}"] {
            let error = rendered(&json!({"json_template": grown(step) + use_of_it})).expect_err("held").to_string();
            assert!(error.contains("nested more than") || error.contains("mapping"), "{step} {use_of_it}: {error}");
        }
    }
    let own = "{% set l = [] %}{% set _ = l.append(l) %}";
    for use_of_it in
        ["{{ l }}", "{{ l == [l] }}", "{{ l|tojson }}", "{{ [l]|sort }}", "{{ '%s' % [l] }}", "{{ l|join }}"]
    {
        assert!(rendered(&json!({"json_template": format!("{own}{use_of_it}")})).is_err(), "{use_of_it}");
    }
    for deep in [
        format!("{{{{ {}1{} }}}}", "(".repeat(30_000), ")".repeat(30_000)),
        format!("{{{{ {}1 }}}}", "1+".repeat(30_000)),
        format!("{{{{ 1{} }}}}", "|int".repeat(30_000)),
        format!("{{{{ {}1 }}}}", "not ".repeat(30_000)),
        format!("{{{{ doc{} }}}}", ".a".repeat(30_000)),
        format!("{}{}", "{% if 1 %}".repeat(30_000), "{% endif %}".repeat(30_000)),
    ] {
        assert!(renderer(&json!({"json_template": deep})).is_err(), "{}", deep.get(..40).unwrap_or_default());
    }
    // The longest that are taken.
    let longest =
        format!("{{{{ {}1{} }}}}", "(".repeat(25), ")".repeat(25)) + &format!("{{{{ {}1 }}}}", "1+".repeat(140));
    let again =
        "{% macro again(n) %}{% if 1 %}{% for i in [1] %}{{ (((again(n + 1)))) }}{% endfor %}{% endif %}{% endmacro %}";
    assert_eq!(rendered(&json!({"json_template": longest})).expect("renders").body, b"1141");
    assert!(rendered(&json!({"json_template": format!("{again}{{{{ again(0) }}}}")})).is_err());
}

#[test]
fn templates_come_to_an_end() {
    let grown = "{% set x = [1] %}".to_owned() + &"{% set x = [x, x, x, x, x, x, x, x] %}".repeat(12);
    for template in [
        format!("{grown}{{{{ x }}}}"),
        format!("{grown}{{{{ x|json }}}}"),
        format!("{grown}{{{{ len(str(x)) }}}}"),
        "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}".to_owned(),
        "{% macro again(n) %}{{ again(n + 1) }}{% endmacro %}{{ again(0) }}".to_owned(),
        "{% set x = doc.title %}".to_owned() + &"{% set x %}{{ x }}{{ x }}{% endset %}".repeat(40) + "{{ x }}",
        "{% set x = doc.title %}".to_owned() + &"{% set x = x ~ x %}".repeat(40) + "{{ x }}",
        "{{ 'x'.ljust(1000000000) }}".to_owned(),
        "{{ ('x' * 100000).replace('x', 'y' * 100000) }}".to_owned(),
    ] {
        let error = rendered(&json!({"json_template": template})).expect_err("held");
        assert_eq!(error.code(), "json_template_failed", "{error}");
    }
}
