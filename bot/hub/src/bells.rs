//! Who waits for orders, and is told once there are some: of a thousand that wait, the one that they are for.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use qd_types::InstanceName;
use tokio::sync::watch;

/// A bell for each instance that has asked for orders in this process.
#[derive(Default)]
pub(crate) struct Bells(Mutex<HashMap<InstanceName, watch::Sender<()>>>);

impl Bells {
    /// Rings whenever there may be something new for an instance.
    pub(crate) fn of(&self, instance: &InstanceName) -> watch::Receiver<()> {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bells.entry(instance.clone()).or_default().subscribe()
    }

    /// Something new is committed for these.
    pub(crate) fn ring(&self, instances: &BTreeSet<InstanceName>) {
        let bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for bell in instances.iter().filter_map(|instance| bells.get(instance)) {
            bell.send_replace(());
        }
    }
}
