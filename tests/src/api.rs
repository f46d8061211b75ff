//! A person's tab over HTTP.

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// An answer that is not a success.
#[derive(Debug, thiserror::Error)]
#[error("{status}: {body}")]
pub struct ApiError {
    pub status: u16,
    /// The body, `null` when it was not JSON.
    pub body: Value,
}

/// A signed-in tab.
#[derive(Clone, Debug)]
pub struct Api {
    pub base: String,
    pub bearer: String,
    pub login: Value,
    client: reqwest::Client,
}

impl Api {
    /// Presents a launch token, and reads the notice, as people do who want their lab.
    pub async fn launch(url: &str, token: &str) -> Result<Self> {
        let api = Self::sign_in(url, token).await?;
        if api.login["role"] == "learner" {
            match api.read_notice().await {
                // a release that had none, in the middle of an upgrade
                Err(e) if e.downcast_ref::<ApiError>().is_some_and(|e| e.status == 404) => {}
                done => done?,
            }
        }
        Ok(api)
    }

    /// Acknowledges the notice of this installation.
    pub async fn read_notice(&self) -> Result<()> {
        let notice = self.get("/notice").await?;
        if notice["acknowledged_at"].is_null() {
            self.post("/notice", &json!({ "version": notice["version"] })).await?;
        }
        Ok(())
    }

    /// Presents a launch token, and nothing else.
    pub async fn sign_in(url: &str, token: &str) -> Result<Self> {
        let client = crate::client();
        let base = format!("{url}/api/v1");
        let answer = send(client.post(format!("{base}/launch")).json(&json!({ "token": token }))).await?;
        let bearer = answer["bearer"].as_str().context("no bearer in the answer")?.to_owned();
        Ok(Self {
            base,
            bearer,
            login: answer["login"].clone(),
            client,
        })
    }

    /// GET below `/api/v1`.
    pub async fn get(&self, path: &str) -> Result<Value> {
        send(
            self.client
                .get(format!("{}{path}", self.base))
                .bearer_auth(&self.bearer),
        )
        .await
    }

    /// GET of bytes below `/api/v1`.
    pub async fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        let request = self.client.get(format!("{}{path}", self.base));
        bytes(request.bearer_auth(&self.bearer)).await
    }

    /// POST below `/api/v1`.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        send(
            self.client
                .post(format!("{}{path}", self.base))
                .bearer_auth(&self.bearer)
                .json(body),
        )
        .await
    }

    /// Bytes that a POST answers with.
    pub async fn post_for_bytes(&self, path: &str, body: &Value) -> Result<Vec<u8>> {
        let request = self.client.post(format!("{}{path}", self.base));
        bytes(request.bearer_auth(&self.bearer).json(body)).await
    }

    /// Starts (or returns to) the lab; the session's id.
    pub async fn start(&self, lab: &str) -> Result<String> {
        let body = json!({ "lab": lab });
        let session = match self.post("/sessions", &body).await {
            // signed in at a release that had no notice, or one that said something else
            Err(e)
                if e.downcast_ref::<ApiError>()
                    .is_some_and(|e| e.body["code"] == "privacy-notice") =>
            {
                self.read_notice().await?;
                self.post("/sessions", &body).await?
            }
            done => done?,
        };
        Ok(session["id"].as_str().context("a session has an id")?.to_owned())
    }

    /// A single-use WebSocket ticket for a session.
    pub async fn ticket(&self, session: &str, writer: u64) -> Result<String> {
        let body = json!({ "scope": "session", "session": session, "writer": writer.to_string() });
        Ok(self.post("/tickets", &body).await?["ticket"]
            .as_str()
            .context("a ticket")?
            .to_owned())
    }

    /// Address of a WebSocket below `/api/v1`.
    pub fn socket_url(&self, path: &str) -> String {
        format!("{}{path}", self.base.replacen("http", "ws", 1))
    }
}

async fn send(request: reqwest::RequestBuilder) -> Result<Value> {
    Ok(serde_json::from_slice(&bytes(request).await?).unwrap_or(Value::Null))
}

async fn bytes(request: reqwest::RequestBuilder) -> Result<Vec<u8>> {
    let answer = request.send().await?;
    let status = answer.status();
    let body = answer.bytes().await?;
    if !status.is_success() {
        return Err(ApiError {
            status: status.as_u16(),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
        .into());
    }
    Ok(body.to_vec())
}
