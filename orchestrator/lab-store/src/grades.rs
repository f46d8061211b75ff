//! The outbox of grades: rows that launches make and checks change, worked under a lease.
//!
//! Launches and checks of one learner take turns ([`crate::dialect::Dialect::lock_learner`]); who works the outbox writes only rows that are
//! still as it read them, by their revision, and columns that the others leave alone.

use crate::{
    SqlStore, course_counts,
    db::{Db, Tx},
    error::{During, Failure},
    leases, row,
    store::{read, write},
};
use async_trait::async_trait;
use lab_core::{
    CourseId, LabId, Subject, Timestamp,
    courses::LabGrade,
    grading::{Grade, GradeAddress, GradeRow, GradeState, GradeTarget, Points, Sent, Trouble, grade_of, points_of},
    lab::LabFile,
    launch::lti::RegistrationId,
    port::{
        GRADES_DUE_MAX, GRADES_LISTED_MAX, GradeChange, GradeCounts, GradeStore, GradeWrite, OUTBOX_LEASE, StoreError,
    },
};
use sqlx::{AnyConnection, any::AnyRow};
use std::collections::BTreeMap;

#[async_trait]
impl GradeStore for SqlStore {
    async fn grade_target_put(&self, target: &GradeTarget, at: Timestamp) -> Result<(), StoreError> {
        write!(self, "grade_target_put", (target.clone(), at), target_put)
    }
    async fn grade_due(&self, at: Timestamp) -> Result<Vec<GradeRow>, StoreError> {
        read!(self, "grade_due", due, at)
    }
    async fn grade_write(&self, change: &GradeWrite) -> Result<bool, StoreError> {
        write!(self, "grade_write", change.clone(), apply)
    }
    async fn grade_list(&self, registration: Option<&RegistrationId>) -> Result<Vec<GradeRow>, StoreError> {
        read!(self, "grade_list", list, registration)
    }

    async fn grade_of(&self, subject: &Subject) -> Result<Vec<GradeRow>, StoreError> {
        read!(self, "grade_of", of, subject)
    }
    async fn grade_retry(&self, registration: Option<&RegistrationId>, at: Timestamp) -> Result<u64, StoreError> {
        write!(self, "grade_retry", (registration.cloned(), at), retry)
    }
    async fn grade_counts(&self) -> Result<GradeCounts, StoreError> {
        read!(self, "grade_counts", counts)
    }
}

/// Whose runs, and of what.
struct Learner<'a> {
    subject: &'a Subject,
    course: &'a CourseId,
    lab: &'a LabId,
}

/// Offers what a learner's checks of a lab are worth to every row that it concerns. Within the transaction that changed one of them, after
/// [`crate::dialect::Dialect::lock_learner`].
pub(crate) async fn offer(
    tx: &mut Tx,
    subject: &Subject,
    course: &CourseId,
    lab: &LabId,
    at: Timestamp,
) -> Result<(), Failure> {
    let rows = sqlx::query("SELECT * FROM grade WHERE subject = $1 AND course = $2 AND lab = $3")
        .bind(subject.as_str())
        .bind(course.as_str())
        .bind(lab.as_str())
        .fetch_all(tx.conn())
        .await?;
    if rows.is_empty() {
        return Ok(());
    }
    let grade = worth(tx.conn(), &Learner { subject, course, lab }).await?;
    for r in &rows {
        let mut row = read_row(r)?;
        if row.offer(grade, at) {
            requeue(tx, &row).await?;
        }
    }
    Ok(())
}

