//! Alerts and panels ask for what the program tells, alerts fire when they should, and the runbook knows every one.

use lab_chart::{EVERYTHING, at, list, production, read, run, text};
use std::collections::BTreeSet;

/// Metric names in a text: `labwire_…`, without what a histogram appends.
fn metrics(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.split(|c| !word(c))
        .filter(|w| w.starts_with("labwire_"))
        .map(|w| {
            w.trim_end_matches("_bucket")
                .trim_end_matches("_sum")
                .trim_end_matches("_count")
                .to_owned()
        })
        .collect()
}

/// Names in the program's sources, as they stand where they are registered: a whole string, or for the controller what follows its prefix.
fn registered() -> BTreeSet<String> {
    let strings = |pattern: &str, place: &str| -> Vec<String> {
        let found = run("grep", &["-rhoE", pattern, place, "--include=*.rs"]).expect_ok();
        found.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let whole = strings("\"labwire_[a-z_]+\"", "orchestrator");
    let controller = "orchestrator/lab-runtime-kubernetes/src/controller/metrics.rs";
    let parts = strings("\"[a-z]+(_[a-z]+)*\"", controller);
    whole
        .into_iter()
        .chain(parts.into_iter().map(|part| format!("labwire_controller_{part}")))
        .collect()
}

#[test]
fn alerts_panels_and_autoscaler_name_metrics_that_the_program_has() {
    let known = registered();
    for file in [
        "helm/files/alerts.yaml",
        "helm/files/dashboard.json",
        "helm/templates/availability.yaml",
    ] {
        let asked = metrics(&read(file));
        assert!(!asked.is_empty(), "{file}");
        let unknown: Vec<_> = asked.difference(&known).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?} are nowhere registered");
    }
}

#[test]
fn every_alert_says_whom_to_wake_and_has_its_section_in_the_runbook() {
    let chart = production(EVERYTHING);
    let runbook = read("docs/operations.md");
    let rules = list(chart.get("PrometheusRule/labwire"), "spec/groups/0/rules");
    assert!(rules.len() >= 8, "{}", rules.len());
    for rule in rules {
        let alert = text(rule, "alert");
        assert!(["page", "ticket"].contains(&text(rule, "labels/severity")), "{alert}");
        assert!(
            !text(rule, "annotations/summary").is_empty() && !text(rule, "annotations/description").is_empty(),
            "{alert}"
        );
        assert!(
            runbook.contains(&format!("### {alert}\n")),
            "docs/operations.md has no section {alert}"
        );
        assert!(
            !text(rule, "expr").contains('@'),
            "{alert}: the release's names are not put in"
        );
    }
    let alerts: BTreeSet<&str> = rules.iter().map(|rule| text(rule, "alert")).collect();
    for section in runbook.lines().filter_map(|l| l.strip_prefix("### Labwire")) {
        assert!(
            alerts.contains(format!("Labwire{section}").as_str()),
            "docs/operations.md explains Labwire{section}, which is no alert"
        );
    }
}

#[test]
fn every_alert_fires_when_it_should_and_not_otherwise() {
    let chart = production(EVERYTHING);
    let spec = at(chart.get("PrometheusRule/labwire"), "spec");
    let tests = read("tests/chart/alerts.test.yaml");
    let cases: serde_yaml::Value = serde_yaml::from_str(&tests).expect("YAML");
    for rule in list(spec, "groups/0/rules") {
        let alert = text(rule, "alert");
        let asks = format!("ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"}}");
        let expected: Vec<bool> = list(&cases, "tests")
            .iter()
            .flat_map(|case| list(case, "promql_expr_test"))
            .filter(|question| text(question, "expr").contains(&asks))
            .map(|question| list(question, "exp_samples").is_empty())
            .collect();
        assert!(
            expected.contains(&true) && expected.contains(&false),
            "tests/chart/alerts.test.yaml has no case of {alert} firing, or none of it not firing"
        );
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, content: &str| -> String {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path.to_str().expect("a plain path").to_owned()
    };
    let rules = file("alerts.yaml", &serde_yaml::to_string(spec).expect("YAML"));
    let tests = file("alerts.test.yaml", &tests);
    run("scripts/need", &["rules"]).expect_ok();
    run("promtool", &["check", "rules", &rules]).expect_ok();
    run("promtool", &["test", "rules", &tests]).expect_ok();
}

#[test]
fn the_dashboard_is_json_with_a_query_in_every_panel() {
    let chart = production(EVERYTHING);
    let map = chart.get("ConfigMap/labwire-dashboard");
    let json = at(map, "data")
        .get("labwire.json")
        .and_then(serde_yaml::Value::as_str)
        .expect("the file");
    // JSON is YAML
    let dashboard: serde_yaml::Value = serde_yaml::from_str(json).expect("JSON");
    let panels = list(&dashboard, "panels");
    assert!(panels.len() >= 10);
    for panel in panels {
        assert!(
            !text(panel, "targets/0/expr").is_empty() && !text(panel, "description").is_empty(),
            "{panel:?}"
        );
    }
}

#[test]
fn prometheus_gets_the_token_by_reference() {
    let chart = production(EVERYTHING);
    let endpoint = at(chart.get("ServiceMonitor/labwire"), "spec/endpoints/0");
    assert_eq!(text(endpoint, "authorization/credentials/name"), "labwire-metrics");
    let env = list(chart.get("Deployment/labwire"), "spec/template/spec/containers/0/env");
    let token = env
        .iter()
        .find(|v| text(v, "name") == "LABWIRE_METRICS_TOKEN")
        .expect("serve knows it");
    assert_eq!(text(token, "valueFrom/secretKeyRef/name"), "labwire-metrics");
}
