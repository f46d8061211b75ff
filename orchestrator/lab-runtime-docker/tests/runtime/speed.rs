//! Starts one after another, and a flood through the engine; how long they take is printed (`--no-capture`), and held by `make bench`.

use crate::rig::hold;
use futures_util::{AsyncReadExt, AsyncWriteExt};
use lab_core::port::SandboxPhase;
use lab_testkit::contract::runtime::{RuntimeRig, connected, spec, started};
use std::time::Instant;

#[tokio::test]
async fn a_sandbox_runs_when_ensure_returns_and_is_gone_after_drop() {
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
        })
    })
    .await;
}

#[tokio::test]
async fn a_connection_carries_a_flood_whole() {
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
        })
    })
    .await;
}
