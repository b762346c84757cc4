//! `PUT /v1/plugins/{name}` holds a component against the fixtures that it brings along.

use hookmill::plugin::{Expect, Fixture, PluginLimits, inspect};
use hookmill_testing::example_plugin;
use serde_json::json;

use super::client::Served;

fn fixture(expect: &serde_json::Value) -> Fixture {
    let event = json!({"doctype": "Note", "doc_event": "on_update", "doc": {"name": "N-1", "title": "A note"}});
    Fixture::parse("a-note", json!({"event": event, "expect": expect}).to_string().as_bytes()).expect("a fixture")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_does_not_meet_its_fixtures_is_refused() {
    let served = Served::new().await;
    let plain = Fixture::strip(&example_plugin("rust_slack_message")).expect("a component");
    let with = |expect| Fixture::embed(&[fixture(&expect)], &plain).expect("fixtures");

    let unmet = with(json!({"send": {"body": {"text": "another"}}}));
    let problem = served.put("/v1/plugins/p", unmet.clone()).await.problem(422, "plugin_fixture_not_met");
    let detail = problem["detail"].as_str().expect("a sentence");
    assert!(detail.contains("a-note") && detail.contains("another"), "{detail}");
    assert!(problem["help"].as_str().expect("a help").contains("hookmill plugin test"), "{problem}");
    let shown = served.get("/v1/plugins/p").await.ok(200);
    assert!(shown["active"].is_null() && shown["versions"] == json!([]), "nothing of it was taken: {shown}");
    assert_eq!(shown["uploads"][0]["state"], "rejected", "what became of it is in sight");

    // Each way to end is held against what was expected.
    for expect in [json!({"skip": "no reason"}), json!({"fail": "plugin_panic"})] {
        served.put("/v1/plugins/p", with(expect)).await.problem(422, "plugin_fixture_not_met");
    }
    let met = with(json!({"send": {"headers": {"Content-Type": "application/json"}}}));
    served.put("/v1/plugins/p", met).await.ok(201);
    served.put("/v1/plugins/q", Fixture::strip(&unmet).expect("a component")).await.ok(201);
}

#[test]
fn every_example_brings_fixtures_along_and_none_is_lost_on_the_way() {
    for name in [
        "rust_quotation_invoice",
        "rust_slack_message",
        "rust_redact_customer",
        "javascript_quotation_invoice",
        "typescript_quotation_invoice",
        "python_quotation_invoice",
        "c_quotation_invoice",
    ] {
        let component = example_plugin(name);
        let inspection = inspect(&component, &PluginLimits::default()).expect("a plugin");
        let fixtures = &inspection.fixtures;
        assert!(fixtures.len() > 1 && fixtures.iter().all(|fixture| fixture.expect.is_some()), "{name}: {fixtures:?}");
        let sends = |fixture: &Fixture| matches!(fixture.expect, Some(Expect::Send(_)));
        assert!(fixtures.iter().any(sends), "{name}");
        let stripped = Fixture::strip(&component).expect("a component");
        let plain = inspect(&stripped, &PluginLimits::default()).expect("a plugin");
        assert_eq!((plain.fixtures.len(), &plain.manifest), (0, &inspection.manifest), "{name}");
    }
}
