//! How long a learner waits for the engine, and what a terminal can carry. The bounds are wide (two busy cores); the numbers
//! are printed for the report (`--no-capture`).

use crate::rig::hold;
use futures_util::{AsyncReadExt, AsyncWriteExt};
use lab_core::port::SandboxPhase;
use lab_testkit::contract::runtime::{RuntimeRig, connected, spec, started};
use std::time::{Duration, Instant};

/// Half of what a start costs here with every core busy.
const START_MAX: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_sandbox_runs_soon_after_it_is_asked_for() {
    hold(|rig| {
        Box::pin(async move {
            let runtime = rig.runtime();
            runtime.health().await.unwrap();
            let mut times = Vec::new();
            for _ in 0..10 {
                let spec = spec(rig);
                let began = Instant::now();
                runtime.sandbox_ensure(&spec).await.unwrap();
                times.push(began.elapsed());
                let list = runtime.sandbox_list().await.unwrap();
                assert_eq!(
                    list.iter().map(|s| s.phase.clone()).collect::<Vec<_>>(),
                    [SandboxPhase::Running]
                );
                runtime.sandbox_drop(spec.id).await.unwrap();
            }
            times.sort();
            println!("ensure to running, 10 runs: {times:?}");
            assert!(times[5] < START_MAX, "median {:?}", times[5]);
        })
    })
    .await;
}

#[tokio::test]
async fn a_connection_carries_a_flood() {
    const BYTES: usize = 64 * 1024 * 1024;
    hold(|rig| {
        Box::pin(async move {
            let runtime = rig.runtime();
            let spec = started(rig, &*runtime).await;
            let (mut read, mut write) = connected(&*runtime, spec.id).await.split();
            let began = Instant::now();
            let send = async {
                let piece = vec![b'x'; 256 * 1024];
                for _ in 0..BYTES / piece.len() {
                    write.write_all(&piece).await.unwrap();
                }
                write.flush().await.unwrap();
            };
            let receive = async {
                let (mut left, mut piece) = (BYTES, vec![0; 256 * 1024]);
                while left > 0 {
                    let n = read.read(&mut piece).await.unwrap();
                    assert_ne!(n, 0, "{left} bytes are missing");
                    left -= n;
                }
            };
            futures_util::future::join(send, receive).await;
            let rate = BYTES as f64 / 1e6 / began.elapsed().as_secs_f64();
            println!("echo through the engine: {rate:.0} MB/s each way");
            assert!(rate > 5.0, "{rate} MB/s");
        })
    })
    .await;
}
