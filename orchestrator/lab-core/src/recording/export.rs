//! One terminal of a recording as a file others can read: asciicast v2 and v3, or plain text.
//!
//! Times are whole milliseconds. v3 counts from the event before: each difference is taken between *rounded* absolute times,
//! so that rounding never adds up.

use super::utf8::Utf8Stream;
use crate::{
    TerminalIndex, Timestamp,
    journal::{Event, Record},
};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    AsciicastV2,
    AsciicastV3,
    /// What was written, without escape sequences.
    Text,
}

impl ExportFormat {
    /// The public name.
    pub fn name(self) -> &'static str {
        match self {
            Self::AsciicastV2 => "asciicast-v2",
            Self::AsciicastV3 => "asciicast-v3",
            Self::Text => "text",
        }
    }

    /// Back from the name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::AsciicastV2, Self::AsciicastV3, Self::Text]
            .into_iter()
            .find(|f| f.name() == name)
    }

    /// Media type of the file.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::AsciicastV2 | Self::AsciicastV3 => "application/x-asciicast",
            Self::Text => "text/plain; charset=utf-8",
        }
    }

    /// Ending of the file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::AsciicastV2 | Self::AsciicastV3 => "cast",
            Self::Text => "txt",
        }
    }
}

/// Builds the file, record by record.
#[derive(Debug)]
pub struct Exporter {
    format: ExportFormat,
    terminal: TerminalIndex,
    title: String,
    started: Option<Timestamp>,
    out: String,
    /// The header is written with the first size known, or before the first event.
    headed: bool,
    size: (u16, u16),
    /// Milliseconds of the agent's clock that are 0 of the file's.
    origin_ms: u64,
    last_ms: u64,
    utf8: Utf8Stream,
    plain: PlainText,
}

impl Exporter {
    /// `title`: shown by players. `started`: wall clock of the agent's start.
    pub fn new(format: ExportFormat, terminal: TerminalIndex, title: &str, started: Option<Timestamp>) -> Self {
        Self {
            format,
            terminal,
            title: title.to_owned(),
            started,
            out: String::new(),
            headed: false,
            size: (80, 24),
            origin_ms: 0,
            last_ms: 0,
            utf8: Utf8Stream::default(),
            plain: PlainText::default(),
        }
    }

    /// Lets the file begin at this time of the agent's clock: what was before stands at its first moment. A sandbox that was
    /// warm for an hour before its session has an hour of nothing, which nobody wants to watch and no player should count.
    #[must_use]
    pub fn beginning_at(mut self, start_us: u64) -> Self {
        self.origin_ms = start_us / 1000;
        self
    }

    /// Adds a record; those of other terminals are left out, except checks and the session's own markers.
    pub fn add(&mut self, record: &Record) {
        let session_wide =
            record.terminal == crate::WHOLE_SESSION && matches!(record.event, Event::Check(_) | Event::Marker(_));
        if record.terminal != self.terminal && !session_wide {
            return;
        }
        let ms = (record.time_us.saturating_add(500) / 1000).saturating_sub(self.origin_ms);
        match &record.event {
            Event::Output(bytes) => {
                let text = self.utf8.push(bytes);
                match self.format {
                    ExportFormat::Text => self.plain.push(&text, &mut self.out),
                    _ => self.event(ms, "o", &text),
                }
            }
            Event::Resize { cols, rows } | Event::Keyframe { cols, rows, .. } => self.resize(ms, *cols, *rows),
            // an ended command is told twice; the entering is the point to jump to
            Event::Command(c) if c.status.is_none() && c.took_us.is_none() => self.event(ms, "m", &c.text),
            Event::Check(c) => {
                let verdict = if c.passed { "passed" } else { "not passed" };
                self.event(ms, "m", &format!("check {}: {verdict}", c.check));
            }
            Event::Marker(m) => self.event(ms, "m", &m.label),
            // v2 has no exit event
            Event::Exit { status } if self.format == ExportFormat::AsciicastV3 => {
                self.event(ms, "x", &status.to_string());
            }
            _ => {}
        }
    }

    fn resize(&mut self, ms: u64, cols: u16, rows: u16) {
        if (cols, rows) == self.size {
            return;
        }
        self.size = (cols, rows);
        // before anything was written it is the size at the start
        if self.headed {
            self.event(ms, "r", &format!("{cols}x{rows}"));
        }
    }

    fn event(&mut self, ms: u64, code: &str, data: &str) {
        if self.format == ExportFormat::Text || (data.is_empty() && code == "o") {
            return;
        }
        self.head();
        // the journal's times never decrease; a file we did not write must not make ours go back
        let ms = ms.max(self.last_ms);
        let shown = if self.format == ExportFormat::AsciicastV3 {
            ms - self.last_ms
        } else {
            ms
        };
        self.last_ms = ms;
        let data = Value::from(data).to_string();
        // writing to a string never fails
        let _ = writeln!(self.out, "[{}.{:03}, \"{code}\", {data}]", shown / 1000, shown % 1000);
    }

