//! Variables that units take from their cluster: who reads them, and what becomes of what was read.

use std::sync::Arc;

use capstan_core::UnitKey;
use tokio::task::AbortHandle;

use super::{
    Engine,
    content::Maker,
    turn::actor,
    unit::{Inputs, UnitState},
};
use crate::{
    cluster::Cluster,
    variables::{Read, Reader},
};

impl<C: Cluster> Engine<C> {
    /// Has the variables of a unit read, where it needs some and nobody reads them yet.
    pub(super) fn read_variables(&mut self, key: &UnitKey) {
        let Some(state) = self.units.get_mut(key) else {
            return;
        };
        let unit = state.unit.as_ref().filter(|_| state.reader.is_none());
        let Some((unit, substitution)) =
            unit.and_then(|it| Some((it, it.spec.substitution.clone()?)))
        else {
            return;
        };
        let reader = Reader {
            shared: self.shared.clone(),
            unit: key.clone(),
            digest: unit.digest,
            actor: actor(key, unit.spec.service_account.as_deref()),
            policy: self.policy.clone(),
            substitution,
        };
        state.reader = Some(tokio::spawn(reader.follow()).abort_handle());
    }

    /// Takes what was read.
    pub(super) fn take_variables(&mut self, read: Read) {
        let Some(state) = self.units.get_mut(&read.unit) else {
            return;
        };
        if state.digest() != Some(read.digest) {
            return;
        }
        state.inputs = match read.variables {
            Ok(variables) => Inputs::Read(variables),
            Err(why) => Inputs::Missing(why),
        };
        self.make_items(&read.unit);
        self.touched.insert(read.unit);
    }

    /// Makes a unit's items from its content and its variables; those before stay where that does not work.
    pub(super) fn make_items(&mut self, key: &UnitKey) {
        let Some(state) = self.units.get_mut(key) else {
            return;
        };
        let UnitState {
            unit: Some(unit),
            inputs: Inputs::Read(variables),
            ..
        } = &*state
        else {
            return;
        };
        let maker = Maker {
            held: &self.shared.held,
            policy: &self.policy,
            namespace: &self.shared.namespace,
            digest_key: &self.digest_key,
        };
        match maker.items(unit, variables) {
            Ok(items) if state.complete && *state.items == items => {}
            Ok(items) => {
                state.items = Arc::new(items);
                state.complete = true;
                state.dirty = true;
                state.applied_at = None;
                self.items_changed = true;
            }
            Err(why) => state.inputs = Inputs::Missing(why),
        }
    }

    /// Reads anew and makes anew what depends on the cluster's policy.
    pub(super) fn remake_all(&mut self) {
        let keys: Vec<UnitKey> = self.units.keys().cloned().collect();
        for key in keys {
            if let Some(state) = self.units.get_mut(&key) {
                state.dirty |= state.unit.is_some();
                state.reader.take().inspect(AbortHandle::abort);
            }
            self.make_items(&key);
        }
    }
}
