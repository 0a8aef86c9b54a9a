//! The contract of the port.

use crate::support::World;

qd_testkit::forge_contract!(World::new().await);