/// Over all runs of the lab in the course, whichever versions they were of.
async fn worth(conn: &mut AnyConnection, learner: &Learner<'_>) -> Result<Option<Grade>, Failure> {
    let best = sqlx::query(
        "SELECT c.check_id, CAST(MAX(c.best_points) AS BIGINT) AS points
         FROM check_outcome c JOIN session s ON s.id = c.session
         WHERE s.subject = $1 AND s.course = $2 AND s.lab = $3 AND s.plan <> 'test-run' GROUP BY c.check_id",
    )
    .bind(learner.subject.as_str())
    .bind(learner.course.as_str())
    .bind(learner.lab.as_str())
    .fetch_all(&mut *conn)
    .await?;
    let points = |r: &AnyRow| Ok((row::text(r, "check_id")?.into(), row::small(r, "points")?));
    let best = best.iter().map(points).collect::<Result<Vec<Points>, Failure>>()?;
    if best.is_empty() {
        return Ok(None);
    }
    let files = sqlx::query(
        "SELECT file FROM lab_version WHERE digest IN
             (SELECT digest FROM session WHERE subject = $1 AND course = $2 AND lab = $3)",
    )
    .bind(learner.subject.as_str())
    .bind(learner.course.as_str())
    .bind(learner.lab.as_str())
    .fetch_all(conn)
    .await?;
    let checks = |r: &AnyRow| {
        let file: LabFile = serde_json::from_str(&row::text(r, "file")?)
            .map_err(|e| Failure::Unreadable(format!("file of a version of lab {}: {e}", learner.lab)))?;
        Ok(points_of(&file))
    };
    let versions = files.iter().map(checks).collect::<Result<Vec<_>, Failure>>()?;
    Ok(grade_of(&versions, &best))
}

/// See [`lab_core::port::CourseStore::course_grades`]. A course of 2 500 learners with five labs of five checks is 62 500 rows, a second or so.
pub(crate) async fn of_course(conn: &mut AnyConnection, course: &CourseId) -> Result<Vec<LabGrade>, Failure> {
    let best = sqlx::query(
        "SELECT s.subject, s.lab, c.check_id, CAST(MAX(c.best_points) AS BIGINT) AS points
         FROM check_outcome c JOIN session s ON s.id = c.session
         WHERE s.course = $1 AND s.plan <> 'test-run' GROUP BY s.subject, s.lab, c.check_id",
    )
    .bind(course.as_str())
    .fetch_all(&mut *conn)
    .await?;
    let mut had: BTreeMap<(Subject, LabId), Vec<Points>> = BTreeMap::new();
    for r in &best {
        let of = (row::text(r, "subject")?.into(), row::text(r, "lab")?.into());
        let points = (row::text(r, "check_id")?.into(), row::small(r, "points")?);
        had.entry(of).or_default().push(points);
    }
    let versions = course_counts::versions(conn, course, points_of).await?;
    let grade = |(of, best): ((Subject, LabId), Vec<Points>)| {
        let grade = grade_of(versions.get(&of)?, &best)?;
        let (subject, lab) = of;
        Some(LabGrade { subject, lab, grade })
    };
    Ok(had.into_iter().filter_map(grade).collect())
}

async fn target_put(tx: &mut Tx, (target, at): &(GradeTarget, Timestamp)) -> Result<(), Failure> {
    tx.dialect.lock_learner(tx.conn(), &target.subject).await?;
    let line_item = line_item(tx, target).await?;
    let place = line_item.clone().unwrap_or_else(|| target.place());
    let found = sqlx::query("SELECT * FROM grade WHERE registration = $1 AND platform_user = $2 AND place = $3")
        .bind(target.registration.0.as_str())
        .bind(target.user.as_str())
        .bind(place.as_str())
        .fetch_optional(tx.conn())
        .await?;
    let learner = Learner {
        subject: &target.subject,
        course: &target.course,
        lab: &target.lab,
    };
    let grade = worth(tx.conn(), &learner).await?;
    let Some(found) = found else {
        let mut row = GradeRow::new(0, target.clone(), *at);
        row.offer(grade, *at);
        return insert(tx, &row, &place, line_item.as_deref()).await;
    };
    let mut row = read_row(&found)?;
    let before = row.revision;
    row.launched(target, grade, *at);
    sqlx::query(
        "UPDATE grade SET subject = $2, course = $3, lab = $4, title = $5, resource_link = $6, address = $7 WHERE id = $1",
    )
    .bind(row.id)
    .bind(target.subject.as_str())
    .bind(target.course.as_str())
    .bind(target.lab.as_str())
    .bind(target.title.as_str())
    .bind(target.resource_link.as_str())
    .bind(address(&target.address)?)
    .execute(tx.conn())
    .await?;
    if row.revision != before {
        requeue(tx, &row).await?;
    }
    Ok(())
}

