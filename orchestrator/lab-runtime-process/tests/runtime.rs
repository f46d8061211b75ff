//! The runtime contract on child processes, and what only processes need.

// why allowed: this whole program is tests; clippy knows only functions marked so
#![allow(clippy::unwrap_used)]

use async_trait::async_trait;
use lab_core::{
    SandboxId,
    port::{Runtime, SandboxSpec},
};
use lab_runtime_process::{ProcessOptions, ProcessRuntime};
use lab_testkit::contract::runtime::{RuntimeRig, agent_program, eventually, hold, spec};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

lab_testkit::runtime_contract!(Rig::new());

struct Rig {
    state: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        Self {
            state: tempfile::tempdir().unwrap(),
        }
    }

    fn options(&self, installation: &str) -> ProcessOptions {
        ProcessOptions {
            agent: agent_program(),
            state_dir: self.state.path().to_owned(),
            installation: installation.into(),
        }
    }

    fn folder(&self, id: SandboxId) -> PathBuf {
        self.state.path().join("ours").join(id.to_string())
    }
}

#[async_trait]
impl RuntimeRig for Rig {
    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::new(ProcessRuntime::open(self.options("ours")).unwrap())
    }

    fn foreign(&self) -> Arc<dyn Runtime> {
        Arc::new(ProcessRuntime::open(self.options("theirs")).unwrap())
    }

    fn image(&self) -> String {
        "ignored".into()
    }

    fn agent_socket(&self, id: SandboxId) -> String {
        self.folder(id).join("run/agent.sock").display().to_string()
    }

    async fn kill_agent(&self, id: SandboxId) {
        let record = std::fs::read(self.folder(id).join("sandbox.json")).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
        let pid = i32::try_from(record["agent"]["pid"].as_i64().unwrap()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
}

/// A lab whose command starts something that refuses to be found: in a session of its own, its parent gone, its environment
/// empty, deaf to polite signals. It writes its process id into a file.
fn with_fugitive(rig: &Rig, escape: &str) -> (SandboxSpec, PathBuf) {
    let mut spec = spec(rig);
    let file = rig.folder(spec.id).join("root/fugitive");
    let fugitive = format!(
        "trap '' TERM HUP; echo $$ > {0}.new; mv {0}.new {0}; while :; do sleep 1; done",
        file.display()
    );
    spec.agent.start = ["sh", "-c", &format!("{escape} sh -c \"$0\" & wait"), &fugitive]
        .map(str::to_owned)
        .to_vec();
    (spec, file)
}

async fn pid_in(file: &Path) -> i32 {
    eventually("the process says its id", || async {
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    })
    .await
}

fn runs(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z "))
}

#[tokio::test]
async fn drop_ends_processes_that_left_their_session_or_hid_their_environment() {
    hold(Rig::new(), |rig| {
        Box::pin(async move {
            let runtime = rig.runtime();
            for escape in ["setsid", "env -i"] {
                let (spec, file) = with_fugitive(rig, escape);
                runtime.sandbox_ensure(&spec).await.unwrap();
                let pid = pid_in(&file).await;
                assert!(runs(pid));
                runtime.sandbox_drop(spec.id).await.unwrap();
                assert!(!runs(pid), "{escape}");
                assert!(!rig.folder(spec.id).exists());
            }
        })
    })
    .await;
}

#[tokio::test]
async fn drop_ends_what_a_killed_agent_left() {
    hold(Rig::new(), |rig| {
        Box::pin(async move {
            let runtime = rig.runtime();
            let (spec, file) = with_fugitive(rig, "setsid");
            runtime.sandbox_ensure(&spec).await.unwrap();
            let pid = pid_in(&file).await;
            rig.kill_agent(spec.id).await;
            runtime.sandbox_drop(spec.id).await.unwrap();
            assert!(!runs(pid));
        })
    })
    .await;
}

#[tokio::test]
async fn the_lab_is_not_given_our_environment() {
    hold(Rig::new(), |rig| {
        Box::pin(async move {
            let runtime = rig.runtime();
            let mut spec = spec(rig);
            let file = rig.folder(spec.id).join("root/env");
            spec.agent.start = [
                "sh",
                "-c",
                &format!("env > {0}.new; mv {0}.new {0}; sleep 600", file.display()),
            ]
            .map(str::to_owned)
            .to_vec();
            runtime.sandbox_ensure(&spec).await.unwrap();
            let env = eventually("the lab says its environment", || async {
                std::fs::read_to_string(&file).ok()
            })
            .await;
            // Cargo sets it for every test.
            assert!(
                std::env::var_os("CARGO_MANIFEST_DIR").is_some() && !env.contains("CARGO"),
                "{env}"
            );
        })
    })
    .await;
}

#[tokio::test]
async fn a_state_folder_too_deep_for_sockets_is_refused_with_the_remedy() {
    let rig = Rig::new();
    let mut options = rig.options("ours");
    options.state_dir = options.state_dir.join("x".repeat(60));
    let refused = ProcessRuntime::open(options).err().unwrap();
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert!(why.contains("choose a shorter folder"), "{why}");
}

#[tokio::test]
async fn strange_files_in_the_state_folder_are_left_alone() {
    hold(Rig::new(), |rig| {
        Box::pin(async move {
            let runtime = rig.runtime();
            let strange = rig.state.path().join("ours/notes");
            std::fs::create_dir_all(&strange).unwrap();
            std::fs::write(strange.join("sandbox.json"), "not ours").unwrap();
            assert_eq!(runtime.sandbox_list().await.unwrap(), []);
            assert!(strange.exists());
        })
    })
    .await;
}
