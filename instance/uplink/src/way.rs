//! Which transport leads to a bot: its address says so.

use std::{path::Path, sync::Arc};

use qd_approvals::secret_file;
use qd_nats::{Address, NatsCarrier, Server, UserKey};
use qd_types::InstanceName;
use qd_wire::port::Carrier;

use crate::{HttpCarrier, JoinError};

/// When the way has to be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Now: what is asked is asked once.
    Now,
    /// Whenever that can be: what is asked is asked again.
    AnyTime,
}

/// The key by which a NATS server knows who keeps their state in `folder`, the bot or an instance. It is made when it is first
/// asked for.
///
/// # Errors
/// If it can't be had.
pub fn nats_key(folder: &Path) -> Result<UserKey, JoinError> {
    Ok(UserKey::new(&secret_file(&folder.join("nats.key"))?)?)
}

/// The way of an instance, whose state is in `folder`, to the bot at `url`.
pub(crate) async fn way(
    url: &str,
    instance: &InstanceName,
    folder: &Path,
    when: When,
) -> Result<Arc<dyn Carrier>, JoinError> {
    if !Address::is_one(url) {
        return Ok(Arc::new(HttpCarrier::new(url).map_err(JoinError::Address)?));
    }
    let Address { url, fleet } = url.parse()?;
    let server = Server { url, user: instance.to_string(), key: nats_key(folder)?, roots: None };
    let carrier = match when {
        When::Now => NatsCarrier::connect_now(&server, &fleet, instance).await?,
        When::AnyTime => NatsCarrier::connect(&server, &fleet, instance).await?,
    };
    Ok(Arc::new(carrier))
}
