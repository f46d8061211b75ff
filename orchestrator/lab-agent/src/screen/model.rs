//! One terminal's screen: the emulator, and what it does not show of its own state.

use super::{
    CursorLine,
    skip::traceless,
    stream::{StreamPosition, cut_character},
};
use alacritty_terminal::{
    event::VoidListener,
    grid::{Dimensions, Grid},
    index::{Column, Line},
    term::{
        Config, Osc52, Term, TermMode,
        cell::{Cell, Flags},
    },
    vte::ansi::{
        Attr, CharsetIndex, ClearMode, CursorShape, CursorStyle, Handler, Hyperlink, LineClearMode, Mode,
        NamedPrivateMode, PrivateMode, Processor, Rgb, StandardCharset, TabulationClearMode, Timeout,
    },
};
use std::{collections::BTreeSet, ops::Range, time::Duration};
use unicode_width::UnicodeWidthChar;

/// Lines above the screen that the model remembers: more than a snapshot's 60 KiB usually holds (40 bytes a line), and
/// with 24 bytes a cell 1 MB for a terminal of 80 columns that has scrolled so far.
const HISTORY_LINES: usize = 500;
/// Bytes of a batch that are emulated before it is looked at as a flood.
const SETTLE_BYTES: usize = 256;
/// Combining characters on one cell; no script needs more, and endless ones would fill memory.
const COMBINING_MAX: usize = 8;
/// Bytes of a string (OSC, DCS) that the emulator is shown; it would keep all of them.
const STRING_BYTES_MAX: usize = 64 * 1024;
/// Tab stops until a program sets others.
const TAB_WIDTH: usize = 8;
/// Bytes of a title kept.
const TITLE_BYTES_MAX: usize = 1024;
/// Narrower models are as wide as this: in one column the emulator (0.26) writes a wide character beside the screen, and
/// wrapping one anew never ends.
const COLS_MIN: usize = 2;
/// Private modes that browsers' terminals know and the emulator does not: X10 mouse, reverse wrap, application keypad,
/// urxvt and pixel mouse reports. Kept as they were set.
const OTHER_MODES: [u16; 5] = [9, 45, 66, 1015, 1016];

/// Synchronized updates are shown as they come: a snapshot in the middle of one must not lack what it has drawn.
#[derive(Default)]
pub struct NotHeldBack;

impl Timeout for NotHeldBack {
    fn set_timeout(&mut self, _: Duration) {}
    fn clear_timeout(&mut self) {}
    fn pending_timeout(&self) -> bool {
        false
    }
}

/// What the emulator keeps to itself, kept once more.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Lines that scroll, from the top.
    pub region: Range<usize>,
    pub tabs: Vec<bool>,
    /// G1 is in use instead of G0.
    pub shifted: bool,
    pub title: Option<String>,
    /// What REP repeats.
    pub last_char: Option<char>,
    pub other_modes: BTreeSet<u16>,
}

impl Kept {
    fn new(cols: usize, rows: usize) -> Self {
        Self {
            region: 0..rows,
            tabs: default_tabs(cols),
            shifted: false,
            title: None,
            last_char: None,
            other_modes: BTreeSet::new(),
        }
    }
}

/// A stop every eight columns.
pub fn default_tabs(cols: usize) -> Vec<bool> {
    (0..cols).map(|c| c % TAB_WIDTH == 0).collect()
}

struct Size(usize, usize);

impl Dimensions for Size {
    fn total_lines(&self) -> usize {
        self.1
    }
    fn screen_lines(&self) -> usize {
        self.1
    }
    fn columns(&self) -> usize {
        self.0
    }
}

/// A terminal's screen.
pub struct Model {
    pub term: Term<VoidListener>,
    parser: Processor<NotHeldBack>,
    pub kept: Kept,
    pub position: StreamPosition,
}

