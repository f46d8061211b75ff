//! A screen drawn on a fresh terminal is the same screen, and stays the same under whatever comes next.

use super::{Depth, model::Model, paint::Pen};
use alacritty_terminal::{
    grid::{Cursor, Dimensions, Grid},
    index::{Column, Line},
    term::{
        TermMode,
        cell::{Cell, Flags},
    },
    vte::ansi::CharsetIndex,
};
use proptest::prelude::*;

/// What cannot be drawn and changes nothing that is seen: where a line was wrapped matters to a resize only.
const NOT_DRAWN: Flags = Flags::WRAPLINE.union(Flags::LEADING_WIDE_CHAR_SPACER);

#[derive(Debug, PartialEq)]
struct Seen {
    cells: Vec<String>,
    cursor: String,
    saved: String,
}

/// Everything about a cell that decides how it looks; links without a name are the same when they lead to the same place.
fn cell(cell: &Cell) -> String {
    let name = |id: &str| (!id.ends_with("_alacritty")).then(|| id.to_owned());
    let link = cell.hyperlink().map(|l| (l.uri().to_owned(), name(l.id())));
    let style = cell.flags.difference(NOT_DRAWN);
    let combining = cell.zerowidth().unwrap_or_default();
    format!(
        "{:?}{combining:?} {:?}/{:?} {style:?} {:?} {link:?}",
        cell.c,
        cell.fg,
        cell.bg,
        cell.underline_color()
    )
}

fn cursor(cursor: &Cursor<Cell>) -> String {
    let pen = Pen::of(&Cell {
        extra: None,
        ..cursor.template.clone()
    });
    let underline = cursor.template.underline_color();
    let sets = [CharsetIndex::G0, CharsetIndex::G1, CharsetIndex::G2, CharsetIndex::G3].map(|i| cursor.charsets[i]);
    let link = cursor.template.hyperlink().map(|l| l.uri().to_owned());
    format!(
        "{:?} {} {pen:?} {underline:?} {link:?} {sets:?}",
        cursor.point, cursor.input_needs_wrap
    )
}

fn grid(grid: &Grid<Cell>) -> Seen {
    let row = |line: usize| (0..grid.columns()).map(move |c| cell(&grid[Line(line as i32)][Column(c)]));
    Seen {
        cells: (0..grid.screen_lines()).flat_map(row).collect(),
        cursor: cursor(&grid.cursor),
        saved: cursor(&grid.saved_cursor),
    }
}

fn seen(model: &mut Model) -> (Vec<Seen>, String) {
    let mut screens = vec![grid(model.term.grid())];
    if model.term.mode().contains(TermMode::ALT_SCREEN) {
        model.with_primary(|model| screens.push(grid(model.term.grid())));
    }
    let mut kept = model.kept.clone();
    kept.last_char = None;
    let state = format!("{:?} {kept:?} {:?}", model.term.mode(), model.term.cursor_style());
    (screens, state)
}

fn assert_same(a: &mut Model, b: &mut Model, when: &str) {
    let ((screens_a, state_a), (screens_b, state_b)) = (seen(a), seen(b));
    assert_eq!(state_a, state_b, "{when}");
    assert_eq!(screens_a.len(), screens_b.len(), "{when}");
    for (a, b) in screens_a.iter().zip(&screens_b) {
        for (i, (a, b)) in a.cells.iter().zip(&b.cells).enumerate() {
            assert_eq!(a, b, "{when}: cell {i}");
        }
        assert_eq!((&a.cursor, &a.saved), (&b.cursor, &b.saved), "{when}");
    }
}

fn redrawn(model: &mut Model, depth: Depth) -> Model {
    let (cols, rows) = model.size();
    let mut fresh = Model::new(cols, rows);
    fresh.feed(&model.draw(depth));
    fresh
}

fn fed(cols: u16, rows: u16, bytes: &[u8]) -> Model {
    let mut model = Model::new(cols, rows);
    model.feed(bytes);
    model
}

