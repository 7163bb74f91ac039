//! Logs with fields, on stderr: what `CAPSTAN_LOG` asks for; JSON where `CAPSTAN_LOG_FORMAT` is `json`.

use tracing_subscriber::EnvFilter;

/// Starts logging; `default` is the filter where `CAPSTAN_LOG` says nothing.
pub(crate) fn start(default: &str) {
    let filter = EnvFilter::try_from_env("CAPSTAN_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr);
    let json = std::env::var("CAPSTAN_LOG_FORMAT").is_ok_and(|it| it == "json");
    let started = if json {
        logs.json().try_init()
    } else {
        logs.try_init()
    };
    // A second start in one process keeps the first.
    drop(started);
}
