//! A statement for people: made of the ledger, and written as a table, a page, a PDF, CSV or JSON.
//!
//! `sheet` says once, in one language, what stands on it; the others only write that down.

mod csv;
mod html;
mod pdf;
mod sheet;
mod table;

use crate::{App, AppError};
use lab_core::{
    launch::{Login, Role},
    metering::{AlertState, Cost, Period, Reconciliation, Statement, StatementOf},
    port::{ErrorKind, Store},
};

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementFormat {
    Table,
    Html,
    Pdf,
    Csv,
    Json,
}

impl StatementFormat {
    pub const ALL: [Self; 5] = [Self::Table, Self::Html, Self::Pdf, Self::Csv, Self::Json];

    /// As it is asked for; also the ending of a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Html => "html",
            Self::Pdf => "pdf",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    /// Read back from its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }

    /// For browsers.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Table => "text/plain; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Pdf => "application/pdf",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

/// What it is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    En,
    Fr,
}

impl Language {
    /// Read back from `en` or `fr`.
    pub fn from_code(code: &str) -> Option<Self> {
        match code {
            "en" => Some(Self::En),
            "fr" => Some(Self::Fr),
            _ => None,
        }
    }
}

/// A statement, and what stood ready for nobody in its period.
pub struct StatementFile {
    pub statement: Statement,
    /// Sandboxes that were kept warm, of the whole installation: nobody's, so on the statement of a course alone and apart from its sums.
    pub overhead: Vec<Cost>,
}

impl StatementFile {
    /// Writes it down.
    pub fn written(&self, format: StatementFormat, language: Language) -> Vec<u8> {
        match format {
            StatementFormat::Table => table::write(&sheet::of(self, language)).into_bytes(),
            StatementFormat::Html => html::write(&sheet::of(self, language)).into_bytes(),
            StatementFormat::Pdf => pdf::write(&sheet::of(self, language)),
            StatementFormat::Csv => csv::write(&self.statement).into_bytes(),
            StatementFormat::Json => {
                let text = serde_json::to_string_pretty(&self.statement);
                text.expect("plain data is JSON").into_bytes()
            }
        }
    }
}

/// Makes the statement of a period.
///
/// # Errors
/// The period is empty, the store does not answer, or its sums do not agree, which nothing of ours can do.
pub async fn statement(store: &dyn Store, of: StatementOf, period: Period) -> Result<StatementFile, AppError> {
    if period.from >= period.until {
        let message = format!("from: {} is not before until: {}", period.from, period.until);
        return Err(AppError::refused(ErrorKind::Invalid, "statement-period", message));
    }
    let facts = store.statement_facts(&of, period.until).await?;
    let overhead = match of {
        StatementOf::Course(_) => store.overhead(period.from, period.until).await?,
        _ => Vec::new(),
    };
    let statement = Statement::new(of, period, &facts);
    let wrong = statement.disagreements();
    if !wrong.is_empty() {
        tracing::error!(found = wrong.join("; "), "a statement does not agree with the ledger");
        let message = "its sums do not agree with the ledger; run `labwire reconcile`";
        return Err(AppError::refused(ErrorKind::Bug, "statement-disagrees", message));
    }
    Ok(StatementFile { statement, overhead })
}

impl App {
    /// See [`statement`]; for operations, and a sponsor's own for that sponsor. Written down as seen.
    ///
    /// # Errors
    /// `not-allowed`, and as there.
    pub async fn statement(&self, login: &Login, of: StatementOf, period: Period) -> Result<StatementFile, AppError> {
        let own = matches!(&of, StatementOf::Sponsor(sponsor) if login.sponsor.as_ref() == Some(sponsor));
        if !(login.role == Role::Operations || (login.role == Role::Sponsor && own)) {
            return Err(AppError::not_allowed(
                "statements are for operations, and each sponsor's own for that sponsor",
            ));
        }
        let detail = format!("{} {} {} to {}", of.kind(), of.id(), period.from, period.until);
        self.audit_append(login, "statement", None, &detail).await?;
        statement(self.ports.store.as_ref(), of, period).await
    }

    /// The last reconciliation, and the latest alerts; for operations.
    ///
    /// # Errors
    /// `not-allowed`; the store does not answer.
    pub async fn accounts(&self, login: &Login) -> Result<(Option<Reconciliation>, Vec<AlertState>), AppError> {
        if login.role != Role::Operations {
            return Err(AppError::not_allowed("the accounts are for operations"));
        }
        let store = &self.ports.store;
        Ok((store.reconciliation_last().await?, store.alert_list().await?))
    }
}

#[cfg(test)]
mod tests;
