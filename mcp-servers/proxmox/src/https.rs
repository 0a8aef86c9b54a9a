//! The way to a cluster: HTTPS, always verified, by the system's roots, a CA file, or the certificate's own SHA-256. No
//! redirects, no proxy of the environment. The token is in a header of the request, and nowhere else.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use qd_guard::reach::whole;
use qd_types::Tier;
use reqwest::{Client, redirect};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::{
    error::{PveError, cut},
    request::{Method, Request},
};

/// How long an answer may take. A refused token takes 3 s.
const TIME: Duration = Duration::from_secs(60);

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Longest answer, in bytes.
const MOST: usize = 32 << 20;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its status; Proxmox has some of its own, 595 and on.
    pub status: u16,
    /// The words of its status line: for 401 the only ones.
    pub reason: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// Where requests go.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends one. An answer of any status is one.
    async fn send(&self, request: &Request) -> Result<Reply, PveError>;
}

/// What a server's certificate has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Signed by one that this system trusts.
    System,
    /// Signed by one in this file.
    CaFile(PathBuf),
    /// Exactly the one with this SHA-256. Whoever pins one renews the pin with it; how long it is valid is not asked.
    Fingerprint([u8; 32]),
}

/// A cluster's API over HTTPS.
pub struct Https {
    client: Client,
    base: String,
    token: SecretString,
    tiers: BTreeMap<Tier, SecretString>,
}

impl Https {
    /// Over `https://host:port`, with the header's value `PVEAPIToken=USER@REALM!NAME=VALUE`. Errors are sentences.
    pub fn new(authority: &str, token: SecretString, trust: &Trust) -> Result<Self, String> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls(trust)?)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .https_only(true)
            .connect_timeout(CONNECT)
            .timeout(TIME)
            .build()
            .map_err(|error| whole(&error))?;
        let (base, tiers) = (format!("https://{authority}/api2/json"), BTreeMap::new());
        Ok(Self { client, base, token, tiers })
    }

    /// With header values of their own for requests of some tiers.
    pub fn with_tiers(self, tiers: BTreeMap<Tier, SecretString>) -> Self {
        Self { tiers, ..self }
    }

    fn token(&self, request: &Request) -> &SecretString {
        self.tiers.get(&request.tier()).unwrap_or(&self.token)
    }
}

#[async_trait]
impl Transport for Https {
    async fn send(&self, request: &Request) -> Result<Reply, PveError> {
        let url = format!("{}{}", self.base, request.path());
        let form = request.form();
        let with_query = if form.is_empty() { url.clone() } else { format!("{url}?{form}") };
        let building = match request.method() {
            Method::Get => self.client.get(with_query),
            Method::Delete => self.client.delete(with_query),
            Method::Post => self.client.post(url).body(form),
            Method::Put => self.client.put(url).body(form),
        };
        let mut header = reqwest::header::HeaderValue::from_str(self.token(request).expose_secret())
            .map_err(|_| PveError::Unauthorized("it has characters that no token has".to_owned()))?;
        header.set_sensitive(true);
        let building = building.header("Authorization", header);
        let building = match request.method() {
            Method::Post | Method::Put => {
                building.header("Content-Type", "application/x-www-form-urlencoded")
            }
            Method::Get | Method::Delete => building,
        };
        let lost = |error: reqwest::Error| {
            let sent = !(error.is_connect() || error.is_builder());
            PveError::Unreachable { said: cut(&whole(&error.without_url())), sent }
        };
        let mut response = building.send().await.map_err(lost)?;
        let status = response.status();
        let phrase = response.extensions().get::<hyper::ext::ReasonPhrase>();
        let reason = phrase.map_or_else(
            || status.canonical_reason().unwrap_or_default().to_owned(),
            |phrase| String::from_utf8_lossy(phrase.as_bytes()).into_owned(),
        );
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > MOST {
                return Err(PveError::Unreadable(format!("it is longer than {} MiB", MOST >> 20)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status: status.as_u16(), reason, body })
    }
}

fn tls(trust: &Trust) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let building = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let roots = match trust {
        Trust::Fingerprint(wanted) => {
            let pinned = Arc::new(Pinned { wanted: *wanted, provider });
            return Ok(building.dangerous().with_custom_certificate_verifier(pinned).with_no_client_auth());
        }
        Trust::System => rustls_native_certs::load_native_certs().certs,
        Trust::CaFile(path) => {
            let unreadable = |why: &dyn std::fmt::Display| {
                format!("PROXMOX_CA_FILE {} can't be read: {why}", path.display())
            };
            let pem = fs::read(path).map_err(|error| unreadable(&error))?;
            CertificateDer::pem_slice_iter(&pem)
                .collect::<Result<_, _>>()
                .map_err(|error| unreadable(&error))?
        }
    };
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots);
    if store.is_empty() {
        return Err(
            "There is no certificate to verify Proxmox with: set PROXMOX_CA_FILE or PROXMOX_FINGERPRINT."
                .to_owned(),
        );
    }
    Ok(building.with_root_certificates(store).with_no_client_auth())
}

/// Takes one certificate, and no other. Its key still has to sign the handshake.
#[derive(Debug)]
struct Pinned {
    wanted: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found: [u8; 32] = Sha256::digest(end_entity).into();
        if found == self.wanted {
            return Ok(ServerCertVerified::assertion());
        }
        let shown: Vec<String> = found.iter().map(|byte| format!("{byte:02X}")).collect();
        Err(rustls::Error::General(format!(
            "the certificate is not the one of PROXMOX_FINGERPRINT; it has {}",
            shown.join(":")
        )))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
