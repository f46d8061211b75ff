//! Which commands were entered, from what the terminal shows.
//!
//! A shell says it itself, in marks of its prompt (OSC 133) and the command's text (OSC 633;E). A router's command line
//! says nothing, so its prompt pattern is looked for on the cursor's line: first when Enter moved the cursor to the next
//! line (then the line holds the command as edited and completed), then when a prompt shows again.

use lab_core::{journal::Command, limits::COMMAND_BYTES_MAX};
use regex::bytes::Regex;

/// Longest mark kept: a command of the largest size, each byte of which may be written as `\x3b`.
const MARK_BYTES_MAX: usize = 4 * COMMAND_BYTES_MAX + 16;

/// Lines looked at after one Enter. The echo is the first; the others allow for output that was under way.
const LINES_PER_ENTER: u32 = 32;

/// Bytes of a line in which the end of a prompt is looked for.
const PROMPT_BYTES_MAX: usize = 256;

/// What marks say.
#[derive(Debug, PartialEq, Eq)]
pub enum Mark {
    /// The prompt is drawn and the shell waits.
    Prompt,
    /// A command starts or has ended.
    Command(Command),
}

/// Finds a shell's marks in its output, however it is cut.
#[derive(Debug, Default)]
pub struct ShellMarks {
    state: MarkState,
    mark: Vec<u8>,
    text: Option<String>,
    started_us: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum MarkState {
    #[default]
    Ground,
    Escape,
    Osc,
    OscEscape,
}

impl ShellMarks {
    /// Reads output that was written at `now_us`.
    pub fn feed(&mut self, mut bytes: &[u8], now_us: u64, found: &mut Vec<Mark>) {
        while let Some(&byte) = bytes.first() {
            if self.state == MarkState::Ground {
                // nearly all output is passed over here
                let Some(at) = memchr::memchr(0x1b, bytes) else {
                    return;
                };
                self.state = MarkState::Escape;
                bytes = &bytes[at + 1..];
                continue;
            }
            bytes = &bytes[1..];
            self.state = match (self.state, byte) {
                (MarkState::Escape | MarkState::OscEscape, b']') => {
                    self.mark.clear();
                    MarkState::Osc
                }
                (MarkState::Escape, 0x1b) => MarkState::Escape,
                (MarkState::Osc, 0x07) | (MarkState::OscEscape, b'\\') => {
                    found.extend(self.read_mark(now_us));
                    MarkState::Ground
                }
                (MarkState::Osc, 0x1b) => MarkState::OscEscape,
                (MarkState::Osc, 0x18 | 0x1a) => MarkState::Ground,
                (MarkState::Osc, byte) => {
                    if self.mark.len() < MARK_BYTES_MAX {
                        self.mark.push(byte);
                    }
                    MarkState::Osc
                }
                _ => MarkState::Ground,
            };
        }
    }

    fn read_mark(&mut self, now_us: u64) -> Option<Mark> {
        let mark = std::mem::take(&mut self.mark);
        let mut parts = mark.splitn(2, |b| *b == b';');
        match (parts.next()?, parts.next().unwrap_or_default()) {
            (b"133", b"B") => Some(Mark::Prompt),
            (b"133", rest) if rest.first() == Some(&b'C') => {
                let text = self.text.clone()?;
                self.started_us = Some(now_us);
                Some(Mark::Command(Command {
                    text,
                    status: None,
                    took_us: None,
                }))
            }
            (b"133", rest) if rest.first() == Some(&b'D') => {
                let started = self.started_us.take()?;
                let status = rest
                    .strip_prefix(b"D;")
                    .and_then(|s| std::str::from_utf8(s).ok()?.parse().ok());
                let text = self.text.take()?;
                Some(Mark::Command(Command {
                    text,
                    status,
                    took_us: Some(now_us.saturating_sub(started)),
                }))
            }
            (b"633", rest) => {
                self.text = rest.strip_prefix(b"E;").map(unescape);
                None
            }
            _ => None,
        }
    }
}

/// Undoes `\\` and `\xHH`. A nonce after an unescaped `;` is not part of the command.
fn unescape(escaped: &[u8]) -> String {
    let mut out = Vec::new();
    let mut rest = escaped;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, rest) {
            (b';', _) => break,
            (b'\\', [b'x', hi, lo, after @ ..]) => {
                let hex = |b: &u8| char::from(*b).to_digit(16);
                if let (Some(hi), Some(lo)) = (hex(hi), hex(lo)) {
                    out.push((hi * 16 + lo) as u8);
                    rest = after;
                } else {
                    out.push(byte);
                }
            }
            (b'\\', [b'\\', after @ ..]) => {
                out.push(b'\\');
                rest = after;
            }
            _ => out.push(byte),
        }
    }
    bounded(&String::from_utf8_lossy(&out))
}

/// At most [`COMMAND_BYTES_MAX`] bytes, cut between characters.
fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(COMMAND_BYTES_MAX)].to_owned()
}

