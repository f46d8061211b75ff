//! What a statement is made of: grants of a scope, sessions that drew on them, transactions of both.

use crate::{courses, entitlement::read_grant, error::Failure, ledger, metering, row, voucher_terms};
use lab_core::{
    Timestamp,
    metering::{StatementFacts, StatementGrant, StatementOf, StatementSession},
};
use sqlx::{AnyConnection, any::AnyRow, query::Query};

/// `$1` learner, `$2` sponsor, `$3` course, `$4` the end, `$5` site. Sessions that drew on a grant are those with a transaction on its account.
macro_rules! scoped {
    ($tail:literal) => {
        concat!(
            "WITH scope AS (SELECT id FROM lab_grant
                 WHERE (CAST($1 AS TEXT) IS NULL OR subject = $1) AND (CAST($2 AS TEXT) IS NULL OR sponsor = $2)
                   AND (CAST($3 AS TEXT) IS NULL OR course = $3) AND (CAST($5 AS TEXT) IS NULL OR site = $5)),
             touched AS (SELECT DISTINCT t.id, t.session FROM scope g
                 JOIN ledger_entry e ON e.account = 'grant:' || g.id JOIN ledger_tx t ON t.id = e.tx
                 WHERE t.occurred_at < $4),
             drew AS (SELECT DISTINCT session AS id FROM touched WHERE session IS NOT NULL) ",
            $tail
        )
    };
}

/// See [`lab_core::port::MoneyStore::statement_facts`].
pub(crate) async fn facts(
    conn: &mut AnyConnection,
    of: &StatementOf,
    until: Timestamp,
) -> Result<StatementFacts, Failure> {
    let grants = bound(
        sqlx::query(
            "SELECT g.*, t.terms FROM lab_grant g
                 LEFT JOIN voucher v ON v.grant_id = g.id LEFT JOIN voucher_terms t ON t.batch = v.batch
             WHERE (CAST($1 AS TEXT) IS NULL OR g.subject = $1) AND (CAST($2 AS TEXT) IS NULL OR g.sponsor = $2)
               AND (CAST($3 AS TEXT) IS NULL OR g.course = $3) AND (CAST($5 AS TEXT) IS NULL OR g.site = $5)
               AND g.created_at < $4",
        ),
        of,
        until,
    )
    .fetch_all(&mut *conn)
    .await?;
    let sessions = bound(
        sqlx::query(scoped!(
            "SELECT u.*, s.subject, s.course, s.lab, s.requested_at,
                 (SELECT c.micro_eur FROM cost c WHERE c.session = u.session) AS cost_micro_eur,
                 CAST(0 AS BIGINT) AS refunded_seconds
             FROM drew JOIN usage u ON u.session = drew.id JOIN session s ON s.id = u.session WHERE u.settled_at < $4"
        )),
        of,
        until,
    )
    .fetch_all(&mut *conn)
    .await?;
    let transactions = bound(
        sqlx::query(scoped!(
            "SELECT t.id AS tx, t.key, t.kind, t.session, t.reason, t.occurred_at, e.account, e.seconds,
                 COALESCE(t.session, '') AS of_session, t.ordinal AS ordinal, e.position AS position
             FROM drew JOIN ledger_tx t ON t.session = drew.id JOIN ledger_entry e ON e.tx = t.id WHERE t.occurred_at < $4
             UNION ALL
             SELECT t.id AS tx, t.key, t.kind, t.session, t.reason, t.occurred_at, e.account, e.seconds,
                 '' AS of_session, t.ordinal AS ordinal, e.position AS position
             FROM touched JOIN ledger_tx t ON t.id = touched.id JOIN ledger_entry e ON e.tx = t.id WHERE t.session IS NULL
             ORDER BY of_session, ordinal, tx, position"
        )),
        of,
        until,
    )
    .fetch_all(&mut *conn)
    .await?;
    let site_kind = match of {
        StatementOf::Site(site) => courses::site_kind(conn, site.as_str()).await?,
        _ => None,
    };
    let grant = |r: &AnyRow| {
        Ok(StatementGrant {
            grant: read_grant(r)?,
            voided_at: row::time_opt(r, "voided_at")?.filter(|at| *at < until),
            sale: match row::text_opt(r, "terms")? {
                Some(terms) => voucher_terms::read(&terms)?.sale(),
                None => None,
            },
        })
    };
    let session = |r: &AnyRow| {
        Ok(StatementSession {
            usage: metering::read(r)?,
            settled_at: row::time(r, "settled_at")?,
        })
    };
    Ok(StatementFacts {
        grants: grants.iter().map(grant).collect::<Result<_, Failure>>()?,
        sessions: sessions.iter().map(session).collect::<Result<_, Failure>>()?,
        transactions: ledger::fold(&transactions)?,
        site_kind,
    })
}

type AnyQuery<'q> = Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

fn bound<'q>(query: AnyQuery<'q>, of: &StatementOf, until: Timestamp) -> AnyQuery<'q> {
    let named = |kind: &str| (of.kind() == kind).then(|| of.id().to_owned());
    query
        .bind(named("learner"))
        .bind(named("sponsor"))
        .bind(named("course"))
        .bind(until.0)
        .bind(named("site"))
}
