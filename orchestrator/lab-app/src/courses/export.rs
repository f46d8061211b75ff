//! A course's people as a list that [`super::read_list`] takes back.

use super::import::Field;
use lab_core::{
    courses::{Enrolment, Site},
    csv::guarded,
};
use std::collections::HashMap;

/// UTF-8 with its mark (French spreadsheets take it for Latin-1 otherwise), a person a line. `separator`: `;` for a spreadsheet that is set to French.
/// `sites`: those whose kind is known.
pub fn export_list(people: &[Enrolment], sites: &[Site], separator: char) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(if separator == ';' { b';' } else { b',' })
        .from_writer(b"\xEF\xBB\xBF".to_vec());
    let header = Field::ALL.map(|f| f.names()[0]);
    writer.write_record(header).expect("memory takes it");
    let kinds: HashMap<&str, &str> = sites.iter().map(|s| (s.id.as_str(), s.kind.code())).collect();
    for e in people {
        let kind = e.site.as_deref().and_then(|site| kinds.get(site).copied());
        let coach = e.coach.as_ref().map(lab_core::Subject::as_str);
        let plan = e.plan.as_ref().map(lab_core::PlanId::as_str);
        let row = Field::ALL.map(|field| {
            guarded(match field {
                Field::Id => e.subject.as_str(),
                Field::Name => &e.name,
                Field::Cohort => e.cohort.as_deref().unwrap_or_default(),
                Field::Site => e.site.as_deref().unwrap_or_default(),
                Field::SiteKind => kind.unwrap_or_default(),
                Field::Coach => coach.unwrap_or_default(),
                Field::External => e.external.as_deref().unwrap_or_default(),
                Field::Plan => plan.unwrap_or_default(),
            })
        });
        writer
            .write_record(row)
            .expect("memory takes it, and rows are as wide as the header");
    }
    writer.into_inner().expect("memory takes it")
}
