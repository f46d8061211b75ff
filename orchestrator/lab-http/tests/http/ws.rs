//! Sockets through the whole door: tickets, origins, and many at once.

use crate::{
    bridge::{close_code, open},
    kit::{COURSE, DEADLINE, Kit},
};
use futures_util::{SinkExt, StreamExt};
use lab_core::{launch::Role, terminal::BrowserFrame};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

#[tokio::test]
async fn a_ticket_opens_one_socket_and_the_session_is_told_first() {
    let kit = Kit::new().await;
    let server = kit.serve(64).await;
    let (session, bearer) = kit.session().await;
    let ticket = kit.ticket(&session, &bearer).await;
    let mut socket = open(server.address, &format!("/api/v1/ws?ticket={ticket}"))
        .await
        .unwrap();
    let first = timeout(DEADLINE, socket.next()).await.unwrap().unwrap().unwrap();
    let notice: Value = serde_json::from_str(first.to_text().unwrap()).unwrap();
    assert_eq!(
        (&notice["type"], &notice["session"]),
        (&json!("session"), &json!(session))
    );
    let mut second = open(server.address, &format!("/api/v1/ws?ticket={ticket}"))
        .await
        .unwrap();
    assert_eq!(close_code(&mut second).await, 4401, "a ticket opens nothing twice");
    drop((socket, second));
    server.end().await;
}

#[tokio::test]
async fn what_is_no_ticket_is_closed_with_its_code() {
    let kit = Kit::new().await;
    let server = kit.serve(64).await;
    let (session, bearer) = kit.session().await;
    let late = kit.ticket(&session, &bearer).await;
    kit.clock.advance(Duration::from_secs(31));
    let teacher = kit.sign_in("t", Role::Teacher).await;
    let wall = kit
        .post(
            "/api/v1/tickets",
            Some(&teacher),
            json!({"scope": "wall", "course": COURSE}),
        )
        .await
        .json()["ticket"]
        .clone();
    for query in [
        String::new(),
        "?ticket=".into(),
        "?ticket=junk".into(),
        format!("?ticket={late}"),
        format!("?ticket={}", wall.as_str().unwrap()),
    ] {
        let mut socket = open(server.address, &format!("/api/v1/ws{query}")).await.unwrap();
        assert_eq!(close_code(&mut socket).await, 4401, "{query}");
    }
    let mut socket = open(server.address, "/api/v1/wall").await.unwrap();
    assert_eq!(close_code(&mut socket).await, 4401);
    server.end().await;
}

#[tokio::test]
async fn a_session_that_is_over_closes_with_1000() {
    let kit = Kit::new().await;
    let server = kit.serve(64).await;
    let (session, bearer) = kit.session().await;
    let ticket = kit.ticket(&session, &bearer).await;
    let id = session.parse().unwrap();
    let mut over = lab_core::port::Store::session_get(&*kit.store, id)
        .await
        .unwrap()
        .unwrap();
    over.state = lab_core::provisioning::SessionState::Ended {
        reason: lab_core::provisioning::EndReason::TimeLimit,
    };
    kit.store.plant(over);
    let mut socket = open(server.address, &format!("/api/v1/ws?ticket={ticket}"))
        .await
        .unwrap();
    assert_eq!(close_code(&mut socket).await, 1000);
    server.end().await;
}

#[tokio::test]
async fn another_sites_page_opens_no_socket_and_keeps_no_ticket() {
    let kit = Kit::new().await;
    let server = kit.serve(64).await;
    let (session, bearer) = kit.session().await;
    let ticket = kit.ticket(&session, &bearer).await;
    let mut request = format!("ws://{}/api/v1/ws?ticket={ticket}", server.address)
        .into_client_request()
        .unwrap();
    request
        .headers_mut()
        .insert("origin", "https://evil.example".parse().unwrap());
    let refused = client_async(request, TcpStream::connect(server.address).await.unwrap())
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, Error::Http(r) if r.status().as_u16() == 403),
        "{refused}"
    );
    let mut socket = open(server.address, &format!("/api/v1/ws?ticket={ticket}"))
        .await
        .unwrap();
    assert!(
        timeout(DEADLINE, socket.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
            .is_text(),
        "the ticket was not spent by the refusal"
    );
    server.end().await;
}

#[tokio::test]
async fn a_store_that_fails_is_an_answer_and_says_nothing_private() {
    let kit = Kit::new().await;
    let server = kit.serve(64).await;
    kit.store.faults.always("ticket_take", lab_testkit::Strike::Before);
    let Err(Error::Http(refused)) = open(server.address, "/api/v1/ws?ticket=x.1").await else {
        panic!("refused before the upgrade")
    };
    assert_eq!(refused.status().as_u16(), 503);
    assert!(!String::from_utf8_lossy(refused.body().as_deref().unwrap_or_default()).contains(crate::kit::PRIVATE));
    kit.store.faults.mend("ticket_take");
    let (session, bearer) = kit.session().await;
    let ticket = kit.ticket(&session, &bearer).await;
    kit.store.faults.always("session_get", lab_testkit::Strike::Before);
    let mut socket = open(server.address, &format!("/api/v1/ws?ticket={ticket}"))
        .await
        .unwrap();
    let Some(Ok(Message::Close(Some(frame)))) = timeout(DEADLINE, socket.next()).await.unwrap() else {
        panic!("closed")
    };
    assert_eq!(
        (u16::from(frame.code), frame.reason.as_str()),
        (1001, "try-again"),
        "the reason is a public word"
    );
    server.end().await;
}

