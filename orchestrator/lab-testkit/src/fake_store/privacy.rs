//! Notices, looks, what is to go and one person's all, in memory.

use super::{
    FakeStore,
    state::{RecordingRow, State},
};
use async_trait::async_trait;
use lab_core::{
    CourseId, SessionId, Subject, Timestamp,
    entitlement::{Feature, Refusal},
    launch::Role,
    metering::{Account, Transaction},
    port::{AdmitRequest, AuditEvent, PrivacyStore, RETENTION_LEASE, StoreError},
    privacy::{
        Acknowledgement, Before, Class, Due, Erased, Erasure, Footprint, LOOKS_PAGE, Look, NoticeVersion, PEOPLE_PAGE,
        PersonSummary, Removal, RetentionRun, Traces, WALL_SPAN, is_pseudonym,
    },
    recording::RecordingState,
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    time::Duration,
};

#[derive(Debug, Default)]
pub(super) struct PrivacyTables {
    notices: BTreeMap<(Subject, NoticeVersion), Timestamp>,
    /// Whose learner was forgotten.
    pub erased: HashSet<SessionId>,
    cleared: HashSet<SessionId>,
    swept: HashSet<SessionId>,
    runs: BTreeMap<Class, (Timestamp, u64)>,
}

impl State {
    pub fn told(&self, subject: &Subject, version: &NoticeVersion) -> Option<Timestamp> {
        self.privacy.notices.get(&(subject.clone(), version.clone())).copied()
    }

    /// Why a click is refused when nothing else is in its way.
    pub fn untold(&self, r: &AdmitRequest) -> Option<Refusal> {
        let version = r.notice.clone()?;
        self.told(&r.subject, &version)
            .is_none()
            .then_some(Refusal::Notice { version })
    }

    /// Refuses what would bring back data of somebody who was forgotten.
    pub fn not_erased(&self, session: SessionId) -> Result<(), StoreError> {
        if self.privacy.erased.contains(&session) {
            return Err(StoreError::NotFound {
                what: "session",
                id: session.to_string(),
            });
        }
        Ok(())
    }

    fn looks(&self, subject: &Subject, course: Option<&CourseId>, before: i64) -> Vec<Look> {
        let theirs = |e: &AuditEvent| {
            if let Some(about) = &e.about {
                return about == subject;
            }
            let in_course = |c: &CourseId| course.is_none_or(|wanted| wanted == c);
            if let Some(id) = e.session {
                let session = self.sessions.get(&id);
                return session.is_some_and(|s| s.subject == *subject && in_course(&s.course));
            }
            let on_wall = |c: &CourseId| {
                self.sessions.values().any(|s| {
                    s.subject == *subject
                        && s.course == *c
                        && s.requested_at <= e.at.plus(WALL_SPAN)
                        && s.over_at.is_none_or(|over| over >= e.at)
                })
            };
            e.course.as_ref().is_some_and(|c| in_course(c) && on_wall(c))
        };
        let look = |(id, e): (i64, &AuditEvent)| {
            let session = e.session.and_then(|id| self.sessions.get(&id));
            Look {
                id,
                at: e.at,
                name: e.actor_name.clone(),
                role: e.role,
                action: e.action.clone(),
                session: e.session,
                lab: session.map(|s| s.lab.clone()),
                course: session.map(|s| s.course.clone()).or_else(|| e.course.clone()),
                detail: e.detail.clone(),
            }
        };
        let mut numbered: Vec<_> = (1..).zip(&self.audit).collect();
        numbered.reverse();
        numbered
            .into_iter()
            .filter(|(id, e)| *id < before && theirs(e))
            .take(LOOKS_PAGE as usize)
            .map(look)
            .collect()
    }

    fn fence(&self, epoch: u64) -> Result<(), StoreError> {
        if self.leases.get(RETENTION_LEASE).is_some_and(|l| l.epoch == epoch) {
            return Ok(());
        }
        Err(StoreError::Fenced {
            what: RETENTION_LEASE.into(),
            epoch,
        })
    }