/// One piece of terminal output: text, controls, sequences of every kind that the emulator knows, and noise.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let text = prop::sample::select(vec![
        "hello",
        "日本",
        "e\u{301}",
        "x",
        "é",
        "─",
        "wrap me around",
        "😀",
        "ok ",
    ]);
    let params = prop::collection::vec(prop_oneof![0_u16..12, 30_u16..50, Just(999)], 0..4);
    let csi = (prop::sample::select(b"@ABCDEFGHIJKLMPSTXZ`adefgrsumm".to_vec()), params).prop_map(|(last, params)| {
        let params: Vec<String> = params.iter().map(ToString::to_string).collect();
        format!("\x1b[{}{}", params.join(";"), last as char).into_bytes()
    });
    let modes = vec![
        1_u16, 3, 5, 6, 7, 9, 12, 25, 45, 47, 66, 1000, 1002, 1003, 1004, 1005, 1006, 1007, 1047, 1048, 1049, 1049,
        2004, 2026,
    ];
    let private = (prop::sample::select(modes), any::<bool>())
        .prop_map(|(mode, on)| format!("\x1b[?{mode}{}", if on { 'h' } else { 'l' }).into_bytes());
    let other = prop::sample::select(vec![
        "\x1b7",
        "\x1b8",
        "\x1bD",
        "\x1bE",
        "\x1bM",
        "\x1bH",
        "\x1b(0",
        "\x1b)0",
        "\x1b(B",
        "\x0e",
        "\x0f",
        "\x1b=",
        "\x1b>",
        "\x1b#8",
        "\x1bc",
        "\x1b[4h",
        "\x1b[4l",
        "\x1b[2 q",
        "\x1b[5 q",
        "\x1b]0;title\x07",
        "\x1b]2;b\x1b\\",
        "\x1b]8;;http://x/\x1b\\",
        "\x1b]8;id=n;http://y/\x1b\\",
        "\x1b]8;;\x1b\\",
        "\x1b]4;1;rgb:11/22/33\x07",
        "\x1b[38;5;200m",
        "\x1b[48;2;1;2;3m",
        "\x1b[4:3m",
        "\x1b[58;5;9m",
        "\x1b[1;3;7;9m",
        "\x1b[2;8;21m",
        "\x1b[97;104m",
        "\x1b[m",
        "\r\n",
        "\r",
        "\t",
        "\x08",
        "\x07",
        "\x1bP1$q\x1b\\",
        "\x1b_x\x1b\\",
        "\x1b[c",
        "\x1b[6n",
        "\x1b[3;5r",
    ])
    .prop_map(|s| s.as_bytes().to_vec());
    let noise = prop::collection::vec(any::<u8>(), 1..6)
        // REP is held by its own test: on a screen without a blank it cannot be kept
        .prop_filter("no REP", |bytes| !bytes.contains(&b'b'));
    prop_oneof![4 => text.prop_map(|t| t.as_bytes().to_vec()), 4 => csi, 2 => private, 4 => other, 1 => noise]
}

fn output(pieces: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), pieces).prop_map(|p| p.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_drawn_screen_is_the_same_and_stays_the_same(
        cols in 2_u16..24, rows in 1_u16..9, before in output(0..60), after in output(0..30), history in any::<bool>(),
    ) {
        let mut original = fed(cols, rows, &before);
        let mut copy = redrawn(&mut original, if history { Depth::WithHistory } else { Depth::Visible });
        assert_same(&mut original, &mut copy, "when drawn");
        original.feed(&after);
        copy.feed(&after);
        assert_same(&mut original, &mut copy, "after more output");
    }

    #[test]
    fn drawing_changes_nothing(cols in 2_u16..24, rows in 1_u16..9, before in output(0..60), after in output(0..20)) {
        let mut looked_at = fed(cols, rows, &before);
        let mut left_alone = fed(cols, rows, &before);
        looked_at.draw(Depth::WithHistory);
        looked_at.feed(&after);
        left_alone.feed(&after);
        assert_same(&mut looked_at, &mut left_alone, "after being drawn");
    }

    #[test]
    fn how_output_is_cut_into_pieces_does_not_matter(before in output(0..40), cuts in prop::collection::vec(1_usize..9, 0..200)) {
        let mut whole = fed(20, 6, &before);
        let mut pieces = Model::new(20, 6);
        let mut rest = &before[..];
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            pieces.feed(now);
            rest = later;
        }
        pieces.feed(rest);
        assert_same(&mut whole, &mut pieces, "cut");
        prop_assert_eq!(whole.position.pending(), pieces.position.pending());
    }

    #[test]
    fn no_output_and_no_size_makes_the_model_fail(steps in prop::collection::vec((output(0..10), 1_u16..40, 1_u16..20), 1..4)) {
        let mut model = Model::new(80, 24);
        for (bytes, cols, rows) in steps {
            model.feed(&bytes);
            model.resize(cols, rows);
            model.draw(Depth::WithHistory);
            model.cursor_line();
        }
    }
}

#[test]
fn a_snapshot_at_every_byte_of_a_full_screen_program_goes_on_right() {
    let session = "$ vi é\r\n\x1b7\x1b[?1049h\x1b[?1h\x1b=\x1b[?2004h\x1b[?1002h\x1b[?1006h\x1b[1;23r\x1b[H\x1b[2J\x1b]0;vi – é\x07\
        \x1b[38;5;130m  1 \x1b[m日本語\r\n\x1b[7mstatus\x1b[27m\x1b[12;4Hx\x1b(0qqq\x1b(B\x1b[?25l\x1b[4 q\x1b[23;1H\n\x1b[?25h\
        \x1b[?1002l\x1b[?1049l\x1b8\x1b[?1l\x1b>bye\r\n$ "
        .as_bytes();
    let mut expected = fed(40, 24, session);
    for cut in 0..=session.len() {
        let mut first = fed(40, 24, &session[..cut]);
        let mut second = redrawn(&mut first, Depth::WithHistory);
        second.feed(&session[cut..]);
        assert_same(&mut expected, &mut second, &format!("cut at {cut}"));
    }
}

