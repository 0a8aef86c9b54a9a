//! What there is: the cluster, guests, storages, backups, tasks, load. Only what is within the scope, and not another
//! team's.

use async_trait::async_trait;
use qd_guard::{Caller, Fault, Quoted, Spec};
use qd_types::Tier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, Guest, count, text},
    names::{NodeName, PoolId, StorageId, Tag, Upid, VmId},
    operate::{One, OneTask},
    request::Request,
    requests,
    seen::{Facts, Nothing, Reading, Rows, pick},
};

impl Cluster {
    /// A read that is asked of Proxmox.
    pub(crate) async fn see(&self, request: &Request) -> Result<Value, Fault> {
        self.api.ask(request).await.map_err(|error| error.looking())
    }
}

fn read(name: &'static str, action: &'static str, title: &'static str, does: &'static str) -> Spec {
    Spec::new(name, Tier::Read, action).described(title, does)
}

fn list(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.as_array().into_iter().flatten()
}

/// A read of one guest.
macro_rules! of_guest {
    ($type:ident, $output:ty, $name:literal, $action:literal, $title:literal, $does:literal, |$cluster:ident, $guest:ident| $body:expr) => {
        pub(crate) struct $type;

        #[async_trait]
        impl Reading for $type {
            type Input = One;
            type Output = $output;

            fn spec() -> Spec {
                read($name, $action, $title, $does)
            }

            async fn read($cluster: &Cluster, caller: &Caller, input: One) -> Result<$output, Fault> {
                let $guest = $cluster.guest(caller, input.vmid).await?;
                $body
            }
        }
    };
}

of_guest!(
    GetGuest,
    Facts,
    "get_guest",
    "guest.get",
    "Show a guest",
    "Shows a guest: state, configuration with its digest, changes that wait for its restart.",
    |cluster, guest| {
        let config = cluster.see(&requests::config(&guest)).await?;
        let current = cluster.see(&requests::current(&guest)).await?;
        let pending = cluster.see(&requests::pending(&guest)).await?;
        let waiting =
            list(&pending).filter(|row| row.get("pending").is_some() || row.get("delete").is_some());
        let state =
            ["status", "qmpstatus", "uptime", "cpu", "mem", "maxmem", "lock", "ha", "running-machine"];
        let facts = json!({
            "vmid": guest.vmid, "kind": guest.kind, "node": guest.node, "pool": guest.pool, "tags": guest.tags,
            "template": guest.template, "digest": text(&config, "digest"), "state": pick(&current, &state),
            "config": hidden(pick(&config, &[])), "pending": Rows::of(waiting, &["key", "value", "pending", "delete"]).rows,
        });
        Ok(Facts { facts: facts.as_object().cloned().unwrap_or_default() })
    }
);

/// Without what nobody needs to see.
fn hidden(mut config: serde_json::Map<String, Value>) -> serde_json::Map<String, Value> {
    for name in ["cipassword", "password"] {
        if let Some(value) = config.get_mut(name) {
            *value = json!("(hidden)");
        }
    }
    config
}

of_guest!(
    GuestIps,
    Rows,
    "guest_ips",
    "guest.ips",
    "Show a guest's addresses",
    "Shows the addresses of a guest that runs; of a virtual machine they come from its agent.",
    |cluster, guest| {
        let answer = cluster.see(&requests::interfaces(&guest)).await?;
        let cards = answer.get("result").unwrap_or(&answer).clone();
        Ok(Rows::of(list(&cards), &["name", "hwaddr", "hardware-address", "inet", "inet6", "ip-addresses"]))
    }
);

of_guest!(
    ListSnapshots,
    Rows,
    "list_snapshots",
    "snapshot.list",
    "List snapshots",
    "Lists the snapshots of a guest.",
    |cluster, guest| {
        let answer = cluster.see(&requests::snapshots(&guest)).await?;
        Ok(Rows::of(
            list(&answer).filter(|row| text(row, "name") != "current"),
            &["name", "parent", "snaptime", "vmstate", "description"],
        ))
    }
);

