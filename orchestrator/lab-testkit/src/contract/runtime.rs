//! What every [`Runtime`] must keep. One function per promise; `runtime_contract!` makes a test of each.
//!
//! Bytes are tested with an echo: the sandbox's lab ([`echo_lab`]) takes over the agent's socket and sends back what it is
//! sent. So the way through the adapter, the engine and `lab-agent connect` is the real one, and nothing on it can tell what
//! the bytes mean.

// why allowed: a promise that is not kept panics; that is what these functions are for
#![allow(clippy::missing_panics_doc)]

use async_trait::async_trait;
use futures_util::{AsyncReadExt, AsyncWriteExt, FutureExt, StreamExt, future::BoxFuture};
use lab_core::{
    LabDigest, SandboxId, SessionId,
    agent::{AgentSpec, PROTOCOL_VERSION},
    lab::{NetworkPolicy, RuntimeKind, SizeClass},
    port::{ByteStream, GoneCause, Runtime, RuntimeError, SandboxPhase, SandboxSpec, SandboxStatus},
};
use std::{future::Future, panic::AssertUnwindSafe, path::PathBuf, sync::Arc, time::Duration};
use uuid::Uuid;

/// No promise takes longer; a machine with two busy cores starts four containers in about 5 s.
pub const WITHIN: Duration = Duration::from_mins(1);

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Sent both ways at once: more than all buffers on the way (pipes, sockets, the engine's) together.
const BULK_BYTES: usize = 8 * 1024 * 1024;

/// The adapter under test, and what only its test knows.
#[async_trait]
pub trait RuntimeRig: Send + Sync {
    /// A new adapter on the same installation, as a restarted orchestrator makes.
    fn runtime(&self) -> Arc<dyn Runtime>;
    /// An adapter of another installation on the same engine.
    fn foreign(&self) -> Arc<dyn Runtime>;
    /// The image to use; ignored where there are none.
    fn image(&self) -> String;
    /// Where the sandbox's processes find the agent's socket.
    fn agent_socket(&self, id: SandboxId) -> String;
    /// Kills the agent with signal 9.
    async fn kill_agent(&self, id: SandboxId);
}

/// Runs one promise, then removes every sandbox of both installations, also when it was not kept.
pub async fn hold<R: RuntimeRig>(rig: R, promise: impl for<'a> FnOnce(&'a R) -> BoxFuture<'a, ()>) {
    let kept = AssertUnwindSafe(promise(&rig)).catch_unwind().await;
    for runtime in [rig.runtime(), rig.foreign()] {
        for s in runtime.sandbox_list().await.unwrap_or_default() {
            let _ = runtime.sandbox_drop(s.id).await;
        }
    }
    if let Err(broken) = kept {
        std::panic::resume_unwind(broken);
    }
}

/// Makes a `#[tokio::test]` of every promise; the argument is an expression that makes a rig.
#[macro_export]
macro_rules! runtime_contract {
    ($rig:expr) => {
        $crate::runtime_contract!(@each $rig;
            ensure_twice_makes_one_sandbox
            concurrent_ensures_make_one_sandbox
            ensure_makes_an_ended_sandbox_afresh
            the_list_is_the_truth
            drop_twice_is_fine
            an_unknown_sandbox_cannot_be_connected_to
            bytes_pass_unchanged_both_ways_at_once
            many_connections_are_open_at_once
            a_dropped_connection_leaves_the_others
            the_stream_ends_with_the_sandbox
            a_killed_agent_is_seen
            a_sandbox_ends_itself_after_its_deadline
            the_watch_wakes_when_sandboxes_come_and_go
            sandboxes_survive_the_adapter
            foreign_sandboxes_are_never_listed_or_touched
            the_runtime_says_its_version
        );
    };
    (@each $rig:expr; $($promise:ident)*) => {
        $(
            #[tokio::test]
            async fn $promise() {
                $crate::contract::runtime::hold($rig, |rig| Box::pin($crate::contract::runtime::$promise(rig))).await;
            }
        )*
    };
}

