//! The WebSocket of one tab, with the page's bookkeeping: output by offset without hole or double, numbered input kept until
//! acknowledged, what is drawn reported at a chosen pace, reconnection.

mod socket;

use self::socket::{Sink, connect};
use crate::Api;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures_util::SinkExt;
use lab_core::terminal::{BrowserFrame, FromBrowser, ToBrowser};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_tungstenite::tungstenite::Message;

/// How fast this tab draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as it arrives.
    Fast,
    /// At most so many bytes a second: reads the socket no faster.
    BytesPerSecond(u64),
    /// Reads everything, never says it has drawn anything.
    NeverDraws,
    /// Stops reading the socket.
    Stalled,
}

/// What this tab has of one terminal.
#[derive(Clone, Debug, Default)]
pub struct TerminalView {
    /// Bytes since the last snapshot (or the attach offset); trimmed from the front beyond 4 MiB.
    pub bytes: Vec<u8>,
    /// Output offset after the last byte.
    pub offset: u64,
    /// Hash over every output byte received, and how many.
    pub hasher: blake3::Hasher,
    pub received: u64,
    /// Snapshots received, and the last one.
    pub snapshots: u32,
    pub snapshot: Vec<u8>,
    /// Input acknowledged.
    pub acked: u64,
    next_seq: u64,
    unacked: VecDeque<(u64, Bytes)>,
    attached: bool,
}

/// Bytes of a view kept for searching.
const VIEW_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A message is a few bytes and a socket's buffers hold many: one that is not taken for so long never will be.
const SEND_WITHIN: Duration = Duration::from_secs(30);

#[derive(Default)]
struct State {
    terminals: BTreeMap<u16, TerminalView>,
    messages: Vec<ToBrowser>,
    closed: Option<String>,
    broken: Option<String>,
}

/// A tab's socket.
pub struct Tab {
    api: Api,
    session: String,
    pub writer: u64,
    pace: Pace,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    sink: Sink,
    reader: JoinHandle<()>,
}

impl Tab {
    /// Opens the socket of a session.
    pub async fn open(api: &Api, session: &str, pace: Pace) -> Result<Self> {
        let writer = u64::from_be_bytes(uuid::Uuid::new_v4().as_bytes()[..8].try_into()?);
        let state = Arc::new(Mutex::new(State::default()));
        let changed = Arc::new(Notify::new());
        let (sink, reader) = connect(api, session, writer, pace, &state, &changed).await?;
        Ok(Self {
            api: api.clone(),
            session: session.to_owned(),
            writer,
            pace,
            state,
            changed,
            sink,
            reader,
        })
    }

    /// Cuts the connection without a word.
    pub fn cut(&mut self) {
        self.reader.abort();
    }