impl Model {
    /// A fresh terminal.
    pub fn new(cols: u16, rows: u16) -> Self {
        let (cols, rows) = (usize::from(cols).max(COLS_MIN), usize::from(rows));
        let config = Config {
            scrolling_history: HISTORY_LINES,
            osc52: Osc52::Disabled,
            ..Config::default()
        };
        Self {
            term: Term::new(config, &Size(cols, rows), VoidListener),
            parser: Processor::new(),
            kept: Kept::new(cols, rows),
            position: StreamPosition::default(),
        }
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        (self.term.columns() as u16, self.term.screen_lines() as u16)
    }

    /// Reads what the terminal's program wrote.
    pub fn feed(&mut self, bytes: &[u8]) {
        // up to here a flood's first line may belong to an escape sequence or a character
        let head = bytes.len().min(SETTLE_BYTES);
        self.emulate(&bytes[..head]);
        let rest = &bytes[head..];
        let whole = self.kept.region == (0..self.term.screen_lines());
        let skip = if whole && self.position.pending().is_empty() && self.position.is_text() {
            traceless(rest, self.term.screen_lines(), HISTORY_LINES)
        } else {
            None
        };
        let skip = skip.unwrap_or(rest.len()..rest.len());
        self.emulate(&rest[..skip.start]);
        self.emulate(&rest[skip.end..]);
    }

    fn emulate(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.position.string_len() > STRING_BYTES_MAX {
                let end = bytes
                    .iter()
                    .position(|b| matches!(b, 0x07 | 0x18 | 0x1a | 0x1b | 0x9c))
                    .unwrap_or(bytes.len());
                bytes = &bytes[end..];
            }
            let part = &bytes[..bytes.len().min(STRING_BYTES_MAX)];
            // A character that is cut is held back until it is whole: the emulator's parser (vte 0.15) completes one
            // together with what follows it, and then skips an escape that does.
            let held = self.position.cut_character().to_vec();
            self.position.advance(part);
            let whole = [&held[..], part].concat();
            let ready = whole.len() - self.position.cut_character().len();
            let mut screen = Screen {
                term: &mut self.term,
                kept: &mut self.kept,
            };
            // one cut character before another will never be whole
            let broken = cut_character(&whole[..ready]);
            let text = self.position.cut_character().is_empty();
            let end = if text { ready } else { ready - broken.len() };
            self.parser.advance(&mut screen, &whole[..end]);
            if end < ready {
                self.parser.advance(&mut screen, "\u{fffd}".as_bytes());
            }
            bytes = &bytes[part.len()..];
        }
    }

    /// Changes the size; lines are wrapped anew.
    pub fn resize(&mut self, cols: u16, rows: u16) {
        let (cols, rows) = (usize::from(cols).max(COLS_MIN), usize::from(rows));
        self.term.resize(Size(cols, rows));
        self.kept.region = 0..rows;
        let known = self.kept.tabs.len();
        self.kept.tabs.truncate(cols);
        self.kept.tabs.extend((known..cols).map(|c| c % TAB_WIDTH == 0));
        for line in 0..rows {
            mend_wide(self.term.grid_mut(), Line(line as i32));
        }
    }

    /// The line the cursor is on, joined where it was wrapped, at most 16 rows of it.
    pub fn cursor_line(&self) -> CursorLine {
        let grid = self.term.grid();
        let cursor = &grid.cursor;
        let top = Line(-(grid.history_size() as i32));
        let wraps = |line: Line| grid[line][grid.last_column()].flags.contains(Flags::WRAPLINE);
        let (mut first, mut last) = (cursor.point.line, cursor.point.line);
        while first > top && cursor.point.line - first < 16 && wraps(first - 1) {
            first -= 1;
        }
        while last < grid.bottommost_line() && last - cursor.point.line < 16 && wraps(last) {
            last += 1;
        }
        let mut text = CursorLine::default();
        let mut line = first;
        while line <= last {
            for column in 0..grid.columns() {
                let cell = &grid[line][Column(column)];
                let before = line < cursor.point.line
                    || (line == cursor.point.line && (Column(column) < cursor.point.column || cursor.input_needs_wrap));
                if !cell.flags.contains(Flags::WIDE_CHAR_SPACER) {
                    text.whole.push(cell.c);
                    if before {
                        text.before_cursor.push(cell.c);
                    }
                }
            }
            line += 1;
        }
        text.whole.truncate(text.whole.trim_end().len());
        text
    }
}

