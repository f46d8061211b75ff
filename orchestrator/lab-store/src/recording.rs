//! Stage 5, recording: heads and chunks. The bytes are in the blob store.

use crate::{db::Tx, error::Failure, row};
use lab_core::{
    SessionId, Timestamp,
    port::{ChunkAppend, StoreError, recorder_lease},
    recording::{ChainHash, Chunk, RecordingHead, RecordingState},
};
use sqlx::{AnyConnection, any::AnyRow};

pub(crate) async fn open(tx: &mut Tx, (session, at): &(SessionId, Timestamp)) -> Result<RecordingHead, Failure> {
    // selected from its session, so that there is none without one, nor of one whose learner was forgotten
    sqlx::query(
        "INSERT INTO recording (session, opened_at, end_offset, chain, chunks, last_us, epoch, state)
         SELECT id, $2, 0, $3, 0, 0, 0, 'open' FROM session WHERE id = $1 AND erased_at IS NULL
         ON CONFLICT (session) DO NOTHING",
    )
    .bind(session.to_string())
    .bind(at.0)
    .bind(ChainHash::genesis(*session).0.to_vec())
    .execute(tx.conn())
    .await?;
    head(tx.conn(), *session)
        .await?
        .ok_or_else(|| Failure::missing("session", session))
}

pub(crate) async fn head(conn: &mut AnyConnection, session: SessionId) -> Result<Option<RecordingHead>, Failure> {
    Ok(stored(conn, session).await?.map(|(head, _)| head))
}

/// The head, and the highest epoch that wrote it.
async fn stored(conn: &mut AnyConnection, session: SessionId) -> Result<Option<(RecordingHead, u64)>, Failure> {
    let found = sqlx::query("SELECT * FROM recording WHERE session = $1")
        .bind(session.to_string())
        .fetch_optional(conn)
        .await?;
    found.map(|r| Ok((read(&r)?, row::unsigned(&r, "epoch")?))).transpose()
}

