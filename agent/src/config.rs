//! The agent's configuration: flags, with an environment variable for each.

use std::{net::SocketAddr, path::PathBuf};

use capstan_core::Digest;

/// Flags of `capstan agent` and `capstan-agent`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where the hub listens for agents, such as `https://hub.example.org:7443`
    #[arg(long, env = "CAPSTAN_HUB", value_name = "URL")]
    pub hub: String,
    /// File with the hub's CA certificate (PEM); needed, or the pin, until the agent is enrolled
    #[arg(long, env = "CAPSTAN_HUB_CA", value_name = "FILE")]
    pub hub_ca: Option<PathBuf>,
    /// SHA-256 of the hub's CA certificate (DER), in place of the certificate
    #[arg(long, env = "CAPSTAN_HUB_CA_PIN", value_name = "sha256:HEX")]
    pub hub_ca_pin: Option<Digest>,
    /// File with the one-time token of `capstan cluster add`; not needed once the agent is enrolled
    #[arg(long, env = "CAPSTAN_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Folder for what the agent keeps to go on alone; made with mode 0700
    #[arg(
        long,
        env = "CAPSTAN_STATE_DIR",
        default_value = "/var/lib/capstan-agent",
        value_name = "DIR"
    )]
    pub state_dir: PathBuf,
    /// Kubeconfig of the cluster; without it the agent is a pod of the cluster
    #[arg(long, env = "CAPSTAN_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Namespace of the agent's own objects
    #[arg(
        long,
        env = "CAPSTAN_NAMESPACE",
        default_value = "capstan-system",
        value_name = "NAME"
    )]
    pub namespace: String,
    /// Keep the agent's key and certificate in this Secret of its namespace, not in the state folder
    #[arg(long, env = "CAPSTAN_IDENTITY_SECRET", value_name = "NAME")]
    pub identity_secret: Option<String>,
    /// Address for /livez, /readyz and /metrics
    #[arg(long, env = "CAPSTAN_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Where traces go by OTLP over gRPC, such as http://127.0.0.1:4317
    #[arg(long, env = "CAPSTAN_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// PEM file with the authority of an https:// collector, where the system's authorities do not know it
    #[arg(long, env = "CAPSTAN_OTLP_CA", value_name = "FILE")]
    pub otlp_ca: Option<PathBuf>,
}

/// What an agent runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the hub listens: `https://host:port`.
    pub hub: String,
    /// The hub's CA certificate.
    pub hub_ca: Option<PathBuf>,
    /// Digest of the hub's CA certificate, in place of it.
    pub hub_ca_pin: Option<Digest>,
    /// One-time token.
    pub token_file: Option<PathBuf>,
    /// Folder for what is kept.
    pub state_dir: PathBuf,
    /// Kubeconfig; none in a pod.
    pub kubeconfig: Option<PathBuf>,
    /// Namespace of the agent's own objects.
    pub namespace: String,
    /// Secret for the identity; none for the state folder.
    pub identity_secret: Option<String>,
    /// Address for health and metrics.
    pub listen: Option<SocketAddr>,
    /// Where traces go; none where it is not set.
    pub otlp_endpoint: Option<String>,
    /// The authority of the collector there.
    pub otlp_ca: Option<PathBuf>,
}

impl From<Args> for Config {
    fn from(args: Args) -> Self {
        let Args {
            hub,
            hub_ca,
            hub_ca_pin,
            token_file,
            state_dir,
            kubeconfig,
            namespace,
            identity_secret,
            listen,
            otlp_endpoint,
            otlp_ca,
        } = args;
        Self {
            hub,
            hub_ca,
            hub_ca_pin,
            token_file,
            state_dir,
            kubeconfig,
            namespace,
            identity_secret,
            listen,
            otlp_endpoint,
            otlp_ca,
        }
    }
}
