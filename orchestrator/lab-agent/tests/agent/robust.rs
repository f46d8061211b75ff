//! Peers that break the protocol, and the bridge.

use crate::client::{SOON, Sandbox, script};
use futures_util::{SinkExt, StreamExt};
use lab_core::agent::{FromAgent, ToAgent};
use std::{os::unix::fs::PermissionsExt, process::Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::{client_async, tungstenite::Message};

#[tokio::test]
async fn nonsense_is_refused_and_the_agent_goes_on() {
    let sandbox = Sandbox::start(&script("sleep 100"));
    for message in [
        Message::binary(vec![]),
        Message::binary(vec![99, 1, 2]),
        Message::binary(vec![3, 0]),
        Message::binary(vec![1; 40]),
        Message::text("{}"),
        Message::text(r#"{"type":"hello","version":1}"#),
        Message::text(r#"{"type":"follow","from":18446744073709551615}"#),
    ] {
        let mut client = sandbox.connect().await;
        client.raw(message.clone()).await;
        while client.read().await {}
        assert_eq!(client.refused, ["malformed"], "{message:?}");
    }
    let mut raw = sandbox.stream().await;
    raw.write_all(&[0xff; 5000]).await.unwrap();
    sandbox.connect().await;
}

#[tokio::test]
async fn another_protocol_version_is_refused_by_name() {
    let sandbox = Sandbox::start(&script("sleep 100"));
    let (mut socket, _) = client_async("ws://agent/v1", sandbox.stream().await).await.unwrap();
    let hello = serde_json::to_string(&ToAgent::Hello { version: 2 }).unwrap();
    socket.send(Message::text(hello)).await.unwrap();
    let answer = socket.next().await.unwrap().unwrap();
    let FromAgent::Refused { code, .. } = serde_json::from_str(answer.to_text().unwrap()).unwrap() else {
        panic!()
    };
    assert_eq!(code, "version");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_others_stay() {
    let sandbox = Sandbox::start(&script("sleep 100"));
    let mut held = vec![];
    for _ in 0..32 {
        held.push(sandbox.connect().await);
    }
    let mut surplus = sandbox.stream().await;
    let closed = tokio::time::timeout(SOON, surplus.read(&mut [0; 16]))
        .await
        .expect("closed at once");
    assert!(matches!(closed, Ok(0) | Err(_)));
    held[31].say(&ToAgent::Follow { from: 0 }).await;
    held[31].until(|c| !c.records.is_empty()).await;
}

#[tokio::test]
async fn the_agents_files_are_its_owners_only() {
    let sandbox = Sandbox::start(&script("sleep 100"));
    sandbox.connect().await;
    let mode = |name: &str| {
        std::fs::metadata(sandbox.dir.path().join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode("run"), mode("run/agent.sock")), (0o700, 0o600));
}

#[tokio::test]
async fn connect_bridges_stdio_and_ends_with_it() {
    let sandbox = Sandbox::start(&script("sleep 100"));
    sandbox.connect().await;
    let mut bridge = tokio::process::Command::new(env!("CARGO_BIN_EXE_lab-agent"))
        .arg("connect")
        .arg("--dir")
        .arg(sandbox.dir.path().join("run"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let stdio = tokio::io::join(bridge.stdout.take().unwrap(), bridge.stdin.take().unwrap());
    let (mut socket, _) = client_async("ws://agent/v1", stdio).await.unwrap();
    let hello = serde_json::to_string(&ToAgent::Hello { version: 1 }).unwrap();
    socket.send(Message::text(hello)).await.unwrap();
    let answer = socket.next().await.unwrap().unwrap();
    assert!(matches!(
        serde_json::from_str(answer.to_text().unwrap()),
        Ok(FromAgent::Welcome(_))
    ));
    drop(socket);
    let status = tokio::time::timeout(SOON, bridge.wait())
        .await
        .expect("ends with stdin")
        .unwrap();
    assert_eq!(status.code(), Some(0));
}
