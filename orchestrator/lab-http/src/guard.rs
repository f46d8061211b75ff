//! Who may call a route. The routes' table puts this in front of every handler; a handler cannot be reached without it.

use crate::{error::ApiError, state::HttpState};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::Response,
};
use lab_core::{
    entitlement::{ORDERS_A_MINUTE, OrderKey},
    launch::Role,
    port::ErrorKind,
};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everyone, without a login: the launch itself, and sockets, which bring a ticket.
    Anyone,
    /// A shop, by its order key, within its pace. What it may order is in the key.
    Shop,
    /// A login of one of these roles. What of it the login may see, the app decides.
    Roles(&'static [Role]),
}

impl Who {
    /// Every login: itself, and what this installation tells everyone.
    pub const SIGNED: Self = Self::Roles(&Role::ALL);
    /// Labs as they are published.
    pub const LABS: Self = Self::Roles(&[
        Role::Learner,
        Role::Teacher,
        Role::Coach,
        Role::Author,
        Role::Operations,
    ]);
    /// Who may know of sessions; of which, the app decides.
    pub const SESSIONS: Self = Self::Roles(&[Role::Learner, Role::Teacher, Role::Coach, Role::Operations]);
    /// Who may see or type in terminals; operations never do.
    pub const TERMINALS: Self = Self::Roles(&[Role::Learner, Role::Teacher, Role::Coach]);
    /// What was used, session by session.
    pub const USAGE: Self = Self::Roles(&[Role::Teacher, Role::Operations]);
    /// What counts in a course.
    pub const TEACHER: Self = Self::Roles(&[Role::Teacher]);
    /// How far a course's learners are.
    pub const REPORT: Self = Self::Roles(&[Role::Teacher, Role::Manager]);
    /// Vouchers and grants of a course.
    pub const ENROLMENT: Self = Self::Roles(&[Role::Enrolment]);
    /// Statements; a sponsor's own only.
    pub const STATEMENTS: Self = Self::Roles(&[Role::Sponsor, Role::Operations]);
    /// Only learners run labs.
    pub const LEARNER: Self = Self::Roles(&[Role::Learner]);
    /// Who answers for labs, and tries them.
    pub const TRIERS: Self = Self::Roles(&[Role::Teacher, Role::Author, Role::Operations]);
    /// Who looks after the learners of a course.
    pub const HELPERS: Self = Self::Roles(&[Role::Teacher, Role::Coach]);
    /// Who is in a course, as its organiser wrote it down.
    pub const COURSES: Self = Self::Roles(&[Role::Teacher, Role::Coach, Role::Operations]);
    /// Only operations.
    pub const OPERATIONS: Self = Self::Roles(&[Role::Operations]);

    /// Whether a login of this role may.
    pub fn admits(self, role: Role) -> bool {
        match self {
            Self::Anyone => true,
            Self::Shop => false,
            Self::Roles(roles) => roles.contains(&role),
        }
    }
}

/// The bearer of a request, as presented; not yet checked.
#[derive(Clone)]
pub(crate) struct Bearer(pub String);

/// A bearer is 43 base64url digits; ten times that is refused before it is hashed.
const BEARER_BYTES_MAX: usize = 512;

/// Reads `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= BEARER_BYTES_MAX).then_some(token)
}

/// The middleware: bearer → login → role, or no further.
pub(crate) async fn guard(
    who: Who,
    State(state): State<HttpState>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if who == Who::Anyone {
        return Ok(next.run(request).await);
    }
    let token = bearer(request.headers())
        .ok_or_else(ApiError::not_signed_in)?
        .to_owned();
    if who == Who::Shop {
        let key = shop(&state, &token).await?;
        request.extensions_mut().insert(key);
        return Ok(next.run(request).await);
    }
    let login = state.app.authenticate(&token).await.map_err(|e| match e.kind() {
        ErrorKind::Unavailable | ErrorKind::Bug => ApiError::from(e),
        // every other answer means the same to the caller: this bearer opens nothing
        _ => ApiError::not_signed_in(),
    })?;
    if !who.admits(login.role) {
        return Err(ApiError::not_allowed());
    }
    request.extensions_mut().insert(Bearer(token));
    request.extensions_mut().insert(login);
    Ok(next.run(request).await)
}

/// Whose order key it is, unless it goes too fast.
async fn shop(state: &HttpState, token: &str) -> Result<OrderKey, ApiError> {
    let key = state.app.order_key(token).await.map_err(|e| match e.kind() {
        ErrorKind::Denied => ApiError::from(e).status(StatusCode::UNAUTHORIZED),
        _ => ApiError::from(e),
    })?;
    state.app.order_pace(&key).map_err(|until| {
        let said = format!("more than {ORDERS_A_MINUTE} requests in a minute");
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "order-pace", said).with("until", until.secs())
    })?;
    Ok(key)
}
