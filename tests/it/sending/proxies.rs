//! Requests go through the operator's proxy, whose failures are its own.

use hookmill::EngineConfig;
use hookmill::core::DeliveryState;
use hookmill_testing::{Answer, Authority, Receiver, RefusingAddress, TunnelProxy};
use serde_json::{Value, json};

use crate::stand::{Stand, last_error, note};

fn through(url: &str) -> impl FnOnce(&mut EngineConfig) {
    let proxy = url.parse().expect("a proxy");
    move |config| config.proxy = Some(proxy)
}

fn once(url: &str) -> Value {
    json!({"request_url": url, "retry": {"preset": "none"}})
}

/// Fields that let a receiver with TLS be reached.
fn trusting(receiver: &Receiver, authority: &Authority) -> Value {
    let own = authority.certify("erp.example.com");
    json!({"request_url": receiver.url("/in"), "retry": {"preset": "none"}, "auth": {"mtls": {
        "certificate_pem": own.certificate_pem, "private_key_pem": own.private_key_pem, "ca_pem": authority.pem()}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_requests_are_handed_to_the_proxy() {
    // A proxy is where its operator says, by name too, although nobody allowed its address for receivers.
    let proxy = Receiver::start();
    let url = format!("http://u:pw@localhost:{}", proxy.address().port());
    let stand = Stand::with(|config| {
        through(&url)(config);
        config.allow = vec![];
    })
    .await;
    stand.webhook("notes", once("http://1.1.1.1/it's/../in?'")).await;
    stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Delivered).await;
    let request = proxy.only_request().await;
    let target = "http://1.1.1.1/it's/../in?'";
    assert_eq!((request.path.as_str(), request.header("host")), (target, "1.1.1.1"));
    assert_eq!(request.header("proxy-authorization"), "Basic dTpwdw==");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_reaches_nothing_that_requests_may_not_reach() {
    for scheme in ["http", "socks5"] {
        let proxy = TunnelProxy::start();
        let stand = Stand::with(|config| {
            through(&proxy.url(scheme))(config);
            config.allow = vec![];
        })
        .await;
        let address = stand.receiver.address();
        for host in [address.to_string(), format!("localhost:{}", address.port())] {
            let fields = json!({"request_url": format!("http://{host}/{{{{ doc.name }}}}"), "dynamic_url": true});
            stand.webhook("notes", fields).await;
            let detail = stand.reaches(stand.publish(note(&host)).await, DeliveryState::Parked).await;
            assert_eq!(last_error(&detail).0, "address_refused");
        }
        assert!(proxy.asked().is_empty() && stand.receiver.count() == 0, "{scheme}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nobody_could_vet_is_not_handed_over() {
    for scheme in ["http", "socks5"] {
        let proxy = TunnelProxy::start();
        let stand = Stand::with(through(&proxy.url(scheme))).await;
        stand.webhook("notes", once("https://receiver.invalid/")).await;
        let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Dead).await;
        assert_eq!(last_error(&detail).0, "send_dns", "{:?}", last_error(&detail));
        assert!(proxy.asked().is_empty(), "{:?}", proxy.asked());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secure_requests_go_through_a_tunnel() {
    let authority = Authority::new();
    let receiver = Receiver::secure(&authority, None);
    for (count, scheme) in [(1, "http"), (2, "socks5")] {
        let proxy = TunnelProxy::start();
        let stand = Stand::with(through(&proxy.url(scheme))).await;
        stand.webhook("notes", trusting(&receiver, &authority)).await;
        stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Delivered).await;
        assert_eq!((proxy.asked(), receiver.count()), (vec![receiver.address().to_string()], count), "{scheme}");

        // The tunnel is there, but the receiver is not who it should be: that is not the proxy's failure.
        stand.webhook("notes", once(&receiver.url("/in"))).await;
        let detail = stand.reaches(stand.publish(note("N-2")).await, DeliveryState::Dead).await;
        assert_eq!(last_error(&detail).0, "send_tls", "{scheme}: {:?}", last_error(&detail));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_at_the_proxy_is_the_proxys() {
    let (refusing, scripted) = (RefusingAddress::new().unwrap(), Receiver::start());
    let away = refusing.url("").trim_start_matches("http").to_owned();
    let there = scripted.url("");
    scripted.script([Answer::Status(407), Answer::Status(407), Answer::Status(502), Answer::Close]);
    for (proxy, target) in [
        (format!("http{away}"), "http://1.1.1.1/"),
        (format!("http{away}"), "https://1.1.1.1/"),
        (format!("https{away}"), "http://1.1.1.1/"),
        (format!("socks5{away}"), "https://1.1.1.1/"),
        (there.clone(), "http://1.1.1.1/"),
        (there.clone(), "https://1.1.1.1/"),
        (there.clone(), "https://1.1.1.1/"),
        (there.clone(), "https://1.1.1.1/"),
    ] {
        let stand = Stand::with(through(&proxy)).await;
        stand.webhook("notes", once(target)).await;
        let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Dead).await;
        assert_eq!(last_error(&detail).0, "send_proxy", "{proxy} {target}: {:?}", last_error(&detail));
    }
    assert_eq!(scripted.count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_socks_proxy_says_of_the_receiver_is_the_receivers() {
    let (proxy, nobody) = (TunnelProxy::start(), RefusingAddress::new().unwrap());
    let stand = Stand::with(through(&proxy.url("socks5"))).await;
    stand.webhook("notes", once(&nobody.url("/"))).await;
    let detail = stand.reaches(stand.publish(note("N-1")).await, DeliveryState::Dead).await;
    assert_eq!(last_error(&detail).0, "send_connect", "{:?}", last_error(&detail));
}
