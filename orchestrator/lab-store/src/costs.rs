//! What lab time costs: rates frozen at admission, costs booked once, beside the ledger and never in it.

use crate::{db::Tx, error::Failure, row};
use lab_core::{
    LabDigest, SandboxId, SessionId, Timestamp,
    lab::LabFile,
    metering::{Cost, CostAccount, Rate, cost_of},
    port::Session,
};
use sqlx::{AnyConnection, any::AnyRow};

/// See [`lab_core::port::MoneyStore::rates_put`].
pub(crate) async fn rates_put(tx: &mut Tx, rates: &Vec<Rate>) -> Result<(), Failure> {
    sqlx::query("DELETE FROM rate_card").execute(tx.conn()).await?;
    for rate in rates {
        sqlx::query("INSERT INTO rate_card (size, version, micro_eur_per_second) VALUES ($1, $2, $3)")
            .bind(rate.size.name())
            .bind(rate.version.as_str())
            .bind(rate.micro_eur_per_second)
            .execute(tx.conn())
            .await?;
    }
    Ok(())
}

/// Writes down what a session is counted by, from its first moment.
pub(crate) async fn freeze(tx: &mut Tx, session: SessionId, digest: &LabDigest) -> Result<(), Failure> {
    if let Some(rate) = rate_of(tx, digest).await? {
        sqlx::query("UPDATE session SET rate_version = $2, rate_micro_eur = $3 WHERE id = $1")
            .bind(session.to_string())
            .bind(rate.0)
            .bind(rate.1)
            .execute(tx.conn())
            .await?;
    }
    Ok(())
}

/// The same of a sandbox that is kept warm; true.
pub(crate) async fn freeze_pool(tx: &mut Tx, sandbox: SandboxId, digest: &LabDigest) -> Result<bool, Failure> {
    if let Some(rate) = rate_of(tx, digest).await? {
        sqlx::query("UPDATE pool_sandbox SET rate_version = $2, rate_micro_eur = $3 WHERE sandbox = $1")
            .bind(sandbox.to_string())
            .bind(rate.0)
            .bind(rate.1)
            .execute(tx.conn())
            .await?;
    }
    Ok(true)
}

/// Version and rate of a lab version's size, where there is a card.
async fn rate_of(tx: &mut Tx, digest: &LabDigest) -> Result<Option<(String, i64)>, Failure> {
    let card = sqlx::query("SELECT size, version, micro_eur_per_second FROM rate_card")
        .fetch_all(tx.conn())
        .await?;
    if card.is_empty() {
        return Ok(None);
    }
    let file = sqlx::query("SELECT file FROM lab_version WHERE digest = $1")
        .bind(digest.as_str())
        .fetch_one(tx.conn())
        .await?;
    let file: LabFile = serde_json::from_str(&row::text(&file, "file")?)
        .map_err(|e| Failure::Unreadable(format!("lab_version.file ({e})")))?;
    for r in &card {
        if row::text(r, "size")? == file.size.name() {
            return Ok(Some((row::text(r, "version")?, row::int(r, "micro_eur_per_second")?)));
        }
    }
    Ok(None)
}

/// Books what a session's sandbox cost, from its first prompt to its end.
pub(crate) async fn of_session(tx: &mut Tx, session: &Session, seconds: i64, at: Timestamp) -> Result<(), Failure> {
    let r = sqlx::query("SELECT rate_version, rate_micro_eur FROM session WHERE id = $1")
        .bind(session.id.to_string())
        .fetch_one(tx.conn())
        .await?;
    let (Some(version), Some(rate)) = (row::text_opt(&r, "rate_version")?, row::int_opt(&r, "rate_micro_eur")?) else {
        return Ok(());
    };
    let cost = Cost {
        account: CostAccount::Session,
        sandbox: session.sandbox,
        session: Some(session.id),
        lab: session.lab.clone(),
        seconds,
        version,
        micro_eur: cost_of(seconds, rate),
        booked_at: at,
    };
    book(tx, &cost).await
}

/// Books what a sandbox of a pool cost while it was nobody's: until it was claimed, or until now.
pub(crate) async fn of_pool(tx: &mut Tx, sandbox: SandboxId, at: Timestamp) -> Result<(), Failure> {
    let found = sqlx::query(
        "SELECT lab, made_at, claimed_at, rate_version, rate_micro_eur FROM pool_sandbox
         WHERE sandbox = $1 AND state IN ('draining', 'claimed') AND rate_version IS NOT NULL",
    )
    .bind(sandbox.to_string())
    .fetch_optional(tx.conn())
    .await?;
    let Some(r) = found else { return Ok(()) };
    let until = row::time_opt(&r, "claimed_at")?.unwrap_or(at);
    let seconds = i64::try_from(until.since(row::time(&r, "made_at")?).as_secs()).unwrap_or(i64::MAX);
    let cost = Cost {
        account: CostAccount::Overhead,
        sandbox,
        session: None,
        lab: row::text(&r, "lab")?.into(),
        seconds,
        version: row::text(&r, "rate_version")?,
        micro_eur: cost_of(seconds, row::int(&r, "rate_micro_eur")?),
        booked_at: at,
    };
    book(tx, &cost).await
}

async fn book(tx: &mut Tx, cost: &Cost) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO cost (id, account, sandbox, session, lab, seconds, version, micro_eur, booked_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING",
    )
    .bind(cost.key())
    .bind(cost.account.name())
    .bind(cost.sandbox.to_string())
    .bind(cost.session.map(|s| s.to_string()))
    .bind(cost.lab.as_str())
    .bind(cost.seconds)
    .bind(cost.version.as_str())
    .bind(cost.micro_eur)
    .bind(cost.booked_at.0)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// See [`lab_core::port::MoneyStore::overhead`].
pub(crate) async fn overhead(
    conn: &mut AnyConnection,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<Cost>, Failure> {
    let rows = sqlx::query(
        "SELECT * FROM cost WHERE account = 'overhead' AND booked_at >= $1 AND booked_at < $2 ORDER BY booked_at, id",
    )
    .bind(from.0)
    .bind(until.0)
    .fetch_all(conn)
    .await?;
    let read = |r: &AnyRow| {
        Ok(Cost {
            account: CostAccount::Overhead,
            sandbox: row::id(r, "sandbox")?,
            session: None,
            lab: row::text(r, "lab")?.into(),
            seconds: row::int(r, "seconds")?,
            version: row::text(r, "version")?,
            micro_eur: row::int(r, "micro_eur")?,
            booked_at: row::time(r, "booked_at")?,
        })
    };
    rows.iter().map(read).collect()
}
