//! What stands in the first line of a request: the URL as its owner wrote it.

use hookmill::core::DeliveryState;
use hookmill_testing::{Authority, Receiver};
use serde_json::json;

use crate::stand::{Stand, event, last_error, note};

/// Sends to each of these ends of a URL, and returns what the receiver was asked for.
async fn asked_for(profile: &str, written: &[(&str, &str)]) -> Vec<String> {
    let stand = Stand::new().await;
    for (number, (written, _)) in written.iter().enumerate() {
        let fields = json!({"request_url": stand.receiver.url(written), "profile": profile});
        stand.webhook("notes", fields).await;
        stand.reaches(stand.publish(note(&format!("N-{number}"))).await, DeliveryState::Delivered).await;
    }
    stand.receiver.requests().into_iter().map(|request| request.path).collect()
}

fn sent<'a>(written: &[(&str, &'a str)]) -> Vec<&'a str> {
    written.iter().map(|(_, sent)| *sent).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_goes_out_as_it_was_written() {
    let written = [
        ("", "/"),
        ("?a=b", "/?a=b"),
        ("/it's?x='y'&z=(1)", "/it's?x='y'&z=(1)"),
        ("/a/../b/./c/..", "/a/../b/./c/.."),
        ("/a/%2e%2e/%2E/b", "/a/%2e%2e/%2E/b"),
        ("/{a}|^[b]\\c?{a}|^[b]\\c", "/{a}|^[b]\\c?{a}|^[b]\\c"),
        ("//x//y", "//x//y"),
        ("/%zz%41?%7e%", "/%zz%41?%7e%"),
        ("/a b\t\"<>`?\" \r\n<>`#f", "/a%20b%09%22%3C%3E%60?%22%20%0D%0A%3C%3E%60"),
        ("/Größe?ü=日", "/Gr%C3%B6%C3%9Fe?%C3%BC=%E6%97%A5"),
        ("\\a\\b?'", "/a/b?%27"),
    ];
    assert_eq!(asked_for("hookmill", &written).await, sent(&written));
}

/// What `requests` 2.32.5 with urllib3 2.8.0 was seen to send.
#[tokio::test(flavor = "multi_thread")]
async fn under_frappes_profiles_a_target_is_that_of_requests() {
    let written = [
        ("", "/"),
        ("/?", "/"),
        ("/it's?it's=(1)", "/it's?it's=(1)"),
        ("/a/../b/./c", "/b/c"),
        ("/a/%2E%2e/b/%2e", "/a/../b/."),
        ("/a/%2e%2e/../b", "/a/b"),
        ("/x?../a/./b", "/x?../a/./b"),
        ("//x//y", "/x//y"),
        ("/a|b^c{d}[e]?a|b^c{d}[e]", "/a%7Cb%5Ec%7Bd%7D%5Be%5D?a%7Cb%5Ec%7Bd%7D%5Be%5D"),
        ("\\a\\b", "/%5Ca%5Cb"),
        ("/%41%7e%2f?%41", "/A~%2F?A"),
        ("/%zz?%zz", "/%25zz?%25zz"),
        ("/<>\"`?<>\"`", "/%3C%3E%22%60?%3C%3E%22%60"),
        ("/ü\t?日#f", "/%C3%BC%09?%E6%97%A5"),
    ];
    assert_eq!(asked_for("frappe-v15", &written).await, sent(&written));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_and_a_url_that_disagree_lead_to_the_url() {
    let (stand, other) = (Stand::new().await, Receiver::start());
    let (here, there) = (stand.receiver.address(), other.address());
    for (number, url) in [
        format!("http://{here}\\@{there}/x"),
        format!("http:/{here}/@{there}/x"),
        format!("http:///{here}/@{there}/x"),
        format!("ht\ntp://{here}/@{there}/x"),
        format!("http://{here}\n/@{there}/x"),
        format!("http://{there}@{here}/@{there}/x"),
    ]
    .into_iter()
    .enumerate()
    {
        stand.webhook("notes", json!({"request_url": url})).await;
        stand.reaches(stand.publish(note(&format!("N-{number}"))).await, DeliveryState::Delivered).await;
        let request = stand.receiver.requests().pop().expect("a request");
        assert_eq!((request.path, other.count()), (format!("/@{there}/x"), 0), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_and_password_of_a_url_are_shown_and_not_said() {
    let stand = Stand::new().await;
    for (userinfo, authorization) in [("u:p", "Basic dTpw"), ("u%40:p%2F", "Basic dUA6cC8="), ("key", "Basic a2V5Og==")]
    {
        let url = stand.receiver.url("/in").replacen("//", &format!("//{userinfo}@"), 1);
        stand.webhook("notes", json!({"request_url": url})).await;
        stand.reaches(stand.publish(note(userinfo)).await, DeliveryState::Delivered).await;
        let request = stand.receiver.requests().pop().expect("a request");
        assert_eq!((request.path.as_str(), request.header("authorization")), ("/in", authorization));
        assert_eq!(request.header("host"), stand.receiver.address().to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_http_can_not_carry_is_refused() {
    let stand = Stand::new().await;
    stand.webhook("notes", json!({"request_url": stand.receiver.url("/{{ doc.path }}"), "dynamic_url": true})).await;
    let doc = json!({"name": "N-1", "path": "x".repeat(66_000)});
    let long = event(&json!({"doctype": "Note", "doc_event": "on_update", "doc": doc}));
    let detail = stand.reaches(stand.publish(long).await, DeliveryState::Parked).await;
    assert_eq!(last_error(&detail).0, "request_bad_url", "{:?}", last_error(&detail));
    assert_eq!(stand.receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_of_http_2_is_asked_for_the_same() {
    let (stand, authority) = (Stand::new().await, Authority::new());
    let receiver = Receiver::http2(&authority);
    let own = authority.certify("erp.example.com");
    let auth = json!({"mtls": {"certificate_pem": own.certificate_pem, "private_key_pem": own.private_key_pem,
        "ca_pem": authority.pem()}});
    let target = "/it's/../%2e?x='y'|";
    stand.webhook("notes", json!({"request_url": receiver.url(target), "auth": auth})).await;
    for name in ["N-1", "N-2"] {
        stand.reaches(stand.publish(note(name)).await, DeliveryState::Delivered).await;
    }
    let requests = receiver.requests();
    assert_eq!(requests.iter().map(|request| request.path.as_str()).collect::<Vec<_>>(), [target; 2]);
    assert!(requests.iter().all(|request| request.text().contains("N-") && request.has_header("webhook-id")));
}
