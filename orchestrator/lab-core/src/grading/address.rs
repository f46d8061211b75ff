//! Where a launch says that its grade goes.

use crate::{
    LabId,
    launch::lti::{Params, is_address},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// The claim of LTI 1.3 that offers grades.
const CLAIM: &str = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint";

/// A platform has four scopes of grades; a list that is longer is cut.
const SCOPES_MAX: usize = 16;

/// Longest `lis_result_sourcedid`: Open edX's is two names and an address, some 300 characters.
const SOURCEDID_BYTES_MAX: usize = 4096;

/// By version of LTI.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum GradeAddress {
    /// LTI 1.3, Assignment and Grade Services.
    Ags {
        /// The column of the gradebook that belongs to the resource link, where there is one.
        line_item: Option<String>,
        /// Where columns are listed and made.
        line_items: Option<String>,
        /// What we may ask a token for.
        scopes: Vec<String>,
    },
    /// LTI 1.1, Basic Outcomes. The sourcedid names learner and column in the platform's words, and may be another one at each launch.
    Outcome { url: String, sourcedid: String },
}

impl fmt::Debug for GradeAddress {
    // a sourcedid lets who has the secret write a grade: not for a log
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ags {
                line_item, line_items, ..
            } => write!(f, "Ags({line_item:?}, {line_items:?})"),
            Self::Outcome { url, .. } => write!(f, "Outcome({url}, sourcedid: ..)"),
        }
    }
}

impl GradeAddress {
    /// What an `id_token` offers. What is odd in it is no offer: a launch is never refused for its grades.
    pub fn of_token(claims: &Value) -> Option<Self> {
        let claim = claims.get(CLAIM)?;
        let address = |name: &str| {
            let url = claim.get(name).and_then(Value::as_str).filter(|url| is_address(url));
            url.map(str::to_owned)
        };
        let scopes = claim
            .get("scope")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let (line_item, line_items) = (address("lineitem"), address("lineitems"));
        (line_item.is_some() || line_items.is_some()).then(|| Self::Ags {
            line_item,
            line_items,
            scopes: scopes
                .iter()
                .filter_map(Value::as_str)
                .take(SCOPES_MAX)
                .map(str::to_owned)
                .collect(),
        })
    }

    /// What a form of LTI 1.1 offers.
    pub fn of_form(params: &Params) -> Option<Self> {
        let url = params.filled("lis_outcome_service_url").filter(|url| is_address(url))?;
        let sourcedid = params.filled("lis_result_sourcedid")?;
        (sourcedid.len() <= SOURCEDID_BYTES_MAX).then(|| Self::Outcome {
            url: url.to_owned(),
            sourcedid: sourcedid.to_owned(),
        })
    }

    /// What tells rows of one registration and person apart: the line item, or as long as it is not known what it will be looked for by;
    /// for LTI 1.1 the resource link, since sourcedids change.
    pub fn place(&self, resource_link: &str, lab: &LabId) -> String {
        match self {
            Self::Ags {
                line_item: Some(url), ..
            } => url.clone(),
            Self::Ags { line_items, .. } => Self::place_in(line_items.as_deref().unwrap_or_default(), lab),
            Self::Outcome { .. } => format!("link:{resource_link}"),
        }
    }

    /// The place of a lab in a list of line items in which it was not looked for yet. No address of a line item has a `#`.
    pub fn place_in(line_items: &str, lab: &LabId) -> String {
        format!("{line_items}#{lab}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_token_offers_is_read_and_what_is_odd_is_no_offer() {
        let of = |claim: Value| GradeAddress::of_token(&json!({ CLAIM: claim }));
        let scope = "https://purl.imsglobal.org/spec/lti-ags/scope/score";
        let both =
            of(json!({"scope": [scope, 7], "lineitems": "https://lms/i", "lineitem": "https://lms/i/1?type_id=2"}));
        let expected = GradeAddress::Ags {
            line_item: Some("https://lms/i/1?type_id=2".into()),
            line_items: Some("https://lms/i".into()),
            scopes: vec![scope.into()],
        };
        assert_eq!(both, Some(expected));
        let lab = LabId::from("ospf");
        assert_eq!(both.unwrap().place("link", &lab), "https://lms/i/1?type_id=2");
        let list = of(json!({"lineitems": "https://lms/i"})).unwrap();
        assert_eq!(list.place("link", &lab), "https://lms/i#ospf");
        for odd in [
            json!(null),
            json!([]),
            json!({}),
            json!({"lineitem": 7}),
            json!({"lineitem": "file:///x"}),
            json!("x"),
        ] {
            assert_eq!(of(odd.clone()), None, "{odd}");
        }
        assert_eq!(GradeAddress::of_token(&json!({})), None);
    }

    #[test]
    fn what_a_form_offers_needs_both_and_is_not_told() {
        let of = |text: &str| GradeAddress::of_form(&Params::parse(text).unwrap());
        let offer = of("lis_outcome_service_url=https%3A%2F%2Flms%2Fo&lis_result_sourcedid=c%3Al%3Au").unwrap();
        assert_eq!(offer.place("r1", &"ospf".into()), "link:r1");
        assert!(!format!("{offer:?}").contains("c:l:u"), "{offer:?}");
        assert_eq!(of("lis_outcome_service_url=&lis_result_sourcedid=x"), None);
        assert_eq!(of("lis_outcome_service_url=https%3A%2F%2Flms%2Fo"), None);
        assert_eq!(
            of(&format!(
                "lis_outcome_service_url=https://lms&lis_result_sourcedid={}",
                "x".repeat(5000)
            )),
            None
        );
    }
}
