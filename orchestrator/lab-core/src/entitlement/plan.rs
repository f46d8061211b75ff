//! What a kind of learner gets: data of the configuration, no code.

use crate::PlanId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A text in both languages of the first screen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bilingual {
    pub en: String,
    pub fr: String,
}

/// What a kind of learner gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub id: PlanId,
    /// Shown to people.
    pub name: Bilingual,
    /// False: sees what a lab is, gets no sandbox.
    pub labs: bool,
    /// Sessions at once.
    pub concurrency_max: u32,
    /// Seconds a grant of this plan gives when the grant does not say.
    pub seconds: i64,
    /// Days a grant is valid when it does not say.
    pub valid_days: u32,
    /// Seconds that one session may run at most, extensions included; none: what the lab file says.
    #[serde(default)]
    pub session_secs_max: Option<i64>,
    /// Seconds in a [`super::Day`] of the course; none: all there is.
    #[serde(default)]
    pub daily_secs_max: Option<i64>,
    /// With less than this nothing starts, and nothing that stood still goes on.
    #[serde(default = "minimum_default")]
    pub minimum_secs: i64,
    #[serde(default = "features_default")]
    pub features: BTreeSet<Feature>,
    /// How one gets it; shown to whoever lacks it.
    #[serde(default)]
    pub offer: Option<Offer>,
}

/// What a plan includes beside lab time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// Teachers may watch while it runs.
    Observe,
    /// Teachers may type and extend, too.
    Coached,
    /// The recording can be replayed and exported.
    Recorded,
    /// A fixed window: no extension, no standing still.
    Exam,
}

impl Feature {
    /// Every value, for tables.
    pub const ALL: &'static [Self] = &[Self::Observe, Self::Coached, Self::Recorded, Self::Exam];

    /// The public code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Coached => "coached",
            Self::Recorded => "recorded",
            Self::Exam => "exam",
        }
    }

    /// Back from the code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|f| f.code() == code)
    }
}

/// What a plan costs and where one gets it, in the words of whoever sells it: prices have no arithmetic here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// E.g. `150 €`, `100 000 FCFA`.
    pub price: Bilingual,
    /// The next step, a sentence.
    pub how: Bilingual,
    /// Where, `https://…`.
    #[serde(default)]
    pub url: Option<String>,
}

/// Why a plan cannot be used as it is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {found}: {remedy}")]
pub struct PlanProblem {
    pub field: &'static str,
    pub found: String,
    pub remedy: &'static str,
}

/// The least a start needs: under a minute nobody reads the first step.
pub const MINIMUM_TO_START_SECS: i64 = 60;

fn minimum_default() -> i64 {
    MINIMUM_TO_START_SECS
}

fn features_default() -> BTreeSet<Feature> {
    [Feature::Observe, Feature::Coached, Feature::Recorded].into()
}

impl Plan {
    /// A plan with one lab at a time, no time of its own, a month, and what every plan has unless it says otherwise.
    pub fn new(id: impl Into<PlanId>, name: Bilingual) -> Self {
        Self {
            id: id.into(),
            name,
            labs: true,
            concurrency_max: 1,
            seconds: 0,
            valid_days: 30,
            session_secs_max: None,
            daily_secs_max: None,
            minimum_secs: minimum_default(),
            features: features_default(),
            offer: None,
        }
    }

    /// Whether it includes this.
    pub fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    /// The first thing in it that makes no sense.
    ///
    /// # Errors
    /// Names field, value and remedy.
    pub fn check(&self) -> Result<(), PlanProblem> {
        let problem = |field, found: String, remedy| Err(PlanProblem { field, found, remedy });
        if super::is_test_run_plan(&self.id) {
            return problem(
                "id",
                self.id.to_string(),
                "choose another: this one stands for the test runs of authors, which no plan pays for",
            );
        }
        if self.seconds < 0 {
            return problem("seconds", self.seconds.to_string(), "write 0 or more");
        }
        if self.minimum_secs < 1 {
            return problem("minimum_secs", self.minimum_secs.to_string(), "write 1 or more");
        }
        for (field, max) in [
            ("session_secs_max", self.session_secs_max),
            ("daily_secs_max", self.daily_secs_max),
        ] {
            if let Some(max) = max.filter(|max| *max < self.minimum_secs) {
                return problem(
                    field,
                    max.to_string(),
                    "write at least minimum_secs, or nothing could start",
                );
            }
        }
        if self.labs && self.concurrency_max == 0 {
            return problem("concurrency_max", "0".into(), "write at least 1, or labs: false");
        }
        if let Some(url) = self.offer.as_ref().and_then(|o| o.url.as_ref())
            && !url.starts_with("https://")
        {
            return problem("offer.url", url.clone(), "write an address that begins with https://");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(t: &str) -> Bilingual {
        Bilingual {
            en: t.into(),
            fr: t.into(),
        }
    }

    #[test]
    fn every_feature_is_read_back_from_its_code() {
        for feature in Feature::ALL {
            assert_eq!(Feature::from_code(feature.code()), Some(*feature));
            assert_eq!(serde_json::to_value(feature).unwrap(), feature.code());
        }
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_remedy() {
        let ok = Plan::new("Q", text("Q"));
        assert_eq!(ok.check(), Ok(()));
        let wrong: [(&str, Plan); 5] = [
            (
                "seconds",
                Plan {
                    seconds: -1,
                    ..ok.clone()
                },
            ),
            (
                "minimum_secs",
                Plan {
                    minimum_secs: 0,
                    ..ok.clone()
                },
            ),
            (
                "daily_secs_max",
                Plan {
                    daily_secs_max: Some(59),
                    ..ok.clone()
                },
            ),
            (
                "concurrency_max",
                Plan {
                    concurrency_max: 0,
                    ..ok.clone()
                },
            ),
            (
                "offer.url",
                Plan {
                    offer: Some(Offer {
                        price: text("150 €"),
                        how: text("Ask"),
                        url: Some("javascript:x".into()),
                    }),
                    ..ok
                },
            ),
        ];
        for (field, plan) in wrong {
            assert_eq!(plan.check().unwrap_err().field, field);
        }
    }
}
