//! Names of things in a cluster. A value of these types is one that Proxmox takes: it is checked whole (`\A…\z`, never
//! `$`), before anything else sees it, so that nothing else can get into a URL. Where Proxmox itself takes more than is
//! good (a line end after a name, `..` as a pool), this is stricter.

use std::{borrow::Cow, fmt, sync::LazyLock};

use regex::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A text that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is not a {what}: {rule}", quoted(.value))]
pub struct Invalid {
    /// What it should be, as people name it.
    pub what: &'static str,
    /// What it is.
    pub value: String,
    /// What it has to be like.
    pub rule: &'static str,
}

/// What somebody wrote, short, with nothing hidden in it.
fn quoted(value: &str) -> String {
    let short: String = value.chars().take(80).collect();
    format!("{short:?}")
}

/// Matches whole texts only. Without a pattern nothing matches.
struct Whole(LazyLock<Option<Regex>>);

impl Whole {
    fn matches(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|pattern| pattern.is_match(text))
    }
}

/// A text of one shape, at most `$most` characters long, for which `$also` holds.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $pattern:literal, $most:literal, $rule:literal, $also:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses it, whole.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                static WHOLE: Whole = Whole(LazyLock::new(|| Regex::new(concat!(r"\A(?:", $pattern, r")\z")).ok()));
                let also: fn(&str) -> bool = $also;
                if text.len() <= $most && WHOLE.matches(text) && also(text) {
                    return Ok(Self(text.to_owned()));
                }
                Err(Invalid { what: $what, value: text.to_owned(), rule: $rule })
            }

            /// As Proxmox has it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "pattern": concat!("^(?:", $pattern, ")$"),
                    "maxLength": $most,
                    "description": concat!("A ", $what, ": ", $rule, ".")
                })
            }
        }
    };
}

fn any(_: &str) -> bool {
    true
}

/// No part of a path that leads elsewhere.
fn stays(text: &str) -> bool {
    text.split(['/', ':']).all(|part| part != "." && part != "..")
}

text!(
    /// A node's name.
    NodeName, "node name", r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?", 255,
    "letters, digits and hyphens, a letter or digit at both ends", any
);
text!(
    /// The id of a storage.
    StorageId, "storage id", r"[a-zA-Z][a-zA-Z0-9._-]*[a-zA-Z0-9]", 100,
    "at least two characters, a letter first, then letters, digits, '-', '_' and '.', a letter or digit last", any
);
text!(
    /// The name of a snapshot.
    SnapshotName, "snapshot name", r"[a-zA-Z][a-zA-Z0-9_-]+", 40,
    "2 to 40 characters, a letter first, then letters, digits, '-' and '_'", |text| text != "current"
);
text!(
    /// The id of a pool; up to three levels.
    PoolId, "pool id", r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+){0,2}", 255,
    "up to three parts with '/' between, of letters, digits, '.', '-' and '_', none of them '.' or '..'", stays
);
text!(
    /// A guest's tag. Proxmox may keep it in small letters.
    Tag, "tag", r"[a-zA-Z0-9_][a-zA-Z0-9_.+-]*", 124,
    "letters, digits, '_', '-', '+' and '.', one of the first three first", any
);
text!(
    /// A bridge or virtual network.
    BridgeName, "bridge name", r"[A-Za-z0-9._-]+", 100,
    "letters, digits, '.', '-' and '_', not '.' or '..'", stays
);
text!(
    /// A volume: `storage:name`.
    VolumeId, "volume id", r"[a-zA-Z][a-zA-Z0-9._-]*[a-zA-Z0-9]:[A-Za-z0-9._+:@~/-]+", 512,
    "storage, ':' and a name of letters, digits and '._+:@~/-', without '.' or '..' as a part", stays
);
text!(
    /// A guest's name in the network.
    GuestName, "guest name", r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*",
    255, "a name of the network: letters, digits and hyphens, with '.' between its parts", any
);
text!(
    /// A user with its realm: `mcp@pve`.
    UserId, "user", r"[^\s:/!]+@[A-Za-z][A-Za-z0-9._-]+", 64,
    "a name without blanks, ':', '/' and '!', then '@' and the realm", any
);
text!(
    /// The name of a user's token.
    TokenName, "token name", r"[A-Za-z][A-Za-z0-9._-]+", 128,
    "at least two characters, a letter first, then letters, digits, '.', '-' and '_'", any
);
text!(
    /// A disk of a guest: `scsi0`, `rootfs`, `mp1`.
    DiskKey, "disk", r"(?:ide[0-3]|sata[0-5]|scsi(?:[12]?[0-9]|30)|virtio(?:[0-9]|1[0-5])|efidisk0|tpmstate0|rootfs|mp(?:[1-9]?[0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5]))",
    9, "ide0 to ide3, sata0 to sata5, scsi0 to scsi30, virtio0 to virtio15, efidisk0, tpmstate0, rootfs, mp0 to mp255", any
);
text!(
    /// A network card of a guest: `net0`.
    NetKey, "network card", r"net(?:[12]?[0-9]|3[01])", 5, "net0 to net31", any
);
text!(
    /// A unicast hardware address.
    MacAddress, "hardware address", r"[0-9A-Fa-f][02468ACEace](?::[0-9A-Fa-f]{2}){5}", 17,
    "six pairs of hexadecimal digits with ':' between, unicast", any
);
text!(
    /// The digest of a guest's configuration, as Proxmox reports it.
    ConfigDigest, "configuration digest", r"[0-9a-f]{40}", 40, "40 hexadecimal digits", any
);

