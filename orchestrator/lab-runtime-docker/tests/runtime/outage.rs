//! An engine that goes away and comes back, without harm to the one engine everybody uses: the adapter talks to it through
//! a socket of ours that can be closed.

use crate::rig::{Rig, hold, open};
use futures_util::StreamExt;
use lab_core::port::Runtime;
use lab_testkit::contract::runtime::{RuntimeRig, eventually, started};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    net::{UnixListener, UnixStream},
    task::JoinSet,
    time::Instant,
};

/// Longest that a caller may wait to hear that there is no engine: three seconds are asked of it, and a look at a sandbox takes ten.
const QUICK: Duration = Duration::from_secs(9);

/// A door to the engine. Closing it breaks every connection through it, as a stopping engine does.
struct Door(tokio::task::JoinHandle<()>);

impl Door {
    fn open(path: &Path) -> Self {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).unwrap();
        Self(tokio::spawn(async move {
            let mut through = JoinSet::new();
            loop {
                let (mut ours, _) = listener.accept().await.unwrap();
                through.spawn(async move {
                    let mut engine = UnixStream::connect(engine_socket()).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut ours, &mut engine).await;
                });
            }
        }))
    }

    /// Accepts and never answers.
    fn stuck(path: &Path) -> Self {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).unwrap();
        Self(tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                held.push(listener.accept().await.unwrap());
            }
        }))
    }

    async fn close(self) {
        self.0.abort();
        assert!(self.0.await.unwrap_err().is_cancelled());
    }
}

fn engine_socket() -> PathBuf {
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".into());
    let path = host.strip_prefix("unix://");
    PathBuf::from(path.unwrap_or_else(|| panic!("DOCKER_HOST {host}: this test needs an engine on a Unix socket")))
}

fn through(rig: &Rig, socket: &Path) -> std::sync::Arc<lab_runtime_docker::DockerRuntime> {
    let mut options = rig.options("ours");
    options.host = Some(format!("unix://{}", socket.display()));
    open(options)
}

async fn fails_quickly(runtime: &impl Runtime) {
    let began = Instant::now();
    let (health, list) = futures_util::future::join(runtime.health(), runtime.sandbox_list()).await;
    for code in [health.unwrap_err().code(), list.unwrap_err().code()] {
        assert_eq!(code, "runtime-unavailable");
    }
    assert!(began.elapsed() < QUICK, "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_engine_that_comes_back_is_used_again() {
    hold(|rig| {
        Box::pin(async move {
            let folder = tempfile::tempdir().unwrap();
            let socket = folder.path().join("engine.sock");
            // Not there when the adapter is made.
            let runtime = through(rig, &socket);
            fails_quickly(&*runtime).await;

            let door = Door::open(&socket);
            let spec = started(rig, &*runtime).await;
            let mut watch = runtime.sandbox_watch();
            watch.next().await.expect("the first hint");
            door.close().await;
            fails_quickly(&*runtime).await;
            let refused = runtime.sandbox_ensure(&spec).await.unwrap_err();
            assert_eq!(refused.code(), "runtime-unavailable");

            let _door = Door::open(&socket);
            // The same watch tells of it, and the sandbox was not harmed.
            tokio::time::timeout(Duration::from_secs(20), watch.next())
                .await
                .expect("woken")
                .expect("goes on");
            let list = runtime.sandbox_list().await.unwrap();
            assert_eq!(list.iter().map(|s| s.id).collect::<Vec<_>>(), [spec.id]);
        })
    })
    .await;
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_reported_in_time() {
    hold(|rig| {
        Box::pin(async move {
            let folder = tempfile::tempdir().unwrap();
            let socket = folder.path().join("engine.sock");
            let stuck = Door::stuck(&socket);
            let runtime = through(rig, &socket);
            fails_quickly(&*runtime).await;
            stuck.close().await;
            let _door = Door::open(&socket);
            eventually("it answers", || async { runtime.health().await.ok() }).await;
            assert_eq!(
                runtime.sandbox_list().await.unwrap(),
                rig.runtime().sandbox_list().await.unwrap()
            );
        })
    })
    .await;
}
