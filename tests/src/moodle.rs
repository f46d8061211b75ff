//! A Moodle, as far as labs and grades meet it: launches by LTI 1.3, access tokens, and a gradebook that behaves as Moodle's own does where it
//! differs from Open edX's. A server on this machine; gone when dropped.
//!
//! - Addresses of line items have a query (`?type_id=…`), without which nothing is found; a score's path goes before it.
//! - A score is taken with exactly its own media type, and answered with 200 and nothing.
//! - Times are compared in whole seconds; the same or an earlier one is 409.
//! - What is not `FullyGraded` blanks the grade. Who cannot be graded is 400.
//! - Tools register themselves, with a token that is good once; a domain that is not the launch address's is refused.

use crate::jwt::{self, Pair};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

const CLIENT: &str = "aB3moodle";
const TYPE: &str = "type_id=3";
const CLAIM: &str = "https://purl.imsglobal.org/spec/lti/claim/";
const AGS: &str = "https://purl.imsglobal.org/spec/lti-ags/";

/// See the module's doc.
pub struct Moodle {
    pub url: String,
    tool: String,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    /// Line items that a tool made.
    made: Vec<Value>,
    /// By line item and learner: what is there, and since which second.
    grades: BTreeMap<(String, String), (Option<f64>, i64)>,
    /// Everything that was stored, oldest first.
    history: Vec<(String, Option<f64>)>,
    tokens: HashSet<String>,
    jtis: HashSet<String>,
    /// Answers to scores, by status.
    scored: Vec<u16>,
    /// Tokens of tools that may register themselves.
    invited: HashSet<String>,
    tools: Vec<Value>,
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: String,
}

/// Status and body.
type Answer = (u16, String);

