//! The outbox of grades, in memory.

use super::{FakeStore, state::State};
use async_trait::async_trait;
use lab_core::{
    CheckId, CourseId, LabId, SessionId, Subject, Timestamp,
    grading::{Grade, GradeAddress, GradeRow, GradeState, GradeTarget, Points, Sent, Trouble, grade_of, points_of},
    journal::CheckOutcome,
    launch::lti::RegistrationId,
    port::{
        GRADES_DUE_MAX, GRADES_LISTED_MAX, GradeChange, GradeCounts, GradeStore, GradeWrite, OUTBOX_LEASE, StoreError,
    },
};
use std::collections::{BTreeMap, HashMap};

#[derive(Debug, Default)]
pub(super) struct Grades {
    rows: BTreeMap<i64, GradeRow>,
    last_id: i64,
    /// Line items that were found or made, by registration, list and lab.
    line_items: HashMap<(RegistrationId, String, LabId), String>,
    /// The best points of each check of each session.
    best: HashMap<SessionId, BTreeMap<CheckId, u32>>,
    /// When each check of each session first passed.
    first: HashMap<SessionId, BTreeMap<CheckId, Timestamp>>,
}

impl Grades {
    /// Those that go back by one registration.
    pub fn of_registration(&self, registration: &RegistrationId) -> impl Iterator<Item = &GradeRow> {
        self.rows
            .values()
            .filter(move |row| row.target.registration == *registration)
    }

    /// Grades and line items of one registration are another's; where both have one at a place, the renamed one stays.
    pub fn rename(&mut self, from: &RegistrationId, to: &RegistrationId) {
        let moved: Vec<(String, String)> = self
            .of_registration(from)
            .map(|r| (r.target.user.clone(), place(r)))
            .collect();
        self.rows
            .retain(|_, r| r.target.registration != *to || !moved.contains(&(r.target.user.clone(), place(r))));
        for row in self.rows.values_mut().filter(|r| r.target.registration == *from) {
            row.target.registration = to.clone();
            row.revision += 1;
        }
        let items = std::mem::take(&mut self.line_items);
        let (renamed, mut others): (HashMap<_, _>, HashMap<_, _>) =
            items.into_iter().partition(|((of, ..), _)| of == from);
        others.extend(
            renamed
                .into_iter()
                .map(|((_, list, lab), item)| ((to.clone(), list, lab), item)),
        );
        self.line_items = others;
    }

    /// Grades of somebody who is forgotten.
    pub fn forget(&mut self, subject: &Subject) {
        self.rows.retain(|_, row| row.target.subject != *subject);
    }
}

/// See [`GradeAddress::place`]; a row whose line item was found is there.
fn place(row: &GradeRow) -> String {
    row.line_item.clone().unwrap_or_else(|| row.target.place())
}

impl State {
    pub fn check_kept(&mut self, session: SessionId, outcome: &CheckOutcome, at: Timestamp) {
        let best = self.grades.best.entry(session).or_default();
        let best = best.entry(outcome.check.clone()).or_default();
        *best = (*best).max(outcome.points);
        if outcome.passed {
            let first = self.grades.first.entry(session).or_default();
            let first = first.entry(outcome.check.clone()).or_insert(at);
            *first = (*first).min(at);
        }
        let Some(of) = self.sessions.get(&session).cloned() else {
            return;
        };
        let grade = self.worth(&of.subject, &of.course, &of.lab);
        for row in self.grades.rows.values_mut() {
            let t = &row.target;
            if (&t.subject, &t.course, &t.lab) == (&of.subject, &of.course, &of.lab) {
                row.offer(grade, at);
            }
        }
    }

    pub(super) fn first_passes(&self, session: SessionId) -> Option<&BTreeMap<CheckId, Timestamp>> {
        self.grades.first.get(&session)
    }

