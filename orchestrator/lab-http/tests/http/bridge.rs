//! The bridge between a socket and a hub's queues, with a hub that the test plays and peers that do not behave.

use crate::kit::{DEADLINE, Server};
use axum::{Router, extract::WebSocketUpgrade, routing::get};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use lab_app::terminal::{FromHub, ToHub};
use lab_core::{
    limits::{BROWSER_FRAME_MAX, INPUT_BYTES_MAX},
    terminal::{BROWSER_PROTOCOL, BrowserFrame, FLAG_DEFLATE, ToBrowser},
};
use lab_http::{BridgeOptions, Pace, bridge_terminal, socket_limits};
use std::{io::Read, time::Duration};
use tokio::{
    net::TcpStream,
    sync::mpsc::{Receiver, Sender, channel},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest, protocol::frame::coding::CloseCode},
};
use tokio_util::sync::CancellationToken;

/// A hub's own queue sizes.
const QUEUE: usize = 32;
const SLOW: Pace = Pace {
    ping_every: Duration::from_secs(15),
    silent_max: Duration::from_secs(30),
    goodbye: Duration::from_millis(200),
    login_every: Duration::from_secs(30),
};
const QUICK: Pace = Pace {
    ping_every: Duration::from_millis(100),
    silent_max: Duration::from_millis(400),
    goodbye: Duration::from_millis(100),
    login_every: Duration::from_secs(30),
};

/// Of peers that live: this process may stand still for seconds, and they answer when it goes on.
const PATIENT: Pace = Pace {
    ping_every: Duration::from_millis(250),
    silent_max: Duration::from_secs(5),
    ..QUICK
};

pub type Client = WebSocketStream<TcpStream>;

/// The hub's ends of one bridge.
struct Hub {
    to: Receiver<ToHub>,
    from: Sender<FromHub>,
}

struct Bench {
    server: Server,
    hubs: Receiver<Hub>,
}

impl Bench {
    /// A server whose sockets are bridges to hubs that have said `first`.
    async fn new(pace: Pace, compress: bool, first: Vec<FromHub>) -> Self {
        let (give, hubs) = channel(64);
        let stop = CancellationToken::new();
        let handler = {
            let stop = stop.clone();
            move |upgrade: WebSocketUpgrade| async move {
                let ((to_hub, to), (from, from_hub)) = (channel(QUEUE), channel(QUEUE));
                for message in first {
                    from.try_send(message).unwrap();
                }
                give.send(Hub { to, from }).await.unwrap();
                let options = BridgeOptions { pace, compress };
                socket_limits(upgrade, BROWSER_PROTOCOL).on_upgrade(move |socket| async move {
                    bridge_terminal(socket, to_hub, from_hub, options, stop).await;
                })
            }
        };
        Self {
            server: Server::start(Router::new().route("/ws", get(handler)), 64, stop).await,
            hubs,
        }
    }

    async fn connect(&mut self) -> (Client, Hub) {
        let client = open(self.server.address, "/ws").await.unwrap();
        (client, timeout(DEADLINE, self.hubs.recv()).await.unwrap().unwrap())
    }
}

pub async fn open(address: std::net::SocketAddr, path: &str) -> Result<Client, tokio_tungstenite::tungstenite::Error> {
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", "labwire.v1, labwire.wall.v1".parse().unwrap());
    let stream = TcpStream::connect(address).await.unwrap();
    client_async(request, stream).await.map(|(client, _)| client)
}

/// Reads to the close frame; its code, 1006 when the connection just ended.
pub async fn close_code(client: &mut Client) -> u16 {
    let end = async {
        loop {
            match client.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return u16::from(frame.code),
                Some(Ok(_)) => {}
                _ => return u16::from(CloseCode::Abnormal),
            }
        }
    };
    timeout(DEADLINE, end).await.expect("the socket is closed")
}

