//! Scripted learners for the demo: each has a real session and types real commands, with pauses and mistakes as people make
//! them, so that the teacher's page is alive. Goes on until it is stopped.

use anyhow::{Context, Result};
use lab_core::terminal::{FromBrowser, ToBrowser};
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

/// What a learner types, by the terminal's id in the lab file. Some lines are wrong on purpose.
type Line = (&'static str, &'static str);

/// The way through a lab in parts, as its steps are; the checks are run after each.
fn solution(lab: &str) -> &'static [&'static [Line]] {
    match lab {
        "ospf-triangle" => &[
            &[
                ("r1", "show interface brief"),
                ("r1", "show ip route"),
                ("r1", "configure terminal"),
                ("r1", "router ospf"),
                ("r1", "network 10.0.12.0/30 area 0"),
                ("r1", "network 10.0.13.0/30 area 0"),
                ("r1", "end"),
                ("r1", "show ip ospf neighbour"),
            ],
            &[
                ("r2", "configure terminal"),
                ("r2", "router ospf"),
                ("r2", "network 10.0.12.0/30 area 0"),
                ("r2", "network 10.0.23.0/30 area 0"),
                ("r2", "end"),
                ("r3", "configure terminal"),
                ("r3", "router ospf"),
                ("r3", "network 10.0.13.0/30 area 0"),
                ("r3", "network 10.0.23.0/30 area 0"),
                ("r3", "network 10.3.0.0/24 area 0"),
                ("r3", "end"),
            ],
            &[
                ("r1", "configure terminal"),
                ("r1", "router ospf"),
                ("r1", "network 10.1.0.0/24 area 0"),
                ("r1", "end"),
                ("r1", "show ip ospf neighbor"),
                ("r1", "show ip route ospf"),
            ],
        ],
        _ => &[
            &[
                ("r1", "show interface brief"),
                ("r1", "configure terminal"),
                ("r1", "interface eth1"),
                ("r1", "ip address 10.0.12.1/30"),
                ("r1", "end"),
                ("r2", "configure terminal"),
                ("r2", "interface eth1"),
                ("r2", "ip address 10.0.12.2/30"),
                ("r2", "end"),
            ],
            &[
                ("r1", "configure terminal"),
                ("r1", "ip route 10.2.0.0/24 10.0.12.2"),
                ("r1", "end"),
                ("r1", "show ip rout"),
            ],
            &[
                ("r2", "configure terminal"),
                ("r2", "ip route 10.1.0.0/24 10.0.12.1"),
                ("r2", "end"),
                ("h2", "ip route add default via 10.2.0.1"),
                ("h1", "ping -c 3 10.2.0.10"),
            ],
        ],
    }
}

/// Who is through looks around.
const AFTERWARDS: [Line; 3] = [
    ("r1", "show ip route"),
    ("r2", "show ip route"),
    ("r1", "show interface brief"),
];

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
    let typist = Typist {
        tab: Tab::open(&api, &session, Pace::Fast).await?,
        n,
    };
    typist.tab.ready(60).await?;
    for (part, lines) in solution(lab).iter().enumerate() {
        typist.types(lines).await?;
        typist.tab.send(FromBrowser::Check { check: None }).await?;
        // every seventh gets stuck after the first part, so that the teacher has somebody to help
        if n % 7 == 6 && part == 0 {
            pause(600_000).await;
        }
    }
    loop {
        typist.types(&AFTERWARDS).await?;
    }
}

/// One learner's hands.
struct Typist {
    tab: Tab,
    n: usize,
}

impl Typist {
    async fn types(&self, lines: &[Line]) -> Result<()> {
        for (step, (id, line)) in lines.iter().enumerate() {
            let terminal = self.console(id).await?;
            for (k, key) in line.chars().chain(['\r']).enumerate() {
                self.tab.input(terminal, key.to_string().into_bytes()).await?;
                // 60 to 180 ms a key, as a person types
                pause(60 + ((self.n * 37 + k * 53) % 120) as u64).await;
            }
            // thinking; some learners are slower
            pause(2_000 + ((self.n * 911 + step * 577) % 6_000) as u64).await;
        }
        Ok(())
    }

    /// The number of a console, which is shown first where it is not.
    async fn console(&self, id: &str) -> Result<u16> {
        let find = |m: &ToBrowser| match m {
            ToBrowser::Terminals { terminals, .. } => terminals.iter().position(|t| t.id.as_str() == id),
            _ => None,
        };
        let terminal = self.tab.message(&format!("a terminal {id}"), 60, find).await?;
        let terminal = u16::try_from(terminal).context("a lab of 16 consoles at most")?;
        if self.tab.is_attached(terminal) {
            return Ok(terminal);
        }
        self.tab.attach(terminal, true).await?;
        Ok(terminal)
    }
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
