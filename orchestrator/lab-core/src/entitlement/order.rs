//! Orders: a shop or an enrolment office gives lab time by a key of its own. What it may order is in the key; all else is refused.

use super::{Given, Grant, GrantBudget, Plan, source};
use crate::{
    CourseId, GrantId, OrderKeyId, PlanId, SiteId, SponsorId, Subject, Timestamp, TokenHash, privacy::is_pseudonym,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, time::Duration};

/// Longest order number: a UUID with a shop's prefix, twice.
pub const ORDER_NUMBER_BYTES_MAX: usize = 100;
/// Longest name of a person: an e-mail address has at most 254.
pub const PERSON_BYTES_MAX: usize = 254;
/// Longest reason of a cancellation: a sentence.
pub const CANCEL_REASON_BYTES_MAX: usize = 300;
/// Most lab time of one order: 20,000 hours, as on the command line.
pub const ORDER_SECS_MAX: i64 = 20_000 * 3600;
/// Longest validity of what is ordered: as long as a plan's days may be (36,500).
const ORDER_VALID_MAX: Duration = Duration::from_hours(24 * 36_500);

/// Orders of one key in a minute, of each process: a class of 2,500 takes four of them, and a shop that repeats for ever is told to wait.
pub const ORDERS_A_MINUTE: u32 = 600;

/// A shop's key. Several may be of one shop at once, so that one is replaced without a gap: orders are the shop's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderKey {
    pub id: OrderKeyId,
    /// `[a-z0-9-]{1,63}`; order numbers are unique within it.
    pub shop: String,
    /// Keyed; the key itself is shown once, and kept nowhere.
    pub hash: TokenHash,
    /// Id of the installation's key that `hash` was made with.
    pub key: String,
    /// What may be ordered, and nothing else.
    pub courses: BTreeSet<CourseId>,
    pub plans: BTreeSet<PlanId>,
    /// Who pays for what is ordered.
    pub sponsor: Option<SponsorId>,
    /// Where its people are: on the statement of that site.
    pub site: Option<SiteId>,
    /// Of all the shop's orders.
    pub budget: GrantBudget,
    pub created_at: Timestamp,
    /// From then on it opens nothing.
    pub revoked_at: Option<Timestamp>,
}

/// A key with what its shop ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderKeyState {
    pub key: OrderKey,
    pub given: Given,
}

/// What a shop asks for, as it asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The shop's own number.
    pub number: String,
    pub person: Subject,
    pub course: CourseId,
    pub plan: PlanId,
    /// The plan's when not given.
    pub seconds: Option<i64>,
    /// The plan's days from the order when not given.
    pub expires_at: Option<Timestamp>,
}

/// An order with what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderState {
    pub shop: String,
    pub order: Order,
    pub grant: Grant,
    /// Of the grant: neither used nor held.
    pub available: i64,
    pub cancelled: Option<Cancellation>,
}

/// An order that was cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    pub at: Timestamp,
    pub reason: String,
    /// Seconds that were not used yet.
    pub taken_back: i64,
}

/// An order as the store gets it: what was asked for and what it gives.
#[derive(Clone, Debug)]
pub struct Placement {
    pub key: OrderKeyId,
    pub order: Order,
    pub grant: Grant,
}

/// What the store did with an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    New(OrderState),
    /// The same order again, which changes nothing.
    Same(OrderState),
    /// The shop has another order of that number.
    Differs(Vec<Difference>),
    /// It would exceed the shop's budget.
    Spent(super::BudgetSpent),
    /// The key was revoked meanwhile.
    Revoked,
}

/// Where an order is not what its number stood for before. A person is not told: they may have been forgotten since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub field: &'static str,
    pub was: Option<String>,
    pub is: Option<String>,
}

/// A field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    pub field: String,
    pub found: String,
    pub remedy: String,
}

impl FieldProblem {
    fn new(field: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            found: found.into(),
            remedy: remedy.into(),
        }
    }
}

/// The grant of an order: one order, one grant, however often it is sent.
pub fn order_grant(shop: &str, number: &str) -> GrantId {
    let name = format!("order/{shop}/{number}");
    GrantId(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()))
}

/// What is wrong with a shop's name.
pub fn shop_problem(shop: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (!(1..=63).contains(&shop.len()) || !shop.bytes().all(plain))
        .then(|| format!("name {shop:?}: use 1 to 63 of a-z, 0-9 and '-'"))
}

const FIELDS: [&str; 6] = ["order", "person", "course", "plan", "seconds", "expires_at"];

