//! The ledger's tables. The only module that writes entries: what it does not allow cannot happen.

use crate::{db::Tx, error::Failure, row};
use lab_core::{
    GrantId, SessionId, Subject, Timestamp,
    metering::{Account, Transaction, TxKind},
    port::LedgerSums,
};
use sqlx::{AnyConnection, any::AnyRow};

/// Adds a transaction, once: the same key with the same entries adds nothing, with others it is a conflict. Entries come
/// first and the transaction last, whose trigger holds their sum to zero once more (see the schema).
pub(crate) async fn post(tx: &mut Tx, t: &Transaction) -> Result<(), Failure> {
    if t.entries.is_empty() || !t.is_balanced() {
        return Err(Failure::Unreadable(format!(
            "ledger transaction {} does not sum to zero",
            t.key
        )));
    }
    if let Some(known) = find(tx.conn(), &t.key).await? {
        let sorted = |t: &Transaction| {
            let mut entries = t.entries.clone();
            entries.sort();
            entries
        };
        return if sorted(&known) == sorted(t) {
            Ok(())
        } else {
            Err(Failure::conflict(
                "ledger transaction",
                &t.key,
                "the same key with other entries",
            ))
        };
    }
    let id = t.id().to_string();
    for (position, (account, seconds)) in (0_i64..).zip(&t.entries) {
        sqlx::query("INSERT INTO ledger_entry (tx, position, account, seconds) VALUES ($1, $2, $3, $4)")
            .bind(id.as_str())
            .bind(position)
            .bind(account.to_string())
            .bind(*seconds)
            .execute(tx.conn())
            .await?;
    }
    sqlx::query(
        "INSERT INTO ledger_tx (id, key, kind, session, reason, occurred_at, ordinal)
         VALUES ($1, $2, $3, $4, $5, $6, (SELECT COUNT(*) FROM ledger_tx WHERE session = $4))",
    )
    .bind(id.as_str())
    .bind(t.key.as_str())
    .bind(t.kind.name())
    .bind(t.session.map(|s| s.to_string()))
    .bind(t.reason.clone())
    .bind(t.occurred_at.0)
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) async fn find(conn: &mut AnyConnection, key: &str) -> Result<Option<Transaction>, Failure> {
    let rows = sqlx::query(
        "SELECT t.id, t.key, t.kind, t.session, t.reason, t.occurred_at, e.account, e.seconds
         FROM ledger_tx t JOIN ledger_entry e ON e.tx = t.id WHERE t.key = $1 ORDER BY e.position",
    )
    .bind(key)
    .fetch_all(conn)
    .await?;
    Ok(fold(&rows)?.pop())
}

/// A session's transactions, oldest first.
pub(crate) async fn of_session(conn: &mut AnyConnection, session: SessionId) -> Result<Vec<Transaction>, Failure> {
    let rows = sqlx::query(
        "SELECT t.id, t.key, t.kind, t.session, t.reason, t.occurred_at, e.account, e.seconds
         FROM ledger_tx t JOIN ledger_entry e ON e.tx = t.id WHERE t.session = $1 ORDER BY t.ordinal, e.position",
    )
    .bind(session.to_string())
    .fetch_all(conn)
    .await?;
    fold(&rows)
}

/// See [`lab_core::port::PrivacyStore::person_ledger`].
pub(crate) async fn of_person(
    conn: &mut AnyConnection,
    subject: &Subject,
    after: Option<&(Timestamp, String)>,
    limit: u32,
) -> Result<Vec<Transaction>, Failure> {
    let (at, key) = after.map_or((i64::MIN, ""), |(at, key)| (at.0, key.as_str()));
    let rows = sqlx::query(
        "SELECT t.id, t.key, t.kind, t.session, t.reason, t.occurred_at, e.account, e.seconds
         FROM (SELECT * FROM ledger_tx
               WHERE (occurred_at > $2 OR (occurred_at = $2 AND key > $3))
                 AND (session IN (SELECT id FROM session WHERE subject = $1)
                      OR id IN (SELECT x.tx FROM lab_grant g JOIN ledger_entry x ON x.account = 'grant:' || g.id
                                WHERE g.subject = $1))
               ORDER BY occurred_at, key LIMIT $4) AS t
         JOIN ledger_entry e ON e.tx = t.id ORDER BY t.occurred_at, t.key, e.position",
    )
    .bind(subject.as_str())
    .bind(at)
    .bind(key)
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await?;
    fold(&rows)
}

