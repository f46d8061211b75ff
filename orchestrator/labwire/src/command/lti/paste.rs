//! What a course team pastes into its platform.

use crate::config::Config;
use anyhow::{Result, bail};
use lab_core::{
    LabId,
    launch::lti::{Kind, Registration, lab_uuid},
    port::Store,
};

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

/// The instructions. `secret`: the shared secret is shown, since it was made just now.
pub(super) fn text(config: &Config, registration: &Registration, lab: &LabId, secret: bool) -> String {
    let url = &config.public_url;
    let launch = format!("{url}/lti/labs/{}", lab_uuid(lab));
    let mut text = match &registration.kind {
        Kind::Consumer { key, secret: value } => {
            consumer(url, &launch, key, secret.then_some(value), &registration.id.0)
        }
        Kind::Platform { .. } => platform(url, &launch),
    };
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
    if !url.starts_with("https://") {
        text.push_str(&format!(
            "\nWarning\n  {url} is not https: platforms of others will not reach it, and browsers keep no cookie in a frame.\n"
        ));
    }
    text
}

fn consumer(url: &str, launch: &str, key: &str, secret: Option<&String>, name: &str) -> String {
    let shown = secret.map_or("(as it was; never shown again)", String::as_str);
    format!(
        "Open edX Studio, LTI 1.1
  Settings → Advanced settings → Advanced module list: add \"lti_consumer\"
  Settings → Advanced settings → LTI passports: add \"{name}:{key}:{shown}\"
  In the unit: Advanced → LTI consumer → Edit
    LTI version       LTI 1.1/1.2
    LTI ID            {name}
    LTI URL           {launch}
    LTI launch target New window
    Scored            True

FUN (the platform holds the secret)
  Launch address of the lab:  {launch}
  Regular expression:         {}/lti/labs/[0-9a-f]{{8}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{12}}
  Consumer key and secret:    {key} / {shown}

Moodle, LTI 1.1
  Site administration → Plugins → External tool → Manage tools → configure a tool manually
    Tool URL          {launch}
    LTI version       LTI 1.0/1.1
    Consumer key      {key}
    Shared secret     {shown}
    Default launch container: New window
",
        url.replace('.', "\\.")
    )
}

fn platform(url: &str, launch: &str) -> String {
    format!(
        "Open edX Studio, LTI 1.3
  In the unit: Advanced → LTI consumer → Edit
    LTI version                LTI 1.3
    Tool launch URL            {launch}
    Registered redirect URIs   [\"{url}/lti/launch\"]
    Tool initiate login URL    {url}/lti/login
    Tool public key mode       Keyset URL
    Tool keyset URL            {url}/lti/jwks
    LTI launch target          New window
    Deep linking               True, to choose labs from a list
    Deep linking launch URL    {url}/lti/launch
  Save, open the unit's preview, copy client id, keyset URL and token URL from it, and give them to `labwire lti add`.

Moodle, LTI 1.3
  Site administration → Plugins → External tool → Manage tools → configure a tool manually
    Tool URL                   {launch}
    LTI version                LTI 1.3
    Public key type            Keyset URL
    Public keyset              {url}/lti/jwks
    Initiate login URL         {url}/lti/login
    Redirection URI(s)         {url}/lti/launch
    Default launch container   New window
    Supports Deep Linking      Yes, to choose labs from a list
    Content Selection URL      {url}/lti/launch
  Save, view its configuration details, and give client id and deployment id to `labwire lti add`.
"
    )
}
