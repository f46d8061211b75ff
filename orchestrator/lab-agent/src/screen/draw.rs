//! A model as escape sequences that make a fresh terminal the same: what is seen, and what decides how further output
//! is taken. Nothing in them asks the terminal a question, so a replay never types an answer into a shell.
//!
//! ```text
//! colours, title │ history │ primary screen, its cursor │ alternate screen │ region, tabs, saved cursor, cursor, modes │ unfinished bytes
//! ```

use super::{
    Depth,
    model::{Model, default_tabs},
    paint::{Painter, Pen, is_blank, put},
};
use alacritty_terminal::{
    grid::{Cursor, Dimensions, Grid},
    index::{Column, Line},
    term::{
        TermMode,
        cell::{Cell, Flags},
    },
    vte::ansi::{CharsetIndex, CursorShape, CursorStyle, StandardCharset},
};
use lab_core::limits::SNAPSHOT_BYTES_MAX;
use std::io::Write;
use unicode_width::UnicodeWidthChar;

/// A screen that takes more is drawn without its attributes: with 4 bytes of size it must fit a record's 128 KiB, and
/// what comes around it (modes, titles, 256 colours of 24 bytes) takes less than 8 KiB.
const SCREEN_BYTES_MAX: usize = 112 * 1024;

const MODES: [(TermMode, &str); 11] = [
    (TermMode::APP_CURSOR, "\x1b[?1h"),
    (TermMode::APP_KEYPAD, "\x1b="),
    (TermMode::MOUSE_REPORT_CLICK, "\x1b[?1000h"),
    (TermMode::MOUSE_DRAG, "\x1b[?1002h"),
    (TermMode::MOUSE_MOTION, "\x1b[?1003h"),
    (TermMode::FOCUS_IN_OUT, "\x1b[?1004h"),
    (TermMode::UTF8_MOUSE, "\x1b[?1005h"),
    (TermMode::SGR_MOUSE, "\x1b[?1006h"),
    (TermMode::BRACKETED_PASTE, "\x1b[?2004h"),
    (TermMode::LINE_FEED_NEW_LINE, "\x1b[20h"),
    (TermMode::INSERT, "\x1b[4h"),
];

/// On from the start.
const MODES_OFF: [(TermMode, &str); 4] = [
    (TermMode::SHOW_CURSOR, "\x1b[?25l"),
    (TermMode::LINE_WRAP, "\x1b[?7l"),
    (TermMode::ALTERNATE_SCROLL, "\x1b[?1007l"),
    (TermMode::URGENCY_HINTS, "\x1b[?1042l"),
];

impl Model {
    /// Draws the terminal; with history, as many lines of it as [`SNAPSHOT_BYTES_MAX`] leaves room for.
    pub fn draw(&mut self, depth: Depth) -> Vec<u8> {
        let mut start = Painter::new(false);
        self.colours(&mut start);
        let mut screens = Painter::new(false);
        let mut history = Vec::new();
        if self.term.mode().contains(TermMode::ALT_SCREEN) {
            self.with_primary(|model| {
                model.rows(&mut screens);
                model.place(&mut screens, &model.term.grid().cursor, 0);
                history = model.history(depth, screens.out.len());
            });
            // entering saves the primary screen's cursor as it was placed, and clears with its background
            put!(screens, "\x1b[?1049h");
            screens.pen(Pen::plain());
            put!(screens, "\x1b(B\x1b)B\x1b*B\x1b+B\x1b[H\x1b[2J");
            self.rows(&mut screens);
        } else {
            self.rows(&mut screens);
            history = self.history(depth, screens.out.len());
        }
        self.state(&mut screens);
        let parts = [start.out, history, screens.out, self.position.pending().to_vec()];
        parts.concat()
    }

    /// Shows the primary screen to `look` while the alternate one is in use. The emulator clears the alternate screen
    /// on the way back, so it is put back as it was.
    pub(super) fn with_primary(&mut self, look: impl FnOnce(&mut Self)) {
        let alternate = self.term.grid().clone();
        self.term.swap_alt();
        look(self);
        self.term.swap_alt();
        *self.term.grid_mut() = alternate;
    }

    fn colours(&self, to: &mut Painter) {
        let colors = self.term.colors();
        for index in 0..256 {
            if let Some(c) = colors[index] {
                put!(to, "\x1b]4;{index};rgb:{:02x}/{:02x}/{:02x}\x1b\\", c.r, c.g, c.b);
            }
        }
        for (index, code) in [(256, 10), (257, 11), (258, 12)] {
            if let Some(c) = colors[index] {
                put!(to, "\x1b]{code};rgb:{:02x}/{:02x}/{:02x}\x1b\\", c.r, c.g, c.b);
            }
        }
        if let Some(title) = &self.kept.title {
            put!(to, "\x1b]2;{title}\x1b\\");
        }
    }

    /// The visible rows, with attributes if they fit, without them if not, and from the bottom up if not even so.
    fn rows(&self, to: &mut Painter) {
        let grid = self.term.grid();
        let rows = |plain: bool, from: usize| {
            let mut painter = Painter::new(plain);
            (0..from).for_each(|_| put!(painter, "\r\n"));
            for line in from..grid.screen_lines() {
                painter.row(&grid[Line(line as i32)], line + 1 == grid.screen_lines());
            }
            painter.out
        };
        let mut drawn = rows(false, 0);
        let mut from = 0;
        while drawn.len() > SCREEN_BYTES_MAX && from < grid.screen_lines() {
            drawn = rows(true, from);
            from += grid.screen_lines().div_ceil(8);
        }
        to.out.extend_from_slice(&drawn);
    }

