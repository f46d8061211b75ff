//! terminado (`PyPI`), the terminal server of Jupyter, on this machine in the same run.

use anyhow::{Context, Result, ensure};
use futures_util::{SinkExt, StreamExt};
use std::{path::PathBuf, process::Stdio, time::Instant};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use tokio_tungstenite::tungstenite::Message;

/// A running terminado.
pub struct Terminado {
    url: String,
    _child: Child,
}

/// Prints its port once it listens; every socket is one shell.
const SERVER: &str = "
import tornado.ioloop, tornado.web, tornado.netutil, tornado.httpserver
from terminado import TermSocket, UniqueTermManager
manager = UniqueTermManager(shell_command=['bash', '--norc', '--noprofile'])
app = tornado.web.Application([(r'/ws', TermSocket, {'term_manager': manager})])
sockets = tornado.netutil.bind_sockets(0, '127.0.0.1')
tornado.httpserver.HTTPServer(app).add_sockets(sockets)
print(sockets[0].getsockname()[1], flush=True)
tornado.ioloop.IOLoop.current().start()
";

impl Terminado {
    pub async fn start() -> Result<Self> {
        let python = peers()?.join("bin/python");
        let mut child = Command::new(&python)
            .args(["-c", SERVER])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} is missing: run scripts/bench-peers", python.display()))?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?)
            .read_line(&mut line)
            .await?;
        ensure!(!line.trim().is_empty(), "terminado did not start");
        Ok(Self {
            url: format!("ws://127.0.0.1:{}/ws", line.trim()),
            _child: child,
        })
    }

    /// MB/s of `command`'s output at a WebSocket client that decodes it, until `bytes` have come.
    pub async fn bulk(&self, command: &str, bytes: u64) -> Result<f64> {
        let (mut socket, _) = tokio_tungstenite::connect_async(&self.url).await?;
        let line = serde_json::to_string(&("stdin", format!("{command}\r")))?;
        socket.send(Message::text(line)).await?;
        let start = Instant::now();
        let mut seen = 0_u64;
        while seen < bytes {
            let message = socket.next().await.context("terminado closed")??;
            if let Message::Text(text) = message {
                let value: serde_json::Value = serde_json::from_str(&text)?;
                if value[0] == "stdout" {
                    seen += value[1].as_str().map_or(0, str::len) as u64;
                }
            }
        }
        Ok(seen as f64 / 1e6 / start.elapsed().as_secs_f64())
    }
}

/// Where `scripts/bench-peers` puts the peers' environment.
fn peers() -> Result<PathBuf> {
    let out = std::process::Command::new("scripts/bench-peers")
        .arg("where")
        .output()
        .context("run from the repository's root")?;
    Ok(PathBuf::from(String::from_utf8(out.stdout)?.trim()))
}
