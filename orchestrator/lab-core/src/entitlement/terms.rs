//! What a batch of vouchers was agreed on: a company's trial, or a reseller's.

use super::{Bilingual, MINIMUM_TO_START_SECS};
use crate::{CourseId, LabId, SiteId, Timestamp, VoucherBatchId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The terms of a batch; none of them holds unless it is written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoucherTerms {
    /// The company whose trial it is: a person takes one seat, whichever codes of whichever of its batches they type
    /// ([`VoucherTerms::is_same_trial`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<String>,
    /// Seconds that all of its codes give in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pot: Option<i64>,
    /// Whatever is given ends then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Who sells the codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reseller: Option<String>,
    /// In the reseller's own words and currency, e.g. `100 000 FCFA`: prices have no arithmetic here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Bilingual>,
    /// Stands on each code: who certifies, with whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<Bilingual>,
    /// Where its people are: on the statement of that site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteId>,
}

/// Who sold a code, and for what: as it was agreed when its batch was made, and never anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reseller: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Bilingual>,
}

impl VoucherTerms {
    /// Who sells its codes for what, where somebody does.
    pub fn sale(&self) -> Option<Sale> {
        let (reseller, price) = (self.reseller.clone(), self.price.clone());
        (reseller.is_some() || price.is_some()).then_some(Sale { reseller, price })
    }

    /// What the next code gives of `each`, when `given` seconds are given already; none: too little is left to start a lab.
    pub fn gives(&self, each: i64, given: i64) -> Option<i64> {
        let left = self.pot.map_or(i64::MAX, |pot| pot - given);
        (left >= each.min(MINIMUM_TO_START_SECS)).then(|| each.min(left))
    }

    /// Whether these are the terms of a trial that another batch, for `other`'s course and under its terms, belongs to as well: the same company's for
    /// the same course, and not over. Seats that were added later are seats of the same trial; a trial that has ended takes nothing from a next one.
    pub fn is_same_trial(&self, course: &CourseId, other: (&CourseId, &Self), at: Timestamp) -> bool {
        let (other_course, terms) = other;
        let runs = terms.until.is_none_or(|until| at < until);
        self.trial.is_some() && self.trial == terms.trial && course == other_course && runs
    }

    /// When what is given ends, that would end at `plan_says`.
    pub fn ends(&self, plan_says: Timestamp) -> Timestamp {
        self.until.map_or(plan_says, |until| plan_says.min(until))
    }
}

/// A batch's terms with what its codes gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermsState {
    pub batch: VoucherBatchId,
    pub terms: VoucherTerms,
    /// Seats: by redemption.
    pub seats: Vec<Seat>,
}

/// A code that was redeemed, by nobody in particular.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    pub redeemed_at: Timestamp,
    /// Seconds that it gave, less what was taken back.
    pub given: i64,
    /// Of those, used, or held by a lab that runs.
    pub drawn: i64,
    /// Labs that drew on it.
    pub labs: Vec<LabId>,
}

impl TermsState {
    /// Seconds given and drawn.
    pub fn sums(&self) -> (i64, i64) {
        let sum = |f: fn(&Seat) -> i64| self.seats.iter().map(f).sum();
        (sum(|s| s.given), sum(|s| s.drawn))
    }

    /// Labs that were tried, with by how many seats.
    pub fn labs(&self) -> BTreeMap<&LabId, usize> {
        let mut tried = BTreeMap::new();
        for lab in self.seats.iter().flat_map(|s| &s.labs) {
            *tried.entry(lab).or_default() += 1;
        }
        tried
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_a_companys_for_a_course_while_it_runs() {
        let of = |company: &str, until: i64| VoucherTerms {
            trial: Some(company.into()),
            until: Some(Timestamp::from_secs(until)),
            ..VoucherTerms::default()
        };
        let (net, web): (CourseId, CourseId) = ("net".into(), "web".into());
        let at = Timestamp::from_secs(99);
        let acme = of("acme", 500);
        assert!(
            acme.is_same_trial(&net, (&net, &of("acme", 100)), at),
            "whichever ends first"
        );
        assert!(!acme.is_same_trial(&net, (&net, &of("acme", 99)), at), "it is over");
        assert!(!acme.is_same_trial(&net, (&web, &of("acme", 500)), at));
        assert!(!acme.is_same_trial(&net, (&net, &of("other", 500)), at));
        assert!(
            !VoucherTerms::default().is_same_trial(&net, (&net, &VoucherTerms::default()), at),
            "no trial at all"
        );
    }

    #[test]
    fn a_pot_is_given_to_its_last_usable_second_and_not_beyond() {
        // 10 seats of up to 6 hours, 30 hours in all
        let trial = VoucherTerms {
            pot: Some(30 * 3600),
            until: Some(Timestamp::from_secs(500)),
            ..VoucherTerms::default()
        };
        assert_eq!(trial.gives(6 * 3600, 0), Some(6 * 3600));
        assert_eq!(trial.gives(6 * 3600, 29 * 3600), Some(3600));
        assert_eq!(trial.gives(6 * 3600, 30 * 3600 - 60), Some(60));
        assert_eq!(trial.gives(6 * 3600, 30 * 3600 - 59), None);
        assert_eq!(VoucherTerms::default().gives(30, i64::MAX / 2), Some(30));
        assert_eq!(trial.ends(Timestamp::from_secs(900)), Timestamp::from_secs(500));
        assert_eq!(trial.ends(Timestamp::from_secs(400)), Timestamp::from_secs(400));
    }
}