/// That of the launch, or the one that was found or made for its lab before.
async fn line_item(tx: &mut Tx, target: &GradeTarget) -> Result<Option<String>, Failure> {
    let GradeAddress::Ags {
        line_item, line_items, ..
    } = &target.address
    else {
        return Ok(None);
    };
    if line_item.is_some() {
        return Ok(line_item.clone());
    }
    let known =
        sqlx::query("SELECT line_item FROM grade_line_item WHERE registration = $1 AND line_items = $2 AND lab = $3")
            .bind(target.registration.0.as_str())
            .bind(line_items.as_deref().unwrap_or_default())
            .bind(target.lab.as_str())
            .fetch_optional(tx.conn())
            .await?;
    known.map(|r| row::text(&r, "line_item")).transpose()
}

fn address(address: &GradeAddress) -> Result<String, Failure> {
    serde_json::to_string(address).map_err(|e| Failure::Unreadable(format!("address of a grade: {e}")))
}

async fn insert(tx: &mut Tx, r: &GradeRow, place: &str, line_item: Option<&str>) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO grade (registration, platform_user, place, subject, course, lab, title, resource_link, address, line_item,
             given, maximum, revision, state, attempts, next_at, pending_since, stamp)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 0, $15, $16, 0)",
    )
    .bind(r.target.registration.0.as_str())
    .bind(r.target.user.as_str())
    .bind(place)
    .bind(r.target.subject.as_str())
    .bind(r.target.course.as_str())
    .bind(r.target.lab.as_str())
    .bind(r.target.title.as_str())
    .bind(r.target.resource_link.as_str())
    .bind(address(&r.target.address)?)
    .bind(line_item)
    .bind(r.grade.map(|g| i64::from(g.given)))
    .bind(r.grade.map(|g| i64::from(g.maximum)))
    .bind(r.revision)
    .bind(r.state.name())
    .bind(r.next_at.0)
    .bind(r.pending_since.0)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What [`GradeRow::again`] changes, and the grade.
async fn requeue(tx: &mut Tx, r: &GradeRow) -> Result<(), Failure> {
    sqlx::query(
        "UPDATE grade SET given = $2, maximum = $3, revision = revision + 1, state = 'pending', attempts = 0, next_at = $4,
             pending_since = $5, code = NULL, detail = NULL
         WHERE id = $1",
    )
    .bind(r.id)
    .bind(r.grade.map(|g| i64::from(g.given)))
    .bind(r.grade.map(|g| i64::from(g.maximum)))
    .bind(r.next_at.0)
    .bind(r.pending_since.0)
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn due(conn: &mut AnyConnection, at: Timestamp) -> Result<Vec<GradeRow>, Failure> {
    let rows = sqlx::query(
        "SELECT * FROM (SELECT grade.*, ROW_NUMBER() OVER (PARTITION BY registration ORDER BY next_at, id) AS turn
                        FROM grade WHERE state = 'pending' AND next_at <= $1) due
         WHERE turn <= $2 ORDER BY next_at, id",
    )
    .bind(at.0)
    .bind(i64::from(GRADES_DUE_MAX))
    .fetch_all(conn)
    .await?;
    rows.iter().map(read_row).collect()
}

