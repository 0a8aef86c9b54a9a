//! The scripts that people run on a node, by what they would run: roles and the template of machines of teams.

use std::{collections::BTreeSet, path::Path, process::Command};

use serde_json::Value;

use crate::shared::reference;

fn dry(script: &str, arguments: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/proxmox").join(script);
    let output = Command::new("sh").arg(path).arg("--dry-run").args(arguments).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn a_role_has_what_those_below_it_have() {
    let mut below = BTreeSet::new();
    for tier in ["read", "operate", "provision", "destroy"] {
        let said = dry("roles.sh", &[tier, "teams"]);
        let privileges = said.lines().next().unwrap().split('\'').nth(1).unwrap();
        let has: BTreeSet<String> = privileges.split(' ').map(str::to_owned).collect();
        assert!(has.is_superset(&below) && has.len() > below.len(), "{tier}: {privileges}");
        below = has;
        // A token with privilege separation has what its user and it both have: each line is there for both.
        let of = |who: &str| said.lines().filter(|line| line.contains(who)).count();
        assert_eq!((of("--users mcp@pve"), of("--tokens")), (5, 5), "{said}");
        assert!(said.contains("acl modify /pool/teams ") && !said.contains("acl modify /vms "), "{said}");
    }
    let output = Command::new("sh")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/proxmox/roles.sh"))
        .args(["--dry-run", "root"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "that is no tier");
}

#[test]
fn the_template_is_made_of_parameters_that_three_versions_take() {
    let said = dry("template.sh", &["9000", "local-lvm", "vmbr0", "./quarterdeck"]);
    let steps: Vec<&str> = said.lines().filter(|line| line.starts_with("qm ")).collect();
    assert_eq!(steps.len(), 4, "{said}");
    assert_eq!(steps.last(), Some(&"qm template 9000"));
    let used: Vec<String> = steps
        .iter()
        .flat_map(|line| line.split(' '))
        .filter_map(|word| word.strip_prefix("--"))
        .map(str::to_owned)
        .collect();
    for version in ["8.4", "9.1", "9.2"] {
        let Some(schema) = reference(&format!("pve-api-{version}.json")) else { return };
        let known = properties(&schema, "/nodes/{node}/qemu");
        for name in &used {
            let numbered = format!("{}[n]", name.trim_end_matches(|c: char| c.is_ascii_digit()));
            let is_known = known.contains(name) || known.contains(&numbered);
            assert!(is_known, "qm create of {version} has no --{name}");
        }
    }
}

/// The parameters with which something is made at a path. `qm` takes those of the API, under the same names.
fn properties(schema: &Value, path: &str) -> BTreeSet<String> {
    let properties = &schema["paths"][path]["POST"]["parameters"]["properties"];
    properties.as_object().unwrap().keys().cloned().collect()
}
