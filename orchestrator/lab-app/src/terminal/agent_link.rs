//! The one connection to a session's agent.
//!
//! ```text
//!            start                 welcome
//!  Off ─────────────► Connecting ───────────► Up ──┐ closed, silent for 15 s, out of protocol
//!   ▲                  ▲      │ failed             │
//!   │ stop             │      ▼                    │
//!   └───────────────── Waiting ◄───────────────────┘   50 ms → 5 s, full jitter; from 50 ms again after a message that was in protocol
//! ```
//! Polled by the hub's own task: no task and no queue of its own beyond the messages that wait for the line. Everything is
//! cancel-safe, so that the hub may turn to a browser between any two bytes.

use super::limits::{BACKOFF_FIRST, BACKOFF_MAX, BACKOFF_UNMET, CONNECT_WITHIN, LINK_QUEUE_BYTES, SILENCE_MAX};
use futures_util::{FutureExt, SinkExt, StreamExt, future::BoxFuture};
use lab_core::{
    SandboxId,
    agent::{AgentFrame, FromAgent, PROTOCOL_VERSION, ToAgent, Welcome},
    limits::AGENT_FRAME_MAX,
    port::{ByteStream, RuntimeError},
};
use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};

use crate::{Ports, tasks::part_of};

type Socket = WebSocketStream<Compat<Box<dyn ByteStream>>>;

/// Read buffer of the line, and the most that is read at once: an idle session keeps so much (500 of them 8 MiB), and a longer message grows it for
/// as long as it takes. A flood's 64 KiB are four reads.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// What the hub hears.
#[derive(Debug)]
pub(super) enum LinkEvent {
    Up(Box<Welcome>),
    Frame(AgentFrame),
    Text(FromAgent),
    /// The line is gone; another attempt follows by itself.
    Down(LinkError),
}

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("the agent did not answer in time")]
    Timeout,
    #[error("the agent was silent")]
    Silent,
    #[error("the agent closed the connection")]
    Closed,
    #[error("the connection broke")]
    Broken(#[source] Box<tokio_tungstenite::tungstenite::Error>),
    #[error("the agent sent what is not of the protocol: {0}")]
    Protocol(String),
    #[error("the agent refused: {0}")]
    Refused(String),
}

impl LinkError {
    /// Metric label.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Runtime(e) => e.code(),
            Self::Timeout => "agent-timeout",
            Self::Silent => "agent-silent",
            Self::Closed => "agent-closed",
            Self::Broken(_) => "agent-broken",
            Self::Protocol(_) => "agent-protocol",
            Self::Refused(_) => "agent-refused",
        }
    }
}

impl From<tokio_tungstenite::tungstenite::Error> for LinkError {
    fn from(e: tokio_tungstenite::tungstenite::Error) -> Self {
        use tokio_tungstenite::tungstenite::Error as E;
        match e {
            E::ConnectionClosed | E::AlreadyClosed => Self::Closed,
            E::Protocol(p) => Self::Protocol(p.to_string()),
            e => Self::Broken(Box::new(e)),
        }
    }
}

enum State {
    Off,
    Waiting(Pin<Box<Sleep>>),
    Connecting(BoxFuture<'static, Result<(Socket, Box<Welcome>), LinkError>>),
    Up(Box<Line>),
}

struct Line {
    socket: Socket,
    queue: VecDeque<Message>,
    queued_bytes: usize,
    unflushed: bool,
    silence: Pin<Box<Sleep>>,
}

/// See the module's doc.
pub(super) struct AgentLink {
    ports: Ports,
    sandbox: SandboxId,
    state: State,
    /// Attempts in a row that came to nothing: no welcome, or none of what should follow it.
    failures: u32,
    met: bool,
}

impl AgentLink {
    pub fn new(ports: Ports, sandbox: SandboxId) -> Self {
        Self {
            ports,
            sandbox,
            state: State::Off,
            failures: 0,
            met: false,
        }
    }

    /// Connects, and stays connected from here on.
    pub fn start(&mut self) {
        if matches!(self.state, State::Off) {
            self.connect();
        }
    }

    /// Ends the connection and makes no other.
    pub fn stop(&mut self) {
        self.state = State::Off;
    }

    /// Ends the connection and makes a new one at once: to follow from elsewhere.
    pub fn restart(&mut self) {
        if !matches!(self.state, State::Off) {
            self.connect();
        }
    }

    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// More waits for the line than should: do not read those who send more.
    pub fn is_congested(&self) -> bool {
        matches!(&self.state, State::Up(line) if line.queued_bytes > LINK_QUEUE_BYTES)
    }

    /// What came over this line was in protocol. A welcome alone proves nothing: after one that is followed by nonsense, each time, the
    /// next attempt would come at once for ever.
    pub fn proven(&mut self) {
        self.failures = 0;
    }

    /// The hub did not listen for a while, for reasons of its own: that was not the agent's silence.
    pub fn excuse(&mut self) {
        if let State::Up(line) = &mut self.state {
            line.silence.as_mut().reset(Instant::now() + SILENCE_MAX);
        }
    }

    /// Queues a control message; dropped when there is no line (what must survive is sent again after `Up`).
    pub fn send(&mut self, message: &ToAgent) {
        let text = serde_json::to_string(message).expect("our messages always serialise");
        self.queue(Message::text(text));
    }

    /// Queues a binary message, like [`AgentLink::send`].
    pub fn frame(&mut self, frame: &AgentFrame) {
        self.queue(Message::binary(frame.encode()));
    }