/// A guest's number: 100 to 999999999. In arguments a number, never a text: `301abc` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct VmId(u32);

impl VmId {
    const RULE: &'static str = "a number from 100 to 999999999";

    /// From a number.
    pub fn new(number: u32) -> Result<Self, Invalid> {
        if (100..=999_999_999).contains(&number) {
            return Ok(Self(number));
        }
        Err(Invalid { what: "guest's number", value: number.to_string(), rule: Self::RULE })
    }

    /// From its digits: no sign, no zero first, nothing else.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        let invalid = || Invalid { what: "guest's number", value: text.to_owned(), rule: Self::RULE };
        if !plain {
            return Err(invalid());
        }
        text.parse().ok().and_then(|number| Self::new(number).ok()).ok_or_else(invalid)
    }

    /// The number.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u32> for VmId {
    type Error = Invalid;

    fn try_from(number: u32) -> Result<Self, Invalid> {
        Self::new(number)
    }
}

impl From<VmId> for u32 {
    fn from(id: VmId) -> Self {
        id.0
    }
}

impl JsonSchema for VmId {
    fn schema_name() -> Cow<'static, str> {
        "VmId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "integer", "minimum": 100, "maximum": 999_999_999, "description": "A guest's number."
        })
    }
}

text!(
    /// A task. It ends with a colon; the node that it runs on stands in it.
    Upid, "task id", r"UPID:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?:[0-9A-Fa-f]{8}:[0-9A-Fa-f]{8,9}:[0-9A-Fa-f]{8}:[^:\s/]+:[^:\s]*:[^:\s/]+:",
    512, "UPID:node:pid:start:time:type:id:user: with the colon at the end", any
);

impl Upid {
    fn part(&self, place: usize) -> &str {
        self.0.split(':').nth(place).unwrap_or_default()
    }

    /// The node that it runs on.
    pub fn node(&self) -> Result<NodeName, Invalid> {
        NodeName::parse(self.part(1))
    }

    /// What it does: `qmstart`.
    pub fn kind(&self) -> &str {
        self.part(5)
    }

    /// What it does it to: mostly a guest's number.
    pub fn id(&self) -> &str {
        self.part(6)
    }

    /// The user or token that started it.
    pub fn user(&self) -> &str {
        self.part(7)
    }

    /// When it started, in seconds since 1970.
    pub fn started(&self) -> u64 {
        u64::from_str_radix(self.part(4), 16).unwrap_or_default()
    }
}

impl VolumeId {
    /// The storage that it lies on.
    pub fn storage(&self) -> Result<StorageId, Invalid> {
        StorageId::parse(self.0.split(':').next().unwrap_or_default())
    }

