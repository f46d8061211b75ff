//! Mail, as far as we send some.

use super::ErrorKind;
use async_trait::async_trait;

/// A mail to an installation's own people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailMessage {
    pub to: Vec<String>,
    /// One line.
    pub subject: String,
    pub text: String,
    /// The same for the same news, so that who gets it twice sees it once: letters and digits.
    pub id: String,
}

/// See the module's doc.
#[async_trait]
pub trait Mail: Send + Sync + 'static {
    /// Hands one message to the mail server, and gives up within seconds.
    async fn send(&self, message: &MailMessage) -> Result<(), MailError>;
}

/// What failed. Never holds a password or what was sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error("no mail server is set (setting: alerts.mail)")]
    Unset,
    #[error("{address:?} is no mail address")]
    Address { address: String },
    #[error("the mail server refuses the message")]
    Refused {
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the mail server does not answer")]
    Unavailable {
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl MailError {
    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unset | Self::Address { .. } => ErrorKind::Invalid,
            Self::Refused { .. } => ErrorKind::Denied,
            Self::Unavailable { .. } => ErrorKind::Unavailable,
        }
    }

    /// Public code and metric label.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unset => "mail-unset",
            Self::Address { .. } => "mail-address",
            Self::Refused { .. } => "mail-refused",
            Self::Unavailable { .. } => "mail-unavailable",
        }
    }
}

/// Where no mail server is set.
#[derive(Clone, Copy, Debug)]
pub struct NoMail;

#[async_trait]
impl Mail for NoMail {
    async fn send(&self, _: &MailMessage) -> Result<(), MailError> {
        Err(MailError::Unset)
    }
}
