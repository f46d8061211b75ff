//! As CSV: a row a grant, a session, and the totals; the first column says which. Seconds and micro-euros as they are booked.

use lab_core::{
    courses::SiteKind,
    csv::cell,
    metering::{Flow, Statement},
};
use std::fmt::Write as _;

const HEAD: &str = "row,id,subject,course,lab_or_plan,source,sponsor,at,until,opening,given,used,refunded,expired,revoked,closing,held,\
                    sandbox_seconds,billed_seconds,elsewhere_seconds,unbilled_seconds,unbilled_reason,cost_micro_eur,\
                    reseller,price_en,price_fr,site_kind";

pub(super) fn write(s: &Statement) -> String {
    let mut out = format!("{HEAD}\r\n");
    for g in &s.grants {
        let price = g.sale.as_ref().and_then(|s| s.price.as_ref());
        let reseller = g.sale.as_ref().and_then(|s| s.reseller.as_deref());
        let sponsor = g.grant.sponsor.as_ref().map_or("", |s| s.as_str());
        line(
            &mut out,
            &[
                "grant".into(),
                g.grant.id.to_string(),
                cell(g.grant.subject.as_str()),
                cell(g.grant.course.as_str()),
                cell(g.grant.plan.as_str()),
                cell(&g.grant.source),
                cell(sponsor),
                g.grant.effective_at.to_string(),
                g.voided_at.unwrap_or(g.grant.expires_at).to_string(),
                flow(&g.flow),
                ",,,,,".into(),
                cell(reseller.unwrap_or_default()),
                cell(price.map_or("", |p| &p.en)),
                cell(price.map_or("", |p| &p.fr)),
                String::new(),
            ],
        );
    }
    for l in &s.sessions {
        let refunded = format!(",,,{},,,,", l.refunded_seconds);
        line(
            &mut out,
            &[
                "session".into(),
                l.session.to_string(),
                cell(l.subject.as_str()),
                cell(l.course.as_str()),
                cell(l.lab.as_str()),
                String::new(),
                String::new(),
                l.requested_at.to_string(),
                l.settled_at.to_string(),
                refunded,
                l.sandbox_seconds.to_string(),
                l.billed_seconds.to_string(),
                l.elsewhere_seconds.to_string(),
                l.unbilled_seconds.to_string(),
                cell(l.unbilled_reason.as_deref().unwrap_or_default()),
                l.cost_micro_eur.map_or_else(String::new, |c| c.to_string()),
                ",,,".into(),
            ],
        );
    }
    let t = &s.totals;
    line(
        &mut out,
        &[
            "total".into(),
            cell(s.of.id()),
            t.learners.to_string(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            s.period.from.to_string(),
            s.period.until.to_string(),
            flow(&t.flow),
            t.sandbox_seconds.to_string(),
            t.billed_seconds.to_string(),
            t.elsewhere_seconds.to_string(),
            t.unbilled_seconds.to_string(),
            String::new(),
            t.cost_micro_eur.to_string(),
            ",,".into(),
            s.site_kind.map_or("", SiteKind::code).to_owned(),
        ],
    );
    out
}

fn flow(f: &Flow) -> String {
    [
        f.opening, f.given, f.used, f.refunded, f.expired, f.revoked, f.closing, f.held,
    ]
    .map(|n| n.to_string())
    .join(",")
}

fn line(out: &mut String, cells: &[String]) {
    write!(out, "{}\r\n", cells.join(",")).expect("a String takes everything");
}
