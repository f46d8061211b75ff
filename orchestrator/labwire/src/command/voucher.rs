//! `labwire voucher create|ls|revoke`.

use super::sheet;
use crate::{config::Config, table, wire};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use lab_app::entitlement::make_codes;
use lab_core::{
    CourseId, PlanId, SponsorId, VoucherBatchId,
    entitlement::{BATCH_MAX, Code, VoucherBatch, VoucherBatchState},
    port::{Clock, Entropy, Store},
};
use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

#[derive(Subcommand, Debug)]
pub enum VoucherCommand {
    /// Make a batch of vouchers; its codes are written out once, and kept nowhere
    #[command(
        after_help = "Examples:\n  labwire voucher create --course net --plan QUALIFYING --count 75 --label 'ESP Dakar, spring' --format html --out esp.html\n  \
                            labwire voucher create --course net --plan QUALIFYING --count 10 --hours 2 > codes.csv\n\n\
                            Codes are hashed with the first key of the settings: that key must stay in `keys` as long as they can be redeemed."
    )]
    Create(CreateArgs),
    /// List batches, newest first
    #[command(after_help = "Example:\n  labwire voucher ls")]
    Ls,
    /// Withdraw a batch: what was redeemed stays, the rest is worthless
    #[command(after_help = "Example:\n  labwire voucher revoke 0190… --reason 'lost in the post'")]
    Revoke {
        batch: VoucherBatchId,
        #[arg(long)]
        reason: String,
    },
}

#[derive(Args, Debug)]
pub struct CreateArgs {
    #[arg(long, value_name = "ID")]
    course: String,
    #[arg(long, value_name = "ID")]
    plan: String,
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(BATCH_MAX)))]
    count: u32,
    /// Lab time of each; the plan's when not given
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..=20_000))]
    hours: Option<i64>,
    /// Days that the time can be used, from when the code is redeemed; the plan's when not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    valid_days: Option<u32>,
    /// Days from now in which codes can be redeemed
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    redeem_within: u32,
    /// Lower is used first, among a learner's grants
    #[arg(long, default_value_t = 0)]
    priority: i32,
    /// Who they are for; stands on each
    #[arg(long, default_value = "")]
    label: String,
    /// Who pays for what they give: it is in their statement, and counts for their budget
    #[arg(long, value_name = "ID")]
    sponsor: Option<String>,
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    /// A new file, readable by you only; standard output when not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A code a line
    Csv,
    /// Cards to print and cut, eight on a page
    Html,
}

pub async fn run(config: Config, command: VoucherCommand) -> Result<ExitCode> {
    match command {
        VoucherCommand::Create(args) => create(config, args).await,
        VoucherCommand::Ls => ls(&config).await,
        VoucherCommand::Revoke { batch, reason } => {
            let store = wire::store(&config).await?;
            store.voucher_revoke(batch, &reason, wire::clock().now()).await?;
            println!("{batch}: no code of it can be redeemed any more");
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn create(config: Config, args: CreateArgs) -> Result<ExitCode> {
    let config = config.with_keys(&wire::entropy())?;
    let (store, keyring) = (wire::store(&config).await?, wire::keyring(&config)?);
    super::grant::seed_plans(&config, store.as_ref()).await?;
    let plans = store.plan_list().await?;
    let Some(plan) = plans.iter().find(|p| p.id.as_str() == args.plan) else {
        bail!("--plan {} does not exist; `labwire plan ls` lists plans", args.plan);
    };
    let seconds = args.hours.map_or(plan.seconds, |h| h * 3600);
    if !plan.labs || seconds == 0 {
        bail!(
            "--plan {} gives no lab time; name one with labs, and --hours where it says none",
            plan.id
        );
    }
    let now = wire::clock().now();
    let batch = VoucherBatch {
        id: VoucherBatchId(uuid::Uuid::new_v5(
            &uuid::Uuid::NAMESPACE_OID,
            &wire::entropy().bytes32(),
        )),
        label: args.label,
        course: CourseId(args.course),
        plan: PlanId(args.plan),
        seconds,
        valid_days: args.valid_days.unwrap_or(plan.valid_days),
        priority: args.priority,
        created_at: now,
        expires_at: now.plus(Duration::from_hours(24 * u64::from(args.redeem_within))),
        key: keyring.first_id().to_owned(),
        sponsor: args.sponsor.map(SponsorId),
    };
    // the file first: codes that are in the database and nowhere else are lost
    let mut out = open(args.out.as_deref())?;
    let (codes, hashes): (Vec<Code>, Vec<_>) = make_codes(&wire::entropy(), &keyring, args.count).into_iter().unzip();
    let text = match args.format {
        Format::Csv => sheet::csv(&batch, &codes),
        Format::Html => sheet::html(&batch, &plan.name, &codes, &config.public_url),
    };
    store.voucher_create(&batch, &hashes).await?;
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .with_context(|| {
            format!(
                "the codes could not be written; withdraw them with `labwire voucher revoke {}`",
                batch.id
            )
        })?;
    eprintln!(
        "{}: {} codes of {} each in {} under {}, to be redeemed until {}. They are shown this once.",
        batch.id,
        codes.len(),
        table::time(batch.seconds),
        batch.course,
        batch.plan,
        batch.expires_at
    );
    Ok(ExitCode::SUCCESS)
}

/// Worth money: for its owner only, and never over what is there.
fn open(path: Option<&Path>) -> Result<Box<dyn Write>> {
    let Some(path) = path else {
        return Ok(Box::new(std::io::stdout()));
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    Ok(Box::new(file.with_context(|| format!("--out {}", path.display()))?))
}

async fn ls(config: &Config) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let now = wire::clock().now();
    let row = |b: &VoucherBatchState| {
        let state = match &b.revoked {
            Some((at, why)) => format!("revoked {at}: {why}"),
            None if b.batch.expires_at <= now => format!("expired {}", b.batch.expires_at),
            None if !config.keys.is_empty() && !config.keys.iter().any(|k| k.id == b.batch.key) => {
                format!("worthless: key {:?} is not in the settings any more", b.batch.key)
            }
            None => format!("until {}", b.batch.expires_at),
        };
        vec![
            b.batch.id.to_string(),
            b.batch.course.to_string(),
            b.batch.plan.to_string(),
            table::time(b.batch.seconds),
            format!("{}/{}", b.redeemed, b.size),
            state,
            b.batch.label.clone(),
        ]
    };
    let rows: Vec<_> = store.voucher_list().await?.iter().map(row).collect();
    table::print(
        &["BATCH", "COURSE", "PLAN", "EACH", "REDEEMED", "STATE", "LABEL"],
        &rows,
    );
    Ok(ExitCode::SUCCESS)
}
