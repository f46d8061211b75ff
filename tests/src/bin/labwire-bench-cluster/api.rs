//! The API server, by plain HTTP through `kubectl proxy`: what the stand-in for a node needs of it.

use anyhow::{Context, Result, bail};
use bytes::BytesMut;
use futures_util::Stream;
use lab_e2e::tool;
use serde_json::Value;
use std::process::Stdio;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// A running proxy, ended with this value.
pub struct Api {
    base: String,
    client: reqwest::Client,
    _proxy: Child,
}

impl Api {
    pub async fn start() -> Result<Self> {
        let mut proxy = Command::from(tool("kubectl"))
            .args(["proxy", "--port=0"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("kubectl proxy")?;
        let mut line = String::new();
        let out = proxy.stdout.take().context("a pipe")?;
        BufReader::new(out).read_line(&mut line).await?;
        let address = line.trim().rsplit(' ').next().context("kubectl proxy says where")?;
        Ok(Self {
            base: format!("http://{address}"),
            client: lab_e2e::client(),
            _proxy: proxy,
        })
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        self.send(self.client.get(self.url(path))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(self.client.post(self.url(path)).json(body)).await
    }

    /// A merge patch.
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self
            .client
            .patch(self.url(path))
            .header("content-type", "application/merge-patch+json")
            .body(serde_json::to_vec(body)?);
        self.send(request).await
    }

    /// Deletes at once; fine when it is gone already.
    pub async fn delete(&self, path: &str) -> Result<()> {
        let body = serde_json::json!({ "gracePeriodSeconds": 0 });
        let answer = self.client.delete(self.url(path)).json(&body).send().await?;
        match answer.status().as_u16() {
            200..=299 | 404 => Ok(()),
            status => bail!("DELETE {path}: {status} {}", answer.text().await?),
        }
    }

    /// Events of a watch: (`ADDED` …, object). Ends when the server ends it.
    pub async fn watch(&self, path: &str) -> Result<impl Stream<Item = Result<(String, Value)>> + use<>> {
        let answer = self.client.get(self.url(path)).send().await?.error_for_status()?;
        Ok(lines(answer))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        if !status.is_success() {
            bail!("{status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

fn lines(answer: reqwest::Response) -> impl Stream<Item = Result<(String, Value)>> {
    futures_util::stream::try_unfold((answer, BytesMut::new()), |(mut answer, mut buffer)| async move {
        loop {
            if let Some(end) = buffer.iter().position(|b| *b == b'\n') {
                let line = buffer.split_to(end + 1);
                let mut event: Value = serde_json::from_slice(&line)?;
                let kind = event["type"].as_str().unwrap_or_default().to_owned();
                return Ok(Some(((kind, event["object"].take()), (answer, buffer))));
            }
            match answer.chunk().await? {
                Some(more) => buffer.extend_from_slice(&more),
                None => return Ok(None),
            }
        }
    })
}
