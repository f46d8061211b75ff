//! A browser's socket and its session's hub: decoding and bounding one way, joining and deflating the other.

use super::{
    bucket::Bucket,
    deflate::{DEFLATE_MIN_BYTES, DrawSpeed, deflate},
    life::{Close, Inbox, Outbox, Pulse, drain},
};
use crate::Pace;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use lab_app::terminal::{FromHub, ToHub};
use lab_core::{
    TerminalIndex,
    limits::INPUT_BYTES_MAX,
    terminal::{BrowserFrame, FLAG_DEFLATE, FromBrowser},
};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio_util::sync::CancellationToken;

/// Payload of one output frame. Queued output of a terminal is joined up to this, so that a flood is few frames; and a socket
/// keeps a buffer as large as its largest frame, so that it is no more: 500 sockets after a flood are 16 MiB.
const OUTPUT_FRAME_BYTES: usize = 32 * 1024;
/// Frames a browser may send. It says what it has drawn every 16 KiB: at 40 MB/s, the fastest that browsers draw, 2 440 a second;
/// typing and pasting are a hundred.
const FRAMES_PER_SEC: u32 = 5_000;
/// Control messages (attach, resize, checks): a window being dragged makes 60 a second.
const CONTROLS_PER_SEC: u32 = 100;
/// One control message: a marker's label is the longest thing in one.
const CONTROL_BYTES_MAX: usize = 4 * 1024;

/// How a bridge behaves.
#[derive(Clone, Copy, Debug)]
pub struct BridgeOptions {
    pub pace: Pace,
    /// Deflate from the first byte.
    pub compress: bool,
}

/// Joins a socket to a hub's two queues until either ends. The close code.
pub async fn bridge_terminal(
    socket: WebSocket,
    to_hub: Sender<ToHub>,
    from_hub: Receiver<FromHub>,
    options: BridgeOptions,
    stop: CancellationToken,
) -> u16 {
    run(socket, (to_hub, from_hub), options, stop, std::future::pending()).await
}

/// `over`: ends when the socket's login does.
pub(super) async fn run(
    socket: WebSocket,
    (to_hub, mut from_hub): (Sender<ToHub>, Receiver<FromHub>),
    options: BridgeOptions,
    stop: CancellationToken,
    over: impl Future<Output = Close>,
) -> u16 {
    let pulse = Pulse::new(options.pace);
    let speed = DrawSpeed::new(options.compress);
    let (sink, stream) = socket.split();
    let mut inbox = Inbox { stream, pulse: &pulse };
    let mut outbox = Outbox::new(sink, &pulse);
    let close = tokio::select! {
        close = read(&mut inbox, &to_hub, &speed) => close,
        close = write(&mut outbox, &mut from_hub, &speed) => close,
        close = pulse.watch(&stop) => close,
        close = over => close,
    };
    // the hub learns at once that this viewer is gone, not after the goodbye
    drop((to_hub, from_hub));
    let code = outbox.close(close).await;
    drain(inbox.stream, options.pace).await;
    code
}

async fn read(inbox: &mut Inbox<'_>, to_hub: &Sender<ToHub>, speed: &DrawSpeed) -> Close {
    let mut frames = Bucket::new(FRAMES_PER_SEC, FRAMES_PER_SEC);
    let mut controls = Bucket::new(CONTROLS_PER_SEC, CONTROLS_PER_SEC);
    loop {
        let message = match inbox.next().await {
            Ok(message) => message,
            Err(close) => return close,
        };
        if !frames.take() || (matches!(message, Message::Text(_)) && !controls.take()) {
            return Close::with(4429, "too-many-frames");
        }
        let news = match decode(message) {
            Ok(news) => news,
            Err(close) => return close,
        };
        if let ToHub::Drawn { terminal, offset } = news {
            speed.drawn(terminal, offset);
        }
        if inbox.pulse.handing(to_hub.send(news)).await.is_err() {
            // the writing half has, or will have in a moment, the hub's own reason
            return std::future::pending().await;
        }
    }
}

