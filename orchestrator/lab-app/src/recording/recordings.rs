//! Reading recordings: finished ones, and those that still grow.
//!
//! Chunks begin and end at records and are read one at a time, so that a long recording costs one chunk of memory; how many are read at
//! once, and by how much of the processor, is `turns.rs`. What is handed out is checked against the chunks' rows as it is read: a gap is an error, not a shorter answer.

use super::{
    export::{self, Export, ExportPieces},
    turns::{Place, Turns},
};
use crate::{AppError, Ports};
use bytes::{Bytes, BytesMut};
use lab_core::{
    SessionId, Subject, TerminalIndex, Timestamp,
    journal::{Decoder, Record},
    port::{ErrorKind, Session, StoreError},
    recording::{Chunk, ExportFormat, Exporter, RecordingHead, RecordingIndex, RecordingState, Verifier, VerifyReport},
};
use std::sync::Arc;

/// Bytes of journal handed out at once: a replay asks on from where it got to.
pub const READ_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Reads recordings. Authorise before you ask. Cheap to clone; what one and its clones read counts together.
#[derive(Clone)]
pub struct Recordings {
    ports: Ports,
    pub(super) turns: Arc<Turns>,
}

impl Recordings {
    /// Reads through these ports.
    pub fn new(ports: Ports) -> Self {
        Self {
            ports,
            turns: Arc::default(),
        }
    }

    /// How far a recording is; not found when nothing was ever recorded, or it was removed.
    pub async fn head(&self, session: SessionId) -> Result<RecordingHead, AppError> {
        let head = self.ports.store.recording_head(session).await?;
        let head = head.ok_or_else(|| AppError::not_found("the recording"))?;
        if let RecordingState::Removed { at } = head.state {
            let message = format!("the recording was removed at {at}: it had had its time");
            return Err(AppError::refused(ErrorKind::NotFound, "recording-removed", message));
        }
        Ok(head)
    }

    /// Its chunks, oldest first.
    pub async fn chunks(&self, session: SessionId) -> Result<Vec<Chunk>, AppError> {
        Ok(self.ports.store.recording_chunks(session).await?)
    }

    /// Duration, points to jump to, whole screens; made for `reader`.
    ///
    /// # Errors
    /// `recordings-busy` when too many are being read.
    pub async fn index(&self, reader: &Subject, session: SessionId) -> Result<RecordingIndex, AppError> {
        self.head(session).await?;
        let _place = self.turns.indexes.enter(reader).await?;
        let mut index = RecordingIndex::new(self.terminals(session).await?);
        index.start_us = start_us(self.ports.store.session_get(session).await?.as_ref());
        let mut at = 0;
        for chunk in self.chunks(session).await? {
            let mut records = self.chunk_records(session, at, &chunk).await?;
            at = chunk.end;
            let _turn = self.turns.work().await;
            while let Some((start, record)) = records.next_record()? {
                index.add(start, records.offset(), &record);
            }
        }
        Ok(index)
    }

    /// Journal bytes from `from` to `to` at most, and no more than [`READ_BYTES_MAX`]; empty at the end. `reader` has a place for as long as the
    /// bytes are somewhere.
    ///
    /// # Errors
    /// `recordings-busy` when too many are being read.
    pub async fn journal_read(
        &self,
        reader: &Subject,
        session: SessionId,
        from: u64,
        to: u64,
    ) -> Result<Bytes, AppError> {
        let place = self.turns.ranges.enter(reader).await?;
        let bytes = self.range(session, from, to).await?;
        Ok(Bytes::from_owner(Placed { bytes, _place: place }))
    }

    async fn range(&self, session: SessionId, from: u64, to: u64) -> Result<Bytes, AppError> {
        let head = self.head(session).await?;
        let to = to.min(head.end).min(from.saturating_add(READ_BYTES_MAX));
        if from >= to {
            return Ok(Bytes::new());
        }
        let chunks = self.chunks(session).await?;
        let first = chunks.partition_point(|c| c.end <= from);
        let mut out = BytesMut::new();
        let mut at = from;
        for chunk in chunks[first..].iter().take_while(|c| c.start < to) {
            let bytes = self.chunk_bytes(session, chunk).await?;
            if chunk.start > at {
                return Err(damaged(session, at, "a chunk is missing"));
            }
            let part = (at - chunk.start) as usize..(to.min(chunk.end) - chunk.start) as usize;
            at = chunk.start + part.end as u64;
            if out.is_empty() && at == to {
                return Ok(bytes.slice(part));
            }
            out.extend_from_slice(&bytes[part]);
        }
        if at < to {
            return Err(damaged(session, at, "a chunk is missing"));
        }
        Ok(out.freeze())
    }

