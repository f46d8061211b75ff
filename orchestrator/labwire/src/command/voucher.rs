//! `labwire voucher create|ls|revoke`.

use super::sheet;
use crate::{command::out, config::Config, table, wire};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use lab_app::entitlement::make_codes;
use lab_core::{
    CourseId, PlanId, SponsorId, Timestamp, VoucherBatchId,
    csv::cell,
    entitlement::{BATCH_MAX, Bilingual, Code, VoucherBatch, VoucherBatchState, VoucherTerms},
    hours,
    port::{Clock, Entropy, Store},
};
use std::{io::Write, path::PathBuf, process::ExitCode, time::Duration};

#[derive(Subcommand, Debug)]
pub enum VoucherCommand {
    /// Make a batch of vouchers; its codes are written out once, and kept nowhere
    #[command(
        after_help = "Examples:\n  labwire voucher create --course net --plan QUALIFYING --count 75 --label 'ESP Dakar, spring' --format html --out esp.html\n  \
                            labwire voucher create --course net --plan QUALIFYING --count 10 --hours 2 > codes.csv\n  \
                            labwire voucher create --course net --plan QUALIFYING --count 75 --sponsor esp --reseller 'ESP Dakar' --price '100,000 FCFA' --price-fr '100 000 FCFA' --credit 'IMT-ESP certificate' --credit-fr 'Certificat IMT-ESP' --format html --out esp.html\n\n\
                            Codes are hashed with the first key of the settings: that key must stay in `keys` as long as they can be redeemed."
    )]
    Create(Box<CreateArgs>),
    /// List batches, newest first
    #[command(after_help = "Example:\n  labwire voucher ls")]
    Ls,
    /// What resellers' codes became, as CSV: a row a batch
    #[command(
        after_help = "Examples:\n  labwire voucher report > resellers.csv\n  labwire voucher report --reseller 'ESP Dakar' > esp.csv"
    )]
    Report {
        /// Only this reseller's
        #[arg(long, value_name = "NAME")]
        reseller: Option<String>,
    },
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
    /// Lab time of each in hours, like 2 or 1.5; the plan's when not given
    #[arg(long, value_parser = hours::some)]
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
    /// Who sells them, in their own name, price and currency
    #[command(flatten)]
    reseller: Reseller,
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    /// A new file, readable by you only; standard output when not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Texts are in English and French; one that is given once is both.
#[derive(Args, Debug)]
#[command(next_help_heading = "Sold by somebody else")]
struct Reseller {
    /// Who sells them: stands on each code, and `labwire voucher report` is by it
    #[arg(long, value_name = "NAME")]
    reseller: Option<String>,
    /// What a learner pays there, in its own currency, like '100,000 FCFA'
    #[arg(long, value_name = "TEXT", requires = "reseller")]
    price: Option<String>,
    #[arg(long, value_name = "TEXT", requires = "price")]
    price_fr: Option<String>,
    /// Who certifies with whom, like 'IMT-ESP certificate'
    #[arg(long, value_name = "TEXT")]
    credit: Option<String>,
    #[arg(long, value_name = "TEXT", requires = "credit")]
    credit_fr: Option<String>,
    /// Where its learners are: on the statement of that site
    #[arg(long, value_name = "ID")]
    site: Option<String>,
}

