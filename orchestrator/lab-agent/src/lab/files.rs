//! The lab file's own files, written before anything starts.

use lab_core::agent::LabFileEntry;
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};

/// Why a file of the lab could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("file {path:?} must be an absolute path under /lab without `..`")]
    Outside { path: String },
    #[error("cannot write {path}: {source}; the sandbox's user must be able to write under /lab")]
    Write { path: String, source: io::Error },
}

/// Writes every file with its permission bits. With `root`, `/lab/x` becomes `root/lab/x`.
pub fn write_all(files: &[LabFileEntry], root: Option<&Path>) -> Result<(), FileError> {
    for file in files {
        let path = Path::new(&file.path);
        if !path.starts_with("/lab") || path.components().any(|c| c == Component::ParentDir) {
            return Err(FileError::Outside {
                path: file.path.clone(),
            });
        }
        let path = rebase(&file.path, root);
        write(&path, file).map_err(|source| FileError::Write {
            path: path.display().to_string(),
            source,
        })?;
    }
    Ok(())
}

fn write(path: &Path, file: &LabFileEntry) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, &file.content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(file.mode & 0o7777))
}

/// Where a path of the lab file is in this sandbox.
pub fn rebase(path: &str, root: Option<&Path>) -> PathBuf {
    match (root, path.strip_prefix('/')) {
        (Some(root), Some(inside)) if Path::new(path).starts_with("/lab") => root.join(inside),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str) -> LabFileEntry {
        LabFileEntry {
            path: path.into(),
            mode: 0o750,
            content: "é".into(),
        }
    }

    #[test]
    fn files_are_written_under_the_root_with_their_mode() {
        let root = tempfile::tempdir().unwrap();
        write_all(&[entry("/lab/a/b")], Some(root.path())).unwrap();
        let path = root.path().join("lab/a/b");
        assert_eq!(fs::read_to_string(&path).unwrap(), "é");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o750);
    }

    #[test]
    fn a_file_outside_of_lab_is_refused() {
        let root = tempfile::tempdir().unwrap();
        for path in ["/etc/passwd", "lab/x", "/lab/../etc/passwd", "/labels/x"] {
            let refused = write_all(&[entry(path)], Some(root.path())).unwrap_err();
            assert!(refused.to_string().contains(path), "{refused}");
        }
    }
}
