//! Asks a part whether it is well, until it is.

use std::time::{Duration, Instant};

use serde_json::Value;

/// An API server is ready some five seconds after its start on two idle cores; a machine that does much else at the
/// same time may take far longer, and a part that cannot start ends and is seen at once.
pub(super) const READY_LIMIT: Duration = Duration::from_secs(180);

/// How often it is asked. One request costs the part less than a millisecond.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// How long one answer may take: a starting API server accepts connections before it answers.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Asks `GET url` until `good` accepts its body, and gives up after [`READY_LIMIT`] with what was seen last.
pub(super) async fn wait_until(
    client: &reqwest::Client,
    url: &str,
    good: impl Fn(&Value) -> bool,
) -> Result<(), String> {
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        let seen = match ask(client, url).await {
            Ok(body) if good(&body) => return Ok(()),
            Ok(body) => body.to_string(),
            Err(reason) => reason,
        };
        if Instant::now() >= deadline {
            return Err(format!("GET {url}: {seen}"));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// The body of a successful answer: JSON, or a string.
async fn ask(client: &reqwest::Client, url: &str) -> Result<Value, String> {
    let answer = client
        .get(url)
        .timeout(ANSWER_LIMIT)
        .send()
        .await
        .map_err(|error| chain(&error))?;
    let status = answer.status();
    let body = answer.text().await.map_err(|error| chain(&error))?;
    if !status.is_success() {
        return Err(format!("{status}: {}", body.trim()));
    }
    Ok(serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

/// An error with all its causes: the outermost of a request says only that it failed.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
