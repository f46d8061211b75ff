//! Courses: their runs, and who is in them.

use crate::{
    SqlStore, brand, course_counts,
    db::{Db, Tx},
    entitlement,
    error::{During, Failure},
    grades, row,
    store::{read, write},
};
use async_trait::async_trait;
use lab_core::{
    CourseId, GrantId, LabId, SiteId, Subject, Timestamp,
    courses::{
        CLASSES_MAX, Completion, CourseClass, CourseRun, CourseSeries, ENROLMENTS_MAX, Enrolled, Enrolment, Extension,
        FORGOTTEN_MAX, IndicatorRule, LabGrade, Site, SiteKind, plan_grant,
    },
    entitlement::{Bilingual, Grant, Plan, Refusal, source},
    port::{CourseStore, EnrolRequest, StoreError},
};
use sqlx::{AnyConnection, any::AnyRow};
use std::{collections::HashMap, time::Duration};

/// A list of 5 000 people with a grant each is some 40 000 statements of about 0.1 ms on SQLite, 0.5 ms on a Postgres that is not far: 20 s; three times
/// that.
const ENROL_WITHIN: Duration = Duration::from_mins(1);

#[async_trait]
impl CourseStore for SqlStore {
    async fn run_put(&self, run: &CourseRun) -> Result<(), StoreError> {
        write!(self, "run_put", run.clone(), run_put)
    }
    async fn run_get(&self, course: &CourseId) -> Result<Option<CourseRun>, StoreError> {
        read!(self, "run_get", run_get, course)
    }
    async fn run_list(&self) -> Result<Vec<CourseRun>, StoreError> {
        read!(self, "run_list", run_list)
    }
    async fn extension_put(&self, extension: &Extension) -> Result<(), StoreError> {
        write!(self, "extension_put", extension.clone(), extension_put)
    }
    async fn extension_list(&self, course: &CourseId) -> Result<Vec<Extension>, StoreError> {
        read!(self, "extension_list", extension_list, course)
    }
    async fn class_put(&self, class: &CourseClass) -> Result<(), StoreError> {
        write!(self, "class_put", class.clone(), class_put)
    }
    async fn class_remove(&self, course: &CourseId, lab: &LabId, starts_at: Timestamp) -> Result<bool, StoreError> {
        write!(
            self,
            "class_remove",
            (course.clone(), lab.clone(), starts_at),
            class_remove
        )
    }
    async fn class_list(&self, course: Option<&CourseId>, after: Timestamp) -> Result<Vec<CourseClass>, StoreError> {
        read!(self, "class_list", class_list, course, after)
    }
    async fn site_put(&self, site: &Site) -> Result<(), StoreError> {
        write!(self, "site_put", site.clone(), site_put)
    }
    async fn site_list(&self) -> Result<Vec<Site>, StoreError> {
        read!(self, "site_list", site_list)
    }
    async fn brand_put(&self, site: &SiteId, brand: Option<&Bilingual>) -> Result<(), StoreError> {
        write!(self, "brand_put", (site.clone(), brand.cloned()), brand::put)
    }
    async fn brand_list(&self) -> Result<Vec<(SiteId, Bilingual)>, StoreError> {
        read!(self, "brand_list", brand::list)
    }
    async fn brand_of(&self, course: &CourseId, subject: &Subject) -> Result<Option<Bilingual>, StoreError> {
        read!(self, "brand_of", brand::of, course, subject)
    }
    async fn enrol(&self, request: &EnrolRequest) -> Result<Enrolled, StoreError> {
        self.db
            .write_within(ENROL_WITHIN, "enrol", request.clone(), |tx, r| Box::pin(enrol(tx, r)))
            .await
    }
    async fn enrolment_list(&self, course: &CourseId) -> Result<Vec<Enrolment>, StoreError> {
        read!(self, "enrolment_list", enrolment_list, course)
    }
    async fn enrolments_of(&self, subject: &Subject) -> Result<Vec<Enrolment>, StoreError> {
        read!(self, "enrolments_of", enrolments_of, subject)
    }
    async fn known_in(&self, course: &CourseId) -> Result<Vec<Subject>, StoreError> {
        read!(self, "known_in", known_in, course)
    }
    async fn course_grades(&self, course: &CourseId) -> Result<Vec<LabGrade>, StoreError> {
        read!(self, "course_grades", grades::of_course, course)
    }
    async fn course_completions(&self, course: &CourseId) -> Result<Vec<Completion>, StoreError> {
        read!(self, "course_completions", course_counts::completions, course)
    }
    async fn rule_put(&self, course: &CourseId, rule: &IndicatorRule) -> Result<(), StoreError> {
        write!(
            self,
            "rule_put",
            (course.clone(), rule.clone()),
            course_counts::rule_put
        )
    }
    async fn rule_get(&self, course: &CourseId) -> Result<Option<IndicatorRule>, StoreError> {
        read!(self, "rule_get", course_counts::rule_get, course)
    }
    async fn series_put(&self, series: &CourseSeries) -> Result<(), StoreError> {
        write!(self, "series_put", series.clone(), course_counts::series_put)
    }
    async fn series_list(&self) -> Result<Vec<CourseSeries>, StoreError> {
        read!(self, "series_list", course_counts::series_list)
    }
    async fn unenrol(&self, course: &CourseId, subject: &Subject) -> Result<bool, StoreError> {
        write!(self, "unenrol", (course.clone(), subject.clone()), unenrol)
    }
}

