//! What goes wrong in a cluster, and what the object says then.

use super::{
    faults::{Fate, Faults},
    rig::{Rig, idle, labwire_image, with_rig},
};
use http::Method;
use k8s_openapi::{
    api::core::v1::{Pod, ResourceQuota, ResourceQuotaSpec},
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use lab_runtime_kubernetes::controller::ControllerSettings;
use std::{collections::BTreeMap, time::Duration};

#[tokio::test]
async fn an_image_that_is_not_there_is_said() {
    with_rig("image", |rig| async move {
        let settings = ControllerSettings {
            image_pull_policy: Some("Never".into()),
            ..rig.settings("a")
        };
        let controller = rig.controller_with(settings, Faults::none()).await;
        let mut spec = idle();
        spec.image = "labwire/there-is-none:1".into();
        let name = rig.ask(&spec).await;
        let object = rig.until_phase(&name, "Pending", Some("ImageMissing")).await;
        let message = object.status.unwrap().message.unwrap();
        assert!(message.contains("there-is-none"), "{message}");
        rig.until_told(&name, &["ImageMissing"]).await;
        rig.drop_sandbox(&name).await;
        rig.until_nothing_is_left().await;
        controller.stop().await;
    })
    .await;
}

async fn quota(rig: &Rig, pods: u32) {
    let quota = ResourceQuota {
        metadata: ObjectMeta {
            name: Some("labs".into()),
            ..ObjectMeta::default()
        },
        spec: Some(ResourceQuotaSpec {
            hard: Some(BTreeMap::from([("pods".to_owned(), Quantity(pods.to_string()))])),
            ..ResourceQuotaSpec::default()
        }),
        status: None,
    };
    let params = PatchParams::apply("labwire-tests").force();
    let quotas = rig.api::<ResourceQuota>();
    quotas.patch("labs", &params, &Patch::Apply(&quota)).await.unwrap();
    // the quota counts once its controller has looked at it
    let counted = |q: Option<&ResourceQuota>| {
        let hard = q.and_then(|q| q.status.as_ref()).and_then(|s| s.hard.as_ref());
        hard.and_then(|h| h.get("pods"))
            .is_some_and(|h| h.0 == pods.to_string())
    };
    kube::runtime::wait::await_condition(quotas, "labs", counted)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_sandbox_waits_for_the_quota_and_runs_when_there_is_room() {
    with_rig("quota", |rig| async move {
        quota(&rig, 1).await;
        let controller = rig.controller("a").await;
        let first = rig.ask(&idle()).await;
        rig.until_phase(&first, "Running", None).await;
        let (second, third) = (rig.ask(&idle()).await, rig.ask(&idle()).await);
        for name in [&second, &third] {
            let waits = rig.until_phase(name, "Pending", Some("QuotaExceeded")).await;
            let message = waits.status.unwrap().message.unwrap();
            assert!(message.contains("exceeded quota"), "{message}");
        }
        // a place that is freed goes to one that waits
        rig.drop_sandbox(&first).await;
        let one = futures_util::future::select(
            Box::pin(rig.until_phase(&second, "Running", None)),
            Box::pin(rig.until_phase(&third, "Running", None)),
        )
        .await;
        drop(one);
        // and a quota that is raised lets the other in too
        quota(&rig, 3).await;
        rig.until_phase(&second, "Running", None).await;
        rig.until_phase(&third, "Running", None).await;
        rig.drop_sandbox(&second).await;
        rig.drop_sandbox(&third).await;
        rig.until_nothing_is_left().await;
        controller.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_init_container_that_fails_ends_the_sandbox_with_its_reason() {
    with_rig("init", |rig| async move {
        // an image without the agent
        let settings = ControllerSettings {
            image: idle().image,
            ..rig.settings("a")
        };
        assert_ne!(settings.image, labwire_image());
        let controller = rig.controller_with(settings, Faults::none()).await;
        let name = rig.ask(&idle()).await;
        rig.until_phase(&name, "Gone", Some("InitFailed")).await;
        rig.drop_sandbox(&name).await;
        rig.until_nothing_is_left().await;
        controller.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_pod_that_nothing_can_take_is_unschedulable() {
    with_rig("nonode", |rig| async move {
        let settings = ControllerSettings {
            node_selector: BTreeMap::from([("labwire.dev/no-such".to_owned(), "node".to_owned())]),
            ..rig.settings("a")
        };
        let controller = rig.controller_with(settings, Faults::none()).await;
        let name = rig.ask(&idle()).await;
        rig.until_phase(&name, "Pending", Some("Unschedulable")).await;
        rig.drop_sandbox(&name).await;
        rig.until_nothing_is_left().await;
        controller.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_foreign_pod_of_the_same_name_is_left_alone() {
    with_rig("foreign", |rig| async move {
        let spec = idle();
        let name = lab_runtime_kubernetes::api::object_name(spec.id);
        let foreign: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": name},
            "spec": {"containers": [{"name": "c", "image": spec.image, "command": ["sleep", "600"]}], "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": false},
        }))
        .unwrap();
        let uid = rig.api::<Pod>().create(&PostParams::default(), &foreign).await.unwrap().metadata.uid;
        let controller = rig.controller("a").await;
        rig.ask(&spec).await;
        // it comes as far as the pod, and no further
        let policy = kube::runtime::wait::await_condition(
            rig.api::<k8s_openapi::api::networking::v1::NetworkPolicy>(),
            &name,
            |p: Option<&k8s_openapi::api::networking::v1::NetworkPolicy>| p.is_some(),
        );
        tokio::time::timeout(super::rig::SOON, policy).await.unwrap().unwrap();
        rig.drop_sandbox(&name).await;
        let gone = kube::runtime::wait::await_condition(
            rig.api::<lab_runtime_kubernetes::api::LabSandbox>(),
            &name,
            |o: Option<&lab_runtime_kubernetes::api::LabSandbox>| o.is_none(),
        );
        tokio::time::timeout(super::rig::SOON, gone).await.unwrap().unwrap();
        let pods = rig.api::<Pod>().list(&ListParams::default()).await.unwrap();
        assert_eq!(pods.items.len(), 1);
        assert_eq!(pods.items[0].metadata.uid, uid);
        controller.stop().await;
    })
    .await;
}

/// Each kind of bad answer, to a sixth of all requests, reads and writes. (37 is prime: no step of a look meets the same answer each time.)
#[tokio::test]
async fn bad_answers_are_waited_out() {
    with_rig("answers", |rig| async move {
        let refused = |status, retry_after| Fate::Refused { status, retry_after };
        let faults = Faults::planned(move |request, n| match n % 37 {
            2 => refused(409, None),
            8 => refused(429, Some(1)),
            14 => refused(503, None),
            20 if request.method() == Method::GET => refused(410, None),
            20 => Fate::AnswerLost,
            26 => Fate::AnswerLost,
            32 => Fate::Slow(Duration::from_millis(700)),
            _ => Fate::Pass,
        });
        let controller = rig.controller_with(rig.settings("a"), faults).await;
        let mut names = Vec::new();
        for _ in 0..3 {
            names.push(rig.ask(&idle()).await);
        }
        for name in &names {
            rig.until_phase(name, "Running", None).await;
            rig.drop_sandbox(name).await;
        }
        rig.until_nothing_is_left().await;
        controller.stop().await;
    })
    .await;
}
