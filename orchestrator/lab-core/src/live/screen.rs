//! A snapshot's escape sequences as plain lines, for the wall.
//!
//! Understands what a serialised screen is made of: text with wrapping and scrolling, cursor moves, erasing, the alternate
//! screen; colours and modes are skipped. Not a terminal: it never answers, and never fails.

use crate::recording::Utf8Stream;

/// Largest picture: what a card has room for.
pub const SCREEN_ROWS: usize = 24;
/// See [`SCREEN_ROWS`].
pub const SCREEN_COLS: usize = 80;

/// The text of a screen of `cols` × `rows`, at most 24 lines of 80 characters: its last lines with text, as those are where
/// work is done.
pub fn screen_text(cols: u16, rows: u16, escape: &[u8]) -> Vec<String> {
    let mut utf8 = Utf8Stream::default();
    let mut grid = Grid::new(cols, rows);
    let text = utf8.push(escape) + &utf8.finish();
    grid.feed(&text);
    grid.lines()
}

struct Grid {
    cols: usize,
    rows: usize,
    cells: Vec<Vec<char>>,
    row: usize,
    col: usize,
    /// The next character goes to the next line.
    wraps: bool,
    saved: (usize, usize),
    top: usize,
    bottom: usize,
}

/// The second half of a wide character.
const WIDE_REST: char = '\u{0}';

impl Grid {
    fn new(cols: u16, rows: u16) -> Self {
        let (cols, rows) = (usize::from(cols.clamp(1, 500)), usize::from(rows.clamp(1, 300)));
        Self {
            cols,
            rows,
            cells: vec![vec![' '; cols]; rows],
            row: 0,
            col: 0,
            wraps: false,
            saved: (0, 0),
            top: 0,
            bottom: rows - 1,
        }
    }