/// A sandbox whose lab is an echo at the agent's socket.
pub fn spec(rig: &impl RuntimeRig) -> SandboxSpec {
    let id = SandboxId(Uuid::now_v7());
    let session = SessionId(Uuid::now_v7());
    SandboxSpec {
        id,
        session,
        lab: "contract".into(),
        digest: LabDigest("0".repeat(64)),
        image: rig.image(),
        size: SizeClass::Small,
        user: 1000,
        namespaces: false,
        runtime: RuntimeKind::Container,
        network: NetworkPolicy::None,
        deadline_secs: 600,
        agent: AgentSpec {
            protocol: PROTOCOL_VERSION,
            session,
            files: vec![],
            start: echo_lab(&rig.agent_socket(id)),
            ready: vec![],
            ready_within_ms: 30_000,
            terminals: vec![],
            checks: vec![],
            record_input: false,
            env: vec![],
        },
    }
}

/// A lab that listens where the agent did and echoes every connection. Perl: it is in every Debian image.
fn echo_lab(socket: &str) -> Vec<String> {
    const PROGRAM: &str = r#"
        use IO::Socket::UNIX;
        my $path = shift;
        $SIG{CHLD} = 'IGNORE';
        my $server = IO::Socket::UNIX->new(Local => "$path.echo", Listen => 64) or die "listen: $!";
        rename "$path.echo", $path or die "rename: $!";
        while (my $c = $server->accept) {
            next if fork;
            close $server;
            while (sysread $c, my $b, 65536) {
                for (my $at = 0; $at < length $b; $at += $n) { $n = syswrite($c, $b, length($b) - $at, $at) or exit 1 }
            }
            exit 0;
        }
    "#;
    ["perl", "-e", PROGRAM, socket].map(str::to_owned).to_vec()
}

/// Waits for a condition, and says what was waited for when it does not come.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let until = tokio::time::Instant::now() + WITHIN;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < until, "not within {WITHIN:?}: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Ensures a sandbox and waits until its echo answers.
pub async fn started(rig: &impl RuntimeRig, runtime: &dyn Runtime) -> SandboxSpec {
    let spec = spec(rig);
    runtime.sandbox_ensure(&spec).await.expect("ensure");
    connected(runtime, spec.id).await;
    spec
}

/// A connection that echoes. The first tries meet no socket yet, or the agent itself, which ends such a connection.
pub async fn connected(runtime: &dyn Runtime, id: SandboxId) -> Box<dyn ByteStream> {
    eventually("the echo answers", || async {
        let mut stream = runtime.connect(id).await.ok()?;
        let mut back = [0; 5];
        stream.write_all(b"echo?").await.ok()?;
        stream.flush().await.ok()?;
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut back)).await;
        (matches!(read, Ok(Ok(()))) && &back == b"echo?").then_some(stream)
    })
    .await
}

/// The agent under test: `LABWIRE_AGENT`, or the static build beside the test's own target folder.
pub fn agent_program() -> PathBuf {
    if let Some(told) = std::env::var_os("LABWIRE_AGENT") {
        return told.into();
    }
    // TARGET/debug/deps/TEST
    let exe = std::env::current_exe().expect("a running program has a path");
    let target = exe.ancestors().nth(3).expect("tests are built three folders deep");
    let agent = target.join(format!(
        "{}-unknown-linux-gnu/release/lab-agent",
        std::env::consts::ARCH
    ));
    assert!(
        agent.is_file(),
        "there is no agent at {}; run `make agent`",
        agent.display()
    );
    agent
}

async fn listed(runtime: &dyn Runtime, id: SandboxId) -> Option<SandboxStatus> {
    runtime
        .sandbox_list()
        .await
        .expect("list")
        .into_iter()
        .find(|s| s.id == id)
}

async fn gone(runtime: &dyn Runtime, id: SandboxId) -> SandboxPhase {
    eventually("the sandbox is gone", || async {
        listed(runtime, id)
            .await
            .map(|s| s.phase)
            .filter(|p| matches!(p, SandboxPhase::Gone { .. }))
    })
    .await
}

/// Sends bytes and reads as many back, at once.
async fn echoed(stream: Box<dyn ByteStream>, bytes: &[u8]) -> Vec<u8> {
    let (mut read, mut write) = stream.split();
    let mut back = vec![0; bytes.len()];
    let send = async {
        write.write_all(bytes).await.expect("write");
        write.flush().await.expect("flush");
    };
    let receive = async { read.read_exact(&mut back).await.expect("read") };
    tokio::time::timeout(WITHIN, futures_util::future::join(send, receive))
        .await
        .expect("echo in time");
    back
}

