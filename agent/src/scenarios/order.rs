//! What must come first.

use capstan_core::{Phase, UnitKind, UnitRef, desired::ObjectRef};
use capstan_playground::sim::{Readiness, WorkloadMatch};
use serde_json::{Value, json};

use super::world::{World, config_map, deployment, namespace, object_key, spec, unit_key};

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced",
                 "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
                 "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]},
    })
}

fn widget() -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "shop"},
           "spec": {"size": 1}})
}

#[tokio::test]
async fn a_definition_and_its_objects_come_in_one_unit() {
    let mut world = World::new().await;
    world.unit("apps", spec(), &[widget(), definition(), namespace()]);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    assert!(world.get(&widget()).is_some());
}

#[tokio::test]
async fn a_kind_that_comes_later_is_waited_for() {
    let mut world = World::new().await;
    let mut slow = spec();
    slow.retry_interval_seconds = 3600;
    world.unit("apps", slow, &[namespace(), widget()]);
    world.tell().await;
    let report = world.until_phase("apps", Phase::Failed).await;
    assert!(
        report.message.contains("does not serve Widget"),
        "{}",
        report.message
    );
    world.unit("definitions", spec(), &[definition()]);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
}

fn after(name: &str) -> Vec<UnitRef> {
    vec![UnitRef {
        kind: UnitKind::Kustomization,
        namespace: "flux-system".into(),
        name: name.into(),
    }]
}

#[tokio::test]
async fn a_unit_waits_for_what_it_depends_on() {
    let mut world = World::new().await;
    let slow = WorkloadMatch::one("Deployment", "shop", "web");
    world.sim.set_readiness(slow.clone(), Readiness::Never);
    // The name of the one that waits sorts first.
    let mut dependent = spec();
    dependent.depends_on = after("base");
    world.unit("apps", dependent.clone(), &[config_map("late", "1")]);
    world.unit("base", spec(), &[namespace(), deployment("web")]);
    world.tell().await;
    world.until_phase("base", Phase::Applied).await;
    let report = world.until_phase("apps", Phase::Waiting).await;
    assert!(
        report.message.contains("base is not ready"),
        "{}",
        report.message
    );
    assert_eq!(world.get(&config_map("late", "1")), None);
    world.sim.set_readiness(slow, Readiness::Immediately);
    world.until_phase("base", Phase::Healthy).await;
    world.until_phase("apps", Phase::Healthy).await;

    // Both change: the order holds again, though the first was ready before.
    let mut changed = deployment("web");
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "broken:1".into();
    let slow = WorkloadMatch::one("Deployment", "shop", "web");
    world.sim.set_readiness(slow, Readiness::Never);
    world.unit("base", spec(), &[namespace(), changed]);
    world.unit("apps", dependent, &[config_map("late", "2")]);
    world.tell().await;
    world.until_phase("base", Phase::Applied).await;
    world.until_phase("apps", Phase::Waiting).await;
    assert_eq!(
        world.get(&config_map("late", "1")).unwrap()["data"]["value"],
        "1"
    );
}

#[tokio::test]
async fn a_unit_that_is_not_healthy_in_time_is_degraded_and_newer_content_goes_first() {
    let mut world = World::new().await;
    let never = WorkloadMatch::one("Deployment", "shop", "web");
    world.sim.set_readiness(never, Readiness::Never);
    let mut short = spec();
    short.timeout_seconds = 1;
    world.unit("apps", short.clone(), &[namespace(), deployment("web")]);
    world.tell().await;
    let report = world.until_phase("apps", Phase::Degraded).await;
    assert!(
        report.message.contains("not healthy within 1 s"),
        "{}",
        report.message
    );
    world.unit("apps", short, &[namespace(), config_map("a", "1")]);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
}

#[tokio::test]
async fn objects_of_others_are_waited_for() {
    let mut world = World::new().await;
    let outside = config_map("outside", "1");
    let mut checks = spec();
    checks.wait = false;
    checks.health_checks = vec![ObjectRef {
        version: "v1".into(),
        key: object_key(&outside),
    }];
    world.unit("apps", checks, &[namespace(), config_map("a", "1")]);
    world.tell().await;
    let report = world.until_phase("apps", Phase::Applied).await;
    assert!(
        report.message.contains("ConfigMap/shop/outside"),
        "{}",
        report.message
    );
    world.sim.put_as("somebody", &outside).unwrap();
    world.until_phase("apps", Phase::Healthy).await;
}

#[tokio::test]
async fn a_unit_waits_for_the_units_that_it_yields() {
    let mut world = World::new().await;
    let never = WorkloadMatch::one("Deployment", "shop", "web");
    world.sim.set_readiness(never.clone(), Readiness::Never);
    let mut parent = spec();
    parent.health_checks = vec![ObjectRef {
        version: "v1".into(),
        key: "Kustomization.kustomize.toolkit.fluxcd.io/flux-system/child"
            .parse()
            .unwrap(),
    }];
    let mut last = spec();
    last.depends_on = after("parent");
    world.unit("parent", parent, &[namespace()]);
    world.unit("last", last, &[config_map("late", "1")]);
    world.tell().await;
    let report = world.until_phase("parent", Phase::Applied).await;
    assert!(
        report.message.contains("does not exist"),
        "{}",
        report.message
    );
    world.unit("child", spec(), &[deployment("web")]);
    world.tell().await;
    world.until_phase("child", Phase::Applied).await;
    let report = world.until_phase("parent", Phase::Applied).await;
    assert!(report.message.contains("child"), "{}", report.message);
    assert_eq!(world.get(&config_map("late", "1")), None);
    world.sim.set_readiness(never, Readiness::Immediately);
    world.until_phase("parent", Phase::Healthy).await;
    world.until_phase("last", Phase::Healthy).await;
}

#[tokio::test]
async fn an_object_that_two_units_declare_is_the_firsts() {
    let mut world = World::new().await;
    world.unit("a", spec(), &[namespace(), config_map("x", "a")]);
    world.unit("b", spec(), &[config_map("x", "b")]);
    world.tell().await;
    world.until_phase("a", Phase::Healthy).await;
    let report = world.until_phase("b", Phase::Failed).await;
    assert!(
        report.message.contains(&unit_key("a").to_string()),
        "{}",
        report.message
    );
    assert_eq!(
        world.get(&config_map("x", "")).unwrap()["data"]["value"],
        "a"
    );
}