/// One conditional update is the whole rule: the chunk begins where the recording ends, and no newer recorder wrote.
pub(crate) async fn append(tx: &mut Tx, c: &ChunkAppend) -> Result<RecordingHead, Failure> {
    let moved = if c.start < c.end { advance(tx, c).await? } else { None };
    let Some(head) = moved else { return explain(tx, c).await };
    sqlx::query(
        "INSERT INTO recording_chunk (session, start_offset, end_offset, chain, key, appended_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(c.session.to_string())
    .bind(row::count(c.start))
    .bind(row::count(c.end))
    .bind(c.chain.0.to_vec())
    .bind(c.key.as_str())
    .bind(c.at.0)
    .execute(tx.conn())
    .await?;
    Ok(head)
}

async fn advance(tx: &mut Tx, c: &ChunkAppend) -> Result<Option<RecordingHead>, Failure> {
    let moved = sqlx::query(
        "UPDATE recording SET end_offset = $3, chain = $4, chunks = chunks + 1, epoch = $5,
             last_us = CASE WHEN last_us < $6 THEN $6 ELSE last_us END
         WHERE session = $1 AND end_offset = $2 AND epoch <= $5 AND state = 'open'
         RETURNING *",
    )
    .bind(c.session.to_string())
    .bind(row::count(c.start))
    .bind(row::count(c.end))
    .bind(c.chain.0.to_vec())
    .bind(row::count(c.epoch))
    .bind(row::count(c.last_us))
    .fetch_all(tx.conn())
    .await?;
    moved.first().map(read).transpose()
}

/// Why the update matched nothing. The chunk that is the last one already is no error: its first answer was lost.
async fn explain(tx: &mut Tx, c: &ChunkAppend) -> Result<RecordingHead, Failure> {
    let (head, epoch) = stored(tx.conn(), c.session)
        .await?
        .ok_or_else(|| Failure::missing("recording", c.session))?;
    if c.epoch < epoch {
        return Err(StoreError::Fenced {
            what: format!("recording {}", c.session),
            epoch: c.epoch,
        }
        .into());
    }
    let last = sqlx::query("SELECT * FROM recording_chunk WHERE session = $1 AND start_offset = $2")
        .bind(c.session.to_string())
        .bind(row::count(c.start))
        .fetch_optional(tx.conn())
        .await?;
    let repeated = Chunk {
        start: c.start,
        end: c.end,
        chain: c.chain,
        key: c.key.clone(),
    };
    if head.end == c.end && last.map(|r| read_chunk(&r)).transpose()? == Some(repeated) {
        return Ok(head);
    }
    if head.state != RecordingState::Open {
        return Err(Failure::conflict("recording", c.session, "it is closed"));
    }
    Err(StoreError::ChunkOrder {
        session: c.session,
        start: c.start,
        end: head.end,
    }
    .into())
}

pub(crate) async fn chunks(conn: &mut AnyConnection, session: SessionId) -> Result<Vec<Chunk>, Failure> {
    let rows = sqlx::query("SELECT * FROM recording_chunk WHERE session = $1 ORDER BY start_offset")
        .bind(session.to_string())
        .fetch_all(conn)
        .await?;
    rows.iter().map(read_chunk).collect()
}

/// The first close of the newest recorder counts.
pub(crate) async fn close(
    tx: &mut Tx,
    (session, epoch, state): &(SessionId, u64, RecordingState),
) -> Result<(), Failure> {
    let (name, at, reason) = match state {
        RecordingState::Open => return Err(Failure::conflict("recording", session, "open is not an end")),
        RecordingState::Complete { at } => ("complete", at, None),
        RecordingState::Cut { at, reason } => ("cut", at, Some(reason.clone())),
        RecordingState::Removed { .. } => {
            return Err(Failure::conflict("recording", session, "a recorder removes none"));
        }
    };
    let done = sqlx::query(
        "UPDATE recording SET state = $2, state_at = $3, state_reason = $4
         WHERE session = $1 AND state = 'open' AND epoch <= $5
           AND NOT EXISTS (SELECT 1 FROM lease WHERE name = $6 AND lease.epoch > $5)",
    )
    .bind(session.to_string())
    .bind(name)
    .bind(at.0)
    .bind(reason)
    .bind(row::count(*epoch))
    .bind(recorder_lease(*session))
    .execute(tx.conn())
    .await?;
    if done.rows_affected() > 0 {
        return Ok(());
    }
    match head(tx.conn(), *session).await? {
        None => Err(Failure::missing("recording", session)),
        Some(head) if head.state == RecordingState::Open => Err(StoreError::Fenced {
            what: format!("recording {session}"),
            epoch: *epoch,
        }
        .into()),
        Some(_) => Ok(()),
    }
}

fn read(r: &AnyRow) -> Result<RecordingHead, Failure> {
    let name = row::text(r, "state")?;
    let at = row::time_opt(r, "state_at")?;
    let state = match (name.as_str(), at) {
        ("open", _) => RecordingState::Open,
        ("complete", Some(at)) => RecordingState::Complete { at },
        ("cut", Some(at)) => RecordingState::Cut {
            at,
            reason: row::text_opt(r, "state_reason")?.unwrap_or_default(),
        },
        _ => {
            return Err(Failure::Unreadable(format!(
                "recording state {name:?} is unknown or has no time"
            )));
        }
    };
    let removed = row::time_opt(r, "removed_at")?;
    let state = removed.map_or(state, |at| RecordingState::Removed { at });
    Ok(RecordingHead {
        session: row::id(r, "session")?,
        end: row::unsigned(r, "end_offset")?,
        chain: ChainHash(row::hash32(r, "chain")?),
        chunks: row::unsigned(r, "chunks")?,
        state,
        last_us: row::unsigned(r, "last_us")?,
    })
}

fn read_chunk(r: &AnyRow) -> Result<Chunk, Failure> {
    Ok(Chunk {
        start: row::unsigned(r, "start_offset")?,
        end: row::unsigned(r, "end_offset")?,
        chain: ChainHash(row::hash32(r, "chain")?),
        key: row::text(r, "key")?,
    })
}