#[tokio::test]
async fn a_teacher_sees_the_wall() {
    let kit = Kit::new().await;
    let server = kit.serve(64).await;
    kit.session().await;
    let teacher = kit.sign_in("t", Role::Teacher).await;
    let ticket = kit
        .post(
            "/api/v1/tickets",
            Some(&teacher),
            json!({"scope": "wall", "course": COURSE}),
        )
        .await
        .json()["ticket"]
        .clone();
    let mut wall = open(
        server.address,
        &format!("/api/v1/wall?ticket={}", ticket.as_str().unwrap()),
    )
    .await
    .unwrap();
    let first = timeout(DEADLINE, wall.next()).await.unwrap().unwrap().unwrap();
    let cards: Value = serde_json::from_str(first.to_text().unwrap()).unwrap();
    assert_eq!(
        (&cards["type"], &cards["cards"][0]["name"]),
        (&json!("cards"), &json!("name of ana"))
    );
    wall.send(Message::text("{\"type\":\"ping\",\"t\":1}")).await.unwrap();
    wall.send(Message::text("{\"type\":\"seat\",\"terminal\":0,\"take\":true}"))
        .await
        .unwrap();
    assert_eq!(close_code(&mut wall).await, 4400, "a wall takes nothing but pings");
    server.end().await;
}

#[tokio::test]
async fn a_thousand_connects_are_served_in_turn_and_never_more_than_the_bound_at_once() {
    const BOUND: usize = 16;
    let kit = Kit::new().await;
    let server = kit.serve(BOUND).await;
    // connections that say nothing hold every place …
    let mut held = Vec::new();
    for _ in 0..BOUND {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut byte = [0];
        timeout(DEADLINE, stream.read_exact(&mut byte)).await.unwrap().unwrap();
        held.push(stream);
    }
    // … so the next one waits, unanswered
    let mut waiting = TcpStream::connect(server.address).await.unwrap();
    waiting
        .write_all(b"GET /api/v1/staff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    assert!(
        timeout(Duration::from_millis(200), waiting.read_to_string(&mut text))
            .await
            .is_err(),
        "there is no place"
    );
    held.pop();
    timeout(DEADLINE, waiting.read_to_string(&mut text))
        .await
        .unwrap()
        .unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    drop(held);
    let mut done = 0;
    for _ in 0..10 {
        let batch = (0..100).map(|_| async {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream
                .write_all(b"GET /api/v1/staff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .await
                .unwrap();
            let mut text = String::new();
            timeout(DEADLINE, stream.read_to_string(&mut text))
                .await
                .unwrap()
                .unwrap();
            text.starts_with("HTTP/1.1 200")
        });
        done += futures_util::future::join_all(batch)
            .await
            .into_iter()
            .filter(|ok| *ok)
            .count();
    }
    assert_eq!(done, 1000);
    server.end().await;
}

/// Reads until a text message of this type that `wanted` likes.
async fn await_text(socket: &mut crate::bridge::Client, wanted: impl Fn(&Value) -> bool) -> Value {
    let found = async {
        loop {
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                let value: Value = serde_json::from_str(&text).unwrap();
                if wanted(&value) {
                    return value;
                }
            }
        }
    };
    timeout(DEADLINE, found).await.expect("the message comes")
}

/// Reads binary frames until output of terminal 0 contains `text`.
async fn await_output(socket: &mut crate::bridge::Client, text: &str) {
    let mut seen = Vec::new();
    let found = async {
        loop {
            if let Message::Binary(bytes) = socket.next().await.unwrap().unwrap() {
                match BrowserFrame::decode(bytes).unwrap() {
                    BrowserFrame::Output {
                        terminal: 0,
                        flags: 0,
                        bytes,
                        ..
                    } => seen.extend_from_slice(&bytes),
                    BrowserFrame::Snapshot {
                        terminal: 0, screen, ..
                    } => seen.extend_from_slice(&screen),
                    _ => {}
                }
            }
            if String::from_utf8_lossy(&seen).contains(text) {
                return;
            }
        }
    };
    timeout(DEADLINE, found)
        .await
        .unwrap_or_else(|_| panic!("{text:?} is shown"));
}

#[tokio::test]
async fn from_a_click_to_a_typed_key_and_back() {
    let kit = Kit::new().await;
    let server = kit.serve(64).await;
    let (stop, app) = (server.stop.clone(), kit.app.clone());
    let background = tokio::spawn(async move { app.run(stop).await });
    let (session, bearer) = kit.session().await;
    let ticket = kit.ticket(&session, &bearer).await;
    // opened before there is a sandbox: it carries the progress too
    let mut socket = open(server.address, &format!("/api/v1/ws?ticket={ticket}"))
        .await
        .unwrap();
    await_text(&mut socket, |m| m["type"] == "session" && m["state"] == "ready").await;
    let attach = json!({"type": "attach", "terminal": 0, "seat": true, "cols": 80, "rows": 24});
    socket.send(Message::text(attach.to_string())).await.unwrap();
    await_text(&mut socket, |m| m["type"] == "seat" && m["seat"]["holder"] == "you").await;
    let typed = BrowserFrame::Input {
        terminal: 0,
        seq: 1,
        bytes: "echo héllo\r".into(),
    };
    socket.send(Message::Binary(typed.encode())).await.unwrap();
    let agent = kit
        .runtime
        .agent(lab_core::SandboxId(session.parse().unwrap()))
        .expect("a sandbox of the session's id");
    timeout(DEADLINE, async {
        while agent.typed(0) != "echo héllo\r".as_bytes() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the key is in the sandbox");
    agent.output(0, "the answer".as_bytes());
    await_output(&mut socket, "the answer").await;
    server.stop.cancel();
    assert_eq!(close_code(&mut socket).await, 1001, "the server stops: come back");
    timeout(DEADLINE, background).await.unwrap().unwrap().unwrap();
    server.end().await;
}
