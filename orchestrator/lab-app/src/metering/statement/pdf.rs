//! As PDF: A4 across, two embedded fonts, text that can be searched and copied. Made with `pdf-writer` alone; a statement is a list.

use super::{
    Language,
    sheet::{Column, Sheet, Table},
};
use flate2::{Compression, write::ZlibEncoder};
use pdf_writer::{
    Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr,
    types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap},
};
use std::{borrow::Cow, io::Write as _};
use ttf_parser::{Face, GlyphId};

const WIDTH: f32 = 842.0;
const HEIGHT: f32 = 595.0;
const MARGIN: f32 = 34.0;
const SIZE: f32 = 7.5;
const LEADING: f32 = 11.0;
const GAP: f32 = 8.0;

const IDENTITY: SystemInfo<'_> = SystemInfo {
    registry: Str(b"Adobe"),
    ordering: Str(b"Identity"),
    supplement: 0,
};

/// The last letter that the fonts have is the minus sign.
const LAST: char = '\u{2212}';

/// A font with what is measured of it.
struct Font {
    name: &'static str,
    bytes: &'static [u8],
    face: Face<'static>,
    /// Glyph and width of each letter up to [`LAST`], looked up once: a statement has a million letters.
    letters: Vec<(GlyphId, f32)>,
}

impl Font {
    fn open(name: &'static str, bytes: &'static [u8]) -> Self {
        let face = Face::parse(bytes, 0).expect("the embedded font is one");
        let unknown = face.glyph_index('?').unwrap_or_default();
        let letter = |c: u32| {
            let known = char::from_u32(c).and_then(|c| face.glyph_index(c));
            let glyph = known.unwrap_or(unknown);
            (glyph, units(&face, glyph))
        };
        Self {
            name,
            bytes,
            letters: (0..=u32::from(LAST)).map(letter).collect(),
            face,
        }
    }

    /// What it does not have is a question mark: names are input, and in any script.
    fn letter(&self, c: char) -> (GlyphId, f32) {
        let known = self.letters.get(u32::from(c) as usize);
        *known.unwrap_or(&self.letters[usize::from(b'?')])
    }

    fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|c| self.letter(c).1).sum::<f32>() * size / 1000.0
    }

    fn encoded(&self, text: &str) -> Vec<u8> {
        text.chars().flat_map(|c| self.letter(c).0.0.to_be_bytes()).collect()
    }

    /// As much of a text as fits, with an ellipsis where it is not all; and its width.
    fn fitted<'t>(&self, text: &'t str, size: f32, room: f32) -> (Cow<'t, str>, f32) {
        let width = self.width(text, size);
        if width <= room {
            return (text.into(), width);
        }
        let (mut cut, mut width) = (String::new(), self.width("…", size));
        for c in text.chars() {
            let wider = width + self.letter(c).1 * size / 1000.0;
            if wider > room {
                break;
            }
            cut.push(c);
            width = wider;
        }
        cut.push('…');
        (cut.into(), width)
    }
}

/// How wide a glyph is, in thousandths of the size.
fn units(face: &Face<'_>, glyph: GlyphId) -> f32 {
    f32::from(face.glyph_hor_advance(glyph).unwrap_or(0)) * 1000.0 / f32::from(face.units_per_em())
}

pub(super) fn write(sheet: &Sheet) -> Vec<u8> {
    let mut pages = Pages {
        regular: Font::open("LabwireSans", include_bytes!("font/sans.ttf")),
        bold: Font::open("LabwireSans-Bold", include_bytes!("font/bold.ttf")),
        done: Vec::new(),
        page: Content::new(),
        y: HEIGHT - MARGIN,
    };
    pages.text(MARGIN, &sheet.title, true, 14.0);
    pages.y -= 2.0 * LEADING;
    for (label, value) in &sheet.lines {
        pages.room(LEADING);
        pages.text(MARGIN, label, false, SIZE + 1.0);
        pages.text(MARGIN + 300.0, value, true, SIZE + 1.0);
        pages.y -= LEADING + 1.0;
    }
    for table in &sheet.tables {
        pages.table(table);
    }
    pages.y -= LEADING;
    pages.paragraph(&sheet.note);
    pages.finish(sheet)
}