async fn next_frame(client: &mut Client) -> BrowserFrame {
    let frame = async {
        loop {
            if let Message::Binary(bytes) = client.next().await.unwrap().unwrap() {
                return BrowserFrame::decode(bytes).unwrap();
            }
        }
    };
    timeout(DEADLINE, frame).await.expect("a frame comes")
}

fn output(offset: u64, bytes: impl Into<Bytes>) -> FromHub {
    FromHub::Output {
        terminal: 0,
        offset,
        bytes: bytes.into(),
    }
}

#[tokio::test]
async fn what_both_say_arrives_in_order() {
    let mut bench = Bench::new(SLOW, false, vec![]).await;
    let (mut client, mut hub) = bench.connect().await;
    client
        .send(Message::text(
            "{\"type\":\"attach\",\"terminal\":0,\"seat\":true,\"cols\":80,\"rows\":24}",
        ))
        .await
        .unwrap();
    let typed = BrowserFrame::Input {
        terminal: 0,
        seq: 1,
        bytes: Bytes::from_static(b"ls\r"),
    };
    client.send(Message::Binary(typed.encode())).await.unwrap();
    client
        .send(Message::Binary(BrowserFrame::Drawn { terminal: 0, offset: 9 }.encode()))
        .await
        .unwrap();
    assert!(matches!(hub.to.recv().await, Some(ToHub::Control(_))));
    assert!(matches!(hub.to.recv().await, Some(ToHub::Input { seq: 1, bytes, .. }) if &bytes[..] == b"ls\r"));
    assert!(matches!(hub.to.recv().await, Some(ToHub::Drawn { offset: 9, .. })));
    hub.from.send(FromHub::InputAck { terminal: 0, seq: 1 }).await.unwrap();
    hub.from
        .send(FromHub::Control(Box::new(ToBrowser::Pong { t: 7 })))
        .await
        .unwrap();
    hub.from
        .send(FromHub::Close {
            code: 4403,
            reason: "not-allowed",
        })
        .await
        .unwrap();
    assert_eq!(
        next_frame(&mut client).await,
        BrowserFrame::InputAck { terminal: 0, seq: 1 }
    );
    assert_eq!(
        client.next().await.unwrap().unwrap(),
        Message::text("{\"type\":\"pong\",\"t\":7}")
    );
    assert_eq!(close_code(&mut client).await, 4403);
    assert!(hub.to.recv().await.is_none(), "the hub sees that the viewer is gone");
    bench.server.end().await;
}

#[tokio::test]
async fn queued_output_is_one_frame_and_never_larger_than_one() {
    let pieces: Vec<FromHub> = (0..20).map(|i| output(i * 1000, vec![b'a' + i as u8; 1000])).collect();
    let mut bench = Bench::new(SLOW, false, pieces).await;
    let (mut client, hub) = bench.connect().await;
    let BrowserFrame::Output {
        flags: 0,
        offset: 0,
        bytes,
        ..
    } = next_frame(&mut client).await
    else {
        panic!("plain output from 0")
    };
    assert_eq!(bytes.len(), 20_000);
    assert!(
        bytes
            .chunks(1000)
            .enumerate()
            .all(|(i, c)| c.iter().all(|b| *b == b'a' + i as u8)),
        "in order"
    );
    hub.from.send(output(20_000, vec![b'x'; 100_000])).await.unwrap();
    let mut end = 20_000;
    while end < 120_000 {
        let BrowserFrame::Output { offset, bytes, .. } = next_frame(&mut client).await else {
            panic!("output")
        };
        assert_eq!(offset, end);
        assert!(bytes.len() <= 32 * 1024);
        end += bytes.len() as u64;
    }
    drop(hub);
    assert_eq!(close_code(&mut client).await, 1001, "a hub that is gone: come back");
    bench.server.end().await;
}

