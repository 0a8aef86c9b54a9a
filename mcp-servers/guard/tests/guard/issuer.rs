//! Tokens of an external issuer: what counts, and what is tried to have another one count.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use insta::assert_snapshot;
use jiff::Timestamp;
use qd_guard::{
    Caller, StoreError,
    http::{self, Tokens as _},
    issuer::{Issuer, Links, Stranger},
    reach::SystemNames,
};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    reach::{http as answer, raw},
    world::{World, of_person},
};

const HERE: &str = "https://tools.example.com/mcp";

/// A key pair of an issuer.
struct Key(EcdsaKeyPair);

impl Key {
    fn new() -> Self {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random).unwrap())
    }

    fn published(&self, kid: &str) -> Value {
        let point = self.0.public_key().as_ref();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid,
                "x": part(&point[1..33]), "y": part(&point[33..]) })
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let text = unsigned(header, claims);
        let signature = self.0.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// Knows one person of the issuer.
struct Linked;

#[async_trait]
impl Links for Linked {
    async fn caller(&self, stranger: &Stranger) -> Result<Option<Caller>, StoreError> {
        Ok((stranger.subject == "u-7").then(|| of_person("theo")))
    }
}

/// An issuer, and what it publishes.
struct Stage {
    issuer: Issuer,
    at: String,
    key: Key,
    keys: Arc<Mutex<Value>>,
    asked: Arc<AtomicUsize>,
}

impl Stage {
    async fn new() -> Self {
        let key = Key::new();
        let keys = Arc::new(Mutex::new(json!({ "keys": [key.published("k1")] })));
        let (asked, address) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(String::new())));
        let (published, counted, own) = (keys.clone(), asked.clone(), address.clone());
        let (port, _) = raw(move |request| {
            let at = own.lock().unwrap().clone();
            if request.starts_with("GET /.well-known/oauth-authorization-server ") {
                answer("200 OK", "", &json!({ "issuer": at, "jwks_uri": format!("{at}/keys") }).to_string())
            } else if request.starts_with("GET /keys ") {
                counted.fetch_add(1, Ordering::SeqCst);
                answer("200 OK", "", &published.lock().unwrap().to_string())
            } else {
                answer("404 Not Found", "", "")
            }
        })
        .await;
        let at = format!("http://127.0.0.1:{port}");
        *address.lock().unwrap() = at.clone();
        let issuer = Issuer::discover(&at, HERE, true, &SystemNames, Arc::new(Linked)).await.unwrap();
        Self { issuer, at, key, keys, asked }
    }

    fn header(&self) -> Value {
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": "k1" })
    }

    fn claims(&self) -> Value {
        let now = Timestamp::now().as_second();
        json!({ "iss": self.at, "aud": HERE, "sub": "u-7", "exp": now + 300, "nbf": now - 5 })
    }

    fn with(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims();
        claims[name] = value;
        self.key.token(&self.header(), &claims)
    }

    async fn takes(&self, token: &str) -> bool {
        self.issuer.caller(Some(token)).await.unwrap().is_some()
    }
}

#[tokio::test]
async fn what_the_issuer_signed_for_here_and_now_is_a_linked_person() {
    let stage = Stage::new().await;
    let good = stage.key.token(&stage.header(), &stage.claims());
    assert_eq!(stage.issuer.caller(Some(&good)).await.unwrap(), Some(of_person("theo")));
    assert!(stage.takes(&stage.with("aud", json!(["https://other.example", HERE]))).await);
    // Nobody here is linked to that one.
    assert!(!stage.takes(&stage.with("sub", json!("u-8"))).await);
    assert_eq!(stage.issuer.caller(None).await.unwrap(), None);
}

