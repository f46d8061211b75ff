//! As text, for a terminal.

use super::sheet::{Sheet, Table};
use std::fmt::Write as _;

pub(super) fn write(sheet: &Sheet) -> String {
    let mut out = format!("{}\n\n", plain(&sheet.title));
    let widest = sheet
        .lines
        .iter()
        .map(|(label, _)| label.chars().count())
        .max()
        .unwrap_or(0);
    for (label, value) in &sheet.lines {
        writeln!(out, "{}  {}", padded(label, widest, false), plain(value)).expect("a String takes everything");
    }
    for table in &sheet.tables {
        rows(&mut out, table);
    }
    write!(out, "\n{}\n", sheet.note).expect("a String takes everything");
    out
}

fn rows(out: &mut String, table: &Table) {
    let heads: Vec<String> = table.columns.iter().map(|c| c.head.to_uppercase()).collect();
    let all = || {
        std::iter::once(&heads)
            .chain(&table.rows)
            .chain(std::iter::once(&table.total))
    };
    let width = |i: usize| all().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    write!(out, "\n{}\n", table.caption).expect("a String takes everything");
    for row in all() {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .zip(&table.columns)
            .map(|((cell, width), column)| padded(cell, *width, column.number))
            .collect();
        writeln!(out, "{}", cells.join("  ").trim_end()).expect("a String takes everything");
    }
}

fn padded(text: &str, width: usize, right: bool) -> String {
    let text = plain(text);
    let blank = " ".repeat(width.saturating_sub(text.chars().count()));
    if right { blank + &text } else { text + &blank }
}

/// Names are input: none of them moves a cursor.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
