//! What `cluster_overview` of a large cluster takes beside the cluster itself: its answer is there at once, and the call goes
//! through the guard.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use qd_guard::{Answer, Incoming};
use qd_mcp_proxmox::{
    Cluster, Config, NoHub,
    error::PveError,
    https::{Reply, Transport},
    request::Request,
};
use serde_json::{Value, json};

use crate::{Failure, figures::Figures, guard::Behind};

const GUESTS: usize = 2_000;
const NODES: usize = 30;
/// Calls that are timed, and those before the first of them.
const CALLS: usize = 200;
const WARM: usize = 20;

/// A cluster that answers at once, and counts.
struct Simulated {
    body: Vec<u8>,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Transport for Simulated {
    async fn send(&self, request: &Request) -> Result<Reply, PveError> {
        if request.path() != "/cluster/resources" {
            return Err(PveError::NotFound(format!("{request:?}")));
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(Reply { status: 200, reason: "OK".to_owned(), body: self.body.clone() })
    }
}

fn resources() -> Value {
    let node = |number: usize| {
        json!({ "type": "node", "id": format!("node/pve{number}"), "node": format!("pve{number}"), "status": "online",
                "cpu": 0.21, "maxcpu": 64, "mem": 137_438_953_472_u64, "maxmem": 274_877_906_944_u64, "uptime": 862_000 })
    };
    let storage = |number: usize| {
        json!({ "type": "storage", "id": format!("storage/pve{number}/local"), "node": format!("pve{number}"),
                "storage": "local", "status": "available", "disk": 10_u64 << 30, "maxdisk": 100_u64 << 30,
                "shared": 0, "content": "iso,vztmpl,backup", "plugintype": "dir" })
    };
    let guest = |number: usize| {
        let vmid = 100 + number;
        json!({ "type": if number.is_multiple_of(4) { "lxc" } else { "qemu" }, "id": format!("qemu/{vmid}"), "vmid": vmid,
                "node": format!("pve{}", number % NODES), "name": format!("guest-{vmid}"), "template": 0,
                "status": if number.is_multiple_of(3) { "stopped" } else { "running" }, "tags": "team-alpha;web",
                "pool": "teams", "cpu": 0.04, "maxcpu": 4, "mem": 1_u64 << 30, "maxmem": 4_u64 << 30,
                "disk": 0, "maxdisk": 32_u64 << 30, "diskread": 1_234_567, "diskwrite": 7_654_321,
                "netin": 123_456_789, "netout": 987_654_321, "uptime": 86_400 })
    };
    let rows: Vec<Value> =
        (0..NODES).flat_map(|at| [node(at), storage(at)]).chain((0..GUESTS).map(guest)).collect();
    json!({ "data": rows })
}

/// Takes the figure.
pub async fn overview(figures: &mut Figures) -> Result<(), Failure> {
    let config = Config::from_env(|name| {
        let value = match name {
            "PROXMOX_HOST" => "pve.example.org",
            "PROXMOX_USER" => "mcp@pve",
            "PROXMOX_TOKEN_NAME" | "PROXMOX_TOKEN_VALUE" => "simulated",
            _ => return None,
        };
        Some(value.to_owned())
    })?;
    let asked = Arc::<AtomicUsize>::default();
    let simulated = Simulated { body: serde_json::to_vec(&resources())?, asked: asked.clone() };
    let cluster = Cluster::over(config, Box::new(simulated));
    let behind = Behind::new(qd_mcp_proxmox::server("proxmox", cluster, Arc::new(NoHub))?).await?;
    let mut taken = Vec::new();
    for call in 0..WARM + CALLS {
        let mut incoming = Incoming::default();
        incoming.name = "cluster_overview".to_owned();
        let begun = Instant::now();
        let answer = behind.call(incoming).await;
        let spent = begun.elapsed().as_secs_f64() * 1_000.0;
        if !matches!(answer, Answer::Done { .. }) {
            return Err(format!("cluster_overview was not answered: {answer:?}").into());
        }
        if call >= WARM {
            taken.push(spent);
        }
    }
    let calls = asked.load(Ordering::Relaxed);
    if calls != WARM + CALLS {
        return Err(format!("{} calls asked the cluster {calls} times", WARM + CALLS).into());
    }
    taken.sort_by(f64::total_cmp);
    let median = taken.get(taken.len() / 2).copied().ok_or("no call was timed")?;
    let note =
        format!("{GUESTS} guests on {NODES} nodes, median, through the guard; one request for each call");
    figures.add("proxmox_overview_ms", median, "ms", CALLS, note);
    Ok(())
}
