//! Text in the few pages that are written here and not by the browser (statements, voucher cards, LTI answers, a person's archive), and in
//! the XML of LTI 1.1.

/// `text` as it stands between tags or inside a quoted attribute: whatever a platform, a label or a person's name holds, it is no markup.
/// The five characters that HTML's serialisation and attributes in either quote need.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_written_becomes_markup() {
        assert_eq!(
            escape("<a href='x' b=\"&\">"),
            "&lt;a href=&#39;x&#39; b=&quot;&amp;&quot;&gt;"
        );
        assert_eq!(escape("Élève à l'œuvre"), "Élève à l&#39;œuvre");
    }
}
