//! Tokens are fetched once, used until they end, and fetched again when they are not taken.

use hookmill::core::DeliveryState;
use hookmill_testing::{Answer, Received, Receiver, RefusingAddress};
use serde_json::{Value, json};

use crate::stand::{Stand, last_error, note};

fn token(name: &str, expires_in: u32) -> Answer {
    let body = json!({"access_token": name, "token_type": "bearer", "expires_in": expires_in}).to_string();
    Answer::with_body(200, body)
}

fn with_tokens_of(url: &str, more: &Value) -> Value {
    let mut oauth2 = json!({"token_url": url, "client_id": "id with space", "client_secret": "s3cret&"});
    for (name, value) in more.as_object().expect("fields") {
        oauth2[name] = value.clone();
    }
    json!({"auth": {"oauth2": oauth2}, "retry": {"schedule": ["0s", "0s"]}, "timeout_ms": 20_000})
}

/// The tokens that requests bore.
fn shown(requests: &[Received]) -> Vec<&str> {
    requests.iter().map(|request| request.header("authorization").trim_start_matches("Bearer ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_by_the_book_and_used_until_it_ends() {
    let (stand, server) = (Stand::new().await, Receiver::start());
    server.script([token("at-1", 3600), token("at-2", 0), token("at-3", 0)]);
    let more = json!({"scope": "a b", "audience": "https://api"});
    stand.webhook("notes", with_tokens_of(&server.url("/token"), &more)).await;
    for document in ["N-1", "N-2"] {
        let id = stand.publish(note(document)).await;
        stand.reaches(id, DeliveryState::Delivered).await;
    }
    let request = server.only_request().await;
    assert_eq!(request.text(), "grant_type=client_credentials&scope=a+b&audience=https%3A%2F%2Fapi");
    assert_eq!(request.header("content-type"), "application/x-www-form-urlencoded");
    // base64 of `id+with+space:s3cret%26`: RFC 6749 §2.3.1.
    assert_eq!(request.header("authorization"), "Basic aWQrd2l0aCtzcGFjZTpzM2NyZXQlMjY=");

    // To save the webhook is to begin anew; these tokens have ended as soon as they come.
    stand.webhook("notes", with_tokens_of(&server.url("/token"), &json!({"client_auth": "body"}))).await;
    for document in ["N-3", "N-4"] {
        let id = stand.publish(note(document)).await;
        stand.reaches(id, DeliveryState::Delivered).await;
    }
    let asked = server.requests();
    let form = "grant_type=client_credentials&client_id=id+with+space&client_secret=s3cret%26";
    assert!(asked.len() == 3 && asked[2].text() == form && !asked[2].has_header("authorization"), "{asked:?}");
    assert_eq!(shown(&stand.receiver.requests()), ["at-1", "at-1", "at-2", "at-3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_deliveries_fetch_one_token() {
    let (stand, server) = (Stand::new().await, Receiver::start());
    server.script([Answer::Held(Box::new(token("at-1", 3600)))]);
    stand.webhook("notes", with_tokens_of(&server.url("/"), &json!({}))).await;
    for number in 0..8 {
        stand.publish(note(&format!("N-{number}"))).await;
    }
    server.wait_for_requests(1).await;
    server.release(1);
    assert_eq!(shown(&stand.receiver.wait_for_requests(8).await), ["at-1"; 8]);
    assert_eq!(server.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_taken_is_replaced_once_within_the_try() {
    let (stand, server) = (Stand::new().await, Receiver::start());
    server.script([token("at-1", 3600), token("at-2", 3600), token("at-3", 3600)]);
    stand.webhook("notes", with_tokens_of(&server.url("/"), &json!({}))).await;
    stand.receiver.script([Answer::Status(200), Answer::Status(401), Answer::Status(200)]);
    stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Delivered).await;
    let detail = stand.reaches(stand.publish(note("N-2")).await, DeliveryState::Delivered).await;
    assert_eq!(detail.attempts.len(), 1, "the second request is of the same try");
    assert_eq!(shown(&stand.receiver.requests()), ["at-1", "at-1", "at-2"]);

    // Not even the new one: the try has failed, and the next begins with what there is.
    stand.receiver.script([Answer::Status(401), Answer::Status(401), Answer::Status(200)]);
    let detail = stand.reaches(stand.publish(note("N-3")).await, DeliveryState::Delivered).await;
    assert_eq!(detail.attempts.len(), 2);
    assert_eq!(shown(&stand.receiver.requests())[3..], ["at-2", "at-3", "at-3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_of_a_token_server_has_its_code_and_is_tried_again() {
    let (stand, server) = (Stand::new().await, Receiver::start());
    let said = json!({"error": "invalid_client", "error_description": "s3cret& is wrong"}).to_string();
    let no_type = Answer::with_body(200, r#"{"access_token":"at-x"}"#);
    let other_type = Answer::with_body(200, r#"{"access_token":"at-x","token_type":"mac"}"#);
    let unusable = Answer::with_body(200, r#"{"access_token":"at\nx","token_type":"Bearer"}"#);
    for (answer, code, words) in [
        (Answer::with_body(400, said), "auth_token_refused", "400: invalid_client: ******** is wrong"),
        (Answer::Status(401), "auth_token_refused", "401"),
        (Answer::Status(503), "auth_token_failed", "503"),
        (Answer::Status(302), "auth_token_failed", "302"),
        (Answer::Close, "auth_token_failed", "no answer"),
        (Answer::with_body(200, "<html>"), "auth_token_malformed", "JSON"),
        (no_type, "auth_token_malformed", "token_type"),
        (other_type, "auth_token_malformed", "Bearer"),
        (unusable, "auth_token_malformed", "header"),
    ] {
        stand.webhook("notes", with_tokens_of(&server.url("/"), &json!({}))).await;
        server.script([answer, token("at-1", 60)]);
        let detail =
            stand.reaches(stand.publish(note(&format!("{code} {words}"))).await, DeliveryState::Delivered).await;
        let error = detail.attempts[0].error.as_ref().expect("an error");
        assert!(error.code == code && error.message.contains(words), "{error:?} is not {code} {words}");
        assert!(!error.message.contains("s3cret") && !error.message.contains("at-x"), "{error:?}");
    }
    assert_eq!(shown(&stand.receiver.requests()), ["at-1"; 9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_server_that_is_away_or_silent_ends_the_try() {
    let (stand, server) = (Stand::new().await, Receiver::start());
    let away = RefusingAddress::new().unwrap();
    server.always(Answer::Stall);
    for url in [away.url("/"), server.url("/")] {
        let mut fields = with_tokens_of(&url, &json!({}));
        (fields["timeout_ms"], fields["retry"]) = (json!(300), json!({"preset": "none"}));
        stand.webhook("notes", fields).await;
        let detail = stand.reaches(stand.publish(note(&url)).await, DeliveryState::Dead).await;
        assert_eq!(last_error(&detail).0, "auth_token_failed", "{:?}", last_error(&detail));
    }
    assert_eq!(stand.receiver.count(), 0);
}
