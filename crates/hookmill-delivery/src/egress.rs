//! Which addresses a request may go to: public ones, and those that the operator allows.
//!
//! An address is vetted where the connection is made, after the name was resolved, and the connection goes to an address
//! that was vetted, so that a name that changes its address between two looks gains nothing. To vet it when a webhook is
//! saved as well only tells people sooner.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hookmill_core::Explain;
use ipnet::IpNet;
use url::{Host, Url};

mod kind;
#[cfg(test)]
mod tests;

use kind::Kind;

/// How long a name may take to be resolved when a webhook is saved; one that takes longer is vetted when it is used.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(2);

/// Refuses every address that is not public, but for the networks and hosts that the operator allowed.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    networks: Arc<[IpNet]>,
    hosts: Arc<[AllowedHost]>,
}

/// The name of a host that may have an address that is not public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost(String);

/// A text is not the name of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no host's name; a network or an address goes with `--allow`")]
pub struct InvalidHost {
    text: String,
}

impl FromStr for AllowedHost {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let invalid = || InvalidHost { text: text.to_owned() };
        let Ok(Host::Domain(name)) = Host::parse(text) else { return Err(invalid()) };
        // Without its dots, what passed for a name may be an address.
        match Host::parse(bare(&name)) {
            Ok(Host::Domain(name)) => Ok(Self(name)),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A request was to go to an address that it may not go to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} is {address}, {}, and requests may not go there", kind.describe())]
pub struct AddressRefused {
    host: String,
    address: IpAddr,
    kind: Kind,
}

impl Explain for AddressRefused {
    fn code(&self) -> &'static str {
        "address_refused"
    }

    fn help(&self) -> Option<String> {
        let network = IpNet::from(self.address);
        // Whoever names a host by its address has no name to allow.
        let by_name = self.kind.may_have_a_name() && self.host.parse::<IpAddr>().is_err();
        let or_host = if by_name { format!(", or with `--allow-host {}`", self.host) } else { String::new() };
        Some(format!("if the receiver is yours, start with `--allow {network}`, or with its whole network{or_host}"))
    }
}

impl AddressPolicy {
    /// Allows the given networks besides the public ones.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self { networks: networks.into_iter().collect(), hosts: Arc::default() }
    }

    /// Allows the given hosts to have loopback, private and shared addresses, whichever these are.
    pub fn with_hosts(self, hosts: impl IntoIterator<Item = AllowedHost>) -> Self {
        Self { hosts: hosts.into_iter().collect(), ..self }
    }

    /// Checks one address that `host` stands for.
    pub fn check(&self, host: &str, address: IpAddr) -> Result<(), AddressRefused> {
        let address = address.to_canonical();
        let Some(kind) = Kind::of(address) else { return Ok(()) };
        let by_network = self.networks.iter().any(|network| network.contains(&address));
        if by_network || (kind.may_have_a_name() && self.allows_host(host)) {
            return Ok(());
        }
        Err(AddressRefused { host: host.to_owned(), address, kind })
    }

    fn allows_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|allowed| allowed.0.eq_ignore_ascii_case(bare(host)))
    }

    /// Checks what can be told of a URL without looking its name up: an address in any spelling, and `localhost`.
    ///
    /// `Url` has turned every odd spelling (decimal, octal, hexadecimal, short, full-width) into an address by now.
    pub fn check_url(&self, url: &Url) -> Result<(), AddressRefused> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(&address.to_string(), address.into()),
            Some(Host::Ipv6(address)) => self.check(&address.to_string(), address.into()),
            // RFC 6761 §6.3: these are this machine, whatever a resolver says.
            Some(Host::Domain(name)) if is_localhost(name) => {
                let either = self.check(name, Ipv6Addr::LOCALHOST.into());
                either.or_else(|_| self.check(name, Ipv4Addr::LOCALHOST.into()))
            }
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }

    /// Checks a URL and the addresses that its name has now; a name that can't be resolved passes, to be vetted when it
    /// is used.
    pub async fn look_up(&self, url: &Url) -> Result<(), AddressRefused> {
        self.check_url(url)?;
        let Some(Host::Domain(name)) = url.host() else { return Ok(()) };
        match tokio::time::timeout(LOOK_UP_WITHIN, tokio::net::lookup_host((name, 0))).await {
            Ok(Ok(found)) => self.vet(name, found).map(drop),
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }

    /// Resolves the name of a URL that somebody else will resolve again, so that all its addresses must be allowed.
    pub(crate) async fn vet_for_proxy(&self, url: &Url) -> Result<(), Unvetted> {
        self.check_url(url)?;
        let Some(Host::Domain(name)) = url.host() else { return Ok(()) };
        for socket in tokio::net::lookup_host((name, 0)).await? {
            self.check(name, socket.ip())?;
        }
        Ok(())
    }

    /// Returns the addresses of `found` that a connection to `host` may be made to.
    ///
    /// A name that has public addresses and refused ones at one time is refused whole: no honest receiver is published
    /// so, and a name on its way from the one to the other is. Of several private ones, those that are allowed are used.
    fn vet(&self, host: &str, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, AddressRefused> {
        let (mut allowed, mut refused, mut public) = (vec![], None, false);
        for socket in found {
            match self.check(host, socket.ip()) {
                Ok(()) => {
                    public |= Kind::of(socket.ip()).is_none();
                    allowed.push(socket);
                }
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(refused) if public || allowed.is_empty() => Err(refused),
            _ => Ok(allowed),
        }
    }
}

/// Why a URL was not vetted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unvetted {
    #[error(transparent)]
    Refused(#[from] AddressRefused),
    #[error(transparent)]
    Unresolved(#[from] std::io::Error),
}

/// The name without the dot of the root, or dots that stand for nothing.
fn bare(name: &str) -> &str {
    name.trim_end_matches('.')
}

fn is_localhost(name: &str) -> bool {
    let last = bare(name).rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost")
}

/// Looks a name up.
pub(crate) type LookUp = fn(String) -> Looking;

pub(crate) type Looking = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;

/// Looks a name up as the system does.
pub(crate) fn by_the_system(name: String) -> Looking {
    Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
}

/// A resolver behind the policy. A connection is made to what one look-up gave and the policy let through: between being
/// vetted and being dialled, a name is not looked up again.
#[derive(Debug, Clone)]
pub(crate) struct GuardedResolver {
    pub(crate) policy: AddressPolicy,
    pub(crate) look_up: LookUp,
}

impl GuardedResolver {
    /// Returns the addresses that a connection to `host` may be made to.
    pub(crate) async fn resolve(&self, host: &str) -> Result<Vec<SocketAddr>, Unvetted> {
        let found = (self.look_up)(host.to_owned()).await?;
        Ok(self.policy.vet(host, found.into_iter())?)
    }
}
