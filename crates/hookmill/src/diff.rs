//! What another version of a plugin would change: both run on recorded events, side by side.

use std::sync::Arc;

use hookmill_core::mask::{shown_header, shown_url};
use hookmill_core::ports::{DeliveryQuery, DeliveryRow};
use hookmill_core::{DeliveryId, Digest, Fault, Outcome, PluginName, Request, TenantId, WebhookName};
use hookmill_plugin::Plugin;
use serde::Serialize;
use serde_json::Value;

use crate::EngineError;
use crate::engine::Inner;
use crate::prepare::{Prepared, prepare};

/// Events on which versions are compared at most.
const EVENTS_MAX: usize = 1_000;

/// What another version of a plugin would change.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PluginDiff {
    /// The version that runs now.
    pub active: Digest,
    /// The version beside it.
    pub staged: Digest,
    /// How many events both ran on.
    pub events: usize,
    /// For how many of these the request or the decision would be another.
    pub changed: usize,
    /// For how many the other version fails where the active one does not.
    pub new_failures: usize,
    /// Fuel of all runs together.
    pub fuel: FuelChange,
    /// The events for which something would change, the newest first.
    pub changes: Vec<EventDiff>,
}

/// Fuel of both versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct FuelChange {
    /// Of the version that runs now.
    pub active: u64,
    /// Of the version beside it.
    pub staged: u64,
}

/// How one event's request would change.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EventDiff {
    /// The delivery whose event it is.
    pub delivery: DeliveryId,
    /// Its webhook.
    pub webhook: WebhookName,
    /// Its document.
    pub document: String,
    /// What differs.
    pub changes: Vec<Change>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// `decision`, `method`, `url`, `header` or `body`.
    pub part: &'static str,
    /// The header's name, or the JSON pointer into the body; empty for the whole.
    pub path: String,
    /// With the version that runs now; null if it is not there.
    pub active: Value,
    /// With the version beside it; null if it is not there.
    pub staged: Value,
}

impl Inner {
    /// Runs the active version and `digest` on the last events that the plugin's webhooks matched, and compares.
    pub(crate) async fn diff(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        digest: Digest,
        last: usize,
    ) -> Result<PluginDiff, EngineError> {
        let info = self.plugins.find(tenant, name).await.ok_or_else(|| EngineError::not_found("plugin", name))?;
        let active = info.active.ok_or_else(|| EngineError::Conflict {
            code: "plugin_no_active",
            what: format!("{name} has no active version to compare with"),
        })?;
        let both =
            (self.plugins.version(tenant, name, active).await?, self.plugins.version(tenant, name, digest).await?);
        let mut diff = PluginDiff {
            active,
            staged: digest,
            events: 0,
            changed: 0,
            new_failures: 0,
            fuel: FuelChange::default(),
            changes: vec![],
        };
        for row in self.last_deliveries(tenant, name, last.min(EVENTS_MAX)).await? {
            self.compare(tenant, &row, &both, &mut diff).await?;
        }
        Ok(diff)
    }

