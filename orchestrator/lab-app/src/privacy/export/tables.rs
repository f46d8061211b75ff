//! The files that are tables and lists. Times as people write them, in UTC.

use super::super::people::PersonView;
use crate::{AppError, Ports};
use lab_core::{
    Timestamp,
    csv::{cell, line},
    grading::{Grade, GradeRow},
    journal::CheckOutcome,
    metering::Transaction,
    port::{Session, TransitionRow},
    privacy::{Look, Traces},
};
use serde_json::{Value, json};

pub(super) const CHECKS: &str = "session,lab,check,passed,points,detail\r\n";
pub(super) const GRADES: &str = "platform,course,lab,title,points,maximum,state,sent_points,sent_maximum,sent_at\r\n";
pub(super) const LEDGER: &str = "at,kind,reason,session,account,seconds\r\n";
pub(super) const LOOKS: &str = "at,name,role,action,session,lab,course,detail\r\n";

/// Who they are to us: names, other ids, logins, notices, grants, vouchers, what courses wrote of them.
pub(super) async fn profile(ports: &Ports, person: &PersonView) -> Result<String, AppError> {
    // whole, so that what is added there is not forgotten here
    let Traces {
        logins,
        notices,
        enrolments,
        vouchers,
        aliases,
        extensions,
        withheld,
    } = ports.store.person_traces(&person.subject).await?;
    let mut names: Vec<&str> = person.sessions.iter().map(|s| s.name.as_str()).collect();
    names.extend(logins.iter().map(|l| l.name.as_str()));
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
        "logins": logins.iter().map(login).collect::<Vec<_>>(),
        "enrolments": enrolments.iter().map(|e| json!({
            "course": e.course,
            "name": e.name,
            "cohort": e.cohort,
            "site": e.site,
            "coach": e.coach,
            "external": e.external,
            "plan": e.plan,
            "enrolled_at": time(e.enrolled_at),
        })).collect::<Vec<_>>(),
        "notices": notices.iter().map(|n| json!({"version": n.version, "acknowledged_at": time(n.at)})).collect::<Vec<_>>(),
        "grants": person.grants.iter().map(grant).collect::<Vec<_>>(),
        "vouchers": vouchers.iter().map(voucher).collect::<Vec<_>>(),
        "same_person": aliases.iter().map(|s| json!({"alias": s.alias, "subject": s.subject, "at": time(s.at)})).collect::<Vec<_>>(),
        "extensions": extensions.iter().map(|e| json!({
            "course": e.course,
            "until": time(e.until),
            "given_at": time(e.given_at),
        })).collect::<Vec<_>>(),
        "withheld": withheld.iter().map(|w| json!({
            "course": w.course,
            "plan": w.plan,
            "why": w.why.code(),
            "at": time(w.at),
        })).collect::<Vec<_>>(),
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
        s.id.to_string(),
        cell(s.lab.as_str()),
        cell(c.check.as_str()),
        c.passed.to_string(),
        c.points.to_string(),
        cell(&c.detail),
    ])
}

/// Not the platform's address of the grade: it may hold what the platform alone should have.
pub(super) fn grade(row: &GradeRow) -> String {
    let (given, maximum) = points(row.grade);
    let (sent_given, sent_maximum) = points(row.sent.as_ref().map(|s| s.grade));
    line(&[
        cell(&row.target.registration.0),
        cell(row.target.course.as_str()),
        cell(row.target.lab.as_str()),
        cell(&row.target.title),
        given,
        maximum,
        row.state.name().to_owned(),
        sent_given,
        sent_maximum,
        row.sent.as_ref().map(|s| time(s.at)).unwrap_or_default(),
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
            time(t.occurred_at),
            t.kind.name().to_owned(),
            cell(t.reason.as_deref().unwrap_or_default()),
            session.clone(),
            cell(&account.to_string()),
            seconds.to_string(),
        ])
    };
    t.entries.iter().map(entry).collect()
}

pub(super) fn look(l: &Look) -> String {
    line(&[
        time(l.at),
        cell(&l.name),
        l.role.name().to_owned(),
        cell(&l.action),
        l.session.map(|s| s.to_string()).unwrap_or_default(),
        cell(l.lab.as_ref().map_or("", |l| l.as_str())),
        cell(l.course.as_ref().map_or("", |c| c.as_str())),
        cell(&l.detail),
    ])
}

fn time(at: Timestamp) -> String {
    at.to_string()
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}
