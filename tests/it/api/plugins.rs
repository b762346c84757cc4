//! `/v1/plugins`: uploaded, listed, activated, rolled back, and refused for good reasons.

use hookmill::core::Digest;
use hookmill_testing::{example_plugin, wait_for};
use serde_json::json;

use super::client::Served;

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_uploaded_staged_activated_and_rolled_back() {
    let served = Served::new().await;
    let (invoice, slack) = (example_plugin("rust_quotation_invoice"), example_plugin("rust_slack_message"));
    let (first, second) = (Digest::of(&invoice).to_string(), Digest::of(&slack).to_string());
    let answer = served.put("/v1/plugins/p", invoice.clone()).await.ok(201);
    assert_eq!((answer["digest"].as_str(), answer["active"].as_bool()), (Some(&*first), Some(true)));
    assert_eq!((answer["bytes"].as_u64(), answer["self_test"].as_str()), (Some(invoice.len() as u64), Some("passed")));
    assert!(answer["exports"].as_array().unwrap().contains(&json!("hookmill:plugin/transform@1.0.0")));
    assert!(answer["imports"].as_array().unwrap().contains(&json!("hookmill:plugin/log@1.0.0")));
    assert_eq!(answer["limits"]["fuel"], 500_000_000);

    let staged = served.put("/v1/plugins/p?activate=false", slack).await.ok(201);
    assert_eq!((staged["digest"].as_str(), staged["active"].as_bool()), (Some(&*second), Some(false)));
    let shown = served.get("/v1/plugins/p").await.ok(200);
    assert_eq!(shown["active"], first);
    let digests: Vec<_> = shown["versions"].as_array().unwrap().iter().map(|version| &version["digest"]).collect();
    assert_eq!(digests, [&json!(second), &json!(first)]);
    assert_eq!(served.get("/v1/plugins").await.ok(200)["plugins"], json!([shown]));

    let body = json!({"digest": second}).to_string();
    assert_eq!(served.post("/v1/plugins/p/activate", body).await.ok(200)["active"], second);
    assert_eq!(served.post("/v1/plugins/p/rollback", "").await.ok(200)["active"], first);
    served.post("/v1/plugins/p/rollback", "").await.problem(409, "plugin_no_previous");
    let unknown = json!({"digest": "0".repeat(64)}).to_string();
    served.post("/v1/plugins/p/activate", unknown.clone()).await.problem(404, "not_found");
    served.post("/v1/plugins/missing/activate", unknown).await.problem(404, "not_found");
    served.post("/v1/plugins/p/activate", "{}").await.problem(422, "body_malformed");
    served.get("/v1/plugins/missing").await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_nobody_waits_for_can_be_followed() {
    let served = Served::new().await;
    let begun = served.put("/v1/plugins/p?wait=false", example_plugin("rust_slack_message")).await.ok(202);
    let path = format!("/v1/plugins/p/uploads/{}", begun["id"]);
    let ended = wait_for("the upload to end", async || {
        let upload = served.get(&path).await.ok(200);
        ["active", "rejected"].contains(&upload["state"].as_str().expect("a state")).then_some(upload)
    })
    .await;
    let states: Vec<_> = ended["steps"].as_array().expect("steps").iter().map(|step| &step["state"]).collect();
    assert_eq!(json!(states), json!(["received", "validated", "compiled", "tested", "active"]));
    served.get("/v1/plugins/p/uploads/999").await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_upload_has_its_code_its_help_and_all_its_problems() {
    let served = Served::new().await;
    let wat = |text: &str| wat::parse_str(text).expect("WebAssembly in text");
    let whole = example_plugin("rust_slack_message");
    for (wasm, code, count) in [
        (b"nonsense".to_vec(), "plugin_not_wasm", 1),
        (vec![], "plugin_not_wasm", 1),
        (wat("(module)"), "plugin_core_module", 1),
        (whole[..whole.len() / 2].to_vec(), "plugin_corrupt", 1),
        (wat("(component)"), "plugin_missing_export", 1),
        (
            wat(
                r#"(component (import "wasi:sockets/tcp@0.2.3" (instance)) (import "wasi:http/types@0.2.3" (instance)))"#,
            ),
            "plugin_missing_export",
            3,
        ),
    ] {
        let problem = served.put("/v1/plugins/p", wasm).await.problem(422, code);
        assert!(problem["help"].as_str().is_some_and(|help| !help.is_empty()), "{problem}");
        let problems = problem["problems"].as_array().unwrap();
        assert_eq!((problems.len(), problems[0]["code"].as_str()), (count, Some(code)));
        assert!(problems.iter().all(|problem| problem["help"].is_string()), "{problems:?}");
    }
    served.put("/v1/plugins/p", vec![0; (32 << 20) + 1]).await.problem(413, "plugin_too_large");
    served.put("/v1/plugins/p", vec![0; (32 << 20) + 2]).await.problem(413, "body_too_large");
    served.put("/v1/plugins/-p", whole.clone()).await.problem(422, "invalid_name");
    served.put("/v1/plugins/p?activate=perhaps", whole).await.problem(400, "query_malformed");
    assert_eq!(served.get("/v1/plugins").await.ok(200)["plugins"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_replacement_is_shown_beside_the_version_that_stays() {
    let served = Served::new().await;
    let digest = served.put("/v1/plugins/p", example_plugin("rust_slack_message")).await.ok(201)["digest"].clone();
    served.put("/v1/plugins/p", "nonsense").await.problem(422, "plugin_not_wasm");
    let shown = served.get("/v1/plugins/p").await.ok(200);
    assert_eq!((&shown["active"], &shown["last_failure"]["code"]), (&digest, &json!("plugin_not_wasm")));
}