    /// Returns the newest deliveries of all webhooks with this plugin.
    async fn last_deliveries(
        &self,
        tenant: &TenantId,
        name: &PluginName,
        last: usize,
    ) -> Result<Vec<DeliveryRow>, EngineError> {
        let mut rows = vec![];
        for webhook in self.webhooks.with_plugin(tenant, name) {
            let query = DeliveryQuery { webhook: Some(webhook), ..DeliveryQuery::default() };
            let (mut cursor, mut found) = (None, vec![]);
            while found.len() < last {
                let page = self.store.search(tenant, &query, cursor, last - found.len()).await?;
                found.extend(page.rows);
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            rows.extend(found);
        }
        rows.sort_by_key(|row: &DeliveryRow| std::cmp::Reverse(row.key));
        rows.truncate(last);
        Ok(rows)
    }

    async fn compare(
        &self,
        tenant: &TenantId,
        row: &DeliveryRow,
        (active, staged): &(Plugin, Plugin),
        diff: &mut PluginDiff,
    ) -> Result<(), EngineError> {
        let Some(hook) = self.webhooks.find(tenant, &row.webhook) else { return Ok(()) };
        // Retention may have been quicker.
        let Some(detail) = self.store.delivery(tenant, row.id).await? else { return Ok(()) };
        let (event, id) = (Arc::new(detail.event), row.id);
        let (active, staged) = (active.clone(), staged.clone());
        let run = move || (prepare(&hook, Some(&active), &event, &id), prepare(&hook, Some(&staged), &event, &id));
        let (active, staged) = self.guests.run(&Arc::default(), run).await.ok_or(EngineError::ShuttingDown)?;
        let fuel = |prepared: &Prepared| prepared.run.as_ref().map_or(0, |run| run.fuel);
        diff.events += 1;
        diff.fuel.active += fuel(&active);
        diff.fuel.staged += fuel(&staged);
        diff.new_failures += usize::from(active.fault.is_none() && staged.fault.is_some());
        let changes = changes(&active, &staged);
        if !changes.is_empty() {
            diff.changed += 1;
            diff.changes.push(EventDiff {
                delivery: row.id,
                webhook: row.webhook.clone(),
                document: row.document.clone(),
                changes,
            });
        }
        Ok(())
    }
}

fn changes(active: &Prepared, staged: &Prepared) -> Vec<Change> {
    let whole = |part, active: Value, staged: Value| Change { part, path: String::new(), active, staged };
    let (was, is) = (decision(active), decision(staged));
    let mut found = vec![];
    if was != is {
        found.push(whole("decision", was.into(), is.into()));
    }
    if let (Ok(active), Ok(staged)) = (&active.request, &staged.request) {
        if active.method != staged.method {
            found.push(whole("method", active.method.clone().into(), staged.method.clone().into()));
        }
        if active.url != staged.url {
            found.push(whole("url", shown_url(&active.url).into(), shown_url(&staged.url).into()));
        }
        headers(active, staged, &mut found);
        body(active, staged, &mut found);
    }
    found
}

/// Says in one line what a version decided.
fn decision(prepared: &Prepared) -> String {
    let failed = |fault: &Fault| format!("fail: {}: {}", fault.code, fault.message);
    match (&prepared.request, &prepared.fault) {
        (_, Some(fault)) | (Err(Outcome::Refused(fault) | Outcome::Unanswered(fault)), None) => failed(fault),
        (Ok(_), None) => "send".into(),
        (Err(Outcome::Skipped(reason)), None) => format!("skip: {reason}"),
        (Err(Outcome::Answered { .. } | Outcome::Judged { .. }), None) => "send".into(),
    }
}

fn headers(active: &Request, staged: &Request, found: &mut Vec<Change>) {
    let value = |request: &Request, name: &str| {
        let mut all = request.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).peekable();
        all.peek()?;
        Some(all.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", "))
    };
    let mut names: Vec<String> =
        active.headers.iter().chain(&staged.headers).map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (was, is) = (value(active, &name), value(staged, &name));
        if was != is {
            let shown = |value: Option<String>| value.map(|value| shown_header(&name, &value).to_owned());
            let (active, staged) = (shown(was).into(), shown(is).into());
            found.push(Change { part: "header", path: name, active, staged });
        }
    }
}

fn body(active: &Request, staged: &Request, found: &mut Vec<Change>) {
    if active.body == staged.body {
        return;
    }
    let parsed = |request: &Request| serde_json::from_slice::<Value>(&request.body).ok();
    let before = found.len();
    if let (Some(was), Some(is)) = (parsed(active), parsed(staged)) {
        values(&was, &is, String::new(), found);
    }
    if found.len() == before {
        // No JSON, or the same values in another order or spelling.
        let text = |request: &Request| String::from_utf8_lossy(&request.body).into_owned();
        found.push(Change {
            part: "body",
            path: String::new(),
            active: text(active).into(),
            staged: text(staged).into(),
        });
    }
}

fn values(was: &Value, is: &Value, path: String, found: &mut Vec<Change>) {
    let step = |part: &str| format!("{path}/{}", part.replace('~', "~0").replace('/', "~1"));
    match (was, is) {
        (Value::Object(was), Value::Object(is)) => {
            for (key, value) in was {
                values(value, is.get(key).unwrap_or(&Value::Null), step(key), found);
            }
            for (key, value) in is.iter().filter(|(key, _)| !was.contains_key(*key)) {
                values(&Value::Null, value, step(key), found);
            }
        }
        (Value::Array(was), Value::Array(is)) => {
            for place in 0..was.len().max(is.len()) {
                let at = |list: &[Value]| list.get(place).cloned().unwrap_or(Value::Null);
                values(&at(was), &at(is), step(&place.to_string()), found);
            }
        }
        (was, is) if was == is => {}
        (was, is) => found.push(Change { part: "body", path, active: was.clone(), staged: is.clone() }),
    }
}
