//! The trial that a component must pass before it is taken in.

use hookmill_core::{DeliveryId, Event, EventId, JsonText, Request, TenantId, WebhookName};
use jiff::Timestamp;

use crate::call::Plugin;
use crate::fixture::{Fixture, FixtureReport};
use crate::problem::LoadProblem;
use crate::transform::{Grants, Transform};

/// Seeds whatever runs without a delivery.
pub(crate) fn self_test_delivery() -> DeliveryId {
    let id = EventId::new("self-test").expect("a valid id");
    let webhook = WebhookName::new("self-test").expect("a valid name");
    DeliveryId::of(&TenantId::default_tenant(), &id, &webhook)
}

/// Runs the plugin three times on a small document and on each of its own fixtures: it must start, meet the fixtures,
/// and answer with the same bytes every time.
///
/// What it answers to the small document is its own affair: that lacks nearly every field that a real one has, so a
/// failure or even a panic says nothing.
pub(crate) fn try_out(plugin: &Plugin) -> Result<(), LoadProblem> {
    let tenant = TenantId::default_tenant();
    let id = EventId::new("self-test").expect("a valid id");
    let delivery = self_test_delivery();
    let event = Event {
        id,
        tenant,
        doctype: "Note".into(),
        doc_event: "on_update".into(),
        document: "self-test".into(),
        occurred_at: Timestamp::UNIX_EPOCH,
        user: None,
        doc: JsonText::parse(r#"{"name":"self-test","doctype":"Note"}"#).expect("valid JSON"),
        before: None,
        meta: std::collections::BTreeMap::default(),
    };
    let draft = Request { method: "POST".into(), url: "https://example.com/".into(), headers: vec![], body: vec![] };
    let settings = JsonText::parse("{}").expect("valid JSON");
    let input = Transform {
        event: &event,
        draft: &draft,
        draft_has_body: false,
        settings: &settings,
        delivery: &delivery,
        grants: Grants::default(),
        signature_header: None,
    };
    let fresh = plugin.fresh();
    fresh.check_start(event.occurred_at, &delivery)?;
    let first = fresh.transform(&input);
    let same = (0..2).all(|_| fresh.transform(&input) == first);
    if !same {
        return Err(LoadProblem::NotDeterministic);
    }
    // One that keeps its instances must answer in them as it does in a fresh one.
    if plugin.is_warm() && (0..3).any(|_| plugin.transform(&input).result != first.result) {
        return Err(LoadProblem::NotReusable);
    }
    let mut budget = Budget { left: plugin.limits().trial_fuel_max, fuel_max: plugin.limits().trial_fuel_max };
    let fixtures = &plugin.inspection().fixtures;
    fixtures.iter().try_for_each(|fixture| meets(&fresh, fixture, &mut budget))?;
    if plugin.is_warm() {
        fixtures.iter().try_for_each(|fixture| meets_again(plugin, fixture, &mut budget))?;
    }
    Ok(())
}

/// What of a trial's fuel is left.
#[derive(Debug)]
struct Budget {
    left: u64,
    fuel_max: u64,
}

impl Budget {
    /// Runs a plugin on a fixture, as long as there is fuel for it.
    fn run(&mut self, plugin: &Plugin, fixture: &Fixture) -> Result<FixtureReport, LoadProblem> {
        let report = fixture.run(plugin).map_err(|error| LoadProblem::BadFixtures { cause: error.to_string() })?;
        let left = self.left.checked_sub(report.report.fuel);
        self.left = left.ok_or(LoadProblem::TrialTooCostly { fuel_max: self.fuel_max })?;
        Ok(report)
    }
}

/// Holds a plugin that keeps its instances against a fixture that it meets in a fresh one.
fn meets_again(plugin: &Plugin, fixture: &Fixture, budget: &mut Budget) -> Result<(), LoadProblem> {
    for _ in 0..2 {
        if !budget.run(plugin, fixture)?.differences.is_empty() {
            return Err(LoadProblem::NotReusable);
        }
    }
    Ok(())
}

fn meets(plugin: &Plugin, fixture: &Fixture, budget: &mut Budget) -> Result<(), LoadProblem> {
    let first = budget.run(plugin, fixture)?;
    if !first.differences.is_empty() {
        let differences = first.differences.iter().map(ToString::to_string).collect();
        return Err(LoadProblem::FixtureNotMet { name: fixture.name.clone(), differences });
    }
    for _ in 0..2 {
        if budget.run(plugin, fixture)? != first {
            return Err(LoadProblem::NotDeterministic);
        }
    }
    Ok(())
}
