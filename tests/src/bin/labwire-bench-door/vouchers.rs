//! The first week of a sponsored course, in a minute: codes are typed, by some twice, by others who found them, while a class arrives.

use crate::{
    launches,
    place::{Place, at_once},
};
use anyhow::{Context, Result, ensure};
use lab_e2e::{Api, ApiError, Must, Report};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

const CODES: usize = 1700;
const LAUNCHES: usize = 500;
const WITHIN: Duration = Duration::from_secs(60);

/// One request of the storm, and whether it came out as it should.
enum Visit {
    /// A code that is theirs.
    Redeem(Api, String),
    /// The same once more: a double click, or a page that was reloaded.
    Again(Api, String),
    /// A code that somebody else holds, and types at the same time: one of the two gets it.
    Found(Api, String),
    Launch(usize),
}

/// Whether it failed; a refusal that says what it should is none.
async fn failed(visit: Visit, browser: &reqwest::Client, url: &str) -> bool {
    let redeem = async |api: &Api, code: &str| api.post("/vouchers/redeem", &json!({ "code": code })).await;
    match visit {
        Visit::Redeem(api, code) | Visit::Again(api, code) => redeem(&api, &code).await.is_err_and(|e| !is_used(&e)),
        Visit::Found(api, code) => redeem(&api, &code).await.is_err_and(|e| !is_used(&e)),
        Visit::Launch(user) => launches::launch(browser, url, user).await.is_err(),
    }
}

fn is_used(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<ApiError>();
    refused.is_some_and(|e| e.body["code"] == "voucher-used")
}

pub async fn storm(report: &mut Report) -> Result<()> {
    let place = Place::open("").await?;
    launches::register(&place)?;
    let codes = place.server.data_dir()?.join("codes.csv").display().to_string();
    let count = CODES.to_string();
    let create = [
        "voucher",
        "create",
        "--course",
        "net",
        "--plan",
        "QUALIFYING",
        "--count",
        &count,
        "--sponsor",
        "esp",
    ];
    place
        .server
        .cli(&[&create[..], &["--label", "storm", "--out", &codes]].concat())?;
    let text = std::fs::read_to_string(&codes)?;
    let codes: Vec<String> = text
        .lines()
        .skip(1)
        .filter_map(|l| l.split(',').next())
        .map(str::to_owned)
        .collect();
    ensure!(codes.len() == CODES, "{} codes", codes.len());
    // one more than there are codes: the last finds the first one's
    let learners = place.signed_in(&place.class(CODES + 1)?, "shell").await?;

    let mut visits = Vec::new();
    for (n, code) in codes.iter().enumerate() {
        visits.push(Visit::Redeem(learners[n].clone(), code.clone()));
        if n % 3 == 0 {
            visits.push(Visit::Again(learners[n].clone(), code.clone()));
        }
        if n % 5 == 0 {
            visits.push(Visit::Found(learners[n + 1].clone(), code.clone()));
        }
        if n % 3 == 1 && n / 3 < LAUNCHES {
            visits.push(Visit::Launch(n / 3));
        }
    }
    let browser = launches::browser()?;
    let url = place.server.url.clone();
    let start = Instant::now();
    let failures = at_once(visits.into_iter().map(|visit| failed(visit, &browser, &url))).await;
    let took = start.elapsed();
    println!("{} requests in {:.1} s", failures.len(), took.as_secs_f64());
    let late = usize::from(took > WITHIN);
    let errors = failures.iter().filter(|failed| **failed).count() + late;
    report.add(
        "voucher_storm_errors",
        errors as f64,
        "",
        Must::AtMost(0.0),
        &[took.as_secs_f64()],
    )?;

    let wrong = doubles(&place)?;
    report.add("voucher_double_grants", wrong as f64, "", Must::AtMost(0.0), &[])?;
    place.close().await
}

/// Grants more or fewer than codes, as the sponsor's statement has them.
fn doubles(place: &Place) -> Result<usize> {
    let args = [
        "statement",
        "--sponsor",
        "esp",
        "--from",
        "2020-01-01",
        "--to",
        "2100-01-01",
        "--format",
        "json",
    ];
    let statement: Value = serde_json::from_str(&place.server.cli(&args)?)?;
    let grants = statement["grants"].as_array().context("grants")?;
    let ids: HashSet<&str> = grants.iter().filter_map(|g| g["grant"]["id"].as_str()).collect();
    let given: i64 = grants.iter().filter_map(|g| g["given"].as_i64()).sum();
    ensure!(given == 36_000 * grants.len() as i64, "each gives what the plan says");
    Ok(grants.len().abs_diff(CODES) + grants.len() - ids.len())
}
