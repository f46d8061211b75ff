//! One person's all: shown, exported, erased. The command line uses it without an [`App`]; over HTTP it is for operations.

use super::{
    export::{ExportPiece, export},
    retention::clear_removed,
};
use crate::{App, AppError, Ports};
use futures_core::stream::BoxStream;
use lab_core::{
    Subject,
    entitlement::GrantBalance,
    launch::{Login, Role},
    port::{AuditEvent, ErrorKind, Session, SessionFilter},
    privacy::{Erased, Erasure, Footprint, PersonSummary, pseudonym},
};
use tokio_util::sync::CancellationToken;

/// Sessions of one person: three hundred a year for three hundred years.
const SESSIONS_MAX: u32 = 100_000;

/// What is here of a person.
#[derive(Clone, Debug)]
pub struct PersonView {
    pub subject: Subject,
    pub footprint: Footprint,
    /// Newest first.
    pub sessions: Vec<Session>,
    pub grants: Vec<GrantBalance>,
}

/// What became of an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedPerson {
    /// What there was.
    pub footprint: Footprint,
    /// What stands in the ledger's place of them now.
    pub pseudonym: Subject,
    /// Objects of recordings deleted.
    pub objects: u64,
}

/// Reads and forgets people. Authorise before you ask.
#[derive(Clone)]
pub struct People {
    ports: Ports,
}

/// Who does it, as the audit log names them.
#[derive(Clone, Debug)]
pub struct By {
    pub subject: Subject,
    pub name: String,
}

impl People {
    /// Through these ports.
    pub fn new(ports: Ports) -> Self {
        Self { ports }
    }

    /// Those whose id or name has `text` in it, last seen first.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn list(&self, text: &str) -> Result<Vec<PersonSummary>, AppError> {
        Ok(self.ports.store.person_list(text).await?)
    }

    /// What is here of a person.
    ///
    /// # Errors
    /// Not found when there is nothing.
    pub async fn show(&self, subject: &Subject) -> Result<PersonView, AppError> {
        let store = &self.ports.store;
        let footprint = store.person_footprint(subject).await?;
        if footprint.is_empty() {
            return Err(AppError::not_found("this person"));
        }
        let filter = SessionFilter {
            subject: Some(subject.clone()),
            limit: SESSIONS_MAX,
            ..SessionFilter::default()
        };
        Ok(PersonView {
            subject: subject.clone(),
            footprint,
            sessions: store.session_list(&filter).await?,
            grants: store.grant_list(subject, None).await?,
        })
    }

    /// All of a person as one ZIP, made while it is read; audited, and shown to them as a look. A piece that is an error is the last one:
    /// what came before is no whole archive.
    ///
    /// # Errors
    /// Not found when there is nothing of them.
    pub async fn export(&self, subject: &Subject, by: &By) -> Result<BoxStream<'static, ExportPiece>, AppError> {
        let person = self.show(subject).await?;
        let event = AuditEvent {
            at: self.ports.clock.now(),
            actor: by.subject.clone(),
            actor_name: by.name.clone(),
            role: Role::Operations,
            action: "export-person".into(),
            session: None,
            course: None,
            about: Some(subject.clone()),
            detail: String::new(),
        };
        self.ports.store.audit_append(&event).await?;
        tracing::info!(sessions = person.sessions.len(), "a person's data are exported");
        Ok(export(self.ports.clone(), person))
    }

    /// Forgets a person. A repeat changes nothing, and deletes objects that an earlier one could not.
    ///
    /// # Errors
    /// `person-live` while a lab of theirs is not over; what could not be deleted from the recordings' storage, which the sweep
    /// goes on with: the person is forgotten by then.
    pub async fn erase(&self, subject: &Subject, by: &By) -> Result<ErasedPerson, AppError> {
        let erasure = Erasure {
            subject: subject.clone(),
            pseudonym: pseudonym(self.ports.entropy.bytes32()),
            by: by.subject.clone(),
            by_name: by.name.clone(),
            at: self.ports.clock.now(),
        };
        let footprint = match self.ports.store.person_erase(&erasure).await? {
            Erased::Done(footprint) => footprint,
            Erased::Live(sessions) => return Err(live(&sessions)),
        };
        let objects = clear_removed(&self.ports, &CancellationToken::new()).await?;
        tracing::info!(pseudonym = %erasure.pseudonym, objects, "a person was forgotten");
        Ok(ErasedPerson {
            footprint,
            pseudonym: erasure.pseudonym,
            objects,
        })
    }
}

fn live(sessions: &[lab_core::SessionId]) -> AppError {
    let ids: Vec<_> = sessions.iter().map(ToString::to_string).collect();
    let message = format!(
        "a lab of this person is not over ({}); stop it, and ask again when it has ended",
        ids.join(", ")
    );
    AppError::refused(ErrorKind::Conflict, "person-live", message)
}

impl App {
    /// One person's all, for operations.
    ///
    /// # Errors
    /// `not-allowed` to anyone else.
    pub fn people(&self, login: &Login) -> Result<(People, By), AppError> {
        if login.role != Role::Operations {
            return Err(AppError::not_allowed(
                "people's data are handed out and erased by operations",
            ));
        }
        let by = By {
            subject: login.subject.clone(),
            name: login.name.clone(),
        };
        Ok((People::new(self.ports.clone()), by))
    }
}
