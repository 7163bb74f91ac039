//! A client of the simulated cluster for tests, and objects that they use.
#![allow(
    dead_code,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "shared by tests that each use a part; a panic is the report"
)]

use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use capstan_playground::sim::{SimCluster, SimOptions, User};
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};

/// How long a watch may take to say something before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Api {
    pub sim: SimCluster,
    pub http: Client,
    pub token: String,
}

pub fn start(options: SimOptions) -> Api {
    let sim = SimCluster::start(options).unwrap();
    let token = sim.token_for(User::admin());
    Api {
        sim,
        http: Client::builder().timeout(PATIENCE).build().unwrap(),
        token,
    }
}

impl Api {
    pub fn send(&self, method: &str, path: &str, media: &str, body: Option<&Value>) -> Response {
        let mut request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.sim.url()))
            .bearer_auth(&self.token)
            .header("user-agent", "test-agent/1");
        if let Some(body) = body {
            request = request.header("content-type", media).body(body.to_string());
        }
        request.send().unwrap()
    }

    pub fn json(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let answer = self.send(method, path, "application/json", body);
        let code = answer.status().as_u16();
        let text = answer.text().unwrap();
        // Paths that are no part of the API are answered with bare text.
        (
            code,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        self.json("GET", path, None)
    }

    pub fn apply(&self, path: &str, manager: &str, query: &str, body: &Value) -> (u16, Value) {
        let answer = self.send(
            "PATCH",
            &format!("{path}?fieldManager={manager}{query}"),
            "application/apply-patch+yaml",
            Some(body),
        );
        (answer.status().as_u16(), answer.json().unwrap())
    }

    pub fn watch(&self, path: &str) -> Events {
        let answer = self.send("GET", path, "", None);
        Events {
            code: answer.status().as_u16(),
            lines: BufReader::new(answer),
        }
    }
}

pub struct Events {
    pub code: u16,
    pub lines: BufReader<Response>,
}

impl Events {
    pub fn next(&mut self) -> Value {
        let mut line = String::new();
        self.lines
            .read_line(&mut line)
            .expect("the watch says something in time");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"))
    }

    pub fn kind_and_name(&mut self) -> (String, String) {
        let event = self.next();
        (
            event["type"].as_str().unwrap().to_owned(),
            event["object"]["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }
}

pub const MAPS: &str = "/api/v1/namespaces/default/configmaps";

pub fn map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

pub fn deployment(name: &str, replicas: u32, image: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
           "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image, "ports": [{"containerPort": 80}]}]}}}})
}
