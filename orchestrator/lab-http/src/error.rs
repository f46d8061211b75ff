//! What a caller is told when it does not work, apart from what we are told.
//!
//! | kind | status | when |
//! |---|---|---|
//! | a refused launch, no or an old bearer | 401 | sign in again |
//! | Denied | 403 | known to be there, not for you |
//! | NotFound | 404 | not there, or you may not know that it is |
//! | Conflict | 409 | changed meanwhile |
//! | Invalid | 400 | the request is wrong; says field, value, remedy |
//! | (half a body, and no more) | 408 | |
//! | (body too large) | 413 | |
//! | (too many) | 429 | |
//! | Unavailable | 503 | try again; `Retry-After` is set |
//! | Bug, and whatever a port says that no caller can act on | 500 | noted |

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lab_app::AppError;
use lab_core::port::ErrorKind;
use serde::Serialize;
use std::error::Error;

/// A refusal or a failure on its way out. The private part is logged by [`crate::observe`] and never sent.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Further public members of the body (a refusal's numbers, a lab's description).
    more: Option<serde_json::Map<String, serde_json::Value>>,
    private: Option<String>,
}

/// The body of every error.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ErrorView {
    /// From a closed set, kebab-case; the key of the page's own texts.
    pub code: String,
    /// Public text.
    pub message: String,
    /// What to do.
    pub next: String,
}

/// What [`crate::observe`] logs and counts; travels in the response's extensions, never in its body.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub code: &'static str,
    pub private: Option<String>,
}

impl ApiError {
    /// A refusal of this crate's own.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            more: None,
            private: None,
        }
    }

    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-request", message)
    }

    /// Not there, or not to be known.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here")
    }

    /// No bearer, or one that is not valid now.
    pub fn not_signed_in() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "not-signed-in",
            "this needs a login that is valid now",
        )
    }

    /// Signed in, but not as someone who may.
    pub fn not_allowed() -> Self {
        Self::new(StatusCode::FORBIDDEN, "not-allowed", "your role may not do this")
    }

    /// Context for the log.
    #[must_use]
    pub fn private(mut self, context: impl Into<String>) -> Self {
        self.private = Some(context.into());
        self
    }

    /// A further public member of the body.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).expect("our view types have string keys and finite numbers");
        self.more.get_or_insert_default().insert(name.to_owned(), value);
        self
    }

    /// The same refusal under another status.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

/// The whole chain of causes on one line, for the log.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl From<AppError> for ApiError {
    fn from(e: AppError) -> Self {
        let status = match (&e, e.kind()) {
            (AppError::Launch(_) | AppError::Lti(_) | AppError::Staff(_), _) => StatusCode::UNAUTHORIZED,
            (_, ErrorKind::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
            // what a runtime or a blob store refuses is never the caller's doing
            (AppError::Runtime(_) | AppError::Blobs(_), _) | (_, ErrorKind::Bug) => StatusCode::INTERNAL_SERVER_ERROR,
            (_, ErrorKind::NotFound) => StatusCode::NOT_FOUND,
            (_, ErrorKind::Conflict) => StatusCode::CONFLICT,
            (_, ErrorKind::Denied) => StatusCode::FORBIDDEN,
            (_, ErrorKind::Invalid) => StatusCode::BAD_REQUEST,
        };
        let error = Self::new(status, e.code(), e.public());
        match &e {
            AppError::Entitlement(refusal) => error.with("refusal", crate::view::RefusalView::from(refusal.as_ref())),
            AppError::Store(_) | AppError::Runtime(_) | AppError::Blobs(_) => error.private(chain(&e)),
            _ => error,
        }
    }
}

