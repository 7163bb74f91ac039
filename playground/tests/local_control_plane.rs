//! Real control planes: they start side by side, their parts can be killed and frozen, and nothing of them is left.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[allow(dead_code, reason = "shared with the parity suite")]
mod support;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use capstan_playground::local::{LocalCluster, LocalError, LocalOptions, Part, Variant};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use support::client::Client;
use support::story::Request;
use support::{available, wait_until};

/// Set in the process that is to be killed.
const VICTIM: &str = "CAPSTAN_TEST_VICTIM";

fn request(verb: &str, path: &str, body: &str) -> Request {
    Request {
        verb: verb.into(),
        path: path.into(),
        body: body.into(),
        ..Request::default()
    }
}

async fn send(cluster: &LocalCluster, verb: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    Client::new(&cluster.kubeconfig())
        .send(&request(verb, path, &body))
        .await
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}})
}

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// What must be gone when a cluster is.
fn traces(cluster: &LocalCluster) -> (Vec<u32>, PathBuf) {
    let pids = [Part::Etcd, Part::ApiServer]
        .iter()
        .map(|part| cluster.pid(*part).unwrap())
        .collect();
    (pids, cluster.kubeconfig_path().parent().unwrap().to_owned())
}

fn wait_gone(pids: &[u32], folder: &Path) {
    wait_until("nothing is left of the cluster", || {
        let alive: Vec<_> = pids.iter().filter(|pid| is_alive(**pid)).collect();
        if alive.is_empty() && !folder.exists() {
            Ok(())
        } else {
            Err(format!("processes {alive:?}, folder {}", folder.exists()))
        }
    });
}

/// A process that ended but was not collected by its parent is no longer alive.
fn is_alive(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    state.is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .trim_start()
            .starts_with('Z')
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn two_run_side_by_side_and_each_part_can_fail() {
    let options = |name| LocalOptions::api_only(name).unwrap();
    if !available(&options("a")) {
        return;
    }
    let (a, b) = tokio::join!(
        LocalCluster::start(options("a")),
        LocalCluster::start(options("b"))
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_ne!(a.url(), b.url());
    let (pids, folder) = traces(&a);
    assert_eq!(
        std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert_eq!(
        send(&a, "POST", CONFIG_MAPS, &config_map("kept")).await["status"],
        201
    );
    assert_eq!(
        send(&b, "GET", &format!("{CONFIG_MAPS}/kept"), &Value::Null).await["status"],
        404,
        "they share nothing"
    );

    let bob = Client::new(&a.kubeconfig_for("bob", None).unwrap());
    assert_eq!(
        bob.send(&request("GET", CONFIG_MAPS, "")).await["status"],
        403
    );

    for part in [Part::Etcd, Part::ApiServer] {
        let before = a.pid(part);
        a.kill(part).await;
        assert_eq!(a.pid(part), None);
        a.restart(part).await.unwrap();
        assert_ne!(a.pid(part), before);
        assert_eq!(
            send(&a, "GET", &format!("{CONFIG_MAPS}/kept"), &Value::Null).await["status"],
            200,
            "after {part} was killed"
        );
    }

    a.freeze(Part::ApiServer);
    let admin = Client::new(&a.kubeconfig());
    let kept = request("GET", &format!("{CONFIG_MAPS}/kept"), "");
    let mut asked = Box::pin(admin.send(&kept));
    // Nobody answers for longer than any answer takes; after the thaw the same request is answered.
    assert!(
        tokio::time::timeout(Duration::from_secs(3), &mut asked)
            .await
            .is_err()
    );
    a.thaw(Part::ApiServer);
    assert_eq!(asked.await["status"], 200);

    // Whoever else kills a part, it is told with the end of its log.
    kill(
        Pid::from_raw(b.pid(Part::Etcd).unwrap().cast_signed()),
        Signal::SIGKILL,
    )
    .unwrap();
    let ended = b.part_ended().await;
    assert!(
        matches!(&ended, LocalError::PartEnded { part: Part::Etcd, status, .. } if status == "SIGKILL"),
        "{ended}"
    );

    a.stop().await;
    assert!(!folder.exists());
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_cannot_run_is_told_with_its_log() {
    let options = LocalOptions::api_only("broken").unwrap();
    if !available(&options) {
        return;
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (flag, expected) in [
        ("--no-such-flag".to_owned(), "unknown flag"),
        (format!("--secure-port={port}"), "address already in use"),
    ] {
        let options = LocalOptions {
            api_server_flags: vec![flag],
            ..options.clone()
        };
        let error = LocalCluster::start(options).await.unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(
                error,
                LocalError::PartEnded {
                    part: Part::ApiServer,
                    ..
                }
            ),
            "{text}"
        );
        assert!(
            text.starts_with("kube-apiserver of cluster broken ended by itself (exit status 1)")
                && text.contains(expected),
            "{text}"
        );
    }
}

#[test]
fn nothing_is_left_after_a_panic() {
    let options = LocalOptions::api_only("panics").unwrap();
    if !available(&options) {
        return;
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    let outcome = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let cluster = LocalCluster::start(options).await.unwrap();
            sender.send(traces(&cluster)).unwrap();
            panic!("as a failing test does");
        });
    })
    .join();
    assert!(outcome.is_err());
    let (pids, folder) = receiver.recv().unwrap();
    wait_gone(&pids, &folder);
}

#[test]
fn nothing_is_left_after_the_process_is_killed() {
    if !available(&LocalOptions::api_only("killed").unwrap()) {
        return;
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_process_that_waits_to_be_killed",
            "--nocapture",
        ])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let line = lines
        .find_map(|line| {
            line.split_once("TRACES ")
                .map(|(_, traces)| traces.to_owned())
        })
        .unwrap();
    let (pids, folder): (Vec<u32>, PathBuf) = serde_json::from_str(&line).unwrap();
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    victim.kill().unwrap();
    victim.wait().unwrap();
    wait_gone(&pids, &folder);
}

