//! What a hub has of its recorder: a queue to feed it, and a watch of how far it is.

use super::{
    FEED_QUEUE, FINISH_PATIENCE, FINISH_WITHIN,
    recorder::{Recorder, RecorderParts},
};
use crate::{Metrics, Ports, Settings};
use bytes::Bytes;
use lab_core::{SessionId, recording::RecordingPolicy};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

/// What a hub tells its recorder.
#[derive(Debug)]
pub enum Feed {
    /// Whole, validated records from this offset. `stopping`: the journal's last record is among them. `round`: the
    /// [`RecorderView::refollow`] they were followed under; older ones are ignored.
    Journal {
        start: u64,
        bytes: Bytes,
        last_us: u64,
        stopping: bool,
        round: u64,
    },
    /// Journal up to here has come by, and was not fed: another replica records.
    Seen(u64),
    /// What follows cannot be trusted or is gone: the recording ends here.
    Cut(&'static str),
    /// The hub holds so much journal that is not durable. A recorder that fails decides by it whether the learner can wait.
    Backlog(u64),
    /// The journal ends at this offset, and somebody waits until it is durable, whoever records it.
    Ended(u64),
    /// The session is over: write what is there and close.
    Finish,
    /// This process goes away: write what is there, close nothing.
    Seal,
}

/// How far a recorder is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecorderView {
    /// The store has answered: the fields below mean something.
    pub opened: bool,
    /// Everything below is durable, or given up.
    pub next: u64,
    /// Fencing token to say so with.
    pub epoch: u64,
    /// Where to follow the journal from at first, so that screens can be resumed: a chunk's start.
    pub ring_from: u64,
    /// Another replica records.
    pub standby: bool,
    /// The last attempt failed: its code.
    pub error: Option<&'static str>,
    /// A failure that somebody must hear of: there is no room, or it lasts. A session whose recording is required ends by it.
    pub alarm: Option<&'static str>,
    /// The recording was cut: why.
    pub cut: Option<&'static str>,
    /// Grows each time the journal must be followed again from `next`.
    pub refollow: u64,
}

/// A running recorder. Dropping it aborts it, as a crash would.
pub struct RecorderHandle {
    feed: mpsc::Sender<Feed>,
    view: watch::Receiver<RecorderView>,
    task: JoinHandle<()>,
}

impl RecorderHandle {
    /// Starts recording a session. `watched` says whether anybody looks at it through this process.
    pub fn start(
        ports: Ports,
        metrics: Metrics,
        session: SessionId,
        policy: RecordingPolicy,
        settings: &Settings,
        watched: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let (feed, inbox) = mpsc::channel(FEED_QUEUE);
        let (publish, view) = watch::channel(RecorderView::default());
        let recorder = Recorder::new(RecorderParts {
            ports,
            metrics,
            session,
            policy,
            holder: settings.holder.clone(),
            give_up_bytes: settings.give_up_bytes,
            bytes_max: settings.recording_bytes_max,
            watched: Box::new(watched),
            inbox,
            publish,
        });
        Self {
            feed,
            view,
            task: tokio::spawn(recorder.run()),
        }
    }

    /// What it says now.
    pub fn view(&self) -> RecorderView {
        self.view.borrow().clone()
    }

    /// To wait for what it says next.
    pub fn watch(&self) -> watch::Receiver<RecorderView> {
        self.view.clone()
    }

    /// Room for one more message; `None` after it ended.
    pub async fn room(&self) -> Option<mpsc::Permit<'_, Feed>> {
        self.feed.reserve().await.ok()
    }

    /// Sends the last message and waits for the end.
    pub async fn end(mut self, last: Feed) {
        // more than the recorder's own time: it ends by itself
        let most = match last {
            Feed::Finish => FINISH_PATIENCE + FINISH_WITHIN,
            _ => FINISH_WITHIN * 2,
        };
        let ended = async {
            let _ = self.feed.send(last).await;
            let _ = (&mut self.task).await;
        };
        let _ = timeout(most, ended).await;
    }
}

impl Drop for RecorderHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}
