//! One call of a plugin: in goes an event and a draft, out comes a decision and what it cost.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hookmill_core::webhook::is_reserved_header;
use hookmill_core::{DeliveryId, Digest, Event, Fault, JsonText, PluginName, PluginRun, Request};
use http::{HeaderName, HeaderValue};
use wasmtime::{AsContextMut as _, Store};

use crate::bindings::v1::{self, PluginPre, hookmill::plugin::types as wit};
use crate::fault::{fault, from_failure, from_trap};
use crate::guest::{Guest, arm, metered};
use crate::inspect::{Inspection, LoadProblem};
use crate::limits::PluginLimits;

/// A plugin that is ready to run. Cloning is cheap.
#[derive(Clone)]
pub struct Plugin {
    pub(crate) pre: PluginPre<Guest>,
    pub(crate) inspection: std::sync::Arc<Inspection>,
    pub(crate) limits: PluginLimits,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("digest", &self.inspection.digest).finish_non_exhaustive()
    }
}

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
}

/// What of the draft a plugin may change besides headers and body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
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

/// A decision or a fault, and what the call cost either way.
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
}

impl TransformReport {
    /// Splits the report into the result and the record of the run.
    pub fn into_run(self, name: PluginName, digest: Digest) -> (Result<Decision, Fault>, PluginRun) {
        (self.result, PluginRun { name, digest, fuel: self.fuel, memory: self.memory, log: self.log })
    }
}

impl Plugin {
    /// Returns what the component is made of.
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// Returns the component's digest, which is its version.
    pub fn digest(&self) -> Digest {
        self.inspection.digest
    }

    /// Returns the bounds under which it runs.
    pub fn limits(&self) -> &PluginLimits {
        &self.limits
    }

    /// Runs the plugin on one event, in a fresh instance, and blocks until it is done.
    ///
    /// The same input gives the same report on every machine. A thread that calls this needs a stack of the guest's
    /// limit and half a MiB more. Never call it on a thread of an async runtime: a guest may take its whole fuel.
    pub fn transform(&self, input: &Transform<'_>) -> TransformReport {
        let guest = Guest::new(&self.limits, input.event.occurred_at, input.delivery);
        let log = guest.log.clone();
        let mut store = metered(self.pre.engine(), guest);
        // A panic in the engine must end this call only; the store is dropped and never used again.
        let result = catch_unwind(AssertUnwindSafe(|| self.call(&mut store, input)));
        let fuel = self.limits.fuel_max.saturating_sub(store.get_fuel().unwrap_or(0));
        let memory = store.data().meter.peak();
        let log = log.take();
        let result = match result {
            Ok(Ok(Ok(decision))) => self.checked(decision, input),
            Ok(Ok(Err(failure))) => Err(from_failure(failure)),
            Ok(Err(error)) => Err(from_trap(&error, &log, &self.limits)),
            Err(_) => Err(fault("plugin_host_panic", "the host failed while it ran the plugin; please report this")),
        };
        TransformReport { result, fuel, memory, log }
    }

    /// Starts an instance and holds its exports against the contract's types, which nothing but an instance tells.
    pub(crate) fn check_start(&self, event: &Event, delivery: &DeliveryId) -> Result<(), LoadProblem> {
        let mut store = metered(self.pre.engine(), Guest::new(&self.limits, event.occurred_at, delivery));
        let instance = arm(store.as_context_mut(), &self.limits)
            .and_then(|()| self.pre.instance_pre().instantiate(&mut store))
            .map_err(|error| LoadProblem::DoesNotStart(from_trap(&error, &store.data().log.take(), &self.limits)))?;
        v1::Plugin::new(&mut store, &instance)
            .map(drop)
            .map_err(|error| LoadProblem::OtherTypes { cause: format!("{error:#}") })
    }

    fn call(
        &self,
        store: &mut Store<Guest>,
        input: &Transform<'_>,
    ) -> wasmtime::Result<Result<wit::Decision, wit::Failure>> {
        arm(store.as_context_mut(), &self.limits)?;
        let instance = self.pre.instantiate(&mut *store)?;
        let (event, draft) = (wit_event(input.event), wit_draft(input));
        instance.hookmill_plugin_transform().call_transform(&mut *store, &event, &draft, input.settings.as_str())
    }

    /// Holds the plugin's answer against what it may send.
    fn checked(&self, decision: wit::Decision, input: &Transform<'_>) -> Result<Decision, Fault> {
        let request = match decision {
            wit::Decision::Skip(reason) => return Ok(Decision::Skip(reason.chars().take(1_000).collect())),
            wit::Decision::Send(request) => request,
        };
        if request.url != input.draft.url && !input.grants.url {
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
        if body.len() > self.limits.body_bytes_max {
            return Err(fault(
                "plugin_output_too_large",
                format!(
                    "the plugin returned a body of {} bytes, more than the {} that it may",
                    body.len(),
                    self.limits.body_bytes_max
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
        check_headers(&headers, &self.limits)?;
        if let Some(content_type) = content_type
            && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            headers.insert(0, ("content-type".into(), content_type.into()));
        }
        Ok(Decision::Send(Request { method: request.method, url: request.url, headers, body }))
    }
}

fn wit_event(event: &Event) -> wit::Event {
    wit::Event {
        id: event.id.to_string(),
        tenant: event.tenant.to_string(),
        doctype: event.doctype.clone(),
        doc_event: event.doc_event.clone(),
        doc_name: event.document.clone(),
        occurred_at: event.occurred_at.to_string(),
        doc: event.doc.as_str().to_owned(),
        before: event.before.as_ref().map(|before| before.as_str().to_owned()),
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
    wit::Request { method: draft.method.clone(), url: draft.url.clone(), headers: draft.headers.clone(), body }
}

fn check_headers(headers: &[(String, String)], limits: &PluginLimits) -> Result<(), Fault> {
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
        if is_reserved_header(name) {
            return Err(fault(
                "plugin_reserved_header",
                format!("the plugin returned the header {shown}, which only the host may set"),
            ));
        }
    }
    Ok(())
}
