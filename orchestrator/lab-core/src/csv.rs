//! Cells of CSV files (RFC 4180) that spreadsheets open: what is text stays text.
//!
//! Everything that writes one goes by [`cell`]; numbers of ours are written as they are, and stay numbers.

/// What a spreadsheet takes for the beginning of a formula; a tab or a carriage return before one hides it.
const BEGINS_A_FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// What looks like nothing; the mark of UTF-8 among it, which readers take off a file's beginning.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}')
}

/// Whether a spreadsheet may run a text. Some look past blanks and quotes, so that is what is looked at here; past apostrophes too, since those of
/// [`guarded`] must be told from a text's own.
fn is_run(text: &str) -> bool {
    let passed_over = |c: char| !BEGINS_A_FORMULA.contains(&c) && (is_blank(c) || matches!(c, '\'' | '"'));
    text.trim_start_matches(passed_over).starts_with(BEGINS_A_FORMULA)
}

/// A text with an apostrophe before it where a spreadsheet would run it: names, labels and answers are input. [`unguarded`] takes it off again.
pub fn guarded(text: &str) -> String {
    if is_run(text) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// What was [`guarded`].
pub fn unguarded(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if is_run(rest) => rest,
        _ => text,
    }
}

/// A text as a cell: guarded, and quoted where it must be, or where a reader might make something else of it: what was guarded, has a semicolon
/// (which separates in half of Europe), or begins or ends with a blank (which some take off).
pub fn cell(text: &str) -> String {
    let guarded = guarded(text);
    let strange = guarded.len() != text.len()
        || text.contains([',', ';', '"', '\r', '\n'])
        || text.starts_with(is_blank)
        || text.ends_with(is_blank);
    if strange {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}

/// A line of cells that are ready: of [`cell`], or numbers.
pub fn line(cells: &[String]) -> String {
    match cells {
        // an empty line is no record to a reader
        [only] if only.is_empty() => "\"\"\r\n".to_owned(),
        cells => format!("{}\r\n", cells.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a reader has of a file, by line.
    fn read(file: &str) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(file.as_bytes());
        let records = reader.records().map(|r| r.expect("it is CSV"));
        records.map(|r| r.iter().map(str::to_owned).collect()).collect()
    }

    /// Texts with much of what makes trouble.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![".*", "[=+@'\"\t\r\n ,;a-]{0,8}"]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_and_nothing_is_run(rows in prop::collection::vec(prop::collection::vec(text(), 1..5), 1..5)) {
            let file: String = rows.iter().map(|r| line(&r.iter().map(|t| cell(t)).collect::<Vec<_>>())).collect();
            let back = read(&file);
            prop_assert!(back.iter().flatten().all(|text| text.starts_with('\'') || !is_run(text)), "{back:?}");
            let back: Vec<Vec<String>> = back.iter().map(|r| r.iter().map(|t| unguarded(t).to_owned()).collect()).collect();
            prop_assert_eq!(back, rows);
        }

        #[test]
        fn a_number_of_ours_stays_a_number(number: i64, other in text()) {
            let file = line(&[number.to_string(), cell(&other)]);
            prop_assert_eq!(read(&file)[0][0].parse(), Ok(number));
        }
    }

    #[test]
    fn what_a_spreadsheet_would_run_gets_an_apostrophe_wherever_it_begins() {
        for run in [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            " =1",
            "\u{a0}=1",
            "\"=1",
            "  \" =1",
            "\n=1",
            "'=1",
            "\u{feff}=1",
        ] {
            let cell = cell(run);
            assert!(cell.starts_with("\"'"), "{run:?} is {cell:?}");
            assert_eq!(unguarded(&guarded(run)), run);
        }
        for text in [
            "",
            "ana",
            "a=b",
            "'",
            "'tis",
            "l'été",
            "2026-11-28T08:00:00Z",
            "oidc:a#-1",
        ] {
            assert_eq!(cell(text), text);
        }
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(cell("a;b"), "\"a;b\"");
        assert_eq!(cell(" a"), "\" a\"");
        assert_eq!(line(&[String::new()]), "\"\"\r\n");
    }
}
