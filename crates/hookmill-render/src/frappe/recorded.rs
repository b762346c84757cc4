//! What a real Frappe site made of templates, conditions and URLs, made again. `tests/recorded.json` holds its answers.

use hookmill_core::{EventEnvelope, EventId, TenantId};
use serde_json::{Value, json};

use super::*;
use crate::{Rendered, Renderer};

const RECORDED: &str = include_str!("../../tests/recorded.json");

/// What Jinja2 3.1 itself makes of templates, in its sandbox and with its `DebugUndefined`.
const JINJA: &str = include_str!("../../tests/jinja.json");

/// Why some answers are others here; each text begins the sources that it stands for.
const BY_INTENT: &[(&str, &[&str])] = &[
    (
        "Python's functions can be called; Frappe has few of them, and fails",
        &[
            "len(",
            "str(",
            "int(",
            "float(",
            "round(",
            "zip(",
            "reversed(",
            "any(",
            "all(",
            "sum(",
            "max(",
            "sorted(",
            "list(",
            "set([1])",
            "bool(",
            "abs(",
            "range(",
            "[i for i in range(",
            "\"a\" + str(",
            "\"{}\".format(doc.boxes)",
        ],
    ),
    (
        "functions and the user can be named without a module, or with `frappe`",
        &[
            "nowdate()",
            "today()",
            "flt(doc.total)",
            "user",
            "frappe.utils.nowdate()",
            "frappe.session.user ==",
            "utils.sbool(",
            "frappe.as_json(",
            "frappe.scrub(",
        ],
    ),
    ("a field stands before the method of its name", &["doc.items is callable", "doc.items", "doc.items[0].qty"]),
    ("a document is a dictionary too", &["doc[\"status\"]", "doc.items[0][\"qty\"]"]),
    (
        "a date and its text are one: a field is text after an insert and a date after loading",
        &[
            "doc.order_date == \"2026",
            "doc.order_date > \"2026",
            "doc.order_date.strftime(\"%Y\")",
            "doc.modified.strftime(",
        ],
    ),
    (
        "what asks the site is refused when the webhook is saved",
        &[
            "\"/x\"|abs_url",
            "utils.money_in_words(",
            "utils.nope",
            "frappe.format(",
            "frappe.format_value(",
            "frappe.get_fullname(",
            "guess_mimetype(",
            "style.",
            "dev_server",
            "doc.get_db_value(",
            "doc.get_url()",
            "doc.get_password(",
            "doc.has_permission(",
            "doc.is_dummy_password(",
            "doc.get_formatted(",
            "doc.get_title()",
            "{% set v %}{% set c = frappe.get_doc(",
            "{% set v %}{% set c = frappe.db.get_value(",
            "utils.generate_hash(",
        ],
    ),
    (
        "Markdown and HTML are not turned into each other here; refused when the webhook is saved",
        &[
            "\"**b** _i_\"|markdown",
            "utils.to_markdown(",
            "utils.md_to_html(",
            "frappe.sanitize_html(",
            "html2text(",
            "\"http://a.b/c d\"|urlize",
        ],
    ),
    ("flags and meta of a document are the site's", &["doc.flags", "doc.meta."]),
    ("a condition does not change the document", &["doc.set(", "doc.update(", "doc.append("]),
    ("of Python's values, these are refused when the webhook is saved", &["(lambda", "b\"a\"", "... "]),
    ("white space before a condition is nothing to fail for", &[" doc.status"]),
    ("an object's address is not the site's", &["\"a\"|attr("]),
    ("a virtual field is computed by the site, and is in the event", &["doc.total * 2 == doc.double_total"]),
];

fn reason(src: &str) -> Option<&'static str> {
    let fits = |begin: &&str| match *begin {
        // These are whole sources.
        "user" | "doc.items" | "doc.items[0].qty" | "doc.flags" => src == *begin || src.starts_with("doc.flags."),
        begin => src.starts_with(begin),
    };
    BY_INTENT.iter().find(|(_, begins)| begins.iter().any(fits)).map(|(reason, _)| *reason)
}

struct Recorded {
    json: Value,
}

impl Recorded {
    fn read() -> Self {
        Self { json: serde_json::from_str(RECORDED).expect("JSON") }
    }