of_guest!(
    FirewallRules,
    Rows,
    "firewall_rules",
    "firewall.list",
    "List firewall rules",
    "Lists the firewall rules of a guest.",
    |cluster, guest| {
        let answer = cluster.see(&requests::guest_firewall(&guest)).await?;
        Ok(Rows::of(list(&answer), &[]))
    }
);

pub(crate) struct ClusterOverview;

#[async_trait]
impl Reading for ClusterOverview {
    type Input = Nothing;
    type Output = Facts;

    fn spec() -> Spec {
        read(
            "cluster_overview",
            "cluster.get",
            "Show the cluster",
            "Shows nodes, storages and how many guests there are, from one call.",
        )
    }

    async fn read(cluster: &Cluster, caller: &Caller, _: Nothing) -> Result<Facts, Fault> {
        let rows = cluster.resources().await?;
        let mut states = std::collections::BTreeMap::<String, u64>::new();
        let (mut cores, mut memory, mut templates) = (0_u64, 0_u64, 0_u64);
        for guest in cluster.guests(caller, &rows) {
            if guest.template {
                templates += 1;
                continue;
            }
            (cores, memory) = (cores.saturating_add(guest.cores), memory.saturating_add(guest.memory));
            *states.entry(guest.status).or_default() += 1;
        }
        let of = |kind: &'static str| rows.iter().filter(move |row| text(row, "type") == kind);
        let nodes = of("node").filter(|row| is_node(cluster, row));
        let storages = of("storage").filter(|row| is_node(cluster, row) && is_storage(cluster, row));
        let facts = json!({
            "guests": states, "templates": templates, "cores": cores, "memory": memory,
            "nodes": Rows::of(nodes, &["node", "status", "cpu", "maxcpu", "mem", "maxmem", "uptime"]),
            "storages": Rows::of(storages, &["node", "storage", "status", "disk", "maxdisk", "shared", "content"]),
        });
        Ok(Facts { facts: facts.as_object().cloned().unwrap_or_default() })
    }
}

fn is_node(cluster: &Cluster, row: &Value) -> bool {
    NodeName::parse(text(row, "node")).is_ok_and(|node| cluster.node(&node).is_ok())
}

