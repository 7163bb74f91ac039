//! A simulated cluster, an agent on it, and the hub's part played by hand.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use capstan_core::{
    DesiredState, Digest, Entry, Event, Generation, MediaType, Object, ObjectKey, Origin, Phase,
    Role, Source, StoreEpoch, Unit, UnitKey, UnitReport, UnitSpec,
};
use capstan_playground::sim::{ObjectRef, SimCluster, SimOptions};
use capstan_render::substitute::{Variables, complete};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    app::{follow_policy, start},
    cluster::KubeCluster,
    config::Config,
    engine::Reports,
    held::{Held, HeldState},
    session::Order,
    shared::Input,
};

/// Longest wait for anything: far more than it takes, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);
const HUB: &str = "hub";
pub(super) const NAMESPACE: &str = "capstan-system";

pub(super) struct World {
    pub(super) sim: SimCluster,
    folder: tempfile::TempDir,
    agent: Option<Running>,
    pub(super) state: DesiredState,
    contents: BTreeMap<Digest, Vec<u8>>,
    events: Vec<Event>,
    pub(super) trusted_epoch: StoreEpoch,
}

struct Running {
    inbox: mpsc::Sender<Input>,
    reports: Reports,
    held: Arc<Held>,
    kube_system_uid: String,
    /// Ends with it.
    _tasks: JoinSet<()>,
}

impl World {
    /// A cluster with an agent that holds nothing.
    pub(super) async fn new() -> Self {
        Self::with(SimOptions::default()).await
    }

    pub(super) async fn with(options: SimOptions) -> Self {
        let epoch = StoreEpoch([1; 16]);
        let mut world = Self {
            sim: SimCluster::start(options).unwrap(),
            folder: tempfile::tempdir().unwrap(),
            agent: None,
            state: DesiredState::empty(epoch),
            contents: BTreeMap::new(),
            events: Vec::new(),
            trusted_epoch: epoch,
        };
        world.start().await;
        world
    }

