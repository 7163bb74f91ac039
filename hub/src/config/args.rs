//! Flags of `capstan hub`.

use std::{net::SocketAddr, path::PathBuf};

use super::{Config, ConfigError, FleetSource};

/// Flags of `capstan hub`; they win over the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Configuration file (TOML)
    #[arg(long, env = "CAPSTAN_HUB_CONFIG")]
    pub config: Option<PathBuf>,
    /// Folder for the store, keys, mirrors and blobs
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// Where agents connect
    #[arg(long)]
    pub agents_listen: Option<SocketAddr>,
    /// Name or address under which agents reach the hub; may be repeated
    #[arg(long = "agents-name")]
    pub agents_names: Vec<String>,
    /// Where the API and the console are
    #[arg(long)]
    pub api_listen: Option<SocketAddr>,
    /// Where Prometheus finds the metrics
    #[arg(long)]
    pub metrics_listen: Option<SocketAddr>,
    /// Address of the repository with the fleet path
    #[arg(long)]
    pub fleet_url: Option<String>,
    /// Branch of the repository with the fleet path
    #[arg(long)]
    pub fleet_branch: Option<String>,
    /// Folder of the fleet path in its repository
    #[arg(long)]
    pub fleet_path: Option<String>,
    /// Where traces go by OTLP over gRPC, such as http://127.0.0.1:4317
    #[arg(long, env = "CAPSTAN_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// PEM file with the authority of an https:// collector, where the system's authorities do not know it
    #[arg(long, env = "CAPSTAN_OTLP_CA")]
    pub otlp_ca: Option<PathBuf>,
}

impl Args {
    /// The configuration that file and flags give together, checked.
    ///
    /// # Errors
    /// When the file cannot be read or something cannot be.
    pub fn into_config(self) -> Result<Config, ConfigError> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        if let Some(it) = self.data_dir {
            config.data_dir = it;
        }
        if let Some(it) = self.agents_listen {
            config.agents_listen = it;
        }
        config.agents_names.extend(self.agents_names);
        if let Some(it) = self.api_listen {
            config.api_listen = it;
        }
        config.metrics_listen = self.metrics_listen.or(config.metrics_listen);
        config.otlp_endpoint = self.otlp_endpoint.or(config.otlp_endpoint);
        config.otlp_ca = self.otlp_ca.or(config.otlp_ca);
        if let Some(url) = self.fleet_url {
            let old = config.fleet.take();
            config.fleet = Some(FleetSource {
                url,
                branch: old.as_ref().map_or("main".into(), |it| it.branch.clone()),
                path: old.as_ref().map_or(String::new(), |it| it.path.clone()),
                credentials: old.as_ref().and_then(|it| it.credentials.clone()),
                name: old.map_or("fleet".into(), |it| it.name),
            });
        }
        if let Some(fleet) = &mut config.fleet {
            fleet.branch = self.fleet_branch.unwrap_or_else(|| fleet.branch.clone());
            fleet.path = self.fleet_path.unwrap_or_else(|| fleet.path.clone());
        }
        config.check()?;
        Ok(config)
    }
}
