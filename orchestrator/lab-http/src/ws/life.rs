//! A socket's life: reading with limits, writing with a pulse, and one way to end.

use crate::Pace;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use axum_tungstenite::{Error as WsError, error::ProtocolError};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How a socket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Close {
    code: u16,
    reason: &'static str,
    /// False when there is nobody left to tell.
    told: bool,
}

impl Close {
    /// Ends with this code (`docs/protocol.md`) and public reason.
    pub fn with(code: u16, reason: &'static str) -> Self {
        Self {
            code,
            reason,
            told: true,
        }
    }

    /// The peer closed, or its connection broke: 1005 and 1006 are what a WebSocket calls it, and are never sent.
    pub fn gone(code: u16) -> Self {
        Self {
            code,
            reason: "",
            told: false,
        }
    }
}

/// When the two halves last got somewhere, in milliseconds of the socket's life. Shared by the halves of one task.
pub(super) struct Pulse {
    born: Instant,
    pace: Pace,
    heard: AtomicU64,
    /// Since when one frame waits for the peer to take it; 0 when none does.
    sending: AtomicU64,
    /// Since when one message waits for the hub to take it; 0 when none does.
    handing: AtomicU64,
}

/// What a watched socket stands still at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stalls {
    /// No frame came.
    Silent,
    /// The peer takes nothing.
    NotReading,
    /// The hub takes nothing.
    HubFull,
}

impl Pulse {
    pub fn new(pace: Pace) -> Self {
        Self {
            born: Instant::now(),
            pace,
            heard: AtomicU64::new(1),
            sending: AtomicU64::new(0),
            handing: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        // never 0, which means "not waiting"
        self.born.elapsed().as_millis() as u64 + 1
    }

    /// Awaits the hub, watched.
    pub async fn handing<T>(&self, put: impl Future<Output = T>) -> T {
        self.handing.store(self.now(), Relaxed);
        let done = put.await;
        self.handing.store(0, Relaxed);
        // a peer is not silent while we do not listen
        self.heard.store(self.now(), Relaxed);
        done
    }

    /// What stands still for longer than the pace allows, if anything does.
    fn stalled(&self) -> Option<Stalls> {
        let (now, max) = (self.now(), self.pace.silent_max.as_millis() as u64);
        let over = |since: u64| since != 0 && now.saturating_sub(since) >= max;
        if over(self.handing.load(Relaxed)) {
            Some(Stalls::HubFull)
        } else if over(self.sending.load(Relaxed)) {
            Some(Stalls::NotReading)
        } else if over(self.heard.load(Relaxed)) && self.handing.load(Relaxed) == 0 {
            Some(Stalls::Silent)
        } else {
            None
        }
    }

    /// Ends when the socket must: it stands still, or the server stops and the hub has had its time to say so first.
    pub async fn watch(&self, stop: &CancellationToken) -> Close {
        // an eighth: 30 s are found out after 34 at the latest, for one timer per socket
        let look = (self.pace.silent_max / 8).max(Duration::from_millis(1));
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    sleep(self.pace.goodbye).await;
                    return Close::with(1001, "server-stops");
                }
                () = sleep(look) => match self.stalled() {
                    None => {}
                    Some(Stalls::HubFull) => return Close::with(4429, "queue-full"),
                    Some(Stalls::Silent | Stalls::NotReading) => return Close::with(4408, "no-answer"),
                },
            }
        }
    }
}

/// The reading half.
pub(super) struct Inbox<'a> {
    pub stream: SplitStream<WebSocket>,
    pub pulse: &'a Pulse,
}

impl Inbox<'_> {
    /// The next text or binary message.
    pub async fn next(&mut self) -> Result<Message, Close> {
        loop {
            let message = match self.stream.next().await {
                None => return Err(Close::gone(1006)),
                Some(Err(e)) => return Err(classify(e)),
                Some(Ok(message)) => message,
            };
            self.pulse.heard.store(self.pulse.now(), Relaxed);
            match message {
                Message::Text(_) | Message::Binary(_) => return Ok(message),
                // tungstenite has answered it
                Message::Close(frame) => return Err(Close::gone(frame.map_or(1005, |f| f.code))),
                Message::Ping(_) | Message::Pong(_) => {}
            }
        }
    }
}

/// What a broken read was.
fn classify(e: axum::Error) -> Close {
    match e.into_inner().downcast_ref::<WsError>() {
        Some(WsError::Capacity(_)) => Close::with(4429, "frame-too-large"),
        Some(WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Close::gone(1006),
        Some(WsError::Protocol(_) | WsError::Utf8(_)) => Close::with(4400, "out-of-protocol"),
        _ => Close::gone(1006),
    }
}

/// The writing half.
pub(super) struct Outbox<'a> {
    sink: SplitSink<WebSocket, Message>,
    pulse: &'a Pulse,
    pings: Interval,
}

impl<'a> Outbox<'a> {
    pub fn new(sink: SplitSink<WebSocket, Message>, pulse: &'a Pulse) -> Self {
        let mut pings = interval_at(Instant::now() + pulse.pace.ping_every, pulse.pace.ping_every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { sink, pulse, pings }
    }

    /// Sends one frame; waits as long as the peer does not take it, which [`Pulse::watch`] bounds.
    pub async fn send(&mut self, message: Message) -> Result<(), Close> {
        self.pulse.sending.store(self.pulse.now(), Relaxed);
        let sent = self.sink.send(message).await;
        self.pulse.sending.store(0, Relaxed);
        sent.map_err(|_| Close::gone(1006))
    }

    /// The next of `source`, with pings sent while it has none. `None` at its end.
    pub async fn next_of<T>(&mut self, source: &mut tokio::sync::mpsc::Receiver<T>) -> Result<Option<T>, Close> {
        loop {
            tokio::select! {
                item = source.recv() => return Ok(item),
                _ = self.pings.tick() => self.send(Message::Ping(bytes::Bytes::new())).await?,
            }
        }
    }

    /// Says why, if there is somebody to say it to, and ends. The code, for the numbers.
    pub async fn close(mut self, close: Close) -> u16 {
        if close.told {
            let frame = Message::Close(Some(CloseFrame {
                code: close.code,
                reason: close.reason.into(),
            }));
            // a peer that takes nothing gets no more time than this
            let _ = timeout(self.pulse.pace.goodbye, async {
                self.sink.send(frame).await?;
                self.sink.close().await
            })
            .await;
        }
        close.code
    }
}

/// Reads to the end of a socket that we have closed, for a moment: a peer that was writing would otherwise see a reset instead of
/// the code.
pub(super) async fn drain(mut stream: SplitStream<WebSocket>, pace: Pace) {
    let _ = timeout(pace.goodbye, async { while let Some(Ok(_)) = stream.next().await {} }).await;
}

/// Ends a socket that never began.
pub(super) async fn refuse(socket: WebSocket, close: Close, pace: Pace) -> u16 {
    let pulse = Pulse::new(pace);
    let (sink, stream) = socket.split();
    let code = Outbox::new(sink, &pulse).close(close).await;
    drain(stream, pace).await;
    code
}
