//! What others change.

use capstan_core::{Phase, UnitSpec, desired::DriftMode};
use serde_json::json;

use super::world::{World, at, config_map, deployment, namespace, spec};

async fn world_with(spec: UnitSpec) -> World {
    let mut world = World::new().await;
    world.unit(
        "apps",
        spec,
        &[namespace(), deployment("web"), config_map("a", "1")],
    );
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    world
}

#[tokio::test]
async fn a_field_that_is_ours_is_put_back_and_its_changer_named() {
    let mut world = world_with(spec()).await;
    let target = deployment("web");
    let change = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "evil:1"}]}}}});
    world
        .sim
        .patch_as("kubectl-edit", &at(&target), &change)
        .unwrap();
    world
        .until("the image is put back", |it| {
            let live = it.get(&target).unwrap();
            live["spec"]["template"]["spec"]["containers"][0]["image"] == "web:1"
        })
        .await;
    world
        .until("the change is told", |it| {
            let events = it.events();
            events.contains("DriftCorrected Deployment.apps/shop/web")
                && events.contains("kubectl-edit")
        })
        .await;
    let report = world.until_phase("apps", Phase::Healthy).await;
    assert_eq!(report.counts.corrected, 1, "{}", world.events());
}

#[tokio::test]
async fn a_field_that_others_own_is_left_and_one_that_kubectl_set_is_not() {
    let mut world = world_with(spec()).await;
    let target = config_map("a", "1");
    let note = |value: &str| json!({"metadata": {"annotations": {value: "x"}}});
    world
        .sim
        .patch_as("some-operator", &at(&target), &note("operator"))
        .unwrap();
    world
        .sim
        .patch_as("kubectl-annotate", &at(&target), &note("kubectl"))
        .unwrap();
    world
        .until("kubectl's annotation is gone", |it| {
            it.get(&target).unwrap()["metadata"]["annotations"]["kubectl"].is_null()
        })
        .await;
    let live = world.get(&target).unwrap();
    assert_eq!(live["metadata"]["annotations"]["operator"], "x");
    assert_eq!(live["data"]["value"], "1");
}

#[tokio::test]
async fn what_is_deleted_by_hand_comes_back() {
    let mut world = world_with(spec()).await;
    let target = config_map("a", "1");
    world.sim.delete(&at(&target)).unwrap();
    world
        .until("it is back", |it| it.get(&target).is_some())
        .await;
    world
        .until("it is told", |it| it.events().contains("it was deleted"))
        .await;
}

#[tokio::test]
async fn drift_while_the_agent_is_away_is_put_back_after_its_restart() {
    let mut world = world_with(spec()).await;
    let target = config_map("a", "1");
    world.kill();
    world
        .sim
        .patch_as(
            "kubectl-edit",
            &at(&target),
            &json!({"data": {"value": "2"}}),
        )
        .unwrap();
    world.sim.delete(&at(&deployment("web"))).unwrap();
    world.start().await;
    world
        .until("both are back", |it| {
            it.get(&target).unwrap()["data"]["value"] == "1" && it.get(&deployment("web")).is_some()
        })
        .await;
}

#[tokio::test]
async fn drift_is_only_reported_where_the_unit_says_so() {
    let mut warn = spec();
    warn.drift = DriftMode::Warn;
    let mut world = world_with(warn.clone()).await;
    let target = config_map("a", "1");
    world
        .sim
        .patch_as(
            "kubectl-edit",
            &at(&target),
            &json!({"data": {"value": "2"}}),
        )
        .unwrap();
    world
        .until("the drift is reported", |it| {
            it.report("apps").unwrap().counts.drifted == 1
        })
        .await;
    assert!(world.events().contains("kubectl-edit"));
    assert_eq!(world.get(&target).unwrap()["data"]["value"], "2");
    // New content is applied as ever.
    let objects = [namespace(), deployment("web"), config_map("a", "3")];
    world.unit("apps", warn, &objects);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    assert_eq!(world.get(&target).unwrap()["data"]["value"], "3");
}

#[tokio::test]
async fn what_kubectl_applied_is_taken_over() {
    let mut world = World::new().await;
    let mut by_hand = config_map("a", "0");
    by_hand["data"]["extra"] = "by hand".into();
    world.sim.put_as("setup", &namespace()).unwrap();
    world
        .sim
        .put_as("kubectl-client-side-apply", &by_hand)
        .unwrap();
    world.unit("apps", spec(), &[namespace(), config_map("a", "1")]);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    let live = world.get(&by_hand).unwrap();
    assert_eq!(live["data"], json!({"value": "1", "other": "1"}));
}

#[tokio::test]
async fn a_suspended_unit_is_left_alone() {
    let mut world = world_with(spec()).await;
    let mut suspended = spec();
    suspended.suspend = true;
    let objects = [namespace(), deployment("web"), config_map("a", "1")];
    world.unit("apps", suspended, &objects);
    world.tell().await;
    world.until_phase("apps", Phase::Suspended).await;
    let target = config_map("a", "1");
    world
        .sim
        .patch_as(
            "kubectl-edit",
            &at(&target),
            &json!({"data": {"value": "2"}}),
        )
        .unwrap();
    // Another unit's round trip is longer than a correction would take.
    world.unit("other", spec(), &[config_map("b", "1")]);
    world.tell().await;
    world.until_phase("other", Phase::Healthy).await;
    assert_eq!(world.get(&target).unwrap()["data"]["value"], "2");
    world.unit("apps", spec(), &objects);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    assert_eq!(world.get(&target).unwrap()["data"]["value"], "1");
}
