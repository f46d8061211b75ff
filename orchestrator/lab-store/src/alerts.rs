//! Budgets, what is spent of them and of grants, alerts, and the outbox that they are sent from.

use crate::{db::Tx, error::Failure, leases, row};
use lab_core::{
    Timestamp,
    metering::{
        ACCOUNTS_LEASE, Alert, AlertChannel, AlertOf, AlertSent, AlertState, Budget, BudgetOf, Delivery, DeliveryMark,
        DeliveryOutcome, Spending,
    },
    port::{ALERTS_SHOWN, DELIVERIES_AT_ONCE},
};
use sqlx::{AnyConnection, any::AnyRow};

/// See [`lab_core::port::MoneyStore::budgets_put`].
pub(crate) async fn budgets_put(tx: &mut Tx, budgets: &Vec<Budget>) -> Result<(), Failure> {
    sqlx::query("DELETE FROM budget").execute(tx.conn()).await?;
    for budget in budgets {
        let (kind, id) = match &budget.of {
            BudgetOf::Course(course) => ("course", course.as_str()),
            BudgetOf::Sponsor(sponsor) => ("sponsor", sponsor.as_str()),
        };
        sqlx::query(
            "INSERT INTO budget (kind, id, seconds) VALUES ($1, $2, $3)
             ON CONFLICT (kind, id) DO UPDATE SET seconds = excluded.seconds",
        )
        .bind(kind)
        .bind(id)
        .bind(budget.seconds)
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// See [`lab_core::port::MoneyStore::spendings`]. The condition of the learners is the first of
/// [`lab_core::metering::ALERT_AT_PERCENT`]: the others need not be read.
pub(crate) async fn spendings(conn: &mut AnyConnection, at: Timestamp) -> Result<Vec<Spending>, Failure> {
    let learners = sqlx::query(
        "SELECT subject, course, given, given - available AS spent FROM (
             SELECT g.subject, g.course, CAST(SUM(g.seconds) AS BIGINT) AS given,
                 CAST(SUM((SELECT COALESCE(SUM(e.seconds), 0) FROM ledger_entry e WHERE e.account = 'grant:' || g.id))
                     AS BIGINT) AS available
             FROM lab_grant g
             WHERE g.effective_at <= $1 AND g.expires_at > $1 AND g.voided_at IS NULL AND g.seconds > 0
             GROUP BY g.subject, g.course) AS learner
         WHERE (given - available) * 2 >= given ORDER BY subject, course",
    )
    .bind(at.0)
    .fetch_all(&mut *conn)
    .await?;
    let budgets = sqlx::query(
        "SELECT b.kind, b.id, b.seconds, CAST(CASE WHEN b.kind = 'course' THEN
                 (SELECT COALESCE(SUM(e.seconds), 0) FROM ledger_entry e WHERE e.account = 'used:' || b.id)
               + (SELECT COALESCE(SUM(e.seconds), 0) FROM session s JOIN ledger_entry e ON e.account = 'hold:' || s.id
                  WHERE s.course = b.id AND s.over_at IS NULL)
             ELSE
                 (SELECT COALESCE(-SUM(e.seconds), 0) FROM lab_grant g JOIN ledger_entry e ON e.account = 'grant:' || g.id
                  JOIN ledger_tx t ON t.id = e.tx WHERE g.sponsor = b.id AND t.session IS NOT NULL)
             END AS BIGINT) AS spent
         FROM budget b ORDER BY b.kind, b.id",
    )
    .fetch_all(conn)
    .await?;
    let learner = |r: &AnyRow| {
        Ok(Spending {
            of: AlertOf::Learner {
                subject: row::text(r, "subject")?.into(),
                course: row::text(r, "course")?.into(),
            },
            basis: row::int(r, "given")?,
            spent: row::int(r, "spent")?,
        })
    };
    let budget = |r: &AnyRow| {
        let id = row::text(r, "id")?;
        let of = match row::text(r, "kind")?.as_str() {
            "course" => BudgetOf::Course(id.into()),
            _ => BudgetOf::Sponsor(id.into()),
        };
        Ok(Spending {
            of: of.into(),
            basis: row::int(r, "seconds")?,
            spent: row::int(r, "spent")?,
        })
    };
    let told = |s: &Result<Spending, Failure>| !matches!(s, Ok(s) if s.of.is_of_nobody());
    let learners = learners.iter().map(learner).filter(told);
    learners.chain(budgets.iter().map(budget)).collect()
}