    fn feed(&mut self, text: &str) {
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\u{1b}' => self.escape(&mut chars),
                '\n' | '\u{b}' | '\u{c}' => self.line_feed(),
                '\r' => self.go(self.row, 0),
                '\u{8}' => self.go(self.row, self.col.saturating_sub(1)),
                '\t' => self.go(self.row, (self.col / 8 + 1) * 8),
                c if c.is_control() => {}
                c => self.put(c),
            }
        }
    }

    fn escape(&mut self, chars: &mut std::str::Chars<'_>) {
        match chars.next() {
            Some('[') => self.csi(chars),
            Some(']' | 'P' | '_' | '^' | 'X') => skip_text(chars),
            // a character set: its name follows
            Some(' '..='/') => {
                chars.next();
            }
            Some('7') => self.saved = (self.row, self.col),
            Some('8') => self.go(self.saved.0, self.saved.1),
            Some('D') => self.line_feed(),
            Some('E') => {
                self.line_feed();
                self.go(self.row, 0);
            }
            Some('M') if self.row == self.top => self.scroll_down(1),
            Some('M') => self.go(self.row.saturating_sub(1), self.col),
            Some('c') => *self = Self::new(self.cols as u16, self.rows as u16),
            _ => {}
        }
    }

    fn csi(&mut self, chars: &mut std::str::Chars<'_>) {
        let mut numbers: Vec<usize> = vec![0];
        let mut private = false;
        let last = loop {
            match chars.next() {
                Some(d @ '0'..='9') => {
                    if let Some(n) = numbers.last_mut() {
                        *n = (*n * 10 + (d as usize - '0' as usize)).min(9999);
                    }
                }
                Some(';' | ':') if numbers.len() < 32 => numbers.push(0),
                Some('?' | '>' | '<' | '=') => private = true,
                // an intermediate makes it another sequence than the letter says; none of those draws
                Some(' '..='/') => private = true,
                Some(c) if c.is_control() => {}
                Some(c) => break c,
                None => return,
            }
        };
        let first = numbers[0];
        let n = first.max(1);
        let second = numbers.get(1).copied().unwrap_or(0).max(1);
        if private {
            // into or out of the alternate screen: drawn anew
            if matches!(last, 'h' | 'l') && numbers.iter().any(|m| matches!(m, 47 | 1047 | 1049)) {
                self.erase((0, 0), (self.rows, 0));
            }
            return;
        }
        match last {
            'A' => self.go(self.row.saturating_sub(n), self.col),
            'B' | 'e' => self.go(self.row + n, self.col),
            'C' | 'a' => self.go(self.row, self.col + n),
            'D' => self.go(self.row, self.col.saturating_sub(n)),
            'E' => self.go(self.row + n, 0),
            'F' => self.go(self.row.saturating_sub(n), 0),
            'G' | '`' => self.go(self.row, n - 1),
            'd' => self.go(n - 1, self.col),
            'H' | 'f' => self.go(n - 1, second - 1),
            'J' => self.erase_display(first),
            'K' => self.erase_line(first),
            'X' => self.erase((self.row, self.col), (self.row, self.col + n)),
            'P' => self.shift_left(n),
            '@' => self.shift_right(n),
            'L' => self.scroll_region(self.row, n, false),
            'M' => self.scroll_region(self.row, n, true),
            'S' => self.scroll_region(self.top, n, true),
            'T' => self.scroll_down(n),
            'r' => {
                self.top = (n - 1).min(self.rows - 1);
                let bottom = numbers.get(1).copied().filter(|b| *b > 0).unwrap_or(self.rows);
                self.bottom = bottom.clamp(self.top + 1, self.rows) - 1;
                self.go(0, 0);
            }
            's' => self.saved = (self.row, self.col),
            'u' => self.go(self.saved.0, self.saved.1),
            _ => {}
        }
    }

    fn go(&mut self, row: usize, col: usize) {
        self.row = row.min(self.rows - 1);
        self.col = col.min(self.cols - 1);
        self.wraps = false;
    }

    fn put(&mut self, c: char) {
        let width = width(c);
        if width == 0 {
            return;
        }
        if self.wraps || self.col + width > self.cols {
            self.line_feed();
            self.col = 0;
            self.wraps = false;
        }
        self.cells[self.row][self.col] = c;
        if width == 2 && self.col + 1 < self.cols {
            self.cells[self.row][self.col + 1] = WIDE_REST;
        }
        let next = self.col + width;
        self.wraps = next >= self.cols;
        self.col = next.min(self.cols - 1);
    }

    fn line_feed(&mut self) {
        if self.row == self.bottom {
            self.scroll_region(self.top, 1, true);
        } else {
            self.row = (self.row + 1).min(self.rows - 1);
        }
        self.wraps = false;
    }

    fn scroll_down(&mut self, n: usize) {
        self.scroll_region(self.top, n, false);
    }

    /// Moves the lines from `from` to the region's bottom by `n`, up or down; what comes in is empty.
    fn scroll_region(&mut self, from: usize, n: usize, up: bool) {
        if from > self.bottom {
            return;
        }
        let region = &mut self.cells[from..=self.bottom];
        let n = n.min(region.len());
        if up {
            region.rotate_left(n);
        } else {
            region.rotate_right(n);
        }
        let len = region.len();
        let fresh = if up { len - n..len } else { 0..n };
        region[fresh].iter_mut().for_each(|line| line.fill(' '));
    }

    /// Empties from one place up to another, along the lines.
    fn erase(&mut self, from: (usize, usize), to: (usize, usize)) {
        for (y, line) in self
            .cells
            .iter_mut()
            .enumerate()
            .skip(from.0)
            .take((to.0 + 1).saturating_sub(from.0))
        {
            let start = if y == from.0 { from.1 } else { 0 };
            let end = if y == to.0 { to.1.min(line.len()) } else { line.len() };
            if start < end {
                line[start..end].fill(' ');
            }
        }
    }

    fn erase_display(&mut self, mode: usize) {
        match mode {
            0 => self.erase((self.row, self.col), (self.rows, 0)),
            1 => self.erase((0, 0), (self.row, self.col + 1)),
            2 => self.erase((0, 0), (self.rows, 0)),
            _ => {}
        }
    }

    fn erase_line(&mut self, mode: usize) {
        let (from, to) = match mode {
            0 => (self.col, self.cols),
            1 => (0, self.col + 1),
            _ => (0, self.cols),
        };
        self.erase((self.row, from), (self.row, to));
    }

    fn shift_left(&mut self, n: usize) {
        let line = &mut self.cells[self.row][self.col..];
        let n = n.min(line.len());
        line.rotate_left(n);
        let len = line.len();
        line[len - n..].fill(' ');
    }

    fn shift_right(&mut self, n: usize) {
        let line = &mut self.cells[self.row][self.col..];
        let n = n.min(line.len());
        line.rotate_right(n);
        line[..n].fill(' ');
    }

    fn lines(&self) -> Vec<String> {
        let text = |line: &Vec<char>| -> String {
            let all: String = line.iter().filter(|c| **c != WIDE_REST).take(SCREEN_COLS).collect();
            all.trim_end().to_owned()
        };
        let mut lines: Vec<String> = self.cells.iter().map(text).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        let surplus = lines.len().saturating_sub(SCREEN_ROWS);
        lines.drain(..surplus);
        lines
    }
}

