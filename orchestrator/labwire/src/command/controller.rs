//! `labwire controller` and `labwire crd`.

use crate::{config::Config, wire};
use anyhow::{Context, Result};
use lab_runtime_kubernetes::controller::{Controller, cluster_client, serve_operations};
use prometheus::Registry;
use std::process::ExitCode;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

/// Makes pods of `LabSandbox`es until stopped (Ctrl-C or SIGTERM). Any number may run: one leads. Needs no database and no key.
pub async fn run(config: &Config) -> Result<ExitCode> {
    let registry = Registry::new();
    let client = cluster_client(None).await;
    let client = client.context("cannot find a cluster (KUBECONFIG, ~/.kube/config, or a pod's service account)")?;
    let controller = Controller::new(client, wire::controller_settings(config)?, &registry)?;
    let address = config.controller.listen;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} (setting: controller.listen); is it in use?"))?;
    let namespace = &config.runtime.kubernetes.namespace;
    tracing::info!(address = %listener.local_addr()?, namespace, installation = config.installation, "controls sandboxes");
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let work = async {
        controller.run(stop.clone()).await;
        stop.cancel();
    };
    let operations = async {
        let ended = serve_operations(listener, registry, controller.health(), stop.clone()).await;
        stop.cancel();
        ended.context("probes and metrics cannot be served any more")
    };
    let signals = async {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("asked to stop"),
            _ = interrupt.recv() => tracing::info!("interrupted"),
            () = stop.cancelled() => {}
        }
        stop.cancel();
    };
    let ((), served, ()) = tokio::join!(work, operations, signals);
    served?;
    tracing::info!("stopped; sandboxes go on");
    Ok(ExitCode::SUCCESS)
}

/// Prints the definition of `LabSandbox`.
pub fn crd() -> ExitCode {
    print!("{}", lab_runtime_kubernetes::api::crd_yaml());
    ExitCode::SUCCESS
}
