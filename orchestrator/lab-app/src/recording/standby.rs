//! Several replicas follow one session, and one of them records it: who, and what the others do meanwhile.
//!
//! The leader of the reconciler follows every session; another replica follows those that somebody looks at through it. So a recorder
//! whose hub nobody looks through lets the first bytes lie for [`YIELD`], and one whose hub has a tab takes the lease at once: sessions
//! are recorded where their learners are attached, and spread as the load balancer spreads these. Nobody needs to know how many
//! replicas there are, or what share is fair. Who waited takes the lease like any other, so a session that nobody looks at, or whose
//! replica died, has its recorder all the same: within the lease's time and one [`STANDBY_RETRY`].

use super::{
    EPOCH_OF_CLOSED, STANDBY_HURRY, STANDBY_RETRY, STANDBY_RETRY_WATCHED, YIELD, pending::Pending, recorder::Recorder,
};
use lab_core::recording::RecordingState;
use std::time::Duration;
use tokio::time::Instant;

/// Journal that another replica should make durable.
#[derive(Clone, Copy)]
pub(super) struct Missing {
    /// Its end.
    end: u64,
    /// When it was missed first.
    since: Instant,
}

impl Recorder {
    pub fn has_work(&self) -> bool {
        self.to_close.is_some() || self.full || !self.pending.is_empty() || self.publish.borrow().standby
    }

    /// When something is to be done next.
    pub fn due_at(&self) -> Instant {
        let due = self.retry_at.unwrap_or(self.first_at + self.ports.blobs.gather());
        match self.yields_until {
            Some(until) if self.yields() => due.max(until),
            _ => due,
        }
    }

    /// The lease is left to a replica that somebody looks through, for the first moment; not when somebody waits for the journal's end.
    pub fn yields(&self) -> bool {
        self.yields_until.is_some_and(|until| Instant::now() < until)
            && self.awaited.is_none()
            && !self.writer.has_lease()
            && !(self.watched)()
    }

    /// Another replica records.
    pub async fn stand_by(&mut self) {
        self.metrics.recorder_lag_bytes.sub(self.pending.len() as i64);
        self.pending = Pending::at(self.pending.start());
        self.full = false;
        self.publish
            .send_if_modified(|v| !std::mem::replace(&mut v.standby, true));
        self.look().await;
    }

    /// Looks how far the one that records is: what is durable is durable for this one's hub too. True when journal that this hub has
    /// seen is not, and should be: then its lease is tried for, which is ours when that replica died. A session in which nothing is
    /// written is left to whoever records it, though its lease lapses: else it would wander between the two at every pause for
    /// thought.
    pub async fn look(&mut self) -> bool {
        let head = self.writer.head().await;
        self.succeeded();
        // the reconciler may be here, and the recorder elsewhere: a lab whose recording is required ends by what it hears from this hub
        let cut = match &head {
            Ok(Some(head)) if matches!(head.state, RecordingState::Cut { .. }) => head.state.over_code(),
            _ => None,
        };
        let closed = matches!(&head, Ok(Some(head)) if head.state != RecordingState::Open);
        let durable = match head {
            // whoever recorded has ended it: nothing of this journal is to come
            Ok(Some(head)) if head.state != RecordingState::Open => self.seen.max(head.end),
            Ok(Some(head)) => head.end,
            Ok(None) => 0,
            Err(e) => {
                self.failed(&e);
                0
            }
        };
        self.publish.send_if_modified(|v| {
            let news = durable > v.next || (v.cut.is_none() && cut.is_some());
            (v.next, v.cut) = (v.next.max(durable), v.cut.or(cut));
            if closed {
                v.epoch = EPOCH_OF_CLOSED;
            }
            news
        });
        let (now, watched) = (Instant::now(), (self.watched)());
        self.missing = match self.missing {
            Some(missing) if durable < missing.end => Some(missing),
            _ => (durable < self.seen).then_some(Missing {
                end: self.seen,
                since: now,
            }),
        };
        let waits = self.awaited.is_some_and(|end| durable < end);
        self.retry_at = Some(
            now + match (waits, watched) {
                (true, _) => STANDBY_HURRY,
                (false, true) => STANDBY_RETRY_WATCHED,
                (false, false) => STANDBY_RETRY,
            },
        );
        let patience = self.ports.blobs.gather() + if watched { Duration::ZERO } else { YIELD };
        waits || self.missing.is_some_and(|m| now - m.since >= patience)
    }

    /// Whether the store says that the recording is over.
    pub async fn is_closed(&self) -> bool {
        let head = self.writer.head().await;
        head.is_ok_and(|h| h.is_some_and(|h| h.state != RecordingState::Open))
    }
}
