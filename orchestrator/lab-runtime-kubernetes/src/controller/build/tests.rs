//! What Kubernetes is given, as people would write it. A difference here is a difference in every cluster.

use super::*;
use crate::controller::{
    samples,
    settings::{Seccomp, Toleration},
    validate,
};

fn shown(
    settings: &ControllerSettings,
    object: &LabSandbox,
    what: impl Fn(&Wanted<'_>) -> serde_json::Value,
) -> String {
    let spec = validate::spec(object, &settings.installation).unwrap();
    let wanted = Wanted {
        settings,
        object,
        spec: &spec,
    };
    serde_yaml::to_string(&what(&wanted)).unwrap()
}

fn pod_yaml(settings: &ControllerSettings, object: &LabSandbox) -> String {
    shown(settings, object, |wanted| serde_json::to_value(pod(wanted)).unwrap())
}

#[test]
fn the_pod_of_a_lab_that_makes_namespaces() {
    insta::assert_snapshot!(pod_yaml(&samples::settings(), &samples::object()));
}

#[test]
fn the_pod_of_a_plain_lab_with_every_setting() {
    let mut settings = samples::settings();
    settings.image_pull_policy = Some("IfNotPresent".into());
    settings.image_pull_secrets = vec!["registry".into()];
    settings.proc_mount_unmasked = true;
    settings.host_users = Some(false);
    settings.runtime_class = Some("gvisor".into());
    settings.node_selector = BTreeMap::from([("labwire.dev/labs".to_owned(), "true".to_owned())]);
    settings.tolerations = vec![Toleration {
        key: Some("labs".into()),
        operator: Some("Exists".into()),
        value: None,
        effect: Some("NoSchedule".into()),
        toleration_seconds: None,
    }];
    settings.priority_class = Some("labwire-sandbox".into());
    settings.cpu_overcommit = 8;
    let mut object = samples::object();
    object.spec.namespaces = false;
    object.spec.size = "large".into();
    insta::assert_snapshot!(pod_yaml(&settings, &object));
}

#[test]
fn the_pod_of_a_lab_that_is_a_machine() {
    let mut settings = samples::settings();
    settings.kvm_resource = Some("devices.kubevirt.io/kvm".into());
    let mut object = samples::object();
    object.spec.namespaces = false;
    object.spec.runtime = "vm".into();
    object.spec.size = "medium".into();
    insta::assert_snapshot!(pod_yaml(&settings, &object));
}

#[test]
fn a_proc_without_masks_is_only_for_labs_that_make_namespaces() {
    let mut settings = samples::settings();
    settings.proc_mount_unmasked = true;
    let mut object = samples::object();
    assert!(pod_yaml(&settings, &object).contains("procMount: Unmasked"));
    object.spec.namespaces = false;
    assert!(!pod_yaml(&settings, &object).contains("procMount"));
}

#[test]
fn each_choice_of_seccomp_is_kept_to_labs_that_make_namespaces() {
    let mut settings = samples::settings();
    let mut object = samples::object();
    settings.seccomp = Seccomp::Unconfined;
    assert!(pod_yaml(&settings, &object).contains("type: Unconfined"));
    settings.seccomp = Seccomp::Localhost("other.json".into());
    assert!(pod_yaml(&settings, &object).contains("localhostProfile: other.json"));
    object.spec.namespaces = false;
    let plain = pod_yaml(&settings, &object);
    assert!(!plain.contains("Localhost") && !plain.contains("Unconfined"), "{plain}");
}

#[test]
fn the_two_secrets() {
    let both = shown(&samples::settings(), &samples::object(), |wanted| {
        // text instead of base64, so that the difference between the two can be read
        let readable = |secret: k8s_openapi::api::core::v1::Secret| {
            let text: BTreeMap<String, String> = secret
                .data
                .clone()
                .unwrap()
                .into_iter()
                .map(|(key, value)| (key, String::from_utf8(value.0).unwrap()))
                .collect();
            serde_json::json!({"metadata": secret.metadata, "type": secret.type_, "data as text": text})
        };
        serde_json::json!([
            readable(mounted_secret(wanted, &samples::keys())),
            readable(client_secret(wanted, &samples::keys())),
        ])
    });
    insta::assert_snapshot!(both);
}

#[test]
fn the_network_policy() {
    let mut settings = samples::settings();
    settings.serve.namespace = Some("labwire-system".into());
    let yaml = shown(&settings, &samples::object(), |wanted| {
        serde_json::to_value(policy(wanted)).unwrap()
    });
    insta::assert_snapshot!(yaml);
}
