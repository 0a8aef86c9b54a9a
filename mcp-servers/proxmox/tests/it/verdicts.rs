//! What Proxmox VE 9.2 itself said of texts, against what the types say. All agree, but for those listed here: stricter,
//! never laxer.

use qd_mcp_proxmox::names::*;

use crate::shared::reference;

/// A type's own verdict.
type Verdict = fn(&str) -> bool;

/// What only Proxmox takes, with the reason why the type does not.
type Exceptions = &'static [(&'static str, &'static str)];

const LINE_END: &str = "Proxmox's `$` lets a line end follow";
const LEADS_OUT: &str = "a part of a path that leads elsewhere";
const NOT_A_NAME: &str = "a drive with options or another thing, not the name of a volume";

/// Format, our type, and what only Proxmox takes, with the reason.
const FORMATS: &[(&str, Verdict, Exceptions)] = &[
    ("pve-node", |t| NodeName::parse(t).is_ok(), &[("a\n", LINE_END)]),
    ("standard:pve-node", |t| NodeName::parse(t).is_ok(), &[("a\n", LINE_END)]),
    ("pve-vmid", |t| VmId::parse(t).is_ok(), &[]),
    ("standard:pve-vmid", |t| VmId::parse(t).is_ok(), &[]),
    ("pve-storage-id", |t| StorageId::parse(t).is_ok(), &[]),
    ("standard:pve-storage-id", |t| StorageId::parse(t).is_ok(), &[]),
    ("standard:pve-snapshot-name", |t| SnapshotName::parse(t).is_ok(), &[]),
    (
        "pve-volume-id",
        |t| VolumeId::parse(t).is_ok(),
        &[
            ("local:../x", LEADS_OUT),
            ("UPID:../x:00000242:00025662:6B00DF6E:q:1:root@pam:", LEADS_OUT),
            ("UPID:pve1:00000242:00025662:6B00DF6E:qmdestroy:100:root@pam!full:", NOT_A_NAME),
            ("local:8,format=qcow2", NOT_A_NAME),
            ("local:vm-100-disk-0,size=8G", NOT_A_NAME),
        ],
    ),
    (
        "pve-poolid",
        |t| PoolId::parse(t).is_ok(),
        &[(".", LEADS_OUT), ("..", LEADS_OUT), ("../x", LEADS_OUT), ("a\n", LINE_END)],
    ),
    ("pve-tag", |t| Tag::parse(t).is_ok(), &[("a\n", LINE_END)]),
    (
        "pve-bridge-id",
        |t| BridgeName::parse(t).is_ok(),
        &[(".", LEADS_OUT), ("..", LEADS_OUT), ("a\n", LINE_END)],
    ),
    (
        "standard:pve-bridge-id",
        |t| BridgeName::parse(t).is_ok(),
        &[(".", LEADS_OUT), ("..", LEADS_OUT), ("a\n", LINE_END)],
    ),
    ("dns-name", |t| GuestName::parse(t).is_ok(), &[("a\n", LINE_END)]),
    ("mac-addr", |t| MacAddress::parse(t).is_ok(), &[]),
    ("pve-userid", |t| UserId::parse(t).is_ok(), &[]),
    (
        "pve-tokenid",
        |t| t.split_once('!').is_some_and(|(u, n)| UserId::parse(u).is_ok() && TokenName::parse(n).is_ok()),
        &[],
    ),
    ("upid_decode", |t| Upid::parse(t).is_ok(), &[]),
];

#[test]
fn the_types_agree_with_proxmox() {
    let Some(data) = reference("pve-9.2-format-verdicts.json") else { return };
    let mut compared = 0;
    for (format, verdict, exceptions) in FORMATS {
        let rows = data["formats"][format].as_array().unwrap();
        let mut differ = Vec::new();
        for row in rows {
            let text = row[0].as_str().unwrap();
            let (theirs, ours) = (row[1].as_bool().unwrap(), verdict(text));
            assert!(theirs || !ours, "{format}: laxer than Proxmox for {text:?}");
            if theirs != ours {
                differ.push(text);
            }
            compared += 1;
        }
        let mut listed: Vec<&str> = exceptions.iter().map(|(text, _)| *text).collect();
        differ.sort_unstable();
        listed.sort_unstable();
        assert_eq!(differ, listed, "{format}: what only Proxmox takes");
    }
    assert_eq!(compared, 1_731);
}
