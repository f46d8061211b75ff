//! One terminal of a recording, or all of its journal, as a file, made while it is taken: a chunk and a piece are in memory, however long the recording is.

use super::{
    recordings::{ChunkRecords, Recordings},
    turns::Place,
};
use crate::AppError;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use lab_core::{
    SessionId,
    journal::PAYLOAD_MAX,
    recording::{Chunk, Exporter},
};
use std::vec;

/// A piece is handed on when it has so much: some 4 ms of a line of 500 Mbit/s, and a thousandth of what a chunk can become in a file.
pub const EXPORT_PIECE_BYTES: usize = 256 * 1024;

/// The largest piece: one record more, each of whose bytes is a control character and six in the file, between times and quotes.
pub const EXPORT_PIECE_BYTES_MAX: usize = EXPORT_PIECE_BYTES + 6 * PAYLOAD_MAX + 1024;

/// A file's bytes. Nothing is read before it is asked for; an error is the last item, and the file is not whole then.
pub type ExportPieces = BoxStream<'static, Result<Bytes, AppError>>;

/// See the module's doc.
pub(super) struct Export {
    recordings: Recordings,
    session: SessionId,
    chunks: vec::IntoIter<Chunk>,
    /// Journal read so far.
    at: u64,
    /// Of the chunk that is being read.
    records: Option<ChunkRecords>,
    /// None when all is told.
    exporter: Option<Exporter>,
    _place: Place,
}

impl Export {
    pub fn new(
        recordings: Recordings,
        session: SessionId,
        chunks: Vec<Chunk>,
        exporter: Exporter,
        place: Place,
    ) -> Self {
        Self {
            recordings,
            session,
            chunks: chunks.into_iter(),
            at: 0,
            records: None,
            exporter: Some(exporter),
            _place: place,
        }
    }

    /// The pieces. The first is made now: what cannot be read at all is an answer, and no file that breaks off.
    pub async fn pieces(mut self) -> Result<ExportPieces, AppError> {
        let first = stream::iter(self.piece().await?.map(Ok));
        let rest = stream::try_unfold(self, |mut export| async move {
            Ok(export.piece().await?.map(|piece| (piece, export)))
        });
        Ok(first.chain(rest).boxed())
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, AppError> {
        while let Some(exporter) = &mut self.exporter {
            if let Some(records) = &mut self.records {
                let turn = self.recordings.turns.work().await;
                let is_read = fill(exporter, records)?;
                drop(turn);
                if is_read {
                    self.records = None;
                }
                if exporter.written() >= EXPORT_PIECE_BYTES {
                    return Ok(Some(exporter.take().into()));
                }
            } else if let Some(chunk) = self.chunks.next() {
                let records = self.recordings.chunk_records(self.session, self.at, &chunk).await?;
                (self.at, self.records) = (chunk.end, Some(records));
            } else {
                let rest = self.exporter.take().map(Exporter::finish).unwrap_or_default();
                return Ok(Some(Bytes::from(rest)).filter(|rest| !rest.is_empty()));
            }
        }
        Ok(None)
    }
}

/// The journal as it was recorded, chunk by chunk. The first is read now, as an export's.
pub(super) async fn journal(
    recordings: Recordings,
    session: SessionId,
    chunks: Vec<Chunk>,
    place: Place,
) -> Result<ExportPieces, AppError> {
    let rest = (recordings, chunks.into_iter(), 0, place);
    let mut rest = stream::try_unfold(rest, move |(recordings, mut chunks, at, place)| async move {
        let Some(chunk) = chunks.next() else {
            return Ok(None);
        };
        let bytes = recordings.next_chunk(session, at, &chunk).await?;
        Ok(Some((bytes, (recordings, chunks, chunk.end, place))))
    })
    .boxed();
    let first = rest.next().await.transpose()?;
    Ok(stream::iter(first.map(Ok)).chain(rest).boxed())
}

/// Writes records until there is a piece; true when the chunk has no more of them.
pub(crate) fn fill(exporter: &mut Exporter, records: &mut ChunkRecords) -> Result<bool, AppError> {
    while exporter.written() < EXPORT_PIECE_BYTES {
        match records.next_record()? {
            Some((_, record)) => exporter.add(&record),
            None => return Ok(true),
        }
    }
    Ok(false)
}
