//! Flags and environment variables: clap gives flags before variables, and both come before the file.

use clap::Args;
use std::path::PathBuf;

/// Settings that every command takes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings (before the file's)")]
pub struct ConfigArgs {
    /// Configuration file; `labwire example-config` prints one
    #[arg(long, global = true, env = "LABWIRE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Name of this installation: audience of links, label of sandboxes
    #[arg(long, global = true, env = "LABWIRE_INSTALLATION", value_name = "NAME")]
    pub installation: Option<String>,
    /// Address and port to serve on
    #[arg(long, global = true, env = "LABWIRE_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// How people reach it
    #[arg(long, global = true, env = "LABWIRE_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Folder of everything that is kept
    #[arg(long, global = true, env = "LABWIRE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Database: sqlite:PATH or postgres://…
    #[arg(
        long,
        global = true,
        env = "LABWIRE_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database: Option<String>,
    /// Folder of recordings, or `s3://BUCKET/PREFIX`
    #[arg(long, global = true, env = "LABWIRE_RECORDINGS", value_name = "PLACE")]
    pub recordings: Option<String>,
    /// Address of an S3 that is not Amazon's
    #[arg(long, global = true, env = "LABWIRE_S3_ENDPOINT", value_name = "URL", hide = true)]
    pub s3_endpoint: Option<String>,
    /// Access key of the bucket
    #[arg(
        long,
        global = true,
        env = "LABWIRE_S3_ACCESS_KEY",
        value_name = "KEY",
        hide_env_values = true,
        hide = true
    )]
    pub s3_access_key: Option<String>,
    /// Secret key of the bucket; rather as a variable than on a command line that others can see
    #[arg(
        long,
        global = true,
        env = "LABWIRE_S3_SECRET_KEY",
        value_name = "KEY",
        hide_env_values = true,
        hide = true
    )]
    pub s3_secret_key: Option<String>,
    /// Folder whose lab.yaml files are published at start
    #[arg(long, global = true, env = "LABWIRE_LABS_DIR", value_name = "DIR")]
    pub labs_dir: Option<String>,
    /// docker, process or kubernetes
    #[arg(long, global = true, env = "LABWIRE_RUNTIME", value_name = "KIND")]
    pub runtime: Option<String>,
    /// What /metrics wants as bearer; as a variable only, where other users do not see it
    #[arg(
        long,
        global = true,
        env = "LABWIRE_METRICS_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        hide = true
    )]
    pub metrics_token: Option<String>,
    /// Client secret at the provider where staff sign in; as a variable only, where other users do not see it
    #[arg(
        long,
        global = true,
        env = "LABWIRE_STAFF_CLIENT_SECRET",
        value_name = "SECRET",
        hide_env_values = true,
        hide = true
    )]
    pub staff_client_secret: Option<String>,
    /// The lab-agent program
    #[arg(long, global = true, env = "LABWIRE_AGENT", value_name = "FILE")]
    pub agent: Option<String>,
    /// human or json
    #[arg(long, global = true, env = "LABWIRE_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// What is logged, e.g. `info,lab_app=debug`
    #[arg(long, global = true, env = "LABWIRE_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}
