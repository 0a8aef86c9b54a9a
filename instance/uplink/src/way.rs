//! Which transport leads to a bot: its address says so.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use qd_approvals::secret_file;
use qd_nats::{Address, NatsCarrier, Server, UserKey};
use qd_types::InstanceName;
use qd_wire::port::Carrier;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

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

/// A file with certificates of authorities that may be believed, as it is to be written down: by its full name.
///
/// # Errors
/// If it has none.
pub fn authorities(file: &Path) -> Result<PathBuf, JoinError> {
    read(file)?;
    file.canonicalize().map_err(|error| unusable(file, error.to_string()))
}

/// The certificates in a file.
pub(crate) fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, JoinError> {
    let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match all {
        Ok(all) if all.is_empty() => Err(unusable(file, "no certificate is in it".to_owned())),
        Ok(all) => Ok(all),
        Err(error) => Err(unusable(file, error.to_string())),
    }
}

fn unusable(file: &Path, problem: String) -> JoinError {
    JoinError::Authorities { file: file.to_owned(), problem }
}

/// The way of an instance, whose state is in `folder`, to the bot at `url`. The authorities in the file `ca` are believed in place
/// of the system's.
pub(crate) async fn way(
    url: &str,
    ca: Option<&Path>,
    instance: &InstanceName,
    folder: &Path,
    when: When,
) -> Result<Arc<dyn Carrier>, JoinError> {
    if !Address::is_one(url) {
        return Ok(Arc::new(HttpCarrier::new(url, ca)?));
    }
    let ca = ca.map(authorities).transpose()?;
    let Address { url, fleet } = url.parse()?;
    let server = Server { url, user: instance.to_string(), key: nats_key(folder)?, ca };
    let carrier = match when {
        When::Now => NatsCarrier::connect_now(&server, &fleet, instance).await?,
        When::AnyTime => NatsCarrier::connect(&server, &fleet, instance).await?,
    };
    Ok(Arc::new(carrier))
}
