//! One person as one ZIP. Made piece by piece while it is read: at most a chunk of a recording is in memory, whatever the archive holds.

mod archive;
mod page;
mod tables;

use super::people::PersonView;
use crate::{
    AppError, Ports,
    recording::{Recordings, fill},
};
use archive::Archive;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{
    StreamExt,
    stream::{self, once},
};
use lab_core::{
    SessionId, Subject, TerminalIndex,
    port::Session,
    recording::{ExportFormat, Exporter, RecordingState},
};
use tokio::sync::mpsc;

/// Pieces made ahead of who reads them; each is at most some 256 KiB.
pub const EXPORT_QUEUE: usize = 2;

/// A piece of an archive, or why there is no more of it.
pub type ExportPiece = Result<Bytes, AppError>;

/// Transactions, and looks, read at once.
const PAGE: u32 = 500;

/// The archive's bytes. The work is done as they are asked for: who goes away stops it, and no task is left.
pub(super) fn export(ports: Ports, person: PersonView) -> BoxStream<'static, ExportPiece> {
    let (out, pieces) = mpsc::channel(EXPORT_QUEUE);
    // boxed: the packer keeps its window in the future
    let work = async move { Box::pin(write(&ports, &person, Archive::new(out))).await };
    let failure = once(work).filter_map(|done| async { done.err().map(Err) });
    let pieces = stream::unfold(pieces, |mut pieces| async {
        let piece = pieces.recv().await?;
        Some((Ok(piece), pieces))
    });
    stream::select(pieces, failure).boxed()
}

async fn write(ports: &Ports, person: &PersonView, mut archive: Archive) -> Result<(), AppError> {
    let mut problems = Vec::new();
    archive
        .file("profile.json", tables::profile(ports, person).await?.as_bytes())
        .await?;
    sessions(ports, person, &mut archive).await?;
    grades(ports, &person.subject, &mut archive).await?;
    ledger(ports, &person.subject, &mut archive).await?;
    looks(ports, &person.subject, &mut archive).await?;
    for session in &person.sessions {
        if let Err(error) = recording(ports, session, &mut archive).await {
            if archive.is_abandoned() {
                return Err(error);
            }
            tracing::warn!(session.id = %session.id, code = error.code(), "a recording could not be exported whole");
            problems.push((session.id, error.code()));
        }
    }
    // last: it says what could not be read
    archive
        .file("index.html", page::index(person, &problems).as_bytes())
        .await?;
    archive.finish().await
}

/// Sessions with their histories, and the outcomes of their checks.
async fn sessions(ports: &Ports, person: &PersonView, archive: &mut Archive) -> Result<(), AppError> {
    archive.begin("sessions.json").await?;
    for (n, session) in person.sessions.iter().enumerate() {
        let history = ports.store.session_history(session.id).await?;
        let text = tables::session(session, &history);
        archive.write(if n == 0 { b"[\n" } else { b",\n" }).await?;
        archive.write(text.as_bytes()).await?;
    }
    let end: &[u8] = if person.sessions.is_empty() { b"[]\n" } else { b"\n]\n" };
    archive.write(end).await?;
    archive.begin("checks.csv").await?;
    archive.write(tables::CHECKS.as_bytes()).await?;
    for session in &person.sessions {
        for outcome in ports.store.check_list(session.id).await? {
            archive.write(tables::check(session, &outcome).as_bytes()).await?;
        }
    }
    Ok(())
}

async fn grades(ports: &Ports, subject: &Subject, archive: &mut Archive) -> Result<(), AppError> {
    archive.begin("grades.csv").await?;
    archive.write(tables::GRADES.as_bytes()).await?;
    for row in ports.store.grade_of(subject).await? {
        archive.write(tables::grade(&row).as_bytes()).await?;
    }
    Ok(())
}

async fn ledger(ports: &Ports, subject: &Subject, archive: &mut Archive) -> Result<(), AppError> {
    archive.begin("ledger.csv").await?;
    archive.write(tables::LEDGER.as_bytes()).await?;
    let mut after = None;
    loop {
        let page = ports.store.person_ledger(subject, after.as_ref(), PAGE).await?;
        for transaction in &page {
            archive.write(tables::transaction(transaction).as_bytes()).await?;
        }
        match page.last() {
            Some(last) if page.len() == PAGE as usize => after = Some((last.occurred_at, last.key.clone())),
            _ => return Ok(()),
        }
    }
}

async fn looks(ports: &Ports, subject: &Subject, archive: &mut Archive) -> Result<(), AppError> {
    archive.begin("access-log.csv").await?;
    archive.write(tables::LOOKS.as_bytes()).await?;
    let mut before = None;
    loop {
        let page = ports.store.looks(subject, None, before).await?;
        for look in &page {
            archive.write(tables::look(look).as_bytes()).await?;
        }
        match page.last() {
            Some(last) => before = Some(last.id),
            None => return Ok(()),
        }
    }
}

/// The journal as it was recorded, and each terminal as a file that players know.
async fn recording(ports: &Ports, session: &Session, archive: &mut Archive) -> Result<(), AppError> {
    let head = ports.store.recording_head(session.id).await?;
    if head.is_none_or(|h| h.end == 0 || matches!(h.state, RecordingState::Removed { .. })) {
        return Ok(());
    }
    let recordings = Recordings::new(ports.clone());
    let chunks = recordings.chunks(session.id).await?;
    archive.begin(&format!("{}journal.bin", folder(session.id))).await?;
    for chunk in &chunks {
        let bytes = recordings.chunk_bytes(session.id, chunk).await?;
        archive.write(&bytes).await?;
    }
    for (index, terminal) in recordings.terminals(session.id).await?.iter().enumerate() {
        let title = format!("{} · {terminal}", session.lab);
        let mut exporter = Exporter::new(
            ExportFormat::AsciicastV2,
            index as TerminalIndex,
            &title,
            Some(session.requested_at),
        )
        .beginning_at(crate::recording::start_us(Some(session)));
        archive
            .begin(&format!("{}{}.cast", folder(session.id), plain(terminal)))
            .await?;
        let mut at = 0;
        for chunk in &chunks {
            let mut records = recordings.chunk_records(session.id, at, chunk).await?;
            at = chunk.end;
            // a chunk of control characters is six times as long in a file: not gathered either
            while !fill(&mut exporter, &mut records)? {
                archive.write(&exporter.take()).await?;
            }
        }
        archive.write(&exporter.finish()).await?;
    }
    Ok(())
}

/// Where a session's recording lies in the archive.
fn folder(session: SessionId) -> String {
    format!("recordings/{session}/")
}

/// A terminal's name is the lab author's; in a path stand plain letters of it.
fn plain(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
        .collect()
}
