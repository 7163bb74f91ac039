//! The hub's JSON API.

use anyhow::{Context, bail};
use serde_json::Value;

/// A client with the admin's token.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    /// Address of the hub.
    pub url: String,
    /// The admin's token.
    pub token: String,
}

impl Api {
    /// A client of the hub at `url`.
    pub fn new(url: &str, token: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: url.to_owned(),
            token: token.to_owned(),
        }
    }

    /// Reads.
    ///
    /// # Errors
    /// When the hub does not answer or refuses; its words are in the error.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let request = self
            .http
            .get(format!("{}/api/v1{path}", self.url))
            .query(query);
        self.send(request).await
    }

    /// Asks for something.
    ///
    /// # Errors
    /// When the hub does not answer or refuses; its words are in the error.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self
            .http
            .post(format!("{}/api/v1{path}", self.url))
            .json(body);
        self.send(request).await
    }

    /// The body of any path of the hub, with the token.
    ///
    /// # Errors
    /// When the hub does not answer.
    pub async fn text(&self, path: &str) -> anyhow::Result<String> {
        let request = self
            .http
            .get(format!("{}{path}", self.url))
            .bearer_auth(&self.token);
        Ok(request.send().await?.text().await?)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let answer = request
            .bearer_auth(&self.token)
            .send()
            .await
            .context("the hub does not answer")?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("{status}: {text}");
        }
        serde_json::from_str(&text).with_context(|| text)
    }
}