async fn list(conn: &mut AnyConnection, registration: Option<&RegistrationId>) -> Result<Vec<GradeRow>, Failure> {
    let rows = sqlx::query(
        "SELECT * FROM grade WHERE CAST($1 AS TEXT) IS NULL OR registration = $1
         ORDER BY CASE state WHEN 'failed' THEN 0 WHEN 'pending' THEN 1 WHEN 'sent' THEN 2 ELSE 3 END, id DESC LIMIT $2",
    )
    .bind(registration.map(|r| r.0.clone()))
    .bind(i64::from(GRADES_LISTED_MAX))
    .fetch_all(conn)
    .await?;
    rows.iter().map(read_row).collect()
}

async fn of(conn: &mut AnyConnection, subject: &Subject) -> Result<Vec<GradeRow>, Failure> {
    let rows = sqlx::query("SELECT * FROM grade WHERE subject = $1 ORDER BY id")
        .bind(subject.as_str())
        .fetch_all(conn)
        .await?;
    rows.iter().map(read_row).collect()
}

async fn retry(tx: &mut Tx, (registration, at): &(Option<RegistrationId>, Timestamp)) -> Result<u64, Failure> {
    let done = sqlx::query(
        "UPDATE grade SET revision = revision + 1, state = 'pending', attempts = 0, next_at = $2, pending_since = $2,
             code = NULL, detail = NULL
         WHERE state IN ('failed', 'pending') AND (CAST($1 AS TEXT) IS NULL OR registration = $1)",
    )
    .bind(registration.as_ref().map(|r| r.0.clone()))
    .bind(at.0)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

async fn counts(conn: &mut AnyConnection) -> Result<GradeCounts, Failure> {
    let r = sqlx::query(
        "SELECT (SELECT COUNT(*) FROM grade WHERE state = 'pending') AS pending,
                (SELECT COUNT(*) FROM grade WHERE state = 'failed') AS failed",
    )
    .fetch_one(conn)
    .await?;
    Ok(GradeCounts {
        pending: row::int(&r, "pending")?,
        failed: row::int(&r, "failed")?,
    })
}

/// See [`lab_core::port::GradeStore::grade_write`].
async fn apply(tx: &mut Tx, w: &GradeWrite) -> Result<bool, Failure> {
    leases::fence(tx, OUTBOX_LEASE, w.epoch).await?;
    let epoch = row::count(w.epoch);
    let query = match &w.change {
        GradeChange::Found {
            registration,
            line_items,
            lab,
            line_item,
        } => return found(tx, registration, line_items, lab, line_item).await,
        GradeChange::Sent {
            id,
            revision,
            grade,
            at,
        } => {
            // whatever is to be sent by now: this is what the platform has
            sqlx::query("UPDATE grade SET sent_given = $2, sent_maximum = $3, sent_at = $4, epoch = $5 WHERE id = $1")
                .bind(id)
                .bind(i64::from(grade.given))
                .bind(i64::from(grade.maximum))
                .bind(at.0)
                .bind(epoch)
                .execute(tx.conn())
                .await?;
            sqlx::query(
                "UPDATE grade SET state = 'sent', attempts = 0, code = NULL, detail = NULL
                 WHERE id = $1 AND revision = $2 AND state = 'pending'",
            )
            .bind(id)
            .bind(revision)
        }
        GradeChange::Try { id, revision, stamp } => sqlx::query(
            "UPDATE grade SET stamp = $3, epoch = $4 WHERE id = $1 AND revision = $2 AND state = 'pending' AND stamp < $3",
        )
        .bind(id)
        .bind(revision)
        .bind(stamp)
        .bind(epoch),
        GradeChange::Later {
            id,
            revision,
            code,
            detail,
            next_at,
        } => sqlx::query(
            "UPDATE grade SET attempts = attempts + 1, next_at = $3, code = $4, detail = $5, epoch = $6
             WHERE id = $1 AND revision = $2 AND state = 'pending'",
        )
        .bind(id)
        .bind(revision)
        .bind(next_at.0)
        .bind(*code)
        .bind(detail.as_str())
        .bind(epoch),
        GradeChange::Failed {
            id,
            revision,
            code,
            detail,
        } => sqlx::query(
            "UPDATE grade SET state = 'failed', attempts = attempts + 1, code = $3, detail = $4, epoch = $5
             WHERE id = $1 AND revision = $2 AND state = 'pending'",
        )
        .bind(id)
        .bind(revision)
        .bind(*code)
        .bind(detail.as_str())
        .bind(epoch),
        GradeChange::Back { registration, at } => sqlx::query(
            "UPDATE grade SET next_at = $2, epoch = $3 WHERE registration = $1 AND state = 'pending' AND next_at > $2",
        )
        .bind(registration.0.as_str())
        .bind(at.0)
        .bind(epoch),
    };
    Ok(query.execute(tx.conn()).await?.rows_affected() > 0)
}

/// Rows that waited for the line item have their place there; one of a person who has a row there already is not needed any more.
async fn found(
    tx: &mut Tx,
    registration: &RegistrationId,
    line_items: &str,
    lab: &LabId,
    line_item: &str,
) -> Result<bool, Failure> {
    sqlx::query(
        "INSERT INTO grade_line_item (registration, line_items, lab, line_item) VALUES ($1, $2, $3, $4)
         ON CONFLICT (registration, line_items, lab) DO UPDATE SET line_item = excluded.line_item",
    )
    .bind(registration.0.as_str())
    .bind(line_items)
    .bind(lab.as_str())
    .bind(line_item)
    .execute(tx.conn())
    .await?;
    let waiting = GradeAddress::place_in(line_items, lab);
    sqlx::query(
        "DELETE FROM grade WHERE registration = $1 AND place = $2 AND platform_user IN
             (SELECT platform_user FROM grade WHERE registration = $1 AND place = $3)",
    )
    .bind(registration.0.as_str())
    .bind(waiting.as_str())
    .bind(line_item)
    .execute(tx.conn())
    .await?;
    let done = sqlx::query("UPDATE grade SET place = $3, line_item = $3 WHERE registration = $1 AND place = $2")
        .bind(registration.0.as_str())
        .bind(waiting.as_str())
        .bind(line_item)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() > 0)
}