impl Moodle {
    /// Starts one that has the tool at `tool` registered.
    pub async fn start(tool: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(Mutex::new(State::default()));
        let site = Arc::new(Site {
            url: url.clone(),
            tool: tool.to_owned(),
            state: Arc::clone(&state),
        });
        Ok(Self {
            url,
            tool: tool.to_owned(),
            state,
            server: tokio::spawn(serve(listener, site)),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// What `labwire lti add` is told of it.
    pub fn registration(&self) -> Vec<String> {
        let args = [
            "--client-id",
            CLIENT,
            "--moodle",
            &self.url,
            "--deployment",
            "1",
            "--plan",
            "QUALIFYING",
        ];
        args.iter().map(ToString::to_string).collect()
    }

    /// What an administrator's browser adds to the address of a tool that registers itself.
    pub fn registration_query(&self) -> String {
        let token = format!("reg-{}", self.state().invited.len() + 1);
        self.state().invited.insert(token.clone());
        let encode = lab_core::launch::lti::percent_encode;
        format!(
            "openid_configuration={}&registration_token={token}",
            encode(&format!("{}{CONFIGURATION}", self.url))
        )
    }

    /// Tools that registered themselves, as they described themselves.
    pub fn tools(&self) -> Vec<Value> {
        self.state().tools.clone()
    }

    /// Where the browser goes to begin the launch of `lab`.
    pub fn begin(&self, lab: &str, user: &str) -> String {
        let encode = lab_core::launch::lti::percent_encode;
        let target = format!("{}/lti/labs/{lab}", self.tool);
        format!(
            "{}/lti/login?iss={}&client_id={CLIENT}&login_hint={user}&target_link_uri={}",
            self.tool,
            encode(&self.url),
            encode(&target)
        )
    }

    /// The form that the browser posts then, for the authentication request at `auth_url`. `coupled`: the activity has a column of the
    /// gradebook.
    pub fn answer(&self, auth_url: &str, lab: &str, coupled: bool) -> Result<String> {
        let asked = query(auth_url.split_once('?').context("a query")?.1);
        let get = |name: &str| asked.get(name).cloned().context(name.to_owned());
        let scopes = ["lineitem", "result.readonly", "score"].map(|s| format!("{AGS}scope/{s}"));
        let mut grades = json!({
            "scope": scopes,
            "lineitems": format!("{}{LINE_ITEMS}?{TYPE}", self.url),
        });
        if coupled {
            grades["lineitem"] = json!(format!("{}{LINE_ITEMS}/7/lineitem?{TYPE}", self.url));
        }
        let now = now();
        let claims = json!({
            "iss": self.url, "sub": get("login_hint")?, "aud": CLIENT, "nonce": get("nonce")?, "iat": now, "exp": now + 60,
            (format!("{CLAIM}version")): "1.3.0",
            (format!("{CLAIM}message_type")): "LtiResourceLinkRequest",
            (format!("{CLAIM}deployment_id")): "1",
            (format!("{CLAIM}target_link_uri")): format!("{}/lti/labs/{lab}", self.tool),
            (format!("{CLAIM}resource_link")): {"id": "11", "title": "A lab"},
            (format!("{CLAIM}roles")): ["http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"],
            (format!("{CLAIM}context")): {"id": "2", "title": "Réseaux"},
            (format!("{AGS}claim/endpoint")): grades,
        });
        Ok(format!(
            "state={}&id_token={}",
            get("state")?,
            jwt::sign(&Pair::test(), "m1", &claims)?
        ))
    }

    /// The learner's grade in the coupled column.
    pub fn grade(&self, user: &str) -> Option<f64> {
        self.grade_in("7", user)
    }

    /// … in one that a tool made, by its number from 1.
    pub fn grade_made(&self, number: usize, user: &str) -> Option<f64> {
        self.grade_in(&format!("m{number}"), user)
    }

    fn grade_in(&self, item: &str, user: &str) -> Option<f64> {
        let key = (item.to_owned(), user.to_owned());
        self.state().grades.get(&key).and_then(|(grade, _)| *grade)
    }

    /// Everything that was stored of a learner.
    pub fn history(&self, user: &str) -> Vec<Option<f64>> {
        let state = self.state();
        let of = state.history.iter().filter(|(of, _)| of == user);
        of.map(|(_, grade)| *grade).collect()
    }

    /// A grade that came by another way, `seconds` from now.
    pub fn graded_elsewhere(&self, user: &str, grade: f64, seconds: i64) {
        let key = ("7".to_owned(), user.to_owned());
        self.state().grades.insert(key, (Some(grade), now() + seconds));
    }

    /// How often a score was answered with this status.
    pub fn answered(&self, status: u16) -> usize {
        self.state().scored.iter().filter(|s| **s == status).count()
    }

    /// Columns that tools made.
    pub fn made(&self) -> usize {
        self.state().made.len()
    }
}

impl Drop for Moodle {
    fn drop(&mut self) {
        self.server.abort();
    }
}

const CONFIGURATION: &str = "/mod/lti/openid-configuration.php";
const REGISTRATION: &str = "/mod/lti/openid-registration.php";
const LINE_ITEMS: &str = "/mod/lti/services.php/2/lineitems";

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

fn query(text: &str) -> BTreeMap<String, String> {
    let params = lab_core::launch::lti::Params::parse(text).unwrap_or_default();
    params.0.into_iter().collect()
}

/// What requests are answered from.
struct Site {
    url: String,
    tool: String,
    state: Arc<Mutex<State>>,
}

async fn serve(listener: TcpListener, site: Arc<Site>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let site = Arc::clone(&site);
                connections.spawn(async move { let _ = site.connection(stream).await; });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn read(stream: &mut TcpStream) -> Result<Request> {
    let mut bytes = Vec::new();
    let head = loop {
        ensure!(stream.read_buf(&mut bytes).await? > 0, "it hung up");
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec())?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(Ok(0), |l| l.parse())?;
    while bytes.len() < head + 4 + length {
        ensure!(stream.read_buf(&mut bytes).await? > 0, "it hung up");
    }
    let (path, more) = target.split_once('?').unwrap_or((target, ""));
    Ok(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query(more),
        headers,
        body: String::from_utf8(bytes[head + 4..].to_vec())?,
    })
}

impl Site {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    async fn connection(&self, mut stream: TcpStream) -> Result<()> {
        let request = read(&mut stream).await?;
        let (status, body) = match request.path.as_str() {
            "/mod/lti/certs.php" => (200, jwt::set("m1", &Pair::test()).to_string()),
            "/mod/lti/token.php" => self.token(&request).await.unwrap_or_else(|e| {
                (
                    400,
                    json!({"error": "invalid_client", "error_description": format!("{e:#}")}).to_string(),
                )
            }),
            CONFIGURATION => (200, self.configuration().to_string()),
            REGISTRATION => self
                .register(&request)
                .unwrap_or_else(|e| (400, json!({"message": format!("{e:#}")}).to_string())),
            _ => self.service(&request),
        };
        let head = format!(
            "HTTP/1.1 {status} -\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
        Ok(())
    }

    fn configuration(&self) -> Value {
        let scopes = ["lineitem", "lineitem.readonly", "result.readonly", "score"].map(|s| format!("{AGS}scope/{s}"));
        json!({
            "issuer": self.url,
            "token_endpoint": format!("{}/mod/lti/token.php", self.url),
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS256"],
            "jwks_uri": format!("{}/mod/lti/certs.php", self.url),
            "authorization_endpoint": format!("{}/mod/lti/auth.php", self.url),
            "registration_endpoint": format!("{}{REGISTRATION}", self.url),
            "scopes_supported": scopes,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public", "pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "claims_supported": ["sub", "iss", "name", "given_name", "family_name", "email"],
            "https://purl.imsglobal.org/spec/lti-platform-configuration": {
                "product_family_code": "moodle", "version": "4.5",
                "messages_supported": [{"type": "LtiResourceLinkRequest"}, {"type": "LtiDeepLinkingRequest", "placements": ["ContentArea"]}],
                "variables": [],
            },
        })
    }

    /// What Moodle asks of a tool that registers itself.
    fn register(&self, request: &Request) -> Result<Answer> {
        let token = request
            .headers
            .get("authorization")
            .and_then(|h| h.strip_prefix("Bearer "));
        let mut state = self.state();
        ensure!(token.is_some_and(|t| state.invited.remove(t)), "registration token");
        ensure!(request.method == "POST", "method");
        let tool: Value = serde_json::from_str(&request.body)?;
        let holds = |field: &str, value: &str| tool[field].as_array().is_some_and(|all| all.iter().any(|v| v == value));
        ensure!(tool["application_type"] == "web", "application_type");
        ensure!(holds("response_types", "id_token"), "response_types");
        ensure!(
            holds("grant_types", "implicit") && holds("grant_types", "client_credentials"),
            "grant_types"
        );
        ensure!(
            tool["token_endpoint_auth_method"] == "private_key_jwt",
            "token_endpoint_auth_method"
        );
        ensure!(
            holds("redirect_uris", &format!("{}/lti/launch", self.tool)),
            "redirect_uris"
        );
        ensure!(
            tool["initiate_login_uri"] == format!("{}/lti/login", self.tool),
            "initiate_login_uri"
        );
        ensure!(tool["jwks_uri"] == format!("{}/lti/jwks", self.tool), "jwks_uri");
        ensure!(
            tool["client_name"].as_str().is_some_and(|n| !n.is_empty()),
            "client_name"
        );
        let lti = &tool["https://purl.imsglobal.org/spec/lti-tool-configuration"];
        let target = lti["target_link_uri"].as_str().context("target_link_uri")?;
        let host = target.split_once("://").and_then(|(_, rest)| rest.split('/').next());
        ensure!(lti["domain"].as_str() == host, "the domain is not the target's");
        let mut answer = tool.clone();
        answer["client_id"] = json!(CLIENT);
        answer["https://purl.imsglobal.org/spec/lti-tool-configuration"]["deployment_id"] = json!("1");
        state.tools.push(tool);
        Ok((200, answer.to_string()))
    }

    /// As the standard asks: an assertion of the registered tool, signed with a key that it publishes, for this address, once.
    async fn token(&self, request: &Request) -> Result<Answer> {
        let form = query(&request.body);
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        ensure!(
            request.method == "POST" && field("grant_type") == "client_credentials",
            "grant_type"
        );
        ensure!(
            field("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "type"
        );
        let keys = crate::client()
            .get(format!("{}/lti/jwks", self.tool))
            .send()
            .await?
            .json()
            .await?;
        let claims = jwt::verified(field("client_assertion"), &keys)?;
        ensure!(
            claims["iss"] == CLIENT && claims["sub"] == CLIENT,
            "iss or sub: {claims}"
        );
        ensure!(
            claims["aud"] == format!("{}/mod/lti/token.php", self.url),
            "aud: {claims}"
        );
        let (iat, exp) = (
            claims["iat"].as_i64().context("iat")?,
            claims["exp"].as_i64().context("exp")?,
        );
        ensure!(iat <= now() && exp > now() && exp <= now() + 60, "times: {claims}");
        let jti = claims["jti"].as_str().context("jti")?.to_owned();
        let token = format!("moodle-{jti}");
        let mut state = self.state();
        ensure!(state.jtis.insert(jti), "jti was used");
        state.tokens.insert(token.clone());
        let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": field("scope")});
        Ok((200, body.to_string()))
    }

    fn service(&self, request: &Request) -> Answer {
        let mut state = self.state();
        let bearer = request
            .headers
            .get("authorization")
            .and_then(|h| h.strip_prefix("Bearer "));
        if !bearer.is_some_and(|t| state.tokens.contains(t)) {
            return (401, "{}".into());
        }
        let Some(rest) = request
            .path
            .strip_prefix(LINE_ITEMS)
            .filter(|_| request.query.get("type_id").is_some_and(|t| t == "3"))
        else {
            return (404, "{}".into());
        };
        let kind = request
            .headers
            .get("content-type")
            .map(String::as_str)
            .unwrap_or_default();
        match (
            request.method.as_str(),
            rest.split('/').skip(1).collect::<Vec<_>>().as_slice(),
        ) {
            ("GET", []) => {
                let wanted = request.query.get("resource_id");
                let found = state
                    .made
                    .iter()
                    .filter(|i| wanted.is_none_or(|w| i["resourceId"] == *w));
                (200, json!(found.collect::<Vec<_>>()).to_string())
            }
            ("POST", []) if kind == "application/vnd.ims.lis.v2.lineitem+json" => {
                let Ok(mut item) = serde_json::from_str::<Value>(&request.body) else {
                    return (400, "{}".into());
                };
                item["id"] = json!(format!(
                    "{}{LINE_ITEMS}/m{}/lineitem?{TYPE}",
                    self.url,
                    state.made.len() + 1
                ));
                state.made.push(item.clone());
                (201, item.to_string())
            }
            ("POST", [item, "lineitem", "scores"]) => {
                let status = if kind == "application/vnd.ims.lis.v1.score+json" {
                    state.score(item, &request.body)
                } else {
                    400
                };
                state.scored.push(status);
                (status, String::new())
            }
            ("GET", [item, "lineitem", "results"]) => {
                let user = request.query.get("user_id").cloned().unwrap_or_default();
                let found = state.grades.get(&((*item).to_owned(), user.clone()));
                let result = |grade| json!([{"userId": user, "resultScore": grade, "resultMaximum": 100}]);
                (
                    200,
                    found.map_or_else(|| json!([]), |(grade, _)| result(*grade)).to_string(),
                )
            }
            _ => (400, "{}".into()),
        }
    }
}

impl State {
    /// A score, and the status it is answered with.
    fn score(&mut self, item: &str, body: &str) -> u16 {
        let score: Value = serde_json::from_str(body).unwrap_or_default();
        let text = |name: &str| score[name].as_str().map(str::to_owned);
        let (Some(user), Some(time), Some(grading), Some(_)) = (
            text("userId"),
            text("timestamp"),
            text("gradingProgress"),
            text("activityProgress"),
        ) else {
            return 400;
        };
        let Ok(time) = time.parse::<lab_core::Timestamp>() else {
            return 400;
        };
        if user.starts_with("teacher") {
            return 400;
        }
        let key = (item.to_owned(), user.clone());
        if self.grades.get(&key).is_some_and(|(_, since)| *since >= time.secs()) {
            return 409;
        }
        let given = score["scoreGiven"].as_f64().filter(|_| grading == "FullyGraded");
        let grade = given.map(|g| g * 100.0 / score["scoreMaximum"].as_f64().unwrap_or(1.0));
        self.history.push((user, grade));
        self.grades.insert(key, (grade, time.secs()));
        200
    }
}