/// Not a test of its own: [`nothing_is_left_after_the_process_is_killed`] runs it in a process that it kills.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_waits_to_be_killed() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let cluster = LocalCluster::start(LocalOptions::api_only("victim").unwrap())
        .await
        .unwrap();
    println!(
        "TRACES {}",
        serde_json::to_string(&traces(&cluster)).unwrap()
    );
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workloads_become_ready_late_or_never_as_they_ask() {
    let options = LocalOptions::full("workloads").unwrap();
    if !available(&options) {
        return;
    }
    let cluster = LocalCluster::start(options).await.unwrap();
    let deployment = |name: &str, labels: Value, annotations: Value| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": {"containers": [{"name": "main", "image": "main"}]}},
        }})
    };
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let late = deployment(
        "late",
        json!({"app": "late"}),
        json!({"playground.capstan.dev/ready-after": "3s"}),
    );
    let fails = json!({"app": "fails", "playground.capstan.dev/behaviour": "failing"});
    for object in [
        deployment("plain", json!({"app": "plain"}), json!({})),
        late,
        deployment("fails", fails, json!({})),
    ] {
        let created = send(&cluster, "POST", path, &object).await;
        assert_eq!(created["status"], 201, "{created}");
    }
    let client = Client::new(&cluster.kubeconfig());
    client
        .send(&request(
            "UNTIL",
            &format!("{path}/plain /body/status/readyReplicas == 1"),
            "",
        ))
        .await;
    client
        .send(&request(
            "UNTIL",
            &format!("{path}/late /body/status/readyReplicas == 1"),
            "",
        ))
        .await;
    let waiting = "/body/items/0/status/containerStatuses/0/state/waiting/reason";
    let pods = "/api/v1/namespaces/default/pods?labelSelector=app%3Dfails";
    client
        .send(&request(
            "UNTIL",
            &format!("{pods} {waiting} == \"CrashLoopBackOff\""),
            "",
        ))
        .await;
    for part in Variant::Full.parts() {
        let memory = cluster.memory(*part).unwrap();
        assert!(memory > 1024 * 1024, "{part} holds {memory} bytes");
    }
    cluster.stop().await;
}
