//! The call that every plugin answers: in goes an event and a draft, out comes a decision.

use hookmill_core::mask::{shown_headers, shown_url};
use hookmill_core::select::Selection;
use hookmill_core::webhook::{is_reserved_header, is_signature_header};
use hookmill_core::{DeliveryId, Digest, Event, Fault, JsonText, PluginName, PluginRun, Request};
use http::{HeaderName, HeaderValue};
use url::Url;

use crate::bindings::v1::hookmill::plugin::types as wit;
use crate::call::{Plugin, Report};
use crate::fault::{fault, from_failure};
use crate::hash::FieldHash;
use crate::limits::PluginLimits;

/// What a plugin is asked to turn into a request.
#[derive(Debug, Clone, Copy)]
pub struct Transform<'a> {
    /// The event.
    pub event: &'a Event,
    /// What the host would send without the plugin.
    pub draft: &'a Request,
    /// Whether the draft's body was made from data rows or a template; otherwise the plugin sees an empty one.
    pub draft_has_body: bool,
    /// The webhook's settings for this plugin: a JSON object.
    pub settings: &'a JsonText,
    /// Seeds the guest's random numbers.
    pub delivery: &'a DeliveryId,
    /// What the plugin may change besides headers and body.
    pub grants: Grants,
    /// The header in which the host signs, if it does.
    pub signature_header: Option<&'a str>,
}

/// What stands for a secret that the host fills in by its name once the guest has ended.
const SECRET_HANDLE: &str = "secret(\"";

/// What of the draft a plugin may change besides headers and body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::exhaustive_structs, reason = "a request has no other parts")]
pub struct Grants {
    /// The URL.
    pub url: bool,
    /// The method.
    pub method: bool,
}

/// What a plugin decided.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the contract knows no third")]
pub enum Decision {
    /// Send this.
    Send(Request),
    /// Send nothing, for this reason.
    Skip(String),
}

/// What came of a transform, and what it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransformReport {
    /// What came of it.
    pub result: Result<Decision, Fault>,
    /// Fuel used.
    pub fuel: u64,
    /// The largest sum of linear memories, in bytes.
    pub memory: u64,
    /// What the guest logged.
    pub log: Vec<String>,
    /// Whether an instance that was kept from an earlier call served this one.
    pub warm: bool,
    /// The digest of everything that the guest was handed.
    pub input_hash: Digest,
    /// The digest of the decision, if there was one.
    pub output_hash: Option<Digest>,
}

impl TransformReport {
    /// Splits the report into the result and the record of the run.
    pub fn into_run(self, name: PluginName, plugin: &Plugin) -> (Result<Decision, Fault>, PluginRun) {
        let Self { result, fuel, memory, log, warm, input_hash, output_hash } = self;
        let (result, run) = Report { result, fuel, memory, log, warm }.into_run(name, plugin);
        (result, PluginRun { input_hash: Some(input_hash), output_hash, ..run })
    }
}

impl Plugin {
    /// Runs the plugin on one event, in a fresh instance or in one that its manifest lets be kept, and blocks until it
    /// is done.
    ///
    /// In a fresh instance, the same input gives the same report on every machine. A thread that calls this needs a stack of the guest's
    /// limit and half a MiB more. Never call it on a thread of an async runtime: a guest may take its whole fuel.
    pub fn transform(&self, input: &Transform<'_>) -> TransformReport {
        let (event, draft) = (wit_event(input.event, self.selection()), wit_draft(input));
        let input_hash = hash_of_input(&event, &draft, input);
        let report = self
            .run(input.event.occurred_at, input.delivery, |store, instance| {
                let guest = self.exports().transform.load(&mut *store, instance)?;
                guest.call_transform(&mut *store, &event, &draft, input.settings.as_str())
            })
            .and_then(|result| result.map_err(from_failure))
            .and_then(|decision| checked(decision, input, self.limits()));
        let output_hash = report.result.as_ref().ok().map(hash_of_decision);
        let Report { result, fuel, memory, log, warm } = report;
        TransformReport { result, fuel, memory, log, warm, input_hash, output_hash }
    }

    /// Returns what of a document the manifest lets the plugin see; none if all of it.
    pub(crate) fn selection(&self) -> Option<&Selection> {
        self.inspection().manifest.as_ref()?.select.as_ref()
    }
}

fn hash_of_input(event: &wit::Event, draft: &wit::Request, input: &Transform<'_>) -> Digest {
    let mut hash = FieldHash::new("transform@1.0.0 input");
    for field in [&event.id, &event.tenant, &event.doctype, &event.doc_event, &event.doc_name, &event.occurred_at] {
        hash.field(field);
    }
    hash.field(&event.doc).optional(event.before.as_deref()).pairs(&event.meta);
    hash.field(&draft.method).field(&draft.url).pairs(&draft.headers);
    hash.field(if input.draft_has_body { input.draft.body.as_slice() } else { &[] });
    hash.field(input.settings.as_str()).field(input.delivery.as_bytes());
    hash.finish()
}

fn hash_of_decision(decision: &Decision) -> Digest {
    let mut hash = FieldHash::new("transform@1.0.0 output");
    match decision {
        Decision::Send(request) => {
            // Whoever sees the digest must not be able to try secrets out.
            let (url, headers) = (shown_url(&request.url), shown_headers(&request.headers));
            hash.field("send").field(&request.method).field(&url).pairs(&headers).field(&request.body);
        }
        Decision::Skip(reason) => {
            hash.field("skip").field(reason);
        }
    }
    hash.finish()
}

