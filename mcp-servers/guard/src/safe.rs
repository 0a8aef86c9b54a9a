//! Types for arguments that reach for something: paths and addresses. What they refuse is refused before a tool sees it, and
//! their schemas say so to clients.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Why a path or an address is refused, as a sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnsafeError(String);

/// A path below some folder: relative, without `..`, of visible letters, with `/` between its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Below(String);

impl Below {
    /// The path below this folder. It exists, and no link on the way leads out of the folder.
    pub fn within(&self, folder: &Path) -> Result<PathBuf, UnsafeError> {
        let unsafe_ = |error| UnsafeError(format!("{} can't be looked at below the folder: {error}", self.0));
        let root = folder.canonicalize().map_err(unsafe_)?;
        let path = root.join(&self.0).canonicalize().map_err(unsafe_)?;
        if path.starts_with(&root) {
            return Ok(path);
        }
        Err(UnsafeError(format!("{} leads out of the folder", self.0)))
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Below {
    type Error = UnsafeError;

    fn try_from(text: String) -> Result<Self, UnsafeError> {
        let is_step = |part: &str| part.is_empty() || part == "." || part == "..";
        if text.len() > LONGEST || is_odd(&text) || text.split('/').any(is_step) {
            let text = qd_approvals::inert::plain(&text, 80);
            return Err(UnsafeError(format!(
                "{text} is no path below a folder: write it as a/b, without .. in it"
            )));
        }
        Ok(Self(text))
    }
}

impl From<Below> for String {
    fn from(path: Below) -> Self {
        path.0
    }
}

impl JsonSchema for Below {
    fn schema_name() -> Cow<'static, str> {
        "Below".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "format": "relative-path", "minLength": 1, "maxLength": LONGEST,
            "description": "A relative path without .. in it."
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// What a file is called: a name and no path. It is not hidden, and means the same wherever it comes to lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(String);

impl FileName {
    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FileName {
    type Error = UnsafeError;

    fn try_from(text: String) -> Result<Self, UnsafeError> {
        let fits = (1..=100).contains(&text.len()) && !text.starts_with('.') && !text.contains(['/', '"']);
        if !fits || is_odd(&text) {
            let text = qd_approvals::inert::plain(&text, 80);
            return Err(UnsafeError(format!(
                "{text} is no name of a file: give it without a path, like plan.md"
            )));
        }
        Ok(Self(text))
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0
    }
}

impl JsonSchema for FileName {
    fn schema_name() -> Cow<'static, str> {
        "FileName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "format": "file-name", "minLength": 1, "maxLength": 100,
            "description": "A file's name, without a path."
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// Longest path, in bytes.
const LONGEST: usize = 1_024;

/// Letters that look like `/`, `\` or `.`, or become one where a text is brought into another form.
const ALIKE: [char; 9] = [
    '\u{2024}', '\u{2025}', '\u{2044}', '\u{2215}', '\u{2216}', '\u{29f8}', '\u{ff0e}', '\u{ff0f}',
    '\u{ff3c}',
];

/// Whether somebody may read something else in it than what stands there: signs that act, other systems' separators, letters
/// that look like one, and a percent sign with two digits behind it, which whoever decodes takes for another letter.
fn is_odd(text: &str) -> bool {
    let acts = |letter: char| letter.is_control() || "\\:".contains(letter) || ALIKE.contains(&letter);
    let encoded =
        |three: &[u8]| matches!(three, [b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    text.chars().any(acts) || text.as_bytes().windows(3).any(encoded)
}

/// Whether an address is one of the public network. Whoever connects to a name that a client gave has to ask this of every
/// address that the name stands for, and connect to that very address: a name that is asked again may answer differently.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || first == 0
        || first >= 240
        // Carrier networks, protocol assignments, benchmarks.
        || (first == 100 && (64..128).contains(&second))
        || (first == 192 && second == 0 && third == 0)
        || (first == 198 && (second == 18 || second == 19)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // 2000::/3 is what is given out; of that, translations to version 4 and documentation are none of the public's.
    (first & 0xe000) == 0x2000
        && !(first == 0x2001 && (second < 0x0200 || second == 0x0db8))
        && first != 0x2002
        && !(first == 0x3fff && second < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn below(text: &str) -> Result<Below, UnsafeError> {
        Below::try_from(text.to_owned())
    }

    #[test]
    fn what_leads_elsewhere_is_no_path() {
        for bad in [
            "",
            "/etc/passwd",
            "..",
            "a/../b",
            "a//b",
            "./a",
            "a\\..\\b",
            "C:/a",
            "a\0b",
            "a/",
            "..\u{2215}a/..",
            "a\n",
            "%2e%2e/a",
            "a%2Fb",
            "a%00",
            "..\u{2215}a",
            "a\u{ff0f}b",
            "\u{ff0e}\u{ff0e}/a",
        ] {
            assert!(below(bad).is_err(), "{bad:?}");
            assert!(FileName::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
        for bad in ["a/b", ".ssh", "a\"b", &"a".repeat(101)] {
            assert!(FileName::try_from((*bad).to_owned()).is_err(), "{bad:?}");
        }
        assert_eq!(FileName::try_from("100% plan.md".to_owned()).unwrap().as_str(), "100% plan.md");
        insta::assert_snapshot!(FileName::try_from("../plan.md".to_owned()).unwrap_err(), @"../plan.md is no name of a file: give it without a path, like plan.md");
        insta::assert_snapshot!(below("../../etc").unwrap_err(), @"../../etc is no path below a folder: write it as a/b, without .. in it");
        assert_eq!(below("a/b..c/d").unwrap().as_str(), "a/b..c/d");
    }

    #[test]
    fn a_link_does_not_lead_out() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(folder.path().join("secret"), "x").unwrap();
        std::fs::write(inside.join("file"), "x").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), inside.join("link")).unwrap();
        assert!(below("file").unwrap().within(&inside).is_ok());
        insta::assert_snapshot!(below("link").unwrap().within(&inside).unwrap_err(), @"link leads out of the folder");
    }

    #[test]
    fn addresses_of_this_side_are_not_public() {
        for inner in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!is_public(inner.parse().unwrap()), "{inner}");
        }
        for outer in ["1.1.1.1", "93.184.215.14", "2606:4700::1111"] {
            assert!(is_public(outer.parse().unwrap()), "{outer}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_a_path_stays_below(text in "[a./\\\\:~ é]{1,12}") {
            if let Ok(path) = below(&text) {
                let joined = Path::new("/root/folder").join(path.as_str());
                prop_assert!(joined.starts_with("/root/folder"));
                prop_assert!(joined.components().all(|part| part != std::path::Component::ParentDir));
            }
        }
    }
}
