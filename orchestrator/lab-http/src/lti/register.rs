//! What a platform's administrator sees who registered it, mostly within a frame of the platform.

use crate::{
    HttpSettings,
    headers::content_policy,
    origin::origin_of,
    page::{both, html},
};
use axum::{
    http::{StatusCode, header},
    response::Response,
};
use lab_app::launch::lti::CameByInvitation;
use lab_core::{entitlement::Bilingual, html::escape, launch::lti::Params};

/// The platform waits.
pub(super) fn waits(came: &CameByInvitation) -> Response {
    let title = Bilingual {
        fr: "Enregistrement reçu : il attend l’accord de Labwire.".into(),
        en: "Registration received: it waits for Labwire’s approval.".into(),
    };
    let next = Bilingual {
        fr: "Activez l’outil dans votre plateforme. Les labs s’ouvriront dès que les exploitants de Labwire auront dit oui.".into(),
        en: "Activate the tool in your platform. Labs open as soon as Labwire’s operators have said yes.".into(),
    };
    let product = if came.product.is_empty() {
        String::new()
    } else {
        format!(" ({})", escape(&came.product))
    };
    let body = format!(
        "<body>\n{}<p><code>{}</code>{product}</p>\n{}<p><button id=\"close\" hidden>Fermer · Close</button></p>\n\
         <script src=\"/lti/register.js\"></script></body>",
        both("h1", &title),
        escape(&came.issuer),
        both("p", &next),
    );
    html(StatusCode::OK, "Labwire", &body)
}

/// The platform that is named may frame the page, also one that says why not: nothing can be done in it.
pub(super) fn framed(mut response: Response, settings: &HttpSettings, params: &Params) -> Response {
    let platform = params.filled("openid_configuration").and_then(origin_of);
    let policy = content_policy(settings, "'none'", platform.as_deref());
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}
