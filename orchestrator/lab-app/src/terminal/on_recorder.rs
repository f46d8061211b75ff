//! The hub and its recorder: what is fed, how far that is durable, and when the journal must be followed again for it.

use super::hub::Hub;
use crate::recording::{BACKLOG_BYTES_MAX, Feed, RecorderHandle, RecorderView};
use bytes::{Bytes, BytesMut};
use lab_core::agent::AgentFrame;
use tokio::sync::{mpsc, watch};

/// Pieces shorter than this together are fed to the recorder as one: a slow disk must not turn a typed line into a queue of
/// a thousand pieces.
const FEED_JOIN_BYTES: usize = 8 * 1024;

impl Hub {
    pub(super) fn on_recorder(&mut self) {
        let Some(view) = self.recorder.as_ref().map(RecorderHandle::view) else {
            return;
        };
        self.mind_the_recorder();
        let error = view.cut.or(view.alarm);
        let before = self.status.borrow().recording_error;
        if before != error {
            self.set_status(|s| s.recording_error = error);
        }
        if let Some(reason) = view
            .cut
            .filter(|_| !std::mem::replace(&mut self.cut_told, view.cut.is_some()))
        {
            self.tell_all(&super::notices::recording_notice(reason));
        }
        if view.opened {
            self.start_link();
            if self.round != view.refollow {
                self.refollow(view.next, view.refollow);
            } else if self.behind && view.error.is_none() && self.backlog() == 0 && self.feed.is_empty() {
                self.refollow(self.fed, view.refollow);
            }
            if self.link.is_up() {
                self.link.frame(&AgentFrame::Durable {
                    epoch: view.epoch,
                    offset: view.next,
                });
            }
            if self.reader.ended().is_some_and(|end| end <= view.next) {
                self.stop_answer();
            }
        }
        self.link.excuse();
    }

    /// Feeds the recorder from `from` again, from the agent.
    fn refollow(&mut self, from: u64, round: u64) {
        self.fed = from;
        self.round = round;
        self.behind = false;
        self.feed.retain(|f| !matches!(f, Feed::Journal { .. }));
        self.link.restart();
    }

    /// Hands whole records to the recorder.
    pub(super) fn feed_whole(&mut self, last_us: u64, stopping: bool) {
        let whole = self.reader.whole();
        let Some(view) = self.recorder.as_ref().map(RecorderHandle::view) else {
            let offset = self.reader.offset();
            return self.link.frame(&AgentFrame::Durable { epoch: 0, offset });
        };
        if let Some((start, bytes)) = whole.filter(|(start, b)| !self.behind && start + b.len() as u64 > self.fed) {
            let known = self.fed.saturating_sub(start);
            self.fed = start + bytes.len() as u64;
            if !view.standby {
                self.feed_one(start + known, bytes.slice(known as usize..), last_us, stopping);
            } else if let Some(Feed::Seen(end)) = self.feed.back_mut() {
                *end = self.fed;
            } else {
                self.feed.push_back(Feed::Seen(self.fed));
            }
        }
        self.mind_the_recorder();
    }

    fn feed_one(&mut self, start: u64, bytes: Bytes, last_us: u64, stopping: bool) {
        let round = self.round;
        if let Some(Feed::Journal {
            start: s,
            bytes: b,
            last_us: l,
            stopping: z,
            round: r,
        }) = self.feed.back_mut()
            && *r == round
            && *s + b.len() as u64 == start
            && b.len() + bytes.len() <= FEED_JOIN_BYTES
        {
            let mut joined = BytesMut::with_capacity(b.len() + bytes.len());
            joined.extend_from_slice(b);
            joined.extend_from_slice(&bytes);
            (*b, *l, *z) = (joined.freeze(), last_us, stopping);
            return;
        }
        self.feed.push_back(Feed::Journal {
            start,
            bytes,
            last_us,
            stopping,
            round,
        });
    }

    /// A recorder that fails and has as much as it may is not waited for: live terminals go on, and it is fed from the agent
    /// again when it has recovered.
    fn mind_the_recorder(&mut self) {
        let failing = self.recorder.as_ref().is_some_and(|r| r.view().error.is_some());
        if failing && self.backlog() >= BACKLOG_BYTES_MAX {
            self.behind = true;
        }
        let durable = self.recorder.as_ref().map_or(0, |r| r.view().next);
        let undurable = self.reader.offset().saturating_sub(durable);
        if failing && undurable >= self.give_up_bytes {
            match self.feed.back_mut() {
                Some(Feed::Backlog(bytes)) => *bytes = undurable,
                _ => self.feed.push_back(Feed::Backlog(undurable)),
            }
        }
    }

    /// The recording ends here, loudly.
    pub(super) fn cut(&mut self, reason: &'static str) {
        if self.recorder.is_some() {
            self.feed.push_back(Feed::Cut(reason));
        }
    }

    /// The recorder works, and has as much as it may: wait for it, rather than read more from the agent.
    pub(super) fn recorder_is_full(&self) -> bool {
        !self.behind && self.backlog() >= BACKLOG_BYTES_MAX
    }

    /// Journal bytes handed to the recorder and not durable.
    pub(super) fn backlog(&self) -> u64 {
        let view = self.recorder.as_ref().map(RecorderHandle::view);
        view.filter(|v| !v.standby)
            .map_or(0, |v| self.fed.saturating_sub(v.next))
    }

    pub(super) fn is_durable(&self, offset: u64) -> bool {
        self.recorder.as_ref().is_none_or(|r| r.view().next >= offset)
    }
}

pub(super) async fn recorder_room(recorder: Option<&RecorderHandle>, wanted: bool) -> mpsc::Permit<'_, Feed> {
    if let Some(r) = recorder.filter(|_| wanted)
        && let Some(permit) = r.room().await
    {
        return permit;
    }
    std::future::pending().await
}

pub(super) async fn recorder_news(news: Option<&mut watch::Receiver<RecorderView>>) {
    // it ends with the recorder, which has nothing more to say then
    if let Some(r) = news
        && r.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}
