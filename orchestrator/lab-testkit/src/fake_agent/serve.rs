//! One connection to the fake agent.

use super::{FakeAgent, state::Outgoing};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use lab_core::{
    agent::{AgentFrame, FromAgent, ToAgent},
    limits::BEAT_EVERY,
};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    accept_async,
    tungstenite::{Error, Message},
};

impl FakeAgent {
    /// Speaks the protocol on `stream` until either side ends it.
    pub async fn serve(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let Ok(socket) = accept_async(stream).await else { return };
        let id = self.act(|s, _| s.connect());
        let (sink, source) = socket.split();
        tokio::select! {
            () = self.cut(id) => {}
            () = self.send(id, sink) => {}
            () = self.receive(id, source) => {}
            () = self.beat(id) => {}
        }
        self.act(|s, now| s.disconnect(id, now));
    }

    async fn cut(&self, id: u64) {
        let mut seen = self.changed.subscribe();
        while self.is_open(id) {
            let _ = seen.changed().await;
        }
    }

    fn is_open(&self, id: u64) -> bool {
        let state = self.state();
        state
            .connections
            .get(&id)
            .is_some_and(|c| c.generation == state.generation)
    }

    async fn beat(&self, id: u64) {
        let mut tick = tokio::time::interval(BEAT_EVERY);
        loop {
            tick.tick().await;
            let now_us = self.now_us();
            self.act(|s, _| s.reply(id, FromAgent::Beat { now_us }));
        }
    }

    async fn send(&self, id: u64, mut sink: impl Sink<Message, Error = Error> + Unpin) {
        let mut seen = self.changed.subscribe();
        loop {
            let next = self.state().next_for(id);
            let message = match next {
                Some(Outgoing::Text(m)) => {
                    Message::text(serde_json::to_string(&m).expect("our messages always serialise"))
                }
                Some(Outgoing::Frame(f)) => Message::binary(f.encode()),
                None => {
                    let _ = seen.changed().await;
                    continue;
                }
            };
            if sink.send(message).await.is_err() {
                return;
            }
        }
    }

    async fn receive(&self, id: u64, mut source: impl Stream<Item = Result<Message, Error>> + Unpin) {
        let mut seen = self.changed.subscribe();
        loop {
            while self.state().silent {
                let _ = seen.changed().await;
            }
            match source.next().await {
                Some(Ok(Message::Text(text))) => {
                    let Ok(message) = serde_json::from_str::<ToAgent>(&text) else {
                        return;
                    };
                    self.act(|s, now| s.take_text(id, message, now));
                }
                Some(Ok(Message::Binary(bytes))) => {
                    let Ok(frame) = AgentFrame::decode(bytes) else { return };
                    self.act(|s, _| s.take_frame(id, frame));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            }
        }
    }
}
