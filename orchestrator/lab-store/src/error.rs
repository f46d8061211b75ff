//! From what a database says to what a port may say. No SQL, value or address gets into a `Display`.

use lab_core::{port::StoreError, provisioning::IllegalTransition};

/// Why an operation's body stopped, before the operation's name is put to it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A rule said no.
    Refused(StoreError),
    Sql(sqlx::Error),
    /// A stored value makes no sense; the text names the column.
    Unreadable(String),
}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Self {
        Self::Refused(e)
    }
}

impl From<IllegalTransition> for Failure {
    fn from(e: IllegalTransition) -> Self {
        Self::Refused(e.into())
    }
}

impl From<sqlx::Error> for Failure {
    fn from(e: sqlx::Error) -> Self {
        Self::Sql(e)
    }
}

impl Failure {
    /// A thing that the caller named and that is not there.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "ids are copied or borrowed where this is called"
    )]
    pub(crate) fn missing(what: &'static str, id: impl ToString) -> Self {
        Self::Refused(StoreError::NotFound {
            what,
            id: id.to_string(),
        })
    }

    /// A thing that is not as the caller thought.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "ids are copied or borrowed where this is called"
    )]
    pub(crate) fn conflict(what: &'static str, id: impl ToString, detail: impl Into<String>) -> Self {
        Self::Refused(StoreError::Conflict {
            what,
            id: id.to_string(),
            detail: detail.into(),
        })
    }

    /// The port's error.
    pub(crate) fn during(self, operation: &'static str) -> StoreError {
        match self {
            Self::Refused(e) => e,
            Self::Unreadable(detail) => StoreError::Corrupt { operation, detail },
            Self::Sql(e) => sql(operation, e),
        }
    }
}

fn sql(operation: &'static str, error: sqlx::Error) -> StoreError {
    use sqlx::error::ErrorKind as K;
    match &error {
        // what the schema refuses, the code above it should have refused with a better word: a bug, not worth a retry
        sqlx::Error::Database(e) if !matches!(e.kind(), K::Other) => StoreError::Corrupt {
            operation,
            detail: format!(
                "the schema refused a row ({:?} {})",
                e.kind(),
                e.constraint().unwrap_or("unnamed")
            ),
        },
        sqlx::Error::ColumnDecode { index, .. } => StoreError::Corrupt {
            operation,
            detail: format!("column {index} has another type"),
        },
        sqlx::Error::ColumnNotFound(name) => StoreError::Corrupt {
            operation,
            detail: format!("column {name} is missing"),
        },
        _ => StoreError::Unavailable {
            operation,
            source: Box::new(error),
        },
    }
}

/// Puts an operation's name to its failure.
pub(crate) trait During<T> {
    fn during(self, operation: &'static str) -> Result<T, StoreError>;
}

impl<T> During<T> for Result<T, Failure> {
    fn during(self, operation: &'static str) -> Result<T, StoreError> {
        self.map_err(|e| e.during(operation))
    }
}

impl<T> During<T> for sqlx::Result<T> {
    fn during(self, operation: &'static str) -> Result<T, StoreError> {
        self.map_err(|e| sql(operation, e))
    }
}
