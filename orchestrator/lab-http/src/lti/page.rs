//! Pages of the door for learning platforms: in French and English, without a script but our own, small enough to be made by hand.

use super::failure;
use crate::{
    error::{ApiError, Failure},
    page::{both, html},
};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lab_app::{
    AppError,
    launch::lti::{Begun, StorageOffer},
};
use lab_core::{
    entitlement::Bilingual,
    html::escape,
    launch::lti::{Fault, LtiRefusal, Next, Params},
    port::ErrorKind,
};

/// Why a launch was refused, and what to do. The detail is for `labwire lti test`, not for learners.
pub(super) fn refused(refusal: &LtiRefusal, status: StatusCode) -> Response {
    let fault = refusal.fault;
    let body = format!(
        "{}{}<p><code>{}</code></p>\n",
        both("h1", &fault.text()),
        both("p", &fault.next_step()),
        fault.code()
    );
    let mut response = html(status, fault.code(), &body);
    response.extensions_mut().insert(failure(refusal));
    response
}

/// Any error of the app, as a page.
pub(super) fn failed(error: AppError) -> Response {
    if let AppError::Lti(refusal) = &error {
        let status = match refusal.fault {
            Fault::RegisterTries | Fault::RegisterPace | Fault::LaunchPace => StatusCode::TOO_MANY_REQUESTS,
            fault if fault.next() == Next::Later => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        return refused(refusal, status);
    }
    let later = error.kind() == ErrorKind::Unavailable;
    let code = error.code();
    // for its status, and what it tells the log
    let plain = ApiError::from(error).into_response();
    let text = Bilingual {
        fr: "Labwire ne peut pas ouvrir ce lab pour le moment.".into(),
        en: "Labwire cannot open this lab at the moment.".into(),
    };
    let next = if later { Next::Later } else { Next::Operations }.text();
    let body = format!("{}{}<p><code>{code}</code></p>\n", both("h1", &text), both("p", &next));
    let mut response = html(plain.status(), code, &body);
    if let Some(failure) = plain.extensions().get::<Failure>() {
        response.extensions_mut().insert(failure.clone());
    }
    response
}

/// For a person at an address that is the platform's.
pub(super) fn by_hand(code: &'static str) -> Response {
    let text = Bilingual {
        fr: "Cette adresse est à coller dans votre cours.".into(),
        en: "This address is to be pasted into your course.".into(),
    };
    let next = Bilingual {
        fr: "Elle ouvre un lab quand votre plateforme (Open edX, FUN, Moodle…) la lance. Ouvrez le lab depuis votre cours.".into(),
        en: "It opens a lab when your learning platform (Open edX, FUN, Moodle…) launches it. Open the lab from your course.".into(),
    };
    let body = format!("{}{}<p><code>{code}</code></p>\n", both("h1", &text), both("p", &next));
    html(StatusCode::BAD_REQUEST, code, &body)
}

/// Has the platform's storage keep the proof, then goes on.
pub(super) fn keep(begun: &Begun, offer: &StorageOffer) -> Response {
    let body = format!(
        "<body data-do=\"put\" data-origin=\"{}\" data-frame=\"{}\" data-key=\"labwire-{}\" data-value=\"{}\" data-go=\"{}\">\n{}\
         <p><a class=\"button\" href=\"{}\">Continuer · Continue</a></p>\n<script src=\"/lti/storage.js\"></script></body>",
        escape(&offer.origin),
        escape(&offer.frame),
        escape(&begun.state),
        escape(&begun.browser),
        escape(&begun.auth_url),
        both("p", &waiting()),
        escape(&begun.auth_url),
    );
    html(StatusCode::OK, "Labwire", &body)
}

/// The browser keeps no cookie here: the platform's storage is asked where there is one, and a new window always helps.
pub(super) fn unproven(params: &Params, again: &str, storage: Option<&StorageOffer>) -> Response {
    let text = Bilingual {
        fr: "Votre navigateur bloque les cookies dans ce cadre.".into(),
        en: "Your browser blocks cookies in this frame.".into(),
    };
    let button = format!(
        "<p><a class=\"button\" target=\"_blank\" href=\"{}\">Ouvrir le lab dans une nouvelle fenêtre · Open the lab in a new window</a></p>\n",
        escape(again)
    );
    let window = format!("{}{button}", both("h1", &text));
    // asked once: what the storage gave and was wrong is an answer too
    let Some(offer) = storage.filter(|_| params.get("labwire_browser").is_none()) else {
        return html(StatusCode::OK, "Labwire", &window);
    };
    let field = |name: &str| {
        let value = params.get(name).unwrap_or_default();
        format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">\n", escape(value))
    };
    let body = format!(
        "<body data-do=\"get\" data-origin=\"{}\" data-frame=\"{}\" data-key=\"labwire-{}\">\n<div id=\"wait\">{}</div>\n\
         <div id=\"window\" hidden>{window}</div>\n<noscript>{window}</noscript>\n\
         <form method=\"post\" action=\"/lti/launch\">\n{}{}<input type=\"hidden\" name=\"labwire_browser\" value=\"\">\n</form>\n\
         <script src=\"/lti/storage.js\"></script></body>",
        escape(&offer.origin),
        escape(&offer.frame),
        escape(params.get("state").unwrap_or_default()),
        both("p", &waiting()),
        field("state"),
        field("id_token"),
    );
    let mut response = html(StatusCode::OK, "Labwire", &body);
    // without a referrer browsers would say that the form comes from nowhere, and it must be seen to come from us
    let policy = HeaderValue::from_static("same-origin");
    response.headers_mut().insert(header::REFERRER_POLICY, policy);
    response
}

fn waiting() -> Bilingual {
    Bilingual {
        fr: "Un instant…".into(),
        en: "One moment…".into(),
    }
}