async fn run_put(tx: &mut Tx, run: &CourseRun) -> Result<(), Failure> {
    sqlx::query("INSERT INTO course (id, title) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET title = excluded.title")
        .bind(run.course.as_str())
        .bind(run.title.as_str())
        .execute(tx.conn())
        .await?;
    sqlx::query(
        "INSERT INTO course_run (course, opens_at, closes_at, zone, site) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (course) DO UPDATE SET opens_at = excluded.opens_at, closes_at = excluded.closes_at,
             zone = excluded.zone, site = excluded.site",
    )
    .bind(run.course.as_str())
    .bind(run.opens_at.map(|t| t.0))
    .bind(run.closes_at.map(|t| t.0))
    .bind(run.zone.as_deref())
    .bind(run.site.as_deref())
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn run_get(conn: &mut AnyConnection, course: &CourseId) -> Result<Option<CourseRun>, Failure> {
    let found =
        sqlx::query("SELECT r.*, c.title FROM course_run r JOIN course c ON c.id = r.course WHERE r.course = $1")
            .bind(course.as_str())
            .fetch_optional(conn)
            .await?;
    found.as_ref().map(read_run).transpose()
}

async fn run_list(conn: &mut AnyConnection) -> Result<Vec<CourseRun>, Failure> {
    let rows = sqlx::query("SELECT r.*, c.title FROM course_run r JOIN course c ON c.id = r.course")
        .fetch_all(conn)
        .await?;
    let mut runs = rows.iter().map(read_run).collect::<Result<Vec<_>, _>>()?;
    runs.sort_by(|a, b| a.course.cmp(&b.course));
    Ok(runs)
}

fn read_run(r: &AnyRow) -> Result<CourseRun, Failure> {
    Ok(CourseRun {
        course: row::text(r, "course")?.into(),
        title: row::text(r, "title")?,
        opens_at: row::time_opt(r, "opens_at")?,
        closes_at: row::time_opt(r, "closes_at")?,
        zone: row::text_opt(r, "zone")?,
        site: row::text_opt(r, "site")?,
    })
}

/// Why the course's run lets this learner start nothing at `at`.
pub(crate) async fn refusal(
    conn: &mut AnyConnection,
    course: &CourseId,
    subject: &Subject,
    at: Timestamp,
) -> Result<Option<Refusal>, Failure> {
    let found = sqlx::query(
        "SELECT r.*, c.title,
             (SELECT e.until_at FROM course_extension e WHERE e.course = r.course AND e.subject = $2) AS until_at
         FROM course_run r JOIN course c ON c.id = r.course WHERE r.course = $1",
    )
    .bind(course.as_str())
    .bind(subject.as_str())
    .fetch_optional(conn)
    .await?;
    let Some(r) = found else { return Ok(None) };
    Ok(read_run(&r)?.refusal(row::time_opt(&r, "until_at")?, at))
}

async fn extension_put(tx: &mut Tx, e: &Extension) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO course_extension (course, subject, until_at, given_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (course, subject) DO UPDATE SET until_at = excluded.until_at, given_at = excluded.given_at",
    )
    .bind(e.course.as_str())
    .bind(e.subject.as_str())
    .bind(e.until.0)
    .bind(e.given_at.0)
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn extension_list(conn: &mut AnyConnection, course: &CourseId) -> Result<Vec<Extension>, Failure> {
    let rows = sqlx::query("SELECT * FROM course_extension WHERE course = $1")
        .bind(course.as_str())
        .fetch_all(conn)
        .await?;
    let mut all = rows.iter().map(extension).collect::<Result<Vec<_>, Failure>>()?;
    all.sort_by(|a, b| a.subject.cmp(&b.subject));
    Ok(all)
}

/// One person's, by course.
pub(crate) async fn extensions_of(conn: &mut AnyConnection, subject: &Subject) -> Result<Vec<Extension>, Failure> {
    let rows = sqlx::query("SELECT * FROM course_extension WHERE subject = $1")
        .bind(subject.as_str())
        .fetch_all(conn)
        .await?;
    let mut all = rows.iter().map(extension).collect::<Result<Vec<_>, Failure>>()?;
    all.sort_by(|a, b| a.course.cmp(&b.course));
    Ok(all)
}

fn extension(r: &AnyRow) -> Result<Extension, Failure> {
    Ok(Extension {
        course: row::text(r, "course")?.into(),
        subject: row::text(r, "subject")?.into(),
        until: row::time(r, "until_at")?,
        given_at: row::time(r, "given_at")?,
    })
}

async fn class_put(tx: &mut Tx, c: &CourseClass) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO course_class (course, lab, starts_at, ends_at, room, learners) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (course, lab, starts_at) DO UPDATE SET ends_at = excluded.ends_at, room = excluded.room,
             learners = excluded.learners",
    )
    .bind(c.course.as_str())
    .bind(c.lab.as_str())
    .bind(c.starts_at.0)
    .bind(c.ends_at.0)
    .bind(c.room.as_str())
    .bind(i64::from(c.learners))
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn class_remove(tx: &mut Tx, (course, lab, starts_at): &(CourseId, LabId, Timestamp)) -> Result<bool, Failure> {
    let done = sqlx::query("DELETE FROM course_class WHERE course = $1 AND lab = $2 AND starts_at = $3")
        .bind(course.as_str())
        .bind(lab.as_str())
        .bind(starts_at.0)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}

