//! `labwire health`: the running server's own word, for people and for container health checks.

use crate::config::Config;
use anyhow::{Context, Result};
use std::{net::SocketAddr, process::ExitCode, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// `/readyz` asks runtime and database, each with its own limit of 2 s.
const WITHIN: Duration = Duration::from_secs(5);
/// The answer is a few reasons.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

pub async fn run(config: &Config) -> Result<ExitCode> {
    let (status, body) = readiness(config).await?;
    println!("{}", body.trim_end());
    Ok(if status == 200 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What the running server says of itself: the status of `/readyz` and its body.
pub async fn readiness(config: &Config) -> Result<(u16, String)> {
    let asked = tokio::time::timeout(WITHIN, ask(reachable(config.listen), "/readyz")).await;
    asked.context("the server does not answer in time")?
}

/// A server that listens everywhere is asked on this machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let mut address = listen;
    if address.ip().is_unspecified() {
        let localhost = if address.is_ipv4() { "127.0.0.1" } else { "::1" };
        address.set_ip(localhost.parse().expect("they are addresses"));
    }
    address
}

/// One GET, HTTP/1.0 so that the answer ends with the connection: status and body.
async fn ask(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("no server on {address}; start it with `labwire serve`"))?;
    stream
        .write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())
        .await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("the answer is not HTTP; is another program on this port?")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .context("the answer has no status")?;
    Ok((status, body.to_owned()))
}
