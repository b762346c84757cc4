//! What kind of address an address is, by the special-purpose registries of IANA (RFC 6890 and its successors).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A kind of address that is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Unspecified,
    Loopback,
    Private,
    LinkLocal,
    Shared,
    Reserved,
    Documentation,
    Relay,
    Metadata,
    Multicast,
}

impl Kind {
    /// Returns the kind of `address`; none for a public one.
    pub(crate) fn of(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// Names the kind in a sentence.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Unspecified => "an unspecified address",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::LinkLocal => "a link-local address",
            Self::Shared => "a carrier's shared address",
            Self::Reserved => "a reserved address",
            Self::Documentation => "an address for documentation",
            Self::Relay => "a relay's address",
            Self::Metadata => "a cloud's metadata address",
            Self::Multicast => "a multicast address",
        }
    }

    /// Tells whether a name that the operator allows may stand for it: where receivers are, but not where clouds keep
    /// the credentials of their machines.
    pub(crate) fn may_have_a_name(self) -> bool {
        matches!(self, Self::Loopback | Self::Private | Self::Shared)
    }
}

fn of_v4(address: Ipv4Addr) -> Option<Kind> {
    let [a, b, c, d] = address.octets();
    Some(match (a, b, c, d) {
        (0, ..) => Kind::Unspecified,
        (127, ..) => Kind::Loopback,
        (168, 63, 129, 16) | (100, 100, 100, 200) | (192, 0, 0, 192) | (169, 254, 169, 254) => Kind::Metadata,
        (10, ..) | (172, 16..=31, ..) | (192, 168, ..) => Kind::Private,
        (169, 254, ..) => Kind::LinkLocal,
        (100, 64..=127, ..) => Kind::Shared,
        (192, 0, 0, _) | (198, 18 | 19, ..) | (240..=255, ..) => Kind::Reserved,
        (192, 0, 2, _) | (198, 51, 100, _) | (203, 0, 113, _) => Kind::Documentation,
        (192, 88, 99, _) => Kind::Relay,
        (224..=239, ..) => Kind::Multicast,
        _ => return None,
    })
}

