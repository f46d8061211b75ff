//! The commands.

use crate::{
    command::{
        self, controller, course, doctor, drain, grant, health, lab, link, login, lti, migrate, order, person, plan,
        reconcile, recording, refund, retention, sandbox, serve, session, site, sponsor, statement, trial, usage,
        voucher,
    },
    config::{Config, ConfigArgs},
};
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Remote labs in the browser: a learner clicks a link and gets a private running network.
///
/// Start with `labwire doctor`, then `labwire serve`.
#[derive(Parser, Debug)]
#[command(name = "labwire", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve learners, teachers and operations
    Serve(serve::ServeArgs),
    /// On Kubernetes: make pods of sandboxes, beside `labwire serve`
    #[command(after_help = "Example:\n  labwire controller --config labwire.yaml")]
    Controller,
    /// Print the definition of `LabSandbox`, for `kubectl apply -f -`
    #[command(after_help = "Example:\n  labwire crd | kubectl apply -f -")]
    Crd,
    /// Print a signed link that signs one tab in, once
    Link(link::LinkArgs),
    /// Who is signed in, and ending that
    #[command(subcommand)]
    Login(login::LoginCommand),
    /// Learning platforms that launch labs: Open edX, FUN, Moodle
    #[command(subcommand)]
    Lti(lti::LtiCommand),
    /// Courses: when their labs can be started, and who is in them
    #[command(subcommand)]
    Course(course::CourseCommand),
    /// Give a learner lab time
    Grant(grant::GrantArgs),
    /// What kinds of learners get
    #[command(subcommand)]
    Plan(plan::PlanCommand),
    /// Codes on paper that become lab time
    #[command(subcommand)]
    Voucher(voucher::VoucherCommand),
    /// Seats and hours that a company tries labs with
    #[command(subcommand)]
    Trial(trial::TrialCommand),
    /// Shops and enrolment offices that order lab time
    #[command(subcommand)]
    Order(order::OrderCommand),
    /// Who pays in learners' place
    #[command(subcommand)]
    Sponsor(sponsor::SponsorCommand),
    /// Places where learners are: fab labs, companies, schools
    #[command(subcommand)]
    Site(site::SiteCommand),
    Refund(refund::RefundArgs),
    Revoke(refund::RevokeArgs),
    /// Who used how much
    Usage(usage::UsageArgs),
    Statement(statement::StatementArgs),
    /// Say whether every second is accounted for; fails when one is not
    #[command(after_help = "Example:\n  labwire reconcile --config labwire.yaml")]
    Reconcile,
    /// Learners' runs
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// What the runtime has for this installation
    #[command(subcommand)]
    Sandbox(sandbox::SandboxCommand),
    /// Lab files
    #[command(subcommand)]
    Lab(lab::LabCommand),
    /// Pause new launches in the whole installation, or take them again
    #[command(subcommand)]
    Drain(drain::DrainCommand),
    /// Recordings of sessions
    #[command(subcommand)]
    Recording(recording::RecordingCommand),
    /// One person's data: what is here, all of it as an archive, none of it any more
    #[command(subcommand)]
    Person(person::PersonCommand),
    Retention(retention::RetentionArgs),
    Migrate(migrate::MigrateArgs),
    /// Print the settings in force, without secrets
    #[command(after_help = "Example:\n  labwire check-config --config labwire.yaml")]
    CheckConfig,
    /// Print a configuration file with every setting explained
    #[command(after_help = "Example:\n  labwire example-config > labwire.yaml")]
    ExampleConfig,
    /// Say what is missing on this machine, and how to get it
    #[command(after_help = "Example:\n  labwire doctor --config labwire.yaml")]
    Doctor,
    /// Ask the running server whether it is ready
    #[command(after_help = "Example:\n  labwire health --config labwire.yaml && echo ready")]
    Health,
}

impl Cli {
    /// Runs the command; its exit status.
    pub async fn run(self) -> Result<ExitCode> {
        match &self.command {
            Command::ExampleConfig => {
                print!("{}", crate::config::EXAMPLE);
                return Ok(ExitCode::SUCCESS);
            }
            Command::Crd => return Ok(controller::crd()),
            _ => {}
        }
        if let Command::Lab(command) = &self.command
            && let Some(code) = command.without_config()?
        {
            return Ok(code);
        }
        let config = Config::read(&self.config)?;
        crate::log::init(
            &config.log,
            matches!(self.command, Command::Serve(_) | Command::Controller),
        )?;
        match self.command {
            Command::Serve(args) => serve::run(config, args).await,
            Command::Controller => controller::run(&config).await,
            Command::Link(args) => link::run(config, args).await,
            Command::Login(command) => login::run(&config, command).await,
            Command::Lti(command) => lti::run(&config, command).await,
            Command::Course(command) => course::run(&config, command).await,
            Command::Grant(args) => grant::run(&config, args).await,
            Command::Plan(command) => plan::run(&config, command).await,
            Command::Voucher(command) => voucher::run(config, command).await,
            Command::Trial(command) => trial::run(config, command).await,
            Command::Order(command) => order::run(config, command).await,
            Command::Sponsor(command) => sponsor::run(&config, command).await,
            Command::Site(command) => site::run(&config, command).await,
            Command::Refund(args) => refund::run(&config, args).await,
            Command::Revoke(args) => refund::revoke(&config, args).await,
            Command::Usage(args) => usage::run(&config, args).await,
            Command::Statement(args) => statement::run(&config, args).await,
            Command::Reconcile => reconcile::run(&config).await,
            Command::Session(command) => session::run(&config, command).await,
            Command::Sandbox(command) => sandbox::run(&config, command).await,
            Command::Drain(command) => drain::run(&config, command).await,
            Command::Lab(command) => lab::run(config, command).await,
            Command::Recording(command) => recording::run(&config, command).await,
            Command::Person(command) => person::run(&config, command).await,
            Command::Retention(args) => retention::run(&config, args).await,
            Command::Migrate(args) => migrate::run(&config, args).await,
            Command::CheckConfig => command::check_config(&config),
            Command::Doctor => doctor::run(&config).await,
            Command::Health => health::run(&config).await,
            Command::ExampleConfig | Command::Crd => Ok(ExitCode::SUCCESS),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
