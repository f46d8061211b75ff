//! Cells as escape sequences: attributes, links, characters.

use alacritty_terminal::{
    grid::Row,
    index::Column,
    term::cell::{Cell, Flags, Hyperlink},
    vte::ansi::{Color, NamedColor},
};
use std::io::Write;

/// Flags that a program sets by SGR.
pub const STYLE: Flags = Flags::BOLD_ITALIC
    .union(Flags::DIM)
    .union(Flags::ALL_UNDERLINES)
    .union(Flags::INVERSE)
    .union(Flags::HIDDEN)
    .union(Flags::STRIKEOUT);

/// Links without a name of their own get one from the emulator, which ends so.
const UNNAMED: &str = "_alacritty";

/// What the next character would look like.
#[derive(Clone, Debug, PartialEq)]
pub struct Pen {
    fg: Color,
    bg: Color,
    style: Flags,
    underline: Option<Color>,
    link: Option<Hyperlink>,
}

impl Pen {
    /// As on a fresh terminal.
    pub fn plain() -> Self {
        Self::of(&Cell::default())
    }

    /// As this cell looks.
    pub fn of(cell: &Cell) -> Self {
        Self {
            fg: cell.fg,
            bg: cell.bg,
            style: cell.flags & STYLE,
            underline: cell.underline_color(),
            link: cell.hyperlink(),
        }
    }
}

/// Writes escape sequences and knows the pen they leave behind.
pub struct Painter {
    pub out: Vec<u8>,
    pen: Pen,
    /// Without attributes: what is left when a screen is too colourful to fit.
    plain: bool,
}

/// Adds formatted text.
macro_rules! put {
    ($painter:expr, $($format:tt)*) => {
        write!($painter.out, $($format)*).expect("a Vec takes everything")
    };
}
pub(super) use put;

impl Painter {
    pub fn new(plain: bool) -> Self {
        Self {
            out: Vec::new(),
            pen: Pen::plain(),
            plain,
        }
    }

    /// Puts the pen as it is to be.
    pub fn pen(&mut self, pen: Pen) {
        if self.plain || pen == self.pen {
            return;
        }
        if pen.link != self.pen.link {
            self.link(pen.link.as_ref());
        }
        if (Pen {
            link: None,
            ..pen.clone()
        }) != (Pen {
            link: None,
            ..self.pen.clone()
        }) {
            self.sgr(&pen);
        }
        self.pen = pen;
    }

    fn link(&mut self, link: Option<&Hyperlink>) {
        match link {
            None => put!(self, "\x1b]8;;\x1b\\"),
            Some(link) if link.id().ends_with(UNNAMED) => put!(self, "\x1b]8;;{}\x1b\\", link.uri()),
            Some(link) => put!(self, "\x1b]8;id={};{}\x1b\\", link.id(), link.uri()),
        }
    }

    fn sgr(&mut self, pen: &Pen) {
        put!(self, "\x1b[0");
        for (flag, code) in [
            (Flags::BOLD, "1"),
            (Flags::DIM, "2"),
            (Flags::ITALIC, "3"),
            (Flags::UNDERLINE, "4"),
            (Flags::DOUBLE_UNDERLINE, "4:2"),
            (Flags::UNDERCURL, "4:3"),
            (Flags::DOTTED_UNDERLINE, "4:4"),
            (Flags::DASHED_UNDERLINE, "4:5"),
            (Flags::INVERSE, "7"),
            (Flags::HIDDEN, "8"),
            (Flags::STRIKEOUT, "9"),
        ] {
            if pen.style.contains(flag) {
                put!(self, ";{code}");
            }
        }
        self.color(pen.fg, 30);
        self.color(pen.bg, 40);
        if let Some(color) = pen.underline {
            self.color(color, 50);
        }
        put!(self, "m");
    }

    /// `base` is 30 for characters, 40 for what is behind them, 50 for underlines.
    fn color(&mut self, color: Color, base: u8) {
        match color {
            Color::Named(NamedColor::Foreground | NamedColor::Background) => {}
            Color::Named(name) if (name as usize) < 8 => put!(self, ";{}", usize::from(base) + name as usize),
            Color::Named(name) if (name as usize) < 16 => put!(self, ";{}", usize::from(base) + 52 + name as usize),
            // dimmed names exist only in drawing, no sequence sets them
            Color::Named(_) => {}
            Color::Indexed(index) => put!(self, ";{};5;{index}", base + 8),
            Color::Spec(rgb) => put!(self, ";{};2;{};{};{}", base + 8, rgb.r, rgb.g, rgb.b),
        }
    }

    /// Draws one cell where the cursor is. The second half of a wide character draws nothing.
    pub fn cell(&mut self, cell: &Cell) {
        if cell.flags.contains(Flags::WIDE_CHAR_SPACER) {
            return;
        }
        self.pen(Pen::of(cell));
        self.char(if cell.c.is_control() { ' ' } else { cell.c });
        if !self.plain {
            cell.zerowidth().into_iter().flatten().for_each(|c| self.char(*c));
        }
    }

    fn char(&mut self, c: char) {
        self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Draws a row from its first column and goes to the next one: by wrapping where the row was wrapped, else by a new
    /// line. The pen is plain afterwards, so that rows scrolled in are blank.
    pub fn row(&mut self, row: &Row<Cell>, is_last: bool) {
        let wraps = row[Column(row.len() - 1)].flags.contains(Flags::WRAPLINE);
        let used = if wraps {
            row.len()
        } else {
            row[..].iter().rposition(|c| !is_blank(c)).map_or(0, |i| i + 1)
        };
        row[..Column(used)].iter().for_each(|cell| self.cell(cell));
        self.pen(Pen::plain());
        match (is_last, wraps) {
            (true, _) => {}
            // a blank wraps to the next row and is drawn over there
            (false, true) => put!(self, " \r"),
            (false, false) => put!(self, "\r\n"),
        }
    }
}

/// Whether a fresh terminal's cell looks the same.
pub fn is_blank(cell: &Cell) -> bool {
    cell.c == ' '
        && !cell.flags.contains(Flags::WIDE_CHAR_SPACER)
        && Pen::of(cell) == Pen::plain()
        && cell.zerowidth().is_none_or(<[char]>::is_empty)
}