    fn event(&self) -> Event {
        let mut envelope = json!({
            "doctype": "Golden Order", "doc_event": "on_update", "doc": self.json["doc"], "user": "Administrator",
        });
        if !self.json["now"].is_null() {
            envelope["occurred_at"] = self.json["now"].clone();
            envelope["before"] = self.json["before"].clone();
        }
        let now = "2030-01-01T00:00:00Z".parse().expect("a time");
        EventEnvelope::parse(envelope.to_string().as_bytes())
            .and_then(|envelope| {
                envelope.into_event(&TenantId::default_tenant(), now, || EventId::new("e").expect("valid"))
            })
            .expect("an event")
    }

    /// Compares each case of a kind with what is made of it; `made` gives nothing where it fails.
    fn check(&self, kind: &str, made: impl Fn(&Value, &Event) -> Result<Value, String>) {
        let (event, cases) = (self.event(), self.json[kind].as_array().expect("cases"));
        let (mut equal, mut by_intent, mut wrong) = (0, 0, Vec::new());
        for case in cases {
            let src = case["src"].as_str().expect("a source");
            let made = made(case, &event);
            let same = match (&made, case.get("ok")) {
                (Ok(made), Some(expected)) => made == expected,
                (Err(_), None) => case["site"].is_null(),
                _ => false,
            };
            match reason(src) {
                _ if same => equal += 1,
                Some(_) => by_intent += 1,
                None if !case["site"].is_null() => by_intent += 1,
                None => wrong.push(format!("{src}\n  made     {made:?}\n  recorded {:?}", case.get("ok"))),
            }
        }
        println!("{kind}: {equal} are equal, {by_intent} differ by intent");
        assert!(wrong.is_empty(), "{equal} {kind} are equal, {} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    }
}

fn rendered(fields: &Value, event: &Event) -> Result<Option<hookmill_core::Request>, String> {
    let mut webhook = json!({
        "doctype": "Golden Order", "doc_event": "on_update", "request_url": "http://127.0.0.1/", "profile": "frappe-v15",
    });
    let object = webhook.as_object_mut().expect("an object");
    object.extend(fields.as_object().expect("fields").clone());
    let webhook = Webhook::parse(webhook.to_string().as_bytes()).map_err(|error| error.to_string())?;
    let renderer = Renderer::compile(Arc::new(webhook)).map_err(|error| error.to_string())?;
    match renderer.render(event).map_err(|error| error.to_string())? {
        Rendered::Draft(request, _) => Ok(Some(request)),
        Rendered::Skip(_) => Ok(None),
    }
}

#[test]
fn templates_give_what_a_real_site_makes_of_them() {
    Recorded::read().check("templates", |case, event| {
        let src = case["src"].as_str().expect("a source");
        let template = match case["whole"].is_null() {
            true => format!("{{% set v %}}{{{{ {src} }}}}{{% endset %}}{{{{ json.dumps(v) }}}}"),
            false => src.to_owned(),
        };
        let request = rendered(&json!({"json_template": template}), event)?.expect("no condition");
        Ok(serde_json::from_slice(&request.body).expect("JSON"))
    });
}

#[test]
fn conditions_hold_where_they_hold_on_a_real_site() {
    Recorded::read()
        .check("conditions", |case, event| Ok(json!(rendered(&json!({"condition": case["src"]}), event)?.is_some())));
}

#[test]
fn urls_are_those_of_a_real_site() {
    Recorded::read().check("urls", |case, event| {
        let url = format!("http://h/{{{{ {} }}}}", case["src"].as_str().expect("a source"));
        let request = rendered(&json!({"request_url": url, "dynamic_url": true}), event)?.expect("no condition");
        Ok(json!(request.url))
    });
}

#[test]
fn templates_give_what_jinja_itself_makes_of_them() {
    let recorded = Recorded { json: serde_json::from_str(JINJA).expect("JSON") };
    recorded.check("cases", |case, event| {
        let headers =
            json!([{"key": "X-A", "value": format!("-{}", case["src"].as_str().expect("a source")), "template": true}]);
        let request = rendered(&json!({"headers": headers}), event)?.expect("no condition");
        let made = request.headers.first().map_or("", |(_, value)| value);
        Ok(json!(made.strip_prefix('-').unwrap_or(made)))
    });
}