/// Every byte value, in an order that repeats nowhere near a buffer's size: multiples of a large odd number, top byte.
fn patterned(len: usize) -> Vec<u8> {
    (0..len as u64)
        .map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8)
        .collect()
}

pub async fn ensure_twice_makes_one_sandbox(rig: &impl RuntimeRig) {
    let runtime = rig.runtime();
    let spec = started(rig, &*runtime).await;
    let first = listed(&*runtime, spec.id).await.expect("listed");
    let mut stream = connected(&*runtime, spec.id).await;
    runtime.sandbox_ensure(&spec).await.expect("ensure again");
    assert_eq!(listed(&*runtime, spec.id).await, Some(first), "the same sandbox");
    assert_eq!(runtime.sandbox_list().await.expect("list").len(), 1);
    stream.write_all(b"!").await.expect("the old connection still writes");
    stream.flush().await.expect("flush");
    stream.read_exact(&mut [0]).await.expect("and still reads");
}

pub async fn concurrent_ensures_make_one_sandbox(rig: &impl RuntimeRig) {
    let spec = spec(rig);
    // Two adapters: two orchestrators may do this at once, so a lock inside one adapter is not enough.
    let (a, b) = (rig.runtime(), rig.runtime());
    let all = [&a, &b, &a, &b].map(|r| r.sandbox_ensure(&spec));
    for done in futures_util::future::join_all(all).await {
        done.expect("every caller is told that it is there");
    }
    assert_eq!(a.sandbox_list().await.expect("list").len(), 1);
    let bytes = patterned(1000);
    assert_eq!(echoed(connected(&*b, spec.id).await, &bytes).await, bytes);
}

pub async fn ensure_makes_an_ended_sandbox_afresh(rig: &impl RuntimeRig) {
    let runtime = rig.runtime();
    let spec = started(rig, &*runtime).await;
    rig.kill_agent(spec.id).await;
    gone(&*runtime, spec.id).await;
    runtime.sandbox_ensure(&spec).await.expect("ensure");
    connected(&*runtime, spec.id).await;
    assert_eq!(
        listed(&*runtime, spec.id).await.expect("listed").phase,
        SandboxPhase::Running
    );
}

pub async fn the_list_is_the_truth(rig: &impl RuntimeRig) {
    let runtime = rig.runtime();
    assert_eq!(runtime.sandbox_list().await.expect("list"), [], "nothing before");
    let (one, two) = (started(rig, &*runtime).await, started(rig, &*runtime).await);
    let mut list = runtime.sandbox_list().await.expect("list");
    list.sort_by_key(|s| s.id);
    let seen: Vec<_> = list.iter().map(|s| (s.id, s.session, s.phase.clone())).collect();
    let running = |s: &SandboxSpec| (s.id, s.session, SandboxPhase::Running);
    assert_eq!(seen, [running(&one), running(&two)]);
    runtime.sandbox_drop(one.id).await.expect("drop");
    let left: Vec<_> = runtime
        .sandbox_list()
        .await
        .expect("list")
        .iter()
        .map(|s| s.id)
        .collect();
    assert_eq!(left, [two.id]);
}

pub async fn drop_twice_is_fine(rig: &impl RuntimeRig) {
    let runtime = rig.runtime();
    let spec = started(rig, &*runtime).await;
    let both = futures_util::future::join(runtime.sandbox_drop(spec.id), runtime.sandbox_drop(spec.id)).await;
    both.0.expect("drop");
    both.1.expect("drop at the same time");
    runtime.sandbox_drop(spec.id).await.expect("drop again");
    runtime
        .sandbox_drop(SandboxId(Uuid::now_v7()))
        .await
        .expect("drop of what never was");
    assert_eq!(runtime.sandbox_list().await.expect("list"), []);
}

