//! Whether a delivery comes from GitHub: HMAC-SHA-256 over its bytes as they came, in `X-Hub-Signature-256: sha256=HEX`
//! (docs.github.com, "Validating webhook deliveries").

use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

/// What the header begins with.
const SCHEME: &str = "sha256=";
/// Bytes of a signature.
const LENGTH: usize = 32;

/// The secret that GitHub and the bot share, ready for use. Shows nothing of it.
#[derive(Clone)]
pub struct Verifier(hmac::Key);

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier")
    }
}

/// There is no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the webhook of GitHub has no secret, so anybody could speak as GitHub: set one, of 16 characters at least, in the App and in github.webhook"
)]
pub struct NoSecret;

/// A secret that is shorter can be guessed.
const SHORTEST: usize = 16;

impl Verifier {
    /// With this secret.
    ///
    /// # Errors
    /// If there is none, or one that can be guessed: the endpoint does not start then.
    pub fn new(secret: &SecretString) -> Result<Self, NoSecret> {
        let secret = secret.expose_secret();
        if secret.trim().len() < SHORTEST {
            return Err(NoSecret);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())))
    }

    /// Whether the header signs exactly these bytes. Compared in constant time.
    pub fn is_signed(&self, header: Option<&[u8]>, body: &[u8]) -> bool {
        let signature = header.and_then(|header| std::str::from_utf8(header).ok());
        let signature = signature.and_then(|text| text.strip_prefix(SCHEME)).and_then(unhex);
        signature.is_some_and(|signature| hmac::verify(&self.0, body, &signature).is_ok())
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if bytes.len() != LENGTH * 2 {
        return None;
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    bytes
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verifier() -> Verifier {
        Verifier::new(&SecretString::from("It's a Secret to Everybody")).unwrap()
    }

    /// GitHub's own example (docs.github.com, "Validating webhook deliveries", "Testing the webhook payload validation").
    const EXAMPLE: &[u8] = b"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn githubs_own_example_is_signed_and_nothing_else_is() {
        let verifier = verifier();
        assert!(verifier.is_signed(Some(EXAMPLE), b"Hello, World!"));
        assert!(!verifier.is_signed(Some(EXAMPLE), b"Hello, World?"));
        assert!(!verifier.is_signed(None, b"Hello, World!"));
        for wrong in [&EXAMPLE[..70], b"sha256=", b"", b"sha1=757107ea", &EXAMPLE[7..], b"sha256=\xff\xfe"] {
            assert!(!verifier.is_signed(Some(wrong), b"Hello, World!"), "{wrong:?}");
        }
        let other = Verifier::new(&SecretString::from("another secret of 16")).unwrap();
        assert!(!other.is_signed(Some(EXAMPLE), b"Hello, World!"));
    }

    #[test]
    fn without_a_secret_there_is_no_endpoint() {
        for none in ["", "   ", "short"] {
            assert_eq!(Verifier::new(&SecretString::from(none)).unwrap_err(), NoSecret);
        }
        assert_eq!(format!("{:?}", verifier()), "Verifier");
    }
}