/// Reads an order out of a JSON object.
///
/// # Errors
/// Every field that is wrong, not only the first.
pub fn read_order(body: &Map<String, Value>) -> Result<Order, Vec<FieldProblem>> {
    let mut problems: Vec<FieldProblem> = body
        .keys()
        .filter(|k| !FIELDS.contains(&k.as_str()))
        .map(|k| {
            let known = FIELDS.join(", ");
            FieldProblem::new(
                &k.chars().take(63).collect::<String>(),
                "unknown",
                format!("use only {known}"),
            )
        })
        .collect();
    let mut text = |field: &str, most: usize, remedy: &str| {
        let found = match body.get(field) {
            Some(Value::String(s)) if is_plain(s, most) => return s.clone(),
            found => shown(found),
        };
        problems.push(FieldProblem::new(field, found, remedy));
        String::new()
    };
    let number = text(
        "order",
        ORDER_NUMBER_BYTES_MAX,
        "your order's own number: a text of 1 to 100 bytes, without spaces at its ends or control characters",
    );
    let person = text(
        "person",
        PERSON_BYTES_MAX,
        "who may use it, as their launches name them: a text of 1 to 254 bytes",
    );
    let course = text("course", 255, "a course's id, as a text");
    let plan = text("plan", 255, "a plan's id, as a text");
    let mut whole = |field: &str, range: std::ops::RangeInclusive<i64>, remedy: &str| match body.get(field) {
        None | Some(Value::Null) => None,
        Some(found) => {
            let n = found.as_i64().filter(|n| range.contains(n));
            if n.is_none() {
                problems.push(FieldProblem::new(field, shown(Some(found)), remedy));
            }
            n
        }
    };
    let seconds = whole(
        "seconds",
        1..=ORDER_SECS_MAX,
        "whole seconds from 1 to 72000000, or leave it out for the plan's",
    );
    let expires_at = whole(
        "expires_at",
        0..=253_402_300_799,
        "Unix seconds of a time to come, or leave it out for the plan's days",
    );
    if is_pseudonym(&Subject(person.clone())) {
        problems.push(FieldProblem::new(
            "person",
            person.clone(),
            "this is the name of somebody who was forgotten; it cannot be given lab time",
        ));
    }
    if problems.is_empty() {
        Ok(Order {
            number,
            person: Subject(person),
            course: CourseId(course),
            plan: PlanId(plan),
            seconds,
            expires_at: expires_at.map(Timestamp::from_secs),
        })
    } else {
        Err(problems)
    }
}

/// What a cancellation says why.
///
/// # Errors
/// Names the field.
pub fn read_reason(body: &Map<String, Value>) -> Result<String, Vec<FieldProblem>> {
    match body.get("reason") {
        Some(Value::String(s)) if is_plain(s, CANCEL_REASON_BYTES_MAX) => Ok(s.clone()),
        found => Err(vec![FieldProblem::new(
            "reason",
            shown(found),
            "why it is cancelled: a text of 1 to 300 bytes that names nobody",
        )]),
    }
}

fn is_plain(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.trim() == text && !text.chars().any(char::is_control)
}

/// A wrong value in a message: as much of it as tells which one is meant.
fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "missing".into(), |v| v.to_string().chars().take(80).collect())
}

