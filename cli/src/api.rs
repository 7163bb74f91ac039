//! The hub's JSON API, as the command uses it.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use clap::Args;
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// Longer than any answer takes that is not streamed.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Where the routes are.
const BASE: &str = "/api/v1";

/// Which hub, and who asks. Flags win over the environment, which wins over the file that `capstan demo` and `capstan login` write.
#[derive(Args, Clone, Debug)]
pub(crate) struct HubFlags {
    /// Address of the hub's API, such as http://127.0.0.1:7080.
    #[arg(
        long,
        global = true,
        env = "CAPSTAN_HUB",
        value_name = "URL",
        hide_env_values = true
    )]
    pub(crate) hub: Option<String>,
    /// File with the token to use.
    #[arg(
        long,
        global = true,
        env = "CAPSTAN_TOKEN_FILE",
        value_name = "FILE",
        hide_env_values = true
    )]
    pub(crate) token_file: Option<PathBuf>,
    /// PEM file with the authority of the hub's certificate, where it is not a public one.
    #[arg(
        long,
        global = true,
        env = "CAPSTAN_CA_FILE",
        value_name = "FILE",
        hide_env_values = true
    )]
    pub(crate) ca_file: Option<PathBuf>,
}

/// A client of one hub.
pub(crate) struct Api {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// An answer that is no success, with the status code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refused {
    /// HTTP status.
    pub(crate) status: StatusCode,
    /// The hub's words.
    pub(crate) message: String,
}

impl Api {
    /// The hub that the flags, the environment or the current context name.
    pub(crate) fn connect(flags: &HubFlags) -> anyhow::Result<Self> {
        let context = crate::context::current()?;
        let url = flags
            .hub
            .clone()
            .or_else(|| context.as_ref().map(|it| it.hub.clone()));
        let Some(url) = url else {
            bail!(
                "no hub is named: use --hub and --token-file, or `capstan login URL --token-file FILE`"
            );
        };
        let same_hub = context.filter(|it| it.hub == url);
        let file = flags
            .token_file
            .clone()
            .or_else(|| same_hub.as_ref().map(|it| it.token_file.clone()));
        let Some(file) = file else {
            bail!(
                "no token for {url}: use --token-file; the hub writes its admin token into its data folder"
            );
        };
        let token =
            fs::read_to_string(&file).with_context(|| format!("token file {}", file.display()))?;
        let ca = flags
            .ca_file
            .clone()
            .or_else(|| same_hub.and_then(|it| it.ca_file));
        let mut http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(ca) = ca {
            let pem = fs::read(&ca).with_context(|| format!("authority file {}", ca.display()))?;
            http = http.add_root_certificate(reqwest::Certificate::from_pem(&pem)?);
        }
        Ok(Self {
            http: http.build()?,
            url: url.trim_end_matches('/').to_owned(),
            token: token.trim().to_owned(),
        })
    }

    /// A client for a hub in this process.
    pub(crate) fn to(url: &str, token: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self {
            http,
            url: url.trim_end_matches('/').to_owned(),
            token: token.to_owned(),
        })
    }

    /// Reads.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let query: Vec<_> = query.iter().filter(|it| !it.1.is_empty()).collect();
        self.send(self.request(Method::GET, path).query(&query))
            .await
    }

    /// Asks for something to be done.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Removes something.
    pub(crate) async fn delete(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.request(Method::DELETE, path).json(body))
            .await
    }

    /// The hub's stream of changes: one line for each.
    pub(crate) async fn watch(&self) -> anyhow::Result<reqwest::Response> {
        let url = format!("{}{BASE}/watch", self.url);
        let endless = Duration::from_secs(24 * 3600);
        let answer = self
            .http
            .get(&url)
            .bearer_auth(&self.token)
            .timeout(endless)
            .send()
            .await;
        let answer = answer.with_context(|| self.unreachable())?;
        if !answer.status().is_success() {
            bail!("{url}: {}", answer.status());
        }
        Ok(answer)
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{BASE}{path}", self.url);
        self.http.request(method, url).bearer_auth(&self.token)
    }

    fn unreachable(&self) -> String {
        format!(
            "the hub at {} does not answer; is it running, and is the address right?",
            self.url
        )
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let answer = request.send().await.with_context(|| self.unreachable())?;
        let status = answer.status();
        let text = answer.text().await.context("the hub's answer broke off")?;
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(value);
        }
        let said = value["message"]
            .as_str()
            .map_or_else(|| text.chars().take(200).collect(), str::to_owned);
        let message = match status {
            StatusCode::UNAUTHORIZED => format!("the hub does not know this token ({})", self.url),
            _ if said.is_empty() => status.to_string(),
            _ => said,
        };
        Err(Refused { status, message }.into())
    }
}
