//! The inventory, in memory and in the cluster: sharded over Secrets of the agent's namespace, so that it shares the fate of
//! the objects that it lists. Changes of many units that come together are written together.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    sync::{Arc, Mutex, MutexGuard},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use capstan_core::{
    UnitKey,
    inventory::{UnitInventory, shard_of},
};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::cluster::{Actor, Address, ApplyOptions, Cluster, ClusterError, Resource};

/// The agent's field manager for its own objects.
pub(crate) const OWN_MANAGER: &str = "capstan-agent";
/// The label by which inventory Secrets are found.
const LABEL: &str = "capstan.dev/inventory";
const HUB: &str = "capstan.dev/hub-id";
const CLUSTER: &str = "capstan.dev/kube-system-uid";
const EPOCH: &str = "capstan.dev/store-epoch";
/// Parts written at the same time.
const WRITES: usize = 8;
/// Longest content of a part: an API server refuses Secrets of more than 1 MiB.
const MAX_PART_BYTES: usize = 900 << 10;
/// Longest content of a part once unpacked; beyond this it is not one of ours.
const MAX_UNPACKED_BYTES: u64 = 64 << 20;
const ZSTD_LEVEL: i32 = 3;

/// Why an inventory could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    /// The API server refused, or did not answer.
    #[error("Secret {name}: {source}")]
    Cluster {
        /// The Secret.
        name: String,
        /// Why.
        source: ClusterError,
    },
    /// A part cannot be understood.
    #[error(
        "Secret {name} cannot be read as an inventory: {message}; nothing is pruned until it is repaired or deleted"
    )]
    Damaged {
        /// The Secret.
        name: String,
        /// Why.
        message: String,
    },
    /// A part is larger than a Secret can be.
    #[error("Secret {name} would have {bytes} bytes: split the units that it holds")]
    TooLarge {
        /// The Secret.
        name: String,
        /// How many.
        bytes: usize,
    },
    /// The writer has ended.
    #[error("the agent is stopping")]
    Stopping,
}

/// To whom an inventory belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The hub.
    pub(crate) hub_id: String,
    /// UID of the namespace `kube-system` of the cluster that it was written in.
    pub(crate) kube_system_uid: String,
    /// The store epoch last trusted.
    pub(crate) epoch: String,
}

/// Units and what they own.
pub(crate) type Units = BTreeMap<UnitKey, UnitInventory>;

/// The inventory.
#[derive(Debug)]
pub(crate) struct Ledger {
    units: Mutex<Units>,
    stamp: Mutex<Stamp>,
    to_writer: mpsc::UnboundedSender<Flush>,
}

struct Flush {
    shard: u8,
    done: oneshot::Sender<Result<(), LedgerError>>,
}

impl Ledger {
    /// Reads the inventory from the cluster, with its stamp if it has one, and starts the writer.
    ///
    /// # Errors
    /// When it cannot be read, or not understood: an unknown inventory is not an empty one.
    pub(crate) async fn open<C: Cluster>(
        cluster: Arc<C>,
        namespace: &str,
    ) -> Result<(Arc<Self>, Option<Stamp>), LedgerError> {
        let secrets = secrets();
        let found = cluster
            .list(&secrets, namespace, &format!("{LABEL}=true"))
            .await
            .map_err(|source| LedgerError::Cluster {
                name: format!("{namespace}/{}…", name_of(0)),
                source,
            })?;
        let mut units = Units::new();
        let mut stamp = None;
        for live in &found {
            let (part, its) = read_part(&live.0)?;
            units.extend(part);
            stamp = stamp.or(Some(its));
        }
        let (to_writer, flushes) = mpsc::unbounded_channel();
        let ledger = Arc::new(Self {
            units: Mutex::new(units),
            stamp: Mutex::new(stamp.clone().unwrap_or_default()),
            to_writer,
        });
        let weak = Arc::downgrade(&ledger);
        let namespace = namespace.to_owned();
        tokio::spawn(async move { write(cluster, namespace, secrets, weak, flushes).await });
        Ok((ledger, stamp))
    }

    /// The units, to read or change. What is changed is not kept before [`Self::flush`].
    pub(crate) fn units(&self) -> MutexGuard<'_, Units> {
        self.units
            .lock()
            .expect("nothing panics while it is changed")
    }

    /// Says to whom parts written from now on belong.
    pub(crate) fn set_stamp(&self, stamp: Stamp) {
        *self.stamp.lock().expect("nothing panics while it is set") = stamp;
    }

    /// Keeps what a unit owns.
    ///
    /// # Errors
    /// When it could not be written; it is as before in the cluster then.
    pub(crate) async fn flush(&self, unit: &UnitKey) -> Result<(), LedgerError> {
        let (done, wait) = oneshot::channel();
        let shard = shard_of(unit);
        self.to_writer
            .send(Flush { shard, done })
            .map_err(|_| LedgerError::Stopping)?;
        wait.await.map_err(|_| LedgerError::Stopping)?
    }

    fn part(&self, shard: u8) -> Result<Value, LedgerError> {
        let units = self.units();
        let part: Vec<(&UnitKey, &UnitInventory)> = units
            .iter()
            .filter(|(key, it)| shard_of(key) == shard && !it.is_empty())
            .collect();
        let name = name_of(shard);
        let damaged = |message: String| LedgerError::Damaged {
            name: name.clone(),
            message,
        };
        let text = serde_json::to_vec(&part).map_err(|it| damaged(it.to_string()))?;
        let packed =
            zstd::encode_all(text.as_slice(), ZSTD_LEVEL).map_err(|it| damaged(it.to_string()))?;
        if packed.len() > MAX_PART_BYTES {
            let bytes = packed.len();
            return Err(LedgerError::TooLarge { name, bytes });
        }
        let stamp = self.stamp.lock().expect("nothing panics while it is set");
        Ok(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "capstan.dev/inventory",
            "metadata": {
                "name": name,
                "labels": {LABEL: "true"},
                "annotations": {HUB: stamp.hub_id, CLUSTER: stamp.kube_system_uid, EPOCH: stamp.epoch},
            },
            "data": {"inventory": BASE64.encode(packed)},
        }))
    }
}

