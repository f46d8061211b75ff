//! A server on a real Postgres, and people at its door.

use anyhow::{Context, Result};
use futures_util::{StreamExt, stream};
use lab_e2e::{Api, Gate, Options, Server, database, drop_database};
use std::{future::Future, io::Write};

/// Requests at once: as many as a browser crowd keeps open on one replica's ten connections to its database, several times over.
const AT_ONCE: usize = 64;

/// A server with a database of its own.
pub struct Place {
    pub server: Server,
    /// Of the database, for statements by hand.
    pub address: String,
    name: String,
    gate: Gate,
}

impl Place {
    /// `more`: settings; labs `shell` and `second`, of which one runs at a time.
    pub async fn open(more: &str) -> Result<Self> {
        let name = format!("bench-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        let (gate, address) = database(&name, "127.0.0.1")?;
        let mut options = Options::process();
        let second = options.labs[0].1.replace("id: shell", "id: second");
        options.labs.push(("second".into(), second));
        options.config = format!("database: {address}\nlimits: {{sandboxes_max: 1}}\n{more}");
        Ok(Self {
            server: Server::start(options).await?,
            address,
            name,
            gate,
        })
    }

    /// A file with a class of `count` learners.
    pub fn class(&self, count: usize) -> Result<String> {
        let path = self.server.data_dir()?.join(format!("class-{count}.csv"));
        let mut file = std::fs::File::create(&path)?;
        for n in 0..count {
            writeln!(file, "learner-{n}")?;
        }
        Ok(path.display().to_string())
    }

    /// Tokens of links for a class to a lab of the course `net`.
    pub fn tokens(&self, class: &str, lab: &str) -> Result<Vec<String>> {
        let args = [
            "link",
            "--learners",
            class,
            "--course",
            "net",
            "--lab",
            lab,
            "--valid",
            "2h",
        ];
        let out = self.server.cli(&args)?;
        let token = |line: &str| line.split_once("token=").map(|(_, token)| token.trim().to_owned());
        out.lines()
            .map(|line| token(line).with_context(|| line.to_owned()))
            .collect()
    }

    /// Everybody of a class, signed in.
    pub async fn signed_in(&self, class: &str, lab: &str) -> Result<Vec<Api>> {
        let url = self.server.url.clone();
        let launch = |token: String| {
            let url = url.clone();
            async move { Api::launch(&url, &token).await }
        };
        at_once(self.tokens(class, lab)?.into_iter().map(launch))
            .await
            .into_iter()
            .collect()
    }

    pub async fn close(self) -> Result<()> {
        self.server.finish().await?;
        drop(self.gate);
        drop_database(&self.name);
        Ok(())
    }
}

/// Does all of it, so many at once, and gives the answers in order.
pub async fn at_once<T>(work: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    stream::iter(work).buffered(AT_ONCE).collect().await
}
