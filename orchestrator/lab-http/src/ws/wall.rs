//! A teacher's wall: cards one way, nothing but pings the other.

use super::{
    bridge::text,
    bucket::Bucket,
    life::{Close, Inbox, Outbox, Pulse, drain},
};
use crate::Pace;
use axum::extract::ws::{Message, WebSocket};
use futures_util::StreamExt;
use lab_app::live::WallUpdate;
use lab_core::{SessionId, live::Card};
use serde::Serialize;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

/// The one message of the wall.
#[derive(Serialize)]
#[serde(tag = "type", rename = "cards")]
struct Cards<'a> {
    cards: &'a [Card],
    gone: &'a [SessionId],
}

/// A page sends a ping every few seconds.
const PINGS_PER_SEC: u32 = 10;

/// Shows updates until either side ends. The close code.
pub(super) async fn run(
    socket: WebSocket,
    mut updates: Receiver<WallUpdate>,
    pace: Pace,
    stop: CancellationToken,
    over: impl Future<Output = Close>,
) -> u16 {
    let pulse = Pulse::new(pace);
    let (sink, stream) = socket.split();
    let mut inbox = Inbox { stream, pulse: &pulse };
    let mut outbox = Outbox::new(sink, &pulse);
    let close = tokio::select! {
        close = read(&mut inbox) => close,
        close = write(&mut outbox, &mut updates) => close,
        close = pulse.watch(&stop) => close,
        close = over => close,
    };
    drop(updates);
    let code = outbox.close(close).await;
    drain(inbox.stream, pace).await;
    code
}

async fn read(inbox: &mut Inbox<'_>) -> Close {
    let mut pings = Bucket::new(PINGS_PER_SEC, PINGS_PER_SEC);
    loop {
        match inbox.next().await {
            Err(close) => return close,
            Ok(_) if !pings.take() => return Close::with(4429, "too-many-frames"),
            Ok(Message::Text(text)) if is_ping(&text) => {}
            Ok(_) => return Close::with(4400, "out-of-protocol"),
        }
    }
}

/// `{"type":"ping","t":…}`, as on a terminal's socket.
fn is_ping(text: &str) -> bool {
    matches!(
        serde_json::from_str(text),
        Ok(lab_core::terminal::FromBrowser::Ping { .. })
    )
}

async fn write(outbox: &mut Outbox<'_>, updates: &mut Receiver<WallUpdate>) -> Close {
    loop {
        match outbox.next_of(updates).await {
            Ok(Some(update)) => {
                if let Err(close) = outbox
                    .send(text(&Cards {
                        cards: &update.cards,
                        gone: &update.gone,
                    }))
                    .await
                {
                    return close;
                }
            }
            Ok(None) => return Close::with(1001, "go-away"),
            Err(close) => return close,
        }
    }
}
