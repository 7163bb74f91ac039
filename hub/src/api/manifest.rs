//! What `capstan cluster add` prints: everything that an agent needs, to be applied in its cluster.

use crate::{secret::Secret, state::Hub};

/// The agent as a Deployment, without anything that differs between clusters.
const AGENT: &str = include_str!("../../../deploy/agent/agent.yaml");

/// The manifests for the agent of the cluster `name`. The token is in it: it is good once, for an hour.
pub(super) fn agent(hub: &Hub, name: &str, token: &Secret) -> String {
    let indented: String = hub
        .authority
        .pem()
        .lines()
        .map(|it| format!("    {it}\n"))
        .collect();
    format!(
        "{AGENT}---\n\
         apiVersion: v1\n\
         kind: Secret\n\
         metadata:\n  \
           name: capstan-agent-enrolment\n  \
           namespace: capstan-system\n\
         type: Opaque\n\
         stringData:\n  \
           cluster: {name}\n  \
           hub: https://{address}\n  \
           token: {token}\n  \
           ca.crt: |\n{indented}",
        address = hub.agents_address,
        token = token.expose_text(),
    )
}
