//! What the administration asks: statements, budgets and alerts, costs, reconciliations.

use crate::{
    SqlStore, alerts, costs,
    db::{Db, Tx},
    entitlement,
    error::{During, Failure},
    row, statement,
    store::{read, write},
};
use async_trait::async_trait;
use lab_core::{
    SponsorId, Subject, Timestamp,
    metering::{
        Alert, AlertChannel, AlertState, Budget, Cost, Delivery, DeliveryMark, Rate, Reconciliation, SessionSums,
        Spending, StatementFacts, StatementOf,
    },
    port::{MoneyStore, StoreError},
};
use sqlx::{AnyConnection, any::AnyRow};
use std::time::Duration;

#[async_trait]
impl MoneyStore for SqlStore {
    async fn statement_facts(&self, of: &StatementOf, until: Timestamp) -> Result<StatementFacts, StoreError> {
        read!(self, "statement_facts", statement::facts, of, until)
    }
    async fn grants_attest(
        &self,
        sponsor: &SponsorId,
        learners: &[Subject],
        until: Timestamp,
        at: Timestamp,
    ) -> Result<Vec<Subject>, StoreError> {
        let input = (sponsor.clone(), learners.to_vec(), until, at);
        write!(self, "grants_attest", input, entitlement::attest)
    }
    async fn budgets_put(&self, budgets: &[Budget]) -> Result<(), StoreError> {
        write!(self, "budgets_put", budgets.to_vec(), alerts::budgets_put)
    }
    async fn spendings(&self, at: Timestamp) -> Result<Vec<Spending>, StoreError> {
        read!(self, "spendings", alerts::spendings, at)
    }
    async fn alert_raise(&self, alert: &Alert, channels: &[AlertChannel]) -> Result<bool, StoreError> {
        write!(self, "alert_raise", (alert.clone(), channels.to_vec()), alerts::raise)
    }
    async fn alerts_due(&self, at: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        read!(self, "alerts_due", alerts::due, at)
    }
    async fn alert_mark(&self, mark: &DeliveryMark) -> Result<(), StoreError> {
        write!(self, "alert_mark", mark.clone(), alerts::mark)
    }
    async fn alert_list(&self) -> Result<Vec<AlertState>, StoreError> {
        read!(self, "alert_list", alerts::list)
    }
    async fn rates_put(&self, rates: &[Rate]) -> Result<(), StoreError> {
        write!(self, "rates_put", rates.to_vec(), costs::rates_put)
    }
    async fn overhead(&self, from: Timestamp, until: Timestamp) -> Result<Vec<Cost>, StoreError> {
        read!(self, "overhead", costs::overhead, from, until)
    }
    async fn session_sums(&self) -> Result<SessionSums, StoreError> {
        read!(self, "session_sums", session_sums)
    }
    async fn reconciliation_put(&self, done: &Reconciliation) -> Result<(), StoreError> {
        write!(self, "reconciliation_put", done.clone(), reconciliation_put)
    }
    async fn reconciliation_last(&self) -> Result<Option<Reconciliation>, StoreError> {
        read!(self, "reconciliation_last", reconciliation_last)
    }
}

/// One statement, so that all of it is of one moment.
async fn session_sums(conn: &mut AnyConnection) -> Result<SessionSums, Failure> {
    let r = sqlx::query(
        "SELECT CAST(COALESCE(SUM(sandbox_seconds), 0) AS BIGINT) AS sandbox,
             CAST(COALESCE(SUM(billed_seconds), 0) AS BIGINT) AS billed,
             CAST(COALESCE(SUM(unbilled_seconds), 0) AS BIGINT) AS unbilled,
             (SELECT CAST(COALESCE(-SUM(e.seconds), 0) AS BIGINT) FROM ledger_tx t JOIN ledger_entry e ON e.tx = t.id
              WHERE t.kind = 'refund' AND e.account LIKE 'used:%') AS refunded,
             (SELECT CAST(COALESCE(SUM(e.seconds), 0) AS BIGINT) FROM session s JOIN ledger_entry e
              ON e.account = 'hold:' || s.id WHERE s.over_at IS NULL) AS held
         FROM usage",
    )
    .fetch_one(conn)
    .await?;
    Ok(SessionSums {
        sandbox: row::int(&r, "sandbox")?,
        billed: row::int(&r, "billed")?,
        unbilled: row::int(&r, "unbilled")?,
        refunded: row::int(&r, "refunded")?,
        held: row::int(&r, "held")?,
    })
}

/// Reconciliations are kept for so long.
const KEEP: Duration = Duration::from_hours(24 * 366);

async fn reconciliation_put(tx: &mut Tx, done: &Reconciliation) -> Result<(), Failure> {
    let lines = serde_json::to_string(&done.lines);
    let lines = lines.map_err(|e| Failure::Unreadable(format!("reconciliation.lines ({e})")))?;
    sqlx::query(
        "INSERT INTO reconciliation (at, lines) VALUES ($1, $2) ON CONFLICT (at) DO UPDATE SET lines = excluded.lines",
    )
    .bind(done.at.0)
    .bind(lines)
    .execute(tx.conn())
    .await?;
    sqlx::query("DELETE FROM reconciliation WHERE at < $1")
        .bind(done.at.minus(KEEP).0)
        .execute(tx.conn())
        .await?;
    Ok(())
}

async fn reconciliation_last(conn: &mut AnyConnection) -> Result<Option<Reconciliation>, Failure> {
    let found = sqlx::query("SELECT at, lines FROM reconciliation ORDER BY at DESC LIMIT 1")
        .fetch_optional(conn)
        .await?;
    let read = |r: AnyRow| {
        Ok(Reconciliation {
            at: row::time(&r, "at")?,
            lines: serde_json::from_str(&row::text(&r, "lines")?)
                .map_err(|e| Failure::Unreadable(format!("reconciliation.lines ({e})")))?,
        })
    };
    found.map(read).transpose()
}
