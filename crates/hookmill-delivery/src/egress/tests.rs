//! Which URLs are refused before a connection is made, and which names after they were resolved.

use std::sync::atomic::{AtomicU8, Ordering};

use super::*;

fn refused(policy: &AddressPolicy, url: &str) -> bool {
    policy.check_url(&Url::parse(url).expect("a URL")).is_err()
}

#[test]
fn addresses_that_are_not_public_are_refused_in_every_spelling() {
    let policy = AddressPolicy::default();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7F000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "１２７.０.０.１",
        "127。0。0。1",
        "①②⑦.⓪.⓪.①",
        "%31%32%37.0.0.1",
        "user:pw@127.0.0.1",
        "example.com@127.0.0.1",
        "0.0.0.0",
        "0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::10.0.0.1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00::1]",
        "[ff02::1]",
        "[2001:db8::1]",
        "[2001::1]",
        "[::7f00:1]",
        "[2606:4700::5efe:10.0.0.1]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "localhost..",
        "a.b.localhost",
        "ｌｏｃａｌｈｏｓｔ",
    ] {
        // What is no URL at all goes nowhere either.
        let url = Url::parse(&format!("http://{host}/x"));
        assert!(url.is_err() || refused(&policy, &format!("http://{host}/x")), "{host} was allowed");
    }
    for host in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "[2606:4700::1111]", "[64:ff9b::1.1.1.1]", "example.com"] {
        assert!(!refused(&policy, &format!("https://{host}/x")), "{host} was refused");
    }
    // A zone would choose the interface.
    assert!(Url::parse("http://[fe80::1%25eth0]/").is_err());
}

#[test]
fn what_the_operator_allows_is_allowed_and_nothing_else() {
    let policy = AddressPolicy::new(["127.0.0.0/8".parse().expect("a network")]);
    assert!(!refused(&policy, "http://127.0.0.1:8080/"));
    assert!(!refused(&policy, "http://[::ffff:127.0.0.1]/"));
    assert!(!refused(&policy, "http://localhost/"));
    assert!(refused(&policy, "http://[::1]/"));
    assert!(refused(&policy, "http://10.0.0.1/"));
}

fn with_host(host: &str) -> AddressPolicy {
    AddressPolicy::default().with_hosts([host.parse().expect("a host")])
}

#[test]
fn a_host_that_is_allowed_may_be_private_but_nothing_worse() {
    let policy = with_host("Hooks.Internal.");
    let check = |host: &str, address: &str| policy.check(host, address.parse().expect("an address")).is_ok();
    assert!(check("hooks.internal", "10.0.0.1") && check("HOOKS.internal.", "127.0.0.1"));
    assert!(check("hooks.internal", "fd00::1") && check("hooks.internal", "100.64.0.1"));
    assert!(!check("evil.hooks.internal", "10.0.0.1") && !check("xhooks.internal", "10.0.0.1"));
    assert!(!check("hooks.internal", "169.254.169.254") && !check("hooks.internal", "0.0.0.0"));
    assert!(!check("hooks.internal", "fd00:ec2::254") && !check("hooks.internal", "224.0.0.1"));
    assert!(!refused(&with_host("localhost"), "http://localhost/"));
    for no_name in ["10.0.0.1", "10.0.0.1..", "[::1]", "0x7f.1", "", ".", "a b", "10.0.0.0/8"] {
        assert!(no_name.parse::<AllowedHost>().is_err(), "{no_name}");
    }
}

#[test]
fn a_name_with_public_and_refused_addresses_is_refused_whole() {
    let vet = |policy: &AddressPolicy, addresses: &[&str]| {
        let sockets = addresses.iter().map(|address| SocketAddr::new(address.parse().expect("an address"), 0));
        policy.vet("receiver.example", sockets).map(|allowed| allowed.len()).map_err(|error| error.address.to_string())
    };
    let strict = AddressPolicy::default();
    assert_eq!(vet(&strict, &["1.1.1.1", "2606:4700::1111"]), Ok(2));
    assert_eq!(vet(&strict, &["1.1.1.1", "127.0.0.1"]), Err("127.0.0.1".into()));
    assert_eq!(vet(&strict, &["::1", "127.0.0.1"]), Err("127.0.0.1".into()));
    let of_v4 = AddressPolicy::new(["127.0.0.0/8".parse().expect("a network")]);
    assert_eq!(vet(&of_v4, &["::1", "127.0.0.1"]), Ok(1));
    assert_eq!(vet(&of_v4, &["1.1.1.1", "127.0.0.1"]), Ok(2));
}

#[test]
fn the_help_names_what_to_start_with() {
    let refused =
        AddressPolicy::default().check("hooks.internal", Ipv4Addr::new(10, 0, 0, 1).into()).expect_err("refused");
    let help = refused.help().expect("help");
    assert!(help.contains("--allow 10.0.0.1/32") && help.contains("--allow-host hooks.internal"), "{help}");
}

/// Resolves `localhost` as the client does when it connects.
async fn dialled(policy: AddressPolicy) -> Result<Vec<IpAddr>, String> {
    let resolver = GuardedResolver { policy, look_up: by_the_system };
    let found = resolver.resolve("localhost").await.map_err(|error| error.to_string())?;
    Ok(found.iter().map(SocketAddr::ip).collect())
}

#[tokio::test]
async fn a_name_is_dialled_only_at_addresses_that_were_vetted() {
    let error = dialled(AddressPolicy::default()).await.expect_err("refused");
    assert!(error.contains("a loopback address"), "{error}");
    assert!(!dialled(with_host("localhost")).await.expect("allowed").is_empty());
    let only_v4 = AddressPolicy::new(["127.0.0.0/8".parse().expect("a network")]);
    assert_eq!(dialled(only_v4).await, Ok(vec![Ipv4Addr::LOCALHOST.into()]));
}

#[tokio::test]
async fn a_name_that_is_bound_anew_between_looking_and_dialling_leads_nowhere_else() {
    static LOOKS: AtomicU8 = AtomicU8::new(0);
    /// Public when it is first asked for, this machine from then on.
    fn rebinding(_name: String) -> Looking {
        let public = LOOKS.fetch_add(1, Ordering::Relaxed) == 0;
        let address = if public { Ipv4Addr::new(93, 184, 216, 34) } else { Ipv4Addr::LOCALHOST };
        Box::pin(async move { Ok(vec![SocketAddr::new(address.into(), 0)]) })
    }
    let resolver = GuardedResolver { policy: AddressPolicy::default(), look_up: rebinding };
    let dialled = resolver.resolve("rebinding.example").await.expect("a public address");
    // What was vetted is what is dialled: it was asked for once.
    assert_eq!((dialled, LOOKS.load(Ordering::Relaxed)), (vec!["93.184.216.34:0".parse().expect("an address")], 1));
    let refused = resolver.resolve("rebinding.example").await.expect_err("the next connection is refused").to_string();
    assert!(refused.contains("a loopback address"), "{refused}");
}

#[tokio::test]
async fn what_a_proxy_resolves_again_must_be_allowed_at_every_address() {
    let url = Url::parse("http://localhost/").expect("a URL");
    let both = AddressPolicy::new(["127.0.0.0/8", "::1/128"].map(|network| network.parse().expect("a network")));
    assert!(both.vet_for_proxy(&url).await.is_ok());
    assert!(matches!(AddressPolicy::default().vet_for_proxy(&url).await, Err(Unvetted::Refused(_))));
    let unknown = Url::parse("http://receiver.invalid/").expect("a URL");
    assert!(matches!(both.vet_for_proxy(&unknown).await, Err(Unvetted::Unresolved(_))));
}
