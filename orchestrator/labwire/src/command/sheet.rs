//! Vouchers on paper: a list, or cards to cut. One self-contained page that a browser prints, as PDF where one is wanted.

use lab_core::{
    csv::cell,
    entitlement::{Bilingual, Code, VoucherBatch, VoucherTerms},
    html::escape,
};
use std::fmt::Write as _;

/// A code a line, with what it gives.
pub fn csv(batch: &VoucherBatch, terms: &VoucherTerms, codes: &[Code]) -> String {
    let mut out = String::from("code,batch,course,plan,seconds,redeem_until,label,reseller,price\r\n");
    let reseller = cell(terms.reseller.as_deref().unwrap_or_default());
    let price = cell(terms.price.as_ref().map_or("", |p| &p.en));
    for code in codes {
        let (course, label) = (cell(batch.course.as_str()), cell(&batch.label));
        let (id, plan, seconds, until) = (batch.id, cell(batch.plan.as_str()), batch.seconds, batch.expires_at);
        write!(
            out,
            "{},{id},{course},{plan},{seconds},{until},{label},{reseller},{price}\r\n",
            code.printed()
        )
        .expect("writing to a String cannot fail");
    }
    out
}

const STYLE: &str = "@page{margin:12mm}body{font:11pt/1.4 system-ui,sans-serif;margin:0;display:grid;grid-template-columns:1fr 1fr;gap:4mm}\
    article{border:1px dashed #888;padding:5mm;break-inside:avoid;display:grid;gap:1.5mm;min-height:52mm}\
    b{font:700 17pt/1.3 ui-monospace,monospace;letter-spacing:.04em}small{color:#444}p{margin:0}";

/// Cards, eight on a sheet of A4, in French and English.
pub fn html(
    (batch, terms): (&VoucherBatch, &VoucherTerms),
    plan: &Bilingual,
    codes: &[Code],
    public_url: &str,
) -> String {
    let (hours, minutes) = (batch.seconds / 3600, batch.seconds / 60 % 60);
    let time = if minutes == 0 {
        format!("{hours} h")
    } else {
        format!("{hours} h {minutes:02}")
    };
    let until = batch.expires_at.to_string();
    let day = until.split('T').next().unwrap_or(&until);
    let common = format!(
        "<p>{} · {} / {} · {time}</p><p lang=\"fr\">Ouvrez un TP de ce cours et saisissez ce code : il vous donne {time} de TP. À utiliser avant le {day}.</p>\
         <p lang=\"en\">Open a lab of this course and type this code: it gives you {time} of lab time. Redeem before {day}.</p>{}<small>{} · {}</small>",
        escape(batch.course.as_str()),
        escape(&plan.fr),
        escape(&plan.en),
        agreed(terms),
        escape(&batch.label),
        escape(public_url),
    );
    let mut page = format!(
        "<!doctype html><html lang=\"fr\"><meta charset=\"utf-8\"><title>{} × {time}, {}</title><style>{STYLE}</style>\n",
        codes.len(),
        escape(batch.course.as_str())
    );
    for code in codes {
        writeln!(page, "<article><b>{}</b>{common}</article>", code.printed())
            .expect("writing to a String cannot fail");
    }
    page.push_str("</html>\n");
    page
}

/// Who sells it, for what in their own currency, and who certifies.
fn agreed(terms: &VoucherTerms) -> String {
    let both = |text: &Bilingual| format!("{} / {}", escape(&text.fr), escape(&text.en));
    let mut said = Vec::new();
    said.extend(terms.reseller.as_deref().map(escape));
    said.extend(terms.price.as_ref().map(both));
    said.extend(terms.credit.as_ref().map(both));
    if said.is_empty() {
        String::new()
    } else {
        format!("<p>{}</p>", said.join(" · "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_core::{Timestamp, VoucherBatchId};

    fn batch(label: &str) -> VoucherBatch {
        VoucherBatch {
            id: VoucherBatchId(uuid::Uuid::nil()),
            label: label.into(),
            course: "net".into(),
            plan: "Q".into(),
            seconds: 5400,
            valid_days: 30,
            priority: 0,
            created_at: Timestamp::from_secs(0),
            expires_at: Timestamp::from_secs(86_400),
            key: "k".into(),
            sponsor: None,
        }
    }

    #[test]
    fn a_label_is_text_on_paper_and_in_a_spreadsheet() {
        let codes = [Code::of([1; 10]), Code::of([2; 10])];
        let name = Bilingual {
            en: "Q".into(),
            fr: "Q".into(),
        };
        let terms = VoucherTerms {
            reseller: Some("ESP <Dakar>".into()),
            price: Some(Bilingual {
                en: "100,000 FCFA".into(),
                fr: "100 000 FCFA".into(),
            }),
            ..VoucherTerms::default()
        };
        let page = html(
            (&batch("<script>alert(1)</script>"), &terms),
            &name,
            &codes,
            "https://labs.example.org",
        );
        assert!(!page.contains("<script"));
        assert!(
            page.contains("ESP &lt;Dakar&gt; · 100 000 FCFA / 100,000 FCFA"),
            "{page}"
        );
        assert!(codes.iter().all(|c| page.contains(&c.printed())));
        assert!(page.contains("1 h 30"));
        let list = csv(&batch("=1+1, \"x\""), &terms, &codes);
        assert_eq!(list.lines().count(), 3);
        assert!(list.contains("\"'=1+1, \"\"x\"\"\""), "{list}");
    }
}