struct Pages {
    regular: Font,
    bold: Font,
    done: Vec<Content>,
    page: Content,
    y: f32,
}

impl Pages {
    fn font(&self, bold: bool) -> &Font {
        if bold { &self.bold } else { &self.regular }
    }

    fn text(&mut self, x: f32, text: &str, bold: bool, size: f32) {
        let encoded = self.font(bold).encoded(text);
        self.page.begin_text();
        self.page.set_font(Name(if bold { b"B" } else { b"R" }), size);
        self.page.next_line(x, self.y);
        self.page.show(Str(&encoded));
        self.page.end_text();
    }

    /// Begins a new page when so much does not fit on this one; whether it did.
    fn room(&mut self, height: f32) -> bool {
        if self.y - height >= MARGIN + LEADING {
            return false;
        }
        let full = std::mem::replace(&mut self.page, Content::new());
        self.done.push(full);
        self.y = HEIGHT - MARGIN;
        true
    }

    fn paragraph(&mut self, text: &str) {
        let mut line = String::new();
        for word in text.split(' ') {
            let longer = if line.is_empty() {
                word.to_owned()
            } else {
                format!("{line} {word}")
            };
            if self.regular.width(&longer, SIZE) > WIDTH - 2.0 * MARGIN {
                self.room(LEADING);
                self.text(MARGIN, &line, false, SIZE);
                self.y -= LEADING;
                word.clone_into(&mut line);
            } else {
                line = longer;
            }
        }
        self.room(LEADING);
        self.text(MARGIN, &line, false, SIZE);
    }

    fn table(&mut self, table: &Table) {
        self.y -= LEADING;
        self.room(4.0 * LEADING);
        self.text(MARGIN, &table.caption, true, SIZE + 3.0);
        self.y -= LEADING + 4.0;
        let heads: Vec<String> = table.columns.iter().map(|c| c.head.clone()).collect();
        let columns = placed(&table.columns);
        self.row(&columns, &heads, true);
        for row in &table.rows {
            if self.room(LEADING) {
                self.row(&columns, &heads, true);
            }
            self.row(&columns, row, false);
        }
        self.room(LEADING);
        self.row(&columns, &table.total, true);
    }

    fn row(&mut self, columns: &[Placed], cells: &[String], bold: bool) {
        for (column, cell) in columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
            let (text, width) = self.font(bold).fitted(cell, SIZE, column.width);
            let x = if column.number {
                column.x + column.width - width
            } else {
                column.x
            };
            self.text(x, &text, bold, SIZE);
        }
        self.page.set_stroke_gray(if bold { 0.3 } else { 0.85 });
        self.page.set_line_width(0.4);
        self.page.move_to(MARGIN, self.y - 3.0);
        self.page.line_to(WIDTH - MARGIN, self.y - 3.0);
        self.page.stroke();
        self.y -= LEADING;
    }

    fn finish(mut self, sheet: &Sheet) -> Vec<u8> {
        self.done.push(std::mem::replace(&mut self.page, Content::new()));
        let count = self.done.len();
        let mut contents = Vec::with_capacity(count);
        for (n, content) in std::mem::take(&mut self.done).into_iter().enumerate() {
            self.page = content;
            self.y = MARGIN - LEADING;
            let number = format!("{} / {count}", n + 1);
            let x = WIDTH - MARGIN - self.regular.width(&number, SIZE);
            self.text(x, &number, false, SIZE);
            contents.push(std::mem::replace(&mut self.page, Content::new()));
        }
        let mut next = Ref::new(1);
        let mut ids = || next.bump();
        let (catalog, tree, info) = (ids(), ids(), ids());
        let (regular, bold) = (ids(), ids());
        let mut pdf = Pdf::new();
        let language = match sheet.language {
            Language::En => "en",
            Language::Fr => "fr",
        };
        let mut root = pdf.catalog(catalog);
        root.pages(tree).lang(TextStr(language));
        root.viewer_preferences().display_doc_title(true);
        root.finish();
        pdf.document_info(info)
            .title(TextStr(&sheet.title))
            .producer(TextStr("Labwire"));
        embed(&mut pdf, &self.regular, regular, &mut ids);
        embed(&mut pdf, &self.bold, bold, &mut ids);
        let mut kids = Vec::with_capacity(count);
        for content in contents {
            let (page, stream) = (ids(), ids());
            let packed = deflated(&content.finish());
            pdf.stream(stream, &packed).filter(Filter::FlateDecode);
            let mut p = pdf.page(page);
            p.media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT))
                .parent(tree)
                .contents(stream);
            let mut resources = p.resources();
            resources.fonts().pair(Name(b"R"), regular).pair(Name(b"B"), bold);
            resources.finish();
            p.finish();
            kids.push(page);
        }
        pdf.pages(tree)
            .kids(kids)
            .count(i32::try_from(count).unwrap_or(i32::MAX));
        pdf.finish()
    }
}