#[tokio::test]
async fn forged_tokens_are_nobodys() {
    let stage = Stage::new().await;
    let (header, claims) = (stage.header(), stage.claims());
    let good = stage.key.token(&header, &claims);
    let with_header = |name: &str, value: Value| {
        let mut header = stage.header();
        header[name] = value;
        stage.key.token(&header, &claims)
    };
    // alg none, with and without what looks like a signature.
    for name in ["none", "None", "NONE"] {
        let text = unsigned(&json!({ "alg": name, "kid": "k1" }), &claims);
        for token in [format!("{text}."), text.clone(), format!("{text}.AAAA")] {
            assert!(!stage.takes(&token).await, "{token}");
        }
    }
    // HS256, with what is public of the key as the secret.
    let published = stage.key.published("k1");
    let point = stage.key.0.public_key().as_ref().to_vec();
    for secret in [point, published.to_string().into_bytes(), published["x"].to_string().into_bytes()] {
        let text = unsigned(&json!({ "alg": "HS256", "kid": "k1" }), &claims);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), text.as_bytes());
        assert!(!stage.takes(&format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))).await);
    }
    // Another key under the name of theirs; a key that the token brings along or points to.
    let other = Key::new();
    assert!(!stage.takes(&other.token(&header, &claims)).await);
    let mut brought = stage.header();
    brought["jwk"] = other.published("k1");
    brought["jku"] = json!("https://evil.example/keys");
    assert!(!stage.takes(&other.token(&brought, &claims)).await);
    // An algorithm that is not the key's.
    for name in ["ES384", "RS256", "PS256", "EdDSA", "HS512"] {
        assert!(!stage.takes(&with_header("alg", json!(name))).await, "{name}");
    }
    // What is asked for beyond a signature; other types; no key.
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("typ", json!("logout+jwt")),
        ("kid", json!("k2")),
        ("kid", json!("../k1")),
        ("kid", json!("")),
        ("kid", Value::Null),
        ("zip", json!("DEF")),
    ] {
        assert!(!stage.takes(&with_header(name, value.clone())).await, "{name} {value}");
    }
    // One letter of the signature or of what is signed.
    for place in [good.find('.').unwrap() + 5, good.rfind('.').unwrap() + 5] {
        let mut bent = good.clone().into_bytes();
        bent[place] = if bent[place] == b'A' { b'B' } else { b'A' };
        assert!(!stage.takes(&String::from_utf8(bent).unwrap()).await);
    }
    assert!(stage.takes(&good).await);
}

