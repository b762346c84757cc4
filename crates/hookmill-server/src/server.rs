//! Binding and serving.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hookmill::Engine;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::api;
use crate::token::Token;

/// Between two tries to accept when the system refuses, for example because no file descriptor is left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// A server that is bound and waits to serve; who connects meanwhile waits with it.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: ServerLimits,
}

/// What callers may hold of a server before they have shown a token.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// Connections that are open at one time; more wait until one closes.
    pub connections: usize,
    /// The time for the whole head of a request, and for keeping a connection without one.
    pub head_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self { connections: 4_096, head_timeout: Duration::from_secs(30) }
    }
}

/// The server can't listen where it was told to.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {address}: {source}")]
pub struct BindError {
    address: String,
    source: std::io::Error,
}

impl Server {
    /// Listens on `address`; port 0 takes any free one.
    pub async fn bind(address: &str) -> Result<Self, BindError> {
        let fault = |source| BindError { address: address.into(), source };
        let listener = TcpListener::bind(address).await.map_err(fault)?;
        let bound = listener.local_addr().map_err(fault)?;
        Ok(Self { listener, address: bound, limits: ServerLimits::default() })
    }

    /// Sets other limits than the defaults.
    pub fn with_limits(self, limits: ServerLimits) -> Self {
        Self { limits, ..self }
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `engine` to who shows `token` until `stop` resolves, then lets requests that are under way end.
    pub async fn serve(self, engine: Engine, token: Token, stop: impl Future<Output = ()> + Send) {
        let router = api::router(engine, token);
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_buf_size(api::UPLOAD_PART_BYTES);
        let room = Arc::new(Semaphore::new(self.limits.connections));
        let ending = GracefulShutdown::new();
        let mut open = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            let (stream, permit) = tokio::select! {
                () = &mut stop => break,
                Some(_closed) = open.join_next() => continue,
                accepted = accept(&self.listener, &room) => accepted,
            };
            let service = TowerToHyperService::new(router.clone());
            let connection = ending.watch(http.serve_connection(TokioIo::new(stream), service));
            open.spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection broke off");
                }
                drop(permit);
            });
        }
        drop(self.listener);
        ending.shutdown().await;
    }
}

/// Accepts a connection when there is room for one.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = room.clone().acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                tracing::warn!(%error, "a connection can't be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}