/// A column on the page.
struct Placed {
    x: f32,
    width: f32,
    number: bool,
}

fn placed(columns: &[Column]) -> Vec<Placed> {
    let weights: f32 = columns.iter().map(|c| c.weight).sum();
    let unit = (WIDTH - 2.0 * MARGIN) / weights;
    let mut x = MARGIN;
    let place = |c: &Column| {
        let placed = Placed {
            x,
            width: c.weight * unit - GAP,
            number: c.number,
        };
        x += c.weight * unit;
        placed
    };
    columns.iter().map(place).collect()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("memory takes everything")
}

/// The whole font, with a map from its glyphs back to letters.
fn embed(pdf: &mut Pdf, font: &Font, id: Ref, ids: &mut impl FnMut() -> Ref) {
    let (cid, descriptor, file, map) = (ids(), ids(), ids(), ids());
    let name = Name(font.name.as_bytes());
    pdf.type0_font(id)
        .base_font(name)
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(cid)
        .to_unicode(map);
    let glyphs = font.face.number_of_glyphs();
    let mut cid_font = pdf.cid_font(cid);
    cid_font
        .subtype(CidFontType::Type2)
        .base_font(name)
        .system_info(IDENTITY)
        .font_descriptor(descriptor)
        .cid_to_gid_map_predefined(Name(b"Identity"));
    cid_font
        .widths()
        .consecutive(0, (0..glyphs).map(|g| units(&font.face, GlyphId(g))));
    cid_font.finish();
    let em = 1000.0 / f32::from(font.face.units_per_em());
    let b = font.face.global_bounding_box();
    let corner = |n: i16| f32::from(n) * em;
    pdf.font_descriptor(descriptor)
        .name(name)
        .flags(FontFlags::NON_SYMBOLIC)
        .bbox(Rect::new(
            corner(b.x_min),
            corner(b.y_min),
            corner(b.x_max),
            corner(b.y_max),
        ))
        .italic_angle(0.0)
        .ascent(corner(font.face.ascender()))
        .descent(corner(font.face.descender()))
        .cap_height(corner(font.face.capital_height().unwrap_or(font.face.ascender())))
        .stem_v(80.0)
        .font_file2(file);
    let packed = deflated(font.bytes);
    let mut stream = pdf.stream(file, &packed);
    stream.filter(Filter::FlateDecode);
    stream.pair(Name(b"Length1"), i32::try_from(font.bytes.len()).unwrap_or(i32::MAX));
    stream.finish();
    let mut letters = UnicodeCmap::new(Name(b"Labwire"), IDENTITY);
    for c in (' '..=LAST).filter(|c| font.face.glyph_index(*c).is_some()) {
        letters.pair(font.letter(c).0.0, c);
    }
    let map_text = letters.finish();
    pdf.cmap(map, &map_text);
}
