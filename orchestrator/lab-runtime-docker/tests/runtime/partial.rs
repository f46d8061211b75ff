//! States that a crash leaves behind.

use crate::rig::{IMAGE, Rig, hold, open};
use bollard::{models::ContainerCreateBody, query_parameters::CreateContainerOptionsBuilder};
use lab_core::port::{Runtime, SandboxPhase, SandboxSpec};
use lab_testkit::contract::runtime::{RuntimeRig, connected, eventually, spec, started};
use std::{collections::HashMap, time::Duration};

/// What an orchestrator leaves that dies between creating a container and starting it.
async fn created_only(rig: &Rig, spec: &SandboxSpec) -> String {
    let labels = HashMap::from([
        ("labwire.installation".to_owned(), rig.options("ours").installation),
        ("labwire.sandbox".to_owned(), spec.id.to_string()),
        ("labwire.session".to_owned(), spec.session.to_string()),
    ]);
    let body = ContainerCreateBody {
        image: Some(IMAGE.into()),
        cmd: Some(vec!["true".into()]),
        labels: Some(labels),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::new()
        .name(&rig.container(spec.id))
        .build();
    rig.docker.create_container(Some(options), body).await.unwrap().id
}

#[tokio::test]
async fn a_container_that_was_never_started_is_taken_over() {
    hold(|rig| {
        Box::pin(async move {
            let mut options = rig.options("ours");
            options.takeover_after = Duration::from_millis(300);
            let runtime = open(options);
            let spec = spec(rig);
            created_only(rig, &spec).await;
            let list = runtime.sandbox_list().await.unwrap();
            assert_eq!(
                list.iter().map(|s| s.phase.clone()).collect::<Vec<_>>(),
                [SandboxPhase::Starting { waiting: None }]
            );
            runtime.sandbox_ensure(&spec).await.unwrap();
            connected(&*runtime, spec.id).await;
            assert_eq!(runtime.sandbox_list().await.unwrap().len(), 1);
        })
    })
    .await;
}

#[tokio::test]
async fn a_container_that_is_just_being_made_is_waited_for() {
    hold(|rig| {
        Box::pin(async move {
            let runtime = open(rig.options("ours"));
            let spec = spec(rig);
            let theirs = created_only(rig, &spec).await;
            let ensured = tokio::time::timeout(Duration::from_secs(1), runtime.sandbox_ensure(&spec)).await;
            assert!(
                ensured.is_err(),
                "no answer while somebody else may be at work: {ensured:?}"
            );
            let still = rig
                .docker
                .inspect_container(&rig.container(spec.id), None)
                .await
                .unwrap();
            assert_eq!(still.id, Some(theirs), "and theirs was not touched");
        })
    })
    .await;
}

#[tokio::test]
async fn a_sandbox_that_cannot_start_is_refused_with_the_reason_and_leaves_nothing() {
    hold(|rig| {
        Box::pin(async move {
            let mut options = rig.options("ours");
            options.seccomp = r#"{"defaultAction": "SCMP_ACT_NO_SUCH"}"#.into();
            let runtime = open(options);
            let mut spec = spec(rig);
            spec.namespaces = true;
            let refused = runtime.sandbox_ensure(&spec).await.unwrap_err();
            assert_eq!(refused.code(), "sandbox-refused", "{refused:?}");
            assert!(refused.to_string().contains("SCMP_ACT_NO_SUCH"), "{refused}");
            assert_eq!(runtime.sandbox_list().await.unwrap(), []);
        })
    })
    .await;
}

#[tokio::test]
async fn a_dropped_connection_ends_its_process_in_the_sandbox() {
    hold(|rig| {
        Box::pin(async move {
            let runtime = rig.runtime();
            let spec = started(rig, &*runtime).await;
            let bridges = || async {
                rig.shell(
                    spec.id,
                    "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o 'lab-agent[ ]connect' | wc -l",
                )
                .await
                .0
            };
            let streams = [connected(&*runtime, spec.id).await, connected(&*runtime, spec.id).await];
            assert_ne!(bridges().await, "0\n");
            drop(streams);
            eventually("no bridge is left", || async {
                (bridges().await == "0\n").then_some(())
            })
            .await;
        })
    })
    .await;
}
