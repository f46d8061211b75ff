//! The wire of a tab: what arrives, applied to what the tab has; what is drawn, told as the page tells it.

use super::{Pace, State, VIEW_BYTES_MAX};
use crate::Api;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream::SplitSink};
use lab_core::terminal::{BROWSER_PROTOCOL, BrowserFrame, FLAG_DEFLATE, ToBrowser};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpStream, sync::Notify, task::JoinHandle};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The sending half, shared by the tab and its reader.
pub(super) type Sink = Arc<tokio::sync::Mutex<SplitSink<Socket, Message>>>;

/// A server answers a ticket at once, or says why not; busy cores are forgiven.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(30);

/// Opens the socket of a tab and reads it into `state`, at the tab's pace, until it is closed or the task is aborted.
pub(super) async fn connect(
    api: &Api,
    session: &str,
    writer: u64,
    pace: Pace,
    state: &Arc<Mutex<State>>,
    changed: &Arc<Notify>,
) -> Result<(Sink, JoinHandle<()>)> {
    let ticket = api.ticket(session, writer).await?;
    let mut request = api.socket_url(&format!("/ws?ticket={ticket}")).into_client_request()?;
    request
        .headers_mut()
        .insert("sec-websocket-protocol", HeaderValue::from_static(BROWSER_PROTOCOL));
    let (socket, answer) = tokio::time::timeout(HANDSHAKE_WITHIN, tokio_tungstenite::connect_async(request))
        .await
        .with_context(|| format!("the handshake is not answered within {HANDSHAKE_WITHIN:?}"))?
        .context("cannot open the socket")?;
    ensure!(
        answer
            .headers()
            .get("sec-websocket-protocol")
            .is_some_and(|v| v == BROWSER_PROTOCOL),
        "subprotocol not taken"
    );
    let (sink, mut stream) = socket.split();
    let sink = Arc::new(tokio::sync::Mutex::new(sink));
    let (state, changed, acks) = (state.clone(), changed.clone(), sink.clone());
    let reader = tokio::spawn(async move {
        // per terminal: (offset drawn, offset told)
        let mut drawn: BTreeMap<u16, (u64, u64)> = BTreeMap::new();
        loop {
            if pace == Pace::Stalled {
                std::future::pending::<()>().await;
            }
            // the page's rule: what is drawn is told every 16 KiB, or after 50 ms
            let Ok(message) = tokio::time::timeout(Duration::from_millis(50), stream.next()).await else {
                tell(&acks, &mut drawn, pace, 1).await;
                continue;
            };
            let message = match message {
                Some(Ok(Message::Close(frame))) => {
                    let why = frame.map_or("no code".into(), |f| format!("{} {}", u16::from(f.code), f.reason));
                    return end(&state, &changed, why);
                }
                Some(Ok(message)) => message,
                other => return end(&state, &changed, format!("{other:?}")),
            };
            if let Pace::BytesPerSecond(rate) = pace {
                // the emulator's time for these bytes, however small they came
                tokio::time::sleep(Duration::from_micros(drawn_bytes(&message) * 1_000_000 / rate)).await;
            }
            let took = take(&mut state.lock().expect("not poisoned"), message);
            changed.notify_waiters();
            if let Some((terminal, offset)) = took {
                drawn.entry(terminal).or_default().0 = offset;
                tell(&acks, &mut drawn, pace, 16 * 1024).await;
            }
        }
    });
    Ok((sink, reader))
}

/// Tells what is drawn of terminals that moved by at least `step` bytes since it was told.
async fn tell(sink: &Sink, drawn: &mut BTreeMap<u16, (u64, u64)>, pace: Pace, step: u64) {
    if pace == Pace::NeverDraws {
        return;
    }
    for (terminal, (offset, told)) in drawn.iter_mut().filter(|(_, (offset, told))| *offset >= *told + step) {
        *told = *offset;
        let frame = BrowserFrame::Drawn {
            terminal: *terminal,
            offset: *offset,
        };
        // a socket that takes nothing more is seen by the reader
        let _ = sink.lock().await.send(Message::binary(frame.encode())).await;
    }
}

fn end(state: &Mutex<State>, changed: &Notify, why: String) {
    state.lock().expect("not poisoned").closed = Some(why);
    changed.notify_waiters();
}

/// Applies a message; the terminal and offset it moved.
fn take(state: &mut State, message: Message) -> Option<(u16, u64)> {
    match message {
        Message::Text(text) => match serde_json::from_str::<ToBrowser>(&text) {
            Ok(m) => state.messages.push(m),
            Err(e) => state.broken = Some(format!("a message this client cannot read: {e}: {text}")),
        },
        Message::Binary(bytes) => match BrowserFrame::decode(bytes) {
            Ok(BrowserFrame::Output {
                flags,
                terminal,
                offset,
                bytes,
            }) => {
                let bytes = unpack(flags, bytes);
                let t = state.terminals.entry(terminal).or_default();
                if offset != t.offset {
                    state.broken = Some(format!(
                        "terminal {terminal}: output at {offset}, expected {}",
                        t.offset
                    ));
                    return None;
                }
                t.hasher.update(&bytes);
                t.received += bytes.len() as u64;
                t.offset += bytes.len() as u64;
                t.bytes.extend_from_slice(&bytes);
                if t.bytes.len() > VIEW_BYTES_MAX {
                    let cut = t.bytes.len() - VIEW_BYTES_MAX / 2;
                    t.bytes.drain(..cut);
                }
                return Some((terminal, t.offset));
            }
            Ok(BrowserFrame::Snapshot {
                flags,
                terminal,
                offset,
                screen,
                ..
            }) => {
                let t = state.terminals.entry(terminal).or_default();
                t.snapshots += 1;
                t.snapshot = unpack(flags, screen).to_vec();
                t.bytes.clear();
                t.offset = offset;
                return Some((terminal, offset));
            }
            Ok(BrowserFrame::InputAck { terminal, seq }) => {
                let t = state.terminals.entry(terminal).or_default();
                t.acked = t.acked.max(seq);
                t.unacked.retain(|(s, _)| *s > seq);
            }
            other => state.broken = Some(format!("a frame out of protocol: {other:?}")),
        },
        _ => {}
    }
    None
}

/// Output bytes of a message, as an emulator gets them.
fn drawn_bytes(message: &Message) -> u64 {
    let Message::Binary(frame) = message else { return 0 };
    match BrowserFrame::decode(frame.clone()) {
        Ok(BrowserFrame::Output { flags, bytes, .. }) => unpack(flags, bytes).len() as u64,
        _ => 0,
    }
}

fn unpack(flags: u8, bytes: Bytes) -> Bytes {
    if flags & FLAG_DEFLATE == 0 {
        return bytes;
    }
    let mut out = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::DeflateDecoder::new(&bytes[..]), &mut out)
        .expect("the server deflates rightly");
    out.into()
}