    /// One terminal of it as a file, for `reader`, piece by piece.
    ///
    /// # Errors
    /// `no-terminal` for one that the lab has not; `recordings-busy` when too many are being read.
    pub async fn export(
        &self,
        reader: &Subject,
        session: SessionId,
        format: ExportFormat,
        terminal: &str,
    ) -> Result<ExportPieces, AppError> {
        self.head(session).await?;
        let names = self.terminals(session).await?;
        let index = names.iter().position(|n| n == terminal).ok_or_else(|| {
            let message = format!("terminal {terminal:?} is not in this lab; it has {}", names.join(", "));
            AppError::refused(ErrorKind::Invalid, "no-terminal", message)
        })?;
        let row = self.ports.store.session_get(session).await?;
        let title = row
            .as_ref()
            .map_or_else(|| terminal.to_owned(), |s| format!("{} · {terminal}", s.lab));
        let started: Option<Timestamp> = row.as_ref().map(|s| s.requested_at);
        let exporter =
            Exporter::new(format, index as TerminalIndex, &title, started).beginning_at(start_us(row.as_ref()));
        let place = self.turns.exports.enter(reader).await?;
        let chunks = self.chunks(session).await?;
        Export::new(self.clone(), session, chunks, exporter, place)
            .pieces()
            .await
    }

    /// All of its journal as it was recorded, for `reader`, chunk by chunk.
    ///
    /// # Errors
    /// `recordings-busy` when too many are being read.
    pub async fn export_journal(&self, reader: &Subject, session: SessionId) -> Result<ExportPieces, AppError> {
        self.head(session).await?;
        let place = self.turns.exports.enter(reader).await?;
        let chunks = self.chunks(session).await?;
        export::journal(self.clone(), session, chunks, place).await
    }

    /// Whether it is as it was recorded, and from where on it is not.
    pub async fn verify(&self, session: SessionId) -> Result<VerifyReport, AppError> {
        // head before chunks: what is appended between the two is extra, and not a doubt
        let head = self.head(session).await?;
        let mut chunks = self.chunks(session).await?;
        let now = self.head(session).await?;
        if now.end > head.end {
            chunks.retain(|c| c.end <= head.end);
        }
        let mut verifier = Verifier::new(head);
        for chunk in &chunks {
            if verifier.is_over() {
                break;
            }
            let bytes = self.ports.blobs.get(&chunk.key).await?;
            verifier.add(chunk, bytes.as_deref());
        }
        Ok(verifier.finish())
    }

    /// The terminals' names, by index.
    pub(crate) async fn terminals(&self, session: SessionId) -> Result<Vec<String>, AppError> {
        let store = &self.ports.store;
        let row = store
            .session_get(session)
            .await?
            .ok_or_else(|| AppError::not_found("the session"))?;
        let version = store
            .lab_version(&row.digest)
            .await?
            .ok_or_else(|| AppError::not_found("the lab version"))?;
        Ok(version.file.terminals.into_iter().map(|t| t.id.0).collect())
    }

    pub(crate) async fn chunk_bytes(&self, session: SessionId, chunk: &Chunk) -> Result<Bytes, AppError> {
        let bytes = self.ports.blobs.get(&chunk.key).await?;
        let bytes = bytes.ok_or_else(|| damaged(session, chunk.start, "a chunk's object is missing"))?;
        if bytes.len() as u64 != chunk.end - chunk.start {
            return Err(damaged(session, chunk.start, "a chunk's object has another length"));
        }
        Ok(bytes)
    }

    /// The bytes of a chunk that is to begin at `at`.
    pub(super) async fn next_chunk(&self, session: SessionId, at: u64, chunk: &Chunk) -> Result<Bytes, AppError> {
        if chunk.start != at {
            return Err(damaged(session, at, "a chunk is missing"));
        }
        self.chunk_bytes(session, chunk).await
    }

    /// The records of a chunk that is to begin at `at`.
    pub(crate) async fn chunk_records(
        &self,
        session: SessionId,
        at: u64,
        chunk: &Chunk,
    ) -> Result<ChunkRecords, AppError> {
        let bytes = self.next_chunk(session, at, chunk).await?;
        let mut decoder = Decoder::new(chunk.start);
        decoder.push(&bytes);
        Ok(ChunkRecords {
            session,
            end: chunk.end,
            decoder,
        })
    }
}

/// Bytes that somebody's place goes with.
struct Placed {
    bytes: Bytes,
    _place: Place,
}

impl AsRef<[u8]> for Placed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Records of one chunk, in order.
pub(crate) struct ChunkRecords {
    session: SessionId,
    end: u64,
    decoder: Decoder,
}

impl ChunkRecords {
    /// The next one and where it begins; none after the chunk's last.
    pub fn next_record(&mut self) -> Result<Option<(u64, Record)>, AppError> {
        let start = self.decoder.offset();
        match self.decoder.next_record() {
            Ok(Some(record)) => Ok(Some((start, record))),
            Ok(None) if start == self.end => Ok(None),
            Ok(None) => Err(damaged(self.session, start, "a record is cut")),
            Err(e) => Err(damaged(self.session, e.at(), "a record is damaged")),
        }
    }

    /// Where the record ends that was told last.
    pub fn offset(&self) -> u64 {
        self.decoder.offset()
    }
}

/// Where a session's replay begins, by the agent's clock. A sandbox that was kept warm came up long before the click: what it
/// wrote then is drawn at once, and the session begins when its learner came.
pub(crate) fn start_us(session: Option<&Session>) -> u64 {
    session.filter(|s| s.warm).and_then(|s| s.ready_us).unwrap_or(0)
}

fn damaged(session: SessionId, at: u64, what: &str) -> AppError {
    StoreError::Corrupt {
        operation: "recording_read",
        detail: format!("recording of {session}: {what} at journal offset {at}; `labwire recording verify` says more"),
    }
    .into()
}
