//! Why an LTI launch was refused: a step, a code for the log, and words for a person, in both languages.

use crate::{entitlement::Bilingual, launch::faults::faults};

/// A refused launch: which rule, and what was found. `detail` is for the course team's `labwire lti test`: never a secret, a token,
/// or anything about a person but their platform's identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", .fault.code())]
pub struct LtiRefusal {
    pub fault: Fault,
    pub detail: String,
}

/// What somebody can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The learner opens the lab again.
    Again,
    /// The course team changes its block's settings.
    Course,
    /// Who runs the installation looks at the registration.
    Operations,
    /// Later.
    Later,
    /// Somebody who teaches the course.
    Teacher,
    /// The teacher begins to choose again.
    Choose,
    /// The platform's administrator asks for another invitation.
    Invite,
}

faults! {
    /// The rules, in the order they are checked.
    Fault, Next;
    // --- before there is a token ---
    LaunchPace = "lti-launch-pace", Later,
        "Very many launches come from the network that you are in.",
        "De très nombreux lancements viennent du réseau où vous êtes.";
    FormUnreadable = "lti-form-unreadable", Again,
        "What your learning platform sent cannot be read.", "Ce que votre plateforme a envoyé est illisible.";
    ParameterMissing = "lti-parameter-missing", Course,
        "Your learning platform left out something that is needed.", "Votre plateforme a omis un paramètre indispensable.";
    ParameterLong = "lti-parameter-long", Course,
        "Your learning platform sent something longer than is taken here.",
        "Votre plateforme a envoyé un paramètre plus long que ce qui est accepté ici.";
    PlatformUnknown = "lti-platform-unknown", Operations,
        "This learning platform is not registered here.", "Cette plateforme n’est pas enregistrée ici.";
    ClientIdMissing = "lti-client-id-missing", Course,
        "Your learning platform has several registrations here and did not say which one it means.",
        "Votre plateforme a plusieurs enregistrements ici et n’a pas dit lequel utiliser.";
    TargetForeign = "lti-target-foreign", Course,
        "The launch address is not one of this installation.", "L’adresse de lancement n’est pas une adresse de ce service.";
    PlatformError = "lti-platform-error", Again,
        "Your learning platform refused to sign you in.", "Votre plateforme a refusé de vous identifier.";
    // --- 1.3, in order ---
    StateUnknown = "lti-state-unknown", Again,
        "This launch was not begun here, or it took longer than ten minutes.",
        "Ce lancement n’a pas commencé ici, ou a duré plus de dix minutes.";
    StateUsed = "lti-state-used", Again,
        "This launch was already used.", "Ce lancement a déjà servi.";
    OtherBrowser = "lti-other-browser", Again,
        "This launch was begun in another browser.", "Ce lancement a commencé dans un autre navigateur.";
    TokenMalformed = "lti-token-malformed", Course,
        "The platform's answer is not a signed token.", "La réponse de la plateforme n’est pas un jeton signé.";
    Algorithm = "lti-token-algorithm", Course,
        "The platform's answer is not signed with RS256.", "La réponse de la plateforme n’est pas signée en RS256.";
    KeyIdMissing = "lti-key-id-missing", Course,
        "The platform's answer does not say which key signed it.", "La réponse de la plateforme ne dit pas quelle clé l’a signée.";
    KeysUnreachable = "lti-keys-unreachable", Later,
        "The keys of your learning platform cannot be read at the moment.",
        "Les clés de votre plateforme ne sont pas accessibles pour le moment.";
    KeysPrivate = "lti-keys-private", Operations,
        "The keys of your learning platform are in a network that is not asked from here.",
        "Les clés de votre plateforme sont dans un réseau qui n’est pas interrogé d’ici.";
    KeysStatus = "lti-keys-status", Later,
        "Your learning platform does not hand out its keys.", "Votre plateforme ne donne pas ses clés.";
    KeysUnreadable = "lti-keys-unreadable", Operations,
        "What your learning platform gives as its keys is no set of keys.",
        "Ce que votre plateforme donne comme clés n’en est pas un ensemble.";
    KeyUnknown = "lti-key-unknown", Operations,
        "The answer is signed with a key that your learning platform does not publish.",
        "La réponse est signée avec une clé que votre plateforme ne publie pas.";
    Signature = "lti-signature", Operations,
        "The signature of your learning platform is not right.", "La signature de votre plateforme n’est pas valable.";
    Issuer = "lti-issuer", Operations,
        "The answer comes from another platform than the one asked.", "La réponse vient d’une autre plateforme que celle interrogée.";
    Audience = "lti-audience", Operations,
        "The answer was made for another tool.", "La réponse est destinée à un autre outil.";
    TokenExpired = "lti-token-expired", Again,
        "The answer of your learning platform has expired.", "La réponse de votre plateforme a expiré.";
    TokenFuture = "lti-token-future", Operations,
        "The clock of your learning platform is ahead of ours.", "L’horloge de votre plateforme est en avance sur la nôtre.";
    TokenOld = "lti-token-old", Again,
        "The answer of your learning platform is too old.", "La réponse de votre plateforme est trop ancienne.";
    Nonce = "lti-nonce", Again,
        "The answer belongs to another launch.", "La réponse appartient à un autre lancement.";
    Version = "lti-version", Course,
        "This is not LTI 1.3.", "Ce n’est pas du LTI 1.3.";
    MessageType = "lti-message-type", Course,
        "This message of your learning platform is not understood; labs can be opened and chosen here.",
        "Ce message de votre plateforme n’est pas compris ; ici, on ouvre et on choisit des labs.";
    Deployment = "lti-deployment", Operations,
        "This deployment of your learning platform is not allowed.", "Ce déploiement de votre plateforme n’est pas autorisé.";
    Target = "lti-target", Course,
        "The platform answers for an address that is not one of this installation.",
        "La plateforme répond pour une adresse qui n’est pas une adresse de ce service.";
    ResourceLink = "lti-resource-link", Course,
        "The platform does not say from which place in the course this launch comes.",
        "La plateforme ne dit pas de quel endroit du cours vient ce lancement.";
    SubjectMissing = "lti-subject-missing", Course,
        "The platform does not say who you are; labs are not for anonymous visitors.",
        "La plateforme ne dit pas qui vous êtes ; les labs ne sont pas ouverts aux anonymes.";
    Roles = "lti-roles", Course,
        "The platform does not say what you are in this course.", "La plateforme ne dit pas votre rôle dans ce cours.";
    Claims = "lti-claims", Course,
        "The platform's answer is not a set of claims.", "La réponse de la plateforme n’est pas un ensemble de déclarations.";
    // --- who somebody was by 1.1: noted, and no launch is refused for it ---
    MigrationSign = "lti-migration-sign", Operations,
        "The platform says who somebody was by LTI 1.1, and the signature is not that of a key that is registered here.",
        "La plateforme dit qui était quelqu’un en LTI 1.1, et la signature n’est pas celle d’une clé enregistrée ici.";
    MigrationTwo = "lti-migration-two", Operations,
        "By LTI 1.1 and 1.3 this learner is two people here, who cannot be made one by themselves.",
        "En LTI 1.1 et 1.3, cet apprenant est ici deux personnes, qui ne peuvent pas être réunies d’office.";
    // --- what is asked for and not offered: noted too ---
    PlanNotOffered = "lti-plan-not-offered", Operations,
        "The course asks for a plan that is not agreed for it.", "Le cours demande une formule qui n’est pas convenue pour lui.";
    // --- deep linking ---
    ChoiceNotStaff = "lti-choice-not-staff", Teacher,
        "Only teachers of a course choose its labs.", "Seuls les enseignants d’un cours choisissent ses labs.";
    ChoiceSettings = "lti-choice-settings", Operations,
        "The platform wants something chosen and does not say how.", "La plateforme demande un choix sans dire comment.";
    ChoiceType = "lti-choice-type", Course,
        "Labs cannot be placed here: the platform wants something else at this place.",
        "Un lab ne peut pas être placé ici : la plateforme attend autre chose à cet endroit.";
    ChoiceReturn = "lti-choice-return", Operations,
        "The choice would go to an address that is not your learning platform's.",
        "Le choix irait à une adresse qui n’est pas celle de votre plateforme.";
    ChoiceForged = "lti-choice-forged", Choose,
        "This choice cannot be read.", "Ce choix est illisible.";
    ChoiceExpired = "lti-choice-expired", Choose,
        "The page to choose from was open for longer than half an hour.",
        "La page de choix est restée ouverte plus d’une demi-heure.";
    ChoiceMany = "lti-choice-many", Choose,
        "More labs were chosen than your platform takes at once.", "Il y a plus de labs choisis que votre plateforme n’en accepte.";
    ChoiceUsed = "lti-choice-used", Choose,
        "This choice was already sent.", "Ce choix a déjà été envoyé.";
    // --- dynamic registration ---
    RegisterInvitation = "lti-register-invitation", Invite,
        "This invitation is not known, has expired, or was already used.", "Cette invitation est inconnue, expirée ou déjà utilisée.";
    RegisterTries = "lti-register-tries", Invite,
        "This invitation was tried as often as one may be.", "Cette invitation a été essayée autant de fois que permis.";
    RegisterPace = "lti-register-pace", Later,
        "Very many registrations come from the network that you are in.",
        "De très nombreux enregistrements viennent du réseau où vous êtes.";
    RegisterAddress = "lti-register-address", Invite,
        "Your platform did not say where it describes itself, or not by an https address.",
        "Votre plateforme n’a pas indiqué où elle se décrit, ou pas par une adresse https.";
    RegisterUnreachable = "lti-register-unreachable", Later,
        "Your platform cannot be reached from here.", "Votre plateforme est injoignable d’ici.";
    RegisterName = "lti-register-name", Later,
        "The name of your platform’s address is not known here.", "Le nom dans l’adresse de votre plateforme est inconnu ici.";
    RegisterPrivate = "lti-register-private", Later,
        "Your platform’s address is in a network that is not asked from here.",
        "L’adresse de votre plateforme est dans un réseau qui n’est pas interrogé d’ici.";
    RegisterClosed = "lti-register-closed", Later,
        "At your platform’s address the connection is refused.", "À l’adresse de votre plateforme, la connexion est refusée.";
    RegisterTls = "lti-register-tls", Invite,
        "No secure connection to your platform can be made: its certificate is not trusted here, or it speaks no TLS.",
        "Aucune connexion sûre à votre plateforme n’est possible : son certificat n’est pas reconnu ici, ou elle ne parle pas TLS.";
    RegisterSlow = "lti-register-slow", Later,
        "Your platform did not answer within ten seconds.", "Votre plateforme n’a pas répondu en dix secondes.";
    RegisterStatus = "lti-register-status", Invite,
        "At the address where your platform describes itself there is an error instead.",
        "À l’adresse où votre plateforme doit se décrire, il y a une erreur.";
    RegisterNotJson = "lti-register-not-json", Invite,
        "At the address where your platform describes itself there is something else, such as a page for people.",
        "À l’adresse où votre plateforme doit se décrire, il y a autre chose, par exemple une page pour des personnes.";
    RegisterConfiguration = "lti-register-configuration", Invite,
        "Your platform describes itself in a way that cannot be used.", "La description que donne votre plateforme est inutilisable.";
    RegisterIssuer = "lti-register-issuer", Invite,
        "The description is of another platform than the one that was named.",
        "La description est celle d’une autre plateforme que celle annoncée.";
    RegisterRefused = "lti-register-refused", Invite,
        "Your platform did not take the registration.", "Votre plateforme n’a pas accepté l’enregistrement.";
    // --- what is launched ---
    LabNotNamed = "lti-lab-not-named", Course,
        "The launch does not say which lab it opens.", "Le lancement ne dit pas quel lab ouvrir.";
    LabUnknown = "lti-lab-unknown", Course,
        "The launch names a lab that is not here.", "Le lancement nomme un lab qui n’existe pas ici.";
    LabWithdrawn = "lti-lab-withdrawn", Course,
        "This lab was withdrawn: it cannot be started any more.", "Ce lab a été retiré : il ne peut plus être démarré.";
    // --- 1.1 ---
    BasicMessage = "lti-basic-message", Course,
        "This is not a launch by LTI 1.1.", "Ce n’est pas un lancement LTI 1.1.";
    ConsumerUnknown = "lti-consumer-unknown", Operations,
        "The key of this course is not registered here.", "La clé de ce cours n’est pas enregistrée ici.";
    OauthMethod = "lti-oauth-method", Course,
        "The launch is not signed with HMAC-SHA1.", "Le lancement n’est pas signé en HMAC-SHA1.";
    OauthSignature = "lti-oauth-signature", Operations,
        "The signature does not fit: the shared secret differs, or the launch was changed on the way.",
        "La signature ne correspond pas : le secret diffère, ou le lancement a été modifié en route.";
    OauthTimestamp = "lti-oauth-timestamp", Again,
        "The launch is too old, or the platform's clock is wrong.",
        "Le lancement est trop ancien, ou l’horloge de la plateforme est fausse.";
    OauthNonce = "lti-oauth-nonce", Again,
        "This launch was already used.", "Ce lancement a déjà servi.";
}

