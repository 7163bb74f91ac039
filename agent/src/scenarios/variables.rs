//! Text that is completed with what only the cluster knows.

use capstan_core::{Phase, Substitution, UnitSpec, VariableSource, VariableSourceKind};
use serde_json::{Value, json};

use super::world::{NAMESPACE, World, at, config_map, namespace, spec};

const TEXT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: shop}\ndata: {value: 'a ${token}'}\n";

fn secret(value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "vars", "namespace": "flux-system"}, "stringData": {"token": value}})
}

fn flux_system() -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
}

/// A unit that takes variables from the Secret `vars`.
fn from_secret() -> UnitSpec {
    let vars = VariableSource {
        kind: VariableSourceKind::Secret,
        name: "vars".into(),
        optional: false,
    };
    UnitSpec {
        substitution: Some(Substitution {
            from: vec![vars],
            ..Substitution::default()
        }),
        ..spec()
    }
}

async fn world_with(text: &str) -> World {
    let mut world = World::new().await;
    world.sim.put_as("somebody", &flux_system()).unwrap();
    world.unit(
        "apps",
        from_secret(),
        &[namespace(), config_map("plain", "1")],
    );
    world.add_text("apps", text);
    world
}

fn value(world: &World) -> Value {
    let app = world.get(&config_map("app", ""));
    app.map_or(Value::Null, |it| it["data"]["value"].clone())
}

#[tokio::test]
async fn nothing_is_pruned_while_variables_are_missing_after_a_restart() {
    let mut world = world_with(TEXT).await;
    world.tell().await;
    let report = world.until_phase("apps", Phase::Failed).await;
    let said = "substitute from 'Secret/vars' error: it is not there";
    assert!(report.message.contains(said), "{}", report.message);
    assert_eq!(world.get(&config_map("plain", "")), None);

    world.sim.put_as("somebody", &secret("one")).unwrap();
    world.until_phase("apps", Phase::Healthy).await;
    assert_eq!(value(&world), "a one");

    world.kill();
    world.sim.delete(&at(&secret(""))).unwrap();
    world.start().await;
    world.until_phase("apps", Phase::Failed).await;
    assert_eq!(value(&world), "a one");
    assert!(world.get(&config_map("plain", "")).is_some());

    world.sim.put_as("somebody", &secret("two")).unwrap();
    world.until_phase("apps", Phase::Healthy).await;
    assert_eq!(value(&world), "a two");
}

#[tokio::test]
async fn what_a_commit_no_longer_takes_from_the_cluster_needs_it_no_more() {
    let mut world = world_with(TEXT).await;
    world.sim.put_as("somebody", &secret("one")).unwrap();
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    world.sim.delete(&at(&secret(""))).unwrap();
    world.until_phase("apps", Phase::Failed).await;
    world.unit("apps", spec(), &[namespace(), config_map("app", "whole")]);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    assert_eq!(value(&world), "whole");
    assert_eq!(world.get(&config_map("plain", "")), None);
}

#[tokio::test]
async fn a_name_made_from_a_secret_needs_the_policys_consent() {
    let mut world = world_with(&TEXT.replace("name: app", "name: 'x-${token}'")).await;
    world.sim.put_as("somebody", &secret("hunter2")).unwrap();
    world.tell().await;
    let report = world.until_phase("apps", Phase::Failed).await;
    assert!(
        report.message.contains("`secret-names`"),
        "{}",
        report.message
    );
    assert!(!format!("{report:?}").contains("hunter2"), "{report:?}");
    allow(&mut world, json!({"allow": "secret-names"}));
    world.until_phase("apps", Phase::Healthy).await;
    assert!(world.get(&config_map("x-hunter2", "")).is_some());
}

#[tokio::test]
async fn the_policy_withholds_secrets_from_units() {
    let mut world = world_with(TEXT).await;
    world.sim.put_as("somebody", &secret("one")).unwrap();
    allow(&mut world, json!({"secretInputs": "team-a/*"}));
    world.tell().await;
    let report = world.until_phase("apps", Phase::Failed).await;
    assert!(
        report.message.contains("secretInputs"),
        "{}",
        report.message
    );
    allow(&mut world, json!({"secretInputs": "flux-system/vars"}));
    world.until_phase("apps", Phase::Healthy).await;
    assert_eq!(value(&world), "a one");
}

fn allow(world: &mut World, data: Value) {
    let policy = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "capstan-policy", "namespace": NAMESPACE}, "data": data});
    world.sim.put_as("somebody", &policy).unwrap();
}