    fn head(&mut self) {
        if std::mem::replace(&mut self.headed, true) || self.format == ExportFormat::Text {
            return;
        }
        let (cols, rows) = self.size;
        let mut head = match self.format {
            ExportFormat::AsciicastV2 => {
                json!({"version": 2, "width": cols, "height": rows, "env": {"TERM": "xterm-256color"}})
            }
            _ => json!({"version": 3, "term": {"cols": cols, "rows": rows, "type": "xterm-256color"}}),
        };
        head["title"] = Value::from(self.title.clone());
        if let Some(started) = self.started {
            head["timestamp"] = Value::from(started.secs());
        }
        self.out.push_str(&head.to_string());
        self.out.push('\n');
    }

    /// Bytes of the file that are written and were not taken.
    pub fn written(&self) -> usize {
        self.out.len()
    }

    /// What is written of the file and was not taken before: a long recording is handed on piece by piece.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out).into_bytes()
    }

    /// The whole file, or the rest of it.
    pub fn finish(mut self) -> Vec<u8> {
        let tail = self.utf8.finish();
        match self.format {
            ExportFormat::Text => {
                self.plain.push(&tail, &mut self.out);
                self.plain.finish(&mut self.out);
            }
            _ => self.event(self.last_ms, "o", &tail),
        }
        self.head();
        self.out.into_bytes()
    }
}

/// Takes escape sequences and control characters out of text. A line is what stood in it when it was left: a carriage return
/// goes back to its start, a backspace goes back by one, as on paper.
#[derive(Debug, Default)]
struct PlainText {
    state: Escape,
    line: Vec<char>,
    at: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    /// After ESC.
    Started,
    /// After ESC and an intermediate: one more character.
    Charset,
    /// In CSI, until a letter.
    Csi,
    /// In OSC, DCS, APC, PM or SOS, until BEL or ST.
    Text,
    /// After ESC in such a text.
    TextEnding,
}

/// Longest line kept; longer ones are broken.
const LINE_CHARS_MAX: usize = 4096;

impl PlainText {
    fn push(&mut self, text: &str, out: &mut String) {
        for c in text.chars() {
            self.state = match (self.state, c) {
                (Escape::Text, '\u{7}') | (Escape::TextEnding, '\\') => Escape::None,
                (Escape::Text, '\u{1b}') => Escape::TextEnding,
                (Escape::Text | Escape::TextEnding, _) => Escape::Text,
                (_, '\u{1b}') => Escape::Started,
                (Escape::Started, '[') => Escape::Csi,
                (Escape::Started, ']' | 'P' | '_' | '^' | 'X') => Escape::Text,
                (Escape::Started, ' '..='/') => Escape::Charset,
                (Escape::Csi, ' '..='?') => Escape::Csi,
                (Escape::Started | Escape::Charset | Escape::Csi, _) => Escape::None,
                (Escape::None, c) => {
                    self.put(c, out);
                    Escape::None
                }
            };
        }
    }

    fn put(&mut self, c: char, out: &mut String) {
        match c {
            '\n' => self.end_line(out),
            '\r' => self.at = 0,
            '\u{8}' => self.at = self.at.saturating_sub(1),
            '\t' => (self.at..(self.at / 8 + 1) * 8).for_each(|_| self.write(' ')),
            c if c.is_control() => {}
            c => self.write(c),
        }
        if self.line.len() >= LINE_CHARS_MAX {
            self.end_line(out);
        }
    }

    fn write(&mut self, c: char) {
        if let Some(old) = self.line.get_mut(self.at) {
            *old = c;
        } else {
            self.line.resize(self.at, ' ');
            self.line.push(c);
        }
        self.at += 1;
    }

    fn end_line(&mut self, out: &mut String) {
        let text: String = self.line.drain(..).collect();
        out.push_str(text.trim_end());
        out.push('\n');
        self.at = 0;
    }

