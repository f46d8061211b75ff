//! What a course team pastes into its platform.

use crate::{config::Config, wire};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use lab_core::{
    LabId,
    launch::lti::{Guide, GuideFor, Registration, SecretShown, guides, guides_before, launch_address},
    port::Store,
};
use std::{fmt::Write as _, process::ExitCode};

/// Print what to paste into a platform that is not registered yet. Of LTI 1.3 this comes first: only when its form is saved a platform shows what
/// `labwire lti add` asks for
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  labwire lti guide openedx --lab ospf-triangle\n  labwire lti guide moodle\n  \
                  labwire lti guide basic           # LTI 1.1: FUN, and older Open edX and Moodle; here `labwire lti add` comes first"
)]
pub struct GuideArgs {
    #[arg(value_enum)]
    platform: Platform,
    /// The lab that the printed address launches; the first one by default
    #[arg(long, value_name = "ID")]
    lab: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Platform {
    /// Open edX, LTI 1.3
    Openedx,
    /// Moodle, LTI 1.3
    Moodle,
    /// LTI 1.1: FUN, older Open edX and Moodle
    Basic,
}

pub(super) async fn guide_run(config: &Config, args: GuideArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let lab = lab(store.as_ref(), args.lab.as_deref()).await?;
    let (platform, next) = match args.platform {
        Platform::Openedx => (
            GuideFor::OpenEdx,
            "labwire lti add NAME --plan PLAN --issuer URL --client-id ID --deployment ID --auth-url URL --token-url URL --jwks-url URL",
        ),
        Platform::Moodle => (
            GuideFor::Moodle,
            "labwire lti add NAME --plan PLAN --moodle URL --client-id ID --deployment ID",
        ),
        Platform::Basic => (GuideFor::Basic, "labwire lti add NAME --plan PLAN --key KEY"),
    };
    let url = &config.public_url;
    let all = guides_before(url, platform, &launch_address(url, lab.as_ref()));
    println!("{}\n", shown(lab.as_ref()));
    print!("{}", all.iter().map(guide).collect::<Vec<_>>().join("\n"));
    println!("\nNext\n  {next}\n  then `labwire lti test NAME` tries it, and a launch from the course is the proof.");
    print!("{}", warning(url));
    Ok(ExitCode::SUCCESS)
}

/// The lab that addresses are shown for: the given one, or the first there is; none where none is published.
pub(super) async fn lab(store: &dyn Store, given: Option<&str>) -> Result<Option<LabId>> {
    let labs = store.lab_list().await?;
    match given {
        Some(id) if !labs.iter().any(|l| l.file.id.as_str() == id) => {
            bail!("--lab {id} is not published; `labwire lab ls` lists what is")
        }
        Some(id) => Ok(Some(id.into())),
        None => Ok(labs.first().map(|l| l.file.id.clone())),
    }
}

/// Which lab the addresses below are of: they hold its UUID, which nobody recognises.
fn shown(lab: Option<&LabId>) -> String {
    match lab {
        Some(lab) => format!("The addresses are of the lab {lab}; `--lab ID` shows another's (`labwire lab ls`)."),
        None => "No lab is published yet: <lab> stands for its name (`labwire lab publish FILE`).".to_owned(),
    }
}

/// The instructions.
pub(super) fn text(
    config: &Config,
    registration: &Registration,
    lab: Option<&LabId>,
    secret: SecretShown<'_>,
) -> String {
    let url = &config.public_url;
    let guides = guides(url, registration, &launch_address(url, lab), secret);
    let mut text = format!("{}\n\n", shown(lab));
    text.push_str(&guides.iter().map(guide).collect::<Vec<_>>().join("\n"));
    let _ = write!(
        text,
        "\nOther labs\n  {url}/lti/labs/<lab>, where <lab> is a name of `labwire lab ls`, or its UUID (`labwire lti ls {} --lab <lab>`).\n",
        registration.id
    );
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
    text.push_str(&pairs(guide.fields.iter().map(|f| (f.name, f.value.as_str()))));
    if let Some(then) = guide.then {
        let _ = writeln!(text, "  {then}");
    }
    text
}

/// Names and values below one another.
pub(super) fn pairs<'a>(all: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> String {
    let width = all.clone().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    all.fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "    {name:width$}   {value}");
        text
    })
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