async fn class_list(
    conn: &mut AnyConnection,
    course: Option<&CourseId>,
    after: Timestamp,
) -> Result<Vec<CourseClass>, Failure> {
    let rows = sqlx::query(
        "SELECT * FROM course_class WHERE ends_at > $1 AND (CAST($2 AS TEXT) IS NULL OR course = $2)
         ORDER BY starts_at, course, lab LIMIT $3",
    )
    .bind(after.0)
    .bind(course.map(CourseId::as_str))
    .bind(i64::from(CLASSES_MAX))
    .fetch_all(conn)
    .await?;
    let read = |r: &AnyRow| {
        Ok(CourseClass {
            course: row::text(r, "course")?.into(),
            lab: row::text(r, "lab")?.into(),
            starts_at: row::time(r, "starts_at")?,
            ends_at: row::time(r, "ends_at")?,
            room: row::text(r, "room")?,
            learners: row::small(r, "learners")?,
        })
    };
    rows.iter().map(read).collect()
}

async fn site_put(tx: &mut Tx, site: &Site) -> Result<(), Failure> {
    sqlx::query("INSERT INTO site (id, kind) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind")
        .bind(site.id.as_str())
        .bind(site.kind.code())
        .execute(tx.conn())
        .await?;
    Ok(())
}

