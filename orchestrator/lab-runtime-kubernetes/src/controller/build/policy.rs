//! Who may speak with a sandbox, and with whom it may speak.

use super::Wanted;
use crate::api::{AGENT_PORT, LABEL_SANDBOX};
use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use kube::ResourceExt;
use std::collections::BTreeMap;

/// In: only `serve`, only the agent's port. Out: nothing, as that is the only policy a lab can have (a spec with another is refused).
pub(crate) fn policy(wanted: &Wanted<'_>) -> NetworkPolicy {
    let this_pod = BTreeMap::from([(LABEL_SANDBOX.to_owned(), wanted.spec.sandbox.to_string())]);
    let serve = &wanted.settings.serve;
    let peer = NetworkPolicyPeer {
        pod_selector: Some(selector(serve.labels.clone())),
        // a namespace has this label by itself from 1.21 on; the chart's notes say how to set it on older clusters
        namespace_selector: serve.namespace.as_ref().map(|name| {
            selector(BTreeMap::from([(
                "kubernetes.io/metadata.name".to_owned(),
                name.clone(),
            )]))
        }),
        ip_block: None,
    };
    let ingress = NetworkPolicyIngressRule {
        from: Some(vec![peer]),
        ports: Some(vec![NetworkPolicyPort {
            port: Some(IntOrString::Int(i32::from(AGENT_PORT))),
            protocol: Some("TCP".into()),
            end_port: None,
        }]),
    };
    NetworkPolicy {
        metadata: wanted.metadata(wanted.object.name_any()),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector(this_pod)),
            // naming Egress without a rule is what closes it
            policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
            ingress: Some(vec![ingress]),
            egress: None,
        }),
    }
}

fn selector(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector {
        match_labels: Some(labels),
        match_expressions: None,
    }
}
