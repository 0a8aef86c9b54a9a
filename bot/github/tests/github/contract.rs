//! The contract of the port.

use crate::support::World;

qd_testkit::forge_contract!(World::new().await);

#[tokio::test]
async fn all_contracts_hold_on_one_repository() {
    qd_testkit::contract::forge(&World::new().await).await;
}
