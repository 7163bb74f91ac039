//! A hub of its own, with a configuration that a test writes.

use std::path::{Path, PathBuf};

use capstan_integration::harness::{Api, Cluster, Process, condition, free_address, wait_for};
use serde_json::{Value, json};

/// A hub as a process.
pub(crate) struct Hub {
    pub(crate) api: Api,
    pub(crate) process: Process,
    authority: PathBuf,
}

impl Hub {
    /// Starts one whose data is below `folder`. `config` is what its configuration says beside where it listens.
    pub(crate) async fn start(folder: &Path, config: &str) -> anyhow::Result<Self> {
        let (agents, address) = (free_address()?, free_address()?);
        let data = folder.join("hub");
        let file = folder.join("hub.toml");
        let listen = format!(
            "data_dir = {data:?}\nagents_listen = \"{agents}\"\napi_listen = \"{address}\"\nstatus_interval_ms = 200\n"
        );
        std::fs::write(&file, format!("{listen}{config}"))?;
        let process = Process::start(folder, "hub", &["hub", "--config", &file.to_string_lossy()])?;
        let url = format!("http://{address}");
        let api = wait_for("the hub to answer", async || {
            if let Some(ended) = process.ended() {
                return Ok(Err(format!("it ended: {ended}")));
            }
            let Ok(token) = std::fs::read_to_string(data.join("admin.token")) else {
                return Ok(Err("no admin token yet".to_owned()));
            };
            let api = Api::new(&url, token.trim());
            let answer = api.get("/hub", &[]).await;
            Ok(answer.map(|_| api).map_err(|it| format!("{it:#}")))
        })
        .await?;
        let authority = data.join("keys/ca.crt");
        Ok(Self {
            api,
            process,
            authority,
        })
    }

    /// The source called `fleet`.
    pub(crate) async fn source(&self) -> anyhow::Result<Value> {
        let list = self.api.get("/sources", &[]).await?;
        Ok(list["items"][0].clone())
    }

    /// Waits until the source is at `commit`.
    pub(crate) async fn at(&self, commit: &str) -> anyhow::Result<()> {
        wait_for(&format!("the source at {commit}"), async || {
            let source = self.source().await?;
            let revision = source["status"]["revision"].as_str().unwrap_or_default();
            let good = revision.ends_with(commit);
            Ok(if good {
                Ok(())
            } else {
                Err(source["status"].to_string())
            })
        })
        .await
    }

    /// Waits until the unit of this name is ready at `commit`.
    pub(crate) async fn ready(&self, unit: &str, commit: &str) -> anyhow::Result<()> {
        wait_for(&format!("{unit} to be ready at {commit}"), async || {
            let units = self.api.get("/units", &[("name", unit)]).await?;
            let unit = &units["items"][0];
            let applied = unit["status"]["lastAppliedRevision"].as_str();
            let good = condition(unit, "Ready")["status"] == "True"
                && applied.is_some_and(|it| it.ends_with(commit));
            Ok(if good {
                Ok(())
            } else {
                Err(unit["status"].to_string())
            })
        })
        .await
    }

    /// Waits until the source says that it cannot be fetched, with `text`.
    pub(crate) async fn fails(&self, text: &str) -> anyhow::Result<()> {
        wait_for(&format!("a failed fetch that says {text:?}"), async || {
            let source = self.source().await?;
            let said = source["status"]["conditions"][0]["message"].as_str();
            let good = said.is_some_and(|it| it.contains(text));
            Ok(if good {
                Ok(())
            } else {
                Err(source["status"].to_string())
            })
        })
        .await
    }

    /// Adds a cluster whose files are in `folder`, and starts its agent with `more` flags.
    pub(crate) async fn enrol(
        &self,
        folder: &Path,
        name: &str,
        more: &[String],
    ) -> anyhow::Result<(Cluster, Process)> {
        let cluster = Cluster::simulated(name, folder).await?;
        let added = self.api.post("/clusters", &json!({"name": name})).await?;
        let token = folder.join(format!("{name}.token"));
        std::fs::write(&token, added["token"].as_str().unwrap_or_default())?;
        let mut args = vec![
            "agent".to_owned(),
            format!(
                "--hub=https://{}",
                added["hub"].as_str().unwrap_or_default()
            ),
            format!("--hub-ca={}", self.authority.display()),
            format!("--token-file={}", token.display()),
            format!(
                "--state-dir={}",
                folder.join(format!("agent-{name}")).display()
            ),
            format!("--kubeconfig={}", cluster.kubeconfig.display()),
        ];
        args.extend_from_slice(more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let agent = Process::start(folder, &format!("agent-{name}"), &args)?;
        Ok((cluster, agent))
    }
}
