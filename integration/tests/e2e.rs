//! The whole path, end to end, on simulated clusters: one story a test. `e2e_local.rs` tells the same stories on real ones.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test file: a panic is the report"
)]

#[path = "e2e/stories.rs"]
mod stories;

use capstan_integration::harness::ClusterKind::Sim;

macro_rules! stories {
    ($($name:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                stories::$name(Sim).await.unwrap();
            }
        )*
    };
}

stories![
    a_commit_reaches_dev_and_moves_on_when_promoted,
    without_a_pipeline_a_commit_reaches_every_cluster,
    a_broken_manifest_stops_only_its_unit,
    a_hand_edit_is_put_back_and_its_author_named,
    a_removed_file_is_pruned,
    an_emptied_folder_waits_for_a_confirmation,
    a_killed_hub_changes_nothing,
    a_killed_agent_loses_nothing,
    drift_is_corrected_while_the_hub_is_away,
    a_cluster_that_leaves_its_placement_keeps_its_objects,
    planted_secrets_are_nowhere,
    variables_come_from_the_cluster,
    a_repository_is_followed_over_ssh,
    a_repository_is_followed_with_a_password,
];
