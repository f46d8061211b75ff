//! A refused launch for who mends it: the steps it passed, and whose turn it is.

use super::{Fault, Next};

/// The fifteen steps of LTI 1.3 as [`Fault::step`] counts them: in English, in French.
pub const STEPS: [(&str, &str); 15] = [
    (
        "the state is one of ours, unused, and of this browser",
        "l’état est l’un des nôtres, n’a pas servi et vient de ce navigateur",
    ),
    (
        "the token has three parts, is signed with RS256, and names its key",
        "le jeton a trois parties, est signé en RS256 et nomme sa clé",
    ),
    ("the platform publishes that key", "la plateforme publie cette clé"),
    ("the signature is right", "la signature est juste"),
    (
        "the issuer is the registered one",
        "l’émetteur est celui qui est enregistré",
    ),
    (
        "the token was made for us (aud, azp)",
        "le jeton nous est destiné (aud, azp)",
    ),
    (
        "the token is of now (exp, iat)",
        "le jeton est de maintenant (exp, iat)",
    ),
    (
        "the nonce is the one of this launch",
        "le nonce est celui de ce lancement",
    ),
    ("the version is 1.3.0", "la version est 1.3.0"),
    (
        "the message is a launch, or a choice of labs",
        "le message est un lancement, ou un choix de labs",
    ),
    ("the deployment is allowed", "le déploiement est autorisé"),
    (
        "the launch address is one of ours",
        "l’adresse de lancement est l’une des nôtres",
    ),
    (
        "the place in the course and the person are named",
        "l’endroit du cours et la personne sont nommés",
    ),
    (
        "the roles are a list, and who chooses labs is of the staff",
        "les rôles sont une liste, et qui choisit des labs fait partie de l’équipe",
    ),
    (
        "everything else: of a choice, what is taken and where it goes",
        "tout le reste : d’un choix, ce qui est accepté et où il va",
    ),
];

/// What operations do about a refusal of that code: in English, in French.
pub fn remedy(code: &str) -> (&'static str, &'static str) {
    let fault = Fault::ALL.iter().copied().find(|f| f.code() == code);
    let own = |fault| {
        person_remedy(fault)
            .or_else(|| plan_remedy(fault))
            .or_else(|| keys_remedy(fault))
            .or_else(|| register_remedy(fault))
            .or_else(|| pace_remedy(fault))
    };
    if let Some(words) = fault.and_then(own) {
        return words;
    }
    match fault.map(Fault::next) {
        Some(Next::Again) => (
            "nothing is to be changed: the learner opens the lab again",
            "rien à changer : l’apprenant rouvre le lab",
        ),
        Some(Next::Course) => (
            "correct the activity's settings in the course; `labwire lti ls NAME` prints them",
            "corrigez les réglages de l’activité dans le cours ; `labwire lti ls NOM` les affiche",
        ),
        Some(Next::Operations) => (
            "compare the registration with what the platform shows; `labwire lti add` with the same name changes it",
            "comparez l’enregistrement avec ce que montre la plateforme ; `labwire lti add` avec le même nom le change",
        ),
        Some(Next::Teacher) => (
            "nothing is to be changed: a teacher of the course chooses its labs",
            "rien à changer : un enseignant du cours choisit ses labs",
        ),
        Some(Next::Choose) => (
            "nothing is to be changed: the teacher chooses again, from the course",
            "rien à changer : l’enseignant choisit à nouveau, depuis le cours",
        ),
        Some(Next::Invite) => (
            "look at what was found, and make another invitation: `labwire lti invite`",
            "voyez ce qui a été trouvé, et faites une autre invitation : `labwire lti invite`",
        ),
        Some(Next::Later) => (
            "wait for the platform, and see that this machine reaches it",
            "attendez la plateforme, et vérifiez que cette machine l’atteint",
        ),
        None => ("see the log of `labwire serve`", "voyez le journal de `labwire serve`"),
    }
}

/// Nobody can be told apart without an id.
fn person_remedy(fault: Fault) -> Option<(&'static str, &'static str)> {
    (fault == Fault::SubjectMissing).then_some((
        "the platform must say who launches (`sub`, by LTI 1.1 `user_id`): let people sign in before they open the lab, and let the activity send \
         their id; a preview in Studio sends none",
        "la plateforme doit dire qui lance (`sub`, en LTI 1.1 `user_id`) : faites se connecter les personnes avant d’ouvrir le lab, et laissez \
         l’activité envoyer leur identifiant ; un aperçu dans Studio n’en envoie pas",
    ))
}

