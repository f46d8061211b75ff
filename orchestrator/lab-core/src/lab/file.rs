//! Lab file v1, as an author writes it. The JSON Schema for editors is made from these types.

use crate::{CheckId, LabId, TerminalId, agent::TerminalKind, entitlement::Bilingual, recording::RecordingPolicy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabFile {
    /// Format version: 1.
    pub labwire: u32,
    /// Name across versions: `[a-z0-9-]{1,63}`.
    #[schemars(with = "String")]
    pub id: LabId,
    pub title: Bilingual,
    /// One paragraph, shown to everyone.
    pub summary: Bilingual,
    #[serde(default)]
    pub instructions: Vec<Step>,
    /// Container image.
    pub image: String,
    #[serde(default)]
    pub runtime: RuntimeKind,
    #[serde(default)]
    pub size: SizeClass,
    /// Uid inside the sandbox; 0 is refused.
    #[serde(default = "default_user")]
    pub user: u32,
    /// The lab makes user namespaces.
    #[serde(default)]
    pub namespaces: bool,
    /// Written before start, under `/lab/`.
    #[serde(default)]
    pub files: Vec<FileEntry>,
    /// The map.
    #[serde(default)]
    pub nodes: Vec<Node>,
    #[serde(default)]
    pub links: Vec<Link>,
    /// Tabs, in order; the first is opened.
    pub terminals: Vec<Terminal>,
    /// Supervised; the lab ends when it exits.
    pub start: Vec<String>,
    /// Polled until it exits with 0.
    #[serde(default)]
    pub ready: Vec<String>,
    /// Duration like `60s`.
    #[serde(default = "default_ready_within")]
    pub ready_within: Span,
    #[serde(default)]
    pub checks: Vec<Check>,
    pub time: Time,
    #[serde(default)]
    pub recording: Recording,
    #[serde(default)]
    pub network: Network,
}

fn default_user() -> u32 {
    1000
}

fn default_ready_within() -> Span {
    Span { secs: 60 }
}

/// What runs it. Both are made of the same image, by the same runtimes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeKind {
    /// The image's own programs.
    #[default]
    Container,
    /// Virtual machines under QEMU inside the container: with the node's `/dev/kvm` where operations permit it, emulated
    /// where not. At least `size: medium`: QEMU needs memory beside the machine's.
    Vm,
}

/// Processor, memory and disk of a sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SizeClass {
    /// 1 CPU, 256 MiB, 512 processes, 1 GiB disk.
    #[default]
    Small,
    /// 2 CPU, 768 MiB, 1024 processes, 2 GiB disk.
    Medium,
    /// 4 CPU, 2 GiB, 2048 processes, 4 GiB disk.
    Large,
}

impl SizeClass {
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// As it is written in lab files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }

    /// (thousandths of a CPU, MiB of memory, processes, MiB of disk)
    pub fn limits(self) -> (u32, u32, u32, u32) {
        match self {
            Self::Small => (1000, 256, 512, 1024),
            Self::Medium => (2000, 768, 1024, 2048),
            Self::Large => (4000, 2048, 2048, 4096),
        }
    }
}

/// A step of the instructions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub id: String,
    pub title: Bilingual,
    /// Markdown.
    pub text: Bilingual,
    /// Checks that this step turns green.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub checks: Vec<CheckId>,
}

/// A file the agent writes before start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Absolute, under `/lab/`.
    pub path: String,
    /// Octal permission bits, default `"0644"`.
    #[serde(default = "default_mode")]
    pub mode: String,
    pub content: String,
}

fn default_mode() -> String {
    "0644".into()
}

/// A node of the map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    pub id: String,
    pub kind: NodeKind,
    #[serde(default)]
    pub label: Option<String>,
    /// Percent of the map's width.
    pub x: u8,
    /// Percent of the map's height.
    pub y: u8,
    /// Terminal that the node opens.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub terminal: Option<TerminalId>,
}

/// How a node is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    Router,
    Host,
    Switch,
    Vm,
    Cloud,
}

/// A link of the map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    pub id: String,
    pub a: LinkEnd,
    pub b: LinkEnd,
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkEnd {
    pub node: String,
    pub port: String,
    /// Shown beside the port.
    #[serde(default)]
    pub address: Option<String>,
}

/// A terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Terminal {
    #[schemars(with = "String")]
    pub id: TerminalId,
    /// Tab's title; the id when missing.
    #[serde(default)]
    pub title: Option<Bilingual>,
    #[serde(default)]
    pub node: Option<String>,
    #[schemars(with = "String")]
    pub kind: TerminalKind,
    /// The program to run; nothing for a serial line that is reached through `socket`.
    #[serde(default)]
    pub command: Vec<String>,
    /// Unix socket of a machine's serial line, absolute. Taken as soon as it is there, so that the boot is recorded; the
    /// lab is ready when its prompt shows.
    #[serde(default)]
    pub socket: Option<String>,
    /// Regex on the cursor's line, up to the cursor; required for routers.
    #[serde(default)]
    pub prompt: Option<String>,
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    #[schemars(with = "String")]
    pub id: CheckId,
    pub title: Bilingual,
    #[serde(default)]
    pub hint: Option<Bilingual>,
    pub points: u32,
    /// Passed when it exits with 0.
    pub command: Vec<String>,
    #[serde(default = "default_within")]
    pub within: Span,
}

fn default_within() -> Span {
    Span { secs: 10 }
}

/// How long a lab takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// What an average learner needs; shown.
    pub planned: Span,
    /// Stopped after this, or after up to twice as long when the learner extends.
    pub max: Span,
    /// Stopped after so long without a key.
    pub idle: Span,
}

/// What is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recording {
    pub policy: RecordingPolicy,
    /// Also what is typed.
    pub input: bool,
}

/// What the sandbox may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    pub policy: NetworkPolicy,
}

/// See [`Network`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkPolicy {
    /// No network interface but loopback.
    #[default]
    None,
}

/// A duration written `90s`, `45m` or `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(into = "String")]
#[schemars(with = "String")]
pub struct Span {
    pub secs: u64,
}

impl From<Span> for String {
    fn from(s: Span) -> Self {
        match s.secs {
            n if n > 0 && n % 3600 == 0 => format!("{}h", n / 3600),
            n if n > 0 && n % 60 == 0 => format!("{}m", n / 60),
            n => format!("{n}s"),
        }
    }
}

/// By hand, and not from a `String` that is read before: so the parser names the field itself in its error, not what it stands in.
impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Written;
        impl serde::de::Visitor<'_> for Written {
            type Value = Span;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(EXPECTED)
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
                Span::try_from(text.to_owned()).map_err(E::custom)
            }
        }
        d.deserialize_str(Written)
    }
}

const EXPECTED: &str = "a duration like 90s, 45m or 2h";

impl TryFrom<String> for Span {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let bad = || format!("found {text:?}, expected {EXPECTED}");
        let unit = text.chars().last().ok_or_else(bad)?;
        let factor = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return Err(bad()),
        };
        let number: u64 = text[..text.len() - 1].parse().map_err(|_| bad())?;
        number.checked_mul(factor).map(|secs| Self { secs }).ok_or_else(bad)
    }
}
