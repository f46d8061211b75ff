//! The command line: three commands with a flag or two, so plain code instead of a library.

use std::{path::PathBuf, time::Duration};

/// Shown with every refusal.
pub const USAGE: &str = "usage: lab-agent run [--spec FILE] [--dir DIR] [--root DIR] [--deadline SECS]
                     [--tls-listen ADDRESS --tls-cert FILE --tls-key FILE --token-sha256 FILE]
       lab-agent connect [--dir DIR]
       lab-agent --version";

/// Where a runtime puts what the agent is told.
const SPEC: &str = "/labwire/spec.json";
/// Where the agent keeps its journal and its socket.
const DIR: &str = "/labwire/run";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Run(RunOptions),
    /// Bridge stdin and stdout to the agent's socket.
    Connect {
        dir: PathBuf,
    },
    Version,
}

/// Where `run` reads and writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOptions {
    pub spec: PathBuf,
    pub dir: PathBuf,
    /// Where `/lab` is when the agent runs without a file system of its own (process runtime).
    pub root: Option<PathBuf>,
    /// The lab is stopped after so long, whatever happens to who started it.
    pub deadline: Option<Duration>,
    /// Where orchestrators reach the agent over a network, if they do.
    pub tls: Option<TlsOptions>,
}

/// The TLS endpoint: all of it or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// Address and port, like `0.0.0.0:7443`.
    pub listen: String,
    /// The sandbox's certificate, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Hex SHA-256 of the token that clients show.
    pub token_sha256: PathBuf,
}

/// Why the command line was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    #[error("no command given")]
    Missing,
    #[error("unknown command {0:?}")]
    Command(String),
    #[error("unknown argument {0:?}")]
    Unknown(String),
    #[error("--root is not usable as a path: {0}")]
    Path(String),
    #[error("{0} needs a value")]
    NoValue(String),
    #[error("{0} is {1:?}; a whole number of seconds is needed")]
    NoNumber(String, String),
    #[error("{0} needs --tls-listen, --tls-cert, --tls-key and --token-sha256 beside it")]
    HalfTls(&'static str),
}

/// Reads the arguments after the program's name.
pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Command, ArgsError> {
    let command = args.next().ok_or(ArgsError::Missing)?;
    if matches!(command.as_str(), "--version" | "-V") {
        return Ok(Command::Version);
    }
    let (mut spec, mut dir, mut root, mut deadline) = (PathBuf::from(SPEC), PathBuf::from(DIR), None, None);
    let mut tls = TlsFlags::default();
    while let Some(flag) = args.next() {
        let mut text = || args.next().ok_or_else(|| ArgsError::NoValue(flag.clone()));
        let mut value = || text().map(PathBuf::from);
        match (command.as_str(), flag.as_str()) {
            (_, "--dir") => dir = value()?,
            ("run", "--spec") => spec = value()?,
            // the lab's commands run in `/`, so a relative path would mean another place there
            ("run", "--root") => {
                root = Some(std::path::absolute(value()?).map_err(|e| ArgsError::Path(e.to_string()))?);
            }
            ("run", "--tls-listen") => tls.listen = Some(text()?),
            ("run", "--tls-cert") => tls.cert = Some(value()?),
            ("run", "--tls-key") => tls.key = Some(value()?),
            ("run", "--token-sha256") => tls.token_sha256 = Some(value()?),
            ("run", "--deadline") => deadline = Some(seconds(&flag, text()?)?),
            _ => return Err(ArgsError::Unknown(flag)),
        }
    }
    match command.as_str() {
        "run" => Ok(Command::Run(RunOptions {
            spec,
            dir,
            root,
            deadline,
            tls: tls.all_or_none()?,
        })),
        "connect" => Ok(Command::Connect { dir }),
        _ => Err(ArgsError::Command(command)),
    }
}

/// What was given of [`TlsOptions`].
#[derive(Default)]
struct TlsFlags {
    listen: Option<String>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    token_sha256: Option<PathBuf>,
}

impl TlsFlags {
    fn all_or_none(self) -> Result<Option<TlsOptions>, ArgsError> {
        let given = [
            ("--tls-listen", self.listen.is_some()),
            ("--tls-cert", self.cert.is_some()),
            ("--tls-key", self.key.is_some()),
            ("--token-sha256", self.token_sha256.is_some()),
        ];
        match (self.listen, self.cert, self.key, self.token_sha256) {
            (Some(listen), Some(cert), Some(key), Some(token_sha256)) => Ok(Some(TlsOptions {
                listen,
                cert,
                key,
                token_sha256,
            })),
            _ => match given.into_iter().find(|(_, given)| *given) {
                Some((flag, _)) => Err(ArgsError::HalfTls(flag)),
                None => Ok(None),
            },
        }
    }
}

fn seconds(flag: &str, text: String) -> Result<Duration, ArgsError> {
    text.parse()
        .map(Duration::from_secs)
        .map_err(|_| ArgsError::NoNumber(flag.to_owned(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command, ArgsError> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_defaults_are_where_runtimes_put_things() {
        let expected = RunOptions {
            spec: SPEC.into(),
            dir: DIR.into(),
            root: None,
            deadline: None,
            tls: None,
        };
        assert_eq!(read("run"), Ok(Command::Run(expected)));
        assert_eq!(read("connect --dir /x"), Ok(Command::Connect { dir: "/x".into() }));
    }

    #[test]
    fn a_relative_root_is_taken_from_where_the_agent_was_started() {
        let Ok(Command::Run(options)) = read("run --root here") else {
            panic!("not accepted")
        };
        assert_eq!(options.root, Some(std::env::current_dir().unwrap().join("here")));
    }

    #[test]
    fn the_tls_endpoint_is_given_whole_or_not_at_all() {
        let Ok(Command::Run(options)) = read("run --tls-listen [::]:7443 --tls-cert /c --tls-key /k --token-sha256 /t")
        else {
            panic!("not accepted")
        };
        assert_eq!(options.tls.map(|t| t.listen), Some("[::]:7443".into()));
        assert_eq!(read("run --tls-key /k"), Err(ArgsError::HalfTls("--tls-key")));
        assert_eq!(
            read("connect --tls-key /k"),
            Err(ArgsError::Unknown("--tls-key".into()))
        );
    }

    #[test]
    fn a_wrong_command_line_is_refused_by_name() {
        assert_eq!(read("connect --spec /x"), Err(ArgsError::Unknown("--spec".into())));
        assert_eq!(
            read("run --deadline soon"),
            Err(ArgsError::NoNumber("--deadline".into(), "soon".into()))
        );
        assert_eq!(read("run --dir"), Err(ArgsError::NoValue("--dir".into())));
        assert_eq!(read("walk"), Err(ArgsError::Command("walk".into())));
        assert_eq!(read(""), Err(ArgsError::Missing));
    }
}
