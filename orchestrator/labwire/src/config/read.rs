//! From arguments and a file to a [`Config`], or to every problem.

use super::{
    Config, ConfigArgs, HttpConfig, LimitsConfig, LogConfig, LtiConfig, Problem, Problems, RuntimeConfig, RuntimeKind,
    controller, kubernetes,
    reader::{self, Section},
    storage,
};
use lab_app::launch::{Key, SECRET_BYTES_MIN};
use lab_core::{
    CourseId, PlanId,
    entitlement::{Bilingual, Plan},
    lab::Span,
    limits::{RECORDING_BYTES_MAX, RECORDING_BYTES_MIN},
    port::Course,
};
use secrecy::{ExposeSecret, SecretString};
use serde_yaml::Value;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

pub(super) const DURATION: &str = "write a duration like 90s, 45m or 2h";
const SIZE: &str = "write a size from 1MiB, like 512MiB or 2GiB";
pub(super) const BOOLEAN: &str = "write true or false";

impl Config {
    /// Reads everything; nothing is made or opened but the file and secret files.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn read(args: &ConfigArgs) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let (value, base) = load(args.config.as_deref(), &mut problems);
        let config = build(args, value, &base, &mut problems);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(Problems(problems))
        }
    }
}

/// The file's value, and the folder its relative paths start from.
fn load(path: Option<&Path>, problems: &mut Vec<Problem>) -> (Value, PathBuf) {
    let Some(path) = path else {
        return (Value::Null, PathBuf::new());
    };
    let base = path.parent().map(Path::to_owned).unwrap_or_default();
    let problem = |found: String, remedy: &str| Problem {
        key: path.display().to_string(),
        found,
        remedy: remedy.to_owned(),
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) => {
            problems.push(problem(
                format!("no readable file ({e})"),
                "give --config a file; `labwire example-config` prints one",
            ));
            return (Value::Null, base);
        }
    };
    match serde_yaml::from_str(&text) {
        Ok(value) => (value, base),
        Err(e) => {
            problems.push(problem(format!("text that is not YAML: {e}"), "mend the line it names"));
            (Value::Null, base)
        }
    }
}

fn build(args: &ConfigArgs, value: Value, base: &Path, problems: &mut Vec<Problem>) -> Config {
    let mut top = Section::open("", value, problems);
    let in_file = |p: &str| (!p.is_empty()).then(|| base.join(p));
    let path = |above: &Option<String>| -> Option<PathBuf> { above.as_ref().map(PathBuf::from) };
    let name = "use 1 to 32 of a-z, 0-9 and -";
    let installation = top
        .parsed("installation", args.installation.clone(), name, problems, |s| {
            name_ok(s).then(|| s.to_owned())
        })
        .unwrap_or_else(|| "labwire".into());
    let listen = top
        .parsed(
            "listen",
            args.listen.clone(),
            "write ADDRESS:PORT, like 127.0.0.1:8080",
            problems,
            |s| s.parse::<std::net::SocketAddr>().ok(),
        )
        .unwrap_or_else(|| ([127, 0, 0, 1], 8080).into());
    let url = "write how browsers reach it, like https://labs.example.org";
    let public_url = top
        .parsed("public_url", args.public_url.clone(), url, problems, |s| {
            let ok = s.starts_with("http://") || s.starts_with("https://");
            ok.then(|| s.trim_end_matches('/').to_owned())
        })
        .unwrap_or_else(|| format!("http://localhost:{}", listen.port()));
    let folder = "write the path of a folder";
    let data_dir = top.parsed("data_dir", None, folder, problems, in_file);
    let data_dir = path(&args.data_dir)
        .or(data_dir)
        .unwrap_or_else(|| "labwire-data".into());
    let database = database(args, &mut top, &data_dir, problems);
    let recordings = storage::recordings(args, &mut top, base, &data_dir, problems);
    let number = "write a whole number from 1";
    let replicas = top
        .parsed("replicas", None, number, problems, |n| {
            n.parse().ok().filter(|n| *n > 0)
        })
        .unwrap_or(1);
    let migrate = top.parsed("migrate", None, BOOLEAN, problems, |b| b.parse().ok());
    let labs_dir = top.parsed("labs_dir", None, folder, problems, in_file);
    let labs_dir = path(&args.labs_dir).or(labs_dir);
    let runtime = runtime(args, top.section("runtime", problems), base, &data_dir, problems);
    let controller = controller::controller(top.section("controller", problems), problems);
    let keys = top
        .list("keys", problems)
        .into_iter()
        .filter_map(|(at, v)| key(&at, v, base, problems))
        .collect();
    let limits = limits(top.section("limits", problems), replicas, problems);
    let pools = super::pools::read(top.list("pools", problems), problems);
    let (plans, plans_at_first) = plans(top.list("plans", problems), problems);
    let courses = courses(top.list("courses", problems), problems);
    let http = http(args, top.section("http", problems), base, problems);
    let lti = lti(top.section("lti", problems), problems);
    let staff = super::staff::read(args, &mut top, base, problems);
    let accounts = super::accounts::read(&mut top, problems);
    let privacy = super::privacy::read(top.section("privacy", problems), problems);
    let log = log(args, top.section("log", problems), problems);
    top.close(problems);
    let config = Config {
        installation,
        listen,
        public_url,
        data_dir,
        database,
        recordings,
        replicas,
        // several at once, each of its own version during a roll-out, leave it to the step before
        migrate: migrate.unwrap_or(replicas == 1),
        labs_dir,
        runtime,
        controller,
        keys,
        limits,
        pools,
        plans,
        plans_at_first,
        courses,
        http,
        lti,
        staff,
        accounts,
        privacy,
        log,
    };
    storage::check_replicas(&config, problems);
    config
}

