//! The file: its letters, its lines, and which column is which.

use super::{LIST_BYTES_MAX, RowProblem, whole};
use std::collections::BTreeMap;

/// A field, with the names that its column may have, as [`plain`] makes them. The first is what an export writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::courses) enum Field {
    Id,
    Name,
    Cohort,
    Site,
    /// Of the site, not of the person.
    SiteKind,
    Coach,
    External,
    Plan,
}

impl Field {
    pub(in crate::courses) const ALL: [Self; 8] = [
        Self::Id,
        Self::Name,
        Self::Cohort,
        Self::Site,
        Self::SiteKind,
        Self::Coach,
        Self::External,
        Self::Plan,
    ];

    /// What its column is called.
    pub(in crate::courses) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Id => &[
                "id",
                "identifiant",
                "subject",
                "person",
                "personne",
                "learner",
                "apprenant",
            ],
            Self::Name => &["name", "nom", "nom complet", "full name"],
            Self::Cohort => &["cohort", "cohorte", "group", "groupe", "promotion"],
            Self::Site => &["site", "lieu", "place", "ecole", "school"],
            Self::SiteKind => &["site kind", "type de site", "type de lieu", "kind of site"],
            Self::Coach => &["coach", "tuteur", "tutrice", "tutor", "accompagnateur"],
            Self::External => &[
                "external",
                "externe",
                "email",
                "e mail",
                "mail",
                "courriel",
                "external id",
                "matricule",
                "numero",
            ],
            Self::Plan => &["plan", "formule"],
        }
    }
}

/// UTF-8, with or without the mark that spreadsheets put before it.
pub(super) fn text_of(bytes: &[u8]) -> Result<&str, RowProblem> {
    if bytes.len() > LIST_BYTES_MAX {
        let remedy = format!("a list has at most {LIST_BYTES_MAX} bytes; split it");
        return Err(whole("bytes", &bytes.len().to_string(), remedy));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|e| {
        let before = &bytes[..e.valid_up_to()];
        let line = 1 + before.iter().filter(|b| **b == b'\n').count() as u64;
        let from = before.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
        let value: String = String::from_utf8_lossy(&bytes[from..]).chars().take(40).collect();
        RowProblem {
            line,
            field: "text".into(),
            value: value.lines().next().unwrap_or_default().to_owned(),
            remedy: "save the file as UTF-8 (in a spreadsheet: \"CSV UTF-8\")".into(),
        }
    })
}

/// What the first line has more of, outside quotes: a French spreadsheet writes `;`, for which the comma is in its numbers.
pub(super) fn separator(text: &str) -> char {
    let mut quoted = false;
    let (mut commas, mut semicolons) = (0, 0);
    for c in text.trim_start().chars().take_while(|c| *c != '\n') {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => commas += 1,
            ';' if !quoted => semicolons += 1,
            _ => {}
        }
    }
    if semicolons > commas { ';' } else { ',' }
}

/// The line of what begins at a place, from 1. The reader's own count is that of the end of the row before, which is another line where lines
/// are empty or end in two characters.
pub(super) fn line_at(text: &str, place: u64) -> u64 {
    let bytes = text.as_bytes();
    let place = usize::try_from(place).unwrap_or(usize::MAX).min(bytes.len());
    let blank = bytes[place..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let ends = |n: &usize| bytes[*n] == b'\n' || bytes[*n] == b'\r' && bytes.get(n + 1) != Some(&b'\n');
    1 + (0..place + blank).filter(ends).count() as u64
}

pub(super) fn unreadable(text: &str, e: &csv::Error) -> RowProblem {
    RowProblem {
        line: e.position().map_or(0, |p| line_at(text, p.byte())),
        field: "row".into(),
        value: String::new(),
        remedy: format!("it is not a line of this file's kind ({e})"),
    }
}

/// A column's name without case, accents and signs.
fn plain(name: &str) -> String {
    let lower = name.to_lowercase();
    let letters = lower.chars().map(|c| match c {
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'à' | 'â' => 'a',
        'î' | 'ï' => 'i',
        'ô' => 'o',
        'ù' | 'û' | 'ü' => 'u',
        'ç' => 'c',
        c if c.is_alphanumeric() => c,
        _ => ' ',
    });
    let spaced: String = letters.collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where each field is. A column nobody knows is refused: it may be one that is written wrong.
pub(super) fn columns(header: &csv::StringRecord) -> Result<BTreeMap<Field, usize>, Vec<RowProblem>> {
    let (mut found, mut problems) = (BTreeMap::new(), Vec::new());
    let names = || Field::ALL.map(|f| f.names()[0]).join(", ");
    let problem = |value: &str, remedy: String| RowProblem {
        line: 1,
        field: "column".into(),
        value: value.to_owned(),
        remedy,
    };
    for (n, name) in header.iter().enumerate() {
        let field = Field::ALL
            .into_iter()
            .find(|f| f.names().contains(&plain(name).as_str()));
        match field {
            Some(field) if found.insert(field, n).is_some() => {
                let remedy = format!("there are two columns of {}; remove one", field.names()[0]);
                problems.push(problem(name, remedy));
            }
            Some(_) => {}
            None => problems.push(problem(name, format!("name it one of {}, or remove it", names()))),
        }
    }
    if problems.is_empty() && !found.contains_key(&Field::Id) {
        let remedy = format!(
            "one column must be `id` (or identifiant); the others may be {}",
            names()
        );
        problems.push(problem(&header.iter().collect::<Vec<_>>().join(" "), remedy));
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}