/// Holds the plugin's answer against what it may send.
fn checked(decision: wit::Decision, input: &Transform<'_>, limits: &PluginLimits) -> Result<Decision, Fault> {
    let request = match decision {
        wit::Decision::Skip(reason) => return Ok(Decision::Skip(reason.chars().take(1_000).collect())),
        wit::Decision::Send(request) => request,
    };
    if request.url != shown_url(&input.draft.url) && !input.grants.url {
        return Err(fault(
            "plugin_changed_url",
            format!("the plugin changed the URL to {:?}, which the webhook does not grant", request.url),
        ));
    }
    if request.method != input.draft.method && !input.grants.method {
        return Err(fault(
            "plugin_changed_method",
            format!("the plugin changed the method to {:?}, which the webhook does not grant", request.method),
        ));
    }
    let (content_type, body) = match request.body {
        wit::Body::Empty => (None, Vec::new()),
        wit::Body::Json(text) => (Some("application/json"), text.into_bytes()),
        wit::Body::Text(text) => (Some("text/plain; charset=utf-8"), text.into_bytes()),
        wit::Body::Bytes(bytes) => (Some("application/octet-stream"), bytes),
    };
    if body.len() > limits.body_bytes_max {
        return Err(fault(
            "plugin_output_too_large",
            format!(
                "the plugin returned a body of {} bytes, more than the {} that it may",
                body.len(),
                limits.body_bytes_max
            ),
        ));
    }
    if content_type == Some("application/json")
        && let Some(error) = std::str::from_utf8(&body).ok().and_then(|text| JsonText::parse(text).err())
    {
        return Err(fault(
            "plugin_body_not_json",
            format!("the plugin returned a json body that is not JSON: {error}"),
        ));
    }
    let mut headers = request.headers;
    check_headers(&headers, input.signature_header, limits)?;
    if let Some(content_type) = content_type
        && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
    {
        headers.insert(0, ("content-type".into(), content_type.into()));
    }
    let mut request = Request { method: request.method, url: request.url, headers, body };
    let bears_secrets =
        request.unveil(input.draft) || request.headers.iter().any(|(_, value)| value.contains(SECRET_HANDLE));
    if bears_secrets && !same_origin(&request.url, &input.draft.url) {
        return Err(fault(
            "plugin_secret_elsewhere",
            "the plugin sent the request to another host than the webhook's, with secrets that are for that one; \
             leave those headers out, or keep the host",
        ));
    }
    Ok(Decision::Send(request))
}

/// Tells whether two URLs lead to the same scheme, host and port.
fn same_origin(one: &str, other: &str) -> bool {
    let origin = |url: &str| Url::parse(url.trim()).ok().map(|url| url.origin());
    // What is no URL goes nowhere.
    one == other || origin(one).is_some_and(|one| Some(one) == origin(other))
}

/// Puts an event into the contract's words, of its documents only what `selection` lets through.
pub(crate) fn wit_event(event: &Event, selection: Option<&Selection>) -> wit::Event {
    let seen = |doc: &JsonText| selection.map_or_else(|| doc.as_str().to_owned(), |selection| selection.of(doc));
    wit::Event {
        id: event.id.to_string(),
        tenant: event.tenant.to_string(),
        doctype: event.doctype.clone(),
        doc_event: event.doc_event.clone(),
        doc_name: event.document.clone(),
        occurred_at: event.occurred_at.to_string(),
        doc: seen(&event.doc),
        before: event.before.as_ref().map(seen),
        meta: meta(event),
    }
}

/// The pairs of the event and, under `user`, who did it: the contract's record has no field for that.
fn meta(event: &Event) -> Vec<(String, String)> {
    let user =
        event.user.iter().filter(|_| !event.meta.contains_key("user")).map(|user| ("user".to_owned(), user.clone()));
    user.chain(event.meta.iter().map(|(key, value)| (key.clone(), value.clone()))).collect()
}

fn wit_draft(input: &Transform<'_>) -> wit::Request {
    let draft = input.draft;
    let body = match std::str::from_utf8(&draft.body) {
        _ if !input.draft_has_body => wit::Body::Empty,
        Ok(text) => wit::Body::Json(text.to_owned()),
        Err(_) => wit::Body::Bytes(draft.body.clone()),
    };
    // A guest may use the webhook's secrets, and never reads them.
    let (url, headers) = (shown_url(&draft.url), shown_headers(&draft.headers));
    wit::Request { method: draft.method.clone(), url, headers, body }
}

fn check_headers(
    headers: &[(String, String)],
    signature_header: Option<&str>,
    limits: &PluginLimits,
) -> Result<(), Fault> {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > limits.headers_max || bytes > limits.header_bytes_max {
        return Err(fault(
            "plugin_too_many_headers",
            format!(
                "the plugin returned {} headers of {bytes} bytes; it may return {} of {}",
                headers.len(),
                limits.headers_max,
                limits.header_bytes_max
            ),
        ));
    }
    for (name, value) in headers {
        let shown: String = name.chars().take(60).collect();
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(fault(
                "plugin_bad_header",
                format!("the plugin returned a header with the name {shown:?}, which HTTP does not allow"),
            ));
        }
        if HeaderValue::from_str(value).is_err() {
            return Err(fault(
                "plugin_bad_header",
                format!("the plugin returned the header {shown} with a value that HTTP does not allow"),
            ));
        }
        let signs = signature_header.is_some_and(|header| name.eq_ignore_ascii_case(header));
        if signs || is_reserved_header(name) || is_signature_header(name) {
            return Err(fault(
                "plugin_reserved_header",
                format!("the plugin returned the header {shown}, which only the host may set"),
            ));
        }
    }
    Ok(())
}
