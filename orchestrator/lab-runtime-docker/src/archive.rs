//! What is put into a container before it starts, as one tar archive for `/`.

use bytes::Bytes;
use lab_core::{agent::AgentSpec, port::SandboxSpec};
use std::io;

/// The end of an archive is two empty blocks of 512 bytes.
const END: usize = 1024;

/// The archive's part that is the same for every sandbox: the agent. Megabytes, so it is made once and shared.
#[derive(Clone)]
pub(crate) struct AgentPart(Bytes);

impl AgentPart {
    /// From the program's bytes.
    pub fn new(program: &[u8]) -> io::Result<Self> {
        let mut tar = tar::Builder::new(Vec::with_capacity(program.len() + 4096));
        folder(&mut tar, "labwire/", 0, 0o755)?;
        file(&mut tar, "labwire/lab-agent", 0, 0o755, program)?;
        let mut bytes = tar.into_inner()?;
        // Not the archive's end: the sandbox's own part follows.
        bytes.truncate(bytes.len() - END);
        Ok(Self(bytes.into()))
    }

    /// The whole archive of a sandbox, in pieces to be sent one after the other.
    pub fn with(&self, spec: &SandboxSpec) -> io::Result<[Bytes; 2]> {
        Ok([self.0.clone(), own_part(&spec.agent, spec.user)?.into()])
    }
}

/// The sandbox's own part. The agent runs as the lab's user, so what it reads and writes is that user's.
fn own_part(agent: &AgentSpec, user: u32) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    file(&mut tar, "labwire/spec.json", user, 0o400, &serde_json::to_vec(agent)?)?;
    folder(&mut tar, "labwire/run/", user, 0o700)?;
    folder(&mut tar, "lab/", user, 0o755)?;
    tar.into_inner()
}

fn folder(tar: &mut tar::Builder<Vec<u8>>, path: &str, user: u32, mode: u32) -> io::Result<()> {
    append(tar, tar::EntryType::Directory, path, user, mode, &[])
}

fn file(tar: &mut tar::Builder<Vec<u8>>, path: &str, user: u32, mode: u32, content: &[u8]) -> io::Result<()> {
    append(tar, tar::EntryType::Regular, path, user, mode, content)
}

fn append(
    tar: &mut tar::Builder<Vec<u8>>,
    kind: tar::EntryType,
    path: &str,
    user: u32,
    mode: u32,
    content: &[u8],
) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    header.set_uid(user.into());
    header.set_gid(user.into());
    tar.append_data(&mut header, path, content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_core::SessionId;

    #[test]
    fn both_parts_are_one_archive() {
        let agent = AgentSpec {
            protocol: 1,
            session: SessionId(uuid::Uuid::nil()),
            files: vec![],
            start: vec!["true".into()],
            ready: vec![],
            ready_within_ms: 1,
            terminals: vec![],
            checks: vec![],
            record_input: false,
            env: vec![],
        };
        let program = vec![7; 1000];
        let whole = [
            AgentPart::new(&program).unwrap().0,
            own_part(&agent, 1234).unwrap().into(),
        ]
        .concat();
        let mut archive = tar::Archive::new(whole.as_slice());
        let seen: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|e| {
                let e = e.unwrap();
                let h = e.header();
                (
                    e.path().unwrap().display().to_string(),
                    h.uid().unwrap(),
                    h.mode().unwrap(),
                    h.size().unwrap(),
                )
            })
            .collect();
        let spec_len = serde_json::to_vec(&agent).unwrap().len() as u64;
        let expected = [
            ("labwire/", 0, 0o755, 0),
            ("labwire/lab-agent", 0, 0o755, 1000),
            ("labwire/spec.json", 1234, 0o400, spec_len),
            ("labwire/run/", 1234, 0o700, 0),
            ("lab/", 1234, 0o755, 0),
        ];
        assert_eq!(seen, expected.map(|(p, u, m, s)| (p.to_owned(), u, m, s)));
    }
}
