//! Who gives without being asked each time: a platform's registration, within what was agreed. And why somebody was given nothing.

use super::{BudgetSpent, Given, GrantBalance, GrantBudget, source};
use crate::{CourseId, PlanId, SiteId, SponsorId, Subject, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What grants of one source may be in all, and which plans its signed launches may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Giver {
    /// As in [`super::Grant::source`], e.g. `lti:fun`.
    pub source: String,
    pub plans: BTreeSet<PlanId>,
    pub budget: GrantBudget,
    /// Where its people are: on the statement of that site.
    pub site: Option<SiteId>,
}

/// A giver with what it gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GiverState {
    pub giver: Giver,
    pub given: Given,
}

/// What a launch's parameter comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Nothing,
    Plan(PlanId),
    /// Not a plan that this registration's launches may ask for: the learner gets what everybody gets.
    NotOffered(PlanId),
}

/// The plan of a launch: the parameter's where it may ask for it, else the registration's own. Denied by default: a registration offers
/// its own plan and those that were written down for it.
pub fn asked_plan(own: Option<&PlanId>, giver: Option<&Giver>, parameter: Option<&str>) -> Asked {
    let Some(asked) = parameter.map(PlanId::from) else {
        return own.cloned().map_or(Asked::Nothing, Asked::Plan);
    };
    if own == Some(&asked) || giver.is_some_and(|g| g.plans.contains(&asked)) {
        Asked::Plan(asked)
    } else {
        Asked::NotOffered(asked)
    }
}

/// Whether a grant was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issued {
    Done,
    /// It would exceed its source's budget; that it was withheld is kept.
    Spent(BudgetSpent),
}

/// Why a launch gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhyWithheld {
    /// The course's budget is spent.
    Spent,
    /// The course does not offer that plan.
    NotOffered,
}

impl WhyWithheld {
    /// The public code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Spent => "budget-spent",
            Self::NotOffered => "plan-not-offered",
        }
    }

    /// Back from the code.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Spent, Self::NotOffered].into_iter().find(|w| w.code() == code)
    }
}

/// A plan that a learner's launch asked for, and that they were not given. One a learner and course, the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    pub subject: Subject,
    pub course: CourseId,
    pub plan: PlanId,
    pub why: WhyWithheld,
    pub at: Timestamp,
}

/// The sponsor whose grant ended last, by nobody attesting it again; for somebody who has no lab time now.
pub fn lapsed(grants: &[GrantBalance], now: Timestamp) -> Option<(SponsorId, Timestamp)> {
    let ended = grants
        .iter()
        .filter(|g| g.grant.source == source::SPONSOR && g.voided_at.is_none() && g.grant.expires_at <= now);
    let last = ended.max_by_key(|g| g.grant.expires_at)?;
    Some((last.grant.sponsor.clone()?, last.grant.expires_at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GrantId, entitlement::Grant};

    #[test]
    fn a_parameter_gets_what_its_registration_offers_and_nothing_else() {
        let giver = Giver {
            source: "lti:fun".into(),
            plans: ["GOLD".into()].into(),
            ..Giver::default()
        };
        let own = PlanId::from("DISCOVERY");
        let plan = |p: &str| Asked::Plan(p.into());
        assert_eq!(asked_plan(Some(&own), Some(&giver), None), plan("DISCOVERY"));
        assert_eq!(asked_plan(None, Some(&giver), None), Asked::Nothing);
        assert_eq!(asked_plan(Some(&own), Some(&giver), Some("GOLD")), plan("GOLD"));
        assert_eq!(asked_plan(Some(&own), None, Some("DISCOVERY")), plan("DISCOVERY"));
        assert_eq!(
            asked_plan(Some(&own), None, Some("GOLD")),
            Asked::NotOffered("GOLD".into())
        );
    }

    #[test]
    fn who_is_no_longer_attested_is_told_by_whom_and_since_when() {
        let grant = |source: &str, ends: i64| GrantBalance {
            grant: Grant {
                id: GrantId(uuid::Uuid::nil()),
                subject: "ada".into(),
                course: "net".into(),
                plan: "Q".into(),
                seconds: 60,
                priority: 0,
                effective_at: Timestamp(0),
                expires_at: Timestamp::from_secs(ends),
                created_at: Timestamp(0),
                source: source.into(),
                sponsor: Some("anapec".into()),
            },
            available: 0,
            voided_at: None,
        };
        let now = Timestamp::from_secs(100);
        let ended = [
            grant(source::SPONSOR, 10),
            grant(source::SPONSOR, 100),
            grant(source::MANUAL, 99),
        ];
        assert_eq!(lapsed(&ended, now), Some(("anapec".into(), now)));
        assert_eq!(lapsed(&[grant(source::SPONSOR, 101)], now), None, "it is valid");
        assert_eq!(lapsed(&[grant(source::VOUCHER, 10)], now), None);
    }
}