    pub(super) fn worth(&self, subject: &Subject, course: &CourseId, lab: &LabId) -> Option<Grade> {
        let runs = || {
            let all = self.sessions.values();
            all.filter(|s| s.subject == *subject && s.course == *course && s.lab == *lab && !s.is_test_run())
        };
        let best: Vec<Points> = runs()
            .filter_map(|s| self.grades.best.get(&s.id))
            .flat_map(|b| b.iter().map(|(check, points)| (check.clone(), *points)))
            .collect();
        let versions = runs().filter_map(|s| self.labs.get(&s.digest));
        let versions: Vec<_> = versions.map(|v| points_of(&v.file)).collect();
        grade_of(&versions, &best)
    }

    fn grade_target_put(&mut self, target: &GradeTarget, at: Timestamp) {
        let grade = self.worth(&target.subject, &target.course, &target.lab);
        let mut row = GradeRow::new(self.grades.last_id + 1, target.clone(), at);
        if let GradeAddress::Ags { line_items, .. } = &target.address
            && row.line_item.is_none()
        {
            let list = line_items.clone().unwrap_or_default();
            let key = (target.registration.clone(), list, target.lab.clone());
            row.line_item = self.grades.line_items.get(&key).cloned();
        }
        let same = |r: &&mut GradeRow| {
            r.target.registration == target.registration && r.target.user == target.user && place(r) == place(&row)
        };
        if let Some(known) = self.grades.rows.values_mut().find(same) {
            known.launched(target, grade, at);
        } else {
            row.offer(grade, at);
            self.grades.last_id = row.id;
            self.grades.rows.insert(row.id, row);
        }
    }

    fn grade_write(&mut self, w: &GradeWrite) -> Result<bool, StoreError> {
        if self.leases.get(OUTBOX_LEASE).map(|l| l.epoch) != Some(w.epoch) {
            let what = OUTBOX_LEASE.to_owned();
            return Err(StoreError::Fenced { what, epoch: w.epoch });
        }
        Ok(match &w.change {
            GradeChange::Try { id, revision, stamp } => {
                let row = self.grades.pending(*id, *revision).filter(|r| r.stamp < *stamp);
                row.map(|r| r.stamp = *stamp).is_some()
            }
            GradeChange::Sent {
                id,
                revision,
                grade,
                at,
            } => {
                if let Some(row) = self.grades.rows.get_mut(id) {
                    row.sent = Some(Sent { grade: *grade, at: *at });
                }
                let done = |r: &mut GradeRow| {
                    (r.state, r.attempts, r.trouble) = (GradeState::Sent, 0, None);
                };
                self.grades.pending(*id, *revision).map(done).is_some()
            }
            GradeChange::Later {
                id,
                revision,
                code,
                detail,
                next_at,
            } => {
                let later = |r: &mut GradeRow| {
                    r.next_at = *next_at;
                    r.fail(code, detail);
                };
                self.grades.pending(*id, *revision).map(later).is_some()
            }
            GradeChange::Failed {
                id,
                revision,
                code,
                detail,
            } => {
                let failed = |r: &mut GradeRow| {
                    r.state = GradeState::Failed;
                    r.fail(code, detail);
                };
                self.grades.pending(*id, *revision).map(failed).is_some()
            }
            GradeChange::Found {
                registration,
                line_items,
                lab,
                line_item,
            } => self.grades.found(registration, line_items, lab, line_item),
            GradeChange::Back { registration, at } => {
                let rows = self.grades.rows.values_mut();
                let waiting = rows.filter(|r| r.state == GradeState::Pending && r.target.registration == *registration);
                waiting.filter(|r| r.next_at > *at).map(|r| r.next_at = *at).count() > 0
            }
        })
    }
}

trait Fail {
    fn fail(&mut self, code: &str, detail: &str);
}

impl Fail for GradeRow {
    fn fail(&mut self, code: &str, detail: &str) {
        self.attempts += 1;
        self.trouble = Some(Trouble {
            code: code.to_owned(),
            detail: detail.to_owned(),
        });
    }
}

impl Grades {
    fn pending(&mut self, id: i64, revision: i64) -> Option<&mut GradeRow> {
        let row = self.rows.get_mut(&id)?;
        (row.revision == revision && row.state == GradeState::Pending).then_some(row)
    }