    /// Its name on that storage.
    pub fn name(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, name)| name)
    }

    /// The guest that it belongs to, as far as its name says: `vm-100-disk-0`, `vzdump-qemu-100-…`, `backup/vm/100/…`,
    /// `100/vm-100-disk-0.qcow2`.
    pub fn owner(&self) -> Option<VmId> {
        let last = self.name().rsplit('/').next().unwrap_or_default();
        let mut parts = last.split('-');
        let named = match parts.next() {
            Some("vm" | "base" | "subvol" | "basevol") => parts.next(),
            Some("vzdump") => parts.nth(1),
            _ => None,
        };
        let mut path = self.name().split('/');
        let stored = match (path.next(), path.next(), path.next()) {
            (Some("backup"), Some("vm" | "ct"), Some(id)) => Some(id),
            _ => None,
        };
        named.or(stored).and_then(|id| VmId::parse(id).ok())
    }
}

impl UserId {
    /// Who stands for no user at all.
    pub(crate) fn nobody() -> Self {
        Self("nobody@pve".to_owned())
    }
}

impl TokenName {
    /// What stands for no token at all.
    pub(crate) fn none() -> Self {
        Self("none".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_wrong_is_said() {
        insta::assert_snapshot!(NodeName::parse("../x\n").unwrap_err(), @r#""../x\n" is not a node name: letters, digits and hyphens, a letter or digit at both ends"#);
        insta::assert_snapshot!(VmId::parse("301abc").unwrap_err(), @r#""301abc" is not a guest's number: a number from 100 to 999999999"#);
        insta::assert_snapshot!(Tag::parse(&"-".repeat(99)).unwrap_err(), @r#""--------------------------------------------------------------------------------" is not a tag: letters, digits, '_', '-', '+' and '.', one of the first three first"#);
    }

    #[test]
    fn a_number_in_arguments_is_a_number() {
        assert_eq!(serde_json::from_str::<VmId>("301").unwrap().number(), 301);
        for wrong in ["\"301\"", "99", "-1", "301.5", "\"301abc\"", "1000000000"] {
            assert!(serde_json::from_str::<VmId>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_task_says_where_it_runs() {
        let task = Upid::parse("UPID:pve1:00000242:00025662:6B00DF6E:qmdestroy:100:root@pam!full:").unwrap();
        assert_eq!(
            (task.kind(), task.id(), task.user(), task.started()),
            ("qmdestroy", "100", "root@pam!full", 1_795_219_310)
        );
        assert_eq!(task.node().unwrap().as_str(), "pve1");
    }

    #[test]
    fn a_volume_says_whose_it_is() {
        for (volume, owner) in [
            ("local:100/vm-100-disk-0.qcow2", Some(100)),
            ("local:100/base-100-disk-0.qcow2/101/vm-101-disk-0.qcow2", Some(101)),
            ("local-lvm:vm-7-disk-0", None),
            ("local:backup/vzdump-qemu-102-2026_11_21-10_00_00.vma.zst", Some(102)),
            ("pbs:backup/ct/103/2026-11-21T10:00:00Z", Some(103)),
            ("local:iso/x.iso", None),
        ] {
            let parsed = VolumeId::parse(volume).unwrap();
            assert_eq!(parsed.owner().map(VmId::number), owner, "{volume}");
        }
    }

    proptest! {
        #[test]
        fn nothing_leads_out(text in "\\PC{0,12}|[./%a-z:\\n]{0,12}") {
            for parsed in [
                NodeName::parse(&text).map(String::from), StorageId::parse(&text).map(String::from),
                SnapshotName::parse(&text).map(String::from), PoolId::parse(&text).map(String::from),
                BridgeName::parse(&text).map(String::from), VolumeId::parse(&text).map(String::from),
                Tag::parse(&text).map(String::from), Upid::parse(&text).map(String::from),
            ].into_iter().flatten() {
                prop_assert_eq!(&parsed, &text);
                prop_assert!(parsed.split(['/', ':']).all(|part| part != ".." && part != "."));
                prop_assert!(!parsed.contains(['\n', '\0', '%', '?', '#', ' ', '\\']));
            }
        }

        #[test]
        fn numbers_are_read_as_they_are_written(number in 100_u32..=999_999_999) {
            prop_assert_eq!(VmId::parse(&number.to_string()).unwrap().to_string(), number.to_string());
        }
    }
}