/// Two places may be wrong, and only who knows the agreement can say which.
fn plan_remedy(fault: Fault) -> Option<(&'static str, &'static str)> {
    (fault == Fault::PlanNotOffered).then_some((
        "correct the custom parameter `plan` in the course, or offer that plan: `labwire lti add NAME … --may-ask PLAN`",
        "corrigez le paramètre personnalisé `plan` dans le cours, ou proposez cette formule : `labwire lti add NOM … --may-ask FORMULE`",
    ))
}

/// Keys that could not be had are mended elsewhere for each reason.
fn keys_remedy(fault: Fault) -> Option<(&'static str, &'static str)> {
    Some(match fault {
        Fault::KeysUnreachable => (
            "see that this machine reaches the address (name, firewall, certificate: `curl -v ADDRESS` on it says which); where it never will, \
             give the keys by `labwire lti add NAME … --jwks-file FILE`",
            "vérifiez que cette machine atteint l’adresse (nom, pare-feu, certificat : `curl -v ADRESSE` sur celle-ci le dit) ; si elle ne \
             l’atteindra jamais, donnez les clés par `labwire lti add NOM … --jwks-file FICHIER`",
        ),
        Fault::KeysPrivate => (
            "if the platform is yours, name its host in the setting lti.private_hosts and restart `labwire serve`; no other address of a private \
             network is asked",
            "si la plateforme est la vôtre, nommez son hôte dans le réglage lti.private_hosts et redémarrez `labwire serve` ; aucune autre adresse \
             d’un réseau privé n’est interrogée",
        ),
        Fault::KeysStatus => (
            "open the address in a browser: it must show JSON with `keys`. 404 or another 4xx: it is mistyped, or of a block or tool that is \
             gone; copy it from the platform again (`labwire lti add NAME … --jwks-url URL`). 5xx: the platform's own trouble; it is asked again \
             at each launch",
            "ouvrez l’adresse dans un navigateur : elle doit montrer du JSON avec `keys`. 404 ou un autre 4xx : elle est mal recopiée, ou celle \
             d’un bloc ou d’un outil disparu ; recopiez-la depuis la plateforme (`labwire lti add NOM … --jwks-url URL`). 5xx : la plateforme est \
             en panne ; elle est interrogée de nouveau à chaque lancement",
        ),
        Fault::KeysUnreadable => (
            "the address answers with something else, often a sign-in or maintenance page: give the *keyset* URL that the platform shows, not its \
             login or launch URL (`labwire lti add NAME … --jwks-url URL`)",
            "l’adresse répond autre chose, souvent une page de connexion ou de maintenance : donnez l’URL du *jeu de clés* que montre la plateforme, \
             et non celle de connexion ou de lancement (`labwire lti add NOM … --jwks-url URL`)",
        ),
        _ => return None,
    })
}

