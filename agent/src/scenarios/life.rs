//! A unit comes, changes, and goes.

use capstan_core::Phase;
use serde_json::json;

use super::world::{NAMESPACE, World, at, config_map, deployment, namespace, spec};

#[tokio::test]
async fn objects_are_applied_as_flux_would_and_reported_healthy() {
    let mut world = World::new().await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "shop"},
                        "stringData": {"password": "canary"}});
    let objects = [
        deployment("web"),
        config_map("settings", "1"),
        secret.clone(),
        namespace(),
    ];
    world.unit("apps", spec(), &objects);
    world.tell().await;
    let report = world.until_phase("apps", Phase::Healthy).await;
    assert_eq!((report.counts.objects, report.counts.current), (4, 4));
    assert_eq!(report.applied_revision.unwrap().as_str(), world.revision());

    let live = world.get(&deployment("web")).unwrap();
    let labels = &live["metadata"]["labels"];
    assert_eq!(labels["kustomize.toolkit.fluxcd.io/name"], "apps");
    assert_eq!(
        labels["kustomize.toolkit.fluxcd.io/namespace"],
        "flux-system"
    );
    let managers = live["metadata"]["managedFields"].as_array().unwrap();
    let ours = managers
        .iter()
        .find(|it| it["manager"] == "kustomize-controller");
    assert_eq!(ours.unwrap()["operation"], "Apply");
    let live = world.get(&secret).unwrap();
    assert_eq!(live["data"]["password"], "Y2FuYXJ5");
    assert!(!format!("{:?}", world.report("apps")).contains("canary"));
}

#[tokio::test]
async fn a_revision_that_changes_nothing_asks_for_no_object() {
    let mut world = World::new().await;
    let objects = [namespace(), deployment("web"), config_map("a", "1")];
    world.unit("apps", spec(), &objects);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    world.sim.clear_requests();
    world.tell().await;
    let revision = world.revision();
    world
        .until("the new revision is applied", |it| {
            let report = it.report("apps").unwrap();
            report
                .applied_revision
                .is_some_and(|it| it.as_str() == revision)
        })
        .await;
    // Another unit's change costs that change.
    world.unit("other", spec(), &[config_map("b", "1")]);
    world.tell().await;
    world.until_phase("other", Phase::Healthy).await;
    assert_eq!(world.object_requests(), ["patch configmaps/b 201"]);
}

