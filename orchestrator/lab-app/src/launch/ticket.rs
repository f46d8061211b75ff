//! Single-use tickets for WebSockets, which cannot carry a bearer in a header.

use super::mint;
use crate::{App, AppError};
use lab_core::{
    Timestamp, TokenHash, WriterId,
    launch::{Login, Ticket, TicketScope},
    port::ErrorKind,
};
use std::time::Duration;

/// Long enough for a slow network's handshake, too short to be worth stealing from a log.
pub const TICKET_TTL: Duration = Duration::from_secs(30);

/// What a ticket opened.
#[derive(Clone, Debug)]
pub struct Opened {
    pub login: Login,
    pub scope: TicketScope,
    /// The tab as a source of input, namespaced by its login.
    pub writer: WriterId,
}

/// A tab chooses its writer number; mixing in the login keeps it from choosing somebody else's.
fn writer_id(login: &Login, writer: u64) -> WriterId {
    let mut hash = blake3::Hasher::new();
    hash.update(login.id.0.as_bytes());
    hash.update(&writer.to_be_bytes());
    let mut eight = [0; 8];
    hash.finalize_xof().fill(&mut eight);
    u64::from_be_bytes(eight)
}

fn ticket_refused() -> AppError {
    AppError::refused(
        ErrorKind::Denied,
        "ticket-invalid",
        "the ticket was used, or is too old; ask for a new one",
    )
}

impl App {
    /// A ticket for one WebSocket, and until when it may be used. The tab's `writer` number travels inside the ticket's text,
    /// which is hashed whole, so it cannot be exchanged.
    ///
    /// # Errors
    /// Not found for a session that the login may not know; `not-allowed` when the role may not see it.
    pub async fn ticket(
        &self,
        login: &Login,
        scope: TicketScope,
        writer: u64,
    ) -> Result<(String, Timestamp), AppError> {
        match &scope {
            TicketScope::Session { session } => {
                self.session_for_terminals(login, *session).await?;
            }
            TicketScope::Wall { course } => {
                if !login.role.helps() {
                    return Err(AppError::not_allowed(
                        "the wall is for the teachers and coaches of a course",
                    ));
                }
                if *course != login.course {
                    return Err(AppError::not_found("the course"));
                }
            }
        }
        let text = format!("{}.{writer}", mint::secret(self.ports.entropy.as_ref()));
        let expires_at = self.now().plus(TICKET_TTL);
        let ticket = Ticket {
            hash: TokenHash::of(&text),
            login: login.id,
            scope,
            expires_at,
        };
        self.ports.store.ticket_create(&ticket).await?;
        Ok((text, expires_at))
    }

    /// Takes a ticket; it opens nothing a second time.
    ///
    /// # Errors
    /// `ticket-invalid` for one that is unknown, used or late.
    pub async fn ticket_open(&self, ticket: &str) -> Result<Opened, AppError> {
        let now = self.now();
        let writer = ticket
            .rsplit_once('.')
            .and_then(|(_, w)| w.parse().ok())
            .ok_or_else(ticket_refused)?;
        let taken = self
            .ports
            .store
            .ticket_take(TokenHash::of(ticket), now)
            .await?
            .ok_or_else(ticket_refused)?;
        let login = self.ports.store.login_get(taken.login, now).await?;
        let login = self.standing(login, now).ok_or_else(ticket_refused)?;
        let writer = writer_id(&login, writer);
        Ok(Opened {
            login,
            scope: taken.scope,
            writer,
        })
    }
}
