//! Who may call, what there is to call, and whether the server lives.

use reqwest::Method;

use super::client::{Served, send};

#[tokio::test(flavor = "multi_thread")]
async fn without_the_token_nothing_is_said() {
    let served = Served::new().await;
    for (method, path) in [
        (Method::GET, "/v1/webhooks"),
        (Method::POST, "/v1/events"),
        (Method::PUT, "/v1/plugins/p"),
        (Method::GET, "/v1/deliveries"),
        (Method::GET, "/v1/tail"),
        (Method::GET, "/v1/no-such-call"),
    ] {
        for wrong in [None, Some("Bearer wrong"), Some("Basic YTpi"), Some("Bearer"), Some("Bearer a token for test")] {
            let mut request = served.bare(method.clone(), path);
            if let Some(wrong) = wrong {
                request = request.header("authorization", wrong);
            }
            let problem = send(request).await.problem(401, "unauthorized");
            assert!(problem["help"].as_str().unwrap().contains("Authorization: Bearer"));
        }
    }
    let answer = served.bare(Method::GET, "/v1/webhooks").send().await.unwrap();
    assert_eq!(answer.headers()["www-authenticate"], "Bearer");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_needs_no_token() {
    let served = Served::new().await;
    let live = send(served.bare(Method::GET, "/health/live")).await.ok(200);
    assert_eq!(live["status"], "live");
    let ready = send(served.bare(Method::GET, "/health/ready")).await.ok(200);
    assert_eq!((ready["status"].as_str(), ready["waiting"].as_u64()), (Some("ready"), Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_none_is_told_so() {
    let served = Served::new().await;
    served.get("/v1/hooks").await.problem(404, "unknown_call");
    served.get("/").await.problem(404, "unknown_call");
    served.get("/v1/events").await.problem(405, "wrong_method");
    served.delete("/v1/plugins").await.problem(405, "wrong_method");
    served.post("/health/live", "").await.problem(405, "wrong_method");
}
