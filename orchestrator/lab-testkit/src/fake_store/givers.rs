//! Who gives within what was agreed, and what was withheld.

use super::{FakeStore, state::State};
use async_trait::async_trait;
use lab_core::{
    CourseId, Subject,
    entitlement::{Given, Giver, GiverState, Grant, Issued, WhyWithheld, Withheld},
    metering::Account,
    port::{GiverStore, StoreError},
};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub struct Givers {
    pub all: BTreeMap<String, Giver>,
    withheld: BTreeMap<(Subject, CourseId), Withheld>,
}

impl Givers {
    /// Theirs, by course.
    pub fn withheld_of(&self, subject: &Subject) -> Vec<Withheld> {
        let all = self.withheld.values().filter(|w| w.subject == *subject);
        all.cloned().collect()
    }

    /// Of somebody who is forgotten.
    pub fn forget(&mut self, subject: &Subject) {
        self.withheld.retain(|(s, _), _| s != subject);
    }
}

impl State {
    /// What was taken off a grant when it was taken back.
    pub fn taken_back(&self, grant: lab_core::GrantId) -> i64 {
        let revoked = self.transactions.iter().filter(|t| t.key == format!("revoke/{grant}"));
        let entries = revoked.flat_map(|t| &t.entries);
        -entries
            .filter(|(a, _)| *a == Account::Grant(grant))
            .map(|(_, secs)| secs)
            .sum::<i64>()
    }

    /// Says where a grant's learner is.
    pub fn grant_at(&mut self, grant: lab_core::GrantId, site: Option<&lab_core::SiteId>) {
        if let Some(site) = site {
            self.sites.entry(grant).or_insert_with(|| site.clone());
        }
    }

    fn given_by(&self, source: &str) -> Given {
        let theirs = self.grants.values().filter(|g| g.source == source);
        theirs.fold(Given::default(), |sum, g| Given {
            grants: sum.grants + i64::from(!self.voided.contains_key(&g.id)),
            seconds: sum.seconds + g.seconds - self.taken_back(g.id),
        })
    }

    fn issue_within(&mut self, grant: &Grant) -> Result<Issued, StoreError> {
        let place = (grant.subject.clone(), grant.course.clone());
        if !self.grants.contains_key(&grant.id)
            && let Some(giver) = self.givers.all.get(&grant.source)
            && let Err(spent) = giver.budget.admits(self.given_by(&grant.source), grant.seconds)
        {
            let withheld = Withheld {
                subject: grant.subject.clone(),
                course: grant.course.clone(),
                plan: grant.plan.clone(),
                why: WhyWithheld::Spent,
                at: grant.created_at,
            };
            self.givers.withheld.insert(place, withheld);
            return Ok(Issued::Spent(spent));
        }
        let site = self.givers.all.get(&grant.source).and_then(|g| g.site.clone());
        self.grant_issue(grant)?;
        self.grant_at(grant.id, site.as_ref());
        self.givers.withheld.remove(&place);
        Ok(Issued::Done)
    }
}

#[async_trait]
impl GiverStore for FakeStore {
    async fn giver_put(&self, giver: &Giver) -> Result<(), StoreError> {
        self.run("giver_put", |s| {
            s.givers.all.insert(giver.source.clone(), giver.clone());
            Ok(())
        })
    }
    async fn giver_get(&self, source: &str) -> Result<Option<GiverState>, StoreError> {
        self.run("giver_get", |s| {
            let state = |giver: &Giver| GiverState {
                giver: giver.clone(),
                given: s.given_by(source),
            };
            Ok(s.givers.all.get(source).map(state))
        })
    }
    async fn grant_issue_within(&self, grant: &Grant) -> Result<Issued, StoreError> {
        self.run("grant_issue_within", |s| s.issue_within(grant))
    }
    async fn grant_withhold(&self, withheld: &Withheld) -> Result<(), StoreError> {
        self.run("grant_withhold", |s| {
            let place = (withheld.subject.clone(), withheld.course.clone());
            s.givers.withheld.insert(place, withheld.clone());
            Ok(())
        })
    }
    async fn grant_withheld(&self, subject: &Subject, course: &CourseId) -> Result<Option<Withheld>, StoreError> {
        self.run("grant_withheld", |s| {
            Ok(s.givers.withheld.get(&(subject.clone(), course.clone())).cloned())
        })
    }
}
