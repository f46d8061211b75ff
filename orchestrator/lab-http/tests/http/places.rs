//! Nobody holds a place of this server for longer than they are served.

use crate::{
    bridge::{Client, close_code, open},
    kit::{COURSE, DEADLINE, Kit},
};
use futures_util::StreamExt;
use lab_core::launch::{Role, SOCKETS_A_PERSON_MAX};
use lab_http::{Bounds, HttpSettings};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
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
async fn who_asks_and_does_not_read_the_answer_holds_no_place() {
    let kit = Kit::new().await;
    let bounds = Bounds {
        connections_max: 1,
        write_stall_max: Duration::from_millis(200),
    };
    let server = kit.serve_by(bounds).await;
    let socket = TcpSocket::new_v4().unwrap();
    // a small window: what the kernels would hold for it is megabytes otherwise
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    let ask = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(200);
    let asked = async { while stream.write_all(&ask).await.is_ok() {} };
    timeout(DEADLINE, asked).await.expect("the connection is held");
    let next = "GET /api/v1/staff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(until_its_end(server.address, next).await.starts_with("HTTP/1.1 200"));
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

#[tokio::test]
async fn a_full_server_says_that_it_is_alive_and_keeps_nobody_waiting_for_that() {
    const PLACES: usize = 4;
    let kit = Kit::new().await;
    let server = kit.serve(PLACES).await;
    let mut held = Vec::new();
    for _ in 0..PLACES {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream
            .write_all(b"GET /api/v1/staff HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut byte = [0];
        timeout(DEADLINE, stream.read_exact(&mut byte)).await.unwrap().unwrap();
        held.push(stream);
    }
    // others wait for a place before the probes come
    let mut waiting = Vec::new();
    for _ in 0..10 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream
            .write_all(b"GET /api/v1/staff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        waiting.push(stream);
    }
    for (path, wanted) in [
        ("/healthz", "HTTP/1.1 200"),
        ("/readyz", "HTTP/1.1 200"),
        ("/metrics", "HTTP/1.1 200"),
    ] {
        // kept alive on purpose: the server ends it
        let probe = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        let answer = until_its_end(server.address, &probe).await;
        assert!(answer.starts_with(wanted), "{path}: {answer}");
    }
    drop(held);
    for mut stream in waiting {
        let mut text = String::new();
        timeout(DEADLINE, stream.read_to_string(&mut text))
            .await
            .unwrap()
            .unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "served in turn: {text}");
    }
    server.end().await;
}

/// A teacher's wall.
async fn wall(kit: &Kit, address: SocketAddr, bearer: &str) -> Client {
    let scope = serde_json::json!({"scope": "wall", "course": COURSE});
    let ticket = kit.post("/api/v1/tickets", Some(bearer), scope).await.json()["ticket"].clone();
    open(address, &format!("/api/v1/wall?ticket={}", ticket.as_str().unwrap()))
        .await
        .unwrap()
}

#[tokio::test]
async fn one_person_has_so_many_sockets_by_however_many_logins_and_the_oldest_gives_way() {
    let kit = Kit::new().await;
    let server = kit.serve(256).await;
    let other = kit.sign_in("other", Role::Teacher).await;
    let mut others = wall(&kit, server.address, &other).await;
    let logins = [
        kit.sign_in("t", Role::Teacher).await,
        kit.sign_in("t", Role::Teacher).await,
    ];
    let mut walls = Vec::new();
    for n in 0..=SOCKETS_A_PERSON_MAX {
        walls.push(wall(&kit, server.address, &logins[n % 2]).await);
    }
    assert_eq!(close_code(&mut walls[0]).await, 4409);
    for open in [&mut walls[1], &mut others] {
        let said = timeout(DEADLINE, open.next()).await.unwrap().unwrap().unwrap();
        assert!(said.is_text(), "{said:?}");
    }
    drop((walls, others));
    server.end().await;
}

#[tokio::test]
async fn a_learner_opens_so_many_tabs_and_the_oldest_gives_way() {
    let kit = Kit::new().await;
    let server = kit.serve(64).await;
    let (session, bearer) = kit.session().await;
    let mut tabs = Vec::new();
    for _ in 0..17 {
        let ticket = kit.ticket(&session, &bearer).await;
        let mut tab = open(server.address, &format!("/api/v1/ws?ticket={ticket}"))
            .await
            .unwrap();
        let said = timeout(DEADLINE, tab.next()).await.unwrap().unwrap().unwrap();
        assert!(said.is_text(), "it is attached: {said:?}");
        tabs.push(tab);
    }
    assert_eq!(close_code(&mut tabs[0]).await, 4409);
    drop(tabs);
    server.end().await;
}
