//! What a course team pastes into its platform.

use crate::config::Config;
use anyhow::{Result, bail};
use lab_core::{
    LabId,
    launch::lti::{Guide, Registration, guides},
    port::Store,
};
use std::fmt::Write as _;

/// The lab that addresses are shown for: the given one, or the first there is.
pub(super) async fn lab(store: &dyn Store, given: Option<&str>) -> Result<LabId> {
    let labs = store.lab_list().await?;
    match given {
        Some(id) if !labs.iter().any(|l| l.file.id.as_str() == id) => {
            bail!("--lab {id} is not published; `labwire lab ls` lists what is")
        }
        Some(id) => Ok(id.into()),
        None => Ok(labs.first().map_or_else(|| "LAB".into(), |l| l.file.id.clone())),
    }
}

/// The instructions. `secret`: the shared secret, when it is shown since it was made just now.
pub(super) fn text(config: &Config, registration: &Registration, lab: &LabId, secret: Option<&str>) -> String {
    let url = &config.public_url;
    let guides = guides(url, registration, lab, secret);
    let mut text = guides.iter().map(guide).collect::<Vec<_>>().join("\n");
    text.push_str(&format!(
        "\nOther labs\n  {url}/lti/labs/<lab>, where <lab> is a name of `labwire lab ls`, or its UUID (`labwire lti ls {} --lab <lab>`).\n",
        registration.id
    ));
    if config.http.frame_ancestors.is_empty() {
        text.push_str(
            "\nIn a frame\n  Labs open in a new window. To show them inside the course page, add the platform's origin to the setting\n  \
             http.frame_ancestors, e.g. [https://lms.example.org].\n",
        );
    }
    text + &warning(url)
}

/// One platform's form.
pub(super) fn guide(guide: &Guide) -> String {
    let mut text = format!("{}\n", guide.platform);
    for step in &guide.path {
        let _ = writeln!(text, "  {step}");
    }
    let width = guide.fields.iter().map(|f| f.name.chars().count()).max().unwrap_or(0);
    for field in &guide.fields {
        let _ = writeln!(text, "    {:width$}   {}", field.name, field.value);
    }
    if let Some(then) = guide.then {
        let _ = writeln!(text, "  {then}");
    }
    text
}

/// Said of an installation that others cannot use.
pub(super) fn warning(url: &str) -> String {
    if url.starts_with("https://") {
        return String::new();
    }
    format!(
        "\nWarning\n  {url} is not https: platforms of others will not reach it, and browsers keep no cookie in a frame.\n"
    )
}