pub async fn an_unknown_sandbox_cannot_be_connected_to(rig: &impl RuntimeRig) {
    let runtime = rig.runtime();
    let id = SandboxId(Uuid::now_v7());
    let refused = runtime.connect(id).await.err();
    assert!(
        matches!(refused, Some(RuntimeError::NotFound { id: named }) if named == id),
        "{refused:?}"
    );
    let spec = started(rig, &*runtime).await;
    rig.kill_agent(spec.id).await;
    gone(&*runtime, spec.id).await;
    let refused = runtime.connect(spec.id).await.err();
    assert!(
        matches!(refused, Some(RuntimeError::NotFound { .. })),
        "an ended one: {refused:?}"
    );
}

pub async fn bytes_pass_unchanged_both_ways_at_once(rig: &impl RuntimeRig) {
    let runtime = rig.runtime();
    let spec = started(rig, &*runtime).await;
    // Each value first in a message of its own: framing that guesses from the first byte fails here.
    let mut stream = connected(&*runtime, spec.id).await;
    for byte in 0..=u8::MAX {
        let mut back = [0; 2];
        stream.write_all(&[byte, !byte]).await.expect("write");
        stream.flush().await.expect("flush");
        stream.read_exact(&mut back).await.expect("read");
        assert_eq!(back, [byte, !byte]);
    }
    let bytes = patterned(BULK_BYTES);
    let back = echoed(stream, &bytes).await;
    assert_eq!(blake3::hash(&back), blake3::hash(&bytes));
}

pub async fn many_connections_are_open_at_once(rig: &impl RuntimeRig) {
    let runtime = rig.runtime();
    let spec = started(rig, &*runtime).await;
    let opened = (0..12).map(|_| connected(&*runtime, spec.id));
    let streams = futures_util::future::join_all(opened).await;
    let echoes = streams.into_iter().enumerate().map(|(n, stream)| async move {
        let bytes = patterned(10_000 + n);
        assert_eq!(echoed(stream, &bytes).await, bytes, "connection {n}");
    });
    futures_util::future::join_all(echoes).await;
}

pub async fn a_dropped_connection_leaves_the_others(rig: &impl RuntimeRig) {
    let runtime = rig.runtime();
    let spec = started(rig, &*runtime).await;
    let kept = connected(&*runtime, spec.id).await;
    let mut closed = connected(&*runtime, spec.id).await;
    closed.close().await.expect("close");
    drop(closed);
    drop(connected(&*runtime, spec.id).await);
    let bytes = patterned(100_000);
    assert_eq!(echoed(kept, &bytes).await, bytes);
}

pub async fn the_stream_ends_with_the_sandbox(rig: &impl RuntimeRig) {
    let runtime = rig.runtime();
    let spec = started(rig, &*runtime).await;
    let mut stream = connected(&*runtime, spec.id).await;
    runtime.sandbox_drop(spec.id).await.expect("drop");
    let end = tokio::time::timeout(WITHIN, stream.read(&mut [0; 16]))
        .await
        .expect("an end, not silence");
    assert!(matches!(end, Ok(0) | Err(_)), "no byte was sent: {end:?}");
}

pub async fn a_killed_agent_is_seen(rig: &impl RuntimeRig) {
    let runtime = rig.runtime();
    let spec = started(rig, &*runtime).await;
    rig.kill_agent(spec.id).await;
    let phase = gone(&*runtime, spec.id).await;
    let SandboxPhase::Gone { status, cause, at } = phase.clone() else {
        unreachable!("filtered above")
    };
    assert_eq!(
        (status, cause),
        (Some(137), GoneCause::AgentEnded),
        "128 + signal 9, and memory was not the reason"
    );
    let made = listed(&*runtime, spec.id).await.expect("listed").created_at;
    assert!(
        at.is_some_and(|at| at.secs() >= made.secs()),
        "ended {at:?}, made {made:?}"
    );
    assert_eq!(
        gone(&*rig.runtime(), spec.id).await,
        phase,
        "the same for an adapter that did not see it happen"
    );
}

