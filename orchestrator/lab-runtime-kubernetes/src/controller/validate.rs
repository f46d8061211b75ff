//! Whether a `LabSandbox` can be carried out. The schema has refused most of what is wrong; this is what it cannot say, and what an object
//! of another version may hold.

use crate::api::{LABEL_INSTALLATION, LabSandbox, object_name};
use lab_core::{SandboxId, SessionId, lab::SizeClass};

/// Seconds that a pod may live as Kubernetes counts them (an `int32`), less what the pod gets beyond the agent's own deadline.
const DEADLINE_SECS_MAX: i64 = i32::MAX as i64 - super::build::DEADLINE_GRACE_SECS;

/// A Secret holds 1 MiB; certificate, key and hash take 2 KiB of it.
const AGENT_SPEC_BYTES_MAX: usize = 1_000_000;

/// As registries and API servers take it: name, tag, digest.
const IMAGE_BYTES_MAX: usize = 512;

/// One value that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.{field} is {value:?}; {remedy}")]
pub(crate) struct Invalid {
    pub field: &'static str,
    pub value: String,
    pub remedy: &'static str,
}

/// A spec whose values are what they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Valid<'a> {
    pub sandbox: SandboxId,
    pub session: SessionId,
    pub lab: &'a str,
    pub digest: &'a str,
    pub image: &'a str,
    pub size: SizeClass,
    pub user: i64,
    pub namespaces: bool,
    pub deadline_secs: i64,
    pub vm: bool,
}

fn invalid(field: &'static str, value: &(impl ToString + ?Sized), remedy: &'static str) -> Invalid {
    // enough to find it again; a status is not the place for a megabyte
    let value = value.to_string().chars().take(80).collect();
    Invalid { field, value, remedy }
}

/// Checks everything but the agent's spec, which is forgotten once the pod is there.
pub(crate) fn spec<'a>(object: &'a LabSandbox, installation: &str) -> Result<Valid<'a>, Invalid> {
    let spec = &object.spec;
    let id = "write a UUID in lower case";
    let sandbox = SandboxId(uuid(&spec.sandbox).ok_or_else(|| invalid("sandbox", &spec.sandbox, id))?);
    let session = SessionId(uuid(&spec.session).ok_or_else(|| invalid("session", &spec.session, id))?);
    let name = object.metadata.name.as_deref().unwrap_or_default();
    if name != object_name(sandbox) {
        let remedy = "name the object lsb- and this id, so that nobody makes a second one for it";
        return Err(invalid("sandbox", &spec.sandbox, remedy));
    }
    let labels = object.metadata.labels.as_ref();
    if labels.and_then(|l| l.get(LABEL_INSTALLATION)).map(String::as_str) != Some(installation) {
        return Err(invalid(
            "sandbox",
            &spec.sandbox,
            "label the object with its installation",
        ));
    }
    if !label_value(&spec.lab) {
        let remedy = "use 1 to 63 of letters, digits, - _ and ., with a letter or digit at both ends";
        return Err(invalid("lab", &spec.lab, remedy));
    }
    if spec.digest.is_empty() || !spec.digest.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(invalid("digest", &spec.digest, "write the lab version's digest in hex"));
    }
    let image_ok =
        (1..=IMAGE_BYTES_MAX).contains(&spec.image.len()) && spec.image.bytes().all(|b| b.is_ascii_graphic());
    if !image_ok {
        return Err(invalid("image", &spec.image, "write an image's name, like frr:1"));
    }
    let size = serde_json::from_value(spec.size.as_str().into());
    let size = size.map_err(|_| invalid("size", &spec.size, "use small, medium or large"))?;
    if !(1..=i64::from(i32::MAX)).contains(&spec.user) {
        return Err(invalid(
            "user",
            &spec.user,
            "use a uid from 1 to 2147483647: labs do not run as root",
        ));
    }
    if !(1..=DEADLINE_SECS_MAX).contains(&spec.deadline_secs) {
        return Err(invalid(
            "deadlineSecs",
            &spec.deadline_secs,
            "use at least 1, and less than 68 years",
        ));
    }
    let vm = match spec.runtime.as_str() {
        "container" => false,
        "vm" => true,
        other => return Err(invalid("runtime", other, "use container or vm")),
    };
    if spec.network.policy != "none" {
        return Err(invalid(
            "network.policy",
            &spec.network.policy,
            "use none: labs reach nothing outside",
        ));
    }
    Ok(Valid {
        sandbox,
        session,
        lab: &spec.lab,
        digest: &spec.digest,
        image: &spec.image,
        size,
        user: spec.user,
        namespaces: spec.namespaces,
        deadline_secs: spec.deadline_secs,
        vm,
    })
}

/// Checks the agent's spec. What it says is between `serve` and the agent: a newer `serve` may say more than we know.
pub(crate) fn agent(text: &str) -> Result<(), Invalid> {
    if text.len() > AGENT_SPEC_BYTES_MAX {
        return Err(invalid(
            "agent",
            &format!("{} bytes", text.len()),
            "keep a lab's files below a megabyte",
        ));
    }
    let remedy = "write the agent's spec as a JSON object";
    let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
    object.map(|_| ()).map_err(|_| invalid("agent", text, remedy))
}

fn uuid(text: &str) -> Option<uuid::Uuid> {
    // an upper-case id would be another object's name
    text.parse().ok().filter(|id: &uuid::Uuid| id.to_string() == text)
}

/// What Kubernetes takes as a label's value, empty ones excepted.
pub(crate) fn label_value(text: &str) -> bool {
    let alphanumeric = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && alphanumeric(bytes.first())
        && alphanumeric(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::samples;

    #[test]
    fn a_sample_is_valid() {
        let object = samples::object();
        let valid = spec(&object, "labwire").unwrap();
        assert_eq!(valid.size, SizeClass::Small);
        assert!(valid.namespaces && !valid.vm);
        agent(&object.spec.agent).unwrap();
    }

    #[test]
    fn each_wrong_value_is_named() {
        type Change = fn(&mut LabSandbox);
        let wrong: [(&str, Change); 12] = [
            ("sandbox", |o| o.spec.sandbox = "x".into()),
            ("sandbox", |o| o.spec.sandbox = o.spec.sandbox.to_uppercase()),
            ("sandbox", |o| o.metadata.name = Some("lsb-other".into())),
            ("sandbox", |o| o.metadata.labels = None),
            ("session", |o| o.spec.session = "x".into()),
            ("lab", |o| o.spec.lab = "-".into()),
            ("image", |o| o.spec.image = "a b".into()),
            ("size", |o| o.spec.size = "huge".into()),
            ("user", |o| o.spec.user = 0),
            ("deadlineSecs", |o| o.spec.deadline_secs = i64::from(i32::MAX)),
            ("runtime", |o| o.spec.runtime = "wasm".into()),
            ("network.policy", |o| o.spec.network.policy = "all".into()),
        ];
        for (field, change) in wrong {
            let mut object = samples::object();
            change(&mut object);
            assert_eq!(spec(&object, "labwire").unwrap_err().field, field);
        }
    }

    #[test]
    fn the_agents_spec_is_an_object_of_bounded_size() {
        assert_eq!(agent("").unwrap_err().field, "agent");
        assert_eq!(agent("[]").unwrap_err().field, "agent");
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(AGENT_SPEC_BYTES_MAX));
        let refused = agent(&large).unwrap_err().to_string();
        assert!(refused.len() < 200, "the value is cut: {refused}");
        agent("{\"newer\": true}").unwrap();
    }
}