fn name_ok(s: &str) -> bool {
    (1..=32).contains(&s.len())
        && s.bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Where the database is; with its password, where it has one.
fn database(args: &ConfigArgs, top: &mut Section, data_dir: &Path, problems: &mut Vec<Problem>) -> SecretString {
    let how = "write sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME";
    let known = |s: &str| {
        let schemes = ["sqlite:", "postgres://", "postgresql://"];
        schemes.iter().any(|scheme| s.starts_with(scheme)).then(|| s.to_owned())
    };
    top.parsed("database", args.database.clone(), how, problems, known)
        .unwrap_or_else(|| format!("sqlite:{}", data_dir.join("labwire.db").display()))
        .into()
}

pub(super) fn duration(s: &str) -> Option<Duration> {
    Span::try_from(s.to_owned())
        .ok()
        .filter(|s| s.secs > 0)
        .map(|s| Duration::from_secs(s.secs))
}

fn count(s: &str) -> Option<usize> {
    s.parse().ok().filter(|n| *n > 0)
}

fn runtime(
    args: &ConfigArgs,
    mut s: Section,
    base: &Path,
    data_dir: &Path,
    problems: &mut Vec<Problem>,
) -> RuntimeConfig {
    let kind = s.parsed(
        "kind",
        args.runtime.clone(),
        "use docker, process or kubernetes",
        problems,
        |k| match k {
            "docker" => Some(RuntimeKind::Docker),
            "process" => Some(RuntimeKind::Process),
            "kubernetes" => Some(RuntimeKind::Kubernetes),
            _ => None,
        },
    );
    let agent = s.parsed(
        "agent",
        None,
        "write the path of the lab-agent program",
        problems,
        |p| Some(base.join(p)),
    );
    let host = "write unix:///PATH or tcp://HOST:PORT, as in DOCKER_HOST";
    let runtime = RuntimeConfig {
        kind: kind.unwrap_or(RuntimeKind::Docker),
        agent: args.agent.as_ref().map(PathBuf::from).or(agent),
        host: s.parsed("host", None, host, problems, |h| {
            h.contains("://").then(|| h.to_owned())
        }),
        pull: s
            .parsed("pull", None, BOOLEAN, problems, |b| b.parse().ok())
            .unwrap_or(false),
        disk_quota: s
            .parsed("disk_quota", None, BOOLEAN, problems, |b| b.parse().ok())
            .unwrap_or(false),
        kvm: s
            .parsed("kvm", None, BOOLEAN, problems, |b| b.parse().ok())
            .unwrap_or(false),
        // short: a Unix socket's path, which lies below it, has room for 107 bytes
        state_dir: s
            .parsed("state_dir", None, "write the path of a folder", problems, |p| {
                Some(base.join(p))
            })
            .unwrap_or_else(|| data_dir.join("box")),
        kubernetes: kubernetes::read(
            s.section("kubernetes", problems),
            kind == Some(RuntimeKind::Kubernetes),
            problems,
        ),
    };
    s.close(problems);
    runtime
}

/// What a load balancer takes to see that a replica is not ready: probes of 1 s, two of them, and the news on its way.
const DRAIN_NOTICE: Duration = Duration::from_secs(3);

fn limits(mut s: Section, replicas: u32, problems: &mut Vec<Problem>) -> LimitsConfig {
    let number = "write a whole number from 1";
    let limits = LimitsConfig {
        sandboxes_max: s.parsed("sandboxes_max", None, number, problems, count).unwrap_or(40),
        connections_max: s
            .parsed("connections_max", None, number, problems, count)
            .unwrap_or(lab_http::CONNECTIONS_MAX),
        bearer_ttl: s
            .parsed("bearer_ttl", None, DURATION, problems, duration)
            .unwrap_or(Duration::from_mins(15)),
        staff_login_max: s
            .parsed("staff_login_max", None, DURATION, problems, duration)
            .unwrap_or(lab_app::launch::STAFF_LOGIN_MAX),
        reconcile_every: s
            .parsed("reconcile_every", None, DURATION, problems, duration)
            .unwrap_or(Duration::from_secs(2)),
        freeze_grace: s
            .parsed(
                "freeze_grace",
                None,
                "write a time like 30m or 90s, or 0 to stop labs at once",
                problems,
                |t| {
                    if t == "0" { Some(Duration::ZERO) } else { duration(t) }
                },
            )
            .unwrap_or(lab_app::metering::FREEZE_GRACE),
        recording_bytes_max: s
            .parsed("recording_bytes_max", None, SIZE, problems, |t| {
                reader::size(t).filter(|n| *n >= RECORDING_BYTES_MIN)
            })
            .unwrap_or(RECORDING_BYTES_MAX),
        // one alone has nobody to leave its work to: the sooner it is back the better
        drain_notice: s
            .parsed("drain_notice", None, DURATION, problems, duration)
            .unwrap_or(if replicas > 1 { DRAIN_NOTICE } else { Duration::ZERO }),
    };
    s.close(problems);
    limits
}

fn http(args: &ConfigArgs, mut s: Section, base: &Path, problems: &mut Vec<Problem>) -> HttpConfig {
    let frame_ancestors = s
        .list("frame_ancestors", problems)
        .into_iter()
        .filter_map(|(at, v)| {
            if let Some(origin) = v
                .as_str()
                .filter(|o| o.starts_with("https://") || o.starts_with("http://"))
            {
                Some(origin.to_owned())
            } else {
                let remedy = "write an origin like https://learn.example.org".into();
                problems.push(Problem {
                    key: at,
                    found: super::reader::shown(&v),
                    remedy,
                });
                None
            }
        })
        .collect();
    let in_file = s.secret("metrics_token", problems);
    let given = args.metrics_token.clone().filter(|t| !t.is_empty()).map(Into::into);
    let http = HttpConfig {
        frame_ancestors,
        proxies: s
            .parsed(
                "proxies",
                None,
                "write how many proxies of yours stand in front: 0, 1, 2 …",
                problems,
                |n| n.parse().ok(),
            )
            .unwrap_or(0),
        metrics_token: given.or(in_file),
        demos_dir: s.parsed("demos_dir", None, "write the path of a folder", problems, |p| {
            Some(base.join(p))
        }),
    };
    s.close(problems);
    http
}

fn lti(mut s: Section, problems: &mut Vec<Problem>) -> LtiConfig {
    let hosts = s.list("private_hosts", problems);
    let mut private_hosts = Vec::new();
    for (at, value) in hosts {
        let host = value.as_str().filter(|h| !h.is_empty() && !h.contains(['/', ' ']));
        if let Some(host) = host {
            private_hosts.push(host.to_owned());
        } else {
            problems.push(Problem {
                key: at,
                found: super::reader::shown(&value),
                remedy: "write a host's name or address, without scheme and port, like moodle.internal".into(),
            });
        }
    }
    s.close(problems);
    LtiConfig { private_hosts }
}

fn log(args: &ConfigArgs, mut s: Section, problems: &mut Vec<Problem>) -> LogConfig {
    let json = s.parsed(
        "format",
        args.log_format.clone(),
        "use human or json",
        problems,
        |f| match f {
            "human" => Some(false),
            "json" => Some(true),
            _ => None,
        },
    );
    let filter = "write a level (error, warn, info, debug, trace), or pairs like lab_app=debug";
    let log = LogConfig {
        json: json.unwrap_or(false),
        filter: s
            .parsed("filter", args.log.clone(), filter, problems, |f| {
                f.parse::<tracing_subscriber::EnvFilter>().ok().map(|_| f.to_owned())
            })
            .unwrap_or_else(|| "info".into()),
    };
    s.close(problems);
    log
}

fn key(at: &str, value: Value, base: &Path, problems: &mut Vec<Problem>) -> Option<Key> {
    let mut s = Section::open(at, value, problems);
    let id = s.parsed("id", None, "give the key a short name", problems, |id| {
        (!id.is_empty()).then(|| id.to_owned())
    });
    let inline = s.secret("secret", problems);
    let file = s.parsed(
        "secret_file",
        None,
        "write the path of a file that holds the secret",
        problems,
        |p| Some(base.join(p)),
    );
    s.close(problems);
    let mut refuse = |key: &str, found: String, remedy: &str| {
        problems.push(Problem {
            key: format!("{at}.{key}"),
            found,
            remedy: remedy.to_owned(),
        });
        None
    };
    let secret = match (inline, file) {
        (Some(secret), None) => secret,
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(text) => text.trim().to_owned().into(),
            Err(e) => {
                let found = format!("{} ({e})", path.display());
                return refuse("secret_file", found, "make the file readable for this program");
            }
        },
        (None, None) => return refuse("secret", "nothing".into(), "give the key a secret or a secret_file"),
        (Some(_), Some(_)) => return refuse("secret", "a secret and a secret_file".into(), "keep one of them"),
    };
    let bytes = secret.expose_secret().len();
    if bytes < SECRET_BYTES_MIN {
        return refuse(
            "secret",
            format!("{bytes} bytes"),
            "use at least 32, e.g. from `openssl rand -base64 48`",
        );
    }
    match id {
        Some(id) => Some(Key { id, secret }),
        None => refuse("id", "nothing".into(), "give the key an id"),
    }
}

