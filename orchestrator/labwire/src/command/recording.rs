//! `labwire recording export|verify`.

use crate::{config::Config, wire};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use futures_util::TryStreamExt;
use lab_app::recording::Recordings;
use lab_core::{SessionId, Subject, port::Store, recording::ExportFormat};
use prometheus::Registry;
use std::{io::Write, path::PathBuf, process::ExitCode};

#[derive(Subcommand, Debug)]
pub enum RecordingCommand {
    /// Write one terminal of a recording as a file, or the whole of it as it was recorded
    Export(ExportArgs),
    /// Prove that a recording is as it was recorded, or name the first byte that is not
    #[command(after_help = "Example:\n  labwire recording verify 0199f1c2-7b1e-7c3a-9d55-8f1d0c6b2a11")]
    Verify { session: SessionId },
}

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  labwire recording export 0199f1c2-7b1e-7c3a-9d55-8f1d0c6b2a11 --terminal r1 -o r1.cast\n  \
                        labwire recording export 0199f1c2-7b1e-7c3a-9d55-8f1d0c6b2a11 --format text | less\n  \
                        labwire recording export 0199f1c2-7b1e-7c3a-9d55-8f1d0c6b2a11 --format journal -o all.journal"
)]
pub struct ExportArgs {
    session: SessionId,
    /// asciicast-v2, asciicast-v3 or text; or journal: every terminal and event, as exact bytes
    #[arg(long, default_value = "asciicast-v2", value_parser = format)]
    format: Format,
    /// The terminal's id; the lab's first when not given. Not with `journal`, which has all
    #[arg(long, value_name = "ID")]
    terminal: Option<String>,
    /// Standard output when not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Terminal(ExportFormat),
    Journal,
}

fn format(text: &str) -> Result<Format, String> {
    if text == "journal" {
        return Ok(Format::Journal);
    }
    ExportFormat::from_name(text)
        .map(Format::Terminal)
        .ok_or_else(|| "use asciicast-v2, asciicast-v3, text or journal".to_owned())
}

pub async fn run(config: &Config, command: RecordingCommand) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let recordings = Recordings::new(wire::ports(
        store.clone(),
        wire::blobs(config)?,
        wire::runtime(config, &Registry::new()).await?,
        wire::platform(config)?,
        wire::mail(config)?,
    ));
    match command {
        RecordingCommand::Export(args) => export(store.as_ref(), &recordings, args).await,
        RecordingCommand::Verify { session } => verify(&recordings, session).await,
    }
}

async fn export(store: &dyn Store, recordings: &Recordings, args: ExportArgs) -> Result<ExitCode> {
    // nobody else reads through this process
    let reader = Subject::from("labwire");
    let mut pieces = match (args.format, args.terminal) {
        (Format::Journal, Some(_)) => bail!("--terminal: a journal has all of them; leave it out"),
        (Format::Journal, None) => recordings.export_journal(&reader, args.session).await?,
        (Format::Terminal(format), named) => {
            let terminal = match named {
                Some(terminal) => terminal,
                None => first_terminal(store, args.session).await?,
            };
            recordings.export(&reader, args.session, format, &terminal).await?
        }
    };
    match args.output {
        Some(path) => {
            let said = || format!("cannot write {}", path.display());
            let mut file = std::fs::File::create(&path).with_context(said)?;
            while let Some(piece) = pieces.try_next().await? {
                file.write_all(&piece).with_context(said)?;
            }
        }
        None => {
            while let Some(piece) = pieces.try_next().await? {
                std::io::stdout().lock().write_all(&piece)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn first_terminal(store: &dyn Store, id: SessionId) -> Result<String> {
    let session = store
        .session_get(id)
        .await?
        .with_context(|| format!("session {id} is not there"))?;
    let lab = store
        .lab_version(&session.digest)
        .await?
        .context("its lab version is not there")?;
    let first = lab.file.terminals.first().context("its lab has no terminal")?;
    Ok(first.id.to_string())
}

async fn verify(recordings: &Recordings, session: SessionId) -> Result<ExitCode> {
    let report = recordings.verify(session).await?;
    match &report.doubt {
        None => {
            println!(
                "{session}: {} bytes in {} chunks are as they were recorded",
                report.trusted, report.chunks
            );
            Ok(ExitCode::SUCCESS)
        }
        Some(doubt) => {
            let object = doubt.key.as_deref().unwrap_or("(missing)");
            println!(
                "{session}: byte {} is the first that is not as it was recorded, of {}: {} in chunk {}, object {object}; bytes before \
                 {} are proven",
                doubt.at,
                report.end,
                damage(&serde_json::to_value(doubt.damage)?),
                doubt.chunk,
                report.trusted
            );
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The damage's public name.
fn damage(value: &serde_json::Value) -> String {
    value
        .as_str()
        .or_else(|| value["damage"].as_str())
        .map_or_else(|| value.to_string(), str::to_owned)
}
