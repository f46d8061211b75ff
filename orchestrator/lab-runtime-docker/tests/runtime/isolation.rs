//! What a sandbox is kept from.

use crate::rig::{Rig, hold, open};
use futures_util::StreamExt;
use lab_core::{
    lab::RuntimeKind,
    port::{GoneCause, Runtime, RuntimeError, SandboxPhase, SandboxSpec},
};
use lab_runtime_docker::DockerOptions;
use lab_testkit::contract::runtime::{RuntimeRig, spec, started};
use std::{os::unix::fs::MetadataExt, time::Duration};

async fn started_with(rig: &Rig, change: impl FnOnce(&mut SandboxSpec)) -> SandboxSpec {
    let mut spec = spec(rig);
    change(&mut spec);
    rig.runtime().sandbox_ensure(&spec).await.unwrap();
    spec
}

#[tokio::test]
async fn an_unknown_image_is_named_and_not_fetched() {
    hold(|rig| {
        Box::pin(async move {
            let runtime = rig.runtime();
            let mut spec = spec(rig);
            spec.image = "labwire/no-such-image:1".into();
            let refused = runtime.sandbox_ensure(&spec).await.unwrap_err();
            assert!(
                matches!(&refused, RuntimeError::ImageMissing { image } if *image == spec.image),
                "{refused:?}"
            );
            assert!(!runtime.image_present(&spec.image).await.unwrap());
            assert_eq!(runtime.sandbox_list().await.unwrap(), []);
        })
    })
    .await;
}

#[tokio::test]
async fn a_sandbox_has_its_user_no_capability_and_no_way_to_more() {
    hold(|rig| {
        Box::pin(async move {
            let spec = started_with(rig, |s| s.user = 1234).await;
            let (status, _) = rig.shell(spec.id, "cat /proc/1/status /proc/self/status").await;
            let field = |name: &str| -> Vec<&str> {
                status
                    .lines()
                    .filter_map(|l| l.strip_prefix(name)?.strip_prefix(':'))
                    .map(str::trim)
                    .collect()
            };
            assert_eq!(field("Uid"), ["1234\t1234\t1234\t1234"; 2]);
            for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                assert_eq!(field(set), ["0000000000000000"; 2], "{set}");
            }
            assert_eq!(field("NoNewPrivs"), ["1"; 2]);
            assert_eq!(field("Seccomp"), ["2"; 2], "a filter is in force");
            let (files, _) = rig
                .shell(
                    spec.id,
                    "stat -c '%u %a %n' /labwire/lab-agent /labwire/spec.json /labwire/run /lab",
                )
                .await;
            let expected =
                "0 755 /labwire/lab-agent\n1234 400 /labwire/spec.json\n1234 700 /labwire/run\n1234 755 /lab\n";
            assert_eq!(files, expected);
        })
    })
    .await;
}

#[tokio::test]
async fn a_sandbox_has_no_network_but_its_own_loopback() {
    hold(|rig| {
        Box::pin(async move {
            let spec = started_with(rig, |_| ()).await;
            let (interfaces, _) = rig.shell(spec.id, "ls /sys/class/net").await;
            assert_eq!(interfaces, "lo\n");
            let (routes, _) = rig.shell(spec.id, "tail -n +2 /proc/net/route").await;
            assert_eq!(routes, "");
        })
    })
    .await;
}

#[tokio::test]
async fn a_sandbox_cannot_start_more_processes_than_its_size_allows() {
    hold(|rig| {
        Box::pin(async move {
            let spec = started(rig, &*rig.runtime()).await;
            let (_, limit, ..) = (0, spec.size.limits().2);
            let (out, _) = rig
                .shell(
                    spec.id,
                    "i=0; while [ $i -lt 1000 ]; do sleep 30 & i=$((i+1)); done 2>&1; echo started $i; kill $(jobs -p)",
                )
                .await;
            assert!(
                limit < 1000 && out.contains("fork"),
                "1000 processes at a limit of {limit}: {out}"
            );
        })
    })
    .await;
}

