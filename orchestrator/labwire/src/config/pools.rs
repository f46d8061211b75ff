//! Warm pools: how many sandboxes of which lab are ready before anybody clicks, and when.

use super::{
    Problem,
    reader::{Section, shown},
};
use lab_core::{
    LabId, Timestamp,
    provisioning::{PoolClass, PoolSettings},
};
use serde_yaml::Value;

const NUMBER: &str = "write a whole number from 0 to 10000";
const TIME: &str = "write a time with its offset, like 2026-11-23T09:00:00+01:00";

/// More is a slip of the finger: the largest installation has 2 500 learners at once.
const POOL_MAX: u32 = 10_000;

/// Every pool of the list that can be read; what cannot is a problem.
pub(super) fn read(items: Vec<(String, Value)>, problems: &mut Vec<Problem>) -> Vec<PoolSettings> {
    let mut pools: Vec<PoolSettings> = Vec::new();
    for (at, value) in items {
        let Some(pool) = pool(&at, value, problems) else {
            continue;
        };
        if pools.iter().any(|p| p.lab == pool.lab) {
            problems.push(Problem {
                key: format!("{at}.lab"),
                found: format!("{:?} a second time", pool.lab.as_str()),
                remedy: "give each lab one pool; a pool has as many classes in its timetable as you like".into(),
            });
        }
        pools.push(pool);
    }
    pools
}

/// The pools as the settings show them.
pub(super) fn shown_pools(pools: &[PoolSettings]) -> Value {
    let class =
        |c: &PoolClass| serde_json::json!({"from": c.from.to_string(), "until": c.until.to_string(), "ready": c.ready});
    let pool = |p: &PoolSettings| {
        let timetable: Vec<_> = p.timetable.iter().map(class).collect();
        serde_json::json!({"lab": p.lab.as_str(), "reserve": p.reserve, "max": p.max, "timetable": timetable})
    };
    let all: Vec<_> = pools.iter().map(pool).collect();
    serde_yaml::to_value(all).expect("plain data is YAML")
}

fn pool(at: &str, value: Value, problems: &mut Vec<Problem>) -> Option<PoolSettings> {
    let mut s = Section::open(at, value, problems);
    let lab = s.parsed("lab", None, "write the lab's id", problems, |l| {
        (!l.is_empty()).then(|| LabId::from(l))
    });
    let reserve = s.parsed("reserve", None, NUMBER, problems, count).unwrap_or(0);
    let max = s.parsed("max", None, NUMBER, problems, count);
    let timetable: Vec<PoolClass> = s
        .list("timetable", problems)
        .into_iter()
        .filter_map(|(at, v)| class(&at, v, problems))
        .collect();
    s.close(problems);
    let most = timetable.iter().map(|c| c.ready).chain([reserve]).max().unwrap_or(0);
    let max = max.unwrap_or(most);
    if max < most {
        problems.push(Problem {
            key: format!("{at}.max"),
            found: format!("{max}, and {most} to be ready at once"),
            remedy: "raise max, or lower reserve and the timetable's ready".into(),
        });
    }
    if lab.is_none() {
        problems.push(Problem {
            key: format!("{at}.lab"),
            found: "nothing".into(),
            remedy: "write the id of the lab to keep warm".into(),
        });
    }
    Some(PoolSettings {
        lab: lab?,
        reserve,
        max,
        timetable,
    })
}

fn class(at: &str, value: Value, problems: &mut Vec<Problem>) -> Option<PoolClass> {
    if !value.is_mapping() {
        problems.push(Problem {
            key: at.to_owned(),
            found: shown(&value),
            remedy: "give from, until and ready".into(),
        });
        return None;
    }
    let mut s = Section::open(at, value, problems);
    let from = s.parsed("from", None, TIME, problems, time);
    let until = s.parsed("until", None, TIME, problems, time);
    let ready = s.parsed("ready", None, NUMBER, problems, count);
    s.close(problems);
    let (Some(from), Some(until), Some(ready)) = (from, until, ready) else {
        problems.push(Problem {
            key: at.to_owned(),
            found: "a class without from, until or ready".into(),
            remedy: "give all three".into(),
        });
        return None;
    };
    if from >= until {
        problems.push(Problem {
            key: format!("{at}.until"),
            found: format!("{until}, not after {from}"),
            remedy: "let the class end after it begins".into(),
        });
    }
    Some(PoolClass { from, until, ready })
}

fn count(text: &str) -> Option<u32> {
    text.parse().ok().filter(|n| *n <= POOL_MAX)
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Vec<PoolSettings>, Vec<Problem>) {
        let mut problems = Vec::new();
        let value: Value = serde_yaml::from_str(text).unwrap();
        let items = Section::open("", value, &mut problems).list("pools", &mut problems);
        let pools = read(items, &mut problems);
        (pools, problems)
    }

    #[test]
    fn a_pool_with_its_timetable_is_read_and_shown_again() {
        let text = "pools:\n  - lab: ospf-triangle\n    reserve: 2\n    max: 30\n    timetable:\n      \
                    - {from: 2026-11-23T09:00:00+01:00, until: 2026-11-23T11:00:00+01:00, ready: 25}\n  - {lab: tiny, reserve: 1}\n";
        let (pools, problems) = parse(text);
        assert_eq!(problems, []);
        assert_eq!((pools.len(), pools[0].timetable[0].ready, pools[1].max), (2, 25, 1));
        assert_eq!(pools[0].timetable[0].from.to_string(), "2026-11-23T08:00:00Z");
        let again = serde_yaml::to_string(&shown_pools(&pools)).unwrap();
        assert_eq!(parse(&format!("pools:\n{again}")), (pools, Vec::new()));
    }

    #[test]
    fn every_slip_is_named_with_its_place_and_what_to_do() {
        for (text, key) in [
            ("pools: [{reserve: 1}]", "pools[0].lab"),
            ("pools: [{lab: a, reserve: 3, max: 2}]", "pools[0].max"),
            ("pools: [{lab: a, reserve: many}]", "pools[0].reserve"),
            ("pools: [{lab: a}, {lab: a}]", "pools[1].lab"),
            ("pools: [{lab: a, timetable: [monday]}]", "pools[0].timetable[0]"),
            (
                "pools: [{lab: a, timetable: [{from: 2026-11-23T09:00:00, until: 2026-11-23T11:00:00Z, ready: 1}]}]",
                "pools[0].timetable[0].from",
            ),
            (
                "pools: [{lab: a, timetable: [{from: 2026-11-23T09:00:00Z, until: 2026-11-23T08:00:00Z, ready: 1}]}]",
                "pools[0].timetable[0].until",
            ),
            ("pools: [{lab: a, reserv: 1}]", "pools[0].reserv"),
        ] {
            let (_, problems) = parse(text);
            let named = problems.iter().find(|p| p.key == key);
            assert!(named.is_some_and(|p| !p.remedy.is_empty()), "{text}: {problems:?}");
        }
    }
}
