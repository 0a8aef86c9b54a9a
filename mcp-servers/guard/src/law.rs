//! The policies of the fleet as the guard's law.

use std::sync::Arc;

use qd_engine::{Engine, Request};
use qd_types::Decision;
use tokio::sync::watch;

use crate::Law;

/// Asks `qd-engine`.
#[derive(Debug, Clone)]
pub struct EngineLaw {
    engine: Arc<Engine>,
    changes: Arc<watch::Sender<u64>>,
}

impl EngineLaw {
    /// Over an engine. Its facts have to know the tools of the server: [`Guard::known_tools`](crate::Guard::known_tools).
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine, changes: Arc::new(watch::Sender::new(0)) }
    }

    /// To be called after policies, facts or rules were replaced: clients are told to list their tools again.
    pub fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

impl Law for EngineLaw {
    fn decide(&self, request: &Request) -> Decision {
        self.engine.decide(request)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
