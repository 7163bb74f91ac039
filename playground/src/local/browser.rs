//! A real browser without a window, for tests of the console: Chromium, driven by its own `chromedriver` (W3C WebDriver).

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::folder;
use super::process::{Process, State};
use super::ready::chain;
use super::reaper::Reaper;
use crate::ports;

/// Where Debian and others put the programs.
const DRIVERS: [&str; 2] = ["/usr/bin/chromedriver", "/usr/local/bin/chromedriver"];
const BROWSERS: [&str; 4] = [
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
    "/usr/local/bin/chromium",
];

/// A first start on a busy machine reads some 300 MB from disk.
const START_LIMIT: Duration = Duration::from_secs(120);

/// How long something on a page is waited for.
const PAGE_LIMIT: Duration = Duration::from_secs(60);

/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The key under which WebDriver gives the reference of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Chromium with one tab. It ends when it is dropped.
#[derive(Debug)]
pub struct Browser {
    client: reqwest::Client,
    session: String,
    driver: Process,
    _reaper: Reaper,
    _folder: TempDir,
}

/// What went wrong in the browser.
#[derive(Debug, thiserror::Error)]
pub enum BrowserError {
    /// A program is not installed.
    #[error(
        "{program} was not found; install Debian's chromium and chromium-driver, or their like"
    )]
    Missing {
        /// Its name.
        program: &'static str,
    },
    /// The driver does not run.
    #[error("chromedriver does not run: {reason}; the last lines of its log:\n{log}")]
    NotRunning {
        /// What was seen.
        reason: String,
        /// Its log.
        log: String,
    },
    /// A command was refused.
    #[error("browser: {doing} failed: {reason}")]
    Command {
        /// The command.
        doing: String,
        /// The driver's words.
        reason: String,
    },
    /// What was waited for did not come.
    #[error("browser: {what} did not come within {} s; the page says:\n{page}", PAGE_LIMIT.as_secs())]
    Awaited {
        /// What was waited for.
        what: String,
        /// The page's text.
        page: String,
    },
}

impl Browser {
    /// Whether there is a browser to start.
    pub fn available() -> Result<(), BrowserError> {
        find("chromium", &BROWSERS)
            .and(find("chromedriver", &DRIVERS))
            .map(|_| ())
    }

    /// Starts the browser with an empty profile.
    pub async fn start() -> Result<Self, BrowserError> {
        let (driver, browser) = (
            find("chromedriver", &DRIVERS)?,
            find("chromium", &BROWSERS)?,
        );
        let failed = |reason: String| BrowserError::NotRunning {
            reason,
            log: String::new(),
        };
        let folder =
            folder::private("capstan-browser-").map_err(|error| failed(error.to_string()))?;
        let reaper = Reaper::start(folder.path()).map_err(|error| failed(error.to_string()))?;
        let port = ports::claim().map_err(|error| failed(error.to_string()))?;
        let mut command = Command::new(driver);
        command
            .arg(format!("--port={port}"))
            .env("HOME", folder.path());
        let process = Process::start(command, &folder.path().join("log"), &reaper, |_, _| {})
            .map_err(|error| failed(error.to_string()))?;
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(START_LIMIT)
            .build()
            .map_err(|error| failed(chain(&error)))?;
        let base = format!("http://127.0.0.1:{port}");
        wait_driver(&client, &base, &process).await?;
        let wanted = capabilities(browser, folder.path());
        let made = call(
            &client,
            reqwest::Method::POST,
            &format!("{base}/session"),
            Some(&wanted),
        )
        .await?;
        let id = made["sessionId"].as_str().unwrap_or_default();
        Ok(Self {
            client,
            session: format!("{base}/session/{id}"),
            driver: process,
            _reaper: reaper,
            _folder: folder,
        })
    }

    /// Opens a page and waits until it is loaded.
    pub async fn open(&self, url: &str) -> Result<(), BrowserError> {
        self.post("url", &json!({"url": url})).await.map(|_| ())
    }

    /// The address of the page.
    pub async fn url(&self) -> Result<String, BrowserError> {
        let url = call(
            &self.client,
            reqwest::Method::GET,
            &format!("{}/url", self.session),
            None,
        )
        .await?;
        Ok(url.as_str().unwrap_or_default().to_owned())
    }

    /// Runs `script` (the body of a function) in the page and gives what it returns.
    pub async fn run(&self, script: &str) -> Result<Value, BrowserError> {
        self.post("execute/sync", &json!({"script": script, "args": []}))
            .await
    }

