//! Landlock: writes are confined, by our own program that becomes the other. See `qd-confine`.

use async_trait::async_trait;

use crate::port::{Bounds, Kind, Launch, Prevents, Sandbox, SandboxError, Spec};

/// Walls that only writes meet.
#[derive(Debug, Clone)]
pub struct Landlock(pub Bounds);

#[async_trait]
impl Sandbox for Landlock {
    fn kind(&self) -> Kind {
        Kind::Landlock
    }

    async fn probe(&self) -> Result<Prevents, SandboxError> {
        if qd_confine::available() {
            return Ok(Prevents { writes: true, ..Prevents::default() });
        }
        let reason = "this kernel has no Landlock of version 3: set sandbox.kind to auto".to_owned();
        Err(SandboxError::Unavailable { kind: Kind::Landlock, reason })
    }

    /// Everything of `write` and the spec's own folder; the rest stays readable, so nothing is to be hidden or mounted.
    fn launch(&self, spec: &Spec) -> Result<Launch, SandboxError> {
        let mut argv = self.0.argv(&spec.limits);
        for path in spec.writable() {
            argv.extend(["--write".into(), path.into()]);
        }
        argv.push("--".into());
        Ok(Launch { argv, ..Launch::default() })
    }
}
