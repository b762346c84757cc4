//! Fixtures: an event, settings, and what a plugin is to make of them. They are an author's tests and, shipped inside the
//! component, what it must meet wherever it is taken in.

use std::collections::BTreeMap;

use hookmill_core::webhook::Grant;
use hookmill_core::{DeliveryId, Event, EventEnvelope, EventId, Explain, JsonText, Request, TenantId, WebhookName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::call::Plugin;
use crate::difference::Difference;
use crate::expect::Expect;
use crate::section;
use crate::transform::{Grants, Transform, TransformReport};

/// The name of the custom section that holds a component's fixtures: a JSON array.
pub(crate) const FIXTURES_SECTION: &str = "hookmill:tests";

/// Fixtures that a component may bring along.
const FIXTURES_MAX: usize = 100;

/// Bytes of all of them together.
const FIXTURES_BYTES_MAX: usize = 4 << 20;

/// An event, and what the plugin is to make of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// Its name, which is its file's without the ending.
    #[serde(default)]
    pub name: String,
    /// The event, in the words of `POST /v1/events`.
    pub event: JsonText,
    /// The webhook's settings for the plugin.
    #[serde(default = "JsonText::empty_object")]
    pub settings: JsonText,
    /// What the host would send without the plugin, as far as it matters.
    #[serde(default, skip_serializing_if = "Draft::is_plain")]
    pub draft: Draft,
    /// What the webhook lets the plugin change besides headers and body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    /// What is to come of it; without it, the plugin needs only decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
}

/// A draft, where a fixture cares for it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Draft {
    /// The method; POST if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The webhook's own headers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body that data rows or a template made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<JsonText>,
}

/// How a fixture went.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FixtureReport {
    /// Where the outcome differs from what was expected; empty if the fixture is met.
    pub differences: Vec<Difference>,
    /// The run.
    pub report: TransformReport,
}

/// A fixture made ready to be run, as often as you like.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PreparedFixture {
    /// Its event.
    pub event: Event,
    draft: Request,
    draft_has_body: bool,
    settings: JsonText,
    delivery: DeliveryId,
    grants: Grants,
}

/// A fixture that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{attempted}: {cause}")]
pub struct FixtureError {
    attempted: String,
    cause: String,
}

impl FixtureError {
    fn new(attempted: impl Into<String>, cause: impl ToString) -> Self {
        Self { attempted: attempted.into(), cause: cause.to_string() }
    }

    /// Returns what is wrong, without saying with which fixture.
    pub fn cause(&self) -> &str {
        &self.cause
    }
}

impl Explain for FixtureError {
    fn code(&self) -> &'static str {
        "plugin_bad_fixture"
    }

    fn help(&self) -> Option<String> {
        Some("a fixture is a JSON object with `event`, and may have `settings`, `draft`, `grants` and `expect`".into())
    }
}

impl Draft {
    fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    fn request(&self) -> Request {
        let body = self.body.as_ref().map(|body| body.compact().into_owned().into_bytes());
        Request {
            method: self.method.clone().unwrap_or_else(|| "POST".into()),
            url: self.url.clone().unwrap_or_else(|| "https://example.com/hook".into()),
            headers: self.headers.clone().into_iter().collect(),
            body: body.unwrap_or_default(),
        }
    }
}

impl Fixture {
    /// Parses a fixture's JSON; `name` is what it goes by.
    pub fn parse(name: &str, json: &[u8]) -> Result<Self, FixtureError> {
        let fault = |cause: String| FixtureError::new(format!("the fixture {name:?} can't be read"), cause);
        let fixture: Self = serde_json::from_slice(json).map_err(|error| fault(error.to_string()))?;
        let fixture = Self { name: name.to_owned(), ..fixture };
        fixture.check().map_err(fault)?;
        Ok(fixture)
    }

    fn check(&self) -> Result<(), String> {
        if !self.settings.is_object() {
            return Err("`settings` must be a JSON object".into());
        }
        self.read_event(Timestamp::UNIX_EPOCH).map(drop)
    }

    fn read_event(&self, now: Timestamp) -> Result<Event, String> {
        EventEnvelope::parse(self.event.as_str().as_bytes())
            .and_then(|envelope| {
                let id = || EventId::new("fixture").expect("a valid id");
                envelope.into_event(&TenantId::default_tenant(), now, id)
            })
            .map_err(|error| format!("`event`: {error}"))
    }

    /// Returns `component` with `fixtures` embedded, in place of those that are there.
    pub fn embed(fixtures: &[Self], component: &[u8]) -> Result<Vec<u8>, FixtureError> {
        let fault = |cause: String| FixtureError::new("the fixtures can't be embedded", cause);
        let json = serde_json::to_vec(fixtures).map_err(|error| fault(error.to_string()))?;
        read_section(&json).map_err(fault)?;
        Ok(section::append(&Self::strip(component)?, FIXTURES_SECTION, &json))
    }

    /// Returns `component` without the fixtures that it brings along, so that one that does not meet them can be run.
    pub fn strip(component: &[u8]) -> Result<Vec<u8>, FixtureError> {
        section::strip(component, FIXTURES_SECTION)
            .map_err(|cause| FixtureError::new("the component can't be read", cause))
    }

    /// Makes the fixture ready; an event that does not say when it happened does so at `now`.
    pub fn prepare(&self, now: Timestamp) -> Result<PreparedFixture, FixtureError> {
        let event = self
            .read_event(now)
            .map_err(|cause| FixtureError::new(format!("the fixture {:?} can't be run", self.name), cause))?;
        let webhook = WebhookName::new("fixture").expect("a valid name");
        Ok(PreparedFixture {
            draft: self.draft.request(),
            draft_has_body: self.draft.body.is_some(),
            settings: self.settings.clone(),
            delivery: DeliveryId::of(&event.tenant, &event.id, &webhook),
            grants: Grants { url: self.grants.contains(&Grant::Url), method: self.grants.contains(&Grant::Method) },
            event,
        })
    }

    /// Runs `plugin` on the fixture and compares. Blocks as [`Plugin::transform`] does.
    pub fn run(&self, plugin: &Plugin) -> Result<FixtureReport, FixtureError> {
        let report = plugin.transform(&self.prepare(Timestamp::UNIX_EPOCH)?.transform());
        let differences = Expect::differences(self.expect.as_ref(), &report.result);
        Ok(FixtureReport { differences, report })
    }
}

impl PreparedFixture {
    /// Returns what the plugin is handed.
    pub fn transform(&self) -> Transform<'_> {
        Transform {
            event: &self.event,
            draft: &self.draft,
            draft_has_body: self.draft_has_body,
            settings: &self.settings,
            delivery: &self.delivery,
            grants: self.grants,
            signature_header: None,
        }
    }
}

/// Reads the fixtures that a component brings along.
pub(crate) fn read_section(json: &[u8]) -> Result<Vec<Fixture>, String> {
    if json.len() > FIXTURES_BYTES_MAX {
        return Err(format!(
            "the fixtures have {} bytes, more than the {FIXTURES_BYTES_MAX} that they may",
            json.len()
        ));
    }
    let fixtures: Vec<Fixture> =
        serde_json::from_slice(json).map_err(|error| format!("the fixtures can't be read: {error}"))?;
    if fixtures.len() > FIXTURES_MAX {
        return Err(format!("there are {} fixtures, more than the {FIXTURES_MAX} that there may be", fixtures.len()));
    }
    for fixture in &fixtures {
        fixture.check().map_err(|cause| format!("the fixture {:?} can't be read: {cause}", fixture.name))?;
    }
    Ok(fixtures)
}