impl Fault {
    /// Place in the validation of an `id_token`, from 1 to 15; 0 is what comes before one, and all of LTI 1.1.
    pub fn step(self) -> u8 {
        match self {
            Self::StateUnknown | Self::StateUsed | Self::OtherBrowser => 1,
            Self::TokenMalformed | Self::Algorithm | Self::KeyIdMissing => 2,
            Self::KeysUnreachable | Self::KeysPrivate | Self::KeysStatus | Self::KeysUnreadable | Self::KeyUnknown => 3,
            Self::Signature => 4,
            Self::Issuer => 5,
            Self::Audience => 6,
            Self::TokenExpired | Self::TokenFuture | Self::TokenOld => 7,
            Self::Nonce => 8,
            Self::Version => 9,
            Self::MessageType => 10,
            Self::Deployment => 11,
            Self::Target => 12,
            Self::ResourceLink | Self::SubjectMissing => 13,
            Self::Roles | Self::ChoiceNotStaff => 14,
            Self::Claims | Self::ChoiceSettings | Self::ChoiceType | Self::ChoiceReturn => 15,
            Self::MigrationSign | Self::MigrationTwo | Self::PlanNotOffered => 15,
            _ => 0,
        }
    }

    /// Of this no launch is refused: it goes on, and it is written down.
    pub fn is_note(self) -> bool {
        matches!(self, Self::MigrationSign | Self::MigrationTwo | Self::PlanNotOffered)
    }

