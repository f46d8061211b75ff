//! Who a command is for: one learner, or a class in a file.

use anyhow::{Context, Result, bail};
use clap::Args;
use std::{io::Read, path::PathBuf};

/// A class list of 20,000 learners with long names is 2 MB; what is longer is not a class list.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// `--learner` or `--learners`.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct Learners {
    /// Who, as the platform names them
    #[arg(long, value_name = "ID")]
    learner: Option<String>,
    /// A class: a file with a learner a line, `id` or `id,name`; `-` is standard input. Lines with # are left out
    #[arg(long, value_name = "FILE")]
    learners: Option<PathBuf>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learner {
    pub id: String,
    pub name: Option<String>,
}

impl Learners {
    /// Whether they are a class, even of one.
    pub fn is_class(&self) -> bool {
        self.learners.is_some()
    }

    /// Everybody meant.
    pub fn read(&self) -> Result<Vec<Learner>> {
        if let Some(id) = &self.learner {
            return Ok(vec![Learner {
                id: id.clone(),
                name: None,
            }]);
        }
        let Some(path) = &self.learners else {
            return Ok(Vec::new());
        };
        let source: Box<dyn Read> = if path.as_os_str() == "-" {
            Box::new(std::io::stdin())
        } else {
            Box::new(std::fs::File::open(path).with_context(|| format!("--learners {}", path.display()))?)
        };
        let mut text = String::new();
        source
            .take(FILE_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .with_context(|| format!("--learners {}: it is read as UTF-8 text", path.display()))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            bail!(
                "--learners {}: more than {FILE_BYTES_MAX} bytes; split it",
                path.display()
            );
        }
        parse(&text).with_context(|| format!("--learners {}", path.display()))
    }
}

/// Lines of `id` or `id,name`. A learner twice is an error: who lists somebody twice may mean somebody else.
fn parse(text: &str) -> Result<Vec<Learner>> {
    let mut found: Vec<Learner> = Vec::new();
    let mut seen = std::collections::BTreeMap::new();
    for (n, line) in text.lines().enumerate().map(|(n, l)| (n + 1, l.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.contains(';') || line.matches(',').count() > 1 {
            bail!(
                "line {n}: more than `id` or `id,name` is on it; a list with columns is for `labwire course import`, and of one \
                 that is imported `labwire course export` gives the ids"
            );
        }
        let (id, name) = line.split_once(',').map_or((line, None), |(id, name)| (id, Some(name)));
        let (id, name) = (id.trim(), name.map(str::trim).filter(|n| !n.is_empty()));
        if id.is_empty() {
            bail!("line {n}: no learner before the comma; write `id` or `id,name`");
        }
        if let Some(first) = seen.insert(id.to_owned(), n) {
            bail!("line {n}: {id} is on line {first} already; remove one");
        }
        found.push(Learner {
            id: id.to_owned(),
            name: name.map(str::to_owned),
        });
    }
    if found.is_empty() {
        bail!("nobody is in it; write a learner a line, `id` or `id,name`");
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_list_is_read_with_names_blanks_and_remarks() {
        let class = parse("# autumn\nada , Ada Lovelace\n\nlin\r\n").unwrap();
        let ada = Learner {
            id: "ada".into(),
            name: Some("Ada Lovelace".into()),
        };
        assert_eq!(class[0], ada);
        assert_eq!((class.len(), class[1].id.as_str(), &class[1].name), (2, "lin", &None));
    }

    #[test]
    fn what_is_wrong_in_a_class_list_is_named_with_its_line() {
        let error = |text| parse(text).unwrap_err().to_string();
        assert!(error("ada\nlin\nada").contains("line 3: ada is on line 1"));
        assert!(error(",Ada").contains("line 1"));
        assert!(error("ada;Ada Lovelace;P27").contains("course import"));
        assert!(error("ada,Ada Lovelace,P27").contains("course import"));
        assert!(error("# nobody\n").contains("nobody"));
    }
}
