//! What people apply: the manifests of `deploy/`, and what `capstan cluster add` prints.

use capstan_integration::harness::Cluster;
use serde_json::{Value, json};

use super::hub::Hub;

const HUB: &str = include_str!("../../../deploy/hub/hub.yaml");
/// By kind: group and version in a path, and the plural.
const KINDS: [(&str, &str, &str); 7] = [
    ("Namespace", "api/v1", "namespaces"),
    ("ServiceAccount", "api/v1", "serviceaccounts"),
    ("ConfigMap", "api/v1", "configmaps"),
    ("Secret", "api/v1", "secrets"),
    ("Service", "api/v1", "services"),
    (
        "ClusterRoleBinding",
        "apis/rbac.authorization.k8s.io/v1",
        "clusterrolebindings",
    ),
    ("Deployment", "apis/apps/v1", "deployments"),
];

fn documents(text: &str) -> Vec<Value> {
    use capstan_goyaml::{DecodeOptions, Dialect, JsonBuilder};
    let options = DecodeOptions {
        dialect: Dialect::V2,
        strict: true,
        object: true,
    };
    let parsed = capstan_goyaml::parse(text.as_bytes(), Dialect::V2).unwrap();
    let decode = |it: &capstan_goyaml::Document| {
        capstan_goyaml::decode(&it.root, options, &mut JsonBuilder).unwrap()
    };
    parsed.iter().map(decode).collect()
}

/// Applies as `kubectl apply --server-side` does, so that an unknown field is an error.
async fn apply(cluster: &Cluster, object: &Value) -> Value {
    let kind = object["kind"].as_str().unwrap();
    let (_, group, plural) = KINDS
        .into_iter()
        .chain([("StatefulSet", "apis/apps/v1", "statefulsets")])
        .find(|it| it.0 == kind)
        .unwrap_or_else(|| panic!("the test does not know {kind}"));
    let name = object["metadata"]["name"].as_str().unwrap();
    let path = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("/{group}/namespaces/{namespace}/{plural}/{name}"),
        None => format!("/{group}/{plural}/{name}"),
    };
    let applied = cluster.apply(&path, object).await;
    applied.unwrap_or_else(|error| panic!("{kind} {name}: {error:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hubs_manifests_are_accepted_and_its_configuration_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::simulated("hub", folder.path()).await.unwrap();
    let objects = documents(HUB);
    for object in &objects {
        apply(&cluster, object).await;
    }
    let set = objects
        .iter()
        .find(|it| it["kind"] == "StatefulSet")
        .unwrap();
    let pod = &set["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let config = objects.iter().find(|it| it["kind"] == "ConfigMap").unwrap();
    let file = folder.path().join("hub.toml");
    std::fs::write(&file, config["data"]["hub.toml"].as_str().unwrap()).unwrap();
    let config = capstan_hub::Config::read(&file).unwrap();
    config.check().unwrap();
    let mounts = container["volumeMounts"].as_array().unwrap();
    let data = config.data_dir.to_str().unwrap();
    assert!(
        mounts.iter().any(|it| it["mountPath"] == data),
        "{mounts:?}"
    );
    let ports = container["ports"].as_array().unwrap();
    for port in [
        config.agents_listen.port(),
        config.metrics_listen.unwrap().port(),
    ] {
        assert!(
            ports.iter().any(|it| it["containerPort"] == port),
            "{port} {ports:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cluster_add_prints_can_be_applied_and_fits_the_agent() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(folder.path(), "").await.unwrap();
    let added = hub
        .api
        .post("/clusters", &json!({"name": "dev"}))
        .await
        .unwrap();
    let cluster = Cluster::simulated("dev", folder.path()).await.unwrap();
    let objects = documents(added["manifest"].as_str().unwrap());
    for object in &objects {
        apply(&cluster, object).await;
    }
    let secret = objects.iter().find(|it| it["kind"] == "Secret").unwrap();
    let data = secret["stringData"].as_object().unwrap();
    let authority = std::fs::read_to_string(folder.path().join("hub/keys/ca.crt")).unwrap();
    assert_eq!(data["ca.crt"], authority);
    assert_eq!(data["token"], added["token"]);
    assert_eq!(
        data["hub"],
        format!("https://{}", added["hub"].as_str().unwrap())
    );
    let deployment = objects
        .iter()
        .find(|it| it["kind"] == "Deployment")
        .unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let environment = pod["containers"][0]["env"].as_array().unwrap();
    let known = known_variables();
    for variable in environment {
        let name = variable["name"].as_str().unwrap();
        assert!(
            known.contains(&name.to_owned()),
            "the agent has no {name}: {known:?}"
        );
        if let Some(key) = variable["valueFrom"]["secretKeyRef"]["key"].as_str() {
            assert!(data.contains_key(key), "{key}");
        }
        if let Some(file) = variable["value"]
            .as_str()
            .and_then(|it| it.strip_prefix("/etc/capstan/"))
        {
            assert!(data.contains_key(file), "{file}");
        }
    }
}

/// The environment variables that the agent's flags have.
fn known_variables() -> Vec<String> {
    use clap::Args as _;
    let command = capstan_agent::Args::augment_args(clap::Command::new("agent"));
    let named = command.get_arguments().filter_map(|it| it.get_env());
    named.map(|it| it.to_string_lossy().into_owned()).collect()
}