/// Clears halves of wide characters whose other half is gone, as browsers' terminals do.
fn mend_wide(grid: &mut Grid<Cell>, line: Line) {
    let row = &mut grid[line][..];
    for i in 0..row.len() {
        let spacer_follows = row
            .get(i + 1)
            .is_some_and(|next| next.flags.contains(Flags::WIDE_CHAR_SPACER));
        if row[i].flags.contains(Flags::WIDE_CHAR) && !spacer_follows {
            row[i].clear_wide();
        }
        let wide_before = i > 0 && row[i - 1].flags.contains(Flags::WIDE_CHAR);
        if row[i].flags.contains(Flags::WIDE_CHAR_SPACER) && !wide_before {
            row[i].flags.remove(Flags::WIDE_CHAR_SPACER);
            row[i].c = ' ';
        }
    }
}

/// What the parser drives: the emulator, with what it keeps to itself noted and a few of its ways put right.
struct Screen<'a> {
    term: &'a mut Term<VoidListener>,
    kept: &'a mut Kept,
}

impl Screen<'_> {
    fn mode(&self, mode: TermMode) -> bool {
        self.term.mode().contains(mode)
    }

    fn line(&self) -> i32 {
        self.term.grid().cursor.point.line.0
    }

    /// Goes to a line of the screen; the emulator's `goto` counts from the region's top in origin mode.
    fn go(&mut self, line: i32, col: usize) {
        let from = if self.mode(TermMode::ORIGIN) {
            self.kept.region.start as i32
        } else {
            0
        };
        self.term.goto(line - from, col);
    }

    /// Moves by lines; stops at the region's edge when it starts inside.
    fn go_by(&mut self, lines: i64, col: usize) {
        let (top, bottom) = (self.kept.region.start as i32, self.kept.region.end as i32 - 1);
        let last = self.term.screen_lines() as i32 - 1;
        let line = self.line();
        let (low, high) = (
            if line >= top { top } else { 0 },
            if line <= bottom { bottom } else { last },
        );
        self.go(
            (i64::from(line) + lines).clamp(i64::from(low), i64::from(high)) as i32,
            col,
        );
    }

    fn col(&self) -> usize {
        self.term.grid().cursor.point.column.0
    }

    fn mend(&mut self) {
        let line = self.term.grid().cursor.point.line;
        mend_wide(self.term.grid_mut(), line);
    }

    /// Whether the cell that a combining character would be added to has enough of them.
    fn is_combined_enough(&self) -> bool {
        let grid = self.term.grid();
        let cursor = &grid.cursor;
        let mut column = cursor.point.column.0;
        if !cursor.input_needs_wrap {
            column = column.saturating_sub(1);
        }
        let row = &grid[cursor.point.line];
        if row[Column(column)].flags.contains(Flags::WIDE_CHAR_SPACER) {
            column = column.saturating_sub(1);
        }
        row[Column(column)]
            .zerowidth()
            .is_some_and(|z| z.len() >= COMBINING_MAX)
    }

    /// Between the two screens. The full-screen one begins with the cursor saved where it is.
    fn alternate(&mut self, on: bool) {
        if on != self.mode(TermMode::ALT_SCREEN) {
            self.term.swap_alt();
            if on {
                let grid = self.term.grid_mut();
                grid.saved_cursor = grid.cursor.clone();
            }
        }
    }

    fn other_mode(&mut self, mode: u16, on: bool) {
        match (mode, on) {
            (47 | 1047, _) => self.alternate(on),
            (1048, true) => self.save_cursor_position(),
            (1048, false) => self.restore_cursor_position(),
            (_, true) if OTHER_MODES.contains(&mode) => drop(self.kept.other_modes.insert(mode)),
            _ => drop(self.kept.other_modes.remove(&mode)),
        }
    }
}