#[tokio::test]
async fn who_asks_for_deflate_gets_it_where_it_pays() {
    let text = b"R1# show ip route\r\n".repeat(200);
    let mut bench = Bench::new(SLOW, true, vec![output(0, text.clone())]).await;
    let (mut client, hub) = bench.connect().await;
    let BrowserFrame::Output {
        flags: FLAG_DEFLATE,
        offset: 0,
        bytes,
        ..
    } = next_frame(&mut client).await
    else {
        panic!("deflated")
    };
    let mut plain = Vec::new();
    flate2::read::DeflateDecoder::new(&bytes[..])
        .read_to_end(&mut plain)
        .unwrap();
    assert!(plain == text && bytes.len() < text.len() / 4);
    hub.from.send(output(text.len() as u64, &b"R1# "[..])).await.unwrap();
    assert!(
        matches!(next_frame(&mut client).await, BrowserFrame::Output { flags: 0, .. }),
        "too short to pay"
    );
    bench.server.end().await;
}

#[tokio::test]
async fn a_peer_out_of_protocol_is_closed_with_the_code_that_says_so() {
    let mut bench = Bench::new(SLOW, false, vec![]).await;
    let input = |len: usize| {
        Message::Binary(
            BrowserFrame::Input {
                terminal: 0,
                seq: 1,
                bytes: vec![b'x'; len].into(),
            }
            .encode(),
        )
    };
    for (message, code) in [
        (Message::text("hello"), 4400),
        (Message::text("{\"type\":\"attach\"}"), 4400),
        (Message::binary(&b"\xff\xff\xff"[..]), 4400),
        (
            Message::Binary(BrowserFrame::InputAck { terminal: 0, seq: 1 }.encode()),
            4400,
        ),
        (Message::text(format!("{{\"type\":\"{}\"}}", "x".repeat(5000))), 4429),
        (input(INPUT_BYTES_MAX + 1), 4429),
        // stopped by the socket itself, before it is read: holds that our tungstenite is axum's
        (input(BROWSER_FRAME_MAX), 4429),
    ] {
        let (mut client, mut hub) = bench.connect().await;
        client.send(message).await.unwrap();
        assert_eq!(close_code(&mut client).await, code);
        assert!(
            timeout(DEADLINE, hub.to.recv()).await.unwrap().is_none(),
            "nothing of it reached the hub"
        );
    }
    bench.server.end().await;
}

#[tokio::test]
async fn bytes_that_are_no_websocket_end_the_socket() {
    use tokio::io::AsyncWriteExt;
    let mut bench = Bench::new(SLOW, false, vec![]).await;
    let (mut client, mut hub) = bench.connect().await;
    client.get_mut().write_all(&[0xff; 64]).await.unwrap();
    assert_eq!(close_code(&mut client).await, 4400);
    assert!(timeout(DEADLINE, hub.to.recv()).await.unwrap().is_none());
    bench.server.end().await;
}

#[tokio::test]
async fn a_flood_of_frames_is_refused() {
    let mut bench = Bench::new(SLOW, false, vec![]).await;
    let (mut client, mut hub) = bench.connect().await;
    let drain = tokio::spawn(async move {
        let mut seen = 0;
        while hub.to.recv().await.is_some() {
            seen += 1;
        }
        seen
    });
    for _ in 0..1000 {
        if client.send(Message::text("{\"type\":\"ping\",\"t\":1}")).await.is_err() {
            break;
        }
    }
    assert_eq!(close_code(&mut client).await, 4429);
    let seen = timeout(DEADLINE, drain).await.unwrap().unwrap();
    assert!((100..300).contains(&seen), "a burst passes, not the flood: {seen}");
    bench.server.end().await;
}