#[tokio::test]
async fn only_labs_that_make_namespaces_may() {
    hold(|rig| Box::pin(async move {
        // Root in a new namespace, setting a sysctl of it: needs the profile and an unmasked /proc.
        let make = "unshare --user --map-root-user --net sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward && cat /proc/sys/net/ipv4/ip_forward'";
        let plain = started_with(rig, |_| ()).await;
        let (said, status) = rig.shell(plain.id, make).await;
        assert_ne!(status, 0, "{said}");
        let wider = started_with(rig, |s| s.namespaces = true).await;
        assert_eq!(rig.shell(wider.id, make).await, ("1\n".to_owned(), 0));
    }))
    .await;
}

#[tokio::test]
async fn memory_beyond_the_size_ends_the_process_that_takes_it() {
    hold(|rig| {
        Box::pin(async move {
            let spec = started(rig, &*rig.runtime()).await;
            // 400 MiB in a sandbox of 256.
            let (said, status) = rig
                .shell(spec.id, "perl -e '$x = \"x\" x (400 << 20); print length $x'")
                .await;
            assert_eq!((said.trim(), status), ("Killed", 137));
        })
    })
    .await;
}

#[tokio::test]
async fn a_lab_that_writes_more_than_its_size_has_is_ended_for_it_and_its_neighbour_goes_on() {
    hold(|rig| {
        Box::pin(async move {
            let runtime = open(DockerOptions {
                disk_look_every: Duration::from_millis(100),
                ..rig.options("ours")
            });
            let (greedy, modest) = (started(rig, &*runtime).await, started(rig, &*runtime).await);
            let (.., limit_mib) = greedy.size.limits();
            // engines count lengths: a hole is as good as a gigabyte, and sooner there
            rig.shell(modest.id, &format!("truncate -s {}M /lab/large", limit_mib / 2))
                .await;
            rig.shell(greedy.id, &format!("truncate -s {limit_mib}M /lab/too-large"))
                .await;
            let mut watch = runtime.sandbox_watch();
            let ended = async {
                loop {
                    watch.next().await;
                    let list = runtime.sandbox_list().await.unwrap();
                    let phase = |id| list.iter().find(|s| s.id == id).unwrap().phase.clone();
                    if let SandboxPhase::Gone { cause, .. } = phase(greedy.id) {
                        return (cause, phase(modest.id));
                    }
                }
            };
            let seen = tokio::time::timeout(Duration::from_mins(1), ended).await;
            assert_eq!(seen, Ok((GoneCause::OutOfDisk, SandboxPhase::Running)));
        })
    })
    .await;
}

#[tokio::test]
async fn only_labs_of_machines_get_the_processors_help_and_only_where_it_is_permitted() {
    hold(|rig| {
        Box::pin(async move {
            let permitted = open(DockerOptions {
                kvm: true,
                ..rig.options("ours")
            });
            let with = async |runtime: &dyn Runtime, kind: RuntimeKind| {
                let mut spec = spec(rig);
                spec.runtime = kind;
                runtime.sandbox_ensure(&spec).await.unwrap();
                rig.shell(spec.id, "test -r /dev/kvm && test -w /dev/kvm; echo $?")
                    .await
                    .0
            };
            // on a machine without it, or where it is root's alone, the lab comes up all the same, and emulates
            let here = std::fs::metadata("/dev/kvm").is_ok_and(|kvm| {
                let (group, others) = (kvm.mode() & 0o060 == 0o060, kvm.mode() & 0o006 == 0o006);
                others || (group && kvm.gid() != 0)
            });
            let yes = if here { "0\n" } else { "1\n" };
            assert_eq!(with(&*permitted, RuntimeKind::Vm).await, yes);
            assert_eq!(with(&*permitted, RuntimeKind::Container).await, "1\n");
            assert_eq!(with(&*rig.runtime(), RuntimeKind::Vm).await, "1\n");
        })
    })
    .await;
}
