//! Labs, without what would give them away: no files, no commands of checks, no image.

use super::TextView;
use lab_core::lab::{LabVersion, Link, LinkEnd, Node};
use serde::Serialize;
use utoipa::ToSchema;

/// A lab in a list.
#[derive(Serialize, ToSchema)]
pub struct LabSummaryView {
    pub id: String,
    /// The version: 64 hex digits.
    pub digest: String,
    pub title: TextView,
    pub summary: TextView,
    /// What an average learner needs, seconds.
    pub planned_s: u64,
}

impl From<&LabVersion> for LabSummaryView {
    fn from(v: &LabVersion) -> Self {
        Self {
            id: v.file.id.to_string(),
            digest: v.digest.to_string(),
            title: (&v.file.title).into(),
            summary: (&v.file.summary).into(),
            planned_s: v.file.time.planned.secs,
        }
    }
}

/// A lab as its learner sees it.
#[derive(Serialize, ToSchema)]
pub struct LabView {
    pub id: String,
    pub digest: String,
    pub title: TextView,
    pub summary: TextView,
    pub instructions: Vec<StepView>,
    pub nodes: Vec<NodeView>,
    pub links: Vec<LinkView>,
    /// In the order of the wire's terminal numbers.
    pub terminals: Vec<TerminalView>,
    pub checks: Vec<CheckView>,
    pub time: LabTimeView,
    pub recording: LabRecordingView,
}

/// A step of the instructions.
#[derive(Serialize, ToSchema)]
pub struct StepView {
    pub id: String,
    pub title: TextView,
    /// Markdown.
    pub text: TextView,
    /// Checks that this step turns green.
    pub checks: Vec<String>,
}

/// A node of the map; `x` and `y` are percents of its size.
#[derive(Serialize, ToSchema)]
pub struct NodeView {
    pub id: String,
    /// `router`, `host`, `switch`, `vm`, `cloud`.
    pub kind: String,
    pub label: Option<String>,
    pub x: u8,
    pub y: u8,
    /// Terminal that the node opens.
    pub terminal: Option<String>,
}

/// A link of the map.
#[derive(Serialize, ToSchema)]
pub struct LinkView {
    pub id: String,
    pub a: LinkEndView,
    pub b: LinkEndView,
}

/// One end of a link.
#[derive(Serialize, ToSchema)]
pub struct LinkEndView {
    pub node: String,
    pub port: String,
    pub address: Option<String>,
}

/// A console.
#[derive(Serialize, ToSchema)]
pub struct TerminalView {
    pub id: String,
    pub title: Option<TextView>,
    pub node: Option<String>,
    pub kind: String,
}

/// A check.
#[derive(Serialize, ToSchema)]
pub struct CheckView {
    pub id: String,
    pub title: TextView,
    pub hint: Option<TextView>,
    pub points: u32,
}

/// How long a lab takes, seconds.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "units stand last in names")]
pub struct LabTimeView {
    pub planned_s: u64,
    pub max_s: u64,
    pub idle_s: u64,
}

/// What is recorded: the learner reads it before typing.
#[derive(Serialize, ToSchema)]
pub struct LabRecordingView {
    /// `required`, `best-effort`, `off`.
    pub policy: String,
    /// Also what is typed.
    pub input: bool,
}

impl From<&LabVersion> for LabView {
    fn from(v: &LabVersion) -> Self {
        let f = &v.file;
        let steps = f.instructions.iter().map(|s| StepView {
            id: s.id.clone(),
            title: (&s.title).into(),
            text: (&s.text).into(),
            checks: s.checks.iter().map(ToString::to_string).collect(),
        });
        let terminals = f.terminals.iter().map(|t| TerminalView {
            id: t.id.to_string(),
            title: t.title.as_ref().map(Into::into),
            node: t.node.clone(),
            kind: name_of(t.kind),
        });
        let checks = f.checks.iter().map(|c| CheckView {
            id: c.id.to_string(),
            title: (&c.title).into(),
            hint: c.hint.as_ref().map(Into::into),
            points: c.points,
        });
        Self {
            id: f.id.to_string(),
            digest: v.digest.to_string(),
            title: (&f.title).into(),
            summary: (&f.summary).into(),
            instructions: steps.collect(),
            nodes: f.nodes.iter().map(Into::into).collect(),
            links: f.links.iter().map(Into::into).collect(),
            terminals: terminals.collect(),
            checks: checks.collect(),
            time: LabTimeView {
                planned_s: f.time.planned.secs,
                max_s: f.time.max.secs,
                idle_s: f.time.idle.secs,
            },
            recording: LabRecordingView {
                policy: name_of(f.recording.policy),
                input: f.recording.input,
            },
        }
    }
}

impl From<&Node> for NodeView {
    fn from(n: &Node) -> Self {
        Self {
            id: n.id.clone(),
            kind: name_of(n.kind),
            label: n.label.clone(),
            x: n.x,
            y: n.y,
            terminal: n.terminal.as_ref().map(ToString::to_string),
        }
    }
}

impl From<&Link> for LinkView {
    fn from(l: &Link) -> Self {
        let end = |e: &LinkEnd| LinkEndView {
            node: e.node.clone(),
            port: e.port.clone(),
            address: e.address.clone(),
        };
        Self {
            id: l.id.clone(),
            a: end(&l.a),
            b: end(&l.b),
        }
    }
}

/// A plain enum's name as the lab file spells it.
fn name_of(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        other => unreachable!("a plain enum is a JSON string: {other:?}"),
    }
}
