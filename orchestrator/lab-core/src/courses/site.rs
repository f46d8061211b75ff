//! What kind of place a site is.

use crate::{SiteId, entitlement::Bilingual};
use serde::{Deserialize, Serialize};

/// Who holds courses, and keeps learners: it says on statements what somebody is dealing with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteKind {
    #[serde(rename = "fablab")]
    FabLab,
    Company,
    School,
}

impl SiteKind {
    pub const ALL: [Self; 3] = [Self::FabLab, Self::Company, Self::School];

    /// As it is stored and asked for.
    pub fn code(self) -> &'static str {
        match self {
            Self::FabLab => "fablab",
            Self::Company => "company",
            Self::School => "school",
        }
    }

    /// Back from its code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// For people.
    pub fn name(self) -> Bilingual {
        let (en, fr) = match self {
            Self::FabLab => ("FabLab", "FabLab"),
            Self::Company => ("company", "entreprise"),
            Self::School => ("school", "école"),
        };
        Bilingual {
            en: en.into(),
            fr: fr.into(),
        }
    }

    /// What a person wrote: a code, or a name in either language.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase().replace(['-', ' '], "");
        Self::ALL.into_iter().find(|kind| {
            let name = kind.name();
            let plain = |name: &str| name.to_lowercase().replace('é', "e");
            let text = plain(&text);
            [kind.code(), &plain(&name.en), &plain(&name.fr)].contains(&text.as_str())
        })
    }
}

/// A site whose kind somebody said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    pub id: SiteId,
    pub kind: SiteKind,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_as_people_write_it_in_both_languages() {
        for kind in SiteKind::ALL {
            assert_eq!(SiteKind::from_code(kind.code()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.code());
            for text in [kind.code().to_uppercase(), kind.name().en, kind.name().fr] {
                assert_eq!(SiteKind::read(&text), Some(kind), "{text}");
            }
        }
        for (text, kind) in [
            ("Fab Lab", SiteKind::FabLab),
            ("fab-lab", SiteKind::FabLab),
            ("Ecole", SiteKind::School),
            ("ÉCOLE", SiteKind::School),
        ] {
            assert_eq!(SiteKind::read(text), Some(kind), "{text}");
        }
        assert_eq!(SiteKind::read("university"), None);
        assert_eq!(SiteKind::read(""), None);
    }
}