    fn config(&self) -> Config {
        let kubeconfig = self.folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, self.sim.kubeconfig()).unwrap();
        Config {
            hub: "https://127.0.0.1:1".into(),
            hub_ca: None,
            hub_ca_pin: None,
            token_file: None,
            state_dir: self.state_dir(),
            kubeconfig: Some(kubeconfig),
            namespace: NAMESPACE.into(),
            identity_secret: None,
            listen: None,
            otlp_endpoint: None,
            otlp_ca: None,
        }
    }

    pub(super) fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Starts the agent, as after a restart.
    pub(super) async fn start(&mut self) {
        let config = self.config();
        let cluster = KubeCluster::new(config.kubeconfig.as_deref())
            .await
            .unwrap();
        let cluster = Arc::new(cluster);
        let started = start(&config, cluster.clone()).await.unwrap();
        let mut tasks = JoinSet::new();
        let (engine, inputs) = (started.engine, started.inputs);
        tasks.spawn(async move { engine.run(inputs).await });
        let inbox = started.inbox.clone();
        tasks.spawn(async move {
            let _ = follow_policy(cluster, NAMESPACE.into(), inbox).await;
        });
        self.agent = Some(Running {
            inbox: started.inbox,
            reports: started.reports,
            held: started.held,
            kube_system_uid: started.identity.kube_system_uid,
            _tasks: tasks,
        });
    }

    /// Ends the agent in the middle of whatever it does.
    pub(super) fn kill(&mut self) {
        self.agent = None;
    }

    fn agent(&self) -> &Running {
        self.agent.as_ref().expect("the agent runs")
    }

    /// Sets a unit's content; it is told to the agent with [`Self::tell`].
    pub(super) fn unit(&mut self, name: &str, spec: UnitSpec, objects: &[Value]) {
        let source = "GitRepository/flux-system/fleet".parse().unwrap();
        let mut entries = Vec::new();
        for object in objects {
            let object = Object::parse(object.clone()).unwrap();
            let bytes = object.canonical().unwrap();
            entries.push(Entry {
                key: object.key().clone(),
                version: object.version().into(),
                role: Role::Object,
                media_type: MediaType::Object,
                sensitive: false,
                digest: object.digest(),
                bytes: bytes.len() as u64,
                path: "a.yaml".into(),
            });
            self.contents.insert(object.digest(), bytes);
        }
        let unit = Unit {
            digest: Digest::of(b""),
            spec,
            origin: Origin::FleetPath,
            source,
            held_at: None,
            problem: None,
            entries: entries.into(),
        };
        let unit = Arc::new(unit.seal());
        self.state.units.insert(unit_key(name), unit);
    }

    /// Adds an object to a unit as text, which the agent completes.
    pub(super) fn add_text(&mut self, name: &str, text: &str) {
        let value = complete(text, &Variables::new(false)).unwrap().value;
        let object = Object::parse(value).unwrap();
        let digest = Digest::of(text.as_bytes());
        let unit = self.state.units.get_mut(&unit_key(name)).unwrap();
        let mut entries = unit.entries.to_vec();
        entries.push(Entry {
            key: object.key().clone(),
            version: object.version().into(),
            role: Role::Object,
            media_type: MediaType::Text,
            sensitive: false,
            digest,
            bytes: text.len() as u64,
            path: "a.yaml".into(),
        });
        let changed = Unit {
            entries: entries.into(),
            ..(**unit).clone()
        };
        *unit = Arc::new(changed.seal());
        self.contents.insert(digest, text.as_bytes().to_vec());
    }

    pub(super) fn remove_unit(&mut self, name: &str) {
        self.state.units.remove(&unit_key(name));
    }

    /// Tells the agent what should be, at the next generation.
    pub(super) async fn tell(&mut self) {
        self.state.generation = Generation(self.state.generation.0 + 1);
        let revision = format!("main@sha1:{}", self.state.generation)
            .parse()
            .unwrap();
        self.state.sources.insert(
            "GitRepository/flux-system/fleet".parse().unwrap(),
            Source { revision },
        );
        let agent = self.agent();
        for (digest, bytes) in &self.contents {
            agent.held.put(digest, bytes).unwrap();
        }
        let held = HeldState {
            hub_id: HUB.into(),
            kube_system_uid: agent.kube_system_uid.clone(),
            trusted_epoch: self.trusted_epoch,
            digest_key: [0; 32],
            state: self.state.clone(),
        };
        agent.held.keep(&held).unwrap();
        let input = Input::Adopt {
            state: Arc::new(self.state.clone()),
            trusted_epoch: self.trusted_epoch,
            hub_id: HUB.into(),
            digest_key: held.digest_key,
        };
        agent.inbox.send(input).await.unwrap();
    }

    /// The revision that the agent was told last.
    pub(super) fn revision(&self) -> String {
        format!("main@sha1:{}", self.state.generation)
    }

    pub(super) async fn confirm(&self, name: &str, digest: Digest) {
        let order = Order::Confirm {
            unit: unit_key(name),
            digest,
            actor: "somebody".into(),
            reason: "a test".into(),
        };
        self.agent().inbox.send(Input::Order(order)).await.unwrap();
    }

    pub(super) fn report(&self, name: &str) -> Option<UnitReport> {
        let outbox = self.agent().reports.outbox();
        let key = unit_key(name);
        outbox.reports().find(|it| it.key == key).cloned()
    }

    /// The events so far.
    pub(super) fn events(&mut self) -> String {
        let statuses = self.agent().reports.outbox().take(0);
        for event in statuses.into_iter().flat_map(|it| it.events) {
            self.events.push(event.try_into().unwrap());
        }
        let lines: Vec<String> = self
            .events
            .iter()
            .map(|it| {
                let object = it.object.as_ref().map(ToString::to_string);
                format!(
                    "{} {} {}",
                    it.reason,
                    object.unwrap_or_default(),
                    it.message
                )
            })
            .collect();
        lines.join("\n")
    }

    /// Waits until `done` is content, and says what it saw last otherwise.
    pub(super) async fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let begin = Instant::now();
        while !done(self) {
            if begin.elapsed() > PATIENCE {
                let outbox = self.agent().reports.outbox();
                let seen: Vec<String> = outbox
                    .reports()
                    .map(|it| {
                        format!(
                            "{}: {} {} {:?} {:?}",
                            it.key, it.phase, it.message, it.counts, it.objects
                        )
                    })
                    .collect();
                drop(outbox);
                panic!(
                    "{what}: not so after {PATIENCE:?}; last seen {seen:#?}\n{}",
                    self.events()
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a unit's content is applied as the last that was told, and its phase is this.
    pub(super) async fn until_phase(&mut self, name: &str, phase: Phase) -> UnitReport {
        let digest = self.state.units.get(&unit_key(name)).map(|it| it.digest);
        self.until(&format!("{name} is {phase}"), |it| {
            it.report(name).is_some_and(|it| {
                it.phase == phase && digest.is_none_or(|digest| it.digest == digest)
            })
        })
        .await;
        self.report(name).unwrap()
    }

    pub(super) fn get(&self, object: &Value) -> Option<Value> {
        self.sim.get(&at(object))
    }

    /// Requests that change objects or read single ones, but for the inventory's, since the last look.
    pub(super) fn object_requests(&self) -> Vec<String> {
        let requests = self.sim.requests();
        let ours = requests.into_iter().filter(|it| {
            !matches!(it.verb.as_str(), "list" | "watch" | "")
                && !it.resource.is_empty()
                && !it.name.starts_with("capstan-")
        });
        ours.map(|it| format!("{} {}/{} {}", it.verb, it.resource, it.name, it.code))
            .collect()
    }
}

pub(super) fn at(object: &Value) -> ObjectRef {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    ObjectRef::new(
        text("/apiVersion"),
        text("/kind"),
        text("/metadata/namespace"),
        text("/metadata/name"),
    )
}

pub(super) fn unit_key(name: &str) -> UnitKey {
    format!("dev/Kustomization/flux-system/{name}")
        .parse()
        .unwrap()
}

pub(super) fn object_key(object: &Value) -> ObjectKey {
    Object::parse(object.clone()).unwrap().key().clone()
}

/// Pruned, waited for, and retried soon.
pub(super) fn spec() -> UnitSpec {
    UnitSpec {
        prune: true,
        wait: true,
        retry_interval_seconds: 1,
        timeout_seconds: 30,
        ..UnitSpec::default()
    }
}

pub(super) fn namespace() -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
}

pub(super) fn config_map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"},
           "data": {"value": value, "other": "1"}})
}

pub(super) fn deployment(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "shop"},
           "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}},
                    "template": {"metadata": {"labels": {"app": name}},
                                 "spec": {"containers": [{"name": "web", "image": "web:1"}]}}}})
}
