//! One folder per sandbox, and the processes it stands for.

use crate::{
    ProcessOptions,
    proc::{ProcessId, members},
};
use lab_core::{
    SandboxId, SessionId, Timestamp,
    port::{GoneCause, SandboxPhase, SandboxSpec, SandboxStatus},
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// The agent's socket in its `run` folder.
pub(crate) const AGENT_SOCKET: &str = "agent.sock";

/// Time a dropped sandbox has to end by itself before it is killed.
const TERM_GRACE: Duration = Duration::from_secs(2);

/// Time killed processes have to disappear: the kernel needs milliseconds, more only for one that hangs in a device.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// How often the end of processes is looked for while dropping.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A socket's path with its final zero is at most 108 bytes (`sun_path`).
const SOCKET_PATH_MAX: usize = 107;

/// Environment of the agent and all below it: how the processes of a sandbox are found again.
const MARK: &str = "LABWIRE_SANDBOX";

/// `sandbox.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    session: SessionId,
    created_at: Timestamp,
    /// The agent. Absent while it is being started.
    agent: Option<ProcessId>,
}

/// `ended.json`: written by whoever sees the end first, so that it stays the same for everyone after.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ended {
    /// Exit status as a shell shows it; absent when the process was not our child.
    status: Option<i64>,
    at: Timestamp,
}

/// All sandboxes of one installation.
pub(crate) struct Sandboxes {
    folder: PathBuf,
    agent: PathBuf,
    /// Agents that are children of this process: whoever has a child must collect its exit status. At most one per sandbox;
    /// entries go with the sandbox.
    children: Mutex<HashMap<SandboxId, Child>>,
}

impl Sandboxes {
    pub fn open(options: ProcessOptions) -> io::Result<Self> {
        let ProcessOptions {
            agent,
            state_dir,
            installation,
        } = options;
        let word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if installation.is_empty() || installation.len() > 32 || !installation.bytes().all(word) {
            return Err(invalid(format!(
                "installation {installation:?}: use 1 to 32 of a-z, 0-9 and -"
            )));
        }
        fs::create_dir_all(state_dir.join(&installation))?;
        let folder = state_dir.canonicalize()?.join(installation);
        let agent = agent.canonicalize().map_err(|e| {
            invalid(format!(
                "agent {}: {e}; build it with `cargo build -p lab-agent`",
                agent.display()
            ))
        })?;
        // 36 digits of the id, and "/", "/run/", the socket's name.
        let longest = folder.as_os_str().len() + 36 + "/".len() + "/run/".len() + AGENT_SOCKET.len();
        if longest > SOCKET_PATH_MAX {
            return Err(invalid(format!(
                "state folder {}: its sockets' paths would have {longest} bytes, at most {SOCKET_PATH_MAX} work; choose a \
                 shorter folder",
                folder.display()
            )));
        }
        Ok(Self {
            folder,
            agent,
            children: Mutex::default(),
        })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn path(&self, id: SandboxId) -> PathBuf {
        self.folder.join(id.to_string())
    }

    pub fn health(&self) -> io::Result<String> {
        fs::read_dir(&self.folder)?;
        fs::metadata(&self.agent)?;
        Ok(format!(
            "processes of this machine, without isolation ({})",
            self.agent.display()
        ))
    }

    /// Starts the sandbox unless it runs. One that ended is made afresh: its processes are gone, and nothing can revive them.
    pub fn ensure(&self, spec: &SandboxSpec) -> io::Result<()> {
        let SandboxSpec {
            id,
            session,
            lab: _,
            digest: _,
            // Not what this runtime is for: the agent sees this machine's files, runs as this user, without limits.
            image: _,
            size: _,
            user: _,
            namespaces: _,
            runtime: _,
            network: _,
            deadline_secs,
            agent,
        } = spec;
        let dir = self.path(*id);
        let _lock = Lock::take(&self.lock_path(*id))?;
        if read_json::<Record>(&dir.join("sandbox.json"))?
            .and_then(|r| r.agent)
            .is_some_and(ProcessId::runs)
        {
            return Ok(());
        }
        // What a crashed `ensure` or an ended agent left.
        self.end_processes(*id)?;
        remove_folder(&dir)?;
        for sub in ["run", "root"] {
            fs::create_dir_all(dir.join(sub))?;
        }
        fs::write(dir.join("spec.json"), serde_json::to_vec(agent)?)?;
        let mut record = Record {
            session: *session,
            created_at: now(),
            agent: None,
        };
        write_json(&dir.join("sandbox.json"), &record)?;
        let child = self.start(*id, &dir, *deadline_secs)?;
        record.agent = ProcessId::of(child.id() as i32);
        self.children().insert(*id, child);
        write_json(&dir.join("sandbox.json"), &record)
    }

    /// The agent, in a session of its own, so that a Ctrl-C at the orchestrator's terminal or the end of that terminal does
    /// not reach the sandboxes. Of our environment it gets only the search path: the rest may hold secrets.
    fn start(&self, id: SandboxId, dir: &Path, deadline_secs: u64) -> io::Result<Child> {
        let log = File::create(dir.join("agent.log"))?;
        let mut command = Command::new(&self.agent);
        command
            .arg("run")
            .arg("--spec")
            .arg(dir.join("spec.json"))
            .arg("--dir")
            .arg(dir.join("run"))
            .arg("--root")
            .arg(dir.join("root"))
            .arg("--deadline")
            .arg(deadline_secs.to_string())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env(MARK, self.mark_value(id))
            .current_dir(dir.join("root"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // why allowed: between fork and exec only async-signal-safe calls may be made; setsid is one, and nothing else happens.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(io::Error::from));
        }
        command.spawn()
    }

    /// Ends everything of the sandbox and removes its folder. Fine when there is none.
    pub fn drop_sandbox(&self, id: SandboxId) -> io::Result<()> {
        let lock = Lock::take(&self.lock_path(id))?;
        self.end_processes(id)?;
        remove_folder(&self.path(id))?;
        lock.remove()
    }

    /// Every sandbox that has a folder.
    pub fn list(&self) -> io::Result<Vec<SandboxStatus>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            // Locks and what is not ours have other names.
            let Some(id) = name.to_str().and_then(|n| n.parse::<SandboxId>().ok()) else {
                continue;
            };
            found.extend(self.status(id)?);
        }
        found.sort_by_key(|s| s.id);
        Ok(found)
    }

