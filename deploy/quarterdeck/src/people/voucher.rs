//! Vouchers: the word of a tool server of this state folder for whoever calls it over HTTP. The server looked at the caller's
//! token; the fleet takes the call for that caller's, and never for that of whoever started the server. A voucher is signed
//! with the key of the tool servers, holds for half a minute, counts on the fleet's sockets alone, and votes for nothing.

use std::path::{Path, PathBuf};

use ed25519_dalek::{Signature, Signer as _};
use jiff::{SignedDuration, Timestamp};
use qd_approvals::{KeyFileError, SurfaceKey};
use qd_types::PersonId;
use serde::{Deserialize, Serialize};

/// What it begins with: no other token does.
const PREFIX: &str = "qdv_";

/// What is signed begins with it. Nothing else that this key signs does.
const DOMAIN: &str = "quarterdeck voucher v1 ";

/// How long one holds.
const HOLDS: SignedDuration = SignedDuration::from_secs(30);

/// Whom a tool server vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voucher {
    /// The person who calls, or on whose behalf a service account does.
    pub person: PersonId,
    /// The service account that calls.
    pub service: Option<String>,
    /// Until when it holds, in milliseconds since 1970.
    until: i64,
}

/// The key of this state folder's tool servers.
pub fn key(state: &Path) -> PathBuf {
    state.join("mcp").join("surface.key")
}

/// Whoever may vouch: a process that reads the key.
pub struct Vouching(SurfaceKey);

impl Vouching {
    /// With the key below `state`, which is made if it is not there.
    pub fn open(state: &Path) -> Result<Self, KeyFileError> {
        SurfaceKey::open(&key(state)).map(Self)
    }

    /// A voucher for them, as a token. The error is that of JSON.
    pub fn of(
        &self,
        person: &PersonId,
        service: Option<&str>,
        now: Timestamp,
    ) -> Result<String, serde_json::Error> {
        let until = now.checked_add(HOLDS).unwrap_or(now).as_millisecond();
        let voucher = Voucher { person: person.clone(), service: service.map(str::to_owned), until };
        let said = serde_json::to_string(&voucher)?;
        let signature = self.0.signing().sign(format!("{DOMAIN}{said}").as_bytes());
        Ok(format!("{PREFIX}{said}.{signature:x}"))
    }
}

/// Whether a token claims to be one.
pub fn is_one(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// Whom it vouches for, if the key below `state` signed exactly this, and it still holds. Whatever is wrong, it is nobody.
pub fn open(state: &Path, token: &str, now: Timestamp) -> Option<Voucher> {
    let (said, signature) = token.strip_prefix(PREFIX)?.rsplit_once('.')?;
    let path = key(state);
    // None is made here: whoever has none was vouched for by nobody.
    let key = path.exists().then(|| SurfaceKey::open(&path))?;
    let key = key.inspect_err(|error| tracing::error!(%error, "a voucher can't be looked at")).ok()?;
    let signature: Signature = signature.parse().ok()?;
    let public = key.signing().verifying_key();
    public.verify_strict(format!("{DOMAIN}{said}").as_bytes(), &signature).ok()?;
    let voucher: Voucher = serde_json::from_str(said).ok()?;
    let last = now.checked_add(HOLDS).ok()?.as_millisecond();
    (now.as_millisecond()..=last).contains(&voucher.until).then_some(voucher)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_for_whom_it_says_and_half_a_minute() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let now = Timestamp::from_second(1_000).unwrap();
        let (vera, mira): (PersonId, PersonId) = ("vera".parse().unwrap(), "mira".parse().unwrap());
        let vouching = Vouching::open(folder.path()).unwrap();
        let one = vouching.of(&vera, Some("ci"), now).unwrap();
        assert!(is_one(&one));
        let opened = open(folder.path(), &one, now).unwrap();
        assert_eq!((&opened.person, opened.service.as_deref()), (&vera, Some("ci")));
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(open(folder.path(), &one, at(1_030)).is_some());
        for late in [at(1_031), at(900)] {
            assert_eq!(open(folder.path(), &one, late), None, "{late}");
        }
        // Other words, another key, no key, no voucher.
        assert_eq!(open(folder.path(), &one.replace("vera", "mira"), now), None);
        assert_eq!(open(other.path(), &one, now), None);
        assert!(!key(other.path()).exists());
        let forged = Vouching::open(other.path()).unwrap().of(&mira, None, now).unwrap();
        assert_eq!(open(folder.path(), &forged, now), None);
        for odd in ["", "qdv_", "qdv_{}.00", "qdt_00"] {
            assert_eq!(open(folder.path(), odd, now), None, "{odd}");
        }
    }
}
