//! Launches by LTI, in memory.

use super::{FakeStore, state::State};
use async_trait::async_trait;
use lab_core::{
    CourseId, Subject, Timestamp, TokenHash,
    entitlement::Giver,
    grading::GradeState,
    launch::lti::{
        Attempt, INVITATION_TRIES_MAX, Invitation, Kind, LtiKey, LtiState, Registration, RegistrationId,
        RegistrationKey, RegistrationUse, Roster, SamePerson, Seen, Tried, Waiting, same_person_problem,
    },
    port::{LTI_ATTEMPTS_KEPT, LTI_FOUND_MAX, LtiStore, StoreError},
};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

#[derive(Debug, Default)]
pub(super) struct LtiTables {
    registrations: BTreeMap<RegistrationId, Registration>,
    launched: BTreeMap<RegistrationId, Timestamp>,
    invitations: BTreeMap<RegistrationId, Invitation>,
    tries: BTreeMap<RegistrationId, u32>,
    rosters: BTreeMap<(RegistrationId, CourseId), String>,
    same: BTreeMap<Subject, SamePerson>,
    states: HashMap<TokenHash, LtiState>,
    /// Oldest first.
    keys: Vec<LtiKey>,
    /// Newest first.
    attempts: VecDeque<Attempt>,
}

impl LtiTables {
    /// Drops logins that expired by `at`, and keys that ended by `then`; how much.
    pub fn sweep(&mut self, at: Timestamp, then: Timestamp) -> u64 {
        let count = |t: &Self| t.states.len() + t.keys.len() + t.invitations.len();
        let before = count(self);
        self.invitations
            .retain(|_, i| i.waiting.is_some() || then < i.expires_at);
        self.states.retain(|_, s| at < s.expires_at);
        self.keys.retain(|k| k.retire_at.is_none_or(|end| then < end));
        (before - count(self)) as u64
    }

    /// A person is forgotten.
    pub fn forget(&mut self, subject: &Subject, pseudonym: &Subject) {
        self.same.retain(|alias, s| alias != subject && s.subject != *subject);
        for same in self.same.values_mut().filter(|s| s.by == *subject) {
            same.by.clone_from(pseudonym);
        }
    }

    /// What was said of a person, by alias.
    pub fn same_of(&self, subject: &Subject) -> Vec<SamePerson> {
        let said = self
            .same
            .values()
            .filter(|s| s.alias == *subject || s.subject == *subject);
        said.cloned().collect()
    }

    fn same_put(&mut self, same: &SamePerson) -> Result<(), StoreError> {
        let all: Vec<_> = self.same.values().cloned().collect();
        if let Some(detail) = same_person_problem(same, &all) {
            return Err(StoreError::Conflict {
                what: "person",
                id: same.alias.to_string(),
                detail,
            });
        }
        self.same.entry(same.alias.clone()).or_insert_with(|| same.clone());
        Ok(())
    }

    fn put(&mut self, registration: &Registration) -> Result<(), StoreError> {
        let taken = self
            .registrations
            .values()
            .find(|other| other.id != registration.id && other.kind.is_same_client(&registration.kind));
        if let Some(other) = taken {
            return Err(StoreError::Conflict {
                what: "registration",
                id: registration.id.to_string(),
                detail: format!("registration {} has the same platform or key", other.id),
            });
        }
        let mut new = registration.clone();
        if let Some(old) = self.registrations.get(&registration.id) {
            new.created_at = old.created_at;
        }
        self.registrations.insert(new.id.clone(), new);
        Ok(())
    }

    fn invite(&mut self, invitation: &Invitation) -> Result<(), StoreError> {
        if self.registrations.contains_key(&invitation.id) {
            return Err(taken(&invitation.id, "a registration has this name"));
        }
        if self
            .invitations
            .get(&invitation.id)
            .is_some_and(|i| i.waiting.is_some())
        {
            return Err(taken(&invitation.id, "a platform waits by this name"));
        }
        self.tries.remove(&invitation.id);
        self.invitations.insert(invitation.id.clone(), invitation.clone());
        Ok(())
    }