/// The two plans that every installation has, unless its file says otherwise of them, and the file's own; and which of them are not the file's.
fn plans(items: Vec<(String, Value)>, problems: &mut Vec<Problem>) -> (Vec<Plan>, Vec<PlanId>) {
    let text = |en: &str, fr: &str| Bilingual {
        en: en.into(),
        fr: fr.into(),
    };
    let mut plans = vec![
        Plan {
            labs: false,
            concurrency_max: 0,
            valid_days: 3650,
            ..Plan::new("DISCOVERY", text("Discovery", "Découverte"))
        },
        Plan {
            // ten hours: a course of eight labs of an hour, and two to repeat
            seconds: 36_000,
            valid_days: 180,
            ..Plan::new("QUALIFYING", text("Qualifying", "Qualifiante"))
        },
    ];
    let mut at_first: Vec<PlanId> = plans.iter().map(|p| p.id.clone()).collect();
    for (at, value) in items {
        match serde_yaml::from_value::<Plan>(value.clone()) {
            Ok(plan) => {
                if let Err(wrong) = plan.check() {
                    problems.push(Problem {
                        key: format!("{at}.{}", wrong.field),
                        found: wrong.found,
                        remedy: wrong.remedy.into(),
                    });
                }
                plans.retain(|p| p.id != plan.id);
                at_first.retain(|id| *id != plan.id);
                plans.push(plan);
            }
            Err(e) => problems.push(Problem {
                key: at,
                found: format!("{} ({e})", super::reader::shown(&value)),
                remedy: "give id, name {en, fr}, labs, concurrency_max, seconds, valid_days; where you like session_secs_max, \
                         daily_secs_max, minimum_secs, features [observe, coached, recorded, exam], offer {price, how, url}"
                    .into(),
            }),
        }
    }
    (plans, at_first)
}

fn courses(items: Vec<(String, Value)>, problems: &mut Vec<Problem>) -> Vec<Course> {
    items
        .into_iter()
        .filter_map(|(at, v)| course(&at, v, problems))
        .collect()
}

fn course(at: &str, value: Value, problems: &mut Vec<Problem>) -> Option<Course> {
    let mut s = Section::open(at, value, problems);
    let text = |t: &str| (!t.is_empty()).then(|| t.to_owned());
    let id = s.parsed("id", None, "give the course a short id", problems, text);
    let title = s.parsed("title", None, "give the course a title", problems, text);
    s.close(problems);
    if let Some(id) = id {
        Some(Course {
            title: title.unwrap_or_else(|| id.clone()),
            id: CourseId(id),
        })
    } else {
        problems.push(Problem {
            key: format!("{at}.id"),
            found: "nothing".into(),
            remedy: "give the course an id".into(),
        });
        None
    }
}
