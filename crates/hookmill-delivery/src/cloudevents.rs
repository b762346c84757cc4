//! CloudEvents 1.0 around a rendered request, by the HTTP binding and the JSON format.
//!
//! This is part of rendering: what is kept for a retry has it, and the signature covers it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookmill_core::webhook::Envelope;
use hookmill_core::{Event, Request, Webhook};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::percent;

const CONTENT_TYPE: &str = "content-type";

/// What the attributes of an event are, in the order in which they are written.
#[derive(Serialize)]
struct Attributes<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    r#type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    subject: &'a str,
    time: &'a str,
}

/// The JSON format: attributes, then the body in the one member that fits it.
#[derive(Serialize)]
struct Structured<'a> {
    #[serde(flatten)]
    attributes: Attributes<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    datacontenttype: Option<&'a str>,
}

/// Puts the webhook's envelope around a request.
pub fn wrap(request: Request, webhook: &Webhook, event: &Event) -> Request {
    let source = webhook.event_source.clone().unwrap_or_else(|| {
        let tenant = url::form_urlencoded::byte_serialize(event.tenant.as_str().as_bytes());
        format!("/hookmill/{}", tenant.collect::<String>())
    });
    let attributes = Attributes {
        specversion: "1.0",
        id: event.id.as_str(),
        source: &source,
        r#type: &format!("{}.{}", event.doctype, event.doc_event),
        subject: &event.document,
        time: &event.occurred_at.to_string(),
    };
    match webhook.envelope {
        Envelope::None => request,
        Envelope::CloudEventsBinary => binary(request, &attributes),
        Envelope::CloudEventsStructured => structured(request, attributes),
    }
}

fn binary(mut request: Request, attributes: &Attributes<'_>) -> Request {
    let headers = [
        ("ce-specversion", attributes.specversion),
        ("ce-id", attributes.id),
        ("ce-source", attributes.source),
        ("ce-type", attributes.r#type),
        ("ce-subject", attributes.subject),
        ("ce-time", attributes.time),
    ];
    for (name, value) in headers {
        request.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        // An attribute without a value is left out (§3.1 of the specification): it has no empty ones.
        if !value.is_empty() {
            request.headers.push((name.into(), percent::for_header(value)));
        }
    }
    request
}

fn structured(mut request: Request, attributes: Attributes<'_>) -> Request {
    let place = request.headers.iter().position(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE));
    let datacontenttype = place.map(|place| request.headers.remove(place).1);
    let data = data(&request.body, datacontenttype.as_deref());
    let head = Structured { attributes, datacontenttype: datacontenttype.as_deref() };
    let mut body = serde_json::to_vec(&head).expect("texts are JSON");
    if let Some((member, text)) = data {
        body.pop();
        // The body's own text, so that no number is written anew.
        body.extend_from_slice(format!(",\"{member}\":{text}}}").as_bytes());
    }
    request.headers.push((CONTENT_TYPE.into(), "application/cloudevents+json; charset=utf-8".into()));
    Request { body, ..request }
}

/// Returns the member that holds the body, and its JSON (§3.1 of the JSON format); none if the body is empty.
fn data(body: &[u8], content_type: Option<&str>) -> Option<(&'static str, String)> {
    if body.is_empty() {
        return None;
    }
    let quoted = |text: &str| serde_json::to_string(text).expect("a text is JSON");
    let encoded = || ("data_base64", quoted(&STANDARD.encode(body)));
    Some(match std::str::from_utf8(body) {
        Ok(text) if is_json(content_type) => match serde_json::from_str::<&RawValue>(text) {
            Ok(value) => ("data", value.get().to_owned()),
            // As `data` it would be read as the text of a JSON string.
            Err(_) => encoded(),
        },
        Ok(text) => ("data", quoted(text)),
        Err(_) => encoded(),
    })
}

