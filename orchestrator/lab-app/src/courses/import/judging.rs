//! Whether a row may be: every fault of it is named.

use super::{
    Known, RowProblem,
    enrolling::person,
    reading::{Field, line_at},
};
use lab_core::{
    courses::{Enrolment, SiteKind},
    csv::unguarded,
};
use std::collections::{BTreeMap, HashMap};

/// The rows so far.
pub(super) struct Judge<'a> {
    pub text: &'a str,
    pub known: Known<'a>,
    pub columns: BTreeMap<Field, usize>,
    /// Fields of the first line.
    pub width: usize,
    pub there: HashMap<&'a str, &'a Enrolment>,
    /// The place each person is at.
    pub places: HashMap<String, u64>,
    /// The kind of each site, and the place that says it.
    pub sites: BTreeMap<String, (SiteKind, u64)>,
    pub problems: Vec<RowProblem>,
}

impl Judge<'_> {
    /// The person of a row, where nothing is wrong with it.
    pub fn row(&mut self, record: &csv::StringRecord) -> Option<Enrolment> {
        let place = record.position().map_or(0, csv::Position::byte);
        let before = self.problems.len();
        if record.len() != self.width {
            let remedy = format!(
                "{} fields, where the first line has {}; put fields that hold the separator in quotes",
                record.len(),
                self.width
            );
            self.say(place, "row", &record.iter().collect::<Vec<_>>().join(" | "), remedy);
            return None;
        }
        let person = person(record, &self.columns, &self.there, &self.known);
        for p in person.problems() {
            self.say(place, p.field, &p.value, p.remedy);
        }
        if let Some(plan) = &person.plan
            && !self.known.plans.iter().any(|p| p.id == *plan)
        {
            let names: Vec<_> = self.known.plans.iter().map(|p| p.id.as_str()).collect();
            let remedy = format!("use one of {}, or add it with `labwire plan set`", names.join(", "));
            self.say(place, "plan", plan.as_str(), remedy);
        }
        self.site(record, person.site.as_deref(), place);
        if let Some(first) = self.places.insert(person.subject.to_string(), place) {
            self.say(
                place,
                "id",
                person.subject.as_str(),
                format!("it is on line {} already; remove one", line_at(self.text, first)),
            );
        }
        (self.problems.len() == before).then_some(person)
    }

    /// What kind of place the row's site is, where it says so. An empty cell takes nothing away: the kind is not this person's.
    fn site(&mut self, record: &csv::StringRecord, site: Option<&str>, place: u64) {
        let column = self.columns.get(&Field::SiteKind);
        let text = column.and_then(|n| record.get(*n)).map(unguarded).unwrap_or_default();
        if text.is_empty() {
            return;
        }
        let field = Field::SiteKind.names()[0];
        let Some(kind) = SiteKind::read(text) else {
            let codes = SiteKind::ALL.map(SiteKind::code).join(", ");
            return self.say(place, field, text, format!("use one of {codes}"));
        };
        let Some(site) = site else {
            return self.say(place, field, text, "name the site that is of this kind".into());
        };
        match self.sites.get(site) {
            Some((other, first)) if *other != kind => {
                let remedy = format!(
                    "line {} says that {site} is a {}; say one of them",
                    line_at(self.text, *first),
                    other.code()
                );
                self.say(place, field, text, remedy);
            }
            Some(_) => {}
            None => drop(self.sites.insert(site.to_owned(), (kind, place))),
        }
    }

    fn say(&mut self, place: u64, field: &str, value: &str, remedy: String) {
        let line = line_at(self.text, place);
        self.problems.push(RowProblem {
            line,
            field: field.to_owned(),
            // a value is shown so that it can be found, not whole
            value: value.chars().take(80).collect(),
            remedy,
        });
    }
}