    /// Recordings that have had their time, with since when that is so for what is as old as they are, and when their session was over.
    fn recordings_due(&self, before: &Before) -> Vec<(Timestamp, Timestamp, SessionId)> {
        let due = |(id, row): (&SessionId, &RecordingRow)| {
            let session = self.sessions.get(id)?;
            let over = session.over_at?;
            let exam = self.plans.get(&session.plan).is_some_and(|p| p.has(Feature::Exam));
            let end = if exam {
                before.exam_recordings
            } else {
                before.recordings
            };
            let kept = !matches!(row.head.state, RecordingState::Removed { .. });
            (kept && (over <= end || self.privacy.erased.contains(id))).then_some((end, over, *id))
        };
        let mut all: Vec<_> = self.recordings.iter().filter_map(due).collect();
        all.sort_by_key(|(_, over, id)| (*over, *id));
        all
    }

    /// By how much each thing of a class is over its time.
    fn due(&self, class: Class, before: &Before) -> Vec<Duration> {
        if class == Class::Recordings {
            let over = |(end, over, _): (Timestamp, Timestamp, SessionId)| end.since(over);
            return self.recordings_due(before).into_iter().map(over).collect();
        }
        let end = class.before(before);
        let times: Vec<Timestamp> = match class {
            Class::Recordings => Vec::new(),
            Class::Checks => self
                .checks
                .values()
                .flat_map(|c| c.values().map(|(at, _)| *at))
                .collect(),
            Class::Names => {
                let named = |s: &&lab_core::port::Session| s.name != s.subject.as_str();
                self.sessions.values().filter(named).filter_map(|s| s.over_at).collect()
            }
            Class::Audit => self.audit.iter().map(|e| e.at).collect(),
        };
        times
            .into_iter()
            .filter(|at| *at <= end)
            .map(|at| end.since(at))
            .collect()
    }

    fn remove(&mut self, session: SessionId, at: Timestamp) -> bool {
        let Some(row) = self.recordings.get_mut(&session) else {
            return false;
        };
        if matches!(row.head.state, RecordingState::Removed { .. }) {
            return false;
        }
        row.head.state = RecordingState::Removed { at };
        true
    }

    fn count(&mut self, class: Class, gone: u64, at: Timestamp) {
        if gone > 0 {
            let run = self.privacy.runs.entry(class).or_insert((at, 0));
            *run = (at, run.1 + gone);
        }
    }

    fn delete(&mut self, class: Class, before: Timestamp, limit: usize) -> u64 {
        let mut left = limit;
        let mut takes = |old: bool| {
            let take = old && left > 0;
            left -= usize::from(take);
            take
        };
        match class {
            Class::Recordings => {}
            Class::Checks => {
                for checks in self.checks.values_mut() {
                    checks.retain(|_, (at, _)| !takes(*at <= before));
                }
            }
            Class::Names => {
                for s in self.sessions.values_mut() {
                    let named = s.name != s.subject.as_str();
                    if takes(named && s.over_at.is_some_and(|over| over <= before)) {
                        s.name.clone_from(&s.subject.0);
                    }
                }
            }
            Class::Audit => self.audit.retain(|e| !takes(e.at <= before)),
        }
        (limit - left) as u64
    }

    fn sessions_of(&self, subject: &Subject) -> Vec<SessionId> {
        let theirs = self.sessions.values().filter(|s| s.subject == *subject);
        theirs.map(|s| s.id).collect()
    }

    fn footprint(&self, subject: &Subject) -> Footprint {
        let sessions = self.sessions_of(subject);
        let kept = |id: &&SessionId| {
            let row = self.recordings.get(id);
            row.is_some_and(|r| !matches!(r.head.state, RecordingState::Removed { .. }))
        };
        let n = |count: usize| count as u64;
        Footprint {
            sessions: n(sessions.len()),
            recordings: n(sessions.iter().filter(kept).count()),
            checks: n(sessions
                .iter()
                .filter_map(|id| self.checks.get(id))
                .map(BTreeMap::len)
                .sum()),
            grants: n(self.grants.values().filter(|g| g.subject == *subject).count()),
            logins: n(self.logins.values().filter(|l| l.login.subject == *subject).count()),
            vouchers: n(self.vouchers.of(subject).len()),
            notices: n(self.privacy.notices.keys().filter(|(s, _)| s == subject).count()),
            enrolments: self.courses.of(subject),
            extensions: n(self.courses.extensions_of(subject).len()),
            aliases: n(self.lti.same_of(subject).len()),
            withheld: n(self.givers.withheld_of(subject).len()),
            audit: n(self
                .audit
                .iter()
                .filter(|e| e.actor == *subject || e.about.as_ref() == Some(subject))
                .count()),
        }
    }

