//! What course teams are told to fill in is what Open edX's own consumer, as it is installed here, calls it.

use anyhow::{Context, Result, ensure};
use lab_core::launch::lti::{
    Guide, GuideFor, Kind, Registration, RegistrationId, SecretShown, guides, guides_before, launch_address,
};
use lab_e2e::script;
use std::{collections::BTreeSet, path::PathBuf, process::Command};

const URL: &str = "https://labs.example.org";

/// The folder of the installed consumer.
fn consumer() -> Result<PathBuf> {
    let python = script("open-edx", &["python"])?;
    let find = "import importlib.util; print(importlib.util.find_spec('lti_consumer').submodule_search_locations[0])";
    let out = Command::new(python).args(["-c", find]).output()?;
    ensure!(out.status.success(), "lti_consumer is not found");
    Ok(PathBuf::from(String::from_utf8(out.stdout)?.trim()))
}

/// Every text between `before` and the next `after`.
fn between<'a>(text: &'a str, before: &'a str, after: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before)
        .skip(1)
        .filter_map(move |rest| rest.split(after).next())
}

/// Fields are what the form shows beside them; a value that is chosen begins with what is shown in the form too.
fn held(guide: &Guide, block: &str, template: &str) -> Result<()> {
    let names: BTreeSet<&str> = between(block, "display_name=_(\"", "\"").collect();
    let mut shown: BTreeSet<&str> = between(block, "\"display_name\": \"", "\"").collect();
    shown.extend(between(block, "\"display_name\": _(\"", "\""));
    shown.extend(between(block, "LaunchTargetOption('", "'"));
    shown.extend(between(template, "{% trans \"", "\""));
    for field in &guide.fields {
        ensure!(
            names.contains(field.name),
            "{}: Open edX has no field {:?}: {names:?}",
            guide.platform,
            field.name
        );
        let chosen = field.value.split(',').next().unwrap_or_default();
        ensure!(
            chosen.contains("://") || field.name == "LTI Passport ID" || shown.contains(chosen),
            "{}: {:?} cannot be {chosen:?}: {shown:?}",
            guide.platform,
            field.name
        );
    }
    Ok(())
}

#[test]
fn the_forms_of_open_edx_have_the_names_that_we_print() -> Result<()> {
    let folder = consumer()?;
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).with_context(|| path.to_owned());
    let block = read("lti_xblock.py")?;
    let form = ["_step_setup", "_step_advantage", "_step_review"];
    let form = form.map(|step| read(&format!("templates/html/lti_studio_edit/{step}.html")));
    let form = form.into_iter().collect::<Result<Vec<_>>>()?.concat();
    let launch = launch_address(URL, None);
    let new = guides_before(URL, GuideFor::OpenEdx, &launch).remove(0);
    held(&new, &block, &form)?;
    let fun = Registration {
        id: RegistrationId("fun".into()),
        course: None,
        plan: None,
        created_at: lab_core::Timestamp(0),
        kind: Kind::Consumer {
            key: "imt".into(),
            secret: String::new(),
        },
    };
    held(&guides(URL, &fun, &launch, SecretShown::None)[0], &block, &form)?;
    // what the block shows once it is saved, and `labwire lti add` asks for
    let saved = read("templates/html/lti_1p3_studio.html")?;
    let labels: Vec<&str> = between(&saved, "{% trans \"", "\"")
        .filter_map(|label| label.strip_suffix(": "))
        .collect();
    ensure!(labels.len() >= 5, "the block shows less than it did: {labels:?}");
    let then = new.then.context("what follows is said")?;
    for label in labels {
        ensure!(then.contains(label), "{label:?} is not told: {then}");
    }
    Ok(())
}