async fn site_list(conn: &mut AnyConnection) -> Result<Vec<Site>, Failure> {
    let rows = sqlx::query("SELECT * FROM site").fetch_all(conn).await?;
    let mut all = rows.iter().map(read_site).collect::<Result<Vec<_>, _>>()?;
    all.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(all)
}

/// What kind of place a site is, where somebody said it.
pub(crate) async fn site_kind(conn: &mut AnyConnection, id: &str) -> Result<Option<SiteKind>, Failure> {
    let found = sqlx::query("SELECT * FROM site WHERE id = $1")
        .bind(id)
        .fetch_optional(conn);
    Ok(found.await?.as_ref().map(read_site).transpose()?.map(|site| site.kind))
}

fn read_site(r: &AnyRow) -> Result<Site, Failure> {
    let kind = row::text(r, "kind")?;
    Ok(Site {
        id: row::text(r, "id")?.into(),
        kind: SiteKind::from_code(&kind).ok_or_else(|| Failure::Unreadable(format!("site kind {kind:?}")))?,
    })
}

/// See [`CourseStore::enrol`].
async fn enrol(tx: &mut Tx, request: &EnrolRequest) -> Result<Enrolled, Failure> {
    lock_course(tx, &request.course).await?;
    let there = enrolment_list(tx.conn(), &request.course).await?;
    let mut there: HashMap<Subject, Enrolment> = there.into_iter().map(|e| (e.subject.clone(), e)).collect();
    let mut done = Enrolled::default();
    for site in &request.sites {
        site_put(tx, site).await?;
    }
    for person in &request.people {
        if person.course != request.course {
            let detail = format!("{} is of another course than {}", person.course, request.course);
            return Err(Failure::conflict("enrolment", &person.subject, detail));
        }
        match there.get(&person.subject) {
            Some(known) if same(known, person) => done.unchanged += 1,
            known => {
                if known.is_some() {
                    done.changed += 1;
                } else {
                    done.added += 1;
                }
                put(tx, person).await?;
            }
        }
        there.insert(person.subject.clone(), person.clone());
        if let Some(plan) = &person.plan {
            let plan = request.plans.iter().find(|p| p.id == *plan);
            let plan =
                plan.ok_or_else(|| Failure::missing("plan", person.plan.as_ref().expect("it was just named")))?;
            done.grants += u32::from(grant_once(tx, person, plan, request.at).await?);
        }
    }
    if there.len() > ENROLMENTS_MAX {
        let detail = format!("{} people; a course lists at most {ENROLMENTS_MAX}", there.len());
        return Err(Failure::conflict("course", &request.course, detail));
    }
    Ok(done)
}