    fn finish(&mut self, out: &mut String) {
        if !self.line.is_empty() {
            self.end_line(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        CheckId,
        journal::{CheckOutcome, Command},
    };
    use bytes::Bytes;

    fn records() -> Vec<Record> {
        let at = |time_us, event| Record {
            terminal: 0,
            time_us,
            offset: 0,
            event,
        };
        let out = |time_us, bytes: &'static [u8]| at(time_us, Event::Output(Bytes::from_static(bytes)));
        let check = CheckOutcome {
            check: CheckId::from("ping"),
            passed: true,
            points: 5,
            detail: String::new(),
        };
        vec![
            at(0, Event::Resize { cols: 100, rows: 30 }),
            out(1_000_400, b"r1# \xc3"),
            out(1_000_800, b"\xa9\r\n\xff"),
            at(
                1_001_300,
                Event::Command(Command {
                    text: "show \"ip\"".into(),
                    status: None,
                    took_us: None,
                }),
            ),
            at(
                1_002_000,
                Event::Command(Command {
                    text: "show".into(),
                    status: Some(0),
                    took_us: Some(700),
                }),
            ),
            Record {
                terminal: 1,
                time_us: 1_500_000,
                offset: 0,
                event: Event::Output(Bytes::from_static(b"other")),
            },
            Record {
                terminal: crate::WHOLE_SESSION,
                time_us: 1_600_000,
                offset: 0,
                event: Event::Check(check),
            },
            at(2_000_000, Event::Resize { cols: 120, rows: 40 }),
            out(2_000_900, b"\x1b[31mred\x1b[0m\x1b]0;title\x07abc\x08\x08XY\r\nend"),
            at(3_000_000, Event::Exit { status: 130 }),
        ]
    }

    fn export(format: ExportFormat) -> String {
        let mut e = Exporter::new(format, 0, "r1", Some(Timestamp::from_secs(1_700_000_000)));
        records().iter().for_each(|r| e.add(r));
        String::from_utf8(e.finish()).unwrap()
    }

    #[test]
    fn asciicast_v2_has_absolute_milliseconds_and_is_read_back() {
        let file = export(ExportFormat::AsciicastV2);
        insta::assert_snapshot!(file);
        let lines: Vec<Value> = file.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(
            (&lines[0]["version"], &lines[0]["width"], &lines[0]["height"]),
            (&json!(2), &json!(100), &json!(30))
        );
        let output: String = lines[1..]
            .iter()
            .filter(|e| e[1] == "o")
            .map(|e| e[2].as_str().unwrap())
            .collect();
        let mut raw = Vec::new();
        for r in records().iter().filter(|r| r.terminal == 0) {
            if let Event::Output(b) = &r.event {
                raw.extend_from_slice(b);
            }
        }
        assert_eq!(output, String::from_utf8_lossy(&raw));
        assert!(lines[1..].windows(2).all(|w| w[0][0].as_f64() <= w[1][0].as_f64()));
    }

    #[test]
    fn asciicast_v3_intervals_add_up_to_the_rounded_absolute_times() {
        let file = export(ExportFormat::AsciicastV3);
        insta::assert_snapshot!(file);
        let lines: Vec<Value> = file.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let total: f64 = lines[1..].iter().map(|e| e[0].as_f64().unwrap()).sum();
        assert!((total - 3.0).abs() < 1e-9, "{total}");
        assert_eq!(lines.last().unwrap()[1], "x");
    }

    #[test]
    fn text_is_what_stood_in_each_line_when_it_was_left() {
        assert_eq!(export(ExportFormat::Text), "r1# é\n\u{fffd}redaXY\nend\n");
    }

    #[test]
    fn an_hour_of_waiting_before_the_session_is_not_in_the_file() {
        let hour = 3_600_000_000;
        for (format, last) in [(ExportFormat::AsciicastV2, 2.0), (ExportFormat::AsciicastV3, 1.0)] {
            let mut e = Exporter::new(format, 0, "r1", None).beginning_at(hour);
            for (time_us, bytes) in [(1_000_000, "r1# "), (hour + 1_000_000, "a"), (hour + 2_000_000, "b")] {
                let event = Event::Output(Bytes::from_static(bytes.as_bytes()));
                e.add(&Record {
                    terminal: 0,
                    time_us,
                    offset: 0,
                    event,
                });
            }
            let file = String::from_utf8(e.finish()).unwrap();
            let times: Vec<f64> = file
                .lines()
                .skip(1)
                .map(|l| serde_json::from_str::<Value>(l).unwrap()[0].as_f64().unwrap())
                .collect();
            assert_eq!(times, [0.0, 1.0, last]);
        }
    }

    #[test]
    fn rounding_does_not_add_up_over_an_hour_of_odd_intervals() {
        let mut e = Exporter::new(ExportFormat::AsciicastV3, 0, "", None);
        let last = 3_600_000_000u64 / 333_333;
        for n in 0..=last {
            let event = Event::Output(Bytes::from_static(b"x"));
            e.add(&Record {
                terminal: 0,
                time_us: n * 333_333,
                offset: n,
                event,
            });
        }
        let file = String::from_utf8(e.finish()).unwrap();
        let ms: u64 = file
            .lines()
            .skip(1)
            .map(|l| l[1..l.find(',').unwrap()].replace('.', "").parse::<u64>().unwrap())
            .sum();
        assert_eq!(ms, (last * 333_333 + 500) / 1000);
    }

    #[test]
    fn a_recording_of_nothing_is_still_a_file() {
        let file = Exporter::new(ExportFormat::AsciicastV2, 0, "r1", None).finish();
        assert_eq!(serde_json::from_slice::<Value>(&file).unwrap()["version"], 2);
    }
}
