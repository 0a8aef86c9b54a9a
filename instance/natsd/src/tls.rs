//! Certificates of a test's own: an authority, and what it signed for a server at 127.0.0.1. They are made by `openssl`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// What leads the block in the shipped configuration, which is turned off there.
const OFF: &str = "# tls {
#     cert_file: \"/etc/nats/server.pem\"
#     key_file: \"/etc/nats/server.key\"
# }";

/// An authority, and the certificate of one server.
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    /// Makes both.
    ///
    /// # Panics
    /// If that can't be done.
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap_or_else(|error| panic!("no folder for certificates: {error}"));
        certify(folder.path(), "ca", &["-subj", "/CN=An authority"]);
        let signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-subj", "/CN=A server"];
        let server = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"];
        certify(folder.path(), "server", &[signed.as_slice(), &server].concat());
        Self { folder }
    }

    /// The file with its certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A configuration with the certificate of the server: the block that is shipped, turned on.
    ///
    /// # Panics
    /// If the shipped configuration has no such block.
    pub fn served(&self, configuration: &str) -> String {
        assert!(configuration.contains(OFF), "the shipped configuration shows no tls");
        let on: String = OFF.split('\n').map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
        let here = self.folder.path().display().to_string();
        configuration.replace(OFF, &on.replace("/etc/nats", &here))
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes `NAME.key` and `NAME.pem`.
fn certify(folder: &Path, name: &str, args: &[&str]) {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-days", "2", "-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")]);
    let made = openssl.args(args).current_dir(folder).output();
    let made = made.unwrap_or_else(|error| panic!("openssl is needed for certificates: {error}"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
