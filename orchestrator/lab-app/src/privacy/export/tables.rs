//! The files that are tables and lists. Times as people write them, in UTC.

use super::super::people::PersonView;
use crate::{AppError, Ports};
use lab_core::{
    Timestamp,
    grading::{Grade, GradeRow},
    journal::CheckOutcome,
    metering::Transaction,
    port::{Session, TransitionRow},
    privacy::Look,
};
use serde_json::{Value, json};

pub(super) const CHECKS: &str = "session,lab,check,passed,points,detail\r\n";
pub(super) const GRADES: &str = "platform,course,lab,title,points,maximum,state,sent_points,sent_maximum,sent_at\r\n";
pub(super) const LEDGER: &str = "at,kind,reason,session,account,seconds\r\n";
pub(super) const LOOKS: &str = "at,name,role,action,session,lab,course,detail\r\n";

/// Who they are to us: names, logins, notices, grants, vouchers.
pub(super) async fn profile(ports: &Ports, person: &PersonView) -> Result<String, AppError> {
    let traces = ports.store.person_traces(&person.subject).await?;
    let mut names: Vec<&str> = person.sessions.iter().map(|s| s.name.as_str()).collect();
    names.extend(traces.logins.iter().map(|l| l.name.as_str()));
    names.sort_unstable();
    names.dedup();
    let login = |l: &lab_core::launch::Login| {
        json!({
            "role": l.role.name(), "name": l.name, "course": l.course, "lab": l.lab, "plan": l.plan,
            "created_at": time(l.created_at), "expires_at": time(l.expires_at),
        })
    };
    let grant = |g: &lab_core::entitlement::GrantBalance| {
        json!({
            "id": g.grant.id, "course": g.grant.course, "plan": g.grant.plan, "seconds": g.grant.seconds, "left": g.available,
            "source": g.grant.source, "effective_at": time(g.grant.effective_at), "expires_at": time(g.grant.expires_at),
            "created_at": time(g.grant.created_at), "voided_at": g.voided_at.map(time),
        })
    };
    let voucher = |v: &lab_core::privacy::RedeemedVoucher| {
        json!({
            "label": v.label, "course": v.course, "plan": v.plan, "redeemed_at": time(v.redeemed_at), "grant": v.grant,
        })
    };
    Ok(pretty(&json!({
        "subject": person.subject,
        "names": names,
        "kept": person.footprint,
        "logins": traces.logins.iter().map(login).collect::<Vec<_>>(),
        "enrolments": traces.enrolments.iter().map(|e| json!({
            "course": e.course,
            "name": e.name,
            "cohort": e.cohort,
            "site": e.site,
            "coach": e.coach,
            "external": e.external,
            "plan": e.plan,
            "enrolled_at": time(e.enrolled_at),
        })).collect::<Vec<_>>(),
        "notices": traces.notices.iter().map(|n| json!({"version": n.version, "acknowledged_at": time(n.at)})).collect::<Vec<_>>(),
        "grants": person.grants.iter().map(grant).collect::<Vec<_>>(),
        "vouchers": traces.vouchers.iter().map(voucher).collect::<Vec<_>>(),
    })))
}

/// One session, with its history.
pub(super) fn session(s: &Session, history: &[TransitionRow]) -> String {
    let row = |t: &TransitionRow| json!({"at": time(t.at), "state": t.state, "cause": t.cause});
    pretty(&json!({
        "id": s.id, "name": s.name, "course": s.course, "lab": s.lab, "version": s.digest, "plan": s.plan, "state": s.state,
        "requested_at": time(s.requested_at), "ready_at": s.ready_at.map(time), "over_at": s.over_at.map(time),
        "active_at": time(s.active_at), "billed_seconds": s.billed_secs,
        "history": history.iter().map(row).collect::<Vec<_>>(),
    }))
}

pub(super) fn check(s: &Session, c: &CheckOutcome) -> String {
    line(&[
        &s.id.to_string(),
        s.lab.as_str(),
        c.check.as_str(),
        &c.passed.to_string(),
        &c.points.to_string(),
        &c.detail,
    ])
}

/// Not the platform's address of the grade: it may hold what the platform alone should have.
pub(super) fn grade(row: &GradeRow) -> String {
    let (given, maximum) = points(row.grade);
    let (sent_given, sent_maximum) = points(row.sent.as_ref().map(|s| s.grade));
    line(&[
        &row.target.registration.0,
        row.target.course.as_str(),
        row.target.lab.as_str(),
        &row.target.title,
        &given,
        &maximum,
        row.state.name(),
        &sent_given,
        &sent_maximum,
        &row.sent.as_ref().map(|s| time(s.at)).unwrap_or_default(),
    ])
}

/// Empty before anything was checked.
fn points(grade: Option<Grade>) -> (String, String) {
    grade.map_or_else(Default::default, |g| (g.given.to_string(), g.maximum.to_string()))
}

/// A line an entry: the lines of one transaction sum to zero.
pub(super) fn transaction(t: &Transaction) -> String {
    let session = t.session.map(|s| s.to_string()).unwrap_or_default();
    let entry = |(account, seconds): &(lab_core::metering::Account, i64)| {
        line(&[
            &time(t.occurred_at),
            t.kind.name(),
            t.reason.as_deref().unwrap_or_default(),
            &session,
            &account.to_string(),
            &seconds.to_string(),
        ])
    };
    t.entries.iter().map(entry).collect()
}

pub(super) fn look(l: &Look) -> String {
    line(&[
        &time(l.at),
        &l.name,
        l.role.name(),
        &l.action,
        &l.session.map(|s| s.to_string()).unwrap_or_default(),
        l.lab.as_ref().map_or("", |l| l.as_str()),
        l.course.as_ref().map_or("", |c| c.as_str()),
        &l.detail,
    ])
}

fn time(at: Timestamp) -> String {
    at.to_string()
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

/// A line of CSV (RFC 4180). A text that begins like a formula must not become one in a spreadsheet; a number may be negative.
fn line(cells: &[&str]) -> String {
    let cell = |text: &&str| {
        let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<i64>().is_err();
        if !formula && !text.contains(['"', ',', '\r', '\n']) {
            return (*text).to_owned();
        }
        format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""))
    };
    let mut line = cells.iter().map(cell).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_name_cannot_become_a_formula_and_a_number_may_be_negative() {
        assert_eq!(
            line(&["=1+1", "-5", "a,b", "say \"hi\""]),
            "\"'=1+1\",-5,\"a,b\",\"say \"\"hi\"\"\"\r\n"
        );
    }
}