/// Transactions from rows of one entry each.
pub(crate) fn fold(rows: &[AnyRow]) -> Result<Vec<Transaction>, Failure> {
    let mut all: Vec<Transaction> = Vec::new();
    for r in rows {
        let key = row::text(r, "key")?;
        if all.last().is_none_or(|t| t.key != key) {
            let session = row::text_opt(r, "session")?;
            all.push(Transaction {
                kind: kind(&row::text(r, "kind")?)?,
                key,
                session: session.map(|_| row::id(r, "session")).transpose()?,
                reason: row::text_opt(r, "reason")?,
                occurred_at: row::time(r, "occurred_at")?,
                entries: Vec::new(),
            });
        }
        let account = Account::try_from(row::text(r, "account")?).map_err(Failure::Unreadable)?;
        let entry = (account, row::int(r, "seconds")?);
        all.last_mut().expect("pushed above when empty").entries.push(entry);
    }
    Ok(all)
}

fn kind(name: &str) -> Result<TxKind, Failure> {
    [
        TxKind::Issue,
        TxKind::Reserve,
        TxKind::Settle,
        TxKind::Void,
        TxKind::Refund,
    ]
    .into_iter()
    .find(|k| k.name() == name)
    .ok_or_else(|| Failure::Unreadable(format!("ledger kind {name:?} is unknown")))
}

/// How many times time was reserved for a session: the number of the next one.
pub(crate) async fn reserves(conn: &mut AnyConnection, session: SessionId) -> Result<i64, Failure> {
    let r = sqlx::query("SELECT COUNT(*) AS n FROM ledger_tx WHERE session = $1 AND kind = 'reserve'")
        .bind(session.to_string())
        .fetch_one(conn)
        .await?;
    row::int(&r, "n")
}

/// What was drawn for a session, in order.
pub(crate) async fn pieces(conn: &mut AnyConnection, session: SessionId) -> Result<Vec<(GrantId, i64)>, Failure> {
    let drawn = of_session(conn, session).await?;
    let reserves = drawn.iter().filter(|t| t.kind == TxKind::Reserve);
    Ok(reserves
        .flat_map(|t| &t.entries)
        .filter_map(|(account, secs)| match account {
            Account::Grant(grant) if *secs < 0 => Some((*grant, -secs)),
            _ => None,
        })
        .collect())
}

/// What an account holds now.
pub(crate) async fn balance(conn: &mut AnyConnection, account: &Account) -> Result<i64, Failure> {
    let r =
        sqlx::query("SELECT CAST(COALESCE(SUM(seconds), 0) AS BIGINT) AS balance FROM ledger_entry WHERE account = $1")
            .bind(account.to_string())
            .fetch_one(conn)
            .await?;
    row::int(&r, "balance")
}

/// See [`lab_core::port::Store::ledger_sums`]: at most 64 rows, kept by a trigger of the schema.
pub(crate) async fn sums(conn: &mut AnyConnection) -> Result<LedgerSums, Failure> {
    let r = sqlx::query(
        "SELECT CAST(COALESCE(SUM(seconds), 0) AS BIGINT) AS total,
             CAST(COALESCE(SUM(CASE WHEN kind = 'hold' THEN seconds ELSE 0 END), 0) AS BIGINT) AS held,
             CAST(COALESCE(SUM(CASE WHEN kind = 'used' THEN seconds ELSE 0 END), 0) AS BIGINT) AS used
         FROM ledger_sum",
    )
    .fetch_one(conn)
    .await?;
    read_sums(&r)
}

/// See [`lab_core::port::Store::ledger_recount`].
pub(crate) async fn recount(conn: &mut AnyConnection) -> Result<LedgerSums, Failure> {
    let r = sqlx::query(
        "SELECT CAST(COALESCE(SUM(seconds), 0) AS BIGINT) AS total,
             CAST(COALESCE(SUM(CASE WHEN account LIKE 'hold:%' THEN seconds ELSE 0 END), 0) AS BIGINT) AS held,
             CAST(COALESCE(SUM(CASE WHEN account LIKE 'used:%' THEN seconds ELSE 0 END), 0) AS BIGINT) AS used
         FROM ledger_entry",
    )
    .fetch_one(conn)
    .await?;
    read_sums(&r)
}

fn read_sums(r: &AnyRow) -> Result<LedgerSums, Failure> {
    Ok(LedgerSums {
        total: row::int(r, "total")?,
        held: row::int(r, "held")?,
        used: row::int(r, "used")?,
    })
}
