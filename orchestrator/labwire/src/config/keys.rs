//! Keys of an installation that configures none: made once, kept in its data folder, readable by its owner only.

use super::Config;
use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use lab_app::launch::Key;
use lab_core::port::Entropy;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::{
    fs::{DirBuilder, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysFile {
    keys: Vec<KeyEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    id: String,
    secret: String,
}

impl Config {
    /// Fills in keys from `data_dir/keys.yaml`, which is made when it is missing.
    pub fn with_keys(mut self, entropy: &dyn Entropy) -> Result<Self> {
        if self.keys.is_empty() {
            make_dir(&self.data_dir)?;
            let path = self.data_dir.join("keys.yaml");
            self.keys = match std::fs::read_to_string(&path) {
                Ok(text) => parse(&text).with_context(|| format!("{} is not a file of keys", path.display()))?,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => make(&path, entropy)?,
                Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
            };
        }
        Ok(self)
    }
}

/// Makes a folder that only its owner may enter: it holds learners' data.
fn make_dir(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make {}", path.display()))
}

fn parse(text: &str) -> Result<Vec<Key>> {
    let file: KeysFile = serde_yaml::from_str(text)?;
    Ok(file
        .keys
        .into_iter()
        .map(|k| Key {
            id: k.id,
            secret: k.secret.into(),
        })
        .collect())
}

/// Another process may make it at the same moment: the one that creates the file wins, and everyone reads what it wrote.
fn make(path: &Path, entropy: &dyn Entropy) -> Result<Vec<Key>> {
    let secret = SecretString::from(STANDARD_NO_PAD.encode(entropy.bytes32()));
    let id = STANDARD_NO_PAD.encode(&entropy.bytes32()[..6]);
    let file = KeysFile {
        keys: vec![KeyEntry {
            id,
            secret: secret.expose_secret().to_owned(),
        }],
    };
    let text = format!(
        "# Keys of launch links, made by labwire at its first start. Keep secret; without them links under way are refused.\n\
         # To change keys: put the new one first, and remove the old one when its last link has expired.\n{}",
        serde_yaml::to_string(&file)?
    );
    // complete before it has its name, so that nobody reads half of it
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?
        .write_all(text.as_bytes())?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Ok(()) => tracing::info!(path = %path.display(), "made the key of launch links"),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e).with_context(|| format!("cannot make {}", path.display())),
    }
    parse(&std::fs::read_to_string(path)?)
}
