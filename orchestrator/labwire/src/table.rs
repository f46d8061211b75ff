//! Rows for people: columns as wide as their widest cell.

use lab_core::Timestamp;

/// Prints a header and rows; the last column is not padded.
pub fn print(header: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|r| r[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, w)| format!("{cell:<w$}"))
            .collect();
        println!("{}", padded.join("  ").trim_end());
    };
    line(&header.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>());
    for row in rows {
        line(row);
    }
}

/// Seconds as `h:mm:ss`.
pub fn time(secs: i64) -> String {
    let sign = if secs < 0 { "-" } else { "" };
    let s = secs.unsigned_abs();
    format!("{sign}{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// Seconds as people say them: `40 s`, `12 min 05 s`, `1 h 02 min`; of hours, seconds are left out.
pub fn lasting(secs: i64) -> String {
    let sign = if secs < 0 { "-" } else { "" };
    let s = secs.unsigned_abs();
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, 0, s) => format!("{sign}{s} s"),
        (0, m, s) => format!("{sign}{m} min {s:02} s"),
        (h, m, _) => format!("{sign}{h} h {m:02} min"),
    }
}

/// A time as people read it, with its zone: `2026-11-28 15:04:05 UTC`.
pub fn moment(at: Timestamp) -> String {
    at.to_string().replace('T', " ").replace('Z', " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_are_written_for_people() {
        let all = [0, 40, 725, 3720, 90_061, -61].map(lasting);
        assert_eq!(
            all,
            ["0 s", "40 s", "12 min 05 s", "1 h 02 min", "25 h 01 min", "-1 min 01 s"]
        );
        assert_eq!(moment(Timestamp::from_secs(1_795_878_245)), "2026-11-28 15:04:05 UTC");
    }
}