/// Whether a key may order that.
///
/// # Errors
/// Names the course or plan, and what the key may order.
pub fn permit(key: &OrderKey, order: &Order) -> Result<(), Vec<FieldProblem>> {
    let mut problems = Vec::new();
    if !key.courses.contains(&order.course) {
        let known: Vec<&str> = key.courses.iter().map(CourseId::as_str).collect();
        problems.push(FieldProblem::new(
            "course",
            order.course.as_str(),
            format!("this key orders for {}", known.join(", ")),
        ));
    }
    if !key.plans.contains(&order.plan) {
        let known: Vec<&str> = key.plans.iter().map(PlanId::as_str).collect();
        problems.push(FieldProblem::new(
            "plan",
            order.plan.as_str(),
            format!("this key orders {}", known.join(", ")),
        ));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The grant that an order gives at `at`.
///
/// # Errors
/// Names the field that makes no sense now.
pub fn grant_of(key: &OrderKey, plan: &Plan, order: &Order, at: Timestamp) -> Result<Grant, Vec<FieldProblem>> {
    let seconds = order.seconds.unwrap_or(plan.seconds);
    let mut problems = Vec::new();
    if plan.labs && seconds < plan.minimum_secs {
        let remedy = format!(
            "the plan {} starts nothing with less than {} seconds",
            plan.id, plan.minimum_secs
        );
        problems.push(FieldProblem::new("seconds", seconds.to_string(), remedy));
    }
    let usual = Grant::of_plan(
        plan,
        order_grant(&key.shop, &order.number),
        &order.person,
        &order.course,
        source::ORDER,
        at,
    );
    let expires_at = order.expires_at.unwrap_or(usual.expires_at);
    if expires_at <= at || expires_at > at.plus(ORDER_VALID_MAX) {
        problems.push(FieldProblem::new(
            "expires_at",
            expires_at.secs().to_string(),
            format!("a time after {}", at.secs()),
        ));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Grant {
        seconds,
        expires_at,
        sponsor: key.sponsor.clone(),
        ..usual
    })
}

/// Where `is` is another order than `was`; empty: it is the same one again.
pub fn differences(was: &Order, is: &Order) -> Vec<Difference> {
    let text = |s: &str| Some(s.to_owned());
    let number = |n: Option<i64>| n.map(|n| n.to_string());
    let time = |t: Option<Timestamp>| t.map(|t| t.secs().to_string());
    let mut all = Vec::new();
    if was.person != is.person {
        all.push(Difference {
            field: "person",
            was: None,
            is: None,
        });
    }
    let fields = [
        ("course", text(was.course.as_str()), text(is.course.as_str())),
        ("plan", text(was.plan.as_str()), text(is.plan.as_str())),
        ("seconds", number(was.seconds), number(is.seconds)),
        ("expires_at", time(was.expires_at), time(is.expires_at)),
    ];
    all.extend(
        fields
            .into_iter()
            .filter(|(_, was, is)| was != is)
            .map(|(field, was, is)| Difference { field, was, is }),
    );
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entitlement::Bilingual;
    use serde_json::json;

    fn body(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn good() -> Value {
        json!({ "order": "S-1", "person": "ada@example.org", "course": "net", "plan": "QUALIFYING" })
    }

    fn key() -> OrderKey {
        OrderKey {
            id: OrderKeyId(uuid::Uuid::nil()),
            shop: "esp".into(),
            hash: TokenHash([0; 32]),
            key: "k".into(),
            courses: ["net".into()].into(),
            plans: ["QUALIFYING".into()].into(),
            sponsor: Some("esp".into()),
            site: None,
            budget: GrantBudget::default(),
            created_at: Timestamp(0),
            revoked_at: None,
        }
    }

    #[test]
    fn every_bad_field_is_named_with_its_remedy_at_once() {
        let wrong = json!({
            "order": "", "person": 7, "plan": "Q\n", "seconds": 0, "expires_at": "tomorrow", "colour": "red"
        });
        let mut named: Vec<String> = read_order(&body(&wrong))
            .unwrap_err()
            .into_iter()
            .map(|p| p.field)
            .collect();
        named.sort();
        assert_eq!(
            named,
            ["colour", "course", "expires_at", "order", "person", "plan", "seconds"]
        );
        assert!(read_order(&body(&good())).is_ok());
        assert!(read_reason(&body(&json!({ "reason": " " }))).is_err());
    }

    #[test]
    fn a_key_orders_what_it_was_made_for_and_nothing_else() {
        let order = read_order(&body(&good())).unwrap();
        assert_eq!(permit(&key(), &order), Ok(()));
        let other = Order {
            course: "art".into(),
            plan: "GOLD".into(),
            ..order
        };
        let named: Vec<String> = permit(&key(), &other)
            .unwrap_err()
            .into_iter()
            .map(|p| p.field)
            .collect();
        assert_eq!(named, ["course", "plan"]);
    }

    #[test]
    fn an_order_gives_what_it_says_or_else_what_the_plan_says() {
        let text = Bilingual {
            en: "Q".into(),
            fr: "Q".into(),
        };
        let plan = Plan {
            seconds: 3600,
            valid_days: 10,
            ..Plan::new("QUALIFYING", text)
        };
        let order = read_order(&body(&good())).unwrap();
        let at = Timestamp::from_secs(1000);
        let grant = grant_of(&key(), &plan, &order, at).unwrap();
        assert_eq!(
            (grant.seconds, grant.expires_at),
            (3600, Timestamp::from_secs(1000 + 864_000))
        );
        assert_eq!(
            (grant.source.as_str(), grant.sponsor),
            (source::ORDER, Some("esp".into()))
        );
        let late = Order {
            expires_at: Some(at),
            seconds: Some(59),
            ..order
        };
        let named: Vec<String> = grant_of(&key(), &plan, &late, at)
            .unwrap_err()
            .into_iter()
            .map(|p| p.field)
            .collect();
        assert_eq!(named, ["seconds", "expires_at"]);
    }

    #[test]
    fn another_order_of_the_same_number_says_what_differs_and_not_whose_it_was() {
        let was = read_order(&body(&good())).unwrap();
        assert!(differences(&was, &was.clone()).is_empty());
        let is = Order {
            person: "bob".into(),
            seconds: Some(60),
            ..was.clone()
        };
        let all = differences(&was, &is);
        assert_eq!(all.iter().map(|d| d.field).collect::<Vec<_>>(), ["person", "seconds"]);
        assert!(!serde_json::to_string(&all).unwrap().contains("ada"));
    }
}