    fn open(&mut self, secret: TokenHash, at: Timestamp) -> Option<&mut Invitation> {
        let mut all = self.invitations.values_mut();
        all.find(|i| i.secret == secret && at < i.expires_at && i.waiting.is_none())
    }

    fn key_add(&mut self, key: &LtiKey, after: Option<&str>, retire_at: Timestamp) -> bool {
        if self.keys.last().map(|k| k.kid.as_str()) != after {
            return false;
        }
        for old in &mut self.keys {
            old.retire_at.get_or_insert(retire_at);
        }
        self.keys.push(key.clone());
        true
    }
}

impl State {
    fn register(&mut self, registration: &Registration) -> Result<(), StoreError> {
        let id = &registration.id;
        let before = self.lti.registrations.get(id).map(|r| r.kind.clone());
        self.lti.put(registration)?;
        if before
            .as_ref()
            .is_none_or(|kind| !kind.is_same_client(&registration.kind))
        {
            self.put_aside(id, before.as_ref());
            self.rename(&id.former(Some(&registration.kind)), id);
        }
        Ok(())
    }

    fn put_aside(&mut self, id: &RegistrationId, of: Option<&Kind>) {
        self.lti.states.retain(|_, state| state.registration != *id);
        self.lti.rosters.retain(|(of, _), _| of != id);
        self.rename(id, &id.former(of));
    }

    fn rename(&mut self, from: &RegistrationId, to: &RegistrationId) {
        self.grades.rename(from, to);
        if let Some(at) = self.lti.launched.remove(from) {
            self.lti.launched.insert(to.clone(), at);
        }
    }

    fn approve(&mut self, id: &RegistrationId, at: Timestamp) -> Result<Option<Registration>, StoreError> {
        let Some(new) = self.lti.invitations.get(id).and_then(|i| i.registration(at)) else {
            return Ok(None);
        };
        if self.lti.registrations.contains_key(id) {
            return Err(taken(id, "a registration has this name"));
        }
        self.register(&new)?;
        self.lti.invitations.remove(id);
        Ok(Some(new))
    }

    fn used_by(&self, id: &RegistrationId) -> RegistrationUse {
        let grants: Vec<_> = self.grants.values().filter(|g| g.source == id.source()).collect();
        let grades: Vec<_> = self.grades.of_registration(id).collect();
        let rosters = self
            .lti
            .rosters
            .keys()
            .filter(|(of, _)| of == id)
            .map(|(_, course)| course);
        let courses = grants
            .iter()
            .map(|g| &g.course)
            .chain(grades.iter().map(|g| &g.target.course));
        let people = grants
            .iter()
            .map(|g| &g.subject)
            .chain(grades.iter().map(|g| &g.target.subject));
        RegistrationUse {
            courses: courses
                .chain(rosters)
                .cloned()
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            learners: people.collect::<BTreeSet<_>>().len() as u64,
            grades_waiting: grades.iter().filter(|g| g.state == GradeState::Pending).count() as u64,
            logins: self.lti.states.values().filter(|s| s.registration == *id).count() as u64,
        }
    }
}

fn taken(id: &RegistrationId, detail: &str) -> StoreError {
    StoreError::Conflict {
        what: "invitation",
        id: id.to_string(),
        detail: detail.to_owned(),
    }
}

fn matches(kind: &Kind, key: &RegistrationKey) -> bool {
    match (kind, key) {
        (
            Kind::Platform { issuer, client_id, .. },
            RegistrationKey::Platform {
                issuer: wanted,
                client_id: client,
            },
        ) => issuer == wanted && client.as_ref().is_none_or(|c| c == client_id),
        (Kind::Consumer { key, .. }, RegistrationKey::Consumer { key: wanted }) => key == wanted,
        _ => false,
    }
}