    /// One sandbox; `None` when there is none, or so early that it says nothing of itself yet.
    pub fn status(&self, id: SandboxId) -> io::Result<Option<SandboxStatus>> {
        let dir = self.path(id);
        let Some(record) = read_json::<Record>(&dir.join("sandbox.json"))? else {
            return Ok(None);
        };
        let phase = match record.agent {
            None => SandboxPhase::Starting { waiting: None },
            Some(agent) => match self.agent_state(id, agent)? {
                AgentState::Runs => SandboxPhase::Running,
                AgentState::Ended(status) => {
                    let ended = ended_once(&dir, status)?;
                    SandboxPhase::Gone {
                        status: ended.status,
                        // The kernel kills whom it wants on this machine, and does not say for what.
                        cause: GoneCause::AgentEnded,
                        at: Some(ended.at),
                    }
                }
            },
        };
        Ok(Some(SandboxStatus {
            id,
            session: record.session,
            phase,
            created_at: record.created_at,
            node: None,
            node_away: false,
        }))
    }

    /// Of a child of ours the kernel's word counts, which also collects it: while its threads end one after another it looks dead already,
    /// and has no status yet.
    fn agent_state(&self, id: SandboxId, agent: ProcessId) -> io::Result<AgentState> {
        let mut children = self.children();
        if let Some(child) = children.get_mut(&id).filter(|c| c.id() as i32 == agent.pid) {
            let ended = child.try_wait()?.map(exit_status);
            return Ok(ended.map_or(AgentState::Runs, |status| AgentState::Ended(Some(status))));
        }
        Ok(if agent.runs() {
            AgentState::Runs
        } else {
            AgentState::Ended(None)
        })
    }

