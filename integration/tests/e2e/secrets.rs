//! Secret values: where they go, and where they must not be.

use anyhow::{Context, bail, ensure};
use capstan_integration::harness::{ClusterKind, Fleet, condition, wait_for};
use serde_json::json;

use super::{APP, NAMESPACE, base64, config_map, files, kustomization, start_with};

pub(crate) async fn planted_secrets_are_nowhere(kind: ClusterKind) -> anyhow::Result<()> {
    const CANARY: &str = "c4n4ry-8f1b2d77";
    let encoded = base64(CANARY);
    let mut files = files(&["dev"], false);
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: shop}}\nstringData: {{password: {CANARY}}}\n"
    );
    files.push(("apps/secret.yaml".into(), secret));
    let fleet = start_with(kind, &["dev"], files).await?;
    let path = "/api/v1/namespaces/shop/secrets/s";
    fleet
        .cluster("dev")
        .shows(path, "/data/password", &json!(encoded))
        .await?;
    fleet.healthy("dev", &["apps"], "").await?;
    // A change by hand and a broken version make diffs and errors, where a value could slip out.
    fleet
        .cluster("dev")
        .patch(path, &json!({"data": {"password": "aGFuZA=="}}))
        .await?;
    fleet
        .cluster("dev")
        .shows(path, "/data/password", &json!(encoded))
        .await?;
    let broken = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: shop}}\nstringData: {{password: {{{CANARY}: 1}}}}\nimmutable: [{CANARY}]\n"
    );
    fleet
        .repository
        .commit("broken", &[("apps/secret.yaml", &broken)])
        .await?;
    wait_for("the broken Secret to be refused", async || {
        let unit = fleet.unit("dev", "apps").await?;
        let ready = condition(&unit, "Ready");
        Ok(if ready["status"] == "False" {
            Ok(())
        } else {
            Err(ready.to_string())
        })
    })
    .await?;

    are_nowhere(&fleet, &[CANARY, &encoded]).await
}

/// Looks for values in everything that the fleet wrote and says.
async fn are_nowhere(fleet: &Fleet, needles: &[&str]) -> anyhow::Result<()> {
    let mut places = fleet.written()?;
    for path in [
        "/clusters",
        "/units",
        "/objects",
        "/events",
        "/audit",
        "/pipelines",
        "/sources",
        "/clusters/dev/diff",
        "/hub",
    ] {
        let text = fleet.api.text(&format!("/api/v1{path}")).await?;
        places.push((path.into(), text.into_bytes()));
    }
    places.push(("/".into(), fleet.api.text("/").await?.into_bytes()));
    for (place, content) in places {
        for needle in needles {
            // The mirror holds what was pushed to Git, packed; everything else must not have it in any form.
            let found = content
                .windows(needle.len())
                .any(|it| it == needle.as_bytes());
            if found {
                bail!("a secret value is in {}", place.display());
            }
        }
    }
    Ok(())
}

const VARIABLES: &str = "  serviceAccountName: deployer\n  dependsOn: [{name: base}]\n  postBuild:\n    substitute: {region: eu}\n    \
    substituteFrom:\n    - {kind: ConfigMap, name: settings}\n    - {kind: Secret, name: credentials}\n    \
    - {kind: Secret, name: overrides, optional: true}\n";
/// A tenant's rights: the unit's variables are read with them too.
const DEPLOYER: &str =
    "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: deployer, namespace: flux-system}\n";
const SETTINGS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: flux-system}\ndata: {domain: example.org, token: overridden}\n";
const TEXT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: shop}\ndata:\n  value: ${domain} in ${region}\n  \
    kept: $${token}\n  url: https://${token}@${domain}\n---\n\
    apiVersion: v1\nkind: Secret\nmetadata: {name: 'for-${region}', namespace: shop}\nstringData: {token: '${token}'}\n";

const SECRETS: &str = "/api/v1/namespaces/flux-system/secrets";
const CREDENTIALS: &str = "/api/v1/namespaces/flux-system/secrets/credentials";
const PLAIN: &str = "/api/v1/namespaces/shop/configmaps/plain";
const MADE: &str = "/api/v1/namespaces/shop/secrets/for-eu";
const VALUE: &str = "c4n4ry-71aa09e3";
const MISSING: &str =
    "substitute from 'Secret/credentials' error: it is not there in namespace flux-system";