    fn queue(&mut self, message: Message) {
        if let State::Up(line) = &mut self.state {
            line.queued_bytes += message.len();
            line.queue.push_back(message);
        }
    }

    /// The next thing that happens. Cancel-safe; waits for ever when off.
    pub async fn next(&mut self) -> LinkEvent {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent> {
        loop {
            match &mut self.state {
                State::Off => return Poll::Pending,
                State::Waiting(sleep) => {
                    ready!(sleep.poll_unpin(cx));
                    self.connect();
                }
                State::Connecting(attempt) => match ready!(attempt.poll_unpin(cx)) {
                    Ok((socket, welcome)) => {
                        self.met = true;
                        self.state = State::Up(Box::new(Line {
                            socket,
                            queue: VecDeque::new(),
                            queued_bytes: 0,
                            unflushed: false,
                            silence: Box::pin(sleep_until(Instant::now() + SILENCE_MAX)),
                        }));
                        return Poll::Ready(LinkEvent::Up(welcome));
                    }
                    Err(e) => return Poll::Ready(self.down(e)),
                },
                State::Up(line) => {
                    let heard = ready!(line.poll(cx));
                    return Poll::Ready(heard.unwrap_or_else(|e| self.down(e)));
                }
            }
        }
    }

    /// The agent broke the rules: ends this connection; another follows after a pause.
    pub fn down(&mut self, why: LinkError) -> LinkEvent {
        let longest = if self.met { BACKOFF_MAX } else { BACKOFF_UNMET };
        let most = BACKOFF_FIRST.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures += 1;
        let pause = part_of(most, self.ports.entropy.as_ref());
        self.state = State::Waiting(Box::pin(sleep_until(Instant::now() + pause)));
        LinkEvent::Down(why)
    }

    fn connect(&mut self) {
        let (ports, sandbox) = (self.ports.clone(), self.sandbox);
        let attempt = async move {
            timeout(CONNECT_WITHIN, meet(&ports, sandbox))
                .await
                .unwrap_or(Err(LinkError::Timeout))
        };
        self.state = State::Connecting(attempt.boxed());
    }
}

/// Connects, reads the agent's state, and hangs up; `None` when it cannot be reached now.
pub(crate) async fn look_at_agent(ports: &Ports, sandbox: SandboxId) -> Option<Welcome> {
    let met = timeout(CONNECT_WITHIN, meet(ports, sandbox)).await;
    match met.unwrap_or(Err(LinkError::Timeout)) {
        Ok((_, welcome)) => Some(*welcome),
        Err(why) => {
            tracing::debug!(sandbox.id = %sandbox, code = why.code(), error = %why, "the agent does not answer");
            None
        }
    }
}

async fn meet(ports: &Ports, sandbox: SandboxId) -> Result<(Socket, Box<Welcome>), LinkError> {
    let stream = ports.runtime.connect(sandbox).await?.compat();
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        // every message goes out at once: keys must not wait for others
        .write_buffer_size(0)
        .max_message_size(Some(AGENT_FRAME_MAX))
        .max_frame_size(Some(AGENT_FRAME_MAX));
    let (mut socket, _) = client_async_with_config("ws://agent/v1", stream, Some(config)).await?;
    let hello = serde_json::to_string(&ToAgent::Hello {
        version: PROTOCOL_VERSION,
    })
    .expect("a plain struct serialises");
    socket.send(Message::text(hello)).await?;
    loop {
        match socket.next().await.ok_or(LinkError::Closed)?? {
            Message::Text(text) => match parse(&text)? {
                FromAgent::Welcome(w) => return Ok((socket, Box::new(w))),
                FromAgent::Refused { code, message, .. } => {
                    return Err(LinkError::Refused(format!("{code}: {message}")));
                }
                FromAgent::Beat { .. } | FromAgent::Done { .. } => {}
            },
            Message::Close(_) => return Err(LinkError::Closed),
            _ => {}
        }
    }
}

fn parse(text: &str) -> Result<FromAgent, LinkError> {
    serde_json::from_str(text).map_err(|e| LinkError::Protocol(e.to_string()))
}

impl Line {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<LinkEvent, LinkError>> {
        self.poll_write(cx)?;
        while let Poll::Ready(next) = self.socket.poll_next_unpin(cx) {
            let message = next.ok_or(LinkError::Closed)??;
            self.silence.as_mut().reset(Instant::now() + SILENCE_MAX);
            match message {
                Message::Binary(bytes) => {
                    let frame = AgentFrame::decode(bytes).map_err(|e| LinkError::Protocol(e.to_string()))?;
                    return Poll::Ready(Ok(LinkEvent::Frame(frame)));
                }
                Message::Text(text) => return Poll::Ready(parse(&text).map(LinkEvent::Text)),
                Message::Close(_) => return Poll::Ready(Err(LinkError::Closed)),
                _ => {}
            }
        }
        ready!(self.silence.poll_unpin(cx));
        Poll::Ready(Err(LinkError::Silent))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), LinkError> {
        while !self.queue.is_empty() && self.socket.poll_ready_unpin(cx)?.is_ready() {
            if let Some(message) = self.queue.pop_front() {
                self.queued_bytes -= message.len();
                self.socket.start_send_unpin(message)?;
                self.unflushed = true;
            }
        }
        if self.unflushed && self.socket.poll_flush_unpin(cx)?.is_ready() {
            self.unflushed = false;
        }
        Ok(())
    }
}
