//! Sealing: bytes that one key alone can read (HPKE, RFC 9180: X25519, HKDF-SHA-256, ChaCha20-Poly1305). Credentials travel so,
//! in answer to a signed call, and are never stored on the way.

use hpke::{
    Deserializable as _, OpModeR, OpModeS, Serializable as _,
    aead::ChaCha20Poly1305,
    kdf::HkdfSha256,
    kem::{Kem, X25519HkdfSha256},
    single_shot_open, single_shot_seal,
};

use crate::signed::{hex, unhex};

type Suite = X25519HkdfSha256;

/// Why something can't be sealed or opened. It says no more: what is wrong with sealed bytes is nobody's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it can't be {0}: it is sealed to another key, for another purpose, or was changed on its way")]
pub struct SealError(&'static str);

/// The secret half. It opens, and shows nothing of itself.
pub struct SealingKey(<Suite as Kem>::PrivateKey);

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey")
    }
}

impl SealingKey {
    /// From 32 secret bytes.
    ///
    /// # Errors
    /// If they are no key.
    pub fn new(secret: &[u8; 32]) -> Result<Self, SealError> {
        let key = <Suite as Kem>::PrivateKey::from_bytes(secret).map_err(|_| SealError("used as a key"))?;
        Ok(Self(key))
    }

    /// The public half: what others seal to.
    pub fn public(&self) -> [u8; 32] {
        Suite::sk_to_pk(&self.0).to_bytes().into()
    }

    /// Opens what was sealed to this key, for this purpose.
    ///
    /// # Errors
    /// If it was not.
    pub fn open(&self, purpose: &str, sealed: &str) -> Result<Vec<u8>, SealError> {
        let wrong = SealError("opened");
        let bytes = unhex(sealed).ok_or(wrong)?;
        let (key, text) = bytes.split_at_checked(32).ok_or(wrong)?;
        let key = <Suite as Kem>::EncappedKey::from_bytes(key).map_err(|_| wrong)?;
        single_shot_open::<ChaCha20Poly1305, HkdfSha256, Suite>(
            &OpModeR::Base,
            &self.0,
            &key,
            purpose.as_bytes(),
            text,
            &[],
        )
        .map_err(|_| wrong)
    }
}

/// Seals to a public key, for a purpose that both sides name. Lower-case hex.
///
/// # Errors
/// If the key is none.
pub fn seal(to: &[u8; 32], purpose: &str, bytes: &[u8]) -> Result<String, SealError> {
    let wrong = SealError("sealed");
    let to = <Suite as Kem>::PublicKey::from_bytes(to).map_err(|_| wrong)?;
    let (key, text) = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, Suite>(
        &OpModeS::Base,
        &to,
        purpose.as_bytes(),
        bytes,
        &[],
    )
    .map_err(|_| wrong)?;
    Ok(hex(&[key.to_bytes().as_slice(), &text].concat()))
}