/// Finds a router's commands by its prompt.
#[derive(Debug)]
pub struct PromptLines {
    prompt: Regex,
    /// Lines that may still be the echo of an Enter.
    lines_left: u32,
    running: Option<(String, u64)>,
}

impl PromptLines {
    pub fn new(prompt: Regex) -> Self {
        Self {
            prompt,
            lines_left: 0,
            running: None,
        }
    }

    /// Enter was typed.
    pub fn entered(&mut self) {
        self.lines_left = LINES_PER_ENTER;
    }

    /// Whether the next line end must be looked at.
    pub fn wants_lines(&self) -> bool {
        self.lines_left > 0
    }

    /// A line is about to end; `line` is its whole text. A command starts when it begins with a prompt.
    pub fn line_ends(&mut self, line: &str, now_us: u64) -> Option<Command> {
        self.lines_left = self.lines_left.saturating_sub(1);
        let text = bounded(self.after_prompt(line)?.trim());
        if text.is_empty() {
            return None;
        }
        self.running = Some((text.clone(), now_us));
        Some(Command {
            text,
            status: None,
            took_us: None,
        })
    }

    /// The shortest beginning of the line that is a prompt, so that the pattern may or may not end in `$`.
    fn after_prompt<'a>(&self, line: &'a str) -> Option<&'a str> {
        line.char_indices()
            .map(|(at, c)| at + c.len_utf8())
            .take_while(|end| *end <= PROMPT_BYTES_MAX)
            .find(|end| self.prompt.is_match(&line.as_bytes()[..*end]))
            .map(|end| &line[end..])
    }

    /// The terminal is quiet; `line` is the cursor's line up to the cursor. Returns whether that is a prompt, and the
    /// command that it ends. `quiet_since_us` is when the last output came.
    pub fn quiet(&mut self, line: &str, quiet_since_us: u64) -> (bool, Option<Command>) {
        if !self.prompt.is_match(line.as_bytes()) {
            return (false, None);
        }
        let ended = self.running.take().map(|(text, started)| Command {
            text,
            status: None,
            took_us: Some(quiet_since_us.saturating_sub(started)),
        });
        (true, ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &[u8] = b"\x1b]133;D;0\x07\x1b]133;A\x07$ \x1b]133;B\x07ls\r\n\x1b]633;E;ls -l \\x3b echo a\\\\b\x07\x1b]133;C\x07x\r\n\x1b]133;D;2\x1b\\\x1b]133;A\x07$ \x1b]133;B\x07";

    #[test]
    fn a_shells_command_is_told_when_entered_and_when_ended_however_the_bytes_are_cut() {
        let text = "ls -l ; echo a\\b".to_owned();
        let expected = [
            Mark::Prompt,
            Mark::Command(Command {
                text: text.clone(),
                status: None,
                took_us: None,
            }),
            Mark::Command(Command {
                text,
                status: Some(2),
                took_us: Some(0),
            }),
            Mark::Prompt,
        ];
        for cut in 0..=SESSION.len() {
            let (mut marks, mut found) = (ShellMarks::default(), Vec::new());
            marks.feed(&SESSION[..cut], 5, &mut found);
            marks.feed(&SESSION[cut..], 5, &mut found);
            assert_eq!(found, expected, "cut at {cut}");
        }
    }

    #[test]
    fn an_endless_mark_is_bounded_and_ends_with_its_terminator() {
        let (mut marks, mut found) = (ShellMarks::default(), Vec::new());
        marks.feed(b"\x1b]633;E;", 0, &mut found);
        for _ in 0..100 {
            marks.feed(&[b'x'; 10_000], 0, &mut found);
        }
        assert!(marks.mark.len() <= MARK_BYTES_MAX);
        marks.feed(b"\x07\x1b]133;C\x07", 0, &mut found);
        let [Mark::Command(command)] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(command.text.len(), COMMAND_BYTES_MAX);
    }

    #[test]
    fn a_routers_command_is_the_text_after_the_shortest_prompt() {
        for pattern in [r"^[\w.-]+(\([^)]*\))?[#>] ?$", r"^[\w.-]+(\([^)]*\))?[#>]"] {
            let mut lines = PromptLines::new(Regex::new(pattern).unwrap());
            lines.entered();
            let entered = lines.line_ends("r1(config-if)# ip ospf area 0 > x", 10).unwrap();
            assert_eq!(entered.text, "ip ospf area 0 > x", "{pattern}");
            assert_eq!(lines.quiet("still printing", 20), (false, None));
            let (prompted, ended) = lines.quiet("r1(config-if)# ", 30);
            assert!(prompted);
            assert_eq!(ended.unwrap().took_us, Some(20));
            assert_eq!(lines.quiet("r1(config-if)# ", 40), (true, None));
            assert_eq!(lines.line_ends("Password: ", 50), None);
            assert_eq!(lines.line_ends("r1# ", 50), None, "Enter alone is no command");
        }
    }
}
