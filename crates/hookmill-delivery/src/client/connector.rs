//! The way to a connection: to an address that was vetted, or through the operator's proxy.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::egress::{GuardedResolver, Unvetted};
use crate::proxy::Proxy;

/// How long a connection may be silent before the other side is asked whether it is still there, and how long between
/// the questions.
const PROBE_AFTER: Duration = Duration::from_secs(15);

/// How many questions may stay without an answer.
const PROBES: u32 = 3;

/// What a SOCKS proxy says of the receiver, not of itself.
const OF_THE_RECEIVER: [&str; 4] = ["network unreachable", "host unreachable", "connection refused", "ttl expired"];

/// How long what was sent may stay unacknowledged.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

type Connecting<T, E = BoxError> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// Makes connections over which a request to a receiver can be sent, or secured first.
#[derive(Debug, Clone)]
pub(super) enum Connector {
    /// To the receiver itself, at an address that was vetted.
    Direct(HttpConnector<GuardedResolver>),
    /// Plain requests are handed to the proxy, secure ones go through a tunnel.
    Http { proxy: Uri, to_proxy: HttpsConnector<HttpConnector>, tunnel: Tunnel<HttpsConnector<HttpConnector>> },
    /// The proxy is given an address that was vetted.
    Socks { resolver: GuardedResolver, through: SocksV5<HttpConnector> },
}

/// The proxy was not reached, or did not make the connection.
#[derive(Debug, thiserror::Error)]
#[error("the proxy did not make the connection")]
pub(super) struct ProxyFailed(#[source] BoxError);

impl Connector {
    pub(super) fn new(resolver: GuardedResolver, proxy: Option<&Proxy>, tls: &Arc<ClientConfig>) -> Self {
        let Some(proxy) = proxy else { return Self::Direct(dialling(HttpConnector::new_with_resolver(resolver))) };
        // A proxy is where its operator says, so nobody vets its address.
        let (uri, to_proxy) = (proxy.uri(), dialling(HttpConnector::new()));
        if proxy.is_socks() {
            let mut through = SocksV5::new(uri, to_proxy);
            if let Some((user, password)) = proxy.user_and_password() {
                through = through.with_auth(user, password);
            }
            return Self::Socks { resolver, through };
        }
        // Proxies are spoken to in HTTP/1.1, which has the CONNECT that they know.
        let mut tls = ClientConfig::clone(tls);
        tls.alpn_protocols.clear();
        let to_proxy = HttpsConnector::from((to_proxy, tls));
        let mut tunnel = Tunnel::new(uri.clone(), to_proxy.clone());
        if let Some(authorization) = proxy.authorization() {
            tunnel = tunnel.with_auth(authorization);
        }
        Self::Http { proxy: uri, to_proxy, tunnel }
    }

    async fn connect(self, to: Uri) -> Result<Carrier, BoxError> {
        let failed = |error: BoxError| -> BoxError { ProxyFailed(error).into() };
        let (stream, is_proxy) = match self {
            Self::Direct(mut tcp) => (tcp.call(to).await?.into(), false),
            Self::Http { mut tunnel, .. } if to.scheme() == Some(&Scheme::HTTPS) => {
                (tunnel.call(to).await.map_err(|error| failed(error.into()))?, false)
            }
            Self::Http { proxy, mut to_proxy, .. } => (to_proxy.call(proxy).await.map_err(failed)?, true),
            Self::Socks { resolver, mut through } => {
                let to = at_vetted_address(&resolver, &to).await?;
                let stream = through.call(to).await.map_err(|error| {
                    let said = error.to_string();
                    let of_the_receiver = OF_THE_RECEIVER.iter().any(|words| said.ends_with(words));
                    if of_the_receiver { error.into() } else { failed(error.into()) }
                });
                (stream?.into(), false)
            }
        };
        Ok(Carrier { stream, is_proxy })
    }
}

/// Sets a connector up for receivers, or for a proxy in front of them.
fn dialling<R>(mut tcp: HttpConnector<R>) -> HttpConnector<R> {
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(PROBE_AFTER));
    tcp.set_keepalive_interval(Some(PROBE_AFTER));
    tcp.set_keepalive_retries(Some(PROBES));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
    tcp
}

/// Puts an address that was vetted in place of the name in a URI.
async fn at_vetted_address(resolver: &GuardedResolver, to: &Uri) -> Result<Uri, BoxError> {
    let secure = to.scheme() == Some(&Scheme::HTTPS);
    let port = to.port_u16().unwrap_or(if secure { 443 } else { 80 });
    // Here it may be an address, with the brackets that it has in a URL.
    let host = to.host().unwrap_or_default().trim_matches(['[', ']']);
    let mut address = resolver.resolve(host).await?.into_iter().next().ok_or("the name has no address")?;
    address.set_port(port);
    Ok(Uri::builder().scheme("http").authority(address.to_string()).path_and_query("/").build()?)
}

impl Service<Uri> for Connector {
    type Response = Carrier;
    type Error = BoxError;
    type Future = Connecting<Carrier>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(self.clone().connect(to))
    }
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<std::net::SocketAddr>;
    type Error = Unvetted;
    type Future = Connecting<Self::Response, Unvetted>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Unvetted>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.clone();
        Box::pin(async move { Ok(resolver.resolve(name.as_str()).await?.into_iter()) })
    }
}

/// A connection to a receiver, or to a proxy that plain requests are handed to.
#[derive(Debug)]
pub(super) struct Carrier {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    is_proxy: bool,
}

impl Connection for Carrier {
    fn connected(&self) -> Connected {
        // A proxy is told the whole URL.
        self.stream.connected().proxy(self.is_proxy)
    }
}

impl Read for Carrier {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Carrier {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}
