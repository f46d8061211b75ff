//! The lab's life: up, checked, ended, stopped.

use crate::client::{SOON, Sandbox, check, file, script, spec};
use lab_core::{
    agent::{AgentFrame, TerminalKind, ToAgent},
    journal::{Event, LabEvent},
};
use std::time::Duration;

fn lab(event: &Event) -> Option<&LabEvent> {
    match event {
        Event::Lab(lab) => Some(lab),
        _ => None,
    }
}

#[tokio::test]
async fn a_lab_is_ready_when_its_ready_passes_and_its_terminal_prompts() {
    let mut lab = spec(TerminalKind::Shell, &["/bin/bash", "--norc", "-i"], None);
    lab.files = vec![file(
        "/lab/start",
        "#!/bin/sh\necho wiring\nsleep 0.1\ntouch $LAB_ROOT/lab/up\nexec sleep 1000\n",
    )];
    lab.start = vec!["/lab/start".into()];
    lab.ready = vec!["/bin/test".into(), "-e".into(), "/lab/up".into()];
    let sandbox = Sandbox::start(&lab);
    let mut client = sandbox.follow().await;
    let ready = client.record(|e| matches!(e, Event::Lab(LabEvent::Ready))).await;
    let phases: Vec<_> = client.records.iter().filter_map(|r| self::lab(&r.event)).collect();
    assert_eq!(phases[0], &LabEvent::Starting);
    assert!(matches!(phases[1], LabEvent::Progress { .. }));
    let output = client
        .records
        .iter()
        .position(|r| matches!(r.event, Event::Output(_)))
        .unwrap();
    assert!(client.records[output].time_us <= ready.time_us, "the prompt came first");
    let told = sandbox.connect().await.welcome.unwrap().ready_us.unwrap();
    assert!(told.abs_diff(ready.time_us) < 1_000_000, "{told} and {}", ready.time_us);
}

#[tokio::test]
async fn a_lab_that_does_not_become_ready_says_why() {
    let mut slow = script("true");
    slow.ready = vec!["/bin/sh".into(), "-c".into(), "echo no neighbour; exit 3".into()];
    slow.ready_within_ms = 3000;
    let mut broken = script("true");
    broken.start = vec!["/bin/sh".into(), "-c".into(), "echo bad topology >&2; exit 4".into()];
    broken.ready = vec!["/bin/false".into()];
    let mut missing = script("true");
    missing.start = vec!["/no/such/program".into()];
    let cases = [
        (slow, "ready-timeout", "no neighbour"),
        (broken, "start-ended", "bad topology"),
        (missing, "start", "/no/such"),
    ];
    for (spec, expected, text) in cases {
        let sandbox = Sandbox::start(&spec);
        let mut client = sandbox.follow().await;
        let failed = client
            .record(|e| matches!(e, Event::Lab(LabEvent::Failed { .. })))
            .await;
        let Event::Lab(LabEvent::Failed { code, detail }) = failed.event else {
            unreachable!()
        };
        assert_eq!(code, expected);
        assert!(detail.contains(text), "{detail}");
    }
}

#[tokio::test]
async fn an_ended_program_is_told_and_started_again_with_offsets_going_on() {
    let sandbox = Sandbox::start(&script("printf hello; exit 7"));
    let mut client = sandbox.follow().await;
    client.record(|e| *e == Event::Exit { status: 7 }).await;
    assert_eq!(client.output(0), b"hello", "all output before the end");
    client.say(&ToAgent::Restart { terminal: 0 }).await;
    client.record(|e| *e == Event::Exit { status: 7 }).await;
    assert_eq!(client.output(0), b"hellohello");
}

#[tokio::test]
async fn a_running_program_is_not_restarted() {
    let sandbox = Sandbox::start(&script("sleep 100"));
    let mut client = sandbox.ready().await;
    client.say(&ToAgent::Restart { terminal: 0 }).await;
    client.until(|c| c.refused == ["not-exited"]).await;
}