fn decode(message: Message) -> Result<ToHub, Close> {
    let malformed = Close::with(4400, "out-of-protocol");
    match message {
        Message::Text(text) if text.len() > CONTROL_BYTES_MAX => Err(Close::with(4429, "frame-too-large")),
        Message::Text(text) => serde_json::from_str::<FromBrowser>(&text)
            .map(ToHub::Control)
            .map_err(|_| malformed),
        Message::Binary(bytes) => match BrowserFrame::decode(bytes).map_err(|_| malformed)? {
            BrowserFrame::Input { bytes, .. } if bytes.len() > INPUT_BYTES_MAX => {
                Err(Close::with(4429, "frame-too-large"))
            }
            BrowserFrame::Input { terminal, seq, bytes } => Ok(ToHub::Input { terminal, seq, bytes }),
            BrowserFrame::Drawn { terminal, offset } => Ok(ToHub::Drawn { terminal, offset }),
            // the server's own kinds
            BrowserFrame::Output { .. } | BrowserFrame::Snapshot { .. } | BrowserFrame::InputAck { .. } => {
                Err(malformed)
            }
        },
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) => Err(malformed),
    }
}

async fn write(outbox: &mut Outbox<'_>, from_hub: &mut Receiver<FromHub>, speed: &DrawSpeed) -> Close {
    // taken while joining output, not part of it: next in line
    let mut held: Option<FromHub> = None;
    loop {
        let message = match held.take() {
            Some(message) => message,
            None => match outbox.next_of(from_hub).await {
                Ok(Some(message)) => message,
                // a hub that ends without a word has been dropped: the page asks again and learns why
                Ok(None) => return Close::with(1001, "go-away"),
                Err(close) => return close,
            },
        };
        let sent = match message {
            FromHub::Close { code, reason } => return Close::with(code, reason),
            FromHub::Output {
                terminal,
                offset,
                bytes,
            } => {
                let (bytes, next) = join(from_hub, terminal, offset, bytes);
                held = next;
                send_output(outbox, terminal, offset, bytes, speed).await
            }
            other => {
                if let FromHub::Snapshot { terminal, offset, .. } = &other {
                    speed.jumped(*terminal, *offset);
                }
                outbox.send(encode(other)).await
            }
        };
        if let Err(close) = sent {
            return close;
        }
    }
}

/// Appends the output that is queued right behind this, up to a frame. Also what was taken from the queue and is something else.
fn join(
    from_hub: &mut Receiver<FromHub>,
    terminal: TerminalIndex,
    offset: u64,
    first: Bytes,
) -> (Bytes, Option<FromHub>) {
    let mut joined: Option<BytesMut> = None;
    let mut len = first.len();
    let next = loop {
        if len >= OUTPUT_FRAME_BYTES {
            break None;
        }
        match from_hub.try_recv() {
            Ok(FromHub::Output {
                terminal: t,
                offset: o,
                bytes,
            }) if t == terminal && o == offset + len as u64 && len + bytes.len() <= OUTPUT_FRAME_BYTES => {
                len += bytes.len();
                joined
                    .get_or_insert_with(|| BytesMut::from(&first[..]))
                    .extend_from_slice(&bytes);
            }
            Ok(other) => break Some(other),
            Err(_) => break None,
        }
    };
    (joined.map_or(first, BytesMut::freeze), next)
}

async fn send_output(
    outbox: &mut Outbox<'_>,
    terminal: TerminalIndex,
    mut offset: u64,
    mut bytes: Bytes,
    speed: &DrawSpeed,
) -> Result<(), Close> {
    while !bytes.is_empty() {
        let piece = bytes.split_to(bytes.len().min(OUTPUT_FRAME_BYTES));
        let end = offset + piece.len() as u64;
        let small = (piece.len() >= DEFLATE_MIN_BYTES && speed.is_slow())
            .then(|| deflate(&piece))
            .flatten();
        let (flags, payload) = small.map_or((0, piece), |z| (FLAG_DEFLATE, Bytes::from(z)));
        speed.sent(terminal, offset, end, payload.len());
        outbox
            .send(Message::Binary(
                BrowserFrame::Output {
                    flags,
                    terminal,
                    offset,
                    bytes: payload,
                }
                .encode(),
            ))
            .await?;
        offset = end;
    }
    Ok(())
}