    /// What somebody outside is told of it. Whether a name is known to our resolver, and whether it leads into a private network, is said to
    /// nobody outside: by it whoever holds an invitation could look around in there.
    #[must_use]
    pub fn outside(self) -> Self {
        match self {
            Self::RegisterName | Self::RegisterPrivate => Self::RegisterUnreachable,
            other => other,
        }
    }

    /// What somebody can do about exactly this, in one sentence; otherwise what [`Next`] says.
    pub fn next_step(self) -> Bilingual {
        let (en, fr) = match self {
            Self::RegisterUnreachable => (
                "See that your platform’s address is its public one and is reached from outside its own network; then open the invitation again. If                  it stays, tell who invited you the code below: they see what was found.",
                "Vérifiez que l’adresse de votre plateforme est son adresse publique, accessible de l’extérieur ; puis rouvrez l’invitation. Sinon,                  transmettez le code ci-dessous à qui vous a invité : il voit ce qui a été constaté.",
            ),
            Self::RegisterClosed => (
                "See that your platform listens at its https port and that its firewall lets strangers in; then open the invitation again.",
                "Vérifiez que votre plateforme écoute sur son port https et que son pare-feu laisse entrer ; puis rouvrez l’invitation.",
            ),
            Self::RegisterTls => (
                "Have your platform present a certificate of its own name with the whole chain, by a known authority (`openssl s_client -connect                  NAME:443` shows it); then open the invitation again.",
                "Faites présenter à votre plateforme un certificat à son nom, avec toute la chaîne, d’une autorité connue (`openssl s_client -connect                  NOM:443` le montre) ; puis rouvrez l’invitation.",
            ),
            Self::RegisterSlow => (
                "Open the invitation again in a minute; if it stays, see whether a firewall drops what comes from outside.",
                "Rouvrez l’invitation dans une minute ; sinon, vérifiez qu’un pare-feu ne jette pas ce qui vient de l’extérieur.",
            ),
            Self::RegisterStatus => (
                "Open that address in a private window: it must show JSON without signing in. See that dynamic registration is switched on in your                  platform; then open the invitation again.",
                "Ouvrez cette adresse dans une fenêtre privée : elle doit montrer du JSON sans connexion. Vérifiez que l’enregistrement dynamique est                  activé sur votre plateforme ; puis rouvrez l’invitation.",
            ),
            Self::RegisterNotJson => (
                "Open that address in a private window: a sign-in or maintenance page may stand before it. Take it away for this address; then open                  the invitation again.",
                "Ouvrez cette adresse dans une fenêtre privée : une page de connexion ou de maintenance la précède peut-être. Retirez-la pour cette                  adresse ; puis rouvrez l’invitation.",
            ),
            other => return other.next().text(),
        };
        Bilingual {
            en: en.to_owned(),
            fr: fr.to_owned(),
        }
    }

