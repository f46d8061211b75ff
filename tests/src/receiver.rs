//! Where webhooks arrive: a small HTTP server that keeps what it gets, and refuses as long as it is told to.

use anyhow::Result;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: String,
}

/// See the module's doc; gone when dropped.
pub struct Receiver {
    pub url: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    takes: AtomicBool,
    refused: AtomicUsize,
    taken: Mutex<Vec<Hook>>,
}

impl Receiver {
    /// Refuses everything (503) until [`Receiver::take`].
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let state = Arc::new(State::default());
        Ok(Self {
            url: format!("http://{}/labwire", listener.local_addr()?),
            task: tokio::spawn(serve(listener, Arc::clone(&state))),
            state,
        })
    }

    /// Takes what comes from now on.
    pub fn take(&self) {
        self.state.takes.store(true, Relaxed);
    }

    /// How many requests were refused.
    pub fn refused(&self) -> usize {
        self.state.refused.load(Relaxed)
    }

    /// What was taken so far.
    pub fn taken(&self) -> Vec<Hook> {
        self.state.taken.lock().expect("no holder panics").clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        // one after the other is enough: alerts come one after the other
        if let Ok(hook) = answer(stream, &state).await {
            state.taken.lock().expect("no holder panics").extend(hook);
        }
    }
}

async fn answer(stream: TcpStream, state: &State) -> Result<Option<Hook>> {
    let mut stream = BufReader::new(stream);
    let mut headers = HashMap::new();
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 2 {
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        line.clear();
    }
    let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let takes = state.takes.load(Relaxed);
    let status = if takes {
        "204 No Content"
    } else {
        "503 Service Unavailable"
    };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    if !takes {
        state.refused.fetch_add(1, Relaxed);
        return Ok(None);
    }
    Ok(Some(Hook {
        headers,
        body: String::from_utf8(body)?,
    }))
}
