//! A proxy that tunnels, as HTTP's CONNECT and as SOCKS5, and records where it was asked to go.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use crate::serving::Serving;

/// What a SOCKS5 request begins with.
const SOCKS5: u8 = 5;

/// A proxy on a real socket. It stops when it is dropped.
#[derive(Debug)]
pub struct TunnelProxy {
    serving: Serving,
    asked: Arc<Mutex<Vec<String>>>,
}

impl TunnelProxy {
    /// Starts a proxy on a free port of 127.0.0.1.
    pub fn start() -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let recorded = asked.clone();
        let serving = Serving::start(move |stream| tunnel(stream, recorded.clone()));
        Self { serving, asked }
    }

    /// Returns its URL in this scheme.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.serving.address)
    }

    /// Returns where it was asked to go, each as host and port.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn tunnel(mut stream: TcpStream, asked: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let first = stream.read_u8().await?;
    let target = if first == SOCKS5 { ask_socks(&mut stream).await? } else { ask_http(&mut stream).await? };
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(target.clone());
    let reached = TcpStream::connect(&target).await;
    let answer: &[u8] = match (first == SOCKS5, reached.is_ok()) {
        (true, true) => &[SOCKS5, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        (true, false) => &[SOCKS5, 5, 0, 1, 0, 0, 0, 0, 0, 0],
        (false, true) => b"HTTP/1.1 200 Connected\r\n\r\n",
        (false, false) => b"HTTP/1.1 502 Not reached\r\n\r\n",
    };
    stream.write_all(answer).await?;
    copy_bidirectional(&mut stream, &mut reached?).await?;
    Ok(())
}

/// Reads the head of a CONNECT, without its first letter.
async fn ask_http(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    Ok(head.strip_prefix("ONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or("not a CONNECT").into())
}

/// Reads a SOCKS5 greeting and request (RFC 1928) without the first byte.
async fn ask_socks(stream: &mut TcpStream) -> std::io::Result<String> {
    let methods = stream.read_u8().await?;
    stream.read_exact(&mut vec![0; methods.into()]).await?;
    stream.write_all(&[SOCKS5, 0]).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let host = match head[3] {
        1 => {
            let mut octets = [0; 4];
            stream.read_exact(&mut octets).await?;
            std::net::Ipv4Addr::from(octets).to_string()
        }
        4 => {
            let mut octets = [0; 16];
            stream.read_exact(&mut octets).await?;
            format!("[{}]", std::net::Ipv6Addr::from(octets))
        }
        _ => {
            let length = stream.read_u8().await?;
            let mut name = vec![0; length.into()];
            stream.read_exact(&mut name).await?;
            String::from_utf8_lossy(&name).into_owned()
        }
    };
    Ok(format!("{host}:{}", stream.read_u16().await?))
}