/// Skips a title or the like: until BEL or ST.
fn skip_text(chars: &mut std::str::Chars<'_>) {
    while let Some(c) = chars.next() {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                chars.next();
                return;
            }
            _ => {}
        }
    }
}

/// Columns a character takes: combining marks none, East Asian wide characters and emoji two.
fn width(c: char) -> usize {
    match c as u32 {
        0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(cols: u16, rows: u16, s: &str) -> Vec<String> {
        screen_text(cols, rows, s.as_bytes())
    }

    #[test]
    fn text_wraps_scrolls_and_keeps_the_last_lines() {
        assert_eq!(text(5, 3, "abcdefg\r\nx"), ["abcde", "fg", "x"]);
        assert_eq!(text(10, 2, "1\r\n2\r\n3"), ["2", "3"]);
        assert_eq!(
            text(5, 2, "abcde\r\nf"),
            ["abcde", "f"],
            "a full line and a line feed are one new line"
        );
    }

    #[test]
    fn a_serialised_screen_is_drawn_as_it_stood() {
        let screen = "\x1b[?1049l\x1b[2J\x1b[H\x1b[1;31mred\x1b[0m\r\n\x1b]0;title\x07two\x1b[10Cx\x1b[4;3Hhere\x1b[2;1H\x1b[?25h";
        assert_eq!(text(80, 24, screen), ["red", "two          x", "", "  here"]);
    }

    #[test]
    fn erasing_inserting_and_regions_are_followed() {
        assert_eq!(text(10, 3, "abcdef\x1b[3G\x1b[K"), ["ab"]);
        assert_eq!(text(10, 3, "abcdef\x1b[2G\x1b[2P\x1b[1@"), ["a def"]);
        assert_eq!(
            text(10, 4, "a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[3;1H\nX"),
            ["a", "c", "X", "d"]
        );
        assert_eq!(text(10, 2, "日本x\x1b[2Jq"), ["     q"]);
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..400), cols in 0u16..600, rows in 0u16..400) {
            let lines = screen_text(cols, rows, &bytes);
            prop_assert!(lines.len() <= SCREEN_ROWS && lines.iter().all(|l| l.chars().count() <= SCREEN_COLS));
        }

        #[test]
        fn no_sequence_breaks_it(parts in proptest::collection::vec(("[0-9;?]{0,6}", "[@-~]", "[ab日\\r\\n]{0,3}"), 0..60)) {
            let text: String = parts.iter().map(|(n, l, t)| format!("\x1b[{n}{l}{t}")).collect();
            screen_text(7, 4, text.as_bytes());
        }
    }
}
