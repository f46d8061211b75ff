//! Drives the real `labwire` binary from outside, as its users do: a [`Server`] is Labwire, wherever it runs, an [`Api`] is a person's
//! tab over HTTP, a [`Tab`] is the WebSocket of that tab with a screen's worth of bookkeeping.
//!
//! Everything waits for conditions with a deadline; nothing sleeps and hopes.

mod api;
mod cluster;
mod door;
mod engine;
mod gate;
mod http;
mod jwt;
mod machine;
mod moodle;
mod receiver;
mod replicas;
mod report;
mod server;
mod services;
mod tab;
mod typist;
mod upgrade;

pub use api::{Api, ApiError};
pub use cluster::{Cluster, kubectl, tool};
pub use door::Door;
pub use engine::Engine;
pub use gate::Gate;
pub use http::{client, http};
pub use machine::{binary, repository};
pub use moodle::Moodle;
pub use receiver::{Hook, Receiver};
pub use replicas::Replicas;
pub use report::{Measures, Must, Report, percentile};
pub use server::{GONE_WITHIN, Options, Runtime, Server};
pub use services::{Postgres, database, drop_database, psql, script};
pub use tab::{Pace, Tab, TerminalView};
pub use typist::{Typed, come_back, type_on};
pub use upgrade::{Class, Upgrade, Wrong, journal, killed_replica, output, prove_recorded, rolling_upgrade};

use anyhow::{Context, Result};
use std::{future::Future, time::Duration};

/// Tests in several places: `on! { process: Options::process, docker: Options::docker_shell; a_test another_test }` makes of each
/// function `async fn a_test(place: fn() -> Options) -> Result<()>` a test `process::a_test`, a test `docker::a_test`, …
#[macro_export]
macro_rules! on {
    ($($module:ident: $place:expr),+; $($test:ident)+) => {
        $crate::on!(@each [$($test)+] $($module: $place),+);
    };
    (@each $tests:tt $($module:ident: $place:expr),+) => {$(
        $crate::on!(@place $module: $place; $tests);
    )+};
    (@place $module:ident: $place:expr; [$($test:ident)+]) => {
        mod $module {
            use $crate::Options;
            $(
                #[tokio::test]
                async fn $test() -> anyhow::Result<()> {
                    super::$test($place).await
                }
            )+
        }
    };
}

/// Waits until `check` gives something; fails after `within`, saying what was awaited. Looks three times as long apart as a look takes:
/// one by kubectl starts a program (0.2 s of a CPU), and without a pause would keep one of two cores from what is awaited.
pub async fn eventually<T, F, Fut>(what: &str, within: Duration, mut check: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    const LOOK_EVERY: Duration = Duration::from_millis(20);
    const LOOK_EVERY_MAX: Duration = Duration::from_secs(1);
    let deadline = tokio::time::Instant::now() + within;
    loop {
        let since = tokio::time::Instant::now();
        let looked = check().await;
        let took = since.elapsed();
        if let Ok(Some(value)) = looked {
            return Ok(value);
        }
        if tokio::time::Instant::now() >= deadline {
            return match looked {
                Err(e) => Err(e).with_context(|| format!("not within {within:?}: {what}")),
                Ok(_) => anyhow::bail!("not within {within:?}: {what}"),
            };
        }
        tokio::time::sleep((took * 3).clamp(LOOK_EVERY, LOOK_EVERY_MAX)).await;
    }
}
