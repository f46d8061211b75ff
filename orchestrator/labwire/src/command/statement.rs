//! `labwire statement`.

use crate::{config::Config, wire};
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use lab_app::metering::{Language, StatementFormat, statement};
use lab_core::{
    Timestamp,
    metering::{Period, StatementOf},
};
use std::{io::Write, path::PathBuf, process::ExitCode};

/// Every lab, every grant, and sums that agree with the ledger: of a learner, a sponsor, a course or a site, for a period.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  labwire statement --course net --from 2026-11-01 --to 2026-12-01 --format pdf --out net.pdf\n  \
                        labwire statement --sponsor esp --from 2026-09-01 --to 2027-01-01 --format csv > esp.csv\n  \
                        labwire statement --site dakar --from 2026-09-01 --to 2027-01-01 --format html --out dakar.html\n  \
                        labwire statement --learner ada --from 2026-11-01T00:00:00+01:00 --to 2026-12-01T00:00:00+01:00 --lang fr"
)]
pub struct StatementArgs {
    #[command(flatten)]
    whose: Whose,
    /// A day (from midnight, UTC), or a time with its offset
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Timestamp,
    /// The end, which is not in it: for November, the first of December
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Timestamp,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[arg(long, value_enum, default_value = "en")]
    lang: Lang,
    /// Standard output when not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Whose {
    #[arg(long, value_name = "ID")]
    learner: Option<String>,
    #[arg(long, value_name = "ID")]
    sponsor: Option<String>,
    #[arg(long, value_name = "ID")]
    course: Option<String>,
    /// A place, as vouchers, order keys and registrations name it (`--site`)
    #[arg(long, value_name = "ID")]
    site: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Table,
    /// A page to print
    Html,
    Pdf,
    Csv,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Lang {
    En,
    Fr,
}

/// `2026-11-01`, or a whole time.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    let whole = if text.len() == 10 {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    };
    whole
        .parse()
        .map_err(|_| "write a day like 2026-11-01, or a time with its offset like 2026-11-01T00:00:00+01:00".to_owned())
}

pub async fn run(config: &Config, args: StatementArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let whose = args.whose;
    let of = match (whose.learner, whose.sponsor, whose.course, whose.site) {
        (Some(learner), ..) => StatementOf::Learner(learner.into()),
        (_, Some(sponsor), ..) => StatementOf::Sponsor(sponsor.into()),
        (_, _, Some(course), _) => StatementOf::Course(course.into()),
        (.., site) => StatementOf::Site(site.context("--learner, --sponsor, --course or --site")?.into()),
    };
    let period = Period {
        from: args.from,
        until: args.to,
    };
    let format = match args.format {
        Format::Table => StatementFormat::Table,
        Format::Html => StatementFormat::Html,
        Format::Pdf => StatementFormat::Pdf,
        Format::Csv => StatementFormat::Csv,
        Format::Json => StatementFormat::Json,
    };
    let language = match args.lang {
        Lang::En => Language::En,
        Lang::Fr => Language::Fr,
    };
    let written = statement(store.as_ref(), of, period).await?.written(format, language);
    match args.out {
        Some(path) => std::fs::write(&path, written).with_context(|| format!("--out {}", path.display()))?,
        None => std::io::stdout().write_all(&written)?,
    }
    Ok(ExitCode::SUCCESS)
}
