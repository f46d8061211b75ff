//! Who launches by LTI 1.3 and was somebody by LTI 1.1: one person from then on, when the platform proves it.

use crate::{App, AppError};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use lab_core::{
    Subject,
    launch::{
        Role,
        lti::{Fault, Kind, LtiRefusal, Migration, Registration, RegistrationKey, SamePerson, Verified},
    },
    port::{AuditEvent, ErrorKind, SessionFilter},
};
use sha2::Sha256;

impl App {
    /// Makes the two ids one person. What cannot be proved or done is noted for `labwire lti test`, and the launch goes on as itself.
    pub(super) async fn migrate(
        &self,
        registration: &Registration,
        launch: &Verified,
        old: &Migration,
    ) -> Result<(), AppError> {
        match self.migrated(registration, launch, old).await? {
            Ok(()) => Ok(()),
            Err(why) => self.note(registration, why).await,
        }
    }

    async fn migrated(
        &self,
        registration: &Registration,
        launch: &Verified,
        old: &Migration,
    ) -> Result<Result<(), LtiRefusal>, AppError> {
        let key = RegistrationKey::Consumer { key: old.key.clone() };
        let consumer = self.ports.store.lti_registration_find(&key).await?.pop();
        let Some(Kind::Consumer { secret, .. }) = consumer.map(|r| r.kind) else {
            return Ok(Err(Fault::MigrationSign.because(format!(
                "no registration has the key {:?} of lti1p1; the launch went on",
                old.key
            ))));
        };
        if !signature_fits(old, &secret) {
            return Ok(Err(Fault::MigrationSign.because(format!(
                "oauth_consumer_key_sign is not that of the key {:?} with the registered secret; the launch went on",
                old.key
            ))));
        }
        let store = &self.ports.store;
        let now = store.same_person_of(&launch.subject).await?;
        let before = store.same_person_of(&old.subject).await?;
        if now == before {
            return Ok(Ok(()));
        }
        // who has labs or lab time here is the person; the other id becomes one more name of theirs
        let (alias, subject) = match (self.has_anything(&now).await?, self.has_anything(&before).await?) {
            (false, _) => (now, before),
            (true, false) => (before, now),
            (true, true) => {
                return Ok(Err(Fault::MigrationTwo.because(format!(
                    "{before} and {now} both have labs or lab time; say which one they are: `labwire person link`; the launch went on"
                ))));
            }
        };
        let same = SamePerson {
            alias,
            subject,
            at: self.now(),
            by: Subject(registration.source()),
        };
        match store.same_person_put(&same).await {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::Conflict => {
                return Ok(Err(Fault::MigrationTwo.because(format!(
                    "{} cannot be {}: one of them is somebody else already (`labwire person links`); the launch went on",
                    same.alias, same.subject
                ))));
            }
            Err(e) => return Err(e.into()),
        }
        self.told_who(registration, &old.key, &same).await?;
        Ok(Ok(()))
    }

    async fn has_anything(&self, subject: &Subject) -> Result<bool, AppError> {
        let store = &self.ports.store;
        if !store.grant_list(subject, None).await?.is_empty() {
            return Ok(true);
        }
        let theirs = SessionFilter {
            subject: Some(subject.clone()),
            limit: 1,
            ..SessionFilter::default()
        };
        Ok(!store.session_list(&theirs).await?.is_empty())
    }

    /// Nobody of ours did it: the platform said so, and proved it.
    async fn told_who(&self, registration: &Registration, key: &str, same: &SamePerson) -> Result<(), AppError> {
        // who, stands in `labwire person links`: our own logs name nobody
        tracing::info!(registration = %registration.id, "one person by LTI 1.1 and 1.3");
        let event = AuditEvent {
            at: same.at,
            actor: same.by.clone(),
            actor_name: registration.id.to_string(),
            role: Role::Operations,
            action: "link-person".to_owned(),
            session: None,
            course: None,
            about: Some(same.subject.clone()),
            // who is who stands in `labwire person links`, until one of them is forgotten
            detail: format!("lti1p1 of the key {key}"),
        };
        Ok(self.ports.store.audit_append(&event).await?)
    }
}

/// In constant time.
fn signature_fits(old: &Migration, secret: &str) -> bool {
    let Ok(signature) = STANDARD.decode(&old.signature) else {
        return false;
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(old.signed.as_bytes());
    mac.verify_slice(&signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old(signed: &str, signature: &str) -> Migration {
        Migration {
            key: String::new(),
            subject: Subject(String::new()),
            signed: signed.into(),
            signature: signature.into(),
        }
    }

    /// The first is the example of the guide itself; the second was made by Python's `hmac`:
    /// `base64.b64encode(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())`.
    #[test]
    fn what_others_signed_is_right_and_a_changed_letter_is_not() {
        let vectors = [
            (
                "179248902&689302&https://lmsvendor.com&PM48OJSfGDTAzAo&1551290856&172we8671fd8z",
                "my-lti11-secret",
                "lWd54kFo5qU7xshAna6v8BwoBm6tmUjc6GTax6+12ps=",
            ),
            (
                "fun&dép 1&https://lms.example.org&client-1&1800003600&n-1",
                "s3cret & accentué",
                "6qh/dqnxX+ITtB4azeEgG4ucCNeaajpy3X0rGzdfImI=",
            ),
        ];
        for (signed, secret, signature) in vectors {
            assert!(signature_fits(&old(signed, signature), secret), "{signed}");
            assert!(!signature_fits(&old(signed, signature), &format!("{secret}x")));
            assert!(!signature_fits(&old(&signed.replace('1', "2"), signature), secret));
            assert!(!signature_fits(&old(signed, ""), secret));
            assert!(!signature_fits(&old(signed, "not base64"), secret));
        }
    }
}
