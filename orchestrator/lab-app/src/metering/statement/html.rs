//! As a page of its own, for a browser and for paper: no script, no address, nothing fetched.

use super::{
    Language,
    sheet::{Sheet, Table},
};
use lab_core::html::escape;
use std::fmt::Write as _;

const STYLE: &str = "@page{size:A4 landscape;margin:12mm}body{font:10pt/1.4 system-ui,sans-serif;margin:1.5rem;color:#111;background:#fff}\
    h1{font-size:1.3rem}dl{display:grid;grid-template-columns:max-content auto;gap:.15rem 1rem}dt{color:#444}dd{margin:0;font-variant-numeric:tabular-nums}\
    .wide{overflow-x:auto}table{border-collapse:collapse;width:100%;margin:1rem 0;font-variant-numeric:tabular-nums}caption{text-align:left;font-weight:700;padding:.3rem 0}\
    th,td{padding:.2rem .5rem;border-bottom:1px solid #ccc;text-align:left;font-weight:400}thead th,tfoot td,tfoot th{font-weight:700;border-bottom:2px solid #444}\
    .n{text-align:right;white-space:nowrap}tr{break-inside:avoid}thead{display:table-header-group}small{color:#444}";

pub(super) fn write(sheet: &Sheet) -> String {
    let language = match sheet.language {
        Language::En => "en",
        Language::Fr => "fr",
    };
    let title = escape(&sheet.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{language}\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style>\n<main><h1>{title}</h1>\n<dl>"
    );
    for (label, value) in &sheet.lines {
        put(
            &mut out,
            format_args!("<dt>{}</dt><dd>{}</dd>", escape(label), escape(value)),
        );
    }
    out.push_str("</dl>\n");
    for table in &sheet.tables {
        write_table(&mut out, table);
    }
    put(
        &mut out,
        format_args!("<p><small>{}</small></p></main></html>\n", escape(&sheet.note)),
    );
    out
}

fn write_table(out: &mut String, table: &Table) {
    let class = |i: usize| if table.columns[i].number { " class=\"n\"" } else { "" };
    let caption = escape(&table.caption);
    put(
        out,
        format_args!(
            "<div class=\"wide\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\"><table><caption>{caption}</caption><thead><tr>"
        ),
    );
    for (i, column) in table.columns.iter().enumerate() {
        put(
            out,
            format_args!("<th scope=\"col\"{}>{}</th>", class(i), escape(&column.head)),
        );
    }
    out.push_str("</tr></thead><tbody>\n");
    for row in &table.rows {
        write_row(out, row, &class);
    }
    out.push_str("</tbody><tfoot>");
    write_row(out, &table.total, &class);
    out.push_str("</tfoot></table></div>\n");
}

fn write_row(out: &mut String, row: &[String], class: &dyn Fn(usize) -> &'static str) {
    out.push_str("<tr>");
    for (i, cell) in row.iter().enumerate() {
        if i == 0 {
            put(out, format_args!("<th scope=\"row\">{}</th>", escape(cell)));
        } else {
            put(out, format_args!("<td{}>{}</td>", class(i), escape(cell)));
        }
    }
    out.push_str("</tr>\n");
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes everything");
}
