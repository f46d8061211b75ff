//! One connection from its first byte to its last.

use super::{Refusal, outbox::Outbox, requests};
use crate::agent::Agent;
use futures_util::{
    SinkExt, StreamExt,
    stream::{FuturesUnordered, SplitSink, SplitStream},
};
use lab_core::{
    agent::{AgentFrame, FromAgent, PROTOCOL_VERSION, ToAgent},
    limits::{AGENT_FRAME_MAX, BEAT_EVERY},
};
use std::{rc::Rc, time::Duration};
use tokio::{
    net::UnixStream,
    time::{Instant, interval_at, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async_with_config,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        protocol::WebSocketConfig,
    },
};

/// A peer that connects and says nothing does not keep its place.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// A peer that breaks the protocol gets this long to read why.
const FAREWELL: Duration = Duration::from_secs(1);
/// Snapshots drawn at once for one connection; further requests wait unread.
const SNAPSHOTS_MAX: usize = 16;
/// Read buffer of a connection. The library clears as much before each read, and what comes is keys, credit and `taken`: 128 KiB, its default, would be
/// cleared two thousand times a second under a flood, out of the caches that the flood is in.
const READ_BUFFER_BYTES: usize = 4 * 1024;

type Socket = WebSocketStream<UnixStream>;

/// Serves one connection.
pub async fn run(agent: Rc<Agent>, stream: UnixStream, outbox: Rc<Outbox>) {
    if let Ok(Some(socket)) = timeout(HELLO_WITHIN, greet(stream)).await {
        outbox.say(&FromAgent::Welcome(agent.welcome()));
        let (sink, stream) = socket.split();
        let writing = write(&agent, &outbox, sink);
        tokio::pin!(writing);
        tokio::select! {
            () = read(&agent, &outbox, stream) => {
                outbox.end();
                // why the result is dropped: the peer is told why if it still reads, and is gone otherwise
                let _ = timeout(FAREWELL, &mut writing).await;
            }
            () = &mut writing => {}
        }
    }
    agent.connections.close(outbox.id);
    agent.terminals().iter().for_each(|t| t.connection_ended(outbox.id));
    for viewer in outbox.viewers.take() {
        agent.join(lab_core::journal::Join { here: false, ..viewer });
    }
}

/// The handshake and the first message. None when the peer is not one of ours.
async fn greet(stream: UnixStream) -> Option<Socket> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(Some(AGENT_FRAME_MAX))
        .max_frame_size(Some(AGENT_FRAME_MAX));
    let mut socket = accept_hdr_async_with_config(stream, only_v1, Some(config)).await.ok()?;
    let version = match socket.next().await? {
        Ok(Message::Text(text)) => match serde_json::from_str(&text) {
            Ok(ToAgent::Hello { version }) => version,
            _ => 0,
        },
        _ => 0,
    };
    if version == PROTOCOL_VERSION {
        return Some(socket);
    }
    let (code, message) = match version {
        0 => ("malformed", "the first message must be `hello`".to_owned()),
        _ => (
            "version",
            format!("version is {version}, this agent speaks {PROTOCOL_VERSION}"),
        ),
    };
    crate::log::line("warn", "connection-refused", &message);
    let refused = FromAgent::Refused {
        request: None,
        code: code.into(),
        message,
    };
    let text = serde_json::to_string(&refused).expect("our message types always serialise");
    socket.send(Message::text(text)).await.ok()?;
    socket.close(None).await.ok()?;
    None
}

#[expect(clippy::result_large_err, reason = "the handshake's callback has this signature")]
fn only_v1(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    if request.uri().path() == "/v1" {
        return Ok(response);
    }
    let mut refused = ErrorResponse::new(Some("the agent serves /v1".to_owned()));
    *refused.status_mut() = tokio_tungstenite::tungstenite::http::StatusCode::NOT_FOUND;
    Err(refused)
}

/// Sends what there is to send until the connection ends.
async fn write(agent: &Agent, outbox: &Outbox, mut sink: SplitSink<Socket, Message>) {
    let mut beat = interval_at(Instant::now() + BEAT_EVERY, BEAT_EVERY);
    loop {
        let next = outbox.next(&agent.journal.borrow());
        if let Some(message) = next {
            if sink.feed(message).await.is_err() {
                return;
            }
            continue;
        }
        if sink.flush().await.is_err() {
            return;
        }
        if outbox.is_ending() {
            // why the result is dropped: a peer that is gone cannot be told goodbye
            let _ = sink.close().await;
            return;
        }
        tokio::select! {
            () = outbox.wake.notified() => {}
            _ = beat.tick() => outbox.say(&FromAgent::Beat { now_us: agent.clock.now_us() }),
        }
    }
}

/// Does what the peer asks until it leaves or breaks the protocol.
async fn read(agent: &Rc<Agent>, outbox: &Rc<Outbox>, mut stream: SplitStream<Socket>) {
    let mut snapshots = FuturesUnordered::new();
    while !outbox.is_ending() {
        let message = tokio::select! {
            message = stream.next(), if snapshots.len() < SNAPSHOTS_MAX => message,
            Some(()) = snapshots.next() => continue,
        };
        let (request, done) = match message {
            Some(Ok(Message::Text(text))) => match serde_json::from_str::<ToAgent>(&text) {
                Ok(ToAgent::Snapshot { request, terminal }) if agent.terminal(terminal).is_some() => {
                    snapshots.push(requests::snapshot(
                        Rc::clone(agent),
                        Rc::clone(outbox),
                        request,
                        terminal,
                    ));
                    continue;
                }
                Ok(message) => (requests::number(&message), requests::text(agent, outbox, message)),
                Err(error) => (None, Err(Refusal::breach(format!("not a message of ours: {error}")))),
            },
            Some(Ok(Message::Binary(bytes))) => match AgentFrame::decode(bytes) {
                Ok(frame) => (None, requests::frame(agent, outbox, frame)),
                Err(error) => (None, Err(Refusal::breach(error.to_string()))),
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return,
        };
        if let Err(Refusal { code, message, ends }) = done {
            outbox.say(&FromAgent::Refused {
                request,
                code: code.to_owned(),
                message,
            });
            if ends {
                return;
            }
        }
    }
}