impl Reseller {
    fn terms(self) -> VoucherTerms {
        let both = |en: Option<String>, fr: Option<String>| {
            en.map(|en| Bilingual {
                fr: fr.unwrap_or_else(|| en.clone()),
                en,
            })
        };
        VoucherTerms {
            reseller: self.reseller,
            price: both(self.price, self.price_fr),
            credit: both(self.credit, self.credit_fr),
            site: self.site.map(Into::into),
            ..VoucherTerms::default()
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    /// A code a line
    Csv,
    /// Cards to print and cut, eight on a page
    Html,
}

pub async fn run(config: Config, command: VoucherCommand) -> Result<ExitCode> {
    match command {
        VoucherCommand::Create(args) => create(config, *args).await,
        VoucherCommand::Ls => ls(&config).await,
        VoucherCommand::Report { reseller } => report(&config, reseller.as_deref()).await,
        VoucherCommand::Revoke { batch, reason } => {
            let store = wire::store(&config).await?;
            store.voucher_revoke(batch, &reason, wire::clock().now()).await?;
            println!("{batch}: no code of it can be redeemed any more");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A batch to make, with what it was agreed on.
pub(super) struct Making {
    pub course: String,
    pub plan: String,
    pub count: u32,
    /// Of each; the plan's when not given.
    pub seconds: Option<i64>,
    /// The plan's when not given.
    pub valid_days: Option<u32>,
    pub redeem_until: Timestamp,
    pub priority: i32,
    pub label: String,
    pub sponsor: Option<SponsorId>,
    pub terms: VoucherTerms,
    pub format: Format,
    pub out: Option<PathBuf>,
}

async fn create(config: Config, args: CreateArgs) -> Result<ExitCode> {
    let redeem_within = Duration::from_hours(24 * u64::from(args.redeem_within));
    let making = Making {
        course: args.course,
        plan: args.plan,
        count: args.count,
        seconds: args.hours,
        valid_days: args.valid_days,
        redeem_until: wire::clock().now().plus(redeem_within),
        priority: args.priority,
        label: args.label,
        sponsor: args.sponsor.map(SponsorId),
        terms: args.reseller.terms(),
        format: args.format,
        out: args.out,
    };
    make(config, making).await?;
    Ok(ExitCode::SUCCESS)
}

/// Makes a batch and writes its codes, once.
pub(super) async fn make(config: Config, m: Making) -> Result<()> {
    let config = config.with_keys(&wire::entropy())?;
    let (store, keyring) = (wire::store(&config).await?, wire::keyring(&config)?);
    super::grant::seed_plans(&config, store.as_ref()).await?;
    let plans = store.plan_list().await?;
    let Some(plan) = plans.iter().find(|p| p.id.as_str() == m.plan) else {
        bail!("--plan {} does not exist; `labwire plan ls` lists plans", m.plan);
    };
    let seconds = m.seconds.unwrap_or(plan.seconds);
    if !plan.labs || seconds < plan.minimum_secs {
        bail!(
            "--plan {} would start no lab with {} each; name one with labs, and more hours",
            plan.id,
            table::time(seconds)
        );
    }
    let batch = VoucherBatch {
        id: VoucherBatchId(uuid::Uuid::new_v5(
            &uuid::Uuid::NAMESPACE_OID,
            &wire::entropy().bytes32(),
        )),
        label: m.label,
        course: CourseId(m.course),
        plan: PlanId(m.plan),
        seconds,
        valid_days: m.valid_days.unwrap_or(plan.valid_days),
        priority: m.priority,
        created_at: wire::clock().now(),
        expires_at: m.redeem_until,
        key: keyring.first_id().to_owned(),
        sponsor: m.sponsor,
    };
    // the file first: codes that are in the database and nowhere else are lost
    let mut out = out::open(m.out.as_deref())?;
    let (codes, hashes): (Vec<Code>, Vec<_>) = make_codes(&wire::entropy(), &keyring, m.count).into_iter().unzip();
    let text = match m.format {
        Format::Csv => sheet::csv(&batch, &m.terms, &codes),
        Format::Html => sheet::html((&batch, &m.terms), &plan.name, &codes, &config.public_url),
    };
    if m.terms != VoucherTerms::default() {
        store.voucher_terms_put(batch.id, &m.terms).await?;
    }
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
    Ok(())
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

/// What a reseller and we account for: codes made, sold (redeemed) and what they gave. Nobody is named.
async fn report(config: &Config, reseller: Option<&str>) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let batches = store.voucher_list().await?;
    println!(
        "reseller,batch,label,course,plan,price,codes,redeemed,given_seconds,used_seconds,redeem_until,revoked_at\r"
    );
    for t in store.voucher_terms_list().await? {
        let Some(name) = t
            .terms
            .reseller
            .as_deref()
            .filter(|r| reseller.is_none_or(|wanted| wanted == *r))
        else {
            continue;
        };
        let Some(b) = batches.iter().find(|b| b.batch.id == t.batch) else {
            continue;
        };
        let (given, drawn) = t.sums();
        println!(
            "{},{},{},{},{},{},{},{},{given},{drawn},{},{}\r",
            cell(name),
            t.batch,
            cell(&b.batch.label),
            cell(b.batch.course.as_str()),
            cell(b.batch.plan.as_str()),
            cell(t.terms.price.as_ref().map_or("", |p| &p.en)),
            b.size,
            b.redeemed,
            b.batch.expires_at,
            b.revoked.as_ref().map_or_else(String::new, |(at, _)| at.to_string()),
        );
    }
    Ok(ExitCode::SUCCESS)
}
