//! What an attached, idle browser costs this process. A binary of its own: it measures the whole process.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "clippy's own exception for tests does not see their helpers"
)]

use axum::{Router, extract::WebSocketUpgrade, routing::get};
use lab_app::terminal::FromHub;
use lab_core::terminal::BROWSER_PROTOCOL;
use lab_http::{Bounds, BridgeOptions, Pace, bridge_terminal, serve_bounded, socket_limits};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc::channel,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

const SOCKETS: usize = 500;
/// One output frame (32 KiB), which a socket keeps room for after a flood, and 20 KiB for all else. The whole process may take
/// 100 KB per attached idle session: the hub, its ring and its connection to the agent have the other half.
const BYTES_PER_SOCKET_MAX: usize = 52 * 1024;
const DEADLINE: Duration = Duration::from_secs(20);

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// A browser by hand: a client library's buffers would be measured too.
async fn browser(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(DEADLINE, stream.read_u8()).await.unwrap().unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    stream
}

#[tokio::test]
async fn an_idle_socket_costs_little_even_after_a_flood() {
    let (give, mut hubs) = channel(SOCKETS);
    let handler = move |upgrade: WebSocketUpgrade| async move {
        let ((to_hub, to), (from, from_hub)) = (channel(32), channel::<FromHub>(32));
        give.send((to, from)).await.unwrap();
        let options = BridgeOptions {
            pace: Pace::default(),
            compress: false,
        };
        socket_limits(upgrade, BROWSER_PROTOCOL).on_upgrade(move |socket| async move {
            bridge_terminal(socket, to_hub, from_hub, options, CancellationToken::new()).await;
        })
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let server = tokio::spawn(serve_bounded(
        listener,
        Router::new().route("/ws", get(handler)),
        Bounds {
            connections_max: SOCKETS * 2,
            ..Bounds::default()
        },
        stop.clone(),
    ));
    // one first, so that what is made once is not counted
    let mut all = vec![(browser(address).await, hubs.recv().await.unwrap())];
    let before = resident_bytes();
    for _ in 1..SOCKETS {
        all.push((browser(address).await, hubs.recv().await.unwrap()));
    }
    let idle = (resident_bytes() - before) / SOCKETS;
    let flood = bytes::Bytes::from(vec![b'x'; 256 * 1024]);
    let mut sink = vec![0; 64 * 1024];
    for (stream, (_to, from)) in &mut all {
        let output = FromHub::Output {
            terminal: 0,
            offset: 0,
            bytes: flood.clone(),
        };
        from.send(output).await.unwrap();
        from.send(FromHub::InputAck { terminal: 0, seq: 7 }).await.unwrap();
        // the acknowledgement is last: 14, terminal, seq
        let end = [0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        let mut tail = Vec::new();
        while !tail.ends_with(&end) {
            let n = timeout(DEADLINE, stream.read(&mut sink)).await.unwrap().unwrap();
            assert!(n > 0);
            tail.extend_from_slice(&sink[..n]);
            tail.drain(..tail.len().saturating_sub(end.len()));
        }
    }
    let flooded = resident_bytes().saturating_sub(before) / SOCKETS;
    eprintln!("per socket: {idle} bytes idle, {flooded} bytes after a flood");
    assert!(
        idle <= BYTES_PER_SOCKET_MAX && flooded <= BYTES_PER_SOCKET_MAX,
        "{idle} idle, {flooded} after a flood"
    );
    stop.cancel();
    drop(all);
    timeout(DEADLINE, server).await.unwrap().unwrap().unwrap();
}