pub async fn a_sandbox_ends_itself_after_its_deadline(rig: &impl RuntimeRig) {
    let runtime = rig.runtime();
    let mut spec = spec(rig);
    spec.deadline_secs = 2;
    runtime.sandbox_ensure(&spec).await.expect("ensure");
    // Nobody who made it is there any more.
    drop(runtime);
    let SandboxPhase::Gone { status, at, .. } = gone(&*rig.runtime(), spec.id).await else {
        unreachable!("filtered in gone")
    };
    // The agent's own orderly end where the status can be known (a process has one parent, and that may be gone).
    assert!(matches!(status, Some(0) | None), "{status:?}");
    assert!(at.is_some());
}

pub async fn the_watch_wakes_when_sandboxes_come_and_go(rig: &impl RuntimeRig) {
    let runtime = rig.runtime();
    let mut watch = runtime.sandbox_watch();
    // Subscribing may itself wake, as something may have happened before: each change is waited for until it is listed.
    let spec = spec(rig);
    runtime.sandbox_ensure(&spec).await.expect("ensure");
    woken_until(&mut watch, || async { listed(&*runtime, spec.id).await.is_some() }).await;
    rig.kill_agent(spec.id).await;
    woken_until(&mut watch, || async {
        listed(&*runtime, spec.id)
            .await
            .is_some_and(|s| matches!(s.phase, SandboxPhase::Gone { .. }))
    })
    .await;
    runtime.sandbox_drop(spec.id).await.expect("drop");
    woken_until(&mut watch, || async { listed(&*runtime, spec.id).await.is_none() }).await;
}

/// Looks only when woken, as the reconciler does.
async fn woken_until<F: Future<Output = bool>>(
    watch: &mut (impl futures_util::Stream<Item = ()> + Unpin),
    mut seen: impl FnMut() -> F,
) {
    let waiting = async {
        loop {
            watch.next().await.expect("the runtime is there, so its watch goes on");
            if seen().await {
                return;
            }
        }
    };
    tokio::time::timeout(WITHIN, waiting)
        .await
        .expect("woken when the list changed");
}

pub async fn sandboxes_survive_the_adapter(rig: &impl RuntimeRig) {
    let first = rig.runtime();
    let spec = started(rig, &*first).await;
    let before = listed(&*first, spec.id).await;
    drop(first);
    let second = rig.runtime();
    assert_eq!(listed(&*second, spec.id).await, before);
    second.sandbox_ensure(&spec).await.expect("ensure finds it");
    let bytes = patterned(5000);
    assert_eq!(echoed(connected(&*second, spec.id).await, &bytes).await, bytes);
    second.sandbox_drop(spec.id).await.expect("drop");
    assert_eq!(second.sandbox_list().await.expect("list"), []);
}

pub async fn foreign_sandboxes_are_never_listed_or_touched(rig: &impl RuntimeRig) {
    let (ours, theirs) = (rig.runtime(), rig.foreign());
    let mut foreign = spec(rig);
    // Its lab must end somewhere else than at our socket's path, and needs no echo.
    foreign.agent.start = ["sleep", "600"].map(str::to_owned).to_vec();
    theirs.sandbox_ensure(&foreign).await.expect("ensure theirs");
    assert_eq!(ours.sandbox_list().await.expect("list"), []);
    ours.sandbox_drop(foreign.id)
        .await
        .expect("drop of an id that is not ours");
    assert!(matches!(
        ours.connect(foreign.id).await.err(),
        Some(RuntimeError::NotFound { .. })
    ));
    // The same id in both installations is two sandboxes.
    let mut same = spec(rig);
    same.id = foreign.id;
    same.agent.start = echo_lab(&rig.agent_socket(same.id));
    ours.sandbox_ensure(&same).await.expect("ensure ours");
    connected(&*ours, same.id).await;
    ours.sandbox_drop(same.id).await.expect("drop ours");
    // an ensure returns when it is started, which may be before it runs
    let left = eventually("theirs is still there, and runs", || async {
        let left = listed(&*theirs, foreign.id).await?;
        (left.phase == SandboxPhase::Running).then_some(left)
    });
    assert_eq!(left.await.session, foreign.session);
}

pub async fn the_runtime_says_its_version(rig: &impl RuntimeRig) {
    let runtime = rig.runtime();
    assert!(!runtime.health().await.expect("health").is_empty());
    assert!(
        runtime.image_present(&rig.image()).await.expect("image"),
        "{} is there",
        rig.image()
    );
}