#[tokio::test]
async fn tokens_for_elsewhere_or_another_time_are_nobodys() {
    let stage = Stage::new().await;
    let now = Timestamp::now().as_second();
    for (name, value) in [
        ("aud", json!("https://other.example/mcp")),
        ("aud", json!(format!("{HERE}/"))),
        ("aud", json!([])),
        ("aud", Value::Null),
        ("iss", json!("https://evil.example")),
        ("iss", json!([stage.at, "https://evil.example"])),
        ("iss", Value::Null),
        ("exp", json!(now - 60)),
        ("exp", json!("never")),
        ("exp", Value::Null),
        ("nbf", json!(now + 600)),
        ("nbf", json!("soon")),
        ("sub", json!("")),
        ("sub", json!("x".repeat(300))),
        ("sub", json!("u-7\u{0}")),
        ("sub", json!(7)),
        ("sub", Value::Null),
    ] {
        assert!(!stage.takes(&stage.with(name, value.clone())).await, "{name} {value}");
    }
    // Claims that stand twice.
    let claims = stage.claims().to_string().replacen('{', r#"{"sub":"u-8","#, 1);
    let text =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(stage.header().to_string()), URL_SAFE_NO_PAD.encode(claims));
    let signature = stage.key.0.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    assert!(!stage.takes(&format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))).await);
    // Without end.
    assert!(!stage.takes(&stage.with("more", json!("x".repeat(8 * 1024)))).await);
    assert!(!stage.takes(&"a.".repeat(100_000)).await);
    for odd in ["", ".", "..", "a.b.c", "a.b.c.d.e", "\u{1F600}.b.c"] {
        assert!(!stage.takes(odd).await, "{odd}");
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_keys_are_looked_for_now_and_then() {
    let stage = Stage::new().await;
    let new = Key::new();
    let header = json!({ "alg": "ES256", "kid": "k2" });
    let token = new.token(&header, &stage.claims());
    for _ in 0..20 {
        assert!(!stage.takes(&token).await);
    }
    assert_eq!(stage.asked.load(Ordering::SeqCst), 2, "once at the start, and once for all of these");
    // The issuer has a new key: it counts once it is looked for again. The old one does not count any more.
    *stage.keys.lock().unwrap() = json!({ "keys": [new.published("k2"), { "kty": "odd", "kid": "k3" }] });
    tokio::time::advance(std::time::Duration::from_secs(31)).await;
    assert!(stage.takes(&token).await);
    assert!(!stage.takes(&stage.key.token(&stage.header(), &stage.claims())).await);
    // Two keys of one name, and none at all: what was known is good for a while, and then nothing is.
    *stage.keys.lock().unwrap() = json!({ "keys": [new.published("k2"), stage.key.published("k2")] });
    assert!(stage.takes(&token).await);
    tokio::time::advance(std::time::Duration::from_secs(601)).await;
    assert!(stage.issuer.caller(Some(&token)).await.is_err());
    assert_snapshot!(stage.issuer.caller(Some(&token)).await.unwrap_err(), @"Reading the issuer's keys failed: they are too old, and could not be read a moment ago");
}

#[tokio::test]
async fn an_issuer_is_who_it_says() {
    let (port, _) = raw(|_| {
        answer(
            "200 OK",
            "",
            r#"{"issuer": "https://login.example.com", "jwks_uri": "http://169.254.169.254/"}"#,
        )
    })
    .await;
    let at = format!("http://127.0.0.1:{port}");
    let refused = Issuer::discover(&at, HERE, true, &SystemNames, Arc::new(Linked)).await.err().unwrap();
    assert!(refused.to_string().ends_with(r#"says that it is "https://login.example.com""#), "{refused}");
    let own = Arc::new(Mutex::new(String::new()));
    let said = own.clone();
    let (port, _) = raw(move |_| {
        let at = said.lock().unwrap().clone();
        answer("200 OK", "", &json!({ "issuer": at, "jwks_uri": "http://169.254.169.254/keys" }).to_string())
    })
    .await;
    let at = format!("http://127.0.0.1:{port}");
    *own.lock().unwrap() = at.clone();
    let refused = Issuer::discover(&at, HERE, true, &SystemNames, Arc::new(Linked)).await.err().unwrap();
    assert!(refused.to_string().contains("169.254.169.254, which is never that of a server"), "{refused}");
    let refused = Issuer::discover(&at, HERE, false, &SystemNames, Arc::new(Linked)).await.err().unwrap();
    assert!(refused.to_string().contains("not one of the public network"), "{refused}");
}

#[tokio::test]
async fn a_token_of_the_issuer_opens_the_door() {
    let stage = Stage::new().await;
    let good = stage.key.token(&stage.header(), &stage.claims());
    let late = stage.with("exp", json!(1_000));
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let protected = Some(stage.issuer.protected(vec!["tools".to_owned()]));
    let settings = http::Settings { protected, ..http::Settings::default() };
    let (guard, stop) = (world.up().guard.clone(), CancellationToken::new());
    tokio::spawn(http::serve(listener, guard, Arc::new(stage.issuer), settings, stop.clone()));
    let client = crate::http::client(port, &good, true).await;
    client.good("status", json!({"service": "search"})).await;
    let body = crate::http::hello();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {late}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = crate::http::whole(port, &request).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let challenge = answer.lines().find(|line| line.starts_with("www-authenticate")).unwrap();
    assert_snapshot!(challenge, @r#"www-authenticate: Bearer error="invalid_token", resource_metadata="https://tools.example.com/.well-known/oauth-protected-resource/mcp""#);
    stop.cancel();
}
