//! Diagnostics: one JSON object a line on stderr, which a runtime keeps as the container's log. Never input or output of
//! a terminal.

/// Writes one line. A closed stderr is nobody's loss.
pub fn line(level: &str, event: &str, detail: &dyn std::fmt::Display) {
    use std::io::Write;
    let text = serde_json::json!({ "level": level, "event": event, "detail": detail.to_string() });
    // why the result is dropped: there is nowhere left to tell that stderr is gone
    let _ = writeln!(std::io::stderr(), "{text}");
}