fn encode(message: FromHub) -> Message {
    match message {
        FromHub::Control(control) => text(&control),
        FromHub::InputAck { terminal, seq } => Message::Binary(BrowserFrame::InputAck { terminal, seq }.encode()),
        FromHub::Snapshot {
            terminal,
            offset,
            cols,
            rows,
            screen,
        } => Message::Binary(
            BrowserFrame::Snapshot {
                flags: 0,
                terminal,
                offset,
                cols,
                rows,
                screen,
            }
            .encode(),
        ),
        FromHub::Output {
            terminal,
            offset,
            bytes,
        } => Message::Binary(
            BrowserFrame::Output {
                flags: 0,
                terminal,
                offset,
                bytes,
            }
            .encode(),
        ),
        FromHub::Close { .. } => unreachable!("the caller has ended the bridge with it"),
    }
}

/// A JSON text frame.
pub(super) fn text(value: &impl serde::Serialize) -> Message {
    let json = serde_json::to_string(value).expect("our messages have string keys and finite numbers");
    Message::Text(Utf8Bytes::from(json))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    fn output(terminal: u16, offset: u64, bytes: &'static [u8]) -> FromHub {
        FromHub::Output {
            terminal,
            offset,
            bytes: Bytes::from_static(bytes),
        }
    }

    #[test]
    fn only_output_that_follows_without_a_hole_is_joined_and_nothing_overtakes() {
        let (tx, mut rx) = mpsc::channel(8);
        tx.try_send(output(0, 2, b"cd")).unwrap();
        tx.try_send(output(0, 4, b"ef")).unwrap();
        tx.try_send(output(1, 0, b"other")).unwrap();
        tx.try_send(output(0, 6, b"gh")).unwrap();
        let (bytes, next) = join(&mut rx, 0, 0, Bytes::from_static(b"ab"));
        assert_eq!(&bytes[..], b"abcdef");
        assert!(matches!(
            next,
            Some(FromHub::Output {
                terminal: 1,
                offset: 0,
                ..
            })
        ));
        let (bytes, next) = join(&mut rx, 0, 6, Bytes::from_static(b"??"));
        assert_eq!(&bytes[..], b"??");
        assert!(
            matches!(next, Some(FromHub::Output { offset: 6, .. })),
            "a repeat of an offset is not a continuation"
        );
    }

    #[test]
    fn what_a_browser_may_not_send_ends_its_socket() {
        let code = |m: Message| decode(m).err();
        assert_eq!(
            code(Message::Text("{\"type\":\"reboot\"}".into())),
            Some(Close::with(4400, "out-of-protocol"))
        );
        assert_eq!(
            code(Message::Text("{".repeat(5000).into())),
            Some(Close::with(4429, "frame-too-large"))
        );
        assert_eq!(
            code(Message::Binary(Bytes::from_static(b"\x14\0\0\0\0\0\0\0\0\0\0"))),
            Some(Close::with(4400, "out-of-protocol"))
        );
        assert_eq!(
            code(Message::Binary(Bytes::new())),
            Some(Close::with(4400, "out-of-protocol"))
        );
        let long = BrowserFrame::Input {
            terminal: 0,
            seq: 1,
            bytes: vec![b'x'; INPUT_BYTES_MAX + 1].into(),
        }
        .encode();
        assert_eq!(code(Message::Binary(long)), Some(Close::with(4429, "frame-too-large")));
        assert_eq!(code(Message::Text("{\"type\":\"ping\",\"t\":7}".into())), None);
    }
}
