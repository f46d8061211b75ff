//! Nobody holds a place of this server for longer than they are served.

use crate::kit::{DEADLINE, Kit};
use lab_http::HttpSettings;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Sends these bytes and nothing more; what comes back until the other side ends it.
async fn until_its_end(address: SocketAddr, sent: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut text = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut text))
        .await
        .unwrap_or_else(|_| panic!("the connection is held: {sent:?}"))
        .unwrap();
    text
}

#[tokio::test]
async fn half_a_body_holds_neither_a_place_nor_a_task() {
    let settings = HttpSettings {
        body_within: Duration::from_millis(50),
        ..HttpSettings::default()
    };
    let kit = Kit::with(settings).await;
    // with one place, whoever keeps it keeps everybody out
    let server = kit.serve(1).await;
    for (path, kind) in [
        ("/lti/login", "application/x-www-form-urlencoded"),
        ("/lti/launch", "application/x-www-form-urlencoded"),
        ("/api/v1/launch", "application/json"),
        ("/nothing", "text/plain"),
    ] {
        let half = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: 60000\r\n\r\ni");
        let answer = until_its_end(server.address, &half).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{path}: {answer}");
        let chunked = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n1\r\ni\r\n"
        );
        let answer = until_its_end(server.address, &chunked).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{path}: {answer}");
    }
    let whole = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(until_its_end(server.address, whole).await.ends_with("alive\n"));
    server.end().await;
}

#[tokio::test]
async fn a_body_that_is_too_long_is_said_to_be_that_and_read_no_further() {
    let kit = Kit::new().await;
    let server = kit.serve(1).await;
    let long = format!(
        "POST /api/v1/launch HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n{{\"token\":\"{}",
        "x".repeat(70 * 1024)
    );
    let answer = until_its_end(server.address, &long).await;
    assert!(
        answer.starts_with("HTTP/1.1 413") && answer.contains("too-large"),
        "{answer}"
    );
    server.end().await;
}
