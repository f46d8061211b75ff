//! Scripted learners for the demo: each has a real session and types real commands, with pauses and mistakes as people make
//! them, so that the teacher's page is alive. Goes on until it is stopped.

use anyhow::{Context, Result};
use lab_core::terminal::FromBrowser;
use lab_e2e::{Api, Pace, Tab};
use std::{path::PathBuf, process::Command, time::Duration};

const HELP: &str = "\
labwire-bots --config FILE --labwire PROGRAM --url URL --bots N

Starts N learners in the course `net` of a running Labwire and types in their consoles.
Example: labwire-bots --config labwire.yaml --labwire target/release/labwire --url http://127.0.0.1:8080 --bots 20
";

const NAMES: [&str; 20] = [
    "Alan Turing",
    "Grace Hopper",
    "Barbara Liskov",
    "Edsger Dijkstra",
    "Radia Perlman",
    "Vint Cerf",
    "Sophie Wilson",
    "Louis Pouzin",
    "Leslie Lamport",
    "Frances Allen",
    "Donald Davies",
    "Jean Bartik",
    "Paul Baran",
    "Karen Spärck Jones",
    "Jon Postel",
    "Mary Shaw",
    "Hubert Zimmermann",
    "Anita Borg",
    "Claude Shannon",
    "Hedy Lamarr",
];

/// What a learner of a lab types: (terminal, line). Some are wrong on purpose.
fn script(lab: &str) -> &'static [(u16, &'static str)] {
    match lab {
        "ospf-triangle" => &[
            (0, "show interface brief"),
            (0, "show ip route"),
            (0, "configure terminal"),
            (0, "router ospf"),
            (0, "network 10.0.0.0/8 area 0"),
            (0, "end"),
            (0, "show ip ospf neighbour"),
            (0, "show ip ospf neighbor"),
            (1, "configure terminal"),
            (1, "router ospf"),
            (1, "network 10.0.0.0/8 area 0"),
            (1, "end"),
            (1, "show ip ospf neighbor"),
            (0, "show ip route ospf"),
        ],
        _ => &[
            (0, "show interface brief"),
            (0, "show ip route"),
            (0, "configure terminal"),
            (0, "ip route 10.2.0.0/24 10.12.0.2"),
            (0, "end"),
            (0, "show ip rout"),
            (0, "show ip route"),
            (1, "show ip route"),
        ],
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        args.iter()
            .position(|a| a == name)
            .and_then(|i| args.get(i + 1))
            .cloned()
    };
    let (Some(config), Some(labwire), Some(url), Some(bots)) =
        (value("--config"), value("--labwire"), value("--url"), value("--bots"))
    else {
        print!("{HELP}");
        return Ok(());
    };
    let bots: usize = bots.parse().context("--bots takes a number")?;
    let mut running = tokio::task::JoinSet::new();
    for n in 0..bots {
        let cli = Cli {
            config: config.clone().into(),
            labwire: labwire.clone().into(),
        };
        running.spawn(learner(cli, url.clone(), n));
    }
    while let Some(ended) = running.join_next().await {
        if let Err(e) = ended? {
            eprintln!("a scripted learner stopped: {e:#}");
        }
    }
    Ok(())
}

struct Cli {
    config: PathBuf,
    labwire: PathBuf,
}

impl Cli {
    fn run(&self, args: &[&str]) -> Result<String> {
        let out = Command::new(&self.labwire)
            .args(args)
            .arg("--config")
            .arg(&self.config)
            .output()?;
        anyhow::ensure!(
            out.status.success(),
            "labwire {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&out.stderr)
        );
        Ok(String::from_utf8(out.stdout)?)
    }
}

async fn learner(cli: Cli, url: String, n: usize) -> Result<()> {
    let name = NAMES[n % NAMES.len()];
    let (id, lab) = (
        format!("bot{n}"),
        if n.is_multiple_of(3) {
            "static-routes"
        } else {
            "ospf-triangle"
        },
    );
    // one after the other: twenty containers at once would hide the first learner's own click
    pause(n as u64 * 1500).await;
    cli.run(&[
        "grant",
        "--learner",
        &id,
        "--course",
        "net",
        "--plan",
        "QUALIFYING",
        "--seconds",
        "7200",
    ])?;
    let link = cli.run(&[
        "link",
        "--valid",
        "10m",
        "--learner",
        &id,
        "--name",
        name,
        "--lab",
        lab,
        "--course",
        "net",
    ])?;
    let token = link
        .split("token=")
        .nth(1)
        .and_then(|t| t.split_whitespace().next())
        .context("a link")?;
    let api = Api::launch(&url, token).await?;
    let session = api.start(lab).await?;
    let tab = Tab::open(&api, &session, Pace::Fast).await?;
    tab.attach_ready(0).await?;
    tab.attach(1, true).await?;
    for round in 0.. {
        for (step, (terminal, line)) in script(lab).iter().enumerate() {
            for (k, key) in line.chars().chain(['\r']).enumerate() {
                tab.input(*terminal, key.to_string().into_bytes()).await?;
                // 60 to 180 ms a key, as a person types
                pause(60 + ((n * 37 + k * 53) % 120) as u64).await;
            }
            // thinking; some learners are slower, and every seventh gets stuck after a while
            let stuck = n % 7 == 6 && round > 0;
            pause(if stuck {
                600_000
            } else {
                2_000 + ((n * 911 + step * 577) % 6_000) as u64
            })
            .await;
        }
        tab.send(FromBrowser::Check { check: None }).await?;
    }
    Ok(())
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