fn read_row(r: &AnyRow) -> Result<GradeRow, Failure> {
    // it may hold a sourcedid: the text is not told
    let address = serde_json::from_str(&row::text(r, "address")?)
        .map_err(|_| Failure::Unreadable("address of a grade".into()))?;
    let state = row::text(r, "state")?;
    let grade = |given: &str, maximum: &str| match (row::int_opt(r, given)?, row::int_opt(r, maximum)?) {
        (Some(_), Some(_)) => Ok(Grade::new(row::small(r, given)?, row::small(r, maximum)?)),
        _ => Ok::<_, Failure>(None),
    };
    let sent = grade("sent_given", "sent_maximum")?.zip(row::time_opt(r, "sent_at")?);
    let trouble = row::text_opt(r, "code")?.zip(row::text_opt(r, "detail")?);
    Ok(GradeRow {
        id: row::int(r, "id")?,
        target: GradeTarget {
            registration: RegistrationId(row::text(r, "registration")?),
            subject: Subject(row::text(r, "subject")?),
            course: row::text(r, "course")?.into(),
            lab: row::text(r, "lab")?.into(),
            title: row::text(r, "title")?,
            user: row::text(r, "platform_user")?,
            resource_link: row::text(r, "resource_link")?,
            address,
        },
        line_item: row::text_opt(r, "line_item")?,
        grade: grade("given", "maximum")?,
        revision: row::int(r, "revision")?,
        state: GradeState::from_name(&state)
            .ok_or_else(|| Failure::Unreadable(format!("state {state:?} of a grade is unknown")))?,
        attempts: row::small(r, "attempts")?,
        next_at: row::time(r, "next_at")?,
        pending_since: row::time(r, "pending_since")?,
        stamp: row::int(r, "stamp")?,
        sent: sent.map(|(grade, at)| Sent { grade, at }),
        trouble: trouble.map(|(code, detail)| Trouble { code, detail }),
    })
}