#[tokio::test]
async fn a_half_open_peer_is_found_out() {
    let mut bench = Bench::new(QUICK, false, vec![]).await;
    let (client, mut hub) = bench.connect().await;
    // it never reads, so it never answers a ping: a laptop that was closed
    assert!(
        timeout(DEADLINE, hub.to.recv())
            .await
            .expect("the bridge ends by itself")
            .is_none()
    );
    drop(client);
    bench.server.end().await;
    let mut bench = Bench::new(PATIENT, false, vec![]).await;
    let (mut reads, _hub) = bench.connect().await;
    assert!(
        timeout(DEADLINE, reads.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
            .is_ping(),
        "who reads is pinged"
    );
    bench.server.end().await;
}

#[tokio::test]
async fn who_answers_pings_stays_however_idle() {
    let mut bench = Bench::new(PATIENT, false, vec![]).await;
    let (mut client, hub) = bench.connect().await;
    for _ in 0..24 {
        // reading answers pings; so many of them are longer than the longest silence
        assert!(
            timeout(DEADLINE, client.next())
                .await
                .unwrap()
                .unwrap()
                .unwrap()
                .is_ping()
        );
    }
    hub.from.send(output(0, &b"still here"[..])).await.unwrap();
    assert!(matches!(
        next_frame(&mut client).await,
        BrowserFrame::Output { offset: 0, .. }
    ));
    bench.server.end().await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_blocks_only_itself_and_costs_no_more_than_its_queue() {
    let mut bench = Bench::new(QUICK, false, vec![]).await;
    let (mut stalled, hub) = bench.connect().await;
    let (mut healthy, other) = bench.connect().await;
    // the healthy one reads all the while
    let reader = tokio::spawn(async move { next_frame(&mut healthy).await });
    // the stalled one talks, so it is not silent, and reads nothing
    let (mut taken, mut full) = (0u64, false);
    let ended = timeout(DEADLINE, async {
        loop {
            let _ = stalled.feed(Message::Pong(Bytes::new())).await;
            let _ = stalled.flush().await;
            match hub.from.try_send(output(taken * 32_768, vec![b'x'; 32_768])) {
                Ok(()) => taken += 1,
                Err(tokio::sync::mpsc::error::TrySendError::Full(_)) => {
                    full = true;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(tokio::sync::mpsc::error::TrySendError::Closed(_)) => break,
            }
            tokio::task::yield_now().await;
        }
    });
    ended.await.expect("it is closed, though it talks");
    assert!(full, "the hub feels it as a full queue");
    // what the kernel's buffers took, and the queue: loopback's are at most a few MiB
    assert!(taken * 32_768 < 32 * 1024 * 1024, "{taken} frames went somewhere");
    other.from.send(output(0, &b"fine"[..])).await.unwrap();
    assert!(matches!(
        timeout(DEADLINE, reader).await.unwrap().unwrap(),
        BrowserFrame::Output { offset: 0, .. }
    ));
    bench.server.end().await;
}

#[tokio::test]
async fn a_hub_that_takes_nothing_is_waited_for_and_then_the_socket_ends() {
    let mut bench = Bench::new(PATIENT, false, vec![]).await;
    let (mut client, hub) = bench.connect().await;
    for i in 0..=QUEUE as u64 {
        client
            .send(Message::Binary(BrowserFrame::Drawn { terminal: 0, offset: i }.encode()))
            .await
            .unwrap();
    }
    assert_eq!(close_code(&mut client).await, 4429);
    drop(hub);
    bench.server.end().await;
}

#[tokio::test]
async fn a_server_that_stops_lets_the_hub_speak_first() {
    let mut bench = Bench::new(SLOW, false, vec![]).await;
    let (mut client, hub) = bench.connect().await;
    let (mut alone, _silent) = bench.connect().await;
    bench.server.stop.cancel();
    hub.from
        .send(FromHub::Control(Box::new(ToBrowser::GoAway { after_ms: 500 })))
        .await
        .unwrap();
    hub.from
        .send(FromHub::Close {
            code: 1001,
            reason: "go-away",
        })
        .await
        .unwrap();
    let first = timeout(DEADLINE, client.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(first, Message::text("{\"type\":\"go-away\",\"after_ms\":500}"));
    assert_eq!(close_code(&mut client).await, 1001);
    assert_eq!(
        close_code(&mut alone).await,
        1001,
        "and one whose hub says nothing is closed all the same"
    );
    bench.server.end().await;
}
