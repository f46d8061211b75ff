//! Why a sign-in was refused, or as what somebody comes, in French and English.

use super::launch_address;
use crate::{
    error::{ApiError, Failure},
    page::{both, html},
};
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use lab_app::{AppError, launch::staff::StaffLink};
use lab_core::{
    entitlement::Bilingual,
    html::escape,
    launch::{
        Role,
        staff::{StaffFault, StaffNext, StaffRefusal},
    },
    port::ErrorKind,
};

/// Groups that the page names: a screen of them. Who has more has to ask anyway.
const GROUPS_SHOWN: usize = 30;

const AGAIN: &str = "<p><a class=\"button\" href=\"/staff/login\">Se connecter · Sign in</a></p>\n";

/// As what somebody comes who may be several things here: a link each. Each is good once and opens a tab of its own, so that a second one can be
/// opened beside the first.
pub(super) fn choice(links: &[StaffLink]) -> Response {
    let title = Bilingual {
        fr: "En quelle qualité venez-vous ?".into(),
        en: "As what do you come?".into(),
    };
    let hint = Bilingual {
        fr: "Chaque lien ouvre un onglet avec ses propres droits, une fois et dans les cinq minutes. Pour changer, reconnectez-vous.".into(),
        en: "Each link opens a tab with its own rights, once and within five minutes. To change, sign in again.".into(),
    };
    let item = |link: &StaffLink| {
        let of = link.sponsor.as_ref().map_or(link.course.as_str(), |s| s.as_str());
        let role = role_name(link.role);
        let of = if of.is_empty() {
            String::new()
        } else {
            format!(" : {}", escape(of))
        };
        format!(
            "<p><a class=\"button\" href=\"{}\">{} · {}{of}</a></p>\n",
            escape(&launch_address(link)),
            escape(&role.fr),
            escape(&role.en),
        )
    };
    let items: String = links.iter().map(item).collect();
    let body = format!("{}{items}{}", both("h1", &title), both("p", &hint));
    html(StatusCode::OK, "Labwire", &body)
}

fn role_name(role: Role) -> Bilingual {
    let (fr, en) = match role {
        Role::Learner => ("Apprenant", "Learner"),
        Role::Teacher => ("Enseignant", "Teacher"),
        Role::Coach => ("Tuteur", "Coach"),
        Role::Author => ("Auteur de labs", "Author of labs"),
        Role::Enrolment => ("Scolarité", "Enrolment"),
        Role::Manager => ("Responsable", "Manager"),
        Role::Sponsor => ("Financeur", "Sponsor"),
        Role::Operations => ("Exploitation", "Operations"),
    };
    Bilingual {
        fr: fr.into(),
        en: en.into(),
    }
}

/// Any error of the app, as a page.
pub(super) fn failed(error: AppError) -> Response {
    let refusal = match error {
        AppError::Staff(refusal) => refusal,
        other => return broken(other),
    };
    let status = match refusal.fault {
        StaffFault::NotConfigured => StatusCode::NOT_FOUND,
        StaffFault::Pace => StatusCode::TOO_MANY_REQUESTS,
        StaffFault::ProviderUnreachable => StatusCode::SERVICE_UNAVAILABLE,
        StaffFault::NoRole => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    };
    let fault = refusal.fault;
    let again = match fault.next() {
        StaffNext::Again | StaffNext::Later => AGAIN,
        StaffNext::Administrator | StaffNext::Role | StaffNext::Course => "",
    };
    let body = format!(
        "{}{}{}<p><code>{}</code></p>\n{again}",
        both("h1", &fault.text()),
        groups(&refusal),
        both("p", &fault.next().text()),
        fault.code()
    );
    let mut response = html(status, fault.code(), &body);
    response.extensions_mut().insert(Failure {
        code: fault.code(),
        private: Some(refusal.detail),
    });
    response
}

/// What the provider told, so that an administrator can be shown what to write.
fn groups(refusal: &StaffRefusal) -> String {
    if refusal.fault != StaffFault::NoRole {
        return String::new();
    }
    if refusal.groups.is_empty() {
        let none = Bilingual {
            fr: "Votre organisation n’a indiqué aucun groupe : le réglage staff_login.groups_claim est à vérifier."
                .into(),
            en: "Your organisation told no group: the setting staff_login.groups_claim must be checked.".into(),
        };
        return both("p", &none);
    }
    let told = Bilingual {
        fr: "Vos groupes, selon votre organisation :".into(),
        en: "Your groups, as your organisation tells them:".into(),
    };
    let shown = refusal.groups.iter().take(GROUPS_SHOWN);
    let items: String = shown
        .map(|g| format!("<li><code>{}</code></li>\n", escape(g)))
        .collect();
    let more = if refusal.groups.len() > GROUPS_SHOWN {
        "<li>…</li>\n"
    } else {
        ""
    };
    format!("{}<ul>\n{items}{more}</ul>\n", both("p", &told))
}

fn broken(error: AppError) -> Response {
    let next = if error.kind() == ErrorKind::Unavailable {
        StaffNext::Later
    } else {
        StaffNext::Administrator
    };
    let code = error.code();
    // for its status, and what it tells the log
    let plain = ApiError::from(error).into_response();
    let text = Bilingual {
        fr: "Labwire ne peut pas vous connecter pour le moment.".into(),
        en: "Labwire cannot sign you in at the moment.".into(),
    };
    let body = format!(
        "{}{}<p><code>{code}</code></p>\n",
        both("h1", &text),
        both("p", &next.text())
    );
    let mut response = html(plain.status(), code, &body);
    if let Some(failure) = plain.extensions().get::<Failure>() {
        response.extensions_mut().insert(failure.clone());
    }
    response
}
