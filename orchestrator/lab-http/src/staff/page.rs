//! Why a sign-in was refused, in French and English.

use crate::{
    error::{ApiError, Failure},
    page::{both, html},
};
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use lab_app::AppError;
use lab_core::{
    entitlement::Bilingual,
    html::escape,
    launch::staff::{StaffFault, StaffNext, StaffRefusal},
    port::ErrorKind,
};

/// Groups that the page names: a screen of them. Who has more has to ask anyway.
const GROUPS_SHOWN: usize = 30;

const AGAIN: &str = "<p><a class=\"button\" href=\"/staff/login\">Se connecter · Sign in</a></p>\n";

/// Any error of the app, as a page.
pub(super) fn failed(error: AppError) -> Response {
    let refusal = match error {
        AppError::Staff(refusal) => refusal,
        other => return broken(other),
    };
    let status = match refusal.fault {
        StaffFault::NotConfigured => StatusCode::NOT_FOUND,
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