/// A fleet whose unit `apps` takes variables from its cluster, with the rights of `deployer` alone.
async fn start_with_variables(kind: ClusterKind) -> anyhow::Result<Fleet> {
    let mut files = files(&["dev"], false);
    files.retain(|it| it.0.starts_with("fleet/"));
    let units = [
        kustomization("base", "./base"),
        kustomization("apps", "./apps") + VARIABLES,
    ];
    let settings = format!("{DEPLOYER}---\n{SETTINGS}");
    files.extend([
        ("apps/app.yaml".into(), format!("{NAMESPACE}---\n{TEXT}")),
        ("apps/plain.yaml".into(), config_map("plain", "1")),
        ("base/settings.yaml".into(), settings),
        ("clusters/dev/units.yaml".into(), units.join("---\n")),
    ]);
    let fleet = start_with(kind, &["dev"], files).await?;
    allow_deployer(&fleet).await?;
    Ok(fleet)
}

async fn url_is(fleet: &Fleet, token: &str) -> anyhow::Result<()> {
    let url = json!(format!("https://{token}@example.org"));
    fleet.cluster("dev").shows(APP, "/data/url", &url).await
}

pub(crate) async fn variables_come_from_the_cluster(kind: ClusterKind) -> anyhow::Result<()> {
    let fleet = start_with_variables(kind).await?;
    let cluster = fleet.cluster("dev");
    fleet.says("dev", "apps", "Ready", "False", MISSING).await?;
    let early = cluster.get(PLAIN).await?;
    ensure!(early.is_none(), "applied before it was complete: {early:?}");

    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "credentials"},
                        "stringData": {"token": "first"}});
    cluster.create(SECRETS, &secret).await?;
    let value = json!("example.org in eu");
    cluster.shows(APP, "/data/value", &value).await?;
    cluster.shows(APP, "/data/kept", &json!("${token}")).await?;
    url_is(&fleet, "first").await?;
    fleet.healthy("dev", &["apps"], "").await?;

    // A new value comes without a commit, wherever it is used.
    let changed = json!({"data": {"token": base64(VALUE)}});
    cluster.patch(CREDENTIALS, &changed).await?;
    url_is(&fleet, VALUE).await?;
    let token = json!(base64(VALUE));
    cluster.shows(MADE, "/data/token", &token).await?;

    // What is no object with its variables says so, and quotes none.
    let broken = TEXT.replace("name: app,", "name: '/${token}',");
    commit(&fleet, &format!("{NAMESPACE}---\n{broken}")).await?;
    fleet
        .says("dev", "apps", "Ready", "False", "apps/app.yaml")
        .await?;
    commit(&fleet, &format!("{NAMESPACE}---\n{TEXT}")).await?;
    fleet.healthy("dev", &["apps"], "").await?;

    // Without the Secret, what was complete stays, and stays corrected.
    cluster.delete(CREDENTIALS).await?;
    fleet.says("dev", "apps", "Ready", "False", MISSING).await?;
    let by_hand = json!({"data": {"url": "by hand"}});
    cluster.patch(APP, &by_hand).await?;
    url_is(&fleet, VALUE).await?;
    cluster.get(MADE).await?.context("nothing is pruned")?;
    are_nowhere(&fleet, &[VALUE, &base64(VALUE)]).await
}

async fn commit(fleet: &Fleet, app: &str) -> anyhow::Result<()> {
    let files = [("apps/app.yaml", app)];
    fleet.repository.commit("another app", &files).await?;
    Ok(())
}

/// Gives the service account what it needs for the shop and for its variables, as a person in the cluster would.
async fn allow_deployer(fleet: &Fleet) -> anyhow::Result<()> {
    let cluster = fleet.cluster("dev");
    let rules = json!([
        {"apiGroups": [""], "resources": ["configmaps", "secrets", "namespaces"], "verbs": ["*"]},
    ]);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                      "metadata": {"name": "deployer"}, "rules": rules});
    let subject = json!({"kind": "ServiceAccount", "name": "deployer", "namespace": "flux-system"});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "deployer"},
                         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "deployer"},
                         "subjects": [subject]});
    let group = "/apis/rbac.authorization.k8s.io/v1";
    cluster
        .create(&format!("{group}/clusterroles"), &role)
        .await?;
    cluster
        .create(&format!("{group}/clusterrolebindings"), &binding)
        .await?;
    Ok(())
}
