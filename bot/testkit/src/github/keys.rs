//! The App's key: what it signs its tokens with, and what a webhook is signed with. The key is made anew for every fake, so
//! that no private key lies in this repository.

use base64::{Engine as _, engine::general_purpose};
use ring::{hmac, rsa, signature};
use serde_json::Value;

/// An RSA key, as GitHub gives it to an App: PKCS#1 in PEM.
pub(super) struct AppKey {
    pub(super) pem: String,
    public: Vec<u8>,
}

impl std::fmt::Debug for AppKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AppKey")
    }
}

/// Longest life of an App's token, in seconds.
/// <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>
const LONGEST: i64 = 600;
/// How far the clocks may be apart, in seconds: the same page tells clients to set `iat` a minute into the past.
const DRIFT: i64 = 60;

impl AppKey {
    pub(super) fn generate() -> Self {
        let made = std::process::Command::new("openssl").args(["genrsa", "-traditional", "2048"]).output();
        let made = made.expect("the fake GitHub makes its key with the program openssl");
        assert!(made.status.success(), "openssl genrsa: {}", String::from_utf8_lossy(&made.stderr));
        let pem = String::from_utf8(made.stdout).expect("PEM is text");
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = general_purpose::STANDARD.decode(body).expect("PEM is base64");
        let pair = rsa::KeyPair::from_der(&der).expect("openssl made an RSA key");
        Self { pem, public: pair.public().as_ref().to_vec() }
    }

    /// Whose token it is: the `iss`. GitHub's words where it is refused.
    pub(super) fn verify(&self, token: &str, now: i64) -> Result<String, &'static str> {
        const UNREADABLE: &str = "A JSON web token could not be decoded";
        let mut parts = token.rsplitn(2, '.');
        let (Some(mark), Some(signed)) = (parts.next(), parts.next()) else { return Err(UNREADABLE) };
        let (Some((head, claims)), Ok(mark)) =
            (signed.split_once('.'), general_purpose::URL_SAFE_NO_PAD.decode(mark))
        else {
            return Err(UNREADABLE);
        };
        let json = |part: &str| -> Option<Value> {
            serde_json::from_slice(&general_purpose::URL_SAFE_NO_PAD.decode(part).ok()?).ok()
        };
        let (Some(head), Some(claims)) = (json(head), json(claims)) else { return Err(UNREADABLE) };
        let key = signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, &self.public);
        if head["alg"] != "RS256" || key.verify(signed.as_bytes(), &mark).is_err() {
            return Err(UNREADABLE);
        }
        let (Some(issued), Some(expires)) = (claims["iat"].as_i64(), claims["exp"].as_i64()) else {
            return Err("'Expiration time' claim ('exp') must be a numeric value representing the future \
                        time at which the assertion expires");
        };
        if issued > now {
            return Err("'Issued at' claim ('iat') must be an Integer representing the time that the \
                        assertion was issued");
        }
        if expires < now {
            return Err("'Expiration time' claim ('exp') must be a numeric value representing the future \
                        time at which the assertion expires");
        }
        if expires - now > LONGEST || expires - issued > LONGEST + DRIFT {
            return Err("'Expiration time' claim ('exp') is too far in the future");
        }
        match &claims["iss"] {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err("'Issuer' claim ('iss') must be an Integer"),
        }
    }
}

/// `X-Hub-Signature-256` of a body.
/// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
pub(super) fn hub_signature(secret: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    format!("sha256={}", hex(tag.as_ref()))
}

/// An ETag: of the same text always the same.
pub(super) fn etag(body: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    format!("W/\"{}\"", hex(digest.as_ref()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}