#[async_trait]
impl LtiStore for FakeStore {
    async fn lti_registration_put(&self, registration: &Registration) -> Result<(), StoreError> {
        self.run("lti_registration_put", |s| s.register(registration))
    }
    async fn lti_registration_put_with(&self, registration: &Registration, giver: &Giver) -> Result<(), StoreError> {
        self.run("lti_registration_put_with", |s| {
            s.register(registration)?;
            s.givers.all.insert(giver.source.clone(), giver.clone());
            Ok(())
        })
    }
    async fn lti_registration_drop(&self, id: &RegistrationId) -> Result<bool, StoreError> {
        self.run("lti_registration_drop", |s| {
            let Some(gone) = s.lti.registrations.remove(id) else {
                return Ok(false);
            };
            s.put_aside(id, Some(&gone.kind));
            Ok(true)
        })
    }
    async fn lti_registration_use(&self, id: &RegistrationId) -> Result<RegistrationUse, StoreError> {
        self.run("lti_registration_use", |s| Ok(s.used_by(id)))
    }
    async fn lti_launched(&self, id: &RegistrationId, at: Timestamp) -> Result<(), StoreError> {
        self.run("lti_launched", |s| {
            let last = s.lti.launched.entry(id.clone()).or_insert(at);
            *last = (*last).max(at);
            Ok(())
        })
    }
    async fn lti_launched_at(&self, id: &RegistrationId) -> Result<Option<Timestamp>, StoreError> {
        self.run("lti_launched_at", |s| Ok(s.lti.launched.get(id).copied()))
    }
    async fn lti_seen(&self) -> Result<Vec<Seen>, StoreError> {
        self.run("lti_seen", |s| {
            let of = |id: &RegistrationId| {
                let grades = || s.grades.of_registration(id);
                let count = |state| grades().filter(|g| g.state == state).count() as u64;
                Seen {
                    registration: id.clone(),
                    launched_at: s.lti.launched.get(id).copied(),
                    graded_at: grades().filter_map(|g| g.sent).map(|sent| sent.at).max(),
                    grades_waiting: count(GradeState::Pending),
                    grades_failed: count(GradeState::Failed),
                }
            };
            Ok(s.lti.registrations.keys().map(of).collect())
        })
    }
    async fn lti_registration_get(&self, id: &RegistrationId) -> Result<Option<Registration>, StoreError> {
        self.run("lti_registration_get", |s| Ok(s.lti.registrations.get(id).cloned()))
    }
    async fn lti_registration_list(&self) -> Result<Vec<Registration>, StoreError> {
        self.run("lti_registration_list", |s| {
            Ok(s.lti.registrations.values().cloned().collect())
        })
    }
    async fn lti_registration_find(&self, key: &RegistrationKey) -> Result<Vec<Registration>, StoreError> {
        self.run("lti_registration_find", |s| {
            let found = s.lti.registrations.values().filter(|r| matches(&r.kind, key));
            Ok(found.take(LTI_FOUND_MAX as usize).cloned().collect())
        })
    }
    async fn lti_invitation_put(&self, invitation: &Invitation) -> Result<(), StoreError> {
        self.run("lti_invitation_put", |s| s.lti.invite(invitation))
    }
    async fn lti_invitation_try(&self, secret: TokenHash, at: Timestamp) -> Result<Tried, StoreError> {
        self.run("lti_invitation_try", |s| {
            let Some(found) = s.lti.open(secret, at).cloned() else {
                return Ok(Tried::Unknown);
            };
            let tries = s.lti.tries.entry(found.id.clone()).or_default();
            if *tries >= INVITATION_TRIES_MAX {
                return Ok(Tried::Spent);
            }
            *tries += 1;
            Ok(Tried::Good(Box::new(found)))
        })
    }
    async fn lti_invitation_list(&self) -> Result<Vec<Invitation>, StoreError> {
        self.run("lti_invitation_list", |s| {
            Ok(s.lti.invitations.values().cloned().collect())
        })
    }
    async fn lti_invitation_answer(&self, secret: TokenHash, waiting: &Waiting) -> Result<bool, StoreError> {
        self.run("lti_invitation_answer", |s| {
            let open = s.lti.open(secret, waiting.at);
            Ok(open.map(|i| i.waiting = Some(waiting.clone())).is_some())
        })
    }
    async fn lti_invitation_approve(
        &self,
        id: &RegistrationId,
        at: Timestamp,
    ) -> Result<Option<Registration>, StoreError> {
        self.run("lti_invitation_approve", |s| s.approve(id, at))
    }
    async fn lti_invitation_drop(&self, id: &RegistrationId) -> Result<bool, StoreError> {
        self.run("lti_invitation_drop", |s| Ok(s.lti.invitations.remove(id).is_some()))
    }
    async fn lti_roster_put(&self, roster: &Roster) -> Result<(), StoreError> {
        self.run("lti_roster_put", |s| {
            let key = (roster.registration.clone(), roster.course.clone());
            s.lti.rosters.insert(key, roster.url.clone());
            Ok(())
        })
    }
    async fn lti_roster_list(&self, course: &CourseId) -> Result<Vec<Roster>, StoreError> {
        self.run("lti_roster_list", |s| {
            let known = &s.lti.registrations;
            let of = s
                .lti
                .rosters
                .iter()
                .filter(|((r, c), _)| c == course && known.contains_key(r));
            let roster = |((registration, course), url): (&(RegistrationId, CourseId), &String)| Roster {
                registration: registration.clone(),
                course: course.clone(),
                url: url.clone(),
            };
            Ok(of.map(roster).collect())
        })
    }
    async fn same_person_put(&self, same: &SamePerson) -> Result<(), StoreError> {
        self.run("same_person_put", |s| s.lti.same_put(same))
    }
    async fn same_person_of(&self, alias: &Subject) -> Result<Subject, StoreError> {
        self.run("same_person_of", |s| {
            let known = s.lti.same.get(alias);
            Ok(known.map_or_else(|| alias.clone(), |s| s.subject.clone()))
        })
    }
    async fn same_person_list(&self) -> Result<Vec<SamePerson>, StoreError> {
        self.run("same_person_list", |s| Ok(s.lti.same.values().cloned().collect()))
    }
    async fn same_person_drop(&self, alias: &Subject) -> Result<bool, StoreError> {
        self.run("same_person_drop", |s| Ok(s.lti.same.remove(alias).is_some()))
    }
    async fn lti_state_put(&self, state: &LtiState) -> Result<(), StoreError> {
        self.run("lti_state_put", |s| {
            if s.lti.states.contains_key(&state.state) {
                return Err(StoreError::Conflict {
                    what: "state",
                    id: "of a launch".into(),
                    detail: "it is there already".into(),
                });
            }
            s.lti.states.insert(state.state, state.clone());
            Ok(())
        })
    }
    async fn lti_state_get(&self, state: TokenHash, at: Timestamp) -> Result<Option<LtiState>, StoreError> {
        self.run("lti_state_get", |s| {
            Ok(s.lti.states.get(&state).filter(|s| at < s.expires_at).cloned())
        })
    }
    async fn lti_key_add(&self, key: &LtiKey, after: Option<&str>, retire_at: Timestamp) -> Result<bool, StoreError> {
        self.run("lti_key_add", |s| Ok(s.lti.key_add(key, after, retire_at)))
    }
    async fn lti_key_list(&self, at: Timestamp) -> Result<Vec<LtiKey>, StoreError> {
        self.run("lti_key_list", |s| {
            let valid = s
                .lti
                .keys
                .iter()
                .rev()
                .filter(|k| k.retire_at.is_none_or(|end| at < end));
            Ok(valid.cloned().collect())
        })
    }
    async fn lti_attempt_add(&self, attempt: &Attempt) -> Result<(), StoreError> {
        self.run("lti_attempt_add", |s| {
            s.lti.attempts.push_front(attempt.clone());
            s.lti.attempts.truncate(LTI_ATTEMPTS_KEPT as usize);
            Ok(())
        })
    }
    async fn lti_attempt_list(&self) -> Result<Vec<Attempt>, StoreError> {
        self.run("lti_attempt_list", |s| Ok(s.lti.attempts.iter().cloned().collect()))
    }
}
