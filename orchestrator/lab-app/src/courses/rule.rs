//! What counts as what in a course, as its teacher says it.

use crate::{App, AppError};
use lab_core::{
    courses::IndicatorRule,
    launch::{Login, Role},
    nearest,
    port::{AuditEvent, ErrorKind, Store, StoreError},
};

/// Labs of each list: a course of a year, with one a week, twice over.
pub const RULE_LABS_MAX: usize = 100;

/// What is wrong with a rule, naming the field; none: nothing. Labs that were withdrawn count on: the course has them.
///
/// # Errors
/// The store's.
pub async fn rule_problem(store: &dyn Store, rule: &IndicatorRule) -> Result<Option<String>, StoreError> {
    if rule.first_week.is_empty() {
        return Ok(Some("first_week: name at least one lab".into()));
    }
    if !(1..=100).contains(&rule.pass_percent) {
        let found = rule.pass_percent;
        return Ok(Some(format!("pass_percent: {found} is not from 1 to 100")));
    }
    let known = store.lab_ids().await?;
    let second = [rule.second_week.clone()].into();
    for (field, labs) in [
        ("first_week", &rule.first_week),
        ("second_week", &second),
        ("labs", &rule.labs),
    ] {
        if labs.len() > RULE_LABS_MAX {
            let found = labs.len();
            return Ok(Some(format!("{field}: {found} labs; name {RULE_LABS_MAX} at most")));
        }
        if let Some(lab) = labs.iter().find(|lab| !known.contains(lab)) {
            let near = nearest(lab.as_str(), known.iter().map(lab_core::LabId::as_str));
            let remedy = near.map_or_else(
                || "`labwire lab ls` lists them".to_owned(),
                |near| format!("is {near} meant?"),
            );
            return Ok(Some(format!("{field}: there is no lab {lab}; {remedy}")));
        }
    }
    Ok(None)
}

impl App {
    /// Keeps what counts in the login's course, which is written down.
    ///
    /// # Errors
    /// `not-allowed` to anyone but the course's teacher; `invalid` naming the field.
    pub async fn rule_set(&self, login: &Login, rule: &IndicatorRule) -> Result<(), AppError> {
        if login.role != Role::Teacher {
            return Err(AppError::not_allowed("what counts in a course is its teacher's to say"));
        }
        let store = self.ports.store.as_ref();
        if let Some(problem) = rule_problem(store, rule).await? {
            return Err(AppError::refused(ErrorKind::Invalid, "invalid", problem));
        }
        let event = AuditEvent {
            at: self.now(),
            actor: login.subject.clone(),
            actor_name: login.name.clone(),
            role: login.role,
            action: "course-rule".into(),
            session: None,
            course: Some(login.course.clone()),
            about: None,
            detail: told(rule),
        };
        store.audit_append(&event).await?;
        Ok(store.rule_put(&login.course, rule).await?)
    }
}

fn told(rule: &IndicatorRule) -> String {
    let list = |labs: &std::collections::BTreeSet<lab_core::LabId>| {
        let ids: Vec<&str> = labs.iter().map(lab_core::LabId::as_str).collect();
        ids.join(", ")
    };
    format!(
        "first week: {}; second week: {}; grade: {}; {} %",
        list(&rule.first_week),
        rule.second_week,
        list(&rule.labs),
        rule.pass_percent
    )
}
