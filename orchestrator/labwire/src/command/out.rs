//! Files that a command writes: what is secret, worth money, or about people is for its owner only, and never over what is there.

use anyhow::{Context, Result};
use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// A new file that only its owner reads; `option` is what named it.
pub(super) fn create(option: &str, path: &Path) -> Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.with_context(|| format!("{option} {}", path.display()))
}

/// The file of `--out`, or standard output.
pub(super) fn open(path: Option<&Path>) -> Result<Box<dyn Write>> {
    Ok(match path {
        Some(path) => Box::new(create("--out", path)?),
        None => Box::new(std::io::stdout()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_its_owners_and_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        open(Some(&path)).unwrap().write_all(b"first").unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = create("--out", &path).unwrap_err();
        assert!(format!("{again:#}").starts_with("--out "), "{again:#}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
    }
}