    fn people(&self, text: &str) -> Vec<PersonSummary> {
        let mut all: BTreeMap<Subject, PersonSummary> = BTreeMap::new();
        let mut seen = |subject: &Subject, name: &str, at: Timestamp| {
            let person = all.entry(subject.clone()).or_insert_with(|| PersonSummary {
                subject: subject.clone(),
                name: String::new(),
                sessions: 0,
                live: 0,
                grants: 0,
                last_at: at,
            });
            if name != subject.as_str() && name > person.name.as_str() {
                name.clone_into(&mut person.name);
            }
            person.last_at = person.last_at.max(at);
        };
        for s in self.sessions.values() {
            seen(&s.subject, &s.name, s.requested_at);
        }
        for g in self.grants.values() {
            seen(&g.subject, "", g.created_at);
        }
        for l in self.logins.values() {
            seen(&l.login.subject, &l.login.name, l.login.created_at);
        }
        for ((subject, _), at) in &self.privacy.notices {
            seen(subject, "", *at);
        }
        for e in self.courses.enrolments.values() {
            seen(&e.subject, &e.name, e.enrolled_at);
        }
        let text = text.to_lowercase();
        let mut people: Vec<PersonSummary> = all
            .into_values()
            .filter(|p| !is_pseudonym(&p.subject))
            .filter(|p| p.subject.as_str().to_lowercase().contains(&text) || p.name.to_lowercase().contains(&text))
            .collect();
        for p in &mut people {
            let sessions = self.sessions.values().filter(|s| s.subject == p.subject);
            p.sessions = sessions.clone().count() as u64;
            p.live = sessions.filter(|s| s.over_at.is_none()).count() as u64;
            p.grants = self.grants.values().filter(|g| g.subject == p.subject).count() as u64;
        }
        people.sort_by_key(|p| (Reverse(p.last_at), p.subject.clone()));
        people.truncate(PEOPLE_PAGE as usize);
        people
    }

    fn traces(&self, subject: &Subject) -> Traces {
        let mut logins: Vec<_> = self.logins.values().map(|l| l.login.clone()).collect();
        logins.retain(|l| l.subject == *subject);
        logins.sort_by_key(|l| (l.created_at, l.id));
        let notice = |((s, version), at): (&(Subject, NoticeVersion), &Timestamp)| Acknowledgement {
            subject: s.clone(),
            version: version.clone(),
            at: *at,
        };
        let mut notices: Vec<_> = self.privacy.notices.iter().map(notice).collect();
        notices.retain(|n| n.subject == *subject);
        notices.sort_by_key(|n| (n.at, n.version.clone()));
        Traces {
            logins,
            notices,
            enrolments: self.enrolments_of(subject),
            vouchers: self.vouchers.of(subject),
            aliases: self.lti.same_of(subject),
            extensions: self.courses.extensions_of(subject),
            withheld: self.givers.withheld_of(subject),
        }
    }

    fn ledger_of_person(&self, subject: &Subject) -> Vec<Transaction> {
        let theirs = |t: &&Transaction| {
            let session = t.session.and_then(|id| self.sessions.get(&id));
            let by_session = session.is_some_and(|s| s.subject == *subject);
            by_session
                || t.entries.iter().any(|(account, _)| match account {
                    Account::Grant(id) => self.grants.get(id).is_some_and(|g| g.subject == *subject),
                    _ => false,
                })
        };
        let mut all: Vec<_> = self.transactions.iter().filter(theirs).cloned().collect();
        all.sort_by_key(|t| (t.occurred_at, t.key.clone()));
        all
    }

