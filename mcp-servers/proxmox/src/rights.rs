//! What the token may do, against what the tools need; and whether the cluster can be used as it stands.

use async_trait::async_trait;
use jiff::Timestamp;
use qd_guard::{Caller, Fault, Spec};
use qd_types::Tier;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    cluster::{Cluster, count, text},
    names::NodeName,
    requests,
    seen::{Nothing, Reading},
};

/// What tools need: the right has to be one of these, on a path that stands for them.
const NEEDS: &[(&str, &[&str], &str)] = &[
    ("list_guests, get_guest, list_snapshots, metrics", &["VM.Audit"], "/vms"),
    ("guest_ips", &["VM.GuestAgent.Audit", "VM.Monitor"], "/vms"),
    ("node_status, ha_status, task_status, task_log", &["Sys.Audit"], "/"),
    ("list_storage, list_backups", &["Datastore.Audit"], "/storage"),
    ("list_pools", &["Pool.Audit"], "/pool"),
    ("start, shutdown, stop, reboot, suspend, resume", &["VM.PowerMgmt"], "/vms"),
    ("snapshot_create, snapshot_delete", &["VM.Snapshot"], "/vms"),
    ("snapshot_rollback", &["VM.Snapshot.Rollback", "VM.Snapshot"], "/vms"),
    ("backup_create", &["VM.Backup"], "/vms"),
    ("set_tags", &["VM.Config.Options"], "/vms"),
    ("migrate", &["VM.Migrate"], "/vms"),
    ("clone_guest", &["VM.Clone"], "/vms"),
    ("clone_guest, create_vm, create_container, guest_delete, restore", &["VM.Allocate"], "/vms"),
    ("configure_cloudinit", &["VM.Config.Cloudinit"], "/vms"),
    ("set_resources", &["VM.Config.CPU"], "/vms"),
    ("set_resources", &["VM.Config.Memory"], "/vms"),
    ("grow_disk, add_disk, move_disk, remove_disk", &["VM.Config.Disk"], "/vms"),
    ("add_network, update_network, remove_network", &["VM.Config.Network"], "/vms"),
    (
        "clone_guest, create_vm, create_container, add_disk, backup_create",
        &["Datastore.AllocateSpace"],
        "/storage",
    ),
    ("backup_delete", &["Datastore.Allocate", "Datastore.AllocateSpace"], "/storage"),
    ("guest_exec, guest_file_write", &["VM.GuestAgent.Unrestricted", "VM.Monitor"], "/vms"),
];

/// A right that is missing.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Missing {
    /// The tools that need it.
    tools: &'static str,
    /// One of these.
    privileges: &'static [&'static str],
    path: &'static str,
    /// What a person runs on a node; user and token both need it.
    commands: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Rights {
    /// The token's user and name.
    token: String,
    elevated: bool,
    /// What is missing for the tools that are there. What is granted on single guests only counts as granted.
    missing: Vec<Missing>,
}

/// Whether it is granted: on the path, above it, or on something below it. The value is whether it is handed on, and not
/// whether it is granted: 0 is granted too.
pub(crate) fn is_granted(permissions: &Value, path: &str, privileges: &[&str]) -> bool {
    let below = format!("{}/", path.trim_end_matches('/'));
    let holds = |at: &str| {
        let above = at == "/" || path == at || path.starts_with(&format!("{at}/"));
        // Guests get rights through their pools, too.
        above || at.starts_with(&below) || (path == "/vms" && at.starts_with("/pool/"))
    };
    permissions.as_object().into_iter().flatten().any(|(at, granted)| {
        holds(at) && privileges.iter().any(|privilege| granted.get(*privilege).is_some())
    })
}