/// So is a platform that registers itself and cannot be asked.
fn register_remedy(fault: Fault) -> Option<(&'static str, &'static str)> {
    Some(match fault {
        Fault::RegisterName => (
            "the name in the platform's address has no address here (`getent hosts NAME` on this machine): mend its DNS, or this machine's resolver. \
             Outside only `lti-register-unreachable` was said",
            "le nom dans l’adresse de la plateforme n’a pas d’adresse ici (`getent hosts NOM` sur cette machine) : corrigez son DNS, ou le résolveur de \
             cette machine. À l’extérieur, seul `lti-register-unreachable` est dit",
        ),
        Fault::RegisterPrivate => (
            "if the platform is yours, name its host in the setting lti.private_hosts and restart `labwire serve`; if not, somebody tries addresses \
             of your network: take the invitation back (`labwire lti reject NAME`). Outside only `lti-register-unreachable` was said",
            "si la plateforme est la vôtre, nommez son hôte dans le réglage lti.private_hosts et redémarrez `labwire serve` ; sinon, quelqu’un essaie \
             des adresses de votre réseau : reprenez l’invitation (`labwire lti reject NOM`). À l’extérieur, seul `lti-register-unreachable` est dit",
        ),
        Fault::RegisterClosed => (
            "the machine is there and its port is closed: see that the platform runs and that its firewall lets this machine in (`curl -v ADDRESS` here)",
            "la machine est là et son port est fermé : vérifiez que la plateforme tourne et que son pare-feu laisse entrer cette machine \
             (`curl -v ADRESSE` ici)",
        ),
        Fault::RegisterTls => (
            "`curl -v ADDRESS` on this machine says what is wrong with the certificate: expired, of another name, without its chain; if its authority \
             is your own, add that to this machine's certificates and restart `labwire serve`",
            "`curl -v ADRESSE` sur cette machine dit ce qui ne va pas avec le certificat : expiré, d’un autre nom, sans sa chaîne ; si l’autorité est la \
             vôtre, ajoutez-la aux certificats de cette machine et redémarrez `labwire serve`",
        ),
        Fault::RegisterSlow => (
            "the platform did not answer within ten seconds: where `curl -v ADDRESS` on this machine hangs too, a firewall drops packets; otherwise \
             wait until the platform has less to do",
            "la plateforme n’a pas répondu en dix secondes : si `curl -v ADRESSE` sur cette machine reste muet aussi, un pare-feu jette les paquets ; \
             sinon, attendez que la plateforme ait moins à faire",
        ),
        Fault::RegisterStatus => (
            "the platform's administrator sees that dynamic registration is switched on, and that the address opens without signing in; the \
             invitation stays good. Otherwise register it by hand: `labwire lti guide`",
            "l’administrateur de la plateforme vérifie que l’enregistrement dynamique est activé, et que l’adresse s’ouvre sans connexion ; \
             l’invitation reste valable. Sinon, enregistrez-la à la main : `labwire lti guide`",
        ),
        Fault::RegisterNotJson => (
            "a sign-in or maintenance page, or a proxy, answers for the platform: its administrator lets that one address through; the invitation \
             stays good. Otherwise register it by hand: `labwire lti guide`",
            "une page de connexion ou de maintenance, ou un mandataire, répond à la place de la plateforme : son administrateur laisse passer cette \
             adresse ; l’invitation reste valable. Sinon, enregistrez-la à la main : `labwire lti guide`",
        ),
        _ => return None,
    })
}

fn pace_remedy(fault: Fault) -> Option<(&'static str, &'static str)> {
    let paced = matches!(fault, Fault::LaunchPace | Fault::RegisterPace);
    paced.then_some((
        "if everybody comes by your own proxy's address, say by the setting http.proxies how many proxies there are; otherwise it is a flood, and waits",
        "si tous viennent par l’adresse de votre propre mandataire, dites par le réglage http.proxies combien il y en a ; sinon, c’est un flot, et il attend",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_cannot_be_had_are_mended_differently_for_each_reason() {
        let reasons = [
            Fault::KeysUnreachable,
            Fault::KeysPrivate,
            Fault::KeysStatus,
            Fault::KeysUnreadable,
        ];
        let remedies: std::collections::BTreeSet<_> = reasons.iter().map(|f| remedy(f.code())).collect();
        assert_eq!(remedies.len(), reasons.len());
        assert!(remedy("lti-keys-private").0.contains("lti.private_hosts"));
    }

    #[test]
    fn a_platform_that_cannot_be_asked_is_mended_differently_for_each_reason_inside_and_out() {
        let reasons = [
            Fault::RegisterName,
            Fault::RegisterPrivate,
            Fault::RegisterClosed,
            Fault::RegisterTls,
            Fault::RegisterSlow,
            Fault::RegisterStatus,
            Fault::RegisterNotJson,
            Fault::RegisterUnreachable,
        ];
        let inside: std::collections::BTreeSet<_> = reasons.iter().map(|f| remedy(f.code())).collect();
        assert_eq!(inside.len(), reasons.len());
        let outside: std::collections::BTreeSet<_> = reasons.iter().map(|f| f.outside().next_step().en).collect();
        assert_eq!(
            outside.len(),
            reasons.len() - 2,
            "what only our own network tells is one and the same"
        );
        for fault in reasons {
            assert_ne!(fault.next_step().en, fault.next_step().fr, "{fault:?}");
        }
    }

    #[test]
    fn every_fault_has_a_place_among_the_steps_and_a_remedy() {
        for fault in Fault::ALL {
            assert!(usize::from(fault.step()) <= STEPS.len(), "{fault:?}");
            assert_ne!(remedy(fault.code()), remedy("not a fault"), "{fault:?}");
        }
    }
}
