//! Stage 4, terminal: one hub per running session holds the one connection to its agent and fans it out to browsers here.
//!
//! ```text
//!                    ┌────────────────────────── hub (one task) ───────────────────────────┐
//!  agent ◄─ link ──► │ journal reader ─► consoles (ring, marks, seat) ─► attachments ─────►│ browser bridges
//!                    │        │                       ▲   credit = seat holder's window    │◄─ input, drawn, resize
//!                    │        └─► recorder (own task) │   snapshot = everyone else's lag   │
//!                    └────────────────────────────────┴────────────────────────────────────┘
//!  hub:   loading ─► waiting for the sandbox ─► following ⇄ away ─► finished (over) | sealed (this process goes)
//! ```
//! Where things are: [`Hubs`] is all of them, `hub` the loop, `agent_link` the line, `journal_reader` frames to records,
//! `on_agent` and `on_browser` what each says, `on_recorder` what is fed to it, `fanout` who gets which bytes when, `seats` who may type, `help` what is written down before, `inputs` what was
//! typed and not acknowledged, `notices` what people are told, `attachment`, `console` and `ring` the state.
//!
//! What cannot happen here: a browser that waits for another browser; a browser that makes the hub wait; a byte sent twice or
//! left out within one attachment's stream; input applied twice.

mod agent_link;
mod api;
mod attachment;
mod console;
mod fanout;
mod glance;
mod help;
mod hub;
mod hubs;
mod inputs;
mod journal_reader;
mod limits;
mod notices;
mod on_agent;
mod on_browser;
mod on_recorder;
mod ring;
mod seats;

pub(crate) use agent_link::look_at_agent;
pub use api::*;
pub(crate) use glance::Glance;
pub use hubs::Hubs;