#[test]
fn a_repeated_character_is_the_one_before_the_snapshot() {
    let mut original = fed(10, 3, b"ab\r\n-");
    let mut copy = redrawn(&mut original, Depth::Visible);
    original.feed(b"\x1b[4b");
    copy.feed(b"\x1b[4b");
    assert_same(&mut original, &mut copy, "repeated");
    assert_eq!(copy.cursor_line().whole, "-----");
}

#[test]
fn a_drawn_screen_asks_nothing() {
    let mut model = fed(
        80,
        24,
        b"\x1b[c\x1b[>c\x1b[6n\x1b]10;?\x07\x1b]11;?\x07\x1b[?u\x1b[14t\x1b[18t\x1b[?2026$p\x1bP$qm\x1b\\\x1b[x\x05",
    );
    let drawn = model.draw(Depth::WithHistory);
    for query in [&b"?\x07"[..], b"?\x1b", b"c", b"n", b"t", b"p", b"\x05", b"\x1bP"] {
        assert!(
            !drawn.windows(query.len()).any(|w| w == query),
            "{query:?} in {:?}",
            String::from_utf8_lossy(&drawn)
        );
    }
}

#[test]
fn lines_above_the_screen_come_along_as_far_as_they_fit() {
    let mut model = Model::new(80, 24);
    (0..2000).for_each(|i| model.feed(format!("line {i} of the history\r\n").as_bytes()));
    let drawn = model.draw(Depth::WithHistory);
    let copy = redrawn(&mut model, Depth::WithHistory);
    assert!(
        drawn.len() <= lab_core::limits::SNAPSHOT_BYTES_MAX + 8 * 1024,
        "{} bytes",
        drawn.len()
    );
    assert_eq!(copy.term.grid().history_size(), model.term.grid().history_size());
    let oldest = |m: &Model| cell(&m.term.grid()[Line(-(m.term.grid().history_size() as i32))][Column(6)]);
    assert_eq!(oldest(&copy), oldest(&model));
    assert!(model.draw(Depth::Visible).len() < 2000, "a keyframe is the screen only");
}

#[test]
fn the_most_colourful_screen_fits_a_record() {
    use lab_core::limits::{COLS_MAX, ROWS_MAX};
    let mut model = Model::new(COLS_MAX, ROWS_MAX);
    for i in 0..u32::from(COLS_MAX) * u32::from(ROWS_MAX) {
        model.feed(format!("\x1b[38;2;{};{};7m日", i % 256, i / 256 % 256).as_bytes());
    }
    assert!(model.draw(Depth::WithHistory).len() + 4 <= lab_core::journal::PAYLOAD_MAX);
}

#[test]
fn endless_strings_and_combining_characters_do_not_fill_memory() {
    let mut model = Model::new(20, 5);
    model.feed(b"\x1b]0;");
    (0..300).for_each(|_| model.feed(&[b'x'; 10_000]));
    model.feed(b"\x07e");
    (0..10_000).for_each(|_| model.feed("\u{301}".as_bytes()));
    assert!(model.draw(Depth::Visible).len() < 2500);
    assert_eq!(model.cursor_line().before_cursor, "e");
}

#[test]
fn the_cursors_line_is_joined_where_it_was_wrapped() {
    let model = fed(10, 4, b"first\r\nr1# show ip route ospf");
    let line = model.cursor_line();
    assert_eq!(line.whole, "r1# show ip route ospf");
    assert_eq!(line.before_cursor, line.whole);
    let line = fed(20, 4, b"r1# abc\x1b[2D").cursor_line();
    assert_eq!((line.whole.as_str(), line.before_cursor.as_str()), ("r1# abc", "r1# a"));
}

fn flood() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        8 => "[ -~]{0,100}\r\n",
        1 => "[ -~]{0,300}\n",
        1 => "\r[ -~]{1,90}",
    ];
    (proptest::collection::vec(line, 1..40), 200usize..2000)
        .prop_map(|(lines, times)| lines.concat().repeat(times / lines.len() + 1).into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_flood_of_which_the_middle_is_left_out_looks_as_if_all_were_read(
        before in proptest::collection::vec(any::<u8>(), 0..200),
        set in prop_oneof![Just(""), Just("\x1b[31m"), Just("\x1b[5;10r"), Just("\x1b[?1049h"), Just("\x1b]0;open"), Just("\x1b[4h"), Just("\x1b[?7l")],
        flood in flood(),
        after in "[ -~]{0,50}",
    ) {
        let (mut whole, mut pieces) = (Model::new(80, 24), Model::new(80, 24));
        let all = [&before[..], set.as_bytes(), &flood[..], after.as_bytes()].concat();
        whole.feed(&all);
        // too short to leave anything out
        all.chunks(4096).for_each(|part| pieces.feed(part));
        assert_same(&mut whole, &mut pieces, "after the flood");
        prop_assert_eq!(whole.kept.last_char, pieces.kept.last_char);
        prop_assert_eq!(whole.draw(Depth::WithHistory), pieces.draw(Depth::WithHistory));
    }
}