/// The course's row, made if need be and taken: two lists at once come one after the other.
async fn lock_course(tx: &mut Tx, course: &CourseId) -> Result<(), Failure> {
    sqlx::query("INSERT INTO course (id, title) VALUES ($1, $1) ON CONFLICT (id) DO UPDATE SET title = course.title")
        .bind(course.as_str())
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Whether nothing of what is written of a person is new; since when they are in the course is as it was.
fn same(known: &Enrolment, new: &Enrolment) -> bool {
    *known
        == Enrolment {
            enrolled_at: known.enrolled_at,
            ..new.clone()
        }
}

async fn put(tx: &mut Tx, e: &Enrolment) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO enrolment (course, subject, name, cohort, site, coach, external, plan, enrolled_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (course, subject) DO UPDATE SET name = excluded.name, cohort = excluded.cohort, site = excluded.site,
             coach = excluded.coach, external = excluded.external, plan = excluded.plan",
    )
    .bind(e.course.as_str())
    .bind(e.subject.as_str())
    .bind(e.name.as_str())
    .bind(e.cohort.as_deref())
    .bind(e.site.as_deref())
    .bind(e.coach.as_ref().map(ToString::to_string))
    .bind(e.external.as_deref())
    .bind(e.plan.as_ref().map(ToString::to_string))
    .bind(e.enrolled_at.0)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The grant of a person's plan; whether it is new.
async fn grant_once(tx: &mut Tx, person: &Enrolment, plan: &Plan, at: Timestamp) -> Result<bool, Failure> {
    // such a plan needs no grant
    if !plan.labs {
        return Ok(false);
    }
    for forgotten in 0..FORGOTTEN_MAX {
        let id = plan_grant(&person.subject, &person.course, &plan.id, forgotten);
        match holder(tx.conn(), id).await? {
            Some(holder) if holder == person.subject => return Ok(false),
            // of somebody who was forgotten: they begin anew
            Some(_) => {}
            None => {
                let grant = Grant::of_plan(plan, id, &person.subject, &person.course, source::ENROLMENT, at);
                return entitlement::grant_issue(tx, &grant).await.map(|()| true);
            }
        }
    }
    Err(Failure::conflict(
        "enrolment",
        &person.subject,
        "this person was forgotten too often",
    ))
}

async fn holder(conn: &mut AnyConnection, id: GrantId) -> Result<Option<Subject>, Failure> {
    let found = sqlx::query("SELECT subject FROM lab_grant WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(conn)
        .await?;
    found.map(|r| row::text(&r, "subject").map(Subject)).transpose()
}

async fn enrolment_list(conn: &mut AnyConnection, course: &CourseId) -> Result<Vec<Enrolment>, Failure> {
    let rows = sqlx::query("SELECT * FROM enrolment WHERE course = $1")
        .bind(course.as_str())
        .fetch_all(conn)
        .await?;
    let mut all = rows.iter().map(read_enrolment).collect::<Result<Vec<_>, _>>()?;
    all.sort_by(|a, b| a.subject.cmp(&b.subject));
    Ok(all)
}

pub(crate) async fn enrolments_of(conn: &mut AnyConnection, subject: &Subject) -> Result<Vec<Enrolment>, Failure> {
    let rows = sqlx::query("SELECT * FROM enrolment WHERE subject = $1")
        .bind(subject.as_str())
        .fetch_all(conn)
        .await?;
    let mut all = rows.iter().map(read_enrolment).collect::<Result<Vec<_>, _>>()?;
    all.sort_by(|a, b| a.course.cmp(&b.course));
    Ok(all)
}

async fn known_in(conn: &mut AnyConnection, course: &CourseId) -> Result<Vec<Subject>, Failure> {
    let rows = sqlx::query(
        "SELECT subject FROM enrolment WHERE course = $1 UNION SELECT subject FROM lab_grant WHERE course = $1
         UNION SELECT subject FROM session WHERE course = $1 AND plan <> 'test-run'",
    )
    .bind(course.as_str())
    .fetch_all(conn)
    .await?;
    let mut all = rows
        .iter()
        .map(|r| row::text(r, "subject").map(Subject))
        .collect::<Result<Vec<_>, _>>()?;
    all.sort();
    Ok(all)
}

fn read_enrolment(r: &AnyRow) -> Result<Enrolment, Failure> {
    Ok(Enrolment {
        course: row::text(r, "course")?.into(),
        subject: row::text(r, "subject")?.into(),
        name: row::text(r, "name")?,
        cohort: row::text_opt(r, "cohort")?,
        site: row::text_opt(r, "site")?,
        coach: row::text_opt(r, "coach")?.map(Into::into),
        external: row::text_opt(r, "external")?,
        plan: row::text_opt(r, "plan")?.map(Into::into),
        enrolled_at: row::time(r, "enrolled_at")?,
    })
}

async fn unenrol(tx: &mut Tx, (course, subject): &(CourseId, Subject)) -> Result<bool, Failure> {
    let done = sqlx::query("DELETE FROM enrolment WHERE course = $1 AND subject = $2")
        .bind(course.as_str())
        .bind(subject.as_str())
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() == 1)
}