    /// Asks every process of the sandbox to end, then kills what still runs. They are looked for again each time: an agent that
    /// ends orderly starts nothing new, but a lab's scripts may.
    fn end_processes(&self, id: SandboxId) -> io::Result<()> {
        let mark = format!("{MARK}={}", self.mark_value(id));
        // Whatever was below it when it was asked: when the agent has gone, its children's parent is init.
        let mut known: Vec<ProcessId> = members(&mark);
        for (signal, grace) in [(Signal::SIGTERM, TERM_GRACE), (Signal::SIGKILL, KILL_GRACE)] {
            let until = Instant::now() + grace;
            for p in &known {
                // Gone in between: what was wanted.
                let _ = kill(Pid::from_raw(p.pid), signal);
            }
            loop {
                self.collect(id)?;
                for p in members(&mark) {
                    if !known.contains(&p) {
                        known.push(p);
                        let _ = kill(Pid::from_raw(p.pid), signal);
                    }
                }
                known.retain(|p| p.runs());
                if known.is_empty() {
                    return Ok(());
                }
                if Instant::now() >= until {
                    break;
                }
                std::thread::sleep(LOOK_EVERY);
            }
        }
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!(
                "processes {:?} of sandbox {id} do not end",
                known.iter().map(|p| p.pid).collect::<Vec<_>>()
            ),
        ))
    }

    /// Takes the exit status of our own child, and forgets it.
    fn collect(&self, id: SandboxId) -> io::Result<()> {
        let mut children = self.children();
        if let Some(child) = children.get_mut(&id)
            && child.try_wait()?.is_some()
        {
            children.remove(&id);
        }
        Ok(())
    }

    fn children(&self) -> std::sync::MutexGuard<'_, HashMap<SandboxId, Child>> {
        // Nothing is left half-changed by a panic: each use is one map operation.
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_path(&self, id: SandboxId) -> PathBuf {
        self.folder.join(format!("{id}.lock"))
    }

    /// The folder's path is part of it: two installations, or two state folders, may use one id.
    fn mark_value(&self, id: SandboxId) -> String {
        self.path(id).display().to_string()
    }
}

/// Held by who makes or drops a sandbox, against another process that does the same. The kernel frees it when we die.
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    fn take(path: &Path) -> io::Result<Self> {
        loop {
            let file = File::options().create(true).truncate(false).write(true).open(path)?;
            file.lock()?;
            // While we waited, the holder may have removed the file: then ours locks nothing any more.
            let same = fs::metadata(path).is_ok_and(|now| file.metadata().is_ok_and(|ours| ours.ino() == now.ino()));
            if same {
                return Ok(Self {
                    path: path.to_owned(),
                    _file: file,
                });
            }
        }
    }

    /// Removes the file while still holding it.
    fn remove(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Whether a sandbox's agent runs; if it was our child, its exit status as a shell shows it.
enum AgentState {
    Runs,
    Ended(Option<i64>),
}

/// Notes the end, or gives what was noted before.
fn ended_once(dir: &Path, status: Option<i64>) -> io::Result<Ended> {
    let path = dir.join("ended.json");
    if let Some(noted) = read_json(&path)? {
        return Ok(noted);
    }
    let ended = Ended { status, at: now() };
    match write_json(&path, &ended) {
        // Dropped meanwhile: the folder went, the answer was true when asked.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(ended),
        done => done.map(|()| ended),
    }
}

/// As a shell shows it: 128 and the signal's number for a killed process.
fn exit_status(status: std::process::ExitStatus) -> i64 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|s| 128 + s));
    i64::from(code.unwrap_or_default())
}

fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whole or not at all: readers and a crash never see half a file.
fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let part = path.with_extension(format!("part{}", std::process::id()));
    fs::write(&part, serde_json::to_vec(value)?)?;
    fs::rename(&part, path)
}

/// Renamed first, so that from one moment on nobody lists it or writes into it; what a crash left of an earlier removal goes too.
fn remove_folder(dir: &Path) -> io::Result<()> {
    let aside = dir.with_extension("dropped");
    absent_is_fine(fs::remove_dir_all(&aside))?;
    absent_is_fine(fs::rename(dir, &aside))?;
    absent_is_fine(fs::remove_dir_all(&aside))
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

fn now() -> Timestamp {
    Timestamp::default().plus(
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    )
}