    /// The text that a person sees.
    pub async fn text(&self) -> Result<String, BrowserError> {
        Ok(self
            .run("return document.body ? document.body.innerText : ''")
            .await?
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }

    /// Waits until the page shows `text`, without reloading it.
    pub async fn wait_for_text(&self, text: &str) -> Result<(), BrowserError> {
        let deadline = Instant::now() + PAGE_LIMIT;
        loop {
            let page = self.text().await?;
            if page.contains(text) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(BrowserError::Awaited {
                    what: format!("the text {text:?}"),
                    page,
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Types into the element that a CSS selector names.
    pub async fn type_into(&self, selector: &str, text: &str) -> Result<(), BrowserError> {
        let element = self.element(selector).await?;
        self.post(&format!("element/{element}/value"), &json!({"text": text}))
            .await
            .map(|_| ())
    }

    /// Clicks on the element that a CSS selector names.
    pub async fn click(&self, selector: &str) -> Result<(), BrowserError> {
        let element = self.element(selector).await?;
        self.post(&format!("element/{element}/click"), &json!({}))
            .await
            .map(|_| ())
    }

    /// What the page wrote to the browser's log since it was read last: errors of scripts, blocked content, failed requests.
    pub async fn log(&self) -> Result<Vec<String>, BrowserError> {
        let entries = self.post("se/log", &json!({"type": "browser"})).await?;
        let line = |entry: &Value| {
            format!(
                "{}: {}",
                entry["level"].as_str().unwrap_or_default(),
                entry["message"].as_str().unwrap_or_default()
            )
        };
        Ok(entries.as_array().into_iter().flatten().map(line).collect())
    }

    async fn element(&self, selector: &str) -> Result<String, BrowserError> {
        let found = self
            .post(
                "element",
                &json!({"using": "css selector", "value": selector}),
            )
            .await?;
        Ok(found[ELEMENT].as_str().unwrap_or_default().to_owned())
    }

    async fn post(&self, command: &str, body: &Value) -> Result<Value, BrowserError> {
        call(
            &self.client,
            reqwest::Method::POST,
            &format!("{}/{command}", self.session),
            Some(body),
        )
        .await
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser's processes have a group of their own; they end when the driver's end of their pipe closes.
        self.driver.signal(Signal::SIGKILL);
    }
}

/// An empty profile, no window, and a pipe to the driver instead of a port.
fn capabilities(browser: &str, folder: &Path) -> Value {
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    // The sandbox needs user namespaces, which containers and root often have not; only our own console is opened.
    let args = [
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--remote-debugging-pipe",
        &profile,
    ];
    json!({"capabilities": {"alwaysMatch": {
        "browserName": "chrome",
        "goog:chromeOptions": {"binary": browser, "args": args},
        "goog:loggingPrefs": {"browser": "ALL"},
    }}})
}

async fn wait_driver(
    client: &reqwest::Client,
    base: &str,
    driver: &Process,
) -> Result<(), BrowserError> {
    let (state, deadline) = (driver.state(), Instant::now() + START_LIMIT);
    loop {
        let seen = call(
            client,
            reqwest::Method::GET,
            &format!("{base}/status"),
            None,
        )
        .await;
        let reason = match (&*state.borrow(), seen) {
            (State::Ended { status, .. }, _) => format!("it ended ({status})"),
            (State::Running, Ok(status)) if status["ready"] == true => return Ok(()),
            (State::Running, _) if Instant::now() < deadline => String::new(),
            (State::Running, Ok(status)) => status.to_string(),
            (State::Running, Err(error)) => error.to_string(),
        };
        if !reason.is_empty() {
            return Err(BrowserError::NotRunning {
                reason,
                log: driver.log_tail(),
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// One WebDriver command: the `value` of its answer.
async fn call(
    client: &reqwest::Client,
    method: reqwest::Method,
    url: &str,
    body: Option<&Value>,
) -> Result<Value, BrowserError> {
    let failed = |reason| BrowserError::Command {
        doing: format!("{method} {}", url.rsplit('/').next().unwrap_or_default()),
        reason,
    };
    let request = client.request(method.clone(), url);
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    let answer = request
        .send()
        .await
        .map_err(|error| failed(chain(&error)))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| failed(chain(&error)))?;
    let mut value: Value = serde_json::from_str(&text)
        .map_err(|error| failed(format!("{status}, {error}: {text}")))?;
    if !status.is_success() {
        let message = value["value"]["message"].as_str().unwrap_or(&text);
        return Err(failed(
            message.lines().next().unwrap_or_default().to_owned(),
        ));
    }
    Ok(value["value"].take())
}

fn find(program: &'static str, places: &[&'static str]) -> Result<&'static str, BrowserError> {
    places
        .iter()
        .copied()
        .find(|path| Path::new(path).is_file())
        .ok_or(BrowserError::Missing { program })
}