    fn found(&mut self, registration: &RegistrationId, line_items: &str, lab: &LabId, line_item: &str) -> bool {
        let key = (registration.clone(), line_items.to_owned(), lab.clone());
        self.line_items.insert(key, line_item.to_owned());
        let waiting = GradeAddress::place_in(line_items, lab);
        let there: Vec<String> = self
            .rows
            .values()
            .filter(|r| r.target.registration == *registration && place(r) == line_item)
            .map(|r| r.target.user.clone())
            .collect();
        let waits = |r: &GradeRow| r.target.registration == *registration && place(r) == waiting;
        self.rows.retain(|_, r| !(waits(r) && there.contains(&r.target.user)));
        let rows = self.rows.values_mut().filter(|r| waits(r));
        rows.map(|r| r.line_item = Some(line_item.to_owned())).count() > 0
    }

    fn due(&self, at: Timestamp) -> Vec<GradeRow> {
        let pending = self
            .rows
            .values()
            .filter(|r| r.state == GradeState::Pending && r.next_at <= at);
        let mut rows: Vec<GradeRow> = pending.cloned().collect();
        rows.sort_by_key(|r| (r.next_at, r.id));
        let mut turns: HashMap<RegistrationId, u32> = HashMap::new();
        rows.retain(|r| {
            let turn = turns.entry(r.target.registration.clone()).or_default();
            *turn += 1;
            *turn <= GRADES_DUE_MAX
        });
        rows
    }

    fn of(&self, subject: &Subject) -> Vec<GradeRow> {
        let rows = self.rows.values().filter(|r| r.target.subject == *subject);
        rows.cloned().collect()
    }

    fn list(&self, registration: Option<&RegistrationId>) -> Vec<GradeRow> {
        let of = self
            .rows
            .values()
            .filter(|r| registration.is_none_or(|id| r.target.registration == *id));
        let mut rows: Vec<GradeRow> = of.cloned().collect();
        let rank = |state| match state {
            GradeState::Failed => 0,
            GradeState::Pending => 1,
            GradeState::Sent => 2,
            GradeState::Idle => 3,
        };
        rows.sort_by_key(|r| (rank(r.state), -r.id));
        rows.truncate(GRADES_LISTED_MAX as usize);
        rows
    }

    fn count(&self, state: GradeState) -> i64 {
        self.rows.values().filter(|r| r.state == state).count() as i64
    }
}

#[async_trait]
impl GradeStore for FakeStore {
    async fn grade_target_put(&self, target: &GradeTarget, at: Timestamp) -> Result<(), StoreError> {
        self.run("grade_target_put", |s| {
            s.grade_target_put(target, at);
            Ok(())
        })
    }
    async fn grade_due(&self, at: Timestamp) -> Result<Vec<GradeRow>, StoreError> {
        self.run("grade_due", |s| Ok(s.grades.due(at)))
    }
    async fn grade_write(&self, write: &GradeWrite) -> Result<bool, StoreError> {
        self.run("grade_write", |s| s.grade_write(write))
    }
    async fn grade_list(&self, registration: Option<&RegistrationId>) -> Result<Vec<GradeRow>, StoreError> {
        self.run("grade_list", |s| Ok(s.grades.list(registration)))
    }

    async fn grade_of(&self, subject: &Subject) -> Result<Vec<GradeRow>, StoreError> {
        self.run("grade_of", |s| Ok(s.grades.of(subject)))
    }
    async fn grade_retry(&self, registration: Option<&RegistrationId>, at: Timestamp) -> Result<u64, StoreError> {
        self.run("grade_retry", |s| {
            let rows = s.grades.rows.values_mut();
            let of = rows.filter(|r| registration.is_none_or(|id| r.target.registration == *id));
            let undone = of.filter(|r| matches!(r.state, GradeState::Failed | GradeState::Pending));
            Ok(undone.map(|r| r.again(at)).count() as u64)
        })
    }
    async fn grade_counts(&self) -> Result<GradeCounts, StoreError> {
        self.run("grade_counts", |s| {
            Ok(GradeCounts {
                pending: s.grades.count(GradeState::Pending),
                failed: s.grades.count(GradeState::Failed),
            })
        })
    }
}
