//! Whom we know, and what is here of them.

use crate::{courses, error::Failure, givers, launch, platforms, row};
use lab_core::{
    Subject,
    privacy::{Acknowledgement, Footprint, NoticeVersion, PEOPLE_PAGE, PersonSummary, RedeemedVoucher, Traces},
};
use sqlx::{AnyConnection, any::AnyRow};

/// Everybody a row of whom is here by name; those who were forgotten are nobody.
pub(super) async fn list(conn: &mut AnyConnection, text: &str) -> Result<Vec<PersonSummary>, Failure> {
    let rows = sqlx::query(
        "SELECT subject, CAST(MAX(name) AS TEXT) AS name, CAST(SUM(sessions) AS BIGINT) AS sessions,
             CAST(SUM(live) AS BIGINT) AS live, CAST(SUM(grants) AS BIGINT) AS grants, CAST(MAX(at) AS BIGINT) AS last_at
         FROM (
             SELECT subject, CASE WHEN name = subject THEN '' ELSE name END AS name, 1 AS sessions,
                 CASE WHEN over_at IS NULL THEN 1 ELSE 0 END AS live, 0 AS grants, requested_at AS at FROM session
           UNION ALL SELECT subject, '', 0, 0, 1, created_at FROM lab_grant
           UNION ALL SELECT subject, CASE WHEN name = subject THEN '' ELSE name END, 0, 0, 0, created_at FROM login
           UNION ALL SELECT subject, '', 0, 0, 0, acknowledged_at FROM notice_ack
           UNION ALL SELECT subject, name, 0, 0, 0, enrolled_at FROM enrolment
         ) AS seen
         WHERE substr(subject, 1, 7) <> 'erased:'
         GROUP BY subject
         HAVING LOWER(subject) LIKE $1 ESCAPE '!' OR LOWER(MAX(name)) LIKE $1 ESCAPE '!'
         ORDER BY 6 DESC, 1 LIMIT $2",
    )
    .bind(format!("%{}%", escaped(&text.to_lowercase())))
    .bind(i64::from(PEOPLE_PAGE))
    .fetch_all(conn)
    .await?;
    let read = |r: &AnyRow| {
        Ok(PersonSummary {
            subject: row::text(r, "subject")?.into(),
            name: row::text(r, "name")?,
            sessions: row::unsigned(r, "sessions")?,
            live: row::unsigned(r, "live")?,
            grants: row::unsigned(r, "grants")?,
            last_at: row::time(r, "last_at")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Text that LIKE takes as it is.
fn escaped(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

pub(super) async fn footprint(conn: &mut AnyConnection, subject: &Subject) -> Result<Footprint, Failure> {
    let r = sqlx::query(
        "SELECT (SELECT COUNT(*) FROM session WHERE subject = $1) AS sessions,
             (SELECT COUNT(*) FROM recording r JOIN session s ON s.id = r.session
              WHERE s.subject = $1 AND r.removed_at IS NULL) AS recordings,
             (SELECT COUNT(*) FROM check_outcome c JOIN session s ON s.id = c.session WHERE s.subject = $1) AS checks,
             (SELECT COUNT(*) FROM lab_grant WHERE subject = $1) AS grants,
             (SELECT COUNT(*) FROM login WHERE subject = $1) AS logins,
             (SELECT COUNT(*) FROM voucher WHERE redeemed_by = $1) AS vouchers,
             (SELECT COUNT(*) FROM notice_ack WHERE subject = $1) AS notices,
             (SELECT COUNT(*) FROM enrolment WHERE subject = $1 OR coach = $1) AS enrolments,
             (SELECT COUNT(*) FROM course_extension WHERE subject = $1) AS extensions,
             (SELECT COUNT(*) FROM same_person WHERE alias = $1 OR subject = $1) AS aliases,
             (SELECT COUNT(*) FROM grant_withheld WHERE subject = $1) AS withheld,
             (SELECT COUNT(*) FROM audit WHERE actor = $1 OR about = $1) AS audit",
    )
    .bind(subject.as_str())
    .fetch_one(conn)
    .await?;
    Ok(Footprint {
        sessions: row::unsigned(&r, "sessions")?,
        recordings: row::unsigned(&r, "recordings")?,
        checks: row::unsigned(&r, "checks")?,
        grants: row::unsigned(&r, "grants")?,
        logins: row::unsigned(&r, "logins")?,
        vouchers: row::unsigned(&r, "vouchers")?,
        notices: row::unsigned(&r, "notices")?,
        enrolments: row::unsigned(&r, "enrolments")?,
        extensions: row::unsigned(&r, "extensions")?,
        aliases: row::unsigned(&r, "aliases")?,
        withheld: row::unsigned(&r, "withheld")?,
        audit: row::unsigned(&r, "audit")?,
    })
}

pub(super) async fn traces(conn: &mut AnyConnection, subject: &Subject) -> Result<Traces, Failure> {
    let logins = sqlx::query("SELECT * FROM login WHERE subject = $1 ORDER BY created_at, id")
        .bind(subject.as_str())
        .fetch_all(&mut *conn)
        .await?;
    let notices = sqlx::query("SELECT * FROM notice_ack WHERE subject = $1 ORDER BY acknowledged_at, version")
        .bind(subject.as_str())
        .fetch_all(&mut *conn)
        .await?;
    let vouchers = sqlx::query(
        "SELECT b.label, b.course, b.plan, v.redeemed_at, v.grant_id FROM voucher v JOIN voucher_batch b ON b.id = v.batch
         WHERE v.redeemed_by = $1 ORDER BY v.redeemed_at, v.grant_id",
    )
    .bind(subject.as_str())
    .fetch_all(&mut *conn)
    .await?;
    let enrolments = courses::enrolments_of(&mut *conn, subject).await?;
    let extensions = courses::extensions_of(&mut *conn, subject).await?;
    let aliases = platforms::same_of_person(&mut *conn, subject).await?;
    let withheld = givers::withheld_of(conn, subject).await?;
    let notice = |r: &AnyRow| {
        Ok::<_, Failure>(Acknowledgement {
            subject: subject.clone(),
            version: NoticeVersion(row::text(r, "version")?),
            at: row::time(r, "acknowledged_at")?,
        })
    };
    let voucher = |r: &AnyRow| {
        Ok::<_, Failure>(RedeemedVoucher {
            label: row::text(r, "label")?,
            course: row::text(r, "course")?.into(),
            plan: row::text(r, "plan")?.into(),
            redeemed_at: row::time(r, "redeemed_at")?,
            grant: row::id(r, "grant_id")?,
        })
    };
    Ok(Traces {
        logins: logins.iter().map(launch::read_login).collect::<Result<_, _>>()?,
        notices: notices.iter().map(notice).collect::<Result<_, _>>()?,
        enrolments,
        vouchers: vouchers.iter().map(voucher).collect::<Result<_, _>>()?,
        aliases,
        extensions,
        withheld,
    })
}