fn is_storage(cluster: &Cluster, row: &Value) -> bool {
    StorageId::parse(text(row, "storage")).is_ok_and(|storage| cluster.storage(&storage).is_ok())
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct Which {
    node: Option<NodeName>,
    pool: Option<PoolId>,
    tag: Option<Tag>,
    /// `running`, `stopped`, …
    status: Option<String>,
}

/// The ids of the guests within the caller's scope, as tasks and services name them.
async fn own_ids(cluster: &Cluster, caller: &Caller) -> Result<Vec<String>, Fault> {
    let rows = cluster.resources().await?;
    Ok(cluster.guests(caller, &rows).map(|guest| guest.vmid.to_string()).collect())
}

fn rows_of(cluster: &Cluster, caller: &Caller, rows: &[Value], is_wanted: impl Fn(&Guest) -> bool) -> Rows {
    let wanted: Vec<VmId> = cluster.guests(caller, rows).filter(is_wanted).map(|guest| guest.vmid).collect();
    let guests = rows
        .iter()
        .filter(|row| Guest::of_row(row).is_some_and(|guest| wanted.binary_search(&guest.vmid).is_ok()));
    let columns = [
        "vmid", "name", "type", "node", "status", "pool", "tags", "lock", "maxcpu", "maxmem", "maxdisk",
        "cpu", "mem", "uptime", "hastate",
    ];
    Rows::of(guests, &columns)
}

pub(crate) struct ListGuests;

#[async_trait]
impl Reading for ListGuests {
    type Input = Which;
    type Output = Rows;

    fn spec() -> Spec {
        read(
            "list_guests",
            "guest.list",
            "List guests",
            "Lists virtual machines and containers, by node, pool, tag or state.",
        )
    }

    async fn read(cluster: &Cluster, caller: &Caller, input: Which) -> Result<Rows, Fault> {
        let mut rows = cluster.resources().await?;
        rows.sort_by_key(|row| count(row, "vmid"));
        let tag = input.tag.map(|tag| tag.as_str().to_ascii_lowercase());
        Ok(rows_of(cluster, caller, &rows, |guest| {
            !guest.template
                && input.node.as_ref().is_none_or(|node| *node == guest.node)
                && input.pool.as_ref().is_none_or(|pool| guest.pool.as_ref() == Some(pool))
                && tag.as_ref().is_none_or(|tag| guest.tags.contains(tag))
                && input.status.as_ref().is_none_or(|status| *status == guest.status)
        }))
    }
}

pub(crate) struct ListTemplates;

#[async_trait]
impl Reading for ListTemplates {
    type Input = Nothing;
    type Output = Rows;

    fn spec() -> Spec {
        read(
            "list_templates",
            "template.list",
            "List templates",
            "Lists the templates that guests are cloned from.",
        )
    }

    async fn read(cluster: &Cluster, caller: &Caller, _: Nothing) -> Result<Rows, Fault> {
        let mut rows = cluster.resources().await?;
        rows.sort_by_key(|row| count(row, "vmid"));
        Ok(rows_of(cluster, caller, &rows, |guest| guest.template))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Kept {
    node: NodeName,
    storage: StorageId,
}

impl Cluster {
    /// What lies on a storage, without what belongs to guests that are not this caller's.
    async fn kept(&self, caller: &Caller, of: &Kept, content: Option<&str>) -> Result<Vec<Value>, Fault> {
        self.node(&of.node)?;
        self.storage(&of.storage)?;
        let answer = self.see(&requests::content(&of.node, &of.storage, content)).await?;
        let rows = self.resources().await?;
        let all: Vec<Guest> = rows.iter().filter_map(Guest::of_row).collect();
        let own: Vec<VmId> = self.guests(caller, &rows).map(|guest| guest.vmid).collect();
        let is_own = |row: &&Value| {
            let Ok(vmid) = VmId::new(u32::try_from(count(row, "vmid")).unwrap_or_default()) else {
                return true;
            };
            let is_there = all.iter().any(|guest| guest.vmid == vmid);
            if is_there { own.contains(&vmid) } else { self.number(vmid).is_ok() }
        };
        Ok(list(&answer).filter(is_own).cloned().collect())
    }
}

const KEPT: [&str; 8] = ["volid", "content", "format", "size", "vmid", "ctime", "notes", "protected"];

pub(crate) struct ListStorage;

#[async_trait]
impl Reading for ListStorage {
    type Input = Kept;
    type Output = Rows;

    fn spec() -> Spec {
        read(
            "list_storage",
            "storage.list",
            "List a storage",
            "Lists what lies on a storage: disks, images, templates, backups.",
        )
    }

    async fn read(cluster: &Cluster, caller: &Caller, input: Kept) -> Result<Rows, Fault> {
        Ok(Rows::of(&cluster.kept(caller, &input, None).await?, &KEPT))
    }
}

pub(crate) struct ListBackups;

#[async_trait]
impl Reading for ListBackups {
    type Input = Kept;
    type Output = Rows;

    fn spec() -> Spec {
        read("list_backups", "backup.list", "List backups", "Lists the backups on a storage.")
    }

    async fn read(cluster: &Cluster, caller: &Caller, input: Kept) -> Result<Rows, Fault> {
        Ok(Rows::of(&cluster.kept(caller, &input, Some("backup")).await?, &KEPT))
    }
}

pub(crate) struct ListTasks;

#[async_trait]
impl Reading for ListTasks {
    type Input = Nothing;
    type Output = Rows;

    fn spec() -> Spec {
        read(
            "list_tasks",
            "task.list",
            "List tasks",
            "Lists the newest tasks of the cluster that are about guests.",
        )
    }

    async fn read(cluster: &Cluster, caller: &Caller, _: Nothing) -> Result<Rows, Fault> {
        let answer = cluster.see(&requests::cluster_tasks()).await?;
        let own = own_ids(cluster, caller).await?;
        let is_own = |row: &&Value| {
            Upid::parse(text(row, "upid")).is_ok_and(|task| own.iter().any(|id| id == task.id()))
        };
        Ok(Rows::of(
            list(&answer).filter(is_own),
            &["upid", "type", "id", "node", "user", "status", "starttime", "endtime"],
        ))
    }
}

pub(crate) struct TaskStatus;

#[async_trait]
impl Reading for TaskStatus {
    type Input = OneTask;
    type Output = Facts;

    fn spec() -> Spec {
        read(
            "task_status",
            "task.get",
            "Show a task",
            "Says whether a task runs, and how it ended: OK, with warnings, or why not.",
        )
    }

    async fn read(cluster: &Cluster, caller: &Caller, input: OneTask) -> Result<Facts, Fault> {
        let node = cluster.task(caller, &input.upid).await?;
        let answer = cluster.see(&requests::task_status(&node, &input.upid)).await?;
        Ok(Facts {
            facts: pick(&answer, &["status", "exitstatus", "type", "id", "node", "user", "starttime"]),
        })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct LogOf {
    upid: Upid,
    /// The line after which it begins.
    #[serde(default)]
    from: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Log {
    lines: Vec<Quoted>,
}

pub(crate) struct TaskLog;

#[async_trait]
impl Reading for TaskLog {
    type Input = LogOf;
    type Output = Log;

    fn spec() -> Spec {
        read("task_log", "task.log", "Show a task's log", "Shows 50 lines of a task's log.")
    }

    async fn read(cluster: &Cluster, caller: &Caller, input: LogOf) -> Result<Log, Fault> {
        cluster.task(caller, &input.upid).await?;
        let lines =
            cluster.api.log(&input.upid, input.from, Tier::Read).await.map_err(|error| error.looking())?;
        Ok(Log { lines: lines.iter().map(|line| Quoted::new(line, 300)).collect() })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct OneNode {
    node: NodeName,
}

pub(crate) struct NodeStatus;

#[async_trait]
impl Reading for NodeStatus {
    type Input = OneNode;
    type Output = Facts;

    fn spec() -> Spec {
        read("node_status", "node.get", "Show a node", "Shows a node's load, memory, disks and versions.")
    }

    async fn read(cluster: &Cluster, _: &Caller, input: OneNode) -> Result<Facts, Fault> {
        cluster.node(&input.node)?;
        let answer = cluster.see(&requests::node_status(&input.node)).await?;
        Ok(Facts {
            facts: pick(
                &answer,
                &[
                    "cpu",
                    "cpuinfo",
                    "memory",
                    "swap",
                    "rootfs",
                    "loadavg",
                    "uptime",
                    "pveversion",
                    "kversion",
                ],
            ),
        })
    }
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Span {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct MetricsOf {
    vmid: VmId,
    span: Span,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Load {
    /// One for each thing that is measured.
    series: Vec<Series>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Series {
    /// `cpu` in parts of all cores, `mem` in bytes, the others in bytes a second.
    name: &'static str,
    least: f64,
    most: f64,
    last: f64,
    /// Its course, from least to most.
    line: String,
}

pub(crate) struct Metrics;

#[async_trait]
impl Reading for Metrics {
    type Input = MetricsOf;
    type Output = Load;

    fn spec() -> Spec {
        read(
            "metrics",
            "guest.metrics",
            "Show a guest's load",
            "Shows a guest's load over an hour, day, week, month or year, as numbers and a line.",
        )
    }

    async fn read(cluster: &Cluster, caller: &Caller, input: MetricsOf) -> Result<Load, Fault> {
        let guest = cluster.guest(caller, input.vmid).await?;
        let span = match input.span {
            Span::Hour => "hour",
            Span::Day => "day",
            Span::Week => "week",
            Span::Month => "month",
            Span::Year => "year",
        };
        let answer = cluster.see(&requests::rrddata(&guest, span)).await?;
        let series =
            ["cpu", "mem", "netin", "netout", "diskread", "diskwrite"].into_iter().filter_map(|name| {
                let points: Vec<f64> = list(&answer).filter_map(|row| row.get(name)?.as_f64()).collect();
                let least = points.iter().copied().reduce(f64::min)?;
                let most = points.iter().copied().reduce(f64::max)?;
                Some(Series { name, least, most, last: *points.last()?, line: line(&points, least, most) })
            });
        Ok(Load { series: series.collect() })
    }
}

/// At most 60 points as blocks of eight heights.
fn line(points: &[f64], least: f64, most: f64) -> String {
    let step = points.len().div_ceil(60).max(1);
    let height = |point: f64| {
        let part = if most > least { (point - least) / (most - least) } else { 0.0 };
        let at = [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875].iter().filter(|edge| part > **edge).count();
        "▁▂▃▄▅▆▇█".chars().nth(at).unwrap_or(' ')
    };
    points.chunks(step).filter_map(|chunk| chunk.iter().copied().reduce(f64::max)).map(height).collect()
}

pub(crate) struct ListPools;

#[async_trait]
impl Reading for ListPools {
    type Input = Nothing;
    type Output = Facts;

    fn spec() -> Spec {
        read("list_pools", "pool.list", "List pools", "Lists pools, with how much of their quota is used.")
    }

    async fn read(cluster: &Cluster, caller: &Caller, _: Nothing) -> Result<Facts, Fault> {
        let rows = cluster.resources().await?;
        let named = rows
            .iter()
            .filter(|row| text(row, "type") == "pool")
            .filter_map(|row| PoolId::parse(text(row, "pool")).ok());
        let mut pools = serde_json::Map::new();
        for pool in
            named.filter(|pool| cluster.config.scope.pools.as_ref().is_none_or(|pools| pools.contains(pool)))
        {
            let guests: Vec<Guest> =
                cluster.guests(caller, &rows).filter(|guest| guest.pool.as_ref() == Some(&pool)).collect();
            let sum = |of: fn(&Guest) -> u64| guests.iter().map(of).fold(0, u64::saturating_add);
            let quota = cluster.config.quota;
            let used = json!({
                "guests": [guests.len(), quota.guests], "cores": [sum(|guest| guest.cores), quota.cores],
                "memory_mib": [sum(|guest| guest.memory) >> 20, quota.memory_mib],
                "disk_gib": [sum(|guest| guest.disk) >> 30, quota.disk_gib],
            });
            pools.insert(pool.to_string(), used);
        }
        Ok(Facts { facts: pools })
    }
}

pub(crate) struct HaStatus;

#[async_trait]
impl Reading for HaStatus {
    type Input = Nothing;
    type Output = Rows;

    fn spec() -> Spec {
        read(
            "ha_status",
            "ha.get",
            "Show the high availability",
            "Shows the state of the high availability: quorum, master, services.",
        )
    }

    async fn read(cluster: &Cluster, caller: &Caller, _: Nothing) -> Result<Rows, Fault> {
        let answer = cluster.see(&requests::ha_status()).await?;
        let own = own_ids(cluster, caller).await?;
        let is_own = |row: &&Value| {
            let id = text(row, "sid").split_once(':').map(|(_, id)| id);
            id.is_none_or(|id| own.iter().any(|one| one == id))
        };
        Ok(Rows::of(
            list(&answer).filter(is_own),
            &["id", "type", "status", "state", "node", "sid", "quorate"],
        ))
    }
}