    /// Connects again as the page does: same writer, `from` where it was, unacknowledged input sent again.
    pub async fn reconnect(&mut self) -> Result<()> {
        self.reader.abort();
        self.lock().closed = None;
        let (sink, reader) = connect(
            &self.api,
            &self.session,
            self.writer,
            self.pace,
            &self.state,
            &self.changed,
        )
        .await?;
        self.sink = sink;
        self.reader = reader;
        let again: Vec<_> = {
            let state = self.lock();
            state
                .terminals
                .iter()
                .filter(|(_, t)| t.attached)
                .map(|(n, t)| (*n, t.offset, t.unacked.iter().cloned().collect::<Vec<_>>()))
                .collect()
        };
        for (terminal, from, input) in again {
            self.send(FromBrowser::Attach {
                terminal,
                from: Some(from),
                seat: true,
                cols: 80,
                rows: 24,
            })
            .await?;
            for (seq, bytes) in input {
                self.frame(&BrowserFrame::Input { terminal, seq, bytes }).await?;
            }
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds this")
    }

    /// Sends a control message.
    pub async fn send(&self, message: FromBrowser) -> Result<()> {
        self.raw(Message::text(serde_json::to_string(&message)?)).await
    }

    /// Sends a binary frame.
    pub async fn frame(&self, frame: &BrowserFrame) -> Result<()> {
        self.raw(Message::binary(frame.encode())).await
    }

    /// Sends any WebSocket message.
    pub async fn raw(&self, message: Message) -> Result<()> {
        let send = async { self.sink.lock().await.send(message).await };
        tokio::time::timeout(SEND_WITHIN, send)
            .await
            .with_context(|| format!("the socket takes nothing for {SEND_WITHIN:?}"))?
            .context("the socket does not take a message")
    }

    /// Shows a terminal as it is now and, with `seat`, asks to type.
    pub async fn attach(&self, terminal: u16, seat: bool) -> Result<()> {
        self.lock().terminals.entry(terminal).or_default().attached = true;
        self.send(FromBrowser::Attach {
            terminal,
            from: None,
            seat,
            cols: 80,
            rows: 24,
        })
        .await?;
        // who comes before a terminal's first byte needs no picture, and gets that byte
        self.until(
            &format!("a picture of terminal {terminal}, or its first output"),
            20,
            |s| {
                s.terminals
                    .get(&terminal)
                    .is_some_and(|t| t.snapshots > 0 || t.received > 0)
            },
        )
        .await
    }

    /// Waits for the terminals (the agent answered), then shows one with the seat.
    pub async fn attach_ready(&self, terminal: u16) -> Result<()> {
        self.ready(60).await?;
        self.attach(terminal, true).await
    }

    /// Waits until the session is ready.
    pub async fn ready(&self, within_s: u64) -> Result<()> {
        self.message("the session is ready", within_s, |m| match m {
            ToBrowser::Session(s) if s.state == "failed" || s.state == "ended" => Some(Err(anyhow::anyhow!("{s:?}"))),
            ToBrowser::Session(s) if s.state == "ready" => Some(Ok(())),
            _ => None,
        })
        .await?
    }

    /// Types; the message's number.
    pub async fn input(&self, terminal: u16, bytes: impl Into<Bytes>) -> Result<u64> {
        let bytes = bytes.into();
        let seq = {
            let mut state = self.lock();
            let t = state.terminals.entry(terminal).or_default();
            t.next_seq += 1;
            let seq = t.next_seq;
            t.unacked.push_back((seq, bytes.clone()));
            seq
        };
        self.frame(&BrowserFrame::Input { terminal, seq, bytes }).await?;
        Ok(seq)
    }

    /// Types and waits until it is in the shell.
    pub async fn type_text(&self, terminal: u16, text: &str) -> Result<()> {
        let seq = self.input(terminal, Bytes::copy_from_slice(text.as_bytes())).await?;
        self.until(&format!("input {seq} is acknowledged"), 20, |s| {
            s.terminals[&terminal].acked >= seq
        })
        .await
    }

    /// Waits until the text (after the last snapshot's, or in it) contains `needle`.
    pub async fn shows(&self, terminal: u16, needle: &str, within_s: u64) -> Result<()> {
        let what = format!("terminal {terminal} shows {needle:?}");
        let seen = self.until(&what, within_s, |s| {
            s.terminals
                .get(&terminal)
                .is_some_and(|t| contains(&t.bytes, needle.as_bytes()) || contains(&t.snapshot, needle.as_bytes()))
        });
        let result = seen.await;
        result.with_context(|| {
            format!(
                "it shows: {:?}",
                String::from_utf8_lossy(&tail(&self.view(terminal).bytes, 600))
            )
        })
    }

    /// Forgets the text so far, so that `shows` finds only what comes.
    pub fn forget(&self, terminal: u16) {
        let mut state = self.lock();
        let t = state.terminals.entry(terminal).or_default();
        t.bytes.clear();
        t.snapshot.clear();
    }

    /// What this tab has of a terminal.
    pub fn view(&self, terminal: u16) -> TerminalView {
        self.lock().terminals.get(&terminal).cloned().unwrap_or_default()
    }

    /// Whether a terminal was asked for.
    pub fn is_attached(&self, terminal: u16) -> bool {
        self.lock().terminals.get(&terminal).is_some_and(|t| t.attached)
    }

    /// Output offset of a terminal, without copying its text.
    pub fn offset(&self, terminal: u16) -> u64 {
        self.lock().terminals.get(&terminal).map_or(0, |t| t.offset)
    }

    /// Every control message so far.
    pub fn messages(&self) -> Vec<ToBrowser> {
        self.lock().messages.clone()
    }

    /// Waits for a control message, past or to come.
    pub async fn message<T>(&self, what: &str, within_s: u64, pick: impl FnMut(&ToBrowser) -> Option<T>) -> Result<T> {
        self.message_since(0, what, within_s, pick).await
    }

    /// Waits for a control message after the first `start` ones (see [`Tab::messages`]).
    pub async fn message_since<T>(
        &self,
        start: usize,
        what: &str,
        within_s: u64,
        mut pick: impl FnMut(&ToBrowser) -> Option<T>,
    ) -> Result<T> {
        let mut found = None;
        self.until(what, within_s, |s| {
            found = s.messages.iter().skip(start).rev().find_map(&mut pick);
            found.is_some()
        })
        .await?;
        found.context("the condition just held")
    }

    /// Why the socket closed, if it did.
    pub fn ended(&self) -> Option<String> {
        self.lock().closed.clone()
    }

    /// Why the socket closed.
    pub async fn closed(&self, within_s: u64) -> Result<String> {
        self.until_open_or_closed("the socket closes", within_s, |s| s.closed.is_some())
            .await?;
        self.lock().closed.clone().context("the condition just held")
    }

    /// Waits for a condition of the output offset.
    pub async fn offset_reaches(&self, terminal: u16, offset: u64, within_s: u64) -> Result<()> {
        self.until(&format!("terminal {terminal} reaches offset {offset}"), within_s, |s| {
            s.terminals.get(&terminal).is_some_and(|t| t.offset >= offset)
        })
        .await
    }

    async fn until(&self, what: &str, within_s: u64, check: impl FnMut(&State) -> bool) -> Result<()> {
        self.until_open_or_closed(what, within_s, check).await?;
        Ok(())
    }

    async fn until_open_or_closed(
        &self,
        what: &str,
        within_s: u64,
        mut check: impl FnMut(&State) -> bool,
    ) -> Result<()> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                {
                    let state = self.lock();
                    if check(&state) {
                        return Ok(());
                    }
                    if let Some(why) = &state.broken {
                        bail!("{why}");
                    }
                    if let Some(why) = &state.closed {
                        bail!("the socket is closed: {why}");
                    }
                }
                changed.await;
            }
        };
        if let Ok(result) = tokio::time::timeout(Duration::from_secs(within_s), wait).await {
            result.with_context(|| format!("waiting until {what}"))
        } else {
            let state = self.lock();
            let last: Vec<_> = state.messages.iter().rev().take(5).collect();
            bail!("not within {within_s} s: {what}; last messages {last:?}")
        }
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle)
}

fn tail(bytes: &[u8], n: usize) -> Vec<u8> {
    bytes[bytes.len().saturating_sub(n)..].to_vec()
}
