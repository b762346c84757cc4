//! Which addresses a request may go to: public ones, and those that the operator allows.
//!
//! An address is checked where the connection is made, after the name was resolved, so that a name that changes its
//! address between two looks gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use hookmill_core::Explain;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Refuses every address that is not public, but for the networks that the operator allowed.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    allow: Arc<[IpNet]>,
}

/// A request was to go to an address that it may not go to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} is {address}, {kind}, and requests may not go there")]
pub struct AddressRefused {
    host: String,
    address: IpAddr,
    kind: &'static str,
}

impl Explain for AddressRefused {
    fn code(&self) -> &'static str {
        "address_refused"
    }

    fn help(&self) -> Option<String> {
        Some(format!(
            "if the receiver is yours, start with `--allow {}`, or with its whole network",
            IpNet::from(self.address)
        ))
    }
}

impl AddressPolicy {
    /// Allows the given networks besides the public ones.
    pub fn new(allow: impl IntoIterator<Item = IpNet>) -> Self {
        Self { allow: allow.into_iter().collect() }
    }

    /// Checks one address that `host` stands for.
    pub fn check(&self, host: &str, address: IpAddr) -> Result<(), AddressRefused> {
        let canonical = address.to_canonical();
        match not_public(canonical) {
            Some(kind) if !self.allow.iter().any(|net| net.contains(&canonical)) => {
                Err(AddressRefused { host: host.to_owned(), address: canonical, kind })
            }
            _ => Ok(()),
        }
    }

    /// Checks a URL whose host is an address already; a name is checked when it is resolved.
    ///
    /// `Url` has turned every odd spelling (decimal, octal, hexadecimal, short) into an address by now.
    pub fn check_url(&self, url: &Url) -> Result<(), AddressRefused> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(&address.to_string(), address.into()),
            Some(Host::Ipv6(address)) => self.check(&address.to_string(), address.into()),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }
}

/// Says what kind of address this is, if it is not a public one.
fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => v4_not_public(address),
        IpAddr::V6(address) => v6_not_public(address),
    }
}

/// The IANA special-purpose registry of IPv4, as far as it is not globally reachable.
fn v4_not_public(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, d] = address.octets();
    Some(match (a, b, c, d) {
        (0, ..) => "an unspecified address",
        (127, ..) => "a loopback address",
        (10, ..) | (172, 16..=31, ..) | (192, 168, ..) => "a private address",
        (169, 254, ..) => "a link-local address",
        (100, 64..=127, ..) => "a carrier's shared address",
        (192, 0, 0, _) | (198, 18 | 19, ..) | (240..=255, ..) => "a reserved address",
        (192, 0, 2, _) | (198, 51, 100, _) | (203, 0, 113, _) => "an address for documentation",
        (192, 88, 99, _) => "a relay's address",
        (168, 63, 129, 16) => "a cloud's metadata address",
        (224..=239, ..) => "a multicast address",
        _ => return None,
    })
}

/// The same for IPv6: only 2000::/3 is public, and of that not what embeds or documents other addresses.
fn v6_not_public(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    let [a, b, c, d, .., g, h] = segments;
    let embedded = |high: u16, low: u16| {
        let [x, y] = high.to_be_bytes();
        let [z, w] = low.to_be_bytes();
        v4_not_public(Ipv4Addr::new(x, y, z, w))
    };
    match (a, b) {
        _ if address.is_unspecified() => Some("an unspecified address"),
        _ if address.is_loopback() => Some("a loopback address"),
        // NAT64 and 6to4 carry an IPv4 address, which decides.
        (0x64, 0xff9b) if c == 0 && d == 0 => embedded(g, h),
        (0x2002, _) => embedded(b, c),
        (0x2001, 0xdb8) | (0x3fff, 0..=0xfff) => Some("an address for documentation"),
        (0x2001, 0..=0x1ff) => Some("a reserved address"),
        (0xfc00..=0xfdff, _) => Some("a private address"),
        (0xfe80..=0xfebf, _) => Some("a link-local address"),
        (0xff00..=0xffff, _) => Some("a multicast address"),
        (0x2000..=0x3fff, _) => None,
        _ => Some("a reserved address"),
    }
}

/// The system's resolver, behind the policy.
#[derive(Debug)]
pub(crate) struct GuardedResolver(pub(crate) AddressPolicy);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found = tokio::net::lookup_host((host, 0)).await?;
            let mut refused = None;
            let allowed: Vec<SocketAddr> = found
                .filter(|socket| policy.check(host, socket.ip()).map_err(|error| refused = Some(error)).is_ok())
                .collect();
            match refused {
                Some(refused) if allowed.is_empty() => Err(refused.into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
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
            "0177.0.0.1",
            "127.0.0.1.",
            "0.0.0.0",
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
            "[::ffff:127.0.0.1]",
            "[64:ff9b::10.0.0.1]",
            "[2002:7f00:1::]",
            "[fe80::1]",
            "[fd00::1]",
            "[ff02::1]",
            "[2001:db8::1]",
            "[2001::1]",
            "[::7f00:1]",
        ] {
            assert!(refused(&policy, &format!("http://{host}/x")), "{host} was allowed");
        }
        for host in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "[2606:4700::1111]", "[64:ff9b::1.1.1.1]", "example.com"] {
            assert!(!refused(&policy, &format!("https://{host}/x")), "{host} was refused");
        }
    }

    #[test]
    fn what_the_operator_allows_is_allowed_and_nothing_else() {
        let policy = AddressPolicy::new(["127.0.0.0/8".parse().expect("a network")]);
        assert!(!refused(&policy, "http://127.0.0.1:8080/"));
        assert!(!refused(&policy, "http://[::ffff:127.0.0.1]/"));
        assert!(refused(&policy, "http://[::1]/"));
        assert!(refused(&policy, "http://10.0.0.1/"));
    }
}