/// The Secret that a part is kept in.
fn name_of(shard: u8) -> String {
    format!("capstan-inventory-{shard:02}")
}

fn secrets() -> Resource {
    Resource {
        group: String::new(),
        version: "v1".into(),
        kind: "Secret".into(),
        plural: "secrets".into(),
        namespaced: true,
    }
}

fn read_part(secret: &Value) -> Result<(Units, Stamp), LedgerError> {
    let metadata = &secret["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default().to_owned();
    let damaged = |message: &str| LedgerError::Damaged {
        name: name.clone(),
        message: message.to_owned(),
    };
    let text = secret["data"]["inventory"]
        .as_str()
        .ok_or_else(|| damaged("it has no key `inventory`"))?;
    let packed = BASE64
        .decode(text)
        .map_err(|_| damaged("it is not base64"))?;
    let mut bytes = Vec::new();
    zstd::Decoder::new(packed.as_slice())
        .and_then(|it| it.take(MAX_UNPACKED_BYTES).read_to_end(&mut bytes))
        .map_err(|_| damaged("it is not zstd"))?;
    let part: Vec<(UnitKey, UnitInventory)> =
        serde_json::from_slice(&bytes).map_err(|it| damaged(&it.to_string()))?;
    let note = |key: &str| {
        metadata["annotations"][key]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let stamp = Stamp {
        hub_id: note(HUB),
        kube_system_uid: note(CLUSTER),
        epoch: note(EPOCH),
    };
    Ok((part.into_iter().collect(), stamp))
}

/// Writes parts until nobody holds the ledger: all that are asked for while others are written go together.
async fn write<C: Cluster>(
    cluster: Arc<C>,
    namespace: String,
    secrets: Resource,
    ledger: std::sync::Weak<Ledger>,
    mut flushes: mpsc::UnboundedReceiver<Flush>,
) {
    let secrets = Arc::new(secrets);
    while let Some(first) = flushes.recv().await {
        let mut waiting = vec![first];
        while let Ok(next) = flushes.try_recv() {
            waiting.push(next);
        }
        let Some(ledger) = ledger.upgrade() else {
            return;
        };
        let shards: BTreeSet<u8> = waiting.iter().map(|it| it.shard).collect();
        let results: BTreeMap<u8, Result<(), LedgerError>> = futures::stream::iter(shards)
            .map(|shard| {
                let (cluster, ledger) = (&cluster, &ledger);
                let at = Address {
                    resource: secrets.clone(),
                    namespace: namespace.clone(),
                    name: name_of(shard),
                };
                async move {
                    let result = match ledger.part(shard) {
                        Ok(body) => put(cluster.as_ref(), &at, &body).await,
                        Err(error) => Err(error),
                    };
                    (shard, result)
                }
            })
            .buffer_unordered(WRITES)
            .collect()
            .await;
        for flush in waiting {
            let result = results.get(&flush.shard).cloned();
            // Whoever asked may have stopped waiting.
            let _ = flush
                .done
                .send(result.unwrap_or(Err(LedgerError::Stopping)));
        }
    }
}

async fn put<C: Cluster>(cluster: &C, at: &Address, body: &Value) -> Result<(), LedgerError> {
    let options = ApplyOptions {
        manager: OWN_MANAGER,
        dry_run: false,
    };
    let answer = cluster.apply(&Actor::Agent, at, body, options).await;
    answer.map(|_| ()).map_err(|source| LedgerError::Cluster {
        name: at.name.clone(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use capstan_core::inventory::Owned;

    use super::*;

    #[test]
    fn a_part_is_read_as_it_was_written() {
        let unit: UnitKey = "dev/Kustomization/flux-system/apps".parse().unwrap();
        let owned = Owned::about_to_be("v1");
        let inventory = UnitInventory {
            objects: [("ConfigMap/a/b".parse().unwrap(), owned)].into(),
            prune: true,
            ..UnitInventory::default()
        };
        let stamp = Stamp {
            hub_id: "hub".into(),
            kube_system_uid: "uid".into(),
            epoch: "0".into(),
        };
        let ledger = Ledger {
            units: Mutex::new([(unit.clone(), inventory.clone())].into()),
            stamp: Mutex::new(stamp.clone()),
            to_writer: mpsc::unbounded_channel().0,
        };
        let part = ledger.part(shard_of(&unit)).unwrap();
        let (units, its) = read_part(&part).unwrap();
        assert_eq!(units, [(unit, inventory)].into());
        assert_eq!(its, stamp);
    }

    #[test]
    fn damage_is_not_an_empty_inventory() {
        let secret = json!({"metadata": {"name": "x"}, "data": {"inventory": "AAAA"}});
        assert!(matches!(
            read_part(&secret),
            Err(LedgerError::Damaged { .. })
        ));
    }
}
