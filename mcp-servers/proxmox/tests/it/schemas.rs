//! Every request that this crate can make, against what Proxmox VE 8.4, 9.1 and 9.2 say that they take: paths and methods
//! known, parameters known, required ones there, numbers and choices as they should be.

use qd_mcp_proxmox::{cluster::*, names::*, request::Request, requests::*};
use serde_json::{Value, json};

use crate::shared::reference;

fn guest(kind: &str, status: &str) -> Guest {
    Guest::of_row(&json!({ "vmid": 100, "type": kind, "node": "pve1", "name": "web", "status": status }))
        .unwrap()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn all() -> Vec<Request> {
    let node = NodeName::parse("pve1").unwrap();
    let storage = StorageId::parse("local").unwrap();
    let volume = VolumeId::parse("local:backup/vzdump-qemu-100-2026_11_21-10_00_00.vma.zst").unwrap();
    let task = Upid::parse("UPID:pve1:00000242:00025662:6B00DF6E:qmdestroy:100:root@pam!full:").unwrap();
    let pool_id = PoolId::parse("team").unwrap();
    let digest = ConfigDigest::parse(&"a".repeat(40)).unwrap();
    let name = SnapshotName::parse("before").unwrap();
    let new = VmId::new(301).unwrap();
    let mut all = vec![
        version(),
        resources(),
        cluster_status(),
        cluster_tasks(),
        ha_status(),
        cluster_firewall(),
        pool(&pool_id),
        permissions(),
        tokens(&UserId::parse("mcp@pve").unwrap()),
        node_status(&node),
        node_time(&node),
        content(&node, &storage, Some("backup")),
        content_delete(&node, &storage, &volume),
        task_status(&node, &task),
        task_log(&node, &task, 0, 50),
        task_cancel(&node, &task),
    ];
    for kind in [Kind::Qemu, Kind::Lxc] {
        let (still, runs) = (guest(kind.as_str(), "stopped"), guest(kind.as_str(), "running"));
        let disk = DiskKey::parse(if kind == Kind::Qemu { "scsi1" } else { "mp0" }).unwrap();
        let wanted = Clone {
            name: Some("new"),
            pool: Some(&pool_id),
            storage: Some(&storage),
            full: true,
            description: None,
        };
        all.extend([
            guest_firewall(&still),
            config(&still),
            pending(&still),
            current(&still),
            rrddata(&still, "hour"),
            snapshots(&still),
            interfaces(&runs),
            snapshot_create(&runs, &name, Some("why"), true),
            snapshot_delete(&still, &name),
            snapshot_rollback(&still, &name),
            backup(&still, &storage, "snapshot"),
            configure(
                &still,
                Some(&digest),
                &pairs(&[
                    ("tags", "a;b"),
                    ("cores", "2"),
                    ("memory", "1024"),
                    ("net1", "virtio,bridge=vmbr0"),
                ]),
                &[disk.to_string()],
            ),
            configure(&still, None, &pairs(&[(disk.as_str(), "local:8")]), &[]),
            migrate(&still, &node),
            migrate(&runs, &node),
            clone(&still, new, &wanted),
            clone(&still, new, &Clone { full: false, ..wanted }),
            restore(&node, kind, new, &volume, &storage, Some(&pool_id)),
            grow(&still, &digest, &disk, 4),
            move_disk(&still, &digest, &disk, &storage),
            template(&still),
            guest_delete(&still),
        ]);
        all.extend(
            ["start", "shutdown", "stop", "reboot", "suspend", "resume"].map(|verb| power(&still, verb)),
        );
    }
    let machine = guest("qemu", "running");
    let vm = [
        ("name", "new"),
        ("cores", "1"),
        ("memory", "512"),
        ("ostype", "l26"),
        ("scsihw", "virtio-scsi-single"),
        ("scsi0", "local:8"),
        ("net0", "virtio,bridge=vmbr0,firewall=1"),
        ("agent", "1"),
        ("tags", "a"),
        ("ide2", "local:iso/x.iso,media=cdrom"),
        ("pool", "team"),
    ];
    let ct = [
        ("ostemplate", "local:vztmpl/x"),
        ("hostname", "new"),
        ("cores", "1"),
        ("memory", "512"),
        ("rootfs", "local:8"),
        ("net0", "name=eth0,bridge=vmbr0,ip=dhcp,firewall=1"),
        ("unprivileged", "1"),
        ("tags", "a"),
        ("ssh-public-keys", "k"),
        ("pool", "team"),
    ];
    let cloudinit = [
        ("ciuser", "ops"),
        ("sshkeys", "ssh-ed25519%20A"),
        ("ipconfig0", "ip=dhcp"),
        ("ide2", "local:cloudinit"),
    ];
    all.extend([
        create(&node, Kind::Qemu, new, &pairs(&vm)),
        create(&node, Kind::Lxc, new, &pairs(&ct)),
        configure(&machine, Some(&digest), &pairs(&cloudinit), &[]),
        machine_delete(&machine),
        ping(&machine),
        grow_to(&machine, 12),
        clone(&machine, new, &Clone { description: Some("why"), ..Clone::default() }),
        exec(&machine, &["/bin/ls".to_owned(), "-l".to_owned()]),
        exec_status(&machine, 7),
        file_write(&machine, "/etc/motd", "hello"),
    ]);
    all
}

/// `net0` is described as `net[n]`.
fn described<'a>(properties: &'a Value, name: &str) -> Option<&'a Value> {
    let numbered = format!("{}[n]", name.trim_end_matches(|c: char| c.is_ascii_digit()));
    properties.get(name).or_else(|| properties.get(&numbered))
}

fn is_set(value: &Value) -> bool {
    value == 1 || value == "1" || value == true
}

fn faults(request: &Request, schema: &Value) -> Vec<String> {
    let template = request.template();
    let Some(method) = schema["paths"].get(template).and_then(|path| path.get(request.method().as_str()))
    else {
        return vec![format!("{request:?}: not known as {template}")];
    };
    let empty = json!({});
    let properties = method["parameters"].get("properties").unwrap_or(&empty);
    let mut faults = Vec::new();
    for (name, value) in request.params() {
        let Some(said) = described(properties, name) else {
            faults.push(format!("{request:?}: {name} is not known"));
            continue;
        };
        let fits = match said["type"].as_str() {
            Some("integer") => value.parse::<i64>().is_ok(),
            Some("number") => value.parse::<f64>().is_ok(),
            Some("boolean") => value == "0" || value == "1",
            _ => said["enum"].as_array().is_none_or(|choices| choices.iter().any(|choice| choice == value)),
        };
        if !fits {
            faults.push(format!("{request:?}: {name} can't be {value}"));
        }
    }
    for (name, said) in properties.as_object().into_iter().flatten() {
        let given = request.params().iter().any(|(given, _)| given == name)
            || template.contains(&format!("{{{name}}}"));
        if !is_set(&said["optional"]) && !given {
            faults.push(format!("{request:?}: {name} is missing"));
        }
    }
    faults
}

#[test]
fn every_request_is_one_that_three_versions_take() {
    for version in ["8.4", "9.1", "9.2"] {
        let Some(schema) = reference(&format!("pve-api-{version}.json")) else { return };
        let found: Vec<String> = all().iter().flat_map(|request| faults(request, &schema)).collect();
        assert!(found.is_empty(), "{version}: {found:#?}");
    }
}