#[tokio::test]
async fn a_restart_asks_for_no_object() {
    let mut world = World::new().await;
    let objects = [namespace(), deployment("web"), config_map("a", "1")];
    world.unit("apps", spec(), &objects);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    world.kill();
    world.sim.clear_requests();
    world.start().await;
    world.until_phase("apps", Phase::Healthy).await;
    let mut requests = world.object_requests();
    // The start itself looks at two namespaces.
    requests.retain(|it| !it.starts_with("get namespaces/"));
    assert_eq!(requests, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_unit_no_longer_has_is_pruned() {
    let mut world = World::new().await;
    let (kept, gone) = (config_map("kept", "1"), config_map("gone", "1"));
    let mut held = config_map("held", "1");
    held["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/prune": "disabled"});
    world.unit(
        "apps",
        spec(),
        &[namespace(), kept.clone(), gone.clone(), held.clone()],
    );
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    // It carries our labels and is not in the inventory.
    let mut foreign = config_map("foreign", "1");
    foreign["metadata"]["labels"] = json!({
        "kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"});
    world.sim.put_as("somebody", &foreign).unwrap();

    world.unit("apps", spec(), &[namespace(), kept.clone()]);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    assert_eq!(world.get(&gone), None);
    for object in [&kept, &held, &foreign] {
        assert!(world.get(object).is_some(), "{object}");
    }
    assert_eq!(world.report("apps").unwrap().counts.objects, 2);
}

#[tokio::test]
async fn an_emptied_unit_waits_for_a_confirmation() {
    let mut world = World::new().await;
    world.unit("base", spec(), &[namespace()]);
    world.unit(
        "apps",
        spec(),
        &[config_map("a", "1"), config_map("b", "1")],
    );
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    world.unit("apps", spec(), &[]);
    world.tell().await;
    let report = world.until_phase("apps", Phase::Waiting).await;
    assert!(
        report.message.contains("everything the unit owns"),
        "{}",
        report.message
    );
    assert!(world.get(&config_map("a", "1")).is_some());
    let digest = report.confirm.unwrap();

    let other = capstan_core::Digest::of(b"other");
    world.confirm("apps", other).await;
    world
        .until("the wrong confirmation is taken", |it| {
            it.events().contains("Confirmed")
        })
        .await;
    world.until_phase("apps", Phase::Waiting).await;
    assert!(world.get(&config_map("a", "1")).is_some());

    world.confirm("apps", digest).await;
    world.until_phase("apps", Phase::Healthy).await;
    assert_eq!(world.get(&config_map("a", "1")), None);
    assert!(world.events().contains("somebody"));
}

#[tokio::test]
async fn a_removed_unit_is_orphaned_until_it_is_confirmed() {
    let mut world = World::new().await;
    world.unit("base", spec(), &[namespace()]);
    world.unit("apps", spec(), &[config_map("a", "1"), deployment("web")]);
    let mut keeps = spec();
    keeps.prune = false;
    world.unit("kept", keeps, &[config_map("kept", "1")]);
    world.tell().await;
    world.until_phase("apps", Phase::Healthy).await;
    world.until_phase("kept", Phase::Healthy).await;
    world.remove_unit("apps");
    world.remove_unit("kept");
    world.tell().await;
    let asks = |it: &mut World| it.report("apps").is_some_and(|it| it.confirm.is_some());
    world.until("a confirmation is asked for", asks).await;
    let report = world.until_phase("apps", Phase::Orphaned).await;
    let digest = report.confirm;
    world
        .until("a unit without prune is forgotten", |it| {
            it.report("kept").is_none()
        })
        .await;
    assert!(world.get(&config_map("kept", "1")).is_some());
    // A restart in between forgets nothing.
    world.kill();
    world.start().await;
    world.until("it is asked for again", asks).await;
    let report = world.until_phase("apps", Phase::Orphaned).await;
    assert_eq!(report.confirm, digest);
    assert!(world.get(&deployment("web")).is_some());
    world.confirm("apps", digest.unwrap()).await;
    world
        .until("the unit is gone", |it| it.report("apps").is_none())
        .await;
    assert_eq!(world.get(&deployment("web")), None);
}

#[tokio::test]
async fn an_object_moves_between_units_without_a_gap() {
    let mut world = World::new().await;
    let moved = config_map("moved", "1");
    world.unit(
        "a",
        spec(),
        &[namespace(), moved.clone(), config_map("a", "1")],
    );
    world.unit("b", spec(), &[config_map("b", "1")]);
    world.tell().await;
    world.until_phase("a", Phase::Healthy).await;
    world.until_phase("b", Phase::Healthy).await;
    let uid = world.get(&moved).unwrap()["metadata"]["uid"].clone();
    world.unit("a", spec(), &[namespace(), config_map("a", "1")]);
    world.unit("b", spec(), &[config_map("b", "1"), moved.clone()]);
    world.tell().await;
    world.until_phase("a", Phase::Healthy).await;
    world.until_phase("b", Phase::Healthy).await;
    let live = world.get(&moved).unwrap();
    assert_eq!(live["metadata"]["uid"], uid);
    assert_eq!(
        live["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"],
        "b"
    );
}

#[tokio::test]
async fn the_policy_pauses_and_refuses() {
    let mut world = World::new().await;
    let policy = |data: serde_json::Value| {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
               "metadata": {"name": "capstan-policy", "namespace": NAMESPACE}, "data": data})
    };
    let pause = policy(json!({"pause": "maintenance"}));
    world.sim.put_as("admin", &pause).unwrap();
    world
        .until("the pause", |it| it.events().contains("maintenance"))
        .await;
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                      "metadata": {"name": "reader"}, "rules": []});
    world.unit("apps", spec(), &[namespace(), config_map("a", "1")]);
    world.unit("roles", spec(), std::slice::from_ref(&role));
    world.tell().await;
    world.until_phase("apps", Phase::Suspended).await;
    assert_eq!(world.get(&namespace()), None);

    world.sim.put_as("admin", &policy(json!({}))).unwrap();
    world.until_phase("apps", Phase::Healthy).await;
    let report = world.until_phase("roles", Phase::Failed).await;
    assert!(report.message.contains("`rbac`"), "{}", report.message);
    assert_eq!(world.get(&role), None);

    world
        .sim
        .put_as("admin", &policy(json!({"allow": "rbac"})))
        .unwrap();
    world.until_phase("roles", Phase::Healthy).await;
    world.sim.delete(&at(&pause)).unwrap();
    world.until_phase("roles", Phase::Failed).await;
}
