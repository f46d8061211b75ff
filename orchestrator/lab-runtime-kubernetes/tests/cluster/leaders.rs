//! More than one controller, and controllers that die.

use super::{
    faults::Faults,
    rig::{LEASE, Rig, SOON, idle, with_rig},
};
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Pod, Secret},
};
use kube::{ResourceExt, runtime::wait::await_condition};
use lab_runtime_kubernetes::{
    api::{LabSandbox, SECRET_CERTIFICATE, client_secret_name},
    controller::{ControllerSettings, LeaseTimes},
};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// Waits until this controller leads.
async fn until_leads(rig: &Rig, identity: &'static str) {
    let leads = |lease: Option<&Lease>| {
        let spec = lease.and_then(|l| l.spec.as_ref());
        spec.and_then(|s| s.holder_identity.as_deref()) == Some(identity)
    };
    let lease = rig.settings(identity).lease_name();
    let wait = await_condition(rig.api::<Lease>(), &lease, leads);
    tokio::time::timeout(SOON, wait).await.expect("it leads").unwrap();
}

#[tokio::test]
async fn one_of_two_leads_and_the_other_takes_over() {
    with_rig("two", |rig| async move {
        // longer than this process may stand still: a lease that ran out is rightly taken over
        let patient = |identity| ControllerSettings {
            lease: LeaseTimes {
                duration: Duration::from_secs(20),
                ..LEASE
            },
            ..rig.settings(identity)
        };
        let a = rig.controller_with(patient("a"), Faults::none()).await;
        until_leads(&rig, "a").await;
        let b = rig.controller_with(patient("b"), Faults::none()).await;
        let first = rig.ask(&idle()).await;
        rig.until_phase(&first, "Running", None).await;
        assert!(a.requests() > 0);
        assert_eq!(b.requests(), 0, "who does not lead writes nothing");
        // killed: its lease has to run out
        a.kill().await;
        let second = rig.ask(&idle()).await;
        rig.until_phase(&second, "Running", None).await;
        assert!(b.requests() > 0);
        // stopped: the next one has it at once
        let c = rig.controller("c").await;
        b.stop().await;
        until_leads(&rig, "c").await;
        rig.drop_sandbox(&first).await;
        rig.drop_sandbox(&second).await;
        rig.until_nothing_is_left().await;
        c.stop().await;
    })
    .await;
}

/// Writes of one sandbox's life: finalizer, two Secrets, policy, pod, status, event, status, event, deletion, finalizer. One more, so that
/// somebody survives.
const WRITES: usize = 12;

#[tokio::test]
async fn a_controller_may_die_after_any_write() {
    with_rig("die", |rig| async move {
        let mut lives = JoinSet::new();
        for writes in 1..=WRITES {
            let rig = Arc::clone(&rig);
            lives.spawn(async move { one_life(&rig, writes).await });
        }
        let mut deaths = 0;
        while let Some(died) = lives.join_next().await {
            deaths += usize::from(died.unwrap());
        }
        // a node that is slow to delete may cost a life one write more
        assert!(
            deaths >= WRITES - 1,
            "a life has at least {} writes; {deaths} deaths",
            WRITES - 1
        );
        rig.until_nothing_is_left().await;
    })
    .await;
}

/// A sandbox in an installation of its own, whose controller dies after so many writes; whether it did.
async fn one_life(rig: &Rig, writes: usize) -> bool {
    let installation = format!("i{writes}");
    let settings = |identity: &str| {
        let mut settings = rig.settings(identity);
        settings.installation.clone_from(&installation);
        settings
    };
    let faults = Faults::dies_after(writes);
    let dead = faults.dead.clone();
    let mut first = Some(rig.controller_with(settings("first"), faults).await);
    let mut second = None;
    let spec = idle();
    let name = rig.ask_as(&installation, &spec).await;
    for step in ["run", "go"] {
        if step == "go" {
            rig.drop_sandbox(&name).await;
        }
        let reached = async {
            if step == "run" {
                rig.until_phase(&name, "Running", None).await;
            } else {
                let gone = await_condition(rig.api::<LabSandbox>(), &name, |o: Option<&LabSandbox>| o.is_none());
                tokio::time::timeout(SOON, gone).await.expect("it goes").unwrap();
            }
        };
        tokio::pin!(reached);
        tokio::select! {
            () = &mut reached => {}
            () = dead.cancelled(), if second.is_none() => {
                if let Some(first) = first.take() {
                    first.kill().await;
                }
                second = Some(rig.controller_with(settings("second"), Faults::none()).await);
                reached.await;
            }
        }
        if step == "run" {
            keys_belong_together(rig, &name).await;
        }
    }
    if let Some(first) = first {
        first.stop().await;
    }
    if let Some(second) = second {
        second.stop().await;
    }
    // the last write may have been seen before the death
    dead.is_cancelled()
}

/// What the agent has, what `serve` expects, and what the status says.
async fn keys_belong_together(rig: &Rig, name: &str) {
    let secrets = rig.api::<Secret>();
    let mounted = secrets.get(name).await.unwrap().data.unwrap();
    let client = secrets.get(&client_secret_name(name)).await.unwrap().data.unwrap();
    assert_eq!(mounted[SECRET_CERTIFICATE], client[SECRET_CERTIFICATE], "{name}");
    let object = rig.api::<LabSandbox>().get(name).await.unwrap();
    let status = object.status.as_ref().unwrap();
    assert!(status.certificate_sha256.is_some(), "{name}: {status:#?}");
    let pod = rig.api::<Pod>().get(name).await.unwrap();
    assert_eq!(pod.owner_references()[0].uid, object.uid().unwrap());
}
