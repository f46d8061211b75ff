//! A sandbox from its request to nothing.

use super::rig::{idle, ospf_triangle, with_rig};
use k8s_openapi::api::{
    core::v1::{Pod, Secret},
    networking::v1::NetworkPolicy,
};
use kube::api::DeleteParams;
use lab_runtime_kubernetes::api::{LabSandboxStatus, SECRET_TOKEN, client_secret_name};

fn is_true(status: &LabSandboxStatus, type_: &str) -> bool {
    status.conditions.iter().any(|c| c.type_ == type_ && c.status == "True")
}

#[tokio::test]
async fn a_sandbox_runs_and_leaves_nothing() {
    with_rig("life", |rig| async move {
        let controller = rig.controller("a").await;
        let name = rig.ask(&ospf_triangle()).await;
        let object = rig.until_phase(&name, "Running", None).await;
        let status = object.status.unwrap();
        assert!(
            ["Validated", "Provisioned", "Running"]
                .iter()
                .all(|c| is_true(&status, c)),
            "{status:#?}"
        );
        assert!(status.node.is_some() && status.pod_ip.is_some() && status.started_at.is_some());
        assert!(status.ready_seconds.is_some_and(|s| s < 120), "{status:#?}");
        assert_eq!(status.certificate_sha256.as_ref().map(String::len), Some(64));

        let pod = rig.api::<Pod>().get(&name).await.unwrap();
        assert_eq!(pod.spec.unwrap().automount_service_account_token, Some(false));
        let client = rig.api::<Secret>().get(&client_secret_name(&name)).await.unwrap();
        assert_eq!(client.data.unwrap()[SECRET_TOKEN].0.len(), 64);
        rig.api::<NetworkPolicy>().get(&name).await.unwrap();
        rig.until_told(&name, &["Provisioned", "Running"]).await;
        let mut told: Vec<String> = rig.events(&name).await.into_iter().map(|e| e.0).collect();
        told.sort();
        assert_eq!(told, ["Provisioned", "Running"]);

        rig.drop_sandbox(&name).await;
        rig.until_nothing_is_left().await;
        let requests = controller.requests();
        assert!(requests <= 15, "20 over its life, with `serve`'s own: {requests}");
        controller.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_pod_removed_by_hand_ends_its_sandbox() {
    with_rig("podgone", |rig| async move {
        let controller = rig.controller("a").await;
        let name = rig.ask(&idle()).await;
        rig.until_phase(&name, "Running", None).await;
        rig.api::<Pod>()
            .delete(&name, &DeleteParams::default().grace_period(1))
            .await
            .unwrap();
        let gone = rig.until_phase(&name, "Gone", Some("PodDeleted")).await;
        assert!(!is_true(&gone.status.unwrap(), "Running"));
        // it is not made again: its journal is lost
        rig.drop_sandbox(&name).await;
        rig.until_nothing_is_left().await;
        controller.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_ends_says_how() {
    with_rig("ends", |rig| async move {
        let controller = rig.controller("a").await;
        let mut spec = idle();
        // the agent's own deadline
        spec.deadline_secs = 2;
        let name = rig.ask(&spec).await;
        let gone = rig.until_phase(&name, "Gone", None).await.status.unwrap();
        let exit = gone.exit.expect("the agent's process ended");
        assert!(exit.at.is_some() && !exit.oom, "{exit:?}");
        rig.drop_sandbox(&name).await;
        rig.until_nothing_is_left().await;
        controller.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_network_policy_that_somebody_removes_comes_back() {
    with_rig("policy", |rig| async move {
        let controller = rig.controller("a").await;
        let name = rig.ask(&idle()).await;
        rig.until_phase(&name, "Running", None).await;
        let policies = rig.api::<NetworkPolicy>();
        let first = policies.get(&name).await.unwrap().metadata.uid;
        policies.delete(&name, &DeleteParams::default()).await.unwrap();
        let back = |policy: Option<&NetworkPolicy>| policy.is_some_and(|p| p.metadata.uid != first);
        let wait = kube::runtime::wait::await_condition(policies.clone(), &name, back);
        tokio::time::timeout(super::rig::SOON, wait)
            .await
            .expect("it comes back")
            .unwrap();
        rig.drop_sandbox(&name).await;
        rig.until_nothing_is_left().await;
        controller.stop().await;
    })
    .await;
}
