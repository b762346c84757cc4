//! Who may call, what there is to call, and whether the server lives.

use std::time::Duration;

use hookmill::core::DeliveryState;
use hookmill_server::ServerLimits;
use hookmill_testing::wait_for;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

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
async fn metrics_count_what_happened() {
    let served = Served::new().await;
    served.stand.plugin("misbehaving", hookmill_testing::misbehaving()).await;
    served.webhook(json!({"plugin": {"name": "misbehaving", "settings": {"do": "stdout"}}})).await;
    let event = json!({"id": "e-1", "doctype": "Note", "doc_event": "on_update", "doc": {"name": "N"}}).to_string();
    let id = served.post("/v1/events", event.clone()).await.ok(202)["deliveries"][0].as_str().unwrap().to_owned();
    served.post("/v1/events", event).await.ok(200);
    served.stand.reaches(id.parse().unwrap(), DeliveryState::Delivered).await;
    let answer = served.bare(Method::GET, "/metrics").send().await.unwrap();
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    // An attempt is counted just after it can be read.
    let text = wait_for("the attempt to be counted", async || {
        let text = served.bare(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
        Some(text).filter(|text| text.contains("hookmill_attempt_seconds_count 1"))
    });
    let text = text.await;
    for line in [
        "hookmill_events_total{kind=\"new\"} 1",
        "hookmill_events_total{kind=\"duplicate\"} 1",
        "hookmill_deliveries_owed_total 1",
        "hookmill_attempts_total{outcome=\"delivered\"} 1",
        "hookmill_deliveries_total{state=\"delivered\"} 1",
        "hookmill_attempt_seconds_count 1",
        "hookmill_plugin_calls_total{result=\"made\"} 1",
        "hookmill_store_commit_seconds_count 3",
        "hookmill_deliveries_waiting 0",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in {text}");
    }
    let fuel = text.lines().find_map(|line| line.strip_prefix("hookmill_plugin_fuel_total ")).unwrap();
    assert!(fuel.parse::<u64>().unwrap() > 10_000, "{fuel}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_none_is_told_so() {
    let served = Served::new().await;
    served.get("/v1/hooks").await.problem(404, "unknown_call");
    served.get("/").await.problem(404, "unknown_call");
    let refused = served.request(Method::GET, "/v1/events").send().await.unwrap();
    assert_eq!(refused.headers()["allow"], "POST");
    served.get("/v1/events").await.problem(405, "wrong_method");
    served.delete("/v1/plugins").await.problem(405, "wrong_method");
    served.post("/health/live", "").await.problem(405, "wrong_method");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_ends_a_request_is_let_go() {
    let limits = ServerLimits { head_timeout: Duration::from_millis(100), ..ServerLimits::default() };
    let served = Served::with_limits(limits).await;
    for beginning in ["", "P", "PRI * HTTP/2.0\r\n", "GET /health/live HTTP/1.1\r\nHost: h\r\nX-Slow: "] {
        let mut slow = TcpStream::connect(served.address()).await.unwrap();
        slow.write_all(beginning.as_bytes()).await.unwrap();
        // Ends with the connection; whether it says why is not the matter.
        let mut said = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), slow.read_to_end(&mut said)).await;
        assert!(ended.is_ok(), "{beginning:?} held its connection");
        assert!(!said.starts_with(b"HTTP/1.1 200"), "{beginning:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_when_all_connections_are_taken_waits() {
    const LIVE: &[u8] = b"GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n";
    let served = Served::with_limits(ServerLimits { connections: 1, ..ServerLimits::default() }).await;
    let mut first = TcpStream::connect(served.address()).await.unwrap();
    let mut answer = [0; 12];
    first.write_all(LIVE).await.unwrap();
    first.read_exact(&mut answer).await.unwrap();
    let mut second = TcpStream::connect(served.address()).await.unwrap();
    second.write_all(LIVE).await.unwrap();
    // Whatever the first asks is answered before the second is even read.
    let mut early = [0; 12];
    tokio::select! {
        biased;
        _ = second.read_exact(&mut early) => panic!("the second was served beside the first"),
        () = async {
            for _ in 0..50 {
                first.write_all(LIVE).await.unwrap();
                first.read_exact(&mut answer).await.unwrap();
            }
        } => {}
    }
    drop(first);
    second.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}