    /// With what was found.
    pub fn because(self, detail: impl Into<String>) -> LtiRefusal {
        // what a platform sends may be long; a page of it helps nobody
        let detail: String = detail.into().chars().take(DETAIL_CHARS_MAX).collect();
        LtiRefusal { fault: self, detail }
    }
}

/// Room for two addresses of 200 characters and the words between.
const DETAIL_CHARS_MAX: usize = 500;

impl Next {
    /// What to do, in one sentence.
    pub fn text(self) -> Bilingual {
        let (en, fr) = match self {
            Self::Again => (
                "Open the lab from your course again.",
                "Rouvrez le lab depuis votre cours.",
            ),
            Self::Course => (
                "Tell your course team the code below: the settings of this activity must be corrected.",
                "Transmettez le code ci-dessous à l’équipe du cours : les réglages de cette activité sont à corriger.",
            ),
            Self::Operations => (
                "Tell your course team the code below: the registration of your learning platform must be checked.",
                "Transmettez le code ci-dessous à l’équipe du cours : l’enregistrement de votre plateforme est à vérifier.",
            ),
            Self::Later => (
                "Try again in a minute; if it stays, tell your course team the code below.",
                "Réessayez dans une minute ; sinon, transmettez le code ci-dessous à l’équipe du cours.",
            ),
            Self::Teacher => (
                "Ask a teacher of the course; labs that they chose are opened from the course itself.",
                "Demandez à un enseignant du cours ; les labs choisis s’ouvrent depuis le cours lui-même.",
            ),
            Self::Choose => (
                "Begin again from your course: choose the lab there once more.",
                "Recommencez depuis votre cours : choisissez-y le lab à nouveau.",
            ),
            Self::Invite => (
                "Tell who invited you the code below, and ask for another invitation if this one was used.",
                "Transmettez le code ci-dessous à qui vous a invité, et demandez une autre invitation si celle-ci a servi.",
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
        let codes: BTreeSet<_> = Fault::ALL.iter().map(|f| f.code()).collect();
        assert_eq!(codes.len(), Fault::ALL.len());
        for fault in Fault::ALL {
            let text = fault.text();
            assert!(fault.code().starts_with("lti-") && text.en != text.fr, "{fault:?}");
        }
        // two faults may say the same to a person only where it is the same to them
        let texts: BTreeSet<_> = Fault::ALL.iter().map(|f| f.text().en).collect();
        assert_eq!(texts.len(), Fault::ALL.len() - 1, "a used state and a used nonce");
    }
}
