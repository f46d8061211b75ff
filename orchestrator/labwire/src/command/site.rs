//! `labwire site set|ls`.

use crate::{config::Config, table, wire};
use anyhow::Result;
use clap::Subcommand;
use lab_core::{
    courses::{Site, SiteKind},
    port::CourseStore,
};
use std::process::ExitCode;

#[derive(Subcommand, Debug)]
pub enum SiteCommand {
    /// Say what kind of place a site is: its statements name it
    #[command(
        after_help = "Examples:\n  labwire site set dakar --kind school\n  labwire site set 'FabLab de Brest' --kind fablab\n\n\
                          A site is the name that `--site` gives to vouchers, order keys, registrations and courses, and lists of people in their column `site`."
    )]
    Set {
        #[arg(value_name = "SITE")]
        site: String,
        /// fablab, company or school
        #[arg(long, value_name = "KIND", value_parser = kind)]
        kind: SiteKind,
    },
    /// List sites whose kind was said
    #[command(after_help = "Example:\n  labwire site ls")]
    Ls,
}

fn kind(text: &str) -> Result<SiteKind, String> {
    let codes = || format!("use one of {}", SiteKind::ALL.map(SiteKind::code).join(", "));
    SiteKind::read(text).ok_or_else(codes)
}

pub async fn run(config: &Config, command: SiteCommand) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    match command {
        SiteCommand::Set { site, kind } => {
            let site = Site { id: site.into(), kind };
            store.site_put(&site).await?;
            println!("{} is a {}", site.id, kind.code());
        }
        SiteCommand::Ls => {
            let all = store.site_list().await?;
            let rows: Vec<_> = all
                .iter()
                .map(|s| vec![s.id.to_string(), s.kind.code().to_owned()])
                .collect();
            table::print(&["SITE", "KIND"], &rows);
        }
    }
    Ok(ExitCode::SUCCESS)
}
