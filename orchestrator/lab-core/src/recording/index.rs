//! What a replay needs before its first byte: how long, which terminals, where to jump to.

use crate::{
    TerminalIndex,
    journal::{Event, Record},
};
use serde::{Deserialize, Serialize};

/// Marks kept in an index: a long session has some thousand commands; what is past it is still in the journal.
pub const INDEX_MARKS_MAX: usize = 20_000;

/// Text of all marks together: 20 000 commands of 200 bytes. A lab's own program may write marks of 128 KiB, and an index is made in memory.
pub const INDEX_TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The index of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingIndex {
    /// Journal bytes read.
    pub end: u64,
    /// Microseconds from the agent's start to the last record.
    pub duration_us: u64,
    /// Where a replay begins, by the same clock: 0, or, of a sandbox that was warm before its session, the session's begin.
    #[serde(default)]
    pub start_us: u64,
    /// By index.
    pub terminals: Vec<RecordedTerminal>,
    /// In journal order.
    pub markers: Vec<IndexMark>,
    /// In journal order.
    pub keyframes: Vec<IndexKeyframe>,
    /// Of the marks' texts together.
    #[serde(skip)]
    text_bytes: usize,
}

/// A terminal of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedTerminal {
    /// Its name in the lab file; empty when that is not known here.
    pub id: String,
    pub terminal: TerminalIndex,
    /// Output bytes recorded.
    pub output: u64,
    /// Size at the start, 0 when none was recorded.
    pub cols: u16,
    pub rows: u16,
}

/// A point to jump to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexMark {
    /// Agent clock.
    pub at_us: u64,
    /// Journal offset of its record.
    pub journal: u64,
    pub terminal: TerminalIndex,
    /// `command`, `check`, `marker`, `resize`, `exit`.
    pub kind: String,
    pub text: String,
    /// Exit status of a command or terminal; 1 or 0 for a check that passed or not.
    pub status: Option<i32>,
    /// How long a command ran. With this or `status` it is a command's end, told after its beginning; a router's has no status.
    #[serde(default)]
    pub took_us: Option<u64>,
}

/// A whole screen: where a replay may start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexKeyframe {
    pub at_us: u64,
    pub journal: u64,
    pub terminal: TerminalIndex,
    /// Output offset it shows.
    pub offset: u64,
}

impl RecordingIndex {
    /// An index of nothing yet, for terminals with these names.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let terminals = names
            .into_iter()
            .enumerate()
            .map(|(n, id)| RecordedTerminal {
                id,
                terminal: n as TerminalIndex,
                ..RecordedTerminal::default()
            })
            .collect();
        Self {
            terminals,
            ..Self::default()
        }
    }

    /// Adds the record that starts at `journal` and ends at `end`.
    pub fn add(&mut self, journal: u64, end: u64, record: &Record) {
        self.end = end;
        self.duration_us = self.duration_us.max(record.time_us);
        let (text, status) = match &record.event {
            Event::Output(bytes) => {
                self.output(record, bytes.len() as u64);
                return;
            }
            Event::Keyframe { cols, rows, .. } => {
                self.size(record.terminal, *cols, *rows);
                let (at_us, terminal, offset) = (record.time_us, record.terminal, record.offset);
                if self.keyframes.len() < INDEX_MARKS_MAX {
                    self.keyframes.push(IndexKeyframe {
                        at_us,
                        journal,
                        terminal,
                        offset,
                    });
                }
                return;
            }
            Event::Resize { cols, rows } => {
                self.size(record.terminal, *cols, *rows);
                (format!("{cols}x{rows}"), None)
            }
            Event::Command(c) => (c.text.clone(), c.status),
            Event::Check(c) => (c.check.to_string(), Some(i32::from(c.passed))),
            Event::Marker(m) => (m.label.clone(), None),
            Event::Exit { status } => (String::new(), Some(*status)),
            _ => return,
        };
        let has_room = self.markers.len() < INDEX_MARKS_MAX && self.text_bytes + text.len() <= INDEX_TEXT_BYTES_MAX;
        let Some(kind) = mark_kind(&record.event).filter(|_| has_room) else {
            return;
        };
        self.text_bytes += text.len();
        let took_us = match &record.event {
            Event::Command(c) => c.took_us,
            _ => None,
        };
        let (at_us, terminal, kind) = (record.time_us, record.terminal, kind.to_owned());
        self.markers.push(IndexMark {
            at_us,
            journal,
            terminal,
            kind,
            text,
            status,
            took_us,
        });
    }

    fn terminal(&mut self, index: TerminalIndex) -> Option<&mut RecordedTerminal> {
        self.terminals.get_mut(index as usize)
    }

    fn output(&mut self, record: &Record, len: u64) {
        if let Some(t) = self.terminal(record.terminal) {
            t.output = t.output.max(record.offset.saturating_add(len));
        }
    }

    fn size(&mut self, index: TerminalIndex, cols: u16, rows: u16) {
        if let Some(t) = self.terminal(index).filter(|t| t.cols == 0) {
            (t.cols, t.rows) = (cols, rows);
        }
    }
}

fn mark_kind(event: &Event) -> Option<&'static str> {
    Some(match event {
        Event::Command(_) => "command",
        Event::Check(_) => "check",
        Event::Marker(_) => "marker",
        Event::Resize { .. } => "resize",
        Event::Exit { .. } => "exit",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Command;

    #[test]
    fn marks_of_any_size_take_bounded_memory() {
        let mut index = RecordingIndex::new(["r1".to_owned()]);
        let event = Event::Command(Command {
            text: "x".repeat(100_000),
            status: None,
            took_us: None,
        });
        let record = Record {
            terminal: 0,
            time_us: 5,
            offset: 0,
            event,
        };
        for n in 0..100 {
            index.add(n, n + 1, &record);
        }
        let text: usize = index.markers.iter().map(|m| m.text.len()).sum();
        assert!(text <= INDEX_TEXT_BYTES_MAX && index.markers.len() == 41, "{text}");
        assert_eq!(index.end, 100, "the rest is read all the same");
    }

    #[test]
    fn the_two_tellings_of_a_routers_command_are_told_apart_by_how_long_it_ran() {
        let mut index = RecordingIndex::new(["r1".to_owned()]);
        for (n, took_us) in [None, Some(900_000)].into_iter().enumerate() {
            let event = Event::Command(Command {
                text: "show ip route".to_owned(),
                status: None,
                took_us,
            });
            let record = Record {
                terminal: 0,
                time_us: 5,
                offset: 0,
                event,
            };
            index.add(n as u64, n as u64 + 1, &record);
        }
        let told: Vec<_> = index.markers.iter().map(|m| (m.status, m.took_us)).collect();
        assert_eq!(told, [(None, None), (None, Some(900_000))]);
    }
}