/// What a person can do about a code, or else about a status.
fn next_step(code: &str, status: StatusCode) -> &'static str {
    match code {
        "launch-already-used" | "launch-expired" => "open the lab from your course again: it makes a fresh link",
        "launch-forged" | "launch-malformed" => "copy the whole link, or open the lab from your course again",
        "launch-unknown-key" | "launch-foreign-audience" | "launch-lab-missing" => {
            "tell your teacher: the course's link must be renewed"
        }
        "launch-lab-withdrawn" | "lab-withdrawn" => {
            "ask your course team which lab takes its place; what you did in it stays on your page"
        }
        "no-plan" => {
            "tell your course team that you have no plan; meanwhile redeem a voucher, or watch the recorded demonstration"
        }
        "no-labs" => "watch the recorded demonstration, redeem a voucher, or ask for a plan with labs",
        "plan-withheld" => {
            "tell your course team, who can have more agreed; meanwhile redeem a voucher, or watch the demonstration"
        }
        "not-attested" => "ask your sponsor to confirm your status again; then click the lab link once more",
        "no-time" => "redeem a voucher, or ask for more lab time",
        "daily-cap" => "come back when there is more; a lab that runs already goes on",
        "voucher-unknown" => "compare it with the paper: letters and digits, 16 of them",
        "voucher-used" | "voucher-expired" | "voucher-revoked" => "ask who gave it to you for another one",
        "voucher-pot-empty" => "ask your company for more lab time, or redeem another voucher",
        "voucher-course-closed" => "keep the code, ask your teacher for an extension, then redeem it",
        "voucher-seated" => "use the seat you have; give this code to a colleague",
        "voucher-other-course" => "open a lab of that course, and redeem it there",
        "learner-unknown" => {
            "compare the id with the learner's page or the list; or have them open a lab once, then redeem"
        }
        "learner-forgotten" => "ask the learner to open a lab, and use the id that their page shows",
        "voucher-guesses" => "wait until then, with the paper at hand",
        "order-key-unknown" => "ask who runs this installation for a key; `labwire order key add` makes one",
        "order-invalid" => "correct the fields, then send it again: nothing was ordered",
        "order-not-allowed" => "order what this key is for, or ask for another key",
        "order-differs" => "give the new order a number of its own; GET reads the one that is there",
        "order-budget" => "cancel what is not needed, or ask for a larger agreement",
        "order-unknown" => "compare the number; nothing was ordered by it",
        "order-pace" => "wait until then; the same order can be sent again safely",
        "not-in-plan" => "ask for a plan that includes it",
        "concurrency" => "stop the lab that runs, then start this one",
        "privacy-notice" => "read GET /api/v1/notice, acknowledge its version by POST /api/v1/notice, then start again",
        "notice-changed" => "read the notice again, and acknowledge the version it has now",
        "recording-removed" => "nothing can be read of it any more; how long recordings are kept stands in the notice",
        "recordings-busy" => "wait for exports of yours that are under way, then ask again",
        "person-live" => "stop the lab that runs, then ask again",
        "course-not-open" => "come back then",
        "course-closed" => "read your replays, or ask your teacher for an extension",
        "launches-paused" => "come back later; a lab that runs already goes on",
        "foreign-origin" => "open the page from this installation's own address",
        _ => match status.as_u16() {
            401 => "open the lab from your course again",
            403 => "ask someone who may",
            404 => "check the address",
            408 => "send it again, all of it at once",
            405 => "use another method; see /openapi.json",
            409 => "read it again, then repeat what you meant",
            413 => "send less",
            429 => "wait a moment, then go on slower",
            503 => "try again in a moment",
            500 => "try again; if it stays, tell operations the request id of this answer",
            _ => "correct the request; see /openapi.json",
        },
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = serde_json::Map::new();
        body.insert("code".into(), self.code.into());
        body.insert("message".into(), self.message.into());
        body.insert("next".into(), next_step(self.code, self.status).into());
        body.extend(self.more.unwrap_or_default());
        let mut response = (self.status, axum::Json(body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(Failure {
            code: self.code,
            private: self.private,
        });
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_core::port::{BlobsError, RuntimeError, StoreError};

    #[test]
    fn a_ports_inside_stays_inside() {
        let secret = || Box::<dyn Error + Send + Sync>::from("password=hunter2 at 10.0.0.7");
        let errors: Vec<AppError> = vec![
            StoreError::Unavailable {
                operation: "admit",
                source: secret(),
            }
            .into(),
            StoreError::Corrupt {
                operation: "login",
                detail: "hunter2".into(),
            }
            .into(),
            StoreError::Conflict {
                what: "session",
                id: "hunter2".into(),
                detail: "hunter2".into(),
            }
            .into(),
            RuntimeError::Unavailable {
                operation: "list",
                source: secret(),
            }
            .into(),
            RuntimeError::ImageMissing {
                image: "hunter2/frr".into(),
            }
            .into(),
            BlobsError::Unavailable {
                operation: "get",
                key: "hunter2".into(),
                source: secret(),
            }
            .into(),
        ];
        for e in errors {
            let api = ApiError::from(e);
            assert!(!api.message.contains("hunter2"), "{}", api.message);
            assert!(
                api.private.as_deref().is_some_and(|p| p.contains("hunter2")),
                "the log has the whole chain"
            );
        }
    }

    #[test]
    fn each_kind_has_its_status() {
        let of = |kind| ApiError::from(AppError::refused(kind, "x", "y")).status.as_u16();
        assert_eq!(of(ErrorKind::NotFound), 404);
        assert_eq!(of(ErrorKind::Conflict), 409);
        assert_eq!(of(ErrorKind::Denied), 403);
        assert_eq!(of(ErrorKind::Invalid), 400);
        assert_eq!(of(ErrorKind::Unavailable), 503);
        assert_eq!(of(ErrorKind::Bug), 500);
        assert_eq!(
            ApiError::from(AppError::from(lab_core::launch::LaunchRefusal::Expired))
                .status
                .as_u16(),
            401
        );
    }
}
