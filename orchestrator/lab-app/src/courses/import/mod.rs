//! A list of a course's people, as a spreadsheet writes it: read whole, every fault named, or nothing of it.
//!
//! Columns are found by their names, in French or English, in any order. A column that is not there leaves what is known as it is; an empty cell takes
//! it away.

mod enrolling;
mod judging;
mod reading;

pub(super) use reading::Field;

use judging::Judge;
use lab_core::{
    CourseId, Timestamp,
    courses::{ENROLMENTS_MAX, Enrolment, Site, SiteKind},
    entitlement::Plan,
};
use reading::{columns, separator, text_of, unreadable};
use std::collections::{BTreeMap, HashMap};

/// 5 000 people with seven long fields each are 4 MB; what is longer is not a list of people.
pub const LIST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Faults told at once: who has more has one that repeats.
const PROBLEMS_MAX: usize = 200;

/// A row, or the file, that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProblem {
    /// In the file, from 1; 0: the file as a whole.
    pub line: u64,
    pub field: String,
    pub value: String,
    pub remedy: String,
}

impl std::fmt::Display for RowProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        write!(f, "{} {:?}: {}", self.field, self.value, self.remedy)
    }
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// What stood between fields.
    pub separator: char,
    pub people: Vec<Enrolment>,
    /// Sites whose kind it says, by name.
    pub sites: Vec<Site>,
}

/// What a list is read beside.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub course: &'a CourseId,
    pub plans: &'a [Plan],
    /// Who is in the course already.
    pub people: &'a [Enrolment],
    pub at: Timestamp,
}

/// Reads a list.
///
/// # Errors
/// Everything that is wrong with it (the first 200): then nothing of it counts.
pub fn read_list(bytes: &[u8], known: Known<'_>) -> Result<List, Vec<RowProblem>> {
    let text = text_of(bytes).map_err(|p| vec![p])?;
    let separator = separator(text);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator as u8)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| vec![unreadable(text, &e)])?.clone();
    let columns = columns(&header)?;
    let mut rows = Judge {
        text,
        known,
        columns,
        width: header.len(),
        there: known.people.iter().map(|e| (e.subject.as_str(), e)).collect(),
        places: HashMap::new(),
        sites: BTreeMap::new(),
        problems: Vec::new(),
    };
    let mut people = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) if record.iter().all(str::is_empty) => {}
            Ok(record) => people.extend(rows.row(&record)),
            Err(e) => rows.problems.push(unreadable(text, &e)),
        }
        if people.len() > ENROLMENTS_MAX {
            let remedy = format!("a list has at most {ENROLMENTS_MAX} people; split it over several courses");
            return Err(vec![whole("rows", &format!("more than {ENROLMENTS_MAX}"), remedy)]);
        }
        if rows.problems.len() >= PROBLEMS_MAX {
            break;
        }
    }
    if !rows.problems.is_empty() {
        rows.problems.truncate(PROBLEMS_MAX);
        return Err(rows.problems);
    }
    if people.is_empty() {
        let remedy = "write a person a line, below the names of the columns".to_owned();
        return Err(vec![whole("rows", "none", remedy)]);
    }
    let site = |(id, (kind, _)): (String, (SiteKind, u64))| Site { id: id.into(), kind };
    Ok(List {
        separator,
        people,
        sites: rows.sites.into_iter().map(site).collect(),
    })
}