    fn erase(&mut self, e: &Erasure) -> Erased {
        let sessions = self.sessions_of(&e.subject);
        let live = |id: &SessionId| !self.sessions[id].state.is_over();
        let live: Vec<_> = sessions.iter().copied().filter(live).collect();
        if !live.is_empty() {
            return Erased::Live(live);
        }
        let was = self.footprint(&e.subject);
        for id in sessions {
            self.remove(id, e.at);
            self.checks.remove(&id);
            self.privacy.erased.insert(id);
            if let Some(s) = self.sessions.get_mut(&id) {
                s.subject.clone_from(&e.pseudonym);
                s.name.clone_from(&e.pseudonym.0);
            }
        }
        for row in self.usage.values_mut().filter(|row| row.subject == e.subject) {
            row.subject.clone_from(&e.pseudonym);
        }
        self.privacy.notices.retain(|(s, _), _| *s != e.subject);
        let gone: Vec<_> = self
            .logins
            .values()
            .filter(|l| l.login.subject == e.subject)
            .map(|l| l.login.id)
            .collect();
        self.tickets.retain(|_, t| !gone.contains(&t.login));
        self.logins.retain(|id, _| !gone.contains(id));
        for g in self.grants.values_mut().filter(|g| g.subject == e.subject) {
            g.subject.clone_from(&e.pseudonym);
        }
        self.courses.forget(&e.subject);
        self.lti.forget(&e.subject, &e.pseudonym);
        self.grades.forget(&e.subject);
        self.givers.forget(&e.subject);
        self.accounts.forget(&e.subject);
        self.vouchers.rename(&e.subject, &e.pseudonym);
        self.rename_in_audit(e);
        if !was.is_empty() {
            self.audit.push(AuditEvent {
                at: e.at,
                actor: e.by.clone(),
                actor_name: e.by_name.clone(),
                role: Role::Operations,
                action: "erase-person".into(),
                session: None,
                course: None,
                about: Some(e.pseudonym.clone()),
                detail: format!("{} sessions, {} recordings", was.sessions, was.recordings),
            });
        }
        Erased::Done(was)
    }

    fn rename_in_audit(&mut self, e: &Erasure) {
        for event in &mut self.audit {
            if event.actor == e.subject {
                for row in event
                    .session
                    .and_then(|id| self.history.get_mut(&id))
                    .into_iter()
                    .flatten()
                {
                    if row.cause == format!("{}:{}", event.role.name(), event.actor_name) {
                        row.cause = format!("{}:{}", event.role.name(), e.pseudonym);
                    }
                }
                event.actor.clone_from(&e.pseudonym);
                event.actor_name.clone_from(&e.pseudonym.0);
            }
            if event.about.as_ref() == Some(&e.subject) {
                event.about = Some(e.pseudonym.clone());
            }
        }
        if let Some(pause) = self.paused.as_mut().filter(|p| p.by == e.subject) {
            pause.by.clone_from(&e.pseudonym);
            pause.by_name.clone_from(&e.pseudonym.0);
        }
    }
}

