//! What another version of a plugin would change: both run on recorded events, side by side.

use std::sync::Arc;

use hookmill_core::mask::{shown_header, shown_url};
use hookmill_core::ports::{DeliveryQuery, DeliveryRow};
use hookmill_core::{DeliveryId, Digest, Fault, JsonText, Outcome, PluginName, Request, TenantId, WebhookName};
use hookmill_plugin::Plugin;
use serde::Serialize;
use serde_json::json;

use crate::EngineError;
use crate::engine::Inner;
use crate::json_diff::{self, Differs};
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
    pub fuel: CostChange,
    /// The most memory that a run took, in bytes.
    pub memory: CostChange,
    /// The events for which something would change, the newest first.
    pub changes: Vec<EventDiff>,
}

/// What both versions cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct CostChange {
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
    /// Fuel of both runs on it.
    pub fuel: CostChange,
    /// What differs.
    pub changes: Vec<Change>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// `decision`, `method`, `url`, `header`, `body`, or `key_order` where an object of the body has the same keys in
    /// another order.
    pub part: &'static str,
    /// The header's name, or the JSON pointer into the body; empty for the whole.
    pub path: String,
    /// With the version that runs now, digit for digit; left out if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<JsonText>,
    /// With the version beside it; left out if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staged: Option<JsonText>,
}

impl Change {
    /// Makes a change of a text.
    fn of_text(part: &'static str, path: &str, active: Option<&str>, staged: Option<&str>) -> Self {
        let text = |text: &str| JsonText::parse(&json!(text).to_string()).expect("a string is JSON");
        Self { part, path: path.to_owned(), active: active.map(text), staged: staged.map(text) }
    }
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
            fuel: CostChange::default(),
            memory: CostChange::default(),
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
        let (active, staged) =
            self.guests.run(&Arc::default(), run, |_| false).await.ok_or(EngineError::ShuttingDown)?;
        let fuel = |prepared: &Prepared| prepared.run.as_ref().map_or(0, |run| run.fuel);
        let memory = |prepared: &Prepared| prepared.run.as_ref().map_or(0, |run| run.memory);
        let fuel = CostChange { active: fuel(&active), staged: fuel(&staged) };
        diff.events += 1;
        diff.fuel.active += fuel.active;
        diff.fuel.staged += fuel.staged;
        diff.memory.active = diff.memory.active.max(memory(&active));
        diff.memory.staged = diff.memory.staged.max(memory(&staged));
        diff.new_failures += usize::from(active.fault.is_none() && staged.fault.is_some());
        let changes = changes(&active, &staged);
        if !changes.is_empty() {
            diff.changed += 1;
            diff.changes.push(EventDiff {
                delivery: row.id,
                webhook: row.webhook.clone(),
                document: row.document.clone(),
                fuel,
                changes,
            });
        }
        Ok(())
    }
}

fn changes(active: &Prepared, staged: &Prepared) -> Vec<Change> {
    let (was, is) = (decision(active), decision(staged));
    let mut found = vec![];
    let mut whole = |part, was: &str, is: &str, shown: fn(&str) -> String| {
        if was != is {
            found.push(Change::of_text(part, "", Some(&shown(was)), Some(&shown(is))));
        }
    };
    whole("decision", &was, &is, str::to_owned);
    if let (Ok(active), Ok(staged)) = (&active.request, &staged.request) {
        whole("method", &active.method, &staged.method, str::to_owned);
        whole("url", &active.url, &staged.url, shown_url);
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
            let shown = |value: &Option<String>| value.as_ref().map(|value| shown_header(&name, value).to_owned());
            found.push(Change::of_text("header", &name, shown(&was).as_deref(), shown(&is).as_deref()));
        }
    }
}

fn body(active: &Request, staged: &Request, found: &mut Vec<Change>) {
    if active.body == staged.body {
        return;
    }
    let (was, is) = (String::from_utf8_lossy(&active.body), String::from_utf8_lossy(&staged.body));
    match json_diff::json(&was, &is).filter(|changes| !changes.is_empty()) {
        Some(changes) => found.extend(changes.into_iter().map(|change| Change {
            part: if change.differs == Differs::KeyOrder { "key_order" } else { "body" },
            path: change.path,
            active: change.before,
            staged: change.after,
        })),
        // No JSON, or the same with other white space.
        None => found.push(Change::of_text("body", "", Some(&was), Some(&is))),
    }
}
