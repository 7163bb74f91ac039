//! A repository as `flux bootstrap` makes it and people go on with it, run as it is.

use capstan_integration::harness::{ClusterKind, Fleet, wait_for};
use serde_json::json;

/// Fleet path, beside the repository's own files.
const FLEET: &str = "apiVersion: capstan.dev/v1alpha1\nkind: Cluster\nmetadata: {name: dev, labels: {env: dev}}\n---\n\
    apiVersion: capstan.dev/v1alpha1\nkind: Placement\nmetadata: {name: all}\nspec:\n  clusters: {}\n  sync:\n  \
    - {sourceRef: {kind: GitRepository, name: fleet}, path: './clusters/${cluster_name}'}\n";
const COMPONENTS: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: flux-system, labels: {app.kubernetes.io/part-of: flux}}\n---\n\
    apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: kustomize-controller, namespace: flux-system, labels: {app.kubernetes.io/part-of: flux}}\n---\n\
    apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: kustomize-controller, namespace: flux-system, labels: {app.kubernetes.io/part-of: flux}}\n\
    spec:\n  selector: {matchLabels: {app: x}}\n  template:\n    metadata: {labels: {app: x}}\n    spec: {containers: [{name: x, image: x}]}\n";
const SYNC: &str = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: flux-system, namespace: flux-system}\n\
    spec: {interval: 1m, ref: {branch: main}, secretRef: {name: flux-system}, url: 'ssh://git@git.example.org/fleet'}\n---\n\
    apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: flux-system, namespace: flux-system}\n\
    spec: {interval: 10m, path: ./clusters/dev, prune: true, sourceRef: {kind: GitRepository, name: flux-system}}\n";
const BOOTSTRAP: &str = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [gotk-components.yaml, gotk-sync.yaml]\n";
const ARTIFACTS: &str = "apiVersion: source.extensions.fluxcd.io/v1beta1\nkind: ArtifactGenerator\nmetadata: {name: parts, namespace: flux-system}\n\
    spec:\n  sources: [{alias: repo, kind: GitRepository, name: flux-system}]\n  artifacts:\n  \
    - {name: infra, originRevision: '@repo', copy: [{from: '@repo/infra/**', to: '@artifact/'}]}\n";
const UNITS: &str = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: infra, namespace: flux-system}\n\
    spec: {interval: 1h, path: ./, prune: true, wait: true, sourceRef: {kind: ExternalArtifact, name: infra}}\n---\n\
    apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps, namespace: team}\nspec:\n  \
    interval: 1h\n  path: ./apps/base\n  prune: true\n  targetNamespace: team\n  dependsOn: [{name: infra, namespace: flux-system}]\n  \
    sourceRef: {kind: GitRepository, name: flux-system, namespace: flux-system}\n  components: [../extra]\n  \
    postBuild: {substitute: {greeting: hello}}\n  commonMetadata: {labels: {team: one}}\n---\n\
    apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: packaged, namespace: team}\n\
    spec: {interval: 1h, path: ./, prune: true, sourceRef: {kind: OCIRepository, name: packaged}}\n---\n\
    apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: packaged, namespace: team}\nspec: {interval: 1h, url: 'oci://registry.example.org/x'}\n";
const TEAM: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: team}\n";
const APP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\ndata: {greeting: '${greeting} ${other:=world}'}\n";
const EXTRA: &str =
    "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [extra.yaml]\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrapped_repository_runs_as_it_is() {
    let files = [
        ("fleet/fleet.yaml", FLEET),
        ("clusters/dev/flux-system/gotk-components.yaml", COMPONENTS),
        ("clusters/dev/flux-system/gotk-sync.yaml", SYNC),
        ("clusters/dev/flux-system/kustomization.yaml", BOOTSTRAP),
        ("clusters/dev/artifacts.yaml", ARTIFACTS),
        ("clusters/dev/units.yaml", UNITS),
        ("infra/team.yaml", TEAM),
        ("infra/logo.png", "no YAML: [\n"),
        ("apps/base/app.yaml", APP),
        ("apps/extra/kustomization.yaml", EXTRA),
        (
            "apps/extra/extra.yaml",
            &APP.replace("name: app", "name: extra"),
        ),
    ];
    let fleet = Fleet::start(ClusterKind::Sim, &["dev"], &files)
        .await
        .unwrap();
    let cluster = fleet.cluster("dev");
    for name in ["app", "extra"] {
        let path = format!("/api/v1/namespaces/team/configmaps/{name}");
        cluster
            .shows(&path, "/data/greeting", &json!("hello world"))
            .await
            .unwrap();
        cluster
            .shows(&path, "/metadata/labels/team", &json!("one"))
            .await
            .unwrap();
    }
    fleet
        .says("dev", "flux-system", "Ready", "True", "")
        .await
        .unwrap();
    fleet
        .says("dev", "infra", "Ready", "True", "")
        .await
        .unwrap();
    let said = wait_for("each unit to say how it is", async || {
        let units = fleet.api.get("/units", &[("namespace", "team")]).await?;
        let said = units["items"].to_string();
        let good =
            said.contains("OCIRepository sources are not there yet") && said.contains("Healthy");
        Ok(if good { Ok(said) } else { Err(said) })
    })
    .await
    .unwrap();
    assert!(!said.contains("Pending"), "{said}");
    let flux = "/api/v1/namespaces/flux-system/serviceaccounts/kustomize-controller";
    assert!(cluster.get(flux).await.unwrap().is_some());
    let controller = "/apis/apps/v1/namespaces/flux-system/deployments/kustomize-controller";
    assert_eq!(cluster.get(controller).await.unwrap(), None);
    let problems = fleet.api.get("/problems", &[]).await.unwrap().to_string();
    assert!(
        problems.contains("OCIRepository is not acted on yet"),
        "{problems}"
    );
    assert!(!problems.contains("yielded twice"), "{problems}");
}