/// See [`lab_core::port::MoneyStore::alert_raise`].
pub(crate) async fn raise(tx: &mut Tx, (alert, channels): &(Alert, Vec<AlertChannel>)) -> Result<bool, Failure> {
    let body = serde_json::to_string(alert).map_err(|e| Failure::Unreadable(format!("alert.body ({e})")))?;
    let key = alert.key();
    let raised = sqlx::query(
        "INSERT INTO alert (id, line, percent, raised_at, body)
         SELECT $1, $2, CAST($3 AS BIGINT), CAST($4 AS BIGINT), $5
         WHERE NOT EXISTS (SELECT 1 FROM alert WHERE line = $2 AND percent >= $3)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(key.as_str())
    .bind(alert.line())
    .bind(i64::from(alert.percent))
    .bind(alert.at.0)
    .bind(body)
    .execute(tx.conn())
    .await?;
    if raised.rows_affected() == 0 {
        return Ok(false);
    }
    for channel in channels {
        sqlx::query("INSERT INTO alert_outbox (alert, channel, attempts, due_at) VALUES ($1, $2, 0, $3)")
            .bind(key.as_str())
            .bind(channel.name())
            .bind(alert.at.0)
            .execute(tx.conn())
            .await?;
    }
    Ok(true)
}

/// See [`lab_core::port::MoneyStore::alerts_due`].
pub(crate) async fn due(conn: &mut AnyConnection, at: Timestamp) -> Result<Vec<Delivery>, Failure> {
    let rows = sqlx::query(
        "SELECT a.body, o.channel, o.attempts FROM alert_outbox o JOIN alert a ON a.id = o.alert
         WHERE o.due_at <= $1 ORDER BY o.due_at, o.alert, o.channel LIMIT $2",
    )
    .bind(at.0)
    .bind(i64::from(DELIVERIES_AT_ONCE))
    .fetch_all(conn)
    .await?;
    let read = |r: &AnyRow| {
        Ok(Delivery {
            alert: body(r)?,
            channel: channel(&row::text(r, "channel")?)?,
            attempts: row::small(r, "attempts")?,
        })
    };
    rows.iter().map(read).collect()
}

/// See [`lab_core::port::MoneyStore::alert_mark`].
pub(crate) async fn mark(tx: &mut Tx, m: &DeliveryMark) -> Result<(), Failure> {
    leases::fence(tx, ACCOUNTS_LEASE, m.epoch).await?;
    let (due, sent, code) = match &m.outcome {
        DeliveryOutcome::Sent => (None, Some(m.at.0), None),
        DeliveryOutcome::Failed { code, again_at } => (Some(again_at.0), None, Some(code.as_str())),
        DeliveryOutcome::GivenUp { code } => (None, None, Some(code.as_str())),
    };
    sqlx::query(
        "UPDATE alert_outbox SET attempts = attempts + 1, due_at = $3, sent_at = $4, code = $5, epoch = $6
         WHERE alert = $1 AND channel = $2 AND sent_at IS NULL",
    )
    .bind(m.alert.as_str())
    .bind(m.channel.name())
    .bind(due)
    .bind(sent)
    .bind(code)
    .bind(row::count(m.epoch))
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// See [`lab_core::port::MoneyStore::alert_list`].
pub(crate) async fn list(conn: &mut AnyConnection) -> Result<Vec<AlertState>, Failure> {
    let rows = sqlx::query(
        "SELECT a.id, a.body, o.channel, o.attempts, o.due_at, o.sent_at, o.code
         FROM (SELECT id, body, raised_at FROM alert ORDER BY raised_at DESC, id DESC LIMIT $1) AS a
         LEFT JOIN alert_outbox o ON o.alert = a.id ORDER BY a.raised_at DESC, a.id DESC, o.channel",
    )
    .bind(i64::from(ALERTS_SHOWN))
    .fetch_all(conn)
    .await?;
    let mut all: Vec<(String, AlertState)> = Vec::new();
    for r in &rows {
        let id = row::text(r, "id")?;
        if all.last().is_none_or(|(last, _)| *last != id) {
            let state = AlertState {
                alert: body(r)?,
                sent: Vec::new(),
            };
            all.push((id, state));
        }
        let Some(name) = row::text_opt(r, "channel")? else {
            continue;
        };
        let (sent_at, due_at) = (row::time_opt(r, "sent_at")?, row::time_opt(r, "due_at")?);
        let sent = AlertSent {
            channel: channel(&name)?,
            attempts: row::small(r, "attempts")?,
            sent_at,
            given_up: sent_at.is_none() && due_at.is_none(),
            code: row::text_opt(r, "code")?,
        };
        all.last_mut().expect("pushed above when empty").1.sent.push(sent);
    }
    Ok(all.into_iter().map(|(_, state)| state).collect())
}

fn body(r: &AnyRow) -> Result<Alert, Failure> {
    serde_json::from_str(&row::text(r, "body")?).map_err(|e| Failure::Unreadable(format!("alert.body ({e})")))
}

fn channel(name: &str) -> Result<AlertChannel, Failure> {
    let known = AlertChannel::ALL.into_iter().find(|c| c.name() == name);
    known.ok_or_else(|| Failure::Unreadable(format!("alert channel {name:?} is unknown")))
}
