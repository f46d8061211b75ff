//! Notices, looks, people.

use lab_app::privacy::{ErasedPerson, PersonView as Person, Told};
use lab_core::privacy::{Due, Footprint, Look, PersonSummary, RetentionRun};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What learners are told before their first lab; the sentences around it are the page's.
#[derive(Serialize, ToSchema)]
pub struct NoticeView {
    /// Which: changes with what it says.
    pub version: String,
    /// Whom to ask; missing: the course team.
    pub contact: Option<String>,
    /// How long what is kept, seconds: recordings after the lab's end …
    pub recordings_s: u64,
    /// … those of exams …
    pub exam_recordings_s: u64,
    /// … outcomes of checks, and the name …
    pub actions_s: u64,
    /// … and who looked.
    pub audit_s: u64,
    /// When this learner was told; Unix seconds. Missing: not yet, or no learner.
    pub acknowledged_at: Option<i64>,
    /// A learner whose first lab it is before: to be shown now.
    pub due: bool,
}

impl From<Told> for NoticeView {
    fn from(t: Told) -> Self {
        let r = t.notice.retention;
        Self {
            version: t.version.0,
            contact: t.notice.contact,
            recordings_s: r.recordings.as_secs(),
            exam_recordings_s: r.exam_recordings.as_secs(),
            actions_s: r.actions.as_secs(),
            audit_s: r.audit.as_secs(),
            acknowledged_at: t.acknowledged_at.map(lab_core::Timestamp::secs),
            due: t.due,
        }
    }
}

/// `POST /notice`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeRequest {
    /// Of `GET /notice`, or of the refusal `privacy-notice`.
    pub version: String,
}

/// Which looks.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LooksQuery {
    /// Only those before this `id`.
    pub before: Option<i64>,
}

/// Somebody looked at a learner's work, or took it along.
#[derive(Serialize, ToSchema)]
pub struct LookView {
    pub id: i64,
    /// Unix seconds.
    pub at: i64,
    pub name: String,
    /// `teacher`, `operations`.
    pub role: String,
    /// `view`, `replay`, `help`, `stop`, `export`, `export-person`, `link-person`.
    pub action: String,
    /// Missing for the class's wall, and for all of a person's data.
    pub session: Option<String>,
    pub lab: Option<String>,
    pub course: Option<String>,
}

impl From<Look> for LookView {
    fn from(l: Look) -> Self {
        Self {
            id: l.id,
            at: l.at.secs(),
            name: l.name,
            role: l.role.name().to_owned(),
            action: l.action,
            session: l.session.map(|s| s.to_string()),
            lab: l.lab.map(|l| l.0),
            course: l.course.map(|c| c.0),
        }
    }
}

/// Which people.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PeopleQuery {
    /// In the id or the name, whatever its case.
    pub text: Option<String>,
}

/// A person in a list.
#[derive(Serialize, ToSchema)]
pub struct PersonSummaryView {
    pub subject: String,
    /// Empty when none is kept.
    pub name: String,
    pub sessions: u64,
    /// Of those, not over.
    pub live: u64,
    pub grants: u64,
    /// Unix seconds.
    pub last_at: i64,
}

impl From<PersonSummary> for PersonSummaryView {
    fn from(p: PersonSummary) -> Self {
        Self {
            subject: p.subject.0,
            name: p.name,
            sessions: p.sessions,
            live: p.live,
            grants: p.grants,
            last_at: p.last_at.secs(),
        }
    }
}

/// `POST /people/show` and `/people/export`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonRequest {
    pub subject: String,
}

/// `POST /people/erase`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseRequest {
    pub subject: String,
    /// The same once more, typed by whoever means it.
    pub confirm: String,
}

