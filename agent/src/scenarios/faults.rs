//! What goes wrong between the agent and its cluster.

use capstan_core::{Phase, StoreEpoch};
use capstan_playground::sim::{Action, Fault, RequestMatch};
use serde_json::json;

use super::world::{NAMESPACE, World, at, config_map, namespace, spec};

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    let mut world = World::new().await;
    for action in [
        Action::too_many_requests(0),
        Action::internal_error(),
        Action::Reset,
        Action::ResetAfter,
    ] {
        world
            .sim
            .inject(Fault::once(RequestMatch::on("patch", "configmaps"), action));
    }
    world.unit("apps", spec(), &[namespace(), config_map("a", "1")]);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
}

#[tokio::test]
async fn nothing_is_applied_before_the_inventory_is_kept() {
    let mut world = World::new().await;
    let fault = world.sim.inject(Fault::always(
        RequestMatch::on("patch", "secrets"),
        Action::internal_error(),
    ));
    world.unit("apps", spec(), &[namespace(), config_map("a", "1")]);
    world.tell().await;
    let report = world.until_phase("apps", Phase::Failed).await;
    assert!(report.message.contains("inventory"), "{}", report.message);
    assert_eq!(world.get(&namespace()), None);
    world.sim.heal(fault);
    world.until_phase("apps", Phase::Healthy).await;
}

#[tokio::test]
async fn what_was_applied_before_a_kill_is_not_forgotten() {
    let mut world = World::new().await;
    world.unit("base", spec(), &[namespace()]);
    world.unit("apps", spec(), &[config_map("kept", "1")]);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    // The write of the inventory after the objects hangs; the one before them passes.
    let inventory = RequestMatch {
        namespace: NAMESPACE.into(),
        ..RequestMatch::on("patch", "secrets")
    };
    let hang = Fault {
        skip: 1,
        ..Fault::always(inventory, Action::Hang)
    };
    let hang = world.sim.inject(hang);
    let lost = config_map("lost", "1");
    world.unit("apps", spec(), &[config_map("kept", "1"), lost.clone()]);
    world.tell().await;
    world
        .until("the object is there", |it| it.get(&lost).is_some())
        .await;
    world.kill();
    world.sim.heal(hang);
    // It is no longer wanted before the agent is back.
    world.unit("apps", spec(), &[config_map("kept", "1")]);
    world.start().await;
    world.tell().await;
    world
        .until("the object is pruned", |it| it.get(&lost).is_none())
        .await;
}

#[tokio::test]
async fn a_kind_that_cannot_be_listed_is_not_pruned() {
    let mut world = World::new().await;
    let (kept, gone) = (config_map("kept", "1"), config_map("gone", "1"));
    world.unit("apps", spec(), &[namespace(), kept.clone(), gone.clone()]);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    world.kill();
    let fault = world.sim.inject(Fault::always(
        RequestMatch::on("list", "configmaps"),
        Action::Status {
            code: 403,
            retry_after: None,
            message: "no".into(),
        },
    ));
    world.start().await;
    world.unit("apps", spec(), &[namespace(), kept]);
    world.tell().await;
    let report = world.until_phase("apps", Phase::Failed).await;
    assert!(
        report.message.contains("could not be looked at"),
        "{}",
        report.message
    );
    assert!(world.get(&gone).is_some());
    world.sim.heal(fault);
    world
        .until("it is pruned", |it| it.get(&gone).is_none())
        .await;
}

#[tokio::test]
async fn another_store_epoch_prunes_nothing_until_it_is_confirmed() {
    let mut world = World::new().await;
    let (kept, gone) = (config_map("kept", "1"), config_map("gone", "1"));
    world.unit("apps", spec(), &[namespace(), kept.clone(), gone.clone()]);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    world.state.epoch = StoreEpoch([2; 16]);
    world.unit("apps", spec(), &[namespace(), kept]);
    world.tell().await;
    let report = world.until_phase("apps", Phase::Failed).await;
    assert!(report.message.contains("epoch"), "{}", report.message);
    assert!(world.get(&gone).is_some());
    world.trusted_epoch = world.state.epoch;
    world.tell().await;
    world
        .until("it is pruned", |it| it.get(&gone).is_none())
        .await;
}

#[tokio::test]
async fn a_watch_that_has_forgotten_lists_again() {
    let mut world = World::new().await;
    let target = config_map("a", "1");
    world.unit("apps", spec(), &[namespace(), target.clone()]);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    world.sim.stop();
    world.sim.compact();
    world
        .sim
        .patch_as(
            "kubectl-edit",
            &at(&target),
            &json!({"data": {"value": "2"}}),
        )
        .unwrap();
    world.sim.compact();
    world
        .sim
        .restart(capstan_playground::sim::Data::Keep)
        .unwrap();
    world
        .until("it is put back", |it| {
            it.get(&target).unwrap()["data"]["value"] == "1"
        })
        .await;
}

#[tokio::test]
async fn an_inventory_of_another_hub_is_not_touched() {
    let mut world = World::new().await;
    world.unit("apps", spec(), &[namespace(), config_map("a", "1")]);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    world.kill();
    for mut secret in world.sim.objects_of("", "secrets") {
        if secret["metadata"]["labels"]["capstan.dev/inventory"] == "true" {
            secret["apiVersion"] = "v1".into();
            secret["kind"] = "Secret".into();
            secret["metadata"]["annotations"]["capstan.dev/hub-id"] = "another".into();
            world.sim.put_as("restore", &secret).unwrap();
        }
    }
    world.start().await;
    let report = world.until_phase("apps", Phase::Suspended).await;
    assert!(report.message.contains("another hub"), "{}", report.message);
}

#[tokio::test]
async fn a_damaged_blob_is_said_and_not_applied() {
    let mut world = World::new().await;
    world.unit("apps", spec(), &[namespace(), config_map("a", "1")]);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    world.kill();
    let blobs = world.state_dir().join("blobs");
    for file in std::fs::read_dir(blobs).unwrap() {
        std::fs::write(file.unwrap().path(), b"damage").unwrap();
    }
    world.sim.delete(&at(&config_map("a", "1"))).unwrap();
    world.start().await;
    let report = world.until_phase("apps", Phase::Failed).await;
    assert!(
        report.message.contains("state folder"),
        "{}",
        report.message
    );
}
