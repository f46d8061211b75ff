//! A machine's console: taken from its start, whoever looks; the lab is ready when it prompts.

use crate::client::{SOON, Sandbox, WRITER, script};
use lab_core::{
    agent::{AgentSpec, TerminalKind, ToAgent},
    journal::{Event, LabEvent},
};
use std::path::PathBuf;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    time::timeout,
};

/// The end of a serial line that QEMU has: it listens, and the machine is on while somebody holds the line.
struct Machine {
    _folder: tempfile::TempDir,
    socket: PathBuf,
    listener: Option<UnixListener>,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("console");
        Self {
            _folder: folder,
            socket,
            listener: None,
        }
    }

    /// A lab with this machine's console as its one terminal.
    fn lab(&self) -> AgentSpec {
        let mut lab = script("");
        let terminal = &mut lab.terminals[0];
        terminal.kind = TerminalKind::Serial;
        terminal.command = vec![];
        terminal.socket = Some(self.socket.display().to_string());
        terminal.prompt = Some("^r1:.*# $".into());
        lab
    }

    /// Is switched on, and waits for its console to be taken.
    async fn boot(&mut self) -> UnixStream {
        self.listener = Some(UnixListener::bind(&self.socket).unwrap());
        let taken = self.listener.as_ref().unwrap().accept();
        timeout(SOON, taken).await.expect("the console is taken").unwrap().0
    }

    /// Is switched off: the emulator is gone, and its listener with it. While that still listened, a restart's
    /// connection would wait in its backlog and end with it.
    fn off(&mut self, line: UnixStream) {
        drop(line);
        self.listener = None;
        std::fs::remove_file(&self.socket).unwrap();
    }
}

async fn reads(line: &mut UnixStream, expected: &[u8]) {
    let mut read = vec![0; expected.len()];
    timeout(SOON, line.read_exact(&mut read)).await.expect("input").unwrap();
    assert_eq!(read, expected);
}

#[tokio::test]
async fn a_machines_boot_is_recorded_and_its_prompt_makes_the_lab_ready() {
    let mut machine = Machine::new();
    let sandbox = Sandbox::start(&machine.lab());
    let mut line = machine.boot().await;
    line.write_all(b"Linux version 6\r\n").await.unwrap();
    let mut client = sandbox.follow().await;
    client.until(|c| c.output(0) == b"Linux version 6\r\n").await;
    assert_eq!(sandbox.connect().await.welcome.unwrap().ready_us, None, "no prompt yet");
    line.write_all(b"r1:~# ").await.unwrap();
    client.record(|e| matches!(e, Event::Lab(LabEvent::Ready))).await;
    assert_eq!(client.output(0), b"Linux version 6\r\nr1:~# ", "from the first byte");
}

#[tokio::test]
async fn a_console_outlives_those_who_look_at_it_and_hears_them() {
    let mut machine = Machine::new();
    let sandbox = Sandbox::start(&machine.lab());
    let mut line = machine.boot().await;
    line.write_all(b"r1:~# ").await.unwrap();
    let mut first = sandbox.ready().await;
    first.key(1, b"ip a\r").await;
    reads(&mut line, b"ip a\r").await;
    // a size, which the line cannot pass on, does no harm
    let resize = ToAgent::Resize {
        terminal: 0,
        writer: WRITER.to_string(),
        cols: 132,
        rows: 40,
    };
    first.say(&resize).await;
    first
        .record(|e| matches!(e, Event::Resize { cols: 132, rows: 40 }))
        .await;
    drop(first);
    line.write_all(b"ip a\r\n1: lo\r\nr1:~# ").await.unwrap();
    let mut second = sandbox.follow().await;
    second.until(|c| c.output(0).ends_with(b"1: lo\r\nr1:~# ")).await;
    let command = second
        .record(|e| matches!(e, Event::Command(c) if c.took_us.is_none()))
        .await;
    assert!(matches!(command.event, Event::Command(c) if c.text == "ip a"));
}

#[tokio::test]
async fn a_machine_that_is_switched_off_ends_its_console_and_a_restart_takes_the_next_one() {
    let mut machine = Machine::new();
    let sandbox = Sandbox::start(&machine.lab());
    let mut line = machine.boot().await;
    line.write_all(b"r1:~# ").await.unwrap();
    let mut client = sandbox.ready().await;
    line.write_all(b"Power down\r\n").await.unwrap();
    machine.off(line);
    client.record(|e| *e == Event::Exit { status: 0 }).await;
    client.say(&ToAgent::Restart { terminal: 0 }).await;
    let mut line = machine.boot().await;
    line.write_all(b"again\r\n").await.unwrap();
    client
        .until(|c| c.output(0).ends_with(b"Power down\r\nagain\r\n"))
        .await;
}

#[tokio::test]
async fn a_machine_that_never_prompts_fails_the_lab_by_its_name() {
    let mut machine = Machine::new();
    let mut lab = machine.lab();
    lab.ready_within_ms = 300;
    let sandbox = Sandbox::start(&lab);
    let mut line = machine.boot().await;
    line.write_all(b"Kernel panic\r\n").await.unwrap();
    let mut client = sandbox.follow().await;
    let failed = client
        .record(|e| matches!(e, Event::Lab(LabEvent::Failed { .. })))
        .await;
    let Event::Lab(LabEvent::Failed { code, detail }) = failed.event else {
        unreachable!()
    };
    assert_eq!(code, "ready-timeout");
    assert!(detail.ends_with("the console of t"), "{detail}");
}