/// How much is here of a person.
#[derive(Serialize, ToSchema)]
pub struct FootprintView {
    pub sessions: u64,
    /// That can be read.
    pub recordings: u64,
    pub checks: u64,
    pub grants: u64,
    pub logins: u64,
    pub vouchers: u64,
    pub notices: u64,
    /// Courses that list them, and people whom they coach there.
    pub enrolments: u64,
    /// Courses that they have longer than the others.
    pub extensions: u64,
    /// Ids that are one person with theirs.
    pub aliases: u64,
    /// Courses whose launches asked for lab time that was not given.
    pub withheld: u64,
    pub audit: u64,
}

impl From<Footprint> for FootprintView {
    fn from(f: Footprint) -> Self {
        Self {
            sessions: f.sessions,
            recordings: f.recordings,
            checks: f.checks,
            grants: f.grants,
            logins: f.logins,
            vouchers: f.vouchers,
            notices: f.notices,
            enrolments: f.enrolments,
            extensions: f.extensions,
            aliases: f.aliases,
            withheld: f.withheld,
            audit: f.audit,
        }
    }
}

/// A person.
#[derive(Serialize, ToSchema)]
pub struct PersonView {
    pub subject: String,
    pub footprint: FootprintView,
    /// Where they have or had labs or lab time.
    pub courses: Vec<String>,
    /// Labs that are not over: nobody is forgotten meanwhile.
    pub live: Vec<String>,
}

impl From<Person> for PersonView {
    fn from(p: Person) -> Self {
        let of_sessions = p.sessions.iter().map(|s| s.course.to_string());
        let mut courses: Vec<String> = of_sessions
            .chain(p.grants.iter().map(|g| g.grant.course.to_string()))
            .collect();
        courses.sort_unstable();
        courses.dedup();
        let live = p.sessions.iter().filter(|s| !s.state.is_over());
        Self {
            subject: p.subject.0,
            footprint: p.footprint.into(),
            courses,
            live: live.map(|s| s.id.to_string()).collect(),
        }
    }
}

/// What became of an erasure.
#[derive(Serialize, ToSchema)]
pub struct ErasedView {
    /// What there was.
    pub footprint: FootprintView,
    /// What stands in the ledger instead.
    pub pseudonym: String,
    /// Objects of recordings deleted.
    pub objects: u64,
}

impl From<ErasedPerson> for ErasedView {
    fn from(e: ErasedPerson) -> Self {
        Self {
            footprint: e.footprint.into(),
            pseudonym: e.pseudonym.0,
            objects: e.objects,
        }
    }
}

/// What goes when its time has come.
#[derive(Serialize, ToSchema)]
pub struct RetentionView {
    /// Code of why the store does not say; the list is empty then.
    pub code: Option<String>,
    pub classes: Vec<RetentionClassView>,
}

/// One class of data.
#[derive(Serialize, ToSchema)]
pub struct RetentionClassView {
    /// `recordings`, `checks`, `names`, `audit`.
    pub class: String,
    /// Has had its time and is still here: the next sweep takes it.
    pub due: u64,
    /// How long the first of it has had its time, seconds: more than a day means that the sweep fails.
    pub overdue_s: u64,
    /// Removed so far.
    pub removed: u64,
    /// When something was removed last; Unix seconds.
    pub removed_at: Option<i64>,
}

impl RetentionView {
    /// Of what is due and what went.
    pub(crate) fn new(due: &[Due], runs: &[RetentionRun]) -> Self {
        let class = |d: &Due| {
            let run = runs.iter().find(|r| r.class == d.class);
            RetentionClassView {
                class: d.class.name().to_owned(),
                due: d.count,
                overdue_s: d.overdue.as_secs(),
                removed: run.map_or(0, |r| r.removed),
                removed_at: run.map(|r| r.at.secs()),
            }
        };
        Self {
            code: None,
            classes: due.iter().map(class).collect(),
        }
    }

    /// When nothing is known.
    pub(crate) fn unknown(code: &str) -> Self {
        Self {
            code: Some(code.to_owned()),
            classes: Vec::new(),
        }
    }
}
