//! Links become logins; bearers are recognised and rotated; logins of staff end.

use super::mint;
use crate::{App, AppError};
use lab_core::{
    LoginId, Timestamp, TokenHash,
    launch::{LaunchRefusal, Login},
    port::{ErrorKind, Redeem},
};
use std::time::Duration;

/// How long a bearer is still accepted after it was rotated: requests of the same tab may be under way.
pub const BEARER_GRACE: Duration = Duration::from_mins(1);

/// A login of staff ends so long after its sign-in, however busy it is, unless the setting `limits.staff_login_max` says otherwise: from the
/// first class of a day (8:00) to the end of an evening course (20:00) without a second sign-in, and what was left open is closed before
/// the next morning.
pub const STAFF_LOGIN_MAX: Duration = Duration::from_hours(12);

/// A bearer for a tab, and whose it is. The bearer is nowhere else.
#[derive(Clone)]
pub struct Signed {
    pub bearer: String,
    pub login: Login,
    /// When the login ends, however busy it is; none: learners', which end when they are not used.
    pub ends_at: Option<Timestamp>,
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signed")
            .field("bearer", &"..")
            .field("login", &self.login)
            .field("ends_at", &self.ends_at)
            .finish()
    }
}

/// Said of a bearer that is unknown, expired or replaced; a caller cannot tell which.
pub(crate) fn bearer_refused() -> AppError {
    AppError::refused(
        ErrorKind::Denied,
        "bearer-invalid",
        "this tab is not signed in any more; open the link of your course again",
    )
}

impl App {
    /// Verifies a link, marks it as used, and signs a tab in.
    ///
    /// # Errors
    /// [`AppError::Launch`] with the reason. A link to a lab that is not here stays usable.
    pub async fn launch(&self, token: &str) -> Result<Signed, AppError> {
        let now = self.now();
        let claims = self.keyring.verify(token.trim(), &self.settings.installation, now)?;
        if let Some(lab) = &claims.lab
            && self.ports.store.lab_latest(lab).await?.is_none()
        {
            if self.ports.store.lab_last(lab).await?.is_none() {
                return Err(LaunchRefusal::LabMissing.into());
            }
            // who runs it since before it was withdrawn keeps it, and comes back to it by a link
            if self.live_run(&claims.sub, Some(&claims.course), lab).await?.is_none() {
                return Err(LaunchRefusal::LabWithdrawn.into());
            }
        }
        // kept a day longer than the link, so that clocks that differ cannot make it usable again
        let keep_until = Timestamp::from_secs(claims.exp).plus(Duration::from_hours(24));
        if let Redeem::Used { .. } = self.ports.store.launch_redeem(claims.jti, now, keep_until).await? {
            return Err(LaunchRefusal::AlreadyUsed.into());
        }
        let mut login = Login {
            id: LoginId(self.fresh_uuid()),
            name: claims.name.unwrap_or_else(|| claims.sub.to_string()),
            subject: claims.sub,
            role: claims.role,
            course: claims.course,
            lab: claims.lab,
            plan: claims.plan,
            sponsor: claims.sponsor,
            created_at: now,
            expires_at: now,
        };
        let ends_at = self.renew(&mut login, now);
        let bearer = mint::secret(self.ports.entropy.as_ref());
        self.ports.store.login_create(&login, TokenHash::of(&bearer)).await?;
        tracing::info!(login.id = %login.id, role = login.role.name(), course = %login.course, "signed in");
        Ok(Signed { bearer, login, ends_at })
    }

    /// When a login ends, however busy it is: staff's.
    pub fn login_end(&self, login: &Login) -> Option<Timestamp> {
        login
            .role
            .is_staff()
            .then(|| login.created_at.plus(self.settings.staff_login_max))
    }

    /// Moves a login's expiry as far as it may be; its end.
    fn renew(&self, login: &mut Login, now: Timestamp) -> Option<Timestamp> {
        let (ends_at, idle) = (self.login_end(login), now.plus(self.settings.bearer_ttl));
        login.expires_at = ends_at.map_or(idle, |end| end.min(idle));
        ends_at
    }

    /// The login, unless its end has come: of one that was made or renewed under another setting, the store does not know.
    pub(super) fn standing(&self, login: Option<Login>, now: Timestamp) -> Option<Login> {
        login.filter(|l| self.login_end(l).is_none_or(|end| now < end))
    }

    /// Whether a login that opened something long-lived (a socket) has ended since, or was revoked. A login that is merely not renewed, since its
    /// page does nothing but listen, has not. Where the store does not answer nobody is sent away.
    pub async fn login_ended(&self, login: &Login) -> bool {
        let now = self.now();
        if self.login_end(login).is_some_and(|end| end <= now) {
            return true;
        }
        // at the beginning of time no login has expired: gone is gone
        matches!(self.ports.store.login_get(login.id, Timestamp(0)).await, Ok(None))
    }

    /// Whose bearer this is.
    ///
    /// # Errors
    /// `bearer-invalid` when it is nobody's (any more).
    pub async fn authenticate(&self, bearer: &str) -> Result<Login, AppError> {
        let now = self.now();
        let login = self.ports.store.login_by_bearer(TokenHash::of(bearer), now).await?;
        self.standing(login, now).ok_or_else(bearer_refused)
    }

    /// A new bearer for the same tab; the old one works for [`BEARER_GRACE`] more.
    ///
    /// # Errors
    /// `bearer-invalid` as for [`App::authenticate`].
    pub async fn rotate(&self, bearer: &str) -> Result<Signed, AppError> {
        let now = self.now();
        let mut login = self.authenticate(bearer).await?;
        let new = mint::secret(self.ports.entropy.as_ref());
        let ends_at = self.renew(&mut login, now);
        let (old, fresh) = (TokenHash::of(bearer), TokenHash::of(&new));
        let rotated = self
            .ports
            .store
            .login_rotate(login.id, old, fresh, login.expires_at, now.plus(BEARER_GRACE))
            .await?;
        if !rotated {
            return Err(bearer_refused());
        }
        Ok(Signed {
            bearer: new,
            login,
            ends_at,
        })
    }
}