/// Without a media type, `data` is JSON as well.
fn is_json(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = media_type.rsplit('/').next().unwrap_or_default();
    subtype == "json" || subtype.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use hookmill_core::{EventEnvelope, EventId, TenantId};
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    fn wrapped(fields: Value, content_type: &str, body: &[u8]) -> Request {
        let mut webhook = json!({"doctype": "Note", "doc_event": "*", "request_url": "https://example.com/"});
        for (name, value) in fields.as_object().expect("fields") {
            webhook[name] = value.clone();
        }
        let webhook = Webhook::parse(webhook.to_string().as_bytes()).expect("a webhook");
        let json = json!({"id": "evt-1", "doctype": "Sales Invoice", "doc_event": "on_update",
            "doc": {"name": "Rechnung \"Größe\" 50%"}, "occurred_at": "2026-03-02T09:31:55Z"});
        let envelope = EventEnvelope::parse(json.to_string().as_bytes()).expect("an event");
        let id = || EventId::new("unused").expect("an id");
        let event = envelope.into_event(&TenantId::default_tenant(), Timestamp::UNIX_EPOCH, id).expect("an event");
        let headers = vec![("Content-Type".into(), content_type.into()), ("Ce-Id".into(), "forged".into())];
        let request = Request { method: "POST".into(), url: "https://example.com/".into(), headers, body: body.into() };
        wrap(request, &webhook, &event)
    }

    #[test]
    fn in_binary_mode_the_body_stays_and_headers_say_the_rest() {
        let fields = json!({"envelope": "cloudevents-binary", "event_source": "https://erp.example.com/a"});
        let request = wrapped(fields, "application/json", b"{\"n\":1.10}");
        assert_eq!(request.body, b"{\"n\":1.10}");
        let headers: Vec<_> = request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            headers,
            [
                "Content-Type: application/json",
                "ce-specversion: 1.0",
                "ce-id: evt-1",
                "ce-source: https://erp.example.com/a",
                "ce-type: Sales%20Invoice.on_update",
                "ce-subject: Rechnung%20%22Gr%C3%B6%C3%9Fe%22%2050%25",
                "ce-time: 2026-03-02T09:31:55Z",
            ]
        );
    }

    #[test]
    fn in_structured_mode_the_body_is_the_data_in_its_own_text() {
        let structured = |content_type: &str, body: &[u8]| {
            let request = wrapped(json!({"envelope": "cloudevents-structured"}), content_type, body);
            let types = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE));
            assert_eq!(
                types.map(|(_, value)| &**value).collect::<Vec<_>>(),
                ["application/cloudevents+json; charset=utf-8"]
            );
            String::from_utf8(request.body).expect("text")
        };
        let head = |content_type: &str| {
            format!(
                r#"{{"specversion":"1.0","id":"evt-1","source":"/hookmill/default","type":"Sales Invoice.on_update","subject":"Rechnung \"Größe\" 50%","time":"2026-03-02T09:31:55Z","datacontenttype":"{content_type}""#
            )
        };
        let json = "application/json";
        assert_eq!(structured(json, b"{\"n\": 1.10}"), format!(r#"{},"data":{{"n": 1.10}}}}"#, head(json)));
        let problem = "application/problem+json; charset=utf-8";
        assert_eq!(structured(problem, b"[1e400]"), format!(r#"{},"data":[1e400]}}"#, head(problem)));
        assert_eq!(structured("text/plain", b"a\"b"), format!(r#"{},"data":"a\"b"}}"#, head("text/plain")));
        assert_eq!(structured("text/plain", &[0xff]), format!(r#"{},"data_base64":"/w=="}}"#, head("text/plain")));
        assert_eq!(structured(json, b"no json"), format!(r#"{},"data_base64":"bm8ganNvbg=="}}"#, head(json)));
        assert_eq!(structured(json, b""), format!("{}}}", head(json)));
    }

    #[test]
    fn without_an_envelope_nothing_changes() {
        let request = wrapped(json!({}), "text/plain", b"x");
        assert_eq!((request.headers.len(), &*request.body), (2, &b"x"[..]));
    }
}
