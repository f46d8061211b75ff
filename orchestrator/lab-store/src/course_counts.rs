//! How courses went: what counts as what in each, when its learners were done, and which courses are compared.

use crate::{db::Tx, error::Failure, row};
use lab_core::{
    CheckId, CourseId, LabId, Subject, Timestamp,
    courses::{Completion, CourseSeries, IndicatorRule, completed_at},
    grading::points_of,
    lab::LabFile,
};
use sqlx::{AnyConnection, any::AnyRow};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A learner's runs of a lab.
type Of = (Subject, LabId);

/// What each learner of a course ran of each lab: what `of` makes of each version's file, once for each.
pub(crate) async fn versions<T: Clone>(
    conn: &mut AnyConnection,
    course: &CourseId,
    of: fn(&LabFile) -> T,
) -> Result<BTreeMap<Of, Vec<T>>, Failure> {
    let files = sqlx::query(
        "SELECT digest, file FROM lab_version WHERE digest IN (SELECT digest FROM session WHERE course = $1)",
    )
    .bind(course.as_str())
    .fetch_all(&mut *conn)
    .await?;
    let mut made: HashMap<String, T> = HashMap::new();
    for r in &files {
        let digest = row::text(r, "digest")?;
        let file: LabFile = serde_json::from_str(&row::text(r, "file")?)
            .map_err(|e| Failure::Unreadable(format!("file of the lab version {digest}: {e}")))?;
        made.insert(digest, of(&file));
    }
    let runs =
        sqlx::query("SELECT DISTINCT subject, lab, digest FROM session WHERE course = $1 AND plan <> 'test-run'")
            .bind(course.as_str())
            .fetch_all(conn)
            .await?;
    let mut versions: BTreeMap<Of, Vec<T>> = BTreeMap::new();
    for r in &runs {
        let of = (row::text(r, "subject")?.into(), row::text(r, "lab")?.into());
        let ran = made.get(&row::text(r, "digest")?).cloned();
        versions.entry(of).or_default().extend(ran);
    }
    Ok(versions)
}

/// See [`lab_core::port::CourseStore::course_completions`]. As many rows as for grades.
pub(crate) async fn completions(conn: &mut AnyConnection, course: &CourseId) -> Result<Vec<Completion>, Failure> {
    let rows = sqlx::query(
        "SELECT s.subject, s.lab, c.check_id, CAST(MIN(c.first_passed_at) AS BIGINT) AS at
         FROM check_outcome c JOIN session s ON s.id = c.session
         WHERE s.course = $1 AND s.plan <> 'test-run' AND c.first_passed_at IS NOT NULL GROUP BY s.subject, s.lab, c.check_id",
    )
    .bind(course.as_str())
    .fetch_all(&mut *conn)
    .await?;
    let mut passed: BTreeMap<Of, BTreeMap<CheckId, Timestamp>> = BTreeMap::new();
    for r in &rows {
        let of = (row::text(r, "subject")?.into(), row::text(r, "lab")?.into());
        let check = row::text(r, "check_id")?.into();
        passed.entry(of).or_default().insert(check, row::time(r, "at")?);
    }
    let checks = |file: &LabFile| {
        points_of(file)
            .into_iter()
            .map(|(check, _)| check)
            .collect::<Vec<CheckId>>()
    };
    let versions = versions(conn, course, checks).await?;
    let done = |(of, passed): (Of, BTreeMap<CheckId, Timestamp>)| {
        let at = completed_at(versions.get(&of)?, &passed)?;
        let (subject, lab) = of;
        Some(Completion { subject, lab, at })
    };
    Ok(passed.into_iter().filter_map(done).collect())
}

fn json(labs: &BTreeSet<LabId>) -> Result<String, Failure> {
    serde_json::to_string(labs).map_err(|e| Failure::Unreadable(format!("labs of a rule: {e}")))
}

pub(crate) async fn rule_put(tx: &mut Tx, (course, rule): &(CourseId, IndicatorRule)) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO course_rule (course, first_week, second_week, labs, pass_percent) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (course) DO UPDATE SET first_week = excluded.first_week, second_week = excluded.second_week,
             labs = excluded.labs, pass_percent = excluded.pass_percent",
    )
    .bind(course.as_str())
    .bind(json(&rule.first_week)?)
    .bind(rule.second_week.as_str())
    .bind(json(&rule.labs)?)
    .bind(i64::from(rule.pass_percent))
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) async fn rule_get(conn: &mut AnyConnection, course: &CourseId) -> Result<Option<IndicatorRule>, Failure> {
    let found = sqlx::query("SELECT * FROM course_rule WHERE course = $1")
        .bind(course.as_str())
        .fetch_optional(conn)
        .await?;
    let read = |r: AnyRow| {
        let labs = |column| {
            serde_json::from_str(&row::text(&r, column)?)
                .map_err(|e| Failure::Unreadable(format!("course_rule.{column} of {course}: {e}")))
        };
        Ok(IndicatorRule {
            first_week: labs("first_week")?,
            second_week: row::text(&r, "second_week")?.into(),
            labs: labs("labs")?,
            pass_percent: row::small(&r, "pass_percent")?,
        })
    };
    found.map(read).transpose()
}

pub(crate) async fn series_put(tx: &mut Tx, series: &CourseSeries) -> Result<(), Failure> {
    sqlx::query("DELETE FROM course_series WHERE series = $1")
        .bind(series.name.as_str())
        .execute(tx.conn())
        .await?;
    for (place, course) in (0_i64..).zip(&series.courses) {
        sqlx::query("INSERT INTO course_series (series, course, place) VALUES ($1, $2, $3) ON CONFLICT (series, course) DO NOTHING")
            .bind(series.name.as_str())
            .bind(course.as_str())
            .bind(place)
            .execute(tx.conn())
            .await?;
    }
    Ok(())
}

pub(crate) async fn series_list(conn: &mut AnyConnection) -> Result<Vec<CourseSeries>, Failure> {
    let rows = sqlx::query("SELECT series, course FROM course_series ORDER BY place")
        .fetch_all(conn)
        .await?;
    let mut all: BTreeMap<String, Vec<CourseId>> = BTreeMap::new();
    for r in &rows {
        let course = row::text(r, "course")?.into();
        all.entry(row::text(r, "series")?).or_default().push(course);
    }
    let series = |(name, courses)| CourseSeries { name, courses };
    Ok(all.into_iter().map(series).collect())
}
