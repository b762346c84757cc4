//! How a scripted receiver answers.

use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Semaphore;

/// How to answer one request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// This status, without a body.
    Status(u16),
    /// This status with headers and a body.
    Reply {
        /// The status.
        status: u16,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// 200, but only once [`Receiver::release`](crate::Receiver::release) lets it go.
    Hold,
    /// Another answer, but only once it is let go likewise.
    Held(Box<Self>),
    /// Nothing, ever; the connection stays open.
    Stall,
    /// 200 at once, and then a byte of the body every 10 ms for ever.
    Drip,
    /// 200 at once, and then a body without end, as fast as it is read.
    Endless,
    /// These bytes, whatever they are.
    Raw(Vec<u8>),
    /// Nothing; the connection is closed.
    Close,
}

impl Answer {
    /// This status with one header.
    pub fn with_header(status: u16, name: &str, value: impl ToString) -> Self {
        Self::Reply { status, headers: vec![(name.into(), value.to_string())], body: vec![] }
    }

    /// This status with a body.
    pub fn with_body(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Reply { status, headers: vec![], body: body.into() }
    }

    /// Gives the answer; true if the connection stays open for the next request.
    pub(crate) async fn give(
        self,
        connection: &mut (impl AsyncWrite + Unpin + Send),
        released: &Semaphore,
    ) -> std::io::Result<bool> {
        let (status, headers, body) = match self {
            Self::Status(status) => (status, vec![], vec![]),
            Self::Reply { status, headers, body } => (status, headers, body),
            Self::Hold => {
                released.acquire().await.expect("the semaphore is never closed").forget();
                (200, vec![], vec![])
            }
            Self::Held(answer) => {
                released.acquire().await.expect("the semaphore is never closed").forget();
                return Box::pin(answer.give(connection, released)).await;
            }
            Self::Stall => std::future::pending().await,
            Self::Drip => return drip(connection).await,
            Self::Endless => return endless(connection).await,
            Self::Raw(bytes) => {
                connection.write_all(&bytes).await?;
                connection.flush().await?;
                return Ok(true);
            }
            Self::Close => return Ok(false),
        };
        let mut head = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(&body).await?;
        connection.flush().await?;
        Ok(true)
    }
}

async fn drip(connection: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<bool> {
    connection.write_all(b"HTTP/1.1 200 Dripping\r\ncontent-length: 1000000\r\n\r\n").await?;
    let mut drops = tokio::time::interval(Duration::from_millis(10));
    loop {
        drops.tick().await;
        connection.write_all(b".").await?;
        connection.flush().await?;
    }
}

async fn endless(connection: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<bool> {
    connection.write_all(b"HTTP/1.1 200 Endless\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    let chunk = [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat();
    loop {
        connection.write_all(&chunk).await?;
    }
}
