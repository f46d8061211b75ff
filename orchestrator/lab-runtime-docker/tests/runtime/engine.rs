//! Commands in containers, by the engine's own exec: what the tests look with.

use crate::rig::Rig;
use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::StreamExt;
use lab_core::SandboxId;

impl Rig {
    /// What a shell command in the sandbox prints, both streams, and its exit status.
    pub async fn shell(&self, id: SandboxId, command: &str) -> (String, i64) {
        let docker = &self.docker;
        let options = CreateExecOptions {
            cmd: Some(vec!["sh", "-c", command]),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let exec = docker.create_exec(&self.container(id), options).await.unwrap();
        let StartExecResults::Attached { mut output, .. } = docker.start_exec(&exec.id, None).await.unwrap() else {
            panic!("an exec that was not detached is attached");
        };
        let mut printed = Vec::new();
        while let Some(part) = output.next().await {
            printed.extend_from_slice(&part.unwrap().into_bytes());
        }
        let status = docker.inspect_exec(&exec.id).await.unwrap().exit_code.unwrap();
        (String::from_utf8(printed).unwrap(), status)
    }
}