#[tokio::test]
async fn checks_pass_fail_and_are_killed_when_they_take_too_long() {
    let mut lab = script("sleep 100");
    lab.checks = vec![
        check("good", "echo fine", 5000),
        check("bad", "echo out; echo err >&2; exit 2", 5000),
        check("slow", "echo begun; sleep 100 & sleep 100", 2000),
        check("loud", "head -c 100000 /dev/zero | tr '\\0' x", 5000),
    ];
    let sandbox = Sandbox::start(&lab);
    let mut client = sandbox.ready().await;
    client
        .say(&ToAgent::Check {
            request: 1,
            checks: vec![],
        })
        .await;
    client
        .say(&ToAgent::Check {
            request: 2,
            checks: vec!["good".into()],
        })
        .await;
    client
        .say(&ToAgent::Check {
            request: 3,
            checks: vec!["none".into()],
        })
        .await;
    client.until(|c| c.done == [1, 2] && c.refused == ["malformed"]).await;
    let outcomes: Vec<_> = client
        .records
        .iter()
        .filter_map(|r| match &r.event {
            Event::Check(o) => Some((o.check.as_str().to_owned(), o.passed, o.points, o.detail.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(outcomes.len(), 5);
    assert_eq!(outcomes[0], ("good".into(), true, 3, "fine\n".into()));
    assert_eq!(outcomes[1], ("bad".into(), false, 0, "out\nerr\n".into()));
    assert!(
        !outcomes[2].1 && outcomes[2].3.starts_with("no result within 2000 ms\nbegun"),
        "{:?}",
        outcomes[2]
    );
    assert!(outcomes[3].1 && outcomes[3].3.len() == lab_core::limits::CHECK_DETAIL_BYTES_MAX);
}

#[tokio::test]
async fn a_stop_is_orderly_and_waits_for_the_recorder() {
    let mut sandbox = Sandbox::start(&script("trap 'echo goodbye; exit 0' HUP; while :; do sleep 0.01; done"));
    let mut client = sandbox.ready().await;
    client
        .say(&ToAgent::Stop {
            reason: "idle-timeout".into(),
        })
        .await;
    client
        .record(|e| {
            *e == Event::Lab(LabEvent::Stopping {
                reason: "idle-timeout".into(),
            })
        })
        .await;
    assert!(client.output(0).ends_with(b"goodbye\r\n"));
    let last = client.records.last().unwrap();
    assert!(
        matches!(last.event, Event::Lab(LabEvent::Stopping { .. })),
        "the journal's last record"
    );
    let offset = client.journal_end();
    client.send(&AgentFrame::Durable { epoch: 1, offset }).await;
    let status = tokio::time::timeout(Duration::from_secs(3), sandbox.agent.wait())
        .await
        .expect("does not wait 5 s")
        .unwrap();
    assert_eq!(status.code(), Some(0));
}

/// Who takes the sandbox away (an eviction, a pod deleted by hand) asks its first process: no lab that ended by itself, which would be billed.
#[tokio::test]
async fn sigterm_is_an_orderly_stop_and_no_end_of_the_lab_by_itself() {
    let mut spec = script("sleep 100");
    spec.start = vec!["/bin/sh".into(), "-c".into(), "exec sleep 1000".into()];
    let mut sandbox = Sandbox::start(&spec);
    let mut client = sandbox.ready().await;
    let pid = nix::unistd::Pid::from_raw(sandbox.agent.id().unwrap() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    client
        .record(|e| {
            *e == Event::Lab(LabEvent::Stopping {
                reason: "sigterm".into(),
            })
        })
        .await;
    let exited = |e: &Event| matches!(lab(e), Some(LabEvent::Exited { .. }));
    assert!(!client.records.iter().any(|r| exited(&r.event)));
    client
        .send(&AgentFrame::Durable {
            epoch: 1,
            offset: client.journal_end(),
        })
        .await;
    let status = tokio::time::timeout(SOON, sandbox.agent.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

/// In a lab without namespaces of its own the learner's programs may signal the agent, and an end that nobody asked for is not billed.
#[tokio::test]
async fn what_a_console_signals_to_the_agent_ends_no_lab() {
    // a shell that stays, one that is gone when the signal is read, one in a session of its own, and one whose parent is gone
    let typed = "agent=$PPID; said=$(mktemp -u); kill -TERM $agent; sh -c \"kill -TERM $agent\"; \
                 setsid sh -c \"kill -TERM $agent\"; sh -c \"sh -c 'kill -TERM $agent; mkfifo $said' & exit\"; \
                 until [ -e $said ]; do sleep 0.01; done; rm $said; echo done; sleep 1000";
    let mut sandbox = Sandbox::start(&script(typed));
    let mut client = sandbox.ready().await;
    client.shows("done\r\n").await;
    let pid = sandbox.agent.id().unwrap() as i32;
    // of two that are pending at once the kernel keeps the first
    while pending(pid) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGINT).unwrap();
    let stopping = client
        .record(|e| matches!(e, Event::Lab(LabEvent::Stopping { .. })))
        .await;
    // the first reason counts
    let reason = "sigint".into();
    assert_eq!(stopping.event, Event::Lab(LabEvent::Stopping { reason }));
    let offset = client.journal_end();
    client.send(&AgentFrame::Durable { epoch: 1, offset }).await;
    let status = tokio::time::timeout(SOON, sandbox.agent.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

/// Whether a signal waits for the process.
fn pending(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let set = status.lines().find_map(|l| l.strip_prefix("ShdPnd:")).unwrap();
    set.trim().bytes().any(|b| b != b'0')
}

/// The agent blocks the signals that it reads. And a signal of a user whose queue is full comes without its sender: a learner who could
/// fill it would be taken for whoever runs the sandbox.
#[tokio::test]
async fn what_runs_in_a_lab_blocks_no_signal_and_cannot_fill_the_agents_queue() {
    let sandbox = Sandbox::start(&script("grep SigBlk /proc/self/status; echo $(ulimit -i).; sleep 1000"));
    let mut client = sandbox.ready().await;
    client.shows(".\r\n").await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", sandbox.agent.id().unwrap())).unwrap();
    let line = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max pending signals"))
        .unwrap();
    let of_agent: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
    let shown = String::from_utf8(client.output(0)).unwrap();
    assert_eq!(shown, format!("SigBlk:\t0000000000000000\r\n{}.\r\n", of_agent / 2));
}

#[tokio::test]
async fn a_frozen_lab_stands_still_until_it_is_thawed() {
    let sandbox = Sandbox::start(&script("i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done"));
    let mut client = sandbox.ready().await;
    client.shows("5\r\n").await;
    client.say(&ToAgent::Freeze).await;
    client
        .say(&ToAgent::Marker {
            terminal: 0,
            label: "frozen".into(),
        })
        .await;
    client.record(|e| matches!(e, Event::Marker(_))).await;
    // what was written before may still be under way; a lab that runs is never silent for so long
    let mut at = client.output_len();
    for _ in 0..5 {
        let silence = Duration::from_millis(300);
        if tokio::time::timeout(silence, client.until(|c| c.output_len() > at))
            .await
            .is_err()
        {
            break;
        }
        at = client.output_len();
    }
    assert_eq!(client.output_len(), at, "output while frozen");
    // what would start a program is refused: it would run for nobody's time
    client
        .say(&ToAgent::Check {
            request: 1,
            checks: vec![],
        })
        .await;
    client.until(|c| c.refused == ["frozen"]).await;
    client.say(&ToAgent::Thaw).await;
    client.until(|c| c.output_len() > at + 20).await;
}

/// The lab of these tests: a process that counts aloud, after its own number.
async fn counting() -> (Sandbox, crate::client::Client, nix::unistd::Pid) {
    let sandbox = Sandbox::start(&script(
        "echo pid=$$.; i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done",
    ));
    let mut client = sandbox.ready().await;
    client.shows("5\r\n").await;
    let text = String::from_utf8(client.output(0)).unwrap();
    let pid = text.split_once("pid=").unwrap().1.split_once('.').unwrap().0;
    let pid = nix::unistd::Pid::from_raw(pid.parse().unwrap());
    client.say(&ToAgent::Freeze).await;
    (sandbox, client, pid)
}

/// Whether the process is stopped now.
fn is_stopped(pid: nix::unistd::Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.trim_start().starts_with('T')
}

/// Lets a little time pass in which the agent is heard.
async fn tick(client: &mut crate::client::Client) {
    // why the result is dropped: silence is as good
    let _ = tokio::time::timeout(Duration::from_millis(50), client.read()).await;
}

#[tokio::test]
async fn what_is_woken_in_a_frozen_lab_is_stopped_again() {
    let (_sandbox, mut client, pid) = counting().await;
    let stopped = async |client: &mut crate::client::Client| {
        while !is_stopped(pid) {
            tick(client).await;
        }
    };
    tokio::time::timeout(SOON, stopped(&mut client)).await.expect("stopped");
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).unwrap();
    tokio::time::timeout(SOON, stopped(&mut client))
        .await
        .expect("stopped again");
}

#[tokio::test]
async fn a_lab_that_cannot_be_made_to_stand_still_ends_and_says_why() {
    let (mut sandbox, mut client, pid) = counting().await;
    let failed = |c: &crate::client::Client| {
        c.records
            .iter()
            .any(|r| matches!(&r.event, Event::Lab(LabEvent::Failed { code, .. }) if code == "not-still"))
    };
    let ends = async {
        while !failed(&client) {
            // why the result is dropped: once the lab is being stopped, it is gone
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT);
            tick(&mut client).await;
        }
    };
    tokio::time::timeout(SOON, ends).await.expect("it ends");
    let status = tokio::time::timeout(SOON, sandbox.agent.wait())
        .await
        .expect("the agent exits");
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn a_chain_of_forks_stands_still_or_ends_the_lab() {
    let dir = tempfile::tempdir().unwrap();
    let beads = dir.path().join("beads");
    let chain = format!("f() {{ echo x >> {}; f & }}; f; exec sleep 1000", beads.display());
    let mut sandbox = Sandbox::start_in(dir, &script(&chain), &[], std::process::Stdio::null());
    let mut client = sandbox.ready().await;
    let len = || std::fs::metadata(&beads).map_or(0, |m| m.len());
    while len() < 100 {
        tick(&mut client).await;
    }
    client.say(&ToAgent::Freeze).await;
    // more than twice the time between two of the agent's looks
    let still_for = Duration::from_millis(2500);
    let mut last = (len(), tokio::time::Instant::now());
    let settles = async {
        loop {
            tick(&mut client).await;
            if len() != last.0 {
                last = (len(), tokio::time::Instant::now());
            }
            if last.1.elapsed() > still_for || sandbox.agent.try_wait().unwrap().is_some() {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, settles)
        .await
        .expect("no chain goes on in a frozen lab");
    // it ends with the agent at the latest
    sandbox.agent.start_kill().unwrap();
}

#[tokio::test]
async fn what_runs_in_the_lab_may_not_speak_to_its_agent() {
    let dir = tempfile::tempdir().unwrap();
    let ask = "GET /v1 HTTP/1.1\\r\\nHost: agent\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\
               Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n";
    let connect = format!(
        "{} connect --dir {}",
        env!("CARGO_BIN_EXE_lab-agent"),
        dir.path().join("run").display()
    );
    let lab = script(&format!(
        "printf '{ask}' | {connect} 2>&1 | head -c 12; echo '<direct>'; (printf '{ask}' | setsid {connect} 2>&1 | head -c 12; echo '<orphan>') & sleep 100"
    ));
    let sandbox = Sandbox::start_in(dir, &lab, &[], std::process::Stdio::null());
    let mut client = sandbox.follow().await;
    client.shows("<direct>").await;
    client.shows("<orphan>").await;
    let output = String::from_utf8_lossy(&client.output(0)).into_owned();
    assert!(!output.contains("HTTP/1.1"), "{output}");
}

#[tokio::test]
async fn a_check_that_was_stopped_with_its_lab_is_tried_again_when_the_lab_goes_on() {
    let mut lab = script("sleep 100");
    lab.files = vec![file("/lab/tries", "")];
    // the first try ends by the freeze alone: stopped, it runs out of its time
    let once = "echo $$ >> $LAB_ROOT/lab/tries; [ $(wc -l < $LAB_ROOT/lab/tries) -gt 1 ] || exec sleep 1000";
    lab.checks = vec![check("slow", once, 3000)];
    let sandbox = Sandbox::start(&lab);
    let mut client = sandbox.ready().await;
    client
        .say(&ToAgent::Check {
            request: 1,
            checks: vec![],
        })
        .await;
    let tries = sandbox.dir.path().join("root/lab/tries");
    let begun = || {
        std::fs::read_to_string(&tries)
            .unwrap()
            .lines()
            .next()
            .map(str::to_owned)
    };
    let pid = loop {
        match begun() {
            Some(pid) => break pid,
            None => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    };
    client.say(&ToAgent::Freeze).await;
    // killed and collected, while the lab stands still
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    client.say(&ToAgent::Thaw).await;
    client.until(|c| c.done == [1]).await;
    let outcomes = client.records.iter().filter_map(|r| match &r.event {
        Event::Check(o) => Some((o.passed, o.points)),
        _ => None,
    });
    assert_eq!(outcomes.collect::<Vec<_>>(), [(true, 3)]);
}

#[tokio::test]
async fn who_watches_is_told_and_leaves_with_the_connection() {
    let sandbox = Sandbox::start(&script("sleep 100"));
    let mut learner = sandbox.ready().await;
    let mut teacher = sandbox.connect().await;
    teacher
        .say(&ToAgent::Join {
            viewer: "v".into(),
            name: "Zoé".into(),
            role: "teacher".into(),
        })
        .await;
    learner
        .record(|e| matches!(e, Event::Join(j) if j.here && j.name == "Zoé"))
        .await;
    assert_eq!(sandbox.connect().await.welcome.unwrap().viewers.len(), 1);
    drop(teacher);
    learner
        .record(|e| matches!(e, Event::Join(j) if !j.here && j.viewer == "v"))
        .await;
}