    /// The newest lines above the screen that fit beside `used` bytes.
    fn history(&self, depth: Depth, used: usize) -> Vec<u8> {
        let mut room = SNAPSHOT_BYTES_MAX.saturating_sub(used);
        let grid = self.term.grid();
        let lines = if depth == Depth::WithHistory {
            grid.history_size()
        } else {
            0
        };
        let mut rows = Vec::new();
        for back in 1..=lines {
            let mut painter = Painter::new(false);
            painter.row(&grid[Line(-(back as i32))], false);
            if painter.out.len() > room {
                break;
            }
            room -= painter.out.len();
            rows.push(painter.out);
        }
        rows.reverse();
        rows.concat()
    }

    /// All that is not seen.
    fn state(&self, to: &mut Painter) {
        let grid = self.term.grid();
        let mode = *self.term.mode();
        self.last_char(to, grid);
        let region = &self.kept.region;
        if *region != (0..grid.screen_lines()) {
            put!(to, "\x1b[{};{}r", region.start + 1, region.end);
        }
        self.tabs(to);
        if grid.saved_cursor != Cursor::default() || mode.contains(TermMode::ALT_SCREEN) {
            self.place(to, &grid.saved_cursor, 0);
            put!(to, "\x1b7\x1b(B\x1b)B\x1b*B\x1b+B");
        }
        let origin = mode.contains(TermMode::ORIGIN);
        if origin {
            put!(to, "\x1b[?6h");
        }
        self.place(to, &grid.cursor, if origin { region.start } else { 0 });
        if self.kept.shifted {
            put!(to, "\x0e");
        }
        for (flag, sequence) in MODES {
            if mode.contains(flag) {
                put!(to, "{sequence}");
            }
        }
        for (flag, sequence) in MODES_OFF {
            if !mode.contains(flag) {
                put!(to, "{sequence}");
            }
        }
        for other in &self.kept.other_modes {
            put!(to, "\x1b[?{other}h");
        }
        self.cursor_style(to);
    }

    /// Makes REP repeat what it would have: prints the last character into a blank and erases it again. A screen
    /// without a blank does without.
    fn last_char(&self, to: &mut Painter, grid: &Grid<Cell>) {
        let Some(c) = self.kept.last_char else { return };
        let width = c.width().unwrap_or(0).max(1);
        let blank = (0..grid.screen_lines()).rev().find_map(|line| {
            let row = &grid[Line(line as i32)];
            let at = row[..].windows(width).position(|cells| cells.iter().all(is_blank))?;
            Some((line, at))
        });
        if let Some((line, column)) = blank {
            let lead = if c.width() == Some(0) { " " } else { "" };
            put!(
                to,
                "\x1b[{0};{1}H{lead}{c}\x1b[{0};{1}H\x1b[{width}X",
                line + 1,
                column + 1
            );
        }
    }

    fn tabs(&self, to: &mut Painter) {
        if self.kept.tabs == default_tabs(self.kept.tabs.len()) {
            return;
        }
        put!(to, "\x1b[3g");
        for (column, _) in self.kept.tabs.iter().enumerate().filter(|(_, stop)| **stop) {
            put!(to, "\x1b[{}G\x1bH", column + 1);
        }
    }

    /// Puts the cursor where `cursor` is, with its pen and character sets. `top` is the line that addresses count from.
    fn place(&self, to: &mut Painter, cursor: &Cursor<Cell>, top: usize) {
        let grid = self.term.grid();
        let line = cursor.point.line.0.clamp(0, grid.screen_lines() as i32 - 1);
        let address = (line as usize).saturating_sub(top) + 1;
        if cursor.input_needs_wrap {
            // only printing in the last column leaves the cursor behind it: print what is there once more
            let row = &grid[Line(line)];
            let last = grid.columns() - 1;
            let wide = row[Column(last)].flags.contains(Flags::WIDE_CHAR_SPACER);
            let at = if wide { last - 1 } else { last };
            put!(to, "\x1b[{address};{}H", at + 1);
            to.cell(&row[Column(at)]);
        } else {
            put!(to, "\x1b[{address};{}H", cursor.point.column.0 + 1);
        }
        to.pen(Pen::of(&cursor.template));
        for (index, name) in [
            (CharsetIndex::G0, '('),
            (CharsetIndex::G1, ')'),
            (CharsetIndex::G2, '*'),
            (CharsetIndex::G3, '+'),
        ] {
            if cursor.charsets[index] == StandardCharset::SpecialCharacterAndLineDrawing {
                put!(to, "\x1b{name}0");
            }
        }
    }

    fn cursor_style(&self, to: &mut Painter) {
        let style = self.term.cursor_style();
        if style == CursorStyle::default() {
            return;
        }
        let shape = match style.shape {
            CursorShape::Underline => 4,
            CursorShape::Beam => 6,
            CursorShape::Block | CursorShape::HollowBlock | CursorShape::Hidden => 2,
        };
        put!(to, "\x1b[{} q", shape - u8::from(style.blinking));
    }
}
