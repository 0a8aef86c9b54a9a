//! What a remote asks for. It is known to single calls of git, and remembered nowhere.

use std::ffi::OsString;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use secrecy::{ExposeSecret as _, SecretString};

/// What a remote over HTTP asks for: a user and a password, sent to addresses that begin with `address`. Calls that talk with
/// remotes have it in their environment, and it stands in no address, no argument and no configuration on disk.
#[derive(Clone)]
pub struct Access {
    address: String,
    header: SecretString,
}

impl Access {
    /// Basic authentication (RFC 7617).
    pub fn basic(address: impl Into<String>, user: &str, password: &SecretString) -> Self {
        let pair = BASE64.encode(format!("{user}:{}", password.expose_secret()));
        Self { address: address.into(), header: format!("Authorization: Basic {pair}").into() }
    }

    /// As git's configuration, by its environment (git-config(1), `GIT_CONFIG_COUNT`). Credentials go to nobody that the remote
    /// sends us on to.
    pub(crate) fn settings(&self) -> [(&'static str, OsString); 5] {
        [
            ("GIT_CONFIG_COUNT", "2".into()),
            ("GIT_CONFIG_KEY_0", format!("http.{}.extraHeader", self.address).into()),
            ("GIT_CONFIG_VALUE_0", self.header.expose_secret().into()),
            ("GIT_CONFIG_KEY_1", format!("http.{}.followRedirects", self.address).into()),
            ("GIT_CONFIG_VALUE_1", "false".into()),
        ]
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("address", &self.address).finish_non_exhaustive()
    }
}
