//! Binding and serving.

use std::net::SocketAddr;

use hookmill::Engine;
use tokio::net::TcpListener;

use crate::api;
use crate::token::Token;

/// A server that is bound and waits to serve.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: axum::Router,
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
    pub async fn bind(address: &str, engine: Engine, token: Token) -> Result<Self, BindError> {
        let fault = |source| BindError { address: address.into(), source };
        let listener = TcpListener::bind(address).await.map_err(fault)?;
        let bound = listener.local_addr().map_err(fault)?;
        Ok(Self { listener, address: bound, router: api::router(engine, token) })
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves, then lets requests that are under way end.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
        axum::serve(self.listener, self.router).with_graceful_shutdown(stop).await
    }
}
