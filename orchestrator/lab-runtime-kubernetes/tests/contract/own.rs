//! What only this adapter promises.

use crate::rig::Rig;
use futures_util::{AsyncReadExt, AsyncWriteExt};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use lab_core::port::{Runtime, RuntimeError, SandboxPhase, WaitReason};
use lab_runtime_kubernetes::{
    api::{SECRET_TOKEN, client_secret_name, object_name},
    runtime::Connect,
};
use lab_testkit::contract::runtime::{RuntimeRig, connected, eventually, hold, spec, started};

#[tokio::test]
async fn an_agent_is_reached_through_the_api_server_too() {
    hold(Rig::new().await, |rig| {
        Box::pin(async move {
            let runtime = rig.adapter(rig.ours(), rig.ours(), Connect::PortForward);
            let spec = started(rig, &*runtime).await;
            let mut stream = connected(&*runtime, spec.id).await;
            let bytes = vec![b'x'; 300_000];
            let mut back = vec![0; bytes.len()];
            let (mut read, mut write) = futures_util::AsyncReadExt::split(&mut stream);
            let (sent, received) = futures_util::future::join(
                async {
                    write.write_all(&bytes).await?;
                    write.flush().await
                },
                read.read_exact(&mut back),
            )
            .await;
            sent.unwrap();
            received.unwrap();
            assert!(back == bytes, "byte for byte");
        })
    })
    .await;
}

#[tokio::test]
async fn another_token_opens_no_agent() {
    hold(Rig::new().await, |rig| {
        Box::pin(async move {
            let runtime = rig.runtime();
            let spec = started(rig, &*runtime).await;
            let secrets: Api<Secret> = Api::namespaced(rig.client.clone(), rig.ours());
            let other = serde_json::json!({"stringData": {SECRET_TOKEN: "0".repeat(64)}});
            let name = client_secret_name(&object_name(spec.id));
            let params = PatchParams::default();
            secrets.patch(&name, &params, &Patch::Merge(&other)).await.unwrap();
            // an adapter that has not read the right one
            let mut refused = rig.runtime().connect(spec.id).await.unwrap();
            let _ = refused.write_all(b"echo?").await;
            let end = refused.read(&mut [0; 5]).await;
            assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
            // the one that has goes on
            connected(&*runtime, spec.id).await;
        })
    })
    .await;
}

#[tokio::test]
async fn an_installation_beside_ours_in_the_namespace_keeps_its_sandboxes() {
    hold(Rig::new().await, |rig| {
        Box::pin(async move {
            let theirs = rig.adapter("rt-beside", rig.ours(), Connect::Pod);
            let spec = spec(rig);
            theirs.sandbox_ensure(&spec).await.unwrap();
            let ours = rig.runtime();
            assert_eq!(ours.sandbox_list().await.unwrap(), []);
            let refused = ours.sandbox_ensure(&spec).await;
            assert!(matches!(refused, Err(RuntimeError::Refused { .. })), "{refused:?}");
            ours.sandbox_drop(spec.id).await.unwrap();
            assert_eq!(theirs.sandbox_list().await.unwrap().len(), 1);
            theirs.sandbox_drop(spec.id).await.unwrap();
        })
    })
    .await;
}

#[tokio::test]
async fn a_sandbox_that_cannot_start_says_what_it_waits_for() {
    hold(Rig::new().await, |rig| {
        Box::pin(async move {
            let runtime = rig.runtime();
            let mut spec = spec(rig);
            spec.image = "labwire/never-built:1".into();
            runtime.sandbox_ensure(&spec).await.unwrap();
            let why = eventually("the image is missing", || async {
                let list = runtime.sandbox_list().await.unwrap();
                match &list[0].phase {
                    SandboxPhase::Starting { waiting } => waiting.clone(),
                    other => panic!("{other:?}"),
                }
            });
            assert_eq!(why.await.reason, WaitReason::Image);
            let refused = runtime.connect(spec.id).await.err();
            assert!(
                matches!(refused, Some(RuntimeError::AgentUnreachable { .. })),
                "{refused:?}"
            );
        })
    })
    .await;
}

#[tokio::test]
async fn the_watch_ends_with_the_adapter() {
    hold(Rig::new().await, |rig| {
        Box::pin(async move {
            let runtime = rig.adapter(rig.ours(), rig.ours(), Connect::Pod);
            assert_eq!(runtime.sandbox_list().await.unwrap(), []);
            // returns only when the task has ended
            runtime.close().await;
        })
    })
    .await;
}

#[tokio::test]
async fn a_silent_api_server_is_an_outage_that_open_terminals_do_not_notice() {
    hold(Rig::new().await, |rig| {
        Box::pin(async move {
            let (gate, runtime) = rig.gated().await;
            let spec = started(rig, &*runtime).await;
            let mut stream = connected(&*runtime, spec.id).await;
            gate.falls_silent();
            let outage = eventually("the silence is noticed", || async {
                runtime.sandbox_list().await.err()
            });
            let outage = outage.await;
            assert!(matches!(outage, RuntimeError::Unavailable { .. }), "{outage:?}");
            stream.write_all(b"still here").await.unwrap();
            stream.flush().await.unwrap();
            let mut back = [0; 10];
            stream.read_exact(&mut back).await.unwrap();
            assert_eq!(&back, b"still here");
            gate.flows_again();
            let list = eventually("the list is back", || async { runtime.sandbox_list().await.ok() }).await;
            assert_eq!(list.iter().map(|s| s.id).collect::<Vec<_>>(), [spec.id]);
        })
    })
    .await;
}