async fn rights(cluster: &Cluster) -> Result<Rights, Fault> {
    let permissions = cluster.see(&requests::permissions()).await?;
    let config = &cluster.config;
    let is_there = |tools: &str| {
        config.elevated
            || tools.contains("list_")
            || tools.contains("guest_ips")
            || tools.contains("node_status")
    };
    let missing = NEEDS
        .iter()
        .filter(|(tools, privileges, path)| is_there(tools) && !is_granted(&permissions, path, privileges))
        .map(|(tools, privileges, path)| {
            let privilege = privileges.first().copied().unwrap_or_default();
            let role = format!("Quarterdeck{}", privilege.replace('.', ""));
            Missing {
                tools,
                privileges,
                path,
                commands: vec![
                    format!("pveum role add {role} --privs {privilege}"),
                    format!("pveum acl modify {path} --users {} --roles {role}", config.user),
                    format!(
                        "pveum acl modify {path} --tokens '{}!{}' --roles {role}",
                        config.user, config.token_name
                    ),
                ],
            }
        });
    let token = format!("{}!{}", config.user, config.token_name);
    Ok(Rights { token, elevated: config.elevated, missing: missing.collect() })
}

pub(crate) struct Whoami;

#[async_trait]
impl Reading for Whoami {
    type Input = Nothing;
    type Output = Rights;

    fn spec() -> Spec {
        Spec::new("whoami", Tier::Read, "rights.get").described(
            "Show own rights",
            "Shows what the token lacks for these tools, with the commands that a person runs for it.",
        )
    }

    async fn read(cluster: &Cluster, _: &Caller, _: Nothing) -> Result<Rights, Fault> {
        rights(cluster).await
    }
}

/// One thing that was looked at.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Finding {
    what: &'static str,
    ok: bool,
    says: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Findings {
    findings: Vec<Finding>,
}

pub(crate) struct Doctor;

#[async_trait]
impl Reading for Doctor {
    type Input = Nothing;
    type Output = Findings;

    fn spec() -> Spec {
        Spec::new("doctor", Tier::Read, "cluster.check").described(
            "Check the connection",
            "Checks connection and certificate, version, clock, rights and scope, and says what is wrong.",
        )
    }

    async fn read(cluster: &Cluster, caller: &Caller, _: Nothing) -> Result<Findings, Fault> {
        let version = cluster.see(&requests::version()).await;
        let mut findings = Vec::new();
        let mut found = |what, ok, says: String| findings.push(Finding { what, ok, says });
        match version {
            Err(fault) => {
                found("connection", false, format!("{} {}", fault.problem, fault.way_out));
                return Ok(Findings { findings });
            }
            Ok(version) => {
                found("connection", true, "It answers, and its certificate is the right one.".to_owned());
                let version = text(&version, "version");
                let known = ["8.", "9."].iter().any(|known| version.starts_with(known));
                found("version", known, format!("It is {version}; known are 8.4 to 9.2."));
            }
        }
        match rights(cluster).await {
            Ok(rights) if rights.missing.is_empty() => found("rights", true, "None is missing.".to_owned()),
            Ok(rights) => {
                found("rights", false, format!("{} are missing: ask whoami.", rights.missing.len()));
            }
            Err(fault) => found("rights", false, fault.problem),
        }
        let rows = cluster.resources().await?;
        let node = rows.iter().find(|row| text(row, "type") == "node" && text(row, "status") == "online");
        let node = node.and_then(|row| NodeName::parse(text(row, "node")).ok());
        if let Some(node) = node.filter(|node| cluster.node(node).is_ok()) {
            match cluster.see(&requests::node_time(&node)).await {
                Ok(time) => {
                    let there = i64::try_from(count(&time, "time")).unwrap_or_default();
                    let apart = (Timestamp::now().as_second() - there).abs();
                    found("clock", apart < 30, format!("{node} is {apart} s apart from here."));
                }
                Err(fault) => found("clock", false, fault.problem),
            }
        }
        let guests = cluster.guests(caller, &rows).count();
        found("scope", guests > 0, format!("{guests} guests are within it."));
        Ok(Findings { findings })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_granted;

    #[test]
    fn a_right_that_is_not_handed_on_is_one() {
        let permissions =
            json!({ "/vms/100": { "VM.Audit": 0 }, "/pool/team": { "VM.PowerMgmt": 1 }, "/storage": {} });
        assert!(is_granted(&permissions, "/vms", &["VM.Audit"]));
        assert!(is_granted(&permissions, "/vms", &["VM.PowerMgmt"]));
        assert!(!is_granted(&permissions, "/storage", &["VM.Audit"]));
        assert!(is_granted(&json!({ "/": { "Sys.Audit": 1 } }), "/storage", &["Sys.Audit"]));
    }
}
