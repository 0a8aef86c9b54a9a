//! The demo's cluster of virtual machines: answers as Proxmox VE gives them, from this process, behind the same client, tools and
//! guard as a real one. An agent looks, and is kept from what is not its team's.

use std::sync::Arc;

use async_trait::async_trait;
use qd_guard::{Answer, Incoming, Outcome};
use qd_mcp_proxmox::{
    Cluster, Config, NoHub,
    error::PveError,
    https::{Reply, Transport},
    request::Request,
};
use serde_json::{Value, json};

use super::{failed, scene::Scene, tools};
use crate::{context::UserError, say, servers::built_in::CLUSTER};

/// A cluster that answers at once.
struct Simulated(Vec<u8>);

#[async_trait]
impl Transport for Simulated {
    async fn send(&self, request: &Request) -> Result<Reply, PveError> {
        if request.path() != "/cluster/resources" {
            return Err(PveError::NotFound(format!("{request:?}")));
        }
        Ok(Reply { status: 200, reason: "OK".to_owned(), body: self.0.clone() })
    }
}

fn resources() -> Value {
    let node = |name: &str| {
        json!({ "type": "node", "id": format!("node/{name}"), "node": name, "status": "online", "cpu": 0.2,
                "maxcpu": 16, "mem": 8_u64 << 30, "maxmem": 64_u64 << 30, "uptime": 862_000 })
    };
    let guest = |vmid: u32, node: &str, status: &str, team: &str| {
        json!({ "type": "qemu", "id": format!("qemu/{vmid}"), "vmid": vmid, "node": node, "status": status,
                "name": format!("{team}-{vmid}"), "template": 0, "tags": format!("team-{team}"), "pool": "teams",
                "cpu": 0.1, "maxcpu": 4, "mem": 1_u64 << 30, "maxmem": 4_u64 << 30, "disk": 0, "maxdisk": 32_u64 << 30,
                "diskread": 0, "diskwrite": 0, "netin": 0, "netout": 0, "uptime": 86_400 })
    };
    json!({ "data": [
        node("pve1"),
        node("pve2"),
        guest(101, "pve1", "running", "alpha"),
        guest(102, "pve2", "stopped", "alpha"),
        guest(103, "pve2", "running", "beta"),
        guest(700, "pve1", "running", "office"),
    ] })
}

/// Tells the scene.
pub(super) async fn tell(scene: &Scene) -> Result<(), UserError> {
    let config = Config::from_env(|name| {
        let value = match name {
            "PROXMOX_HOST" => "pve.example.org",
            "PROXMOX_USER" => "mcp@pve",
            "PROXMOX_TOKEN_NAME" | "PROXMOX_TOKEN_VALUE" => "simulated",
            "PROXMOX_ALLOW_ELEVATED" => "true",
            "PROXMOX_SCOPE_VMIDS" => "100-199",
            _ => return None,
        };
        Some(value.to_owned())
    });
    let answers = serde_json::to_vec(&resources()).map_err(|error| failed(&error))?;
    let cluster = Cluster::over(config.map_err(|error| failed(&error))?, Box::new(Simulated(answers)));
    let server = qd_mcp_proxmox::server(CLUSTER, cluster, Arc::new(NoHub)).map_err(|error| failed(&error))?;
    let folder = scene.plan.state.join("mcp").join("alpha").join(CLUSTER);
    std::fs::create_dir_all(&folder).map_err(|error| failed(&error))?;
    let behind = tools::behind(scene, server, &folder).await?;
    say::note("");
    say::note(
        "A cluster of Proxmox VE (simulated answers, the fleet's own tools), where agents may use the guests 100 to 199:",
    );
    let call = async |name: &str, arguments: Value| {
        let mut incoming = Incoming::default();
        incoming.name = name.to_owned();
        incoming.arguments = arguments.as_object().cloned().unwrap_or_default();
        behind.guard.call(&behind.agent, incoming).await
    };
    let seen = match call("cluster_overview", json!({})).await {
        Answer::Done { result: Outcome::Whole(value), .. } => value,
        answer => {
            return Err(UserError::failed(format!("the demo's cluster was not shown: {answer:?}")));
        }
    };
    let count = |state: &str| {
        seen.pointer(&format!("/facts/guests/{state}")).and_then(Value::as_u64).unwrap_or_default()
    };
    say::note(&format!(
        "  The agent of A-1 looks: {} running, {} stopped.",
        count("running"),
        count("stopped")
    ));
    for vmid in [700, 103] {
        match call("start", json!({ "vmid": vmid })).await {
            Answer::Refused(refusal) => {
                say::note(&format!("  It calls start {vmid}, and is refused: {}", refusal.problem));
            }
            answer => {
                let problem = format!("the demo's agent was not kept from guest {vmid}: {answer:?}");
                return Err(UserError::failed(problem));
            }
        }
    }
    Ok(())
}