fn whole(field: &str, value: &str, remedy: String) -> RowProblem {
    RowProblem {
        line: 0,
        field: field.to_owned(),
        value: value.to_owned(),
        remedy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::courses::export_list;
    use lab_core::{Subject, entitlement::Bilingual};
    use proptest::prelude::*;

    fn plans() -> Vec<Plan> {
        let name = Bilingual {
            en: "Q".into(),
            fr: "Q".into(),
        };
        vec![Plan::new("QUALIFYING", name)]
    }

    fn read_beside(bytes: &[u8], people: &[Enrolment]) -> Result<List, Vec<RowProblem>> {
        let known = Known {
            course: &"net".into(),
            plans: &plans(),
            people,
            at: Timestamp(7),
        };
        read_list(bytes, known)
    }

    fn people(text: &str) -> Vec<Enrolment> {
        read_beside(text.as_bytes(), &[]).unwrap().people
    }

    fn said(text: &str) -> Vec<String> {
        let problems = read_beside(text.as_bytes(), &[]).unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_french_spreadsheet_with_its_mark_accents_and_semicolons_is_read() {
        let text = "\u{feff}Identifiant;Nom complet;Cohorte;École;Tuteur;Courriel;Formule\r\n\
                    lms.example.org#7f3a;Zoé Œuvrard;Été, 2027;Brest;prof.curie;zoe@example.org;QUALIFYING\r\n\
                    ana;\"Ana; \"\"la\"\" Lovelace\";;;;;\r\n\r\n";
        let list = read_beside(text.as_bytes(), &[]).unwrap();
        assert_eq!((list.separator, list.people.len()), (';', 2));
        let zoe = &list.people[0];
        assert_eq!(
            (zoe.subject.as_str(), zoe.name.as_str()),
            ("lms.example.org#7f3a", "Zoé Œuvrard")
        );
        assert_eq!(
            (zoe.cohort.as_deref(), zoe.site.as_deref()),
            (Some("Été, 2027"), Some("Brest"))
        );
        assert_eq!(
            (zoe.coach.clone(), zoe.plan.clone()),
            (Some("prof.curie".into()), Some("QUALIFYING".into()))
        );
        assert_eq!(
            (zoe.external.as_deref(), zoe.enrolled_at),
            (Some("zoe@example.org"), Timestamp(7))
        );
        assert_eq!(
            (list.people[1].name.as_str(), &list.people[1].cohort),
            ("Ana; \"la\" Lovelace", &None)
        );
    }

    #[test]
    fn english_names_commas_and_any_order_are_read() {
        let list = people("name , ID\nAda, ada\n");
        assert_eq!(
            (list[0].subject.as_str(), list[0].name.as_str(), &list[0].plan),
            ("ada", "Ada", &None)
        );
        // a comma in quotes is no separator of the first line
        assert_eq!(
            people("id;\"e-mail\"\nada;a@b.c\n")[0].external.as_deref(),
            Some("a@b.c")
        );
    }

    #[test]
    fn a_column_that_is_not_there_leaves_what_is_known_and_an_empty_cell_takes_it_away() {
        let known = people("id,name,cohort,coach\nada,Ada,A,prof\nlin,Lin,B,prof\n");
        let after = read_beside("id,cohort\nada,\nlin,C\n".as_bytes(), &known)
            .unwrap()
            .people;
        assert_eq!((after[0].name.as_str(), &after[0].cohort), ("Ada", &None));
        assert_eq!(
            (after[1].cohort.as_deref(), after[1].coach.clone()),
            (Some("C"), Some("prof".into()))
        );
    }

    #[test]
    fn a_list_says_what_kind_of_place_its_sites_are_and_an_export_says_it_again() {
        let text =
            "id;École;Type de site\nada;Dakar;école\nlin;Dakar;\nbob;Acme;Entreprise\neve;Brest;Fab Lab\nkim;;\n";
        let list = read_beside(text.as_bytes(), &[]).unwrap();
        let site = |id: &str, kind| Site { id: id.into(), kind };
        let sites = [
            site("Acme", SiteKind::Company),
            site("Brest", SiteKind::FabLab),
            site("Dakar", SiteKind::School),
        ];
        assert_eq!(list.sites, sites);
        let bytes = export_list(&list.people, &list.sites, ';');
        let again = read_beside(&bytes, &[]).unwrap();
        assert_eq!((again.people, again.sites), (list.people, list.sites));
        assert!(String::from_utf8(bytes).unwrap().contains("lin;;;Dakar;school;"));
        // what is known of a person counts where the list has no column of sites
        let known = people("id,site\nada,Dakar\n");
        let list = read_beside("id,site kind\nada,company\n".as_bytes(), &known).unwrap();
        assert_eq!(list.sites, [site("Dakar", SiteKind::Company)]);
    }

    #[test]
    fn a_kind_that_is_none_or_of_no_site_or_another_one_before_is_named() {
        let said = said("id,site,site_kind\nada,Dakar,université\nlin,,school\nbob,Brest,school\neve,Brest,company\n");
        assert_eq!(
            said,
            [
                "line 2: site kind \"université\": use one of fablab, company, school",
                "line 3: site kind \"school\": name the site that is of this kind",
                "line 5: site kind \"company\": line 4 says that Brest is a school; say one of them",
            ]
        );
    }

    #[test]
    fn every_row_that_is_wrong_is_named_by_line_field_value_and_remedy() {
        let long = "x".repeat(130);
        let text = format!("id;name;plan\nada;Ada;GOLD\n;Nobody;\nlin;{long};\nada;Again;\nbob;too;many;fields\n");
        let said = said(&text);
        assert_eq!(said.len(), 5, "{said:?}");
        assert!(
            said[0].starts_with("line 2: plan \"GOLD\": use one of QUALIFYING"),
            "{}",
            said[0]
        );
        assert!(said[1].starts_with("line 3: id \"\":"), "{}", said[1]);
        assert!(said[2].starts_with("line 4: name \"xxx"), "{}", said[2]);
        assert!(
            said[3].starts_with("line 5: id \"ada\": it is on line 2"),
            "{}",
            said[3]
        );
        assert!(
            said[4].starts_with("line 6: row \"bob | too | many | fields\": 4 fields, where the first line has 3"),
            "{}",
            said[4]
        );
    }

    #[test]
    fn a_row_is_on_the_line_that_an_editor_shows() {
        for (end, blank) in [("\n", ""), ("\r\n", ""), ("\r", ""), ("\n", "\n\n"), ("\r\n", "\r\n")] {
            let text = format!("\u{feff}id;plan{end}ada;{end}{blank}\"a{end}b\";{end}lin;GOLD{end}");
            let lines: Vec<u64> = read_beside(text.as_bytes(), &[])
                .unwrap_err()
                .iter()
                .map(|p| p.line)
                .collect();
            let more = text.matches("\n\n\n").count() as u64 * 2 + text.matches("\r\n\r\n").count() as u64;
            assert_eq!(lines, [3 + more, 5 + more], "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_columns_is_said_before_any_row() {
        assert!(said("name,plan\nAda,\n")[0].contains("one column must be `id`"));
        assert!(said("id,Pronom\nada,\n")[0].starts_with("line 1: column \"Pronom\": name it one of id, name"));
        assert!(said("id,identifiant\nada,ada\n")[0].contains("two columns of id"));
        assert!(said("id\n")[0].contains("rows \"none\""));
        assert!(said("")[0].contains("id"), "{:?}", said(""));
    }

    #[test]
    fn a_file_of_another_encoding_is_told_where() {
        let problems = read_beside(b"id;nom\nada;Ada\nzoe;Zo\xe9\n", &[]).unwrap_err();
        assert_eq!((problems[0].line, problems[0].field.as_str()), (3, "text"));
        assert!(problems[0].remedy.contains("UTF-8"));
    }

    #[test]
    fn a_list_is_bounded_in_rows_bytes_and_faults() {
        let rows = |n: usize| format!("id\n{}", (0..n).map(|i| format!("p{i}\n")).collect::<String>());
        assert_eq!(people(&rows(ENROLMENTS_MAX)).len(), ENROLMENTS_MAX);
        assert!(said(&rows(ENROLMENTS_MAX + 1))[0].contains("at most 5000 people"));
        assert!(said(&"x".repeat(LIST_BYTES_MAX + 1))[0].contains("bytes"));
        let faulty = format!(
            "id,plan\n{}",
            (0..1000).map(|i| format!("p{i},GOLD\n")).collect::<String>()
        );
        assert_eq!(said(&faulty).len(), PROBLEMS_MAX);
    }

    #[test]
    fn what_a_spreadsheet_would_run_is_disarmed_and_comes_back_as_it_was() {
        let mut list = people("id,name\nada,Ada\n");
        list[0].name = "=HYPERLINK(\"x\")".into();
        list[0].cohort = Some("'@home".into());
        let text = String::from_utf8(export_list(&list, &[], ';')).unwrap();
        assert!(
            text.contains("\"'=HYPERLINK(\"\"x\"\")\"") && text.contains("''@home"),
            "{text}"
        );
        assert_eq!(read_beside(text.as_bytes(), &[]).unwrap().people, list);
    }

    /// Text that a field may hold, with everything that is special in a list.
    fn field() -> impl Strategy<Value = String> {
        "[a-zéœ;,\"'=+@# -]{0,12}".prop_map(|t| t.trim().to_owned())
    }

    proptest! {
        #[test]
        fn what_is_exported_is_imported_as_it_was(fields in prop::collection::vec((field(), field(), field()), 1..8), french: bool) {
            let some = |t: &str| Some(t.to_owned()).filter(|t| !t.is_empty());
            let list: Vec<Enrolment> = fields.iter().enumerate().map(|(n, (name, cohort, external))| Enrolment {
                course: "net".into(),
                subject: format!("p{n}{external}").into(),
                name: name.clone(),
                cohort: some(cohort),
                site: None,
                coach: some(external).map(Subject),
                external: some(external),
                plan: Some("QUALIFYING".into()),
                enrolled_at: Timestamp(7),
            }).collect();
            let bytes = export_list(&list, &[], if french { ';' } else { ',' });
            prop_assert_eq!(read_beside(&bytes, &[]).unwrap().people, list);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_beside(&bytes, &[]);
            let mut with_header = b"id;name\n".to_vec();
            with_header.extend(&bytes);
            let _ = read_beside(&with_header, &[]);
        }
    }
}