#[async_trait]
impl PrivacyStore for FakeStore {
    async fn notice_acknowledge(&self, ack: &Acknowledgement) -> Result<Timestamp, StoreError> {
        self.run("notice_acknowledge", |s| {
            let key = (ack.subject.clone(), ack.version.clone());
            Ok(*s.privacy.notices.entry(key).or_insert(ack.at))
        })
    }
    async fn notice_acknowledged(
        &self,
        subject: &Subject,
        version: &NoticeVersion,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.run("notice_acknowledged", |s| Ok(s.told(subject, version)))
    }
    async fn looks(
        &self,
        subject: &Subject,
        course: Option<&CourseId>,
        before: Option<i64>,
    ) -> Result<Vec<Look>, StoreError> {
        self.run("looks", |s| Ok(s.looks(subject, course, before.unwrap_or(i64::MAX))))
    }
    async fn retention_due(&self, before: &Before) -> Result<Vec<Due>, StoreError> {
        self.run("retention_due", |s| {
            let due = |class| {
                let times = s.due(class, before);
                Due {
                    class,
                    count: times.len() as u64,
                    overdue: times.into_iter().max().unwrap_or_default(),
                }
            };
            Ok(Class::ALL.into_iter().map(due).collect())
        })
    }
    async fn recordings_due(&self, before: &Before, limit: u32) -> Result<Vec<SessionId>, StoreError> {
        self.run("recordings_due", |s| {
            let due = s.recordings_due(before).into_iter().map(|(_, _, id)| id);
            Ok(due.take(limit as usize).collect())
        })
    }
    async fn recording_remove(&self, session: SessionId, epoch: u64, at: Timestamp) -> Result<bool, StoreError> {
        self.run("recording_remove", |s| {
            s.fence(epoch)?;
            let removed = s.remove(session, at);
            s.count(Class::Recordings, u64::from(removed), at);
            Ok(removed)
        })
    }
    async fn removals(&self, second: Timestamp, limit: u32) -> Result<Vec<Removal>, StoreError> {
        self.run("removals", |s| {
            let of = |(id, row): (&SessionId, &RecordingRow)| {
                let RecordingState::Removed { at } = row.head.state else {
                    return None;
                };
                let again = s.privacy.cleared.contains(id);
                let open = !s.privacy.swept.contains(id) && (!again || at <= second);
                open.then_some((at, *id, again))
            };
            let mut all: Vec<_> = s.recordings.iter().filter_map(of).collect();
            all.sort();
            all.truncate(limit as usize);
            let removal = |(_, session, again)| Removal { session, again };
            Ok(all.into_iter().map(removal).collect())
        })
    }
    async fn removal_done(&self, removal: Removal, _at: Timestamp) -> Result<(), StoreError> {
        self.run("removal_done", |s| {
            if let Some(row) = s.recordings.get_mut(&removal.session)
                && matches!(row.head.state, RecordingState::Removed { .. })
            {
                row.chunks.clear();
                let done = if removal.again {
                    &mut s.privacy.swept
                } else {
                    &mut s.privacy.cleared
                };
                done.insert(removal.session);
            }
            Ok(())
        })
    }
    async fn retention_delete(
        &self,
        class: Class,
        epoch: u64,
        before: Timestamp,
        at: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        self.run("retention_delete", |s| {
            s.fence(epoch)?;
            let gone = s.delete(class, before, limit as usize);
            s.count(class, gone, at);
            Ok(gone)
        })
    }
    async fn retention_runs(&self) -> Result<Vec<RetentionRun>, StoreError> {
        self.run("retention_runs", |s| {
            let run = |(class, (at, removed)): (&Class, &(Timestamp, u64))| RetentionRun {
                class: *class,
                at: *at,
                removed: *removed,
            };
            Ok(s.privacy.runs.iter().map(run).collect())
        })
    }
    async fn person_list(&self, text: &str) -> Result<Vec<PersonSummary>, StoreError> {
        self.run("person_list", |s| Ok(s.people(text)))
    }
    async fn person_footprint(&self, subject: &Subject) -> Result<Footprint, StoreError> {
        self.run("person_footprint", |s| Ok(s.footprint(subject)))
    }
    async fn person_traces(&self, subject: &Subject) -> Result<Traces, StoreError> {
        self.run("person_traces", |s| Ok(s.traces(subject)))
    }
    async fn person_ledger(
        &self,
        subject: &Subject,
        after: Option<&(Timestamp, String)>,
        limit: u32,
    ) -> Result<Vec<Transaction>, StoreError> {
        self.run("person_ledger", |s| {
            let later = |t: &Transaction| after.is_none_or(|(at, key)| (t.occurred_at, &t.key) > (*at, key));
            let all = s.ledger_of_person(subject).into_iter().filter(later);
            Ok(all.take(limit as usize).collect())
        })
    }
    async fn person_erase(&self, erasure: &Erasure) -> Result<Erased, StoreError> {
        self.run("person_erase", |s| Ok(s.erase(erasure)))
    }
}
