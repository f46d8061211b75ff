//! What a row says of a person, and what is known of them already.

use super::{Known, reading::Field};
use lab_core::{PlanId, Subject, courses::Enrolment, csv::unguarded};
use std::collections::{BTreeMap, HashMap};

/// What the row says, and for the columns that it has not, what is known.
pub(super) fn person(
    record: &csv::StringRecord,
    columns: &BTreeMap<Field, usize>,
    there: &HashMap<&str, &Enrolment>,
    beside: &Known<'_>,
) -> Enrolment {
    let cell = |field| {
        let column = columns.get(&field)?;
        Some(unguarded(record.get(*column).unwrap_or_default()).to_owned())
    };
    let subject = cell(Field::Id).unwrap_or_default();
    let known = there.get(subject.as_str());
    let text = |field, of: fn(&Enrolment) -> Option<String>| match cell(field) {
        Some(text) => Some(text).filter(|t| !t.is_empty()),
        None => known.copied().and_then(of),
    };
    Enrolment {
        course: beside.course.clone(),
        name: text(Field::Name, |k| Some(k.name.clone())).unwrap_or_default(),
        cohort: text(Field::Cohort, |k| k.cohort.clone()),
        site: text(Field::Site, |k| k.site.clone()),
        coach: text(Field::Coach, |k| k.coach.as_ref().map(ToString::to_string)).map(Subject),
        external: text(Field::External, |k| k.external.clone()),
        plan: text(Field::Plan, |k| k.plan.as_ref().map(ToString::to_string)).map(PlanId),
        enrolled_at: known.map_or(beside.at, |k| k.enrolled_at),
        subject: Subject(subject),
    }
}
