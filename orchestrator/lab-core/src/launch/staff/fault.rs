//! Why a sign-in was refused: a code for the log, and words for a person, in both languages.

use crate::{entitlement::Bilingual, launch::faults::faults};

/// A refused sign-in. `detail` is for the log: never a secret, a token, or anything about a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", .fault.code())]
pub struct StaffRefusal {
    pub fault: StaffFault,
    pub detail: String,
    /// With [`StaffFault::NoRole`]: the groups that the provider told, for that person's page alone.
    pub groups: Vec<String>,
}

/// What somebody can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaffNext {
    /// Sign in again.
    Again,
    /// Whoever runs the installation looks at its settings.
    Administrator,
    /// Whoever runs the installation gives a group a role.
    Role,
    /// Later.
    Later,
    /// There is another way in.
    Course,
}

faults! {
    /// The rules, about in the order they are checked.
    StaffFault, StaffNext;
    NotConfigured = "staff-not-configured", Course,
        "Nobody signs in here as staff: this installation has no sign-in set up.",
        "Personne ne se connecte ici comme membre de l’équipe : ce service n’a pas de connexion configurée.";
    Pace = "staff-pace", Later,
        "Very many sign-ins come from the network that you are in.",
        "De très nombreuses connexions viennent du réseau où vous êtes.";
    ProviderUnreachable = "staff-provider-unreachable", Later,
        "The sign-in of your organisation does not answer.", "Le service de connexion de votre organisation ne répond pas.";
    ProviderWrong = "staff-provider-wrong", Administrator,
        "The sign-in of your organisation is not the one that is configured here.",
        "Le service de connexion de votre organisation n’est pas celui qui est configuré ici.";
    RequestUnreadable = "staff-request-unreadable", Again,
        "What your organisation sent cannot be read.", "Ce que votre organisation a envoyé est illisible.";
    StateUnknown = "staff-state-unknown", Again,
        "This sign-in was not begun here, or it took longer than ten minutes.",
        "Cette connexion n’a pas commencé ici, ou a duré plus de dix minutes.";
    OtherBrowser = "staff-other-browser", Again,
        "This sign-in was begun in another browser, or your browser keeps no cookies.",
        "Cette connexion a commencé dans un autre navigateur, ou votre navigateur refuse les cookies.";
    StateUsed = "staff-state-used", Again,
        "This sign-in was already used.", "Cette connexion a déjà servi.";
    ProviderRefused = "staff-provider-refused", Again,
        "Your organisation did not sign you in.", "Votre organisation ne vous a pas connecté.";
    CodeRefused = "staff-code-refused", Administrator,
        "Your organisation does not accept what Labwire asked it with.",
        "Votre organisation n’accepte pas la demande de Labwire.";
    AnswerUnreadable = "staff-answer-unreadable", Administrator,
        "The answer of your organisation cannot be read.", "La réponse de votre organisation est illisible.";
    TokenMissing = "staff-token-missing", Administrator,
        "Your organisation signed you in and did not say who you are.",
        "Votre organisation vous a connecté sans dire qui vous êtes.";
    Algorithm = "staff-token-algorithm", Administrator,
        "The answer of your organisation is not signed as it must be.",
        "La réponse de votre organisation n’est pas signée comme il le faut.";
    Signature = "staff-token-signature", Administrator,
        "The signature of your organisation is not right.", "La signature de votre organisation n’est pas valable.";
    Issuer = "staff-token-issuer", Administrator,
        "The answer comes from another organisation than the one asked.",
        "La réponse vient d’une autre organisation que celle interrogée.";
    Audience = "staff-token-audience", Administrator,
        "The answer was made for another service.", "La réponse est destinée à un autre service.";
    Expired = "staff-token-expired", Again,
        "The answer of your organisation has expired, or its clock differs from ours.",
        "La réponse de votre organisation a expiré, ou son horloge diffère de la nôtre.";
    Nonce = "staff-token-nonce", Again,
        "The answer belongs to another sign-in.", "La réponse appartient à une autre connexion.";
    Claims = "staff-token-claims", Administrator,
        "The answer of your organisation lacks what is needed.", "Il manque l’essentiel dans la réponse de votre organisation.";
    NoRole = "staff-no-role", Role,
        "You are signed in at your organisation, and have no role here.",
        "Vous êtes connecté à votre organisation, mais vous n’avez pas de rôle ici.";
}

impl StaffFault {
    /// With what was found.
    pub fn because(self, detail: impl Into<String>) -> StaffRefusal {
        let detail: String = detail.into().chars().take(DETAIL_CHARS_MAX).collect();
        StaffRefusal {
            fault: self,
            detail,
            groups: Vec::new(),
        }
    }
}

/// Room for two addresses of 200 characters and the words between.
const DETAIL_CHARS_MAX: usize = 500;

impl StaffNext {
    /// What to do, in one sentence.
    pub fn text(self) -> Bilingual {
        let (en, fr) = match self {
            Self::Again => ("Sign in again.", "Connectez-vous à nouveau."),
            Self::Administrator => (
                "Tell whoever runs Labwire the code below: its settings, or those of the sign-in, must be checked.",
                "Transmettez le code ci-dessous à l’exploitant de Labwire : ses réglages, ou ceux du service de connexion, sont à vérifier.",
            ),
            Self::Role => (
                "Ask whoever runs Labwire to give one of your groups a role (setting staff_login.roles).",
                "Demandez à l’exploitant de Labwire d’attribuer un rôle à l’un de vos groupes (réglage staff_login.roles).",
            ),
            Self::Later => (
                "Try again in a minute; if it stays, tell whoever runs Labwire the code below.",
                "Réessayez dans une minute ; sinon, transmettez le code ci-dessous à l’exploitant de Labwire.",
            ),
            Self::Course => (
                "Open Labwire from your course, or by the link that you were given.",
                "Ouvrez Labwire depuis votre cours, ou par le lien que vous avez reçu.",
            ),
        };
        Bilingual {
            en: en.to_owned(),
            fr: fr.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_fault_has_its_own_code_and_words_in_both_languages() {
        let codes: BTreeSet<_> = StaffFault::ALL.iter().map(|f| f.code()).collect();
        let texts: BTreeSet<_> = StaffFault::ALL.iter().map(|f| f.text().en).collect();
        assert_eq!(
            (codes.len(), texts.len()),
            (StaffFault::ALL.len(), StaffFault::ALL.len())
        );
        for fault in StaffFault::ALL {
            assert!(
                fault.code().starts_with("staff-") && fault.text().en != fault.text().fr,
                "{fault:?}"
            );
        }
    }
}