/// Only 2000::/3 is public, and of that not what documents, tunnels or embeds other addresses.
fn of_v6(address: Ipv6Addr) -> Option<Kind> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    match (a, b) {
        _ if address.is_unspecified() => Some(Kind::Unspecified),
        _ if address.is_loopback() => Some(Kind::Loopback),
        // NAT64 carries an IPv4 address, which decides; networks with IPv6 alone reach public ones by it.
        (0x64, 0xff9b) if (c, d, e, f) == (0, 0, 0, 0) => of_v4(embedded(g, h)),
        // 6to4 and Teredo lead wherever the address inside says, through machines of strangers; both are given up.
        (0x2002, _) | (0x2001, 0) => Some(Kind::Relay),
        (0x2001, 0xdb8) | (0x3fff, 0..=0xfff) => Some(Kind::Documentation),
        (0x2001, 0..=0x1ff) => Some(Kind::Reserved),
        (0xfd00, 0xec2) if (c, d, e, f, g, h) == (0, 0, 0, 0, 0, 0x254) => Some(Kind::Metadata),
        (0xfd20, 0xce) if (c, d, e, f, g, h) == (0, 0, 0, 0, 0, 0x254) => Some(Kind::Metadata),
        (0xfc00..=0xfdff, _) => Some(Kind::Private),
        (0xfe80..=0xfebf, _) => Some(Kind::LinkLocal),
        (0xff00..=0xffff, _) => Some(Kind::Multicast),
        // ISATAP tunnels to the IPv4 address in the last half, whatever network is in the first.
        (0x2000..=0x3fff, _) if matches!((e, f), (0 | 0x200, 0x5efe)) => of_v4(embedded(g, h)),
        (0x2000..=0x3fff, _) => None,
        // With the rest, IPv4-compatible (::/96) and local-use NAT64 (64:ff9b:1::/48) addresses.
        _ => Some(Kind::Reserved),
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::*;

    /// What IANA's registries call not globally reachable, and what leads on into IPv4 by tunnels.
    const NOT_PUBLIC: [&str; 40] = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/29",
        "192.0.0.8/32",
        "192.0.0.170/31",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "255.255.255.255/32",
        "::/128",
        "::1/128",
        "::/96",
        "::ffff:127.0.0.0/104",
        "::ffff:10.0.0.0/104",
        "::ffff:0:0:0/96",
        "64:ff9b:1::/48",
        "64:ff9b::10.0.0.0/104",
        "64:ff9b::127.0.0.0/104",
        "64:ff9b::169.254.0.0/112",
        "100::/64",
        "100:0:0:1::/64",
        "2001::/32",
        "2001:2::/48",
        "2001:10::/28",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "ff00::/8",
    ];

    fn address_in(net: IpNet, bits: u128) -> IpAddr {
        match net {
            IpNet::V4(net) => {
                let bits = u32::try_from(bits >> 96).expect("32 bits");
                Ipv4Addr::from(u32::from(net.network()) | (bits & u32::from(net.hostmask()))).into()
            }
            IpNet::V6(net) => Ipv6Addr::from(u128::from(net.network()) | (bits & u128::from(net.hostmask()))).into(),
        }
    }

    proptest! {
        #[test]
        fn nothing_in_a_special_network_is_public(which in 0..NOT_PUBLIC.len(), bits in any::<u128>()) {
            let net: IpNet = NOT_PUBLIC[which].parse().expect("a network");
            let address = address_in(net, bits);
            prop_assert!(Kind::of(address).is_some(), "{address} of {net}");
        }

        #[test]
        fn whatever_std_knows_is_known_and_keeps_its_kind_inside_ipv6(bits in any::<u32>()) {
            let address = Ipv4Addr::from(bits);
            let kind = Kind::of(address.into());
            let known = [
                (address.is_loopback(), Kind::Loopback),
                (address.is_private(), Kind::Private),
                (address.is_documentation(), Kind::Documentation),
                (address.is_multicast(), Kind::Multicast),
            ];
            for (holds, wanted) in known {
                prop_assert_eq!(holds, kind == Some(wanted), "{}", address);
            }
            let special = address.is_link_local() || address.is_broadcast() || address.is_unspecified();
            prop_assert!(!special || kind.is_some());
            let [high, low] = [(bits >> 16) as u16, (bits & 0xffff) as u16];
            for (wraps, inside) in [
                (true, Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low)),
                (true, Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low)),
                (true, Ipv6Addr::new(0x2606, 0x4700, 1, 2, 0, 0x5efe, high, low)),
                (true, Ipv6Addr::new(0x2606, 0x4700, 1, 2, 0x200, 0x5efe, high, low)),
                (false, Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low)),
                (false, Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 0)),
                (false, Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low)),
            ] {
                let found = Kind::of(inside.into());
                prop_assert!(if wraps { found == kind } else { found.is_some() }, "{} in {}: {:?}", address, inside, found);
            }
        }

        #[test]
        fn ipv6_is_public_in_one_eighth_only(bits in any::<u128>()) {
            let address = Ipv6Addr::from(bits);
            let kind = Kind::of(address.into());
            let special = address.is_unique_local() || address.is_unicast_link_local() || address.is_multicast();
            prop_assert!(!special || kind.is_some());
            prop_assert!(bits >> 125 == 1 || address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] || kind.is_some());
        }
    }

    #[test]
    fn public_addresses_are_public() {
        for public in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:4700::1111", "64:ff9b::1.1.1.1"] {
            assert_eq!(Kind::of(public.parse().expect("an address")), None, "{public}");
        }
    }

    #[test]
    fn no_name_leads_to_a_clouds_metadata() {
        for address in
            ["169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"]
        {
            let kind = Kind::of(address.parse().expect("an address")).expect("it is special");
            assert!(kind == Kind::Metadata && !kind.may_have_a_name(), "{address}");
        }
    }
}
