//! How much lab time a giver (a shop's key, a platform's registration, a company's trial) may give in all.

use serde::{Deserialize, Serialize};

/// What a giver may give in all; a limit that is not there does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantBudget {
    /// Grants, one a person or an order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<i64>,
    /// Lab time of all of them, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<i64>,
}

/// What a giver gave so far, less what was taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    pub grants: i64,
    pub seconds: i64,
}

/// Why a giver cannot give that any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum BudgetSpent {
    #[error("{given} of {max} grants are given")]
    Grants { given: i64, max: i64 },
    #[error("{left} of {max} seconds of lab time are left, and {wanted} were asked for")]
    Seconds { left: i64, max: i64, wanted: i64 },
}

impl GrantBudget {
    /// Whether one more grant of `seconds` fits.
    ///
    /// # Errors
    /// Says which limit it would break, and what is left.
    pub fn admits(self, given: Given, seconds: i64) -> Result<(), BudgetSpent> {
        if let Some(max) = self.grants.filter(|max| given.grants >= *max) {
            let given = given.grants;
            return Err(BudgetSpent::Grants { given, max });
        }
        let left = self.seconds.map_or(i64::MAX, |max| (max - given.seconds).max(0));
        match self.seconds {
            Some(max) if seconds > left => Err(BudgetSpent::Seconds {
                left,
                max,
                wanted: seconds,
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_to_its_last_grant_and_second_and_not_beyond() {
        // ESP Dakar: 75 students of 20 hours each
        let budget = GrantBudget {
            grants: Some(75),
            seconds: Some(75 * 72_000),
        };
        let given = |grants, seconds| Given { grants, seconds };
        assert_eq!(budget.admits(given(74, 74 * 72_000), 72_000), Ok(()));
        assert_eq!(
            budget.admits(given(75, 0), 0),
            Err(BudgetSpent::Grants { given: 75, max: 75 })
        );
        assert_eq!(
            budget.admits(given(10, 74 * 72_000 + 1), 72_000),
            Err(BudgetSpent::Seconds {
                left: 71_999,
                max: 75 * 72_000,
                wanted: 72_000
            })
        );
        assert_eq!(GrantBudget::default().admits(given(1 << 40, 1 << 40), 1), Ok(()));
    }
}
