//! Links become logins; bearers are recognised and rotated.

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

/// A bearer for a tab, and whose it is. The bearer is nowhere else.
#[derive(Clone)]
pub struct Signed {
    pub bearer: String,
    pub login: Login,
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signed")
            .field("bearer", &"..")
            .field("login", &self.login)
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
            return Err(LaunchRefusal::LabMissing.into());
        }
        // kept a day longer than the link, so that clocks that differ cannot make it usable again
        let keep_until = Timestamp::from_secs(claims.exp).plus(Duration::from_hours(24));
        if let Redeem::Used { .. } = self.ports.store.launch_redeem(claims.jti, now, keep_until).await? {
            return Err(LaunchRefusal::AlreadyUsed.into());
        }
        let login = Login {
            id: LoginId(self.fresh_uuid()),
            name: claims.name.unwrap_or_else(|| claims.sub.to_string()),
            subject: claims.sub,
            role: claims.role,
            course: claims.course,
            lab: claims.lab,
            plan: claims.plan,
            sponsor: claims.sponsor,
            created_at: now,
            expires_at: now.plus(self.settings.bearer_ttl),
        };
        let bearer = mint::secret(self.ports.entropy.as_ref());
        self.ports.store.login_create(&login, TokenHash::of(&bearer)).await?;
        tracing::info!(login.id = %login.id, role = login.role.name(), course = %login.course, "signed in");
        Ok(Signed { bearer, login })
    }

    /// Whose bearer this is.
    ///
    /// # Errors
    /// `bearer-invalid` when it is nobody's (any more).
    pub async fn authenticate(&self, bearer: &str) -> Result<Login, AppError> {
        self.ports
            .store
            .login_by_bearer(TokenHash::of(bearer), self.now())
            .await?
            .ok_or_else(bearer_refused)
    }

    /// A new bearer for the same tab; the old one works for [`BEARER_GRACE`] more.
    ///
    /// # Errors
    /// `bearer-invalid` as for [`App::authenticate`].
    pub async fn rotate(&self, bearer: &str) -> Result<Signed, AppError> {
        let now = self.now();
        let mut login = self.authenticate(bearer).await?;
        let new = mint::secret(self.ports.entropy.as_ref());
        login.expires_at = now.plus(self.settings.bearer_ttl);
        let (old, fresh) = (TokenHash::of(bearer), TokenHash::of(&new));
        let rotated = self
            .ports
            .store
            .login_rotate(login.id, old, fresh, login.expires_at, now.plus(BEARER_GRACE))
            .await?;
        if !rotated {
            return Err(bearer_refused());
        }
        Ok(Signed { bearer: new, login })
    }
}
