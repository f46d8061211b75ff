//! Lab versions, which stay; and what is published of them: a row of `lab` names the version that is launched, and a lab without one is
//! withdrawn.

use crate::{db::Tx, error::Failure, row};
use lab_core::{LabDigest, LabId, Timestamp, lab::LabVersion};
use sqlx::{AnyConnection, any::AnyRow};

pub(crate) async fn publish(tx: &mut Tx, (lab, at): &(LabVersion, Timestamp)) -> Result<(), Failure> {
    let file = serde_json::to_string(&lab.file).map_err(|e| Failure::Unreadable(format!("lab file: {e}")))?;
    sqlx::query(
        "INSERT INTO lab_version (digest, lab, source, file, published_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (digest) DO UPDATE SET published_at = excluded.published_at",
    )
    .bind(lab.digest.as_str())
    .bind(lab.file.id.as_str())
    .bind(lab.source.as_str())
    .bind(file)
    .bind(at.0)
    .execute(tx.conn())
    .await?;
    sqlx::query("INSERT INTO lab (id, latest) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET latest = excluded.latest")
        .bind(lab.file.id.as_str())
        .bind(lab.digest.as_str())
        .execute(tx.conn())
        .await?;
    Ok(())
}

pub(crate) async fn withdraw(tx: &mut Tx, lab: &LabId) -> Result<bool, Failure> {
    let gone = sqlx::query("DELETE FROM lab WHERE id = $1")
        .bind(lab.as_str())
        .execute(tx.conn())
        .await?;
    Ok(gone.rows_affected() > 0)
}

pub(crate) async fn last(conn: &mut AnyConnection, lab: &LabId) -> Result<Option<LabVersion>, Failure> {
    sqlx::query(
        "SELECT v.digest, v.source, v.file FROM lab_version v LEFT JOIN lab ON lab.latest = v.digest WHERE v.lab = $1
         ORDER BY CASE WHEN lab.id IS NULL THEN 1 ELSE 0 END, v.published_at DESC, v.digest LIMIT 1",
    )
    .bind(lab.as_str())
    .fetch_optional(conn)
    .await?
    .map(|row| read(&row))
    .transpose()
}

pub(crate) async fn ids(conn: &mut AnyConnection) -> Result<Vec<LabId>, Failure> {
    let rows = sqlx::query("SELECT DISTINCT lab FROM lab_version")
        .fetch_all(conn)
        .await?;
    let mut ids = rows
        .iter()
        .map(|r| Ok(row::text(r, "lab")?.into()))
        .collect::<Result<Vec<LabId>, Failure>>()?;
    ids.sort();
    Ok(ids)
}

pub(crate) async fn version(conn: &mut AnyConnection, digest: &LabDigest) -> Result<Option<LabVersion>, Failure> {
    sqlx::query("SELECT digest, source, file FROM lab_version WHERE digest = $1")
        .bind(digest.as_str())
        .fetch_optional(conn)
        .await?
        .map(|row| read(&row))
        .transpose()
}

pub(crate) async fn latest(conn: &mut AnyConnection, lab: &LabId) -> Result<Option<LabVersion>, Failure> {
    sqlx::query(
        "SELECT v.digest, v.source, v.file FROM lab JOIN lab_version v ON v.digest = lab.latest WHERE lab.id = $1",
    )
    .bind(lab.as_str())
    .fetch_optional(conn)
    .await?
    .map(|row| read(&row))
    .transpose()
}

pub(crate) async fn list(conn: &mut AnyConnection) -> Result<Vec<LabVersion>, Failure> {
    let rows = sqlx::query("SELECT v.digest, v.source, v.file FROM lab JOIN lab_version v ON v.digest = lab.latest")
        .fetch_all(conn)
        .await?;
    let mut labs = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    // here and not in SQL, where the order of '-' depends on the database's collation
    labs.sort_by(|a, b| a.file.id.cmp(&b.file.id));
    Ok(labs)
}

fn read(r: &AnyRow) -> Result<LabVersion, Failure> {
    let digest = LabDigest(row::text(r, "digest")?);
    let file = serde_json::from_str(&row::text(r, "file")?)
        .map_err(|e| Failure::Unreadable(format!("file of lab version {digest}: {e}")))?;
    Ok(LabVersion {
        digest,
        source: row::text(r, "source")?,
        file,
    })
}
