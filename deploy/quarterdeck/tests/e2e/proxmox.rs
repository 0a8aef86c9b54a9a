//! The tools of a Proxmox cluster and machines of teams, through the binary: `fakepve` behind the front of the server's own
//! tests, people in other terminals.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    mcp::Client,
    support::{Project, config},
};

const TOKEN: &str = "11111111-1111-4111-8111-111111111111";

/// A cluster, as long as this is there.
pub struct Cluster {
    front: Child,
    variables: Vec<(&'static str, String)>,
    control: String,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It ends, and ends the fake, when its input does.
        drop(self.front.stdin.take());
        let _ = self.front.wait();
    }
}

impl Cluster {
    /// Starts one; `None`, said clearly, where it can't be had.
    pub fn start() -> Option<Self> {
        let told = std::env::var("QUARTERDECK_SKIP").unwrap_or_default();
        let there =
            Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
        if !there || told.split(',').any(|skipped| skipped == "python") {
            assert!(std::env::var_os("CI").is_none(), "CI has python3: the test command installs it");
            eprintln!("skipped: python3 is not installed");
            return None;
        }
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../mcp-servers/proxmox/tests");
        let mut starting = Command::new("python3");
        starting.arg(tests.join("front.py")).arg(tests.join("guests.json"));
        let mut front = starting.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(front.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(said) = serde_json::from_str::<Value>(&line) else {
            assert_eq!(front.wait().unwrap().code(), Some(77), "the front says what it can't have");
            assert!(std::env::var_os("CI").is_none(), "fakepve can't be installed");
            eprintln!("skipped: fakepve can't be installed");
            return None;
        };
        let port = said["port"].to_string();
        let variables = vec![
            ("PROXMOX_HOST", "127.0.0.1".to_owned()),
            ("PROXMOX_PORT", port.clone()),
            ("PROXMOX_USER", "mcp@pve".to_owned()),
            ("PROXMOX_TOKEN_NAME", "mcp".to_owned()),
            ("PROXMOX_TOKEN_VALUE", TOKEN.to_owned()),
            ("PROXMOX_FINGERPRINT", said["fingerprint"].as_str().unwrap().to_owned()),
            ("PROXMOX_ALLOW_ELEVATED", "true".to_owned()),
            ("PROXMOX_SCOPE_VMIDS", "100-199".to_owned()),
            ("PROXMOX_SCOPE_TAGS", "qd".to_owned()),
        ];
        Some(Self { front, variables, control: format!("https://127.0.0.1:{port}/_front") })
    }

    pub fn env(&self) -> Vec<(&'static str, &str)> {
        self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// What the front knows.
    pub fn ask(&self, path: &str) -> Value {
        let output =
            Command::new("curl").args(["-sk", &format!("{}/{path}", self.control)]).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["data"].clone()
    }

    fn command(&self, project: &Project, args: &[&str]) -> Command {
        let mut command = project.command(args);
        command.envs(self.env());
        command
    }
}

/// A fleet of three owners, whose bot hears teams on other computers.
fn project(hub: Option<u16>) -> Project {
    let project = Project::new(&[("README.md", "# Machines\n")]);
    let text = config("true", None).replace("solo = true", "solo = false");
    let rosa = "\n[[people]]\nname = \"rosa\"\nroles = [\"owner\", \"manager\", \"operator\"]\n";
    let hub = hub.map_or_else(String::new, |port| format!("\n[hub]\nlisten = \"127.0.0.1:{port}\"\n"));
    let look = "\n[[policies.rules]]\nname = \"look\"\nactions = [\"tool.operate\"]\neffect = \"ask\"\nroles = [\"operator\"]\n";
    let otto = "\n[[people]]\nname = \"otto\"\nroles = [\"owner\"]\n";
    std::fs::write(project.folder().join("quarterdeck.toml"), text + rosa + otto + look + &hub).unwrap();
    for name in ["rosa", "otto"] {
        project.ok(&["person", "--as", name, "passphrase"]);
    }
    project
}

#[test]
fn a_guest_is_read_refused_and_started_once_people_agreed() {
    let Some(cluster) = Cluster::start() else { return };
    let project = project(None);
    let missing = project.run(&["mcp", "proxmox"]);
    let said = String::from_utf8_lossy(&missing.stderr);
    assert!(said.contains("PROXMOX_HOST is not set: say PROXMOX_HOST=pve.example.org"), "{said}");
    let lab = project.run(&["mcp", "proxmox", "--cluster", "lab"]);
    assert!(String::from_utf8_lossy(&lab.stderr).contains("PROXMOX_LAB_HOST is not set"));

    let mut client = Client::start(&project, &["mcp", "proxmox"], &cluster.env());
    let listed = client.call("list_guests", json!({}));
    let numbers = listed["structuredContent"]["rows"].as_array().unwrap();
    assert!(numbers.iter().any(|row| row["vmid"] == 102), "{listed}");
    let outside = client.call("start", json!({ "vmid": 700 }));
    assert!(outside.to_string().contains("The number 700 is outside of what may be used here."), "{outside}");
    let pending = client.call("start", json!({ "vmid": 103 }));
    let pending = &pending["structuredContent"];
    assert_eq!(pending["state"], "pending", "{pending}");
    let id = pending["approval"].as_str().unwrap().to_owned();
    project.ok(&["approvals", "approve", &id, "--as", "rosa"]);
    let done = client.call("call_outcome", json!({ "approval": id }));
    let result = &done["structuredContent"]["result"];
    assert_eq!(result["changed"], true, "{done}");
    let task = result["tasks"][0].as_str().unwrap();
    assert!(task.starts_with("UPID:pve1:") && task.contains(":qmstart:103:"), "{task}");
    let again = client.call("call_outcome", json!({ "approval": id }));
    assert_eq!(again["structuredContent"]["result"], *result);
    // The guard's own tools of this server say the same.
    let plan = client.call("plan_show", json!({ "approval": id }));
    let plan = &plan["structuredContent"];
    assert_eq!((&plan["tool"], &plan["state"]), (&json!("proxmox.start"), &json!("executed")), "{plan}");
    let trail = client.call("audit_tail", json!({ "tool": "start" }));
    let rows = trail["structuredContent"]["rows"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["kind"] == "outcome" && row["traces"][0] == *task), "{trail}");
    client.end();
    // The row of what came of it names the task, so that Proxmox's own log can be joined to it.
    let shown = project.ok(&["audit", "show", &id]);
    assert!(shown.contains(task), "{task}: {shown}");
    // Nothing of the token anywhere in the state folder.
    let found = Command::new("grep").args(["-r", "-l", TOKEN]).arg(project.state()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

#[test]
fn without_allowance_there_is_nothing_that_changes() {
    let Some(cluster) = Cluster::start() else { return };
    let project = project(None);
    let mut env = cluster.env();
    env.retain(|(name, _)| *name != "PROXMOX_ALLOW_ELEVATED");
    let mut client = Client::start(&project, &["mcp", "proxmox"], &env);
    let names: Vec<String> =
        client.tools().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect();
    assert!(names.contains(&"list_guests".to_owned()) && !names.contains(&"start".to_owned()), "{names:?}");
    client.end();
}

/// Waits until `find` finds.
pub fn until<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The approval that waits in the tool server's ledger.
fn waiting(project: &Project) -> String {
    until("an approval", || {
        let said = project.ok(&["approvals", "--json"]);
        let rows: Value = serde_json::from_str(&said).unwrap();
        let open = rows.as_array().unwrap().iter().find(|row| row.to_string().contains("requested"));
        open.and_then(|row| row["id"].as_str().map(str::to_owned))
    })
}

#[test]
fn a_team_gets_one_machine_and_says_hello() {
    let Some(cluster) = Cluster::start() else { return };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let project = project(Some(free));
    let up = project.up(&[]);
    let create = ["provision", "create", "beta", "--template", "190"];
    let early = cluster.command(&project, &create).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&early.stderr);
    assert!(
        said.contains(
            "beta can't join: nobody invited it; an owner invites it with: quarterdeck provision invite beta"
        ),
        "{said}"
    );

    // Both owners say so.
    project.ok(&["provision", "invite", "beta"]);
    let invited = project.ok(&["provision", "invite", "beta", "--as", "rosa"]);
    assert!(invited.contains("beta is invited"), "{invited}");

    let mut making = cluster.command(&project, &create).stdout(Stdio::piped()).spawn().unwrap();
    let id = waiting(&project);
    project.ok(&["approvals", "approve", &id, "--as", "rosa"]);
    // Killed in the middle, the same command goes on, and nobody is asked again.
    until("the guest", || {
        (!cluster.ask("guest/100").is_null() || cluster.ask("log").to_string().contains("clone"))
            .then_some(())
    });
    making.kill().unwrap();
    making.wait().unwrap();
    let making = cluster.command(&project, &create).stdout(Stdio::piped()).spawn().unwrap();
    // What the guest would do: join with the invitation that was brought into it.
    let line = until("the invitation in the guest", || {
        (100..200).find_map(|number| {
            let guest = cluster.ask(&format!("guest/{number}"));
            let ran = !guest["execs"].as_array()?.is_empty();
            guest["files"]["/etc/quarterdeck/invitation"].as_str().filter(|_| ran).map(str::to_owned)
        })
    });
    let (url, token) = line.trim().split_once(' ').unwrap();
    let elsewhere = Project::new(&[("README.md", "# Elsewhere\n")]);
    std::fs::write(elsewhere.folder().join("quarterdeck.toml"), config("true", None)).unwrap();
    elsewhere.ok(&["instance", "join", url, token]);
    let made = making.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&made.stdout);
    assert!(made.status.success() && said.contains("is at work"), "{said}");
    let clones = cluster
        .ask("log")
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row.to_string().contains("/clone"))
        .count();
    assert_eq!(clones, 1, "it was made once");
    let listed = cluster.command(&project, &["provision", "list"]).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).starts_with("beta"), "{listed:?}");

    // Taken away, it is out of the fleet without another command.
    let keys = || project.ok(&["bot", "instances"]);
    assert!(keys().contains("beta") && !keys().contains("revoked"), "{}", keys());
    let destroy = ["provision", "destroy", "beta"];
    let destroying = cluster.command(&project, &destroy).stdout(Stdio::piped()).spawn().unwrap();
    let id = waiting(&project);
    for name in ["rosa", "otto"] {
        project.ok(&["approvals", "approve", &id, "--as", name, "--type", "team beta"]);
    }
    let over = destroying.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&over.stdout).contains("is gone"), "{over:?}");
    until("the end of beta's key", || keys().contains("revoked").then_some(()));
    drop(up);
}
