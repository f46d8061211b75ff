//! Two labs are clicked at once by a learner who has time for one.

use crate::place::{Place, at_once};
use anyhow::Result;
use lab_e2e::{Api, ApiError, Must, Report};
use serde_json::json;

const TIMES: usize = 1000;
/// Enough for one start (60 s), too little for two.
const SECONDS: &str = "100";

const PLAN: &str =
    "plans: [{id: PAIR, name: {en: Pair, fr: Paire}, labs: true, concurrency_max: 2, seconds: 100, valid_days: 30}]\n";

/// How many of the two clicks won; a refusal must say that there is no time.
async fn winners(shell: Api, second: Api) -> Result<usize> {
    let (a, b) = tokio::join!(shell.start("shell"), second.start("second"));
    let mut won = 0;
    for (api, answer) in [(&shell, a), (&second, b)] {
        match answer {
            Ok(session) => {
                won += 1;
                api.post(&format!("/sessions/{session}/stop"), &json!({})).await?;
            }
            Err(error) => {
                let refused = error
                    .downcast_ref::<ApiError>()
                    .is_some_and(|e| e.body["code"] == "no-time");
                if !refused {
                    return Err(error);
                }
            }
        }
    }
    Ok(won)
}

pub async fn last(report: &mut Report) -> Result<()> {
    let place = Place::open(PLAN).await?;
    let class = place.class(TIMES)?;
    let grant = [
        "grant",
        "--learners",
        &class,
        "--course",
        "net",
        "--plan",
        "PAIR",
        "--seconds",
        SECONDS,
    ];
    place.server.cli(&grant)?;
    let (shell, second) = (
        place.signed_in(&class, "shell").await?,
        place.signed_in(&class, "second").await?,
    );
    let pairs = shell.into_iter().zip(second);
    let won = at_once(pairs.map(|(a, b)| winners(a, b))).await;
    let won = won.into_iter().collect::<Result<Vec<usize>>>()?;
    let wrong = won.iter().filter(|n| **n != 1).count();
    let samples: Vec<f64> = won.iter().map(|n| *n as f64).collect();
    report.add(
        "last_minutes_double_wins",
        wrong as f64,
        "",
        Must::AtMost(0.0),
        &samples,
    )?;
    place.close().await
}
