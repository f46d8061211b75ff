//! Who was told.

use crate::{db::Tx, error::Failure, row};
use lab_core::{
    Subject, Timestamp,
    privacy::{Acknowledgement, NoticeVersion},
};
use sqlx::AnyConnection;

/// The first time counts.
pub(super) async fn acknowledge(tx: &mut Tx, ack: &Acknowledgement) -> Result<Timestamp, Failure> {
    sqlx::query(
        "INSERT INTO notice_ack (subject, version, acknowledged_at) VALUES ($1, $2, $3)
         ON CONFLICT (subject, version) DO NOTHING",
    )
    .bind(ack.subject.as_str())
    .bind(ack.version.as_str())
    .bind(ack.at.0)
    .execute(tx.conn())
    .await?;
    let at = acknowledged(tx.conn(), &ack.subject, &ack.version).await?;
    at.ok_or_else(|| Failure::missing("notice", &ack.subject))
}

pub(super) async fn acknowledged(
    conn: &mut AnyConnection,
    subject: &Subject,
    version: &NoticeVersion,
) -> Result<Option<Timestamp>, Failure> {
    let found = sqlx::query("SELECT acknowledged_at FROM notice_ack WHERE subject = $1 AND version = $2")
        .bind(subject.as_str())
        .bind(version.as_str())
        .fetch_optional(conn)
        .await?;
    found.map(|r| row::time(&r, "acknowledged_at")).transpose()
}

/// Whether the learner of a click was told; if so they cannot be forgotten until the transaction is over.
pub(crate) async fn told(tx: &mut Tx, subject: &Subject, version: &NoticeVersion) -> Result<bool, Failure> {
    let dialect = tx.dialect;
    dialect.keep_person(tx.conn(), subject).await?;
    Ok(acknowledged(tx.conn(), subject, version).await?.is_some())
}
