//! How far a course's learners are, in counts: what a manager reads. No terminal, no recording, no command comes near it.

use crate::{App, AppError};
use lab_core::{
    LabId, Subject, Timestamp,
    launch::{Login, Role},
    port::{Session, SessionFilter},
};
use std::collections::{BTreeMap, btree_map::Entry};

/// Runs of a course that are read: 2,500 learners with eight labs each. In a larger course who only ran before these is not listed.
const SESSIONS_MAX: u32 = 20_000;

/// Learners a page; each costs two reads.
pub const PROGRESS_PAGE: usize = 100;

/// One learner of a course.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub subject: Subject,
    pub name: String,
    /// Their first click, of those that are kept.
    pub started_at: Timestamp,
    /// The lab they ran last, or run.
    pub lab: LabId,
    pub running: bool,
    /// Of that lab, as it stands.
    pub checks_passed: u32,
    pub checks_total: u32,
    /// Last time a key was typed.
    pub active_at: Timestamp,
}

/// A page of learners, by their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressPage {
    /// Learners who started a lab, on all pages.
    pub started: usize,
    pub learners: Vec<Progress>,
    /// There are more: ask below this learner.
    pub next: Option<Subject>,
}

/// The first click, the newest run, and the last key, of one learner.
struct Runs {
    started_at: Timestamp,
    active_at: Timestamp,
    newest: Session,
}

/// By learner; `sessions` in any order.
fn by_learner(sessions: Vec<Session>) -> BTreeMap<Subject, Runs> {
    let mut learners: BTreeMap<Subject, Runs> = BTreeMap::new();
    for session in sessions {
        match learners.entry(session.subject.clone()) {
            Entry::Vacant(new) => {
                new.insert(Runs {
                    started_at: session.requested_at,
                    active_at: session.active_at,
                    newest: session,
                });
            }
            Entry::Occupied(mut known) => {
                let runs = known.get_mut();
                runs.started_at = runs.started_at.min(session.requested_at);
                runs.active_at = runs.active_at.max(session.active_at);
                if session.requested_at > runs.newest.requested_at {
                    runs.newest = session;
                }
            }
        }
    }
    learners
}

impl App {
    /// How far the learners of the login's course are, after the learner `after`; written down as seen.
    ///
    /// # Errors
    /// `not-allowed` to anyone but managers and teachers.
    pub async fn progress(&self, login: &Login, after: Option<&Subject>) -> Result<ProgressPage, AppError> {
        if !matches!(login.role, Role::Manager | Role::Teacher) {
            return Err(AppError::not_allowed(
                "the report is for the managers and teachers of a course",
            ));
        }
        // an empty id is before everybody: the first page all the same
        let after = after.filter(|a| !a.0.is_empty());
        if after.is_none() {
            let course = Some(login.course.clone());
            self.audit_write(login, "report", (None, course), "").await?;
        }
        let filter = SessionFilter {
            course: Some(login.course.clone()),
            limit: SESSIONS_MAX,
            ..SessionFilter::default()
        };
        let learners = by_learner(self.ports.store.session_list(&filter).await?);
        let started = learners.len();
        let mut left = learners
            .into_iter()
            .filter(|(who, _)| after.is_none_or(|after| who > after));
        let mut page = Vec::new();
        for (subject, runs) in left.by_ref().take(PROGRESS_PAGE) {
            page.push(self.progress_of(subject, runs).await?);
        }
        let next = left.next().and_then(|_| page.last().map(|p| p.subject.clone()));
        Ok(ProgressPage {
            started,
            learners: page,
            next,
        })
    }

    async fn progress_of(&self, subject: Subject, runs: Runs) -> Result<Progress, AppError> {
        let session = runs.newest;
        let checks = self.ports.store.check_list(session.id).await?;
        let version = self.ports.store.lab_version(&session.digest).await?;
        Ok(Progress {
            subject,
            name: session.name,
            started_at: runs.started_at,
            lab: session.lab,
            running: !session.state.is_over(),
            checks_passed: checks.iter().filter(|c| c.passed).count() as u32,
            checks_total: version.map_or(0, |v| v.file.checks.len() as u32),
            active_at: runs.active_at,
        })
    }
}
