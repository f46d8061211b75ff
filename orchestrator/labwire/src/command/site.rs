//! `labwire site set|ls`.

use crate::{config::Config, table, wire};
use anyhow::Result;
use clap::{ArgGroup, Args, Subcommand};
use lab_core::{
    SiteId,
    courses::{Site, SiteKind},
    entitlement::Bilingual,
    port::CourseStore,
};
use std::{collections::BTreeMap, process::ExitCode};

/// Characters of a brand: two lines of a phone.
const BRAND_CHARS_MAX: usize = 120;

#[derive(Subcommand, Debug)]
pub enum SiteCommand {
    Set(SetArgs),
    /// List sites of which something was said
    #[command(after_help = "Example:\n  labwire site ls")]
    Ls,
}

/// Say what kind of place a site is, which its statements name; and in whose name labs are shown to its learners: above a lab's
/// presentation and demonstration, above why there is no lab now, and after each run.
#[derive(Args, Debug)]
#[command(
    group = ArgGroup::new("said").required(true).multiple(true),
    after_help = "Examples:\n  labwire site set dakar --kind school\n  labwire site set 'FabLab de Brest' --kind fablab\n  \
                  labwire site set acme --kind company --brand 'Offered to Acme by Telecom Evolution' --brand-fr 'Offert à Acme par Telecom Evolution'\n  \
                  labwire site set acme --no-brand\n\n\
                  A site is the name that `--site` gives to vouchers, trials, order keys, registrations and courses, and lists of people in their column `site`."
)]
pub struct SetArgs {
    #[arg(value_name = "SITE")]
    site: String,
    /// fablab, company or school
    #[arg(long, value_name = "KIND", value_parser = kind, group = "said")]
    kind: Option<SiteKind>,
    /// What stands there, in English, and in French where --brand-fr says nothing else
    #[arg(long, value_name = "TEXT", value_parser = brand, group = "said")]
    brand: Option<String>,
    #[arg(long, value_name = "TEXT", value_parser = brand, requires = "brand")]
    brand_fr: Option<String>,
    /// Take what stands there away
    #[arg(long, conflicts_with = "brand", group = "said")]
    no_brand: bool,
}

fn kind(text: &str) -> Result<SiteKind, String> {
    let codes = || format!("use one of {}", SiteKind::ALL.map(SiteKind::code).join(", "));
    SiteKind::read(text).ok_or_else(codes)
}

fn brand(text: &str) -> Result<String, String> {
    let text = text.trim();
    let chars = text.chars().count();
    match chars {
        0 => Err("it is empty; --no-brand takes a brand away".into()),
        _ if text.chars().any(char::is_control) => Err("write it on one line".into()),
        _ if chars > BRAND_CHARS_MAX => Err(format!("it has {chars} characters; use {BRAND_CHARS_MAX} at most")),
        _ => Ok(text.to_owned()),
    }
}

pub async fn run(config: &Config, command: SiteCommand) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    match command {
        SiteCommand::Set(args) => set(store.as_ref(), args).await?,
        SiteCommand::Ls => ls(store.as_ref()).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn set(store: &dyn CourseStore, args: SetArgs) -> Result<()> {
    let id = SiteId::from(args.site);
    if let Some(kind) = args.kind {
        let site = Site { id: id.clone(), kind };
        store.site_put(&site).await?;
        println!("{id} is a {}", kind.code());
    }
    if let Some(en) = args.brand {
        let fr = args.brand_fr.unwrap_or_else(|| en.clone());
        let brand = Bilingual { en, fr };
        store.brand_put(&id, Some(&brand)).await?;
        println!("its learners read: {} / {}", brand.en, brand.fr);
    }
    if args.no_brand {
        store.brand_put(&id, None).await?;
        println!("{id} has no brand");
    }
    Ok(())
}

async fn ls(store: &dyn CourseStore) -> Result<()> {
    let mut all: BTreeMap<SiteId, [String; 2]> = BTreeMap::new();
    for site in store.site_list().await? {
        all.entry(site.id).or_default()[0].push_str(site.kind.code());
    }
    for (site, brand) in store.brand_list().await? {
        all.entry(site).or_default()[1] = if brand.en == brand.fr {
            brand.en
        } else {
            format!("{} / {}", brand.en, brand.fr)
        };
    }
    let rows: Vec<_> = all
        .into_iter()
        .map(|(site, [kind, brand])| vec![site.to_string(), kind, brand])
        .collect();
    table::print(&["SITE", "KIND", "BRAND"], &rows);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brand_is_a_line_that_a_phone_shows() {
        assert_eq!(brand("  Offert à Acme ").as_deref(), Ok("Offert à Acme"));
        assert_eq!(brand(&"é".repeat(120)), Ok("é".repeat(120)));
        assert!(brand(&"é".repeat(121)).unwrap_err().contains("121 characters"));
        assert!(brand("two\nlines").unwrap_err().contains("one line"));
        assert!(brand(" ").unwrap_err().contains("--no-brand"));
    }
}
