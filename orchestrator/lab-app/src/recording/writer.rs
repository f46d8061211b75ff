//! One attempt to make pending bytes durable, step by step, each safe to repeat.

use super::{LEASE_TTL, pending::Pending};
use crate::{AppError, Ports};
use bytes::Bytes;
use lab_core::{
    SessionId,
    port::{ChunkAppend, Lease, StoreError, recorder_lease},
    recording::{RecordingHead, RecordingState},
};

/// What an attempt came to, short of an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Everything pending is durable.
    Durable,
    /// Another replica holds the lease.
    Standby,
    /// Bytes between the recording's end and the pending ones are missing here; the agent may still have them.
    Hole,
    /// The recording is closed.
    Closed,
}

/// Writes chunks of one session.
pub(super) struct Writer {
    pub ports: Ports,
    pub session: SessionId,
    pub holder: String,
    lease: Option<Lease>,
    /// What the store said last; `None` when an answer was lost and it must be asked again.
    head: Option<RecordingHead>,
}

impl Writer {
    pub fn new(ports: Ports, session: SessionId, holder: String) -> Self {
        Self {
            ports,
            session,
            holder,
            lease: None,
            head: None,
        }
    }

    /// Fencing token of the lease held last.
    pub fn epoch(&self) -> u64 {
        self.lease.as_ref().map_or(0, |l| l.epoch)
    }

    /// Whether the lease was ours when we last asked for it.
    pub fn has_lease(&self) -> bool {
        self.lease.is_some()
    }

    /// Reads the recording's head, making the recording when there is none.
    pub async fn open(&mut self) -> Result<RecordingHead, AppError> {
        let head = self
            .ports
            .store
            .recording_open(self.session, self.ports.clock.now())
            .await?;
        self.head = Some(head.clone());
        Ok(head)
    }

    /// The offset of the oldest chunk boundary that leaves at least `bytes` of journal behind the recording's end.
    pub async fn boundary_before(&self, end: u64, bytes: u64) -> Result<u64, AppError> {
        let target = end.saturating_sub(bytes);
        if target == 0 {
            return Ok(0);
        }
        let chunks = self.ports.store.recording_chunks(self.session).await?;
        Ok(chunks
            .iter()
            .map(|c| c.start)
            .take_while(|s| *s <= target)
            .last()
            .unwrap_or(0))
    }

    /// Makes everything pending durable. After an error nothing is assumed of what the stores did.
    pub async fn attempt(&mut self, pending: &mut Pending, last_us: u64) -> Result<Attempt, AppError> {
        let done = self.steps(pending, last_us).await;
        if done.is_err() {
            self.head = None;
        }
        match done {
            Err(AppError::Store(StoreError::Fenced { .. })) => {
                self.lease = None;
                Ok(Attempt::Standby)
            }
            other => other,
        }
    }

    async fn steps(&mut self, pending: &mut Pending, last_us: u64) -> Result<Attempt, AppError> {
        if !self.hold_lease().await? {
            return Ok(Attempt::Standby);
        }
        let head = match self.head.take() {
            Some(head) => head,
            None => self.open().await?,
        };
        if head.state != RecordingState::Open {
            self.head = Some(head);
            return Ok(Attempt::Closed);
        }
        pending.advance(head.end);
        if pending.start() > head.end {
            self.head = Some(head);
            return Ok(Attempt::Hole);
        }
        let head = if pending.is_empty() {
            head
        } else {
            self.write(&head, pending.joined(), last_us).await?
        };
        pending.advance(head.end);
        self.head = Some(head);
        Ok(Attempt::Durable)
    }

    async fn write(&self, head: &RecordingHead, bytes: Bytes, last_us: u64) -> Result<RecordingHead, AppError> {
        let (start, end) = (head.end, head.end + bytes.len() as u64);
        // with the epoch: a recorder that slept must not overwrite what another has recorded since
        let key = format!("{}{start:016x}-{end:016x}-{}", prefix(self.session), self.epoch());
        let chain = head.chain.extend(start, &bytes);
        self.ports.blobs.put(&key, bytes).await?;
        let append = ChunkAppend {
            session: self.session,
            epoch: self.epoch(),
            start,
            end,
            chain,
            key,
            last_us,
            at: self.ports.clock.now(),
        };
        Ok(self.ports.store.recording_append(&append).await?)
    }

    /// Takes or renews the lease when less than half of it is left. False when another replica has it.
    async fn hold_lease(&mut self) -> Result<bool, AppError> {
        let now = self.ports.clock.now();
        if self
            .lease
            .as_ref()
            .is_some_and(|l| now.plus(LEASE_TTL / 2) < l.expires_at)
        {
            return Ok(true);
        }
        let name = recorder_lease(self.session);
        let before = self.epoch();
        let lease = self.ports.store.lease_take(&name, &self.holder, now, LEASE_TTL).await?;
        let held = lease.is_some();
        if let Some(lease) = lease {
            if lease.epoch != before {
                // someone may have written since we last looked
                self.head = None;
            }
            self.lease = Some(lease);
        }
        Ok(held)
    }

    /// Gives the lease back, so that another replica need not wait.
    pub async fn release(&mut self) -> Result<(), AppError> {
        if let Some(lease) = self.lease.take() {
            self.ports.store.lease_release(&lease).await?;
        }
        Ok(())
    }

    /// Why nothing is added any more, as the store said last.
    pub fn over_code(&self) -> &'static str {
        let code = self.head.as_ref().and_then(|h| h.state.over_code());
        code.unwrap_or("recording-closed")
    }

    /// How far the recording is, whoever writes it; none before anybody did.
    pub async fn head(&self) -> Result<Option<RecordingHead>, AppError> {
        Ok(self.ports.store.recording_head(self.session).await?)
    }

    /// Ends the recording, and removes what crashed attempts left behind. False when another replica has the lease: the end is its
    /// to say.
    pub async fn close(&mut self, state: &RecordingState) -> Result<bool, AppError> {
        if !self.hold_lease().await? {
            return Ok(false);
        }
        let head = self.open().await?;
        if head.state == RecordingState::Open {
            match self
                .ports
                .store
                .recording_close(self.session, self.epoch(), state)
                .await
            {
                Err(StoreError::Fenced { .. }) => {
                    self.lease = None;
                    return Ok(false);
                }
                done => done?,
            }
        }
        self.head = None;
        // closed: nobody names a new object from here on
        let chunks = self.ports.store.recording_chunks(self.session).await?;
        let named: std::collections::HashSet<_> = chunks.iter().map(|c| c.key.as_str()).collect();
        for key in self.ports.blobs.list(&prefix(self.session)).await? {
            if !named.contains(key.as_str()) {
                self.ports.blobs.delete(&key).await?;
            }
        }
        Ok(true)
    }
}

/// Where a session's objects lie.
pub(crate) fn prefix(session: SessionId) -> String {
    format!("recordings/{session}/")
}