impl Handler for Screen<'_> {
    fn input(&mut self, c: char) {
        self.kept.last_char = Some(c);
        if !c.is_ascii() && c.width() == Some(0) && self.is_combined_enough() {
            return;
        }
        self.term.input(c);
        if self.mode(TermMode::INSERT) {
            self.mend();
        }
    }

    fn goto(&mut self, line: i32, col: usize) {
        self.term.goto(line, col);
    }
    fn goto_line(&mut self, line: i32) {
        self.term.goto(line, self.col());
    }
    fn goto_col(&mut self, col: usize) {
        self.go(self.line(), col);
    }
    fn move_up(&mut self, lines: usize) {
        self.go_by(-(lines as i64), self.col());
    }
    fn move_down(&mut self, lines: usize) {
        self.go_by(lines as i64, self.col());
    }
    fn move_up_and_cr(&mut self, lines: usize) {
        self.go_by(-(lines as i64), 0);
    }
    fn move_down_and_cr(&mut self, lines: usize) {
        self.go_by(lines as i64, 0);
    }
    fn move_forward(&mut self, cols: usize) {
        self.term.move_forward(cols);
    }
    fn move_backward(&mut self, cols: usize) {
        self.term.move_backward(cols);
    }
    fn backspace(&mut self) {
        self.term.backspace();
    }
    fn carriage_return(&mut self) {
        self.term.carriage_return();
    }
    fn linefeed(&mut self) {
        self.term.linefeed();
    }
    fn reverse_index(&mut self) {
        self.term.reverse_index();
    }

    /// Moves without writing into the cells it passes.
    fn put_tab(&mut self, count: u16) {
        if !self.term.grid().cursor.input_needs_wrap {
            self.term.move_forward_tabs(count);
        }
    }
    fn move_forward_tabs(&mut self, count: u16) {
        self.term.move_forward_tabs(count);
    }
    fn move_backward_tabs(&mut self, count: u16) {
        self.term.move_backward_tabs(count);
        self.term.grid_mut().cursor.input_needs_wrap = false;
    }
    fn set_horizontal_tabstop(&mut self) {
        let col = self.col();
        self.kept.tabs[col] = true;
        self.term.set_horizontal_tabstop();
    }
    fn clear_tabs(&mut self, mode: TabulationClearMode) {
        match mode {
            TabulationClearMode::Current => {
                let col = self.col();
                self.kept.tabs[col] = false;
            }
            TabulationClearMode::All => self.kept.tabs.fill(false),
        }
        self.term.clear_tabs(mode);
    }

    fn insert_blank(&mut self, count: usize) {
        self.term.insert_blank(count);
        self.mend();
    }
    fn delete_chars(&mut self, count: usize) {
        self.term.delete_chars(count);
        self.mend();
    }
    fn erase_chars(&mut self, count: usize) {
        self.term.erase_chars(count);
        self.mend();
    }
    fn clear_line(&mut self, mode: LineClearMode) {
        self.term.clear_line(mode);
        self.mend();
    }
    fn clear_screen(&mut self, mode: ClearMode) {
        self.term.clear_screen(mode);
        self.mend();
    }
    fn scroll_up(&mut self, lines: usize) {
        self.term.scroll_up(lines);
    }
    fn scroll_down(&mut self, lines: usize) {
        self.term.scroll_down(lines);
    }
    fn insert_blank_lines(&mut self, lines: usize) {
        self.term.insert_blank_lines(lines);
    }
    fn delete_lines(&mut self, lines: usize) {
        self.term.delete_lines(lines);
    }
    fn decaln(&mut self) {
        self.term.decaln();
    }
    fn set_scrolling_region(&mut self, top: usize, bottom: Option<usize>) {
        let rows = self.term.screen_lines();
        let bottom = bottom.unwrap_or(rows).min(rows);
        if top < bottom {
            self.kept.region = top - 1..bottom;
            self.term.set_scrolling_region(top, Some(bottom));
        }
    }

    fn save_cursor_position(&mut self) {
        self.term.save_cursor_position();
    }
    fn restore_cursor_position(&mut self) {
        self.term.restore_cursor_position();
        if self.mode(TermMode::ORIGIN) {
            let region = self.kept.region.start as i32..=self.kept.region.end as i32 - 1;
            let line = &mut self.term.grid_mut().cursor.point.line;
            line.0 = line.0.clamp(*region.start(), *region.end());
        }
    }
    fn reset_state(&mut self) {
        self.term.reset_state();
        *self.kept = Kept {
            last_char: self.kept.last_char,
            ..Kept::new(self.term.columns(), self.term.screen_lines())
        };
    }
    fn terminal_attribute(&mut self, attr: Attr) {
        self.term.terminal_attribute(attr);
    }
    fn set_hyperlink(&mut self, link: Option<Hyperlink>) {
        self.term.set_hyperlink(link);
    }
    fn set_mode(&mut self, mode: Mode) {
        self.term.set_mode(mode);
    }
    fn unset_mode(&mut self, mode: Mode) {
        self.term.unset_mode(mode);
    }
    fn set_private_mode(&mut self, mode: PrivateMode) {
        match mode {
            PrivateMode::Named(NamedPrivateMode::SwapScreenAndSetRestoreCursor) => self.alternate(true),
            PrivateMode::Named(NamedPrivateMode::ColumnMode) => self.column_mode(),
            PrivateMode::Unknown(mode) => self.other_mode(mode, true),
            PrivateMode::Named(_) => self.term.set_private_mode(mode),
        }
    }
    fn unset_private_mode(&mut self, mode: PrivateMode) {
        match mode {
            PrivateMode::Named(NamedPrivateMode::SwapScreenAndSetRestoreCursor) => self.alternate(false),
            PrivateMode::Named(NamedPrivateMode::ColumnMode) => self.column_mode(),
            PrivateMode::Unknown(mode) => self.other_mode(mode, false),
            PrivateMode::Named(_) => self.term.unset_private_mode(mode),
        }
    }
    fn set_keypad_application_mode(&mut self) {
        self.term.set_keypad_application_mode();
    }
    fn unset_keypad_application_mode(&mut self) {
        self.term.unset_keypad_application_mode();
    }
    fn set_active_charset(&mut self, index: CharsetIndex) {
        self.kept.shifted = index == CharsetIndex::G1;
        self.term.set_active_charset(index);
    }
    fn configure_charset(&mut self, index: CharsetIndex, charset: StandardCharset) {
        self.term.configure_charset(index, charset);
    }
    fn set_color(&mut self, index: usize, color: Rgb) {
        self.term.set_color(index, color);
    }
    fn reset_color(&mut self, index: usize) {
        self.term.reset_color(index);
    }
    fn set_cursor_style(&mut self, style: Option<CursorStyle>) {
        self.term.set_cursor_style(style);
    }
    fn set_cursor_shape(&mut self, shape: CursorShape) {
        self.term.set_cursor_shape(shape);
    }
    fn set_title(&mut self, title: Option<String>) {
        self.kept.title = title.map(|t| t[..t.floor_char_boundary(TITLE_BYTES_MAX)].to_owned());
    }
}

impl Screen<'_> {
    /// DECCOLM without its other width: the region is lifted and the screen cleared.
    fn column_mode(&mut self) {
        self.kept.region = 0..self.term.screen_lines();
        self.term
            .set_private_mode(PrivateMode::Named(NamedPrivateMode::ColumnMode));
    }
}
