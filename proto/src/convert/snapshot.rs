//! A desired state in chunks, and put together again.

use capstan_core::{DesiredState, Digest, Generation, desired::MAX_UNITS};
use prost::Message;

use super::{WireError, at_most, desired, id};
use crate::{SNAPSHOT_CHUNK_BYTES, v1};

/// Cuts `state` into messages of about [`SNAPSHOT_CHUNK_BYTES`]; there is always one, and the last says so.
pub fn snapshot_chunks(state: &DesiredState) -> Vec<v1::SnapshotChunk> {
    let empty = v1::SnapshotChunk {
        store_epoch: state.epoch.to_string(),
        generation: state.generation.0,
        root: state.root().as_bytes().to_vec().into(),
        sources: Vec::new(),
        units: Vec::new(),
        last: false,
    };
    let mut chunks = Vec::new();
    let mut chunk = empty.clone();
    chunk.sources = state.sources.iter().map(v1::PinnedSource::from).collect();
    let mut bytes = 0;
    for unit in state.units.iter().map(v1::Unit::from) {
        bytes += unit.encoded_len();
        chunk.units.push(unit);
        if bytes >= SNAPSHOT_CHUNK_BYTES {
            chunks.push(std::mem::replace(&mut chunk, empty.clone()));
            bytes = 0;
        }
    }
    chunk.last = true;
    chunks.push(chunk);
    chunks
}

/// Chunks of one snapshot as they arrive.
#[derive(Debug, Default)]
pub struct SnapshotAssembly {
    state: Option<(DesiredState, Digest)>,
}

impl SnapshotAssembly {
    /// Takes the next chunk. With the last one it gives the state and the root that the hub promised for it; the
    /// caller compares. A chunk of another generation begins anew.
    ///
    /// # Errors
    /// When something in the chunk is not what it should be; what was collected so far is dropped.
    pub fn push(
        &mut self,
        chunk: v1::SnapshotChunk,
    ) -> Result<Option<(DesiredState, Digest)>, WireError> {
        let taken = self.state.take();
        let epoch = id("store_epoch", chunk.store_epoch.parse())?;
        let root = id("root", Digest::from_bytes(&chunk.root))?;
        let generation = Generation(chunk.generation);
        let same = |it: &DesiredState| it.epoch == epoch && it.generation == generation;
        let mut state = match taken {
            Some((state, promised)) if same(&state) && promised == root => state,
            _ => DesiredState {
                generation,
                ..DesiredState::empty(epoch)
            },
        };
        state.sources.extend(desired::sources(chunk.sources)?);
        state.units.extend(desired::units(chunk.units)?);
        at_most("units", state.units.len(), MAX_UNITS)?;
        if chunk.last {
            return Ok(Some((state, root)));
        }
        self.state = Some((state, root));
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use capstan_core::{
        Digest, Entry, MediaType, ObjectKey, Origin, Role, Source, StoreEpoch, Substitution, Unit,
        UnitSpec, VariableSource, VariableSourceKind,
    };

    use super::*;

    fn unit(entries: usize) -> Unit {
        let entry = |at: usize| Entry {
            key: ObjectKey {
                group: "apps".into(),
                kind: "Deployment".into(),
                namespace: "shop".into(),
                name: format!("web-{at}"),
            },
            version: "v1".into(),
            role: Role::Object,
            media_type: MediaType::Object,
            sensitive: at.is_multiple_of(2),
            digest: Digest::of(&at.to_be_bytes()),
            bytes: 8,
            path: "web.yaml".into(),
        };
        Unit {
            digest: Digest::of(b""),
            spec: UnitSpec {
                substitution: Some(Substitution {
                    variables: BTreeMap::from([("region".into(), "eu".into())]),
                    from: vec![VariableSource {
                        kind: VariableSourceKind::Secret,
                        name: "domain".into(),
                        optional: true,
                    }],
                    always: true,
                }),
                ..UnitSpec::default()
            },
            origin: Origin::FleetPath,
            source: "GitRepository/flux-system/fleet".parse().unwrap(),
            held_at: Some("main@sha1:0".parse().unwrap()),
            problem: Some("bad".into()),
            entries: (0..entries).map(entry).collect(),
        }
        .seal()
    }

    fn state(units: usize, entries: usize) -> DesiredState {
        let key = |at: usize| {
            format!("dev/Kustomization/flux-system/u{at}")
                .parse()
                .unwrap()
        };
        let revision = "main@sha1:1".parse().unwrap();
        DesiredState {
            epoch: StoreEpoch([3; 16]),
            generation: Generation(9),
            sources: BTreeMap::from([(
                "GitRepository/flux-system/fleet".parse().unwrap(),
                Source { revision },
            )]),
            units: (0..units)
                .map(|at| (key(at), Arc::new(unit(entries))))
                .collect(),
        }
    }

    #[test]
    fn a_large_state_travels_in_chunks() {
        let state = state(60, 300);
        let chunks = snapshot_chunks(&state);
        assert!(chunks.len() > 1);
        assert!(
            chunks
                .iter()
                .all(|it| it.encoded_len() < crate::MAX_MESSAGE_BYTES)
        );
        let mut assembly = SnapshotAssembly::default();
        let mut got = None;
        for chunk in chunks {
            got = assembly.push(chunk).unwrap();
        }
        assert_eq!(got, Some((state.clone(), state.root())));
    }

    #[test]
    fn an_empty_state_is_one_chunk() {
        let state = DesiredState::empty(StoreEpoch([0; 16]));
        let chunks = snapshot_chunks(&state);
        assert_eq!(chunks.len(), 1);
        let got = SnapshotAssembly::default().push(chunks[0].clone()).unwrap();
        assert_eq!(got, Some((state.clone(), state.root())));
    }

    #[test]
    fn chunks_of_two_snapshots_do_not_mix() {
        let (old, new) = (
            state(60, 300),
            DesiredState {
                generation: Generation(10),
                ..state(1, 1)
            },
        );
        let mut assembly = SnapshotAssembly::default();
        assert_eq!(
            assembly.push(snapshot_chunks(&old)[0].clone()).unwrap(),
            None
        );
        let got = assembly.push(snapshot_chunks(&new)[0].clone()).unwrap();
        assert_eq!(got.map(|it| it.0), Some(new));
    }
}
