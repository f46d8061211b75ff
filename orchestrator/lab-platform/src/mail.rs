//! Mail by SMTP: the port [`lab_core::port::Mail`]. The server is the installation's own choice, so it may be in a private network.

use async_trait::async_trait;
use lab_core::port::{Mail, MailError, MailMessage};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
};
use std::time::Duration;

/// A mail server takes a message in a second or two, with its greylisting in ten.
const SEND_WITHIN: Duration = Duration::from_secs(15);

/// See the module's doc.
pub struct SmtpMail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Why there is no way to send mail.
#[derive(Debug, thiserror::Error)]
pub enum MailOpenError {
    #[error("{0:?} is no mail address")]
    From(String),
    // the address may hold a password, and its parser's error may hold the address
    #[error("the server's address is not like smtp://host:25 or smtps://user:password@host:465")]
    Server,
}

impl SmtpMail {
    /// `server`: `smtps://user:password@host:465`, `smtp://user:password@host:587?tls=required` (STARTTLS), or `smtp://host:25` without TLS.
    pub fn open(server: &str, from: &str) -> Result<Self, MailOpenError> {
        let from = from.parse().map_err(|_| MailOpenError::From(from.to_owned()))?;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(server).map_err(|_| MailOpenError::Server)?;
        Ok(Self {
            transport: builder.timeout(Some(SEND_WITHIN)).build(),
            from,
        })
    }
}

#[async_trait]
impl Mail for SmtpMail {
    async fn send(&self, message: &MailMessage) -> Result<(), MailError> {
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(&message.subject)
            .message_id(Some(format!("<{}@labwire>", message.id)))
            .header(ContentType::TEXT_PLAIN);
        for address in &message.to {
            let to: Mailbox = address.parse().map_err(|_| MailError::Address {
                address: address.clone(),
            })?;
            builder = builder.to(to);
        }
        let mail = builder
            .body(message.text.clone())
            .map_err(|e| MailError::Refused { source: Box::new(e) })?;
        let sent = tokio::time::timeout(SEND_WITHIN, self.transport.send(mail)).await;
        match sent {
            Ok(Ok(_)) => Ok(()),
            // 4xx: later; 5xx: never, but whoever mends the server wants it sent then
            Ok(Err(e)) if e.is_permanent() => Err(MailError::Refused { source: Box::new(e) }),
            Ok(Err(e)) => Err(MailError::Unavailable { source: Box::new(e) }),
            Err(late) => Err(MailError::Unavailable { source: Box::new(late) }),
        }
    }
}
