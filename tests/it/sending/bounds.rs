//! However a receiver answers, it costs one place until the deadline, and no more than is kept of an answer.

use hookmill::core::limits::{REPLY_BYTES_MAX, REPLY_HEADER_BYTES_MAX};
use hookmill::core::{DeliveryState, Response};
use hookmill_testing::{Answer, Receiver};
use serde_json::json;

use crate::stand::{Stand, last_error, note};

/// One delivery at a time.
async fn narrow() -> Stand {
    let stand = Stand::with(|config| config.in_flight_per_receiver_max = 1).await;
    stand.webhook("notes", json!({"timeout_ms": 400, "retry": {"preset": "none"}})).await;
    stand
}

/// Sends two deliveries one after another, the first of which gets `answer`; returns its error's code, if it has one,
/// and what was kept of the answer.
async fn answered(answer: Answer) -> (Option<String>, Option<Response>) {
    let stand = narrow().await;
    stand.receiver.script([answer]);
    let (first, second) = (stand.publish(note("N-1")).await, stand.publish(note("N-2")).await);
    stand.reaches(second, DeliveryState::Delivered).await;
    let detail = stand.detail(first).await;
    assert!(matches!(detail.row.status.state, DeliveryState::Dead | DeliveryState::Delivered), "{:?}", detail.row);
    let attempt = &detail.attempts[0];
    (attempt.error.as_ref().map(|error| error.code.clone()), attempt.response.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_drips_and_heads_without_end_cost_their_place_until_the_deadline() {
    let open_head = Answer::Raw(b"HTTP/1.1 200 OK\r\nx-open: ".to_vec());
    let open_body = Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345".to_vec());
    for answer in [Answer::Stall, Answer::Drip, open_head, open_body] {
        let what = format!("{answer:?}");
        assert_eq!(answered(answer).await, (Some("send_timeout".into()), None), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_endless_body_only_the_beginning_is_kept() {
    let (error, response) = answered(Answer::Endless).await;
    let response = response.expect("an answer");
    assert_eq!((error, response.body.len(), response.truncated), (None, REPLY_BYTES_MAX, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_large_headers_only_the_first_are_kept() {
    let headers = (0..80).map(|n| (format!("x-{n}"), "v".repeat(2_000))).collect();
    let (error, response) = answered(Answer::Reply { status: 200, headers, body: b"whole".to_vec() }).await;
    let response = response.expect("an answer");
    let kept: usize = response.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(kept <= REPLY_HEADER_BYTES_MAX && kept > REPLY_HEADER_BYTES_MAX - 2_100, "{kept}");
    assert_eq!((error, response.truncated, &*response.body), (None, true, &b"whole"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_or_too_long_headers_are_no_answer() {
    let head = |headers: String| Answer::Raw(format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes());
    let many: String = (0..10_000).map(|n| format!("x-{n}: v\r\n")).collect();
    let long = format!("x-long: {}\r\n", "v".repeat(4 << 20));
    for answer in [head(many), head(long)] {
        assert_eq!(answered(answer).await, (Some("send_failed".into()), None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_answer_is_kept_as_it_came() {
    // 10 MiB of zeros, which gzip makes 10 KiB of.
    let bomb = Answer::Reply {
        status: 200,
        headers: vec![("content-encoding".into(), "gzip".into())],
        body: include_bytes!("../../answers/zeros.gz").to_vec(),
    };
    let (error, response) = answered(bomb).await;
    let response = response.expect("an answer");
    assert_eq!((error, response.truncated), (None, false));
    assert_eq!(response.body, include_bytes!("../../answers/zeros.gz"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tls_handshake_that_never_ends_runs_into_the_deadline() {
    let (stand, silent) = (narrow().await, Receiver::silent());
    let url = format!("https://127.0.0.1:{}/", silent.address().port());
    stand.webhook("notes", json!({"request_url": url, "timeout_ms": 400, "retry": {"preset": "none"}})).await;
    let ids = [stand.publish(note("N-1")).await, stand.publish(note("N-2")).await];
    for id in ids {
        let detail = stand.reaches(id, DeliveryState::Dead).await;
        assert_eq!(last_error(&detail).0, "send_timeout", "{:?}", last_error(&detail));
    }
}
