//! What a tool server costs whoever starts it: the time until it answers, and what it keeps in memory. Each server that
//! comes with the program; the worst of them is the figure.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{Failure, figures::Figures, site::Site};

const STARTS: usize = 15;
/// A server stays for as long as its client does: what it keeps is what it has when it was asked and is quiet again.
const IDLE: Duration = Duration::from_secs(12);

/// `mcp_start_ms` and `mcp_rss_mib`.
pub async fn measure(
    binary: &Path,
    figures: &mut Figures,
    wanted: &impl Fn(&str) -> bool,
) -> Result<(), Failure> {
    if !wanted("mcp_start_ms") && !wanted("mcp_rss_mib") {
        return Ok(());
    }
    let site = Site::new()?;
    let command = |args: &[&str]| {
        let mut command = Command::new(binary);
        command.current_dir(site.folder()).args(args).env("USER", "bench");
        command.env("QUARTERDECK__STATE__DIR", site.folder().join("state"));
        // What the Proxmox server does not start without. Nobody is asked there.
        command.envs([
            ("PROXMOX_HOST", "127.0.0.1"),
            ("PROXMOX_USER", "mcp@pve"),
            ("PROXMOX_TOKEN_NAME", "mcp"),
        ]);
        command.env("PROXMOX_TOKEN_VALUE", "00000000-0000-0000-0000-000000000000");
        command
    };
    let listed = command(&["--json", "mcp", "list"]).output()?;
    let listed: Vec<Value> = serde_json::from_slice(&listed.stdout)?;
    let (mut starts, mut sizes) = (Vec::new(), Vec::new());
    for name in listed.iter().filter_map(|server| server.get("name")?.as_str()) {
        // The first start makes its folder.
        start(command(&["mcp", name]))?.1.end()?;
        let (mut taken, mut most) = (Vec::new(), 0.0_f64);
        for _ in 0..STARTS {
            let (took, mut server) = start(command(&["mcp", name]))?;
            server.ask("tools/list", &json!({}))?;
            server.end()?;
            taken.push(took);
        }
        if wanted("mcp_rss_mib") {
            let (_, mut server) = start(command(&["mcp", name]))?;
            server.ask("tools/list", &json!({}))?;
            tokio::time::sleep(IDLE).await;
            most = most.max(server.rss_mib()?);
            server.end()?;
        }
        taken.sort_by(f64::total_cmp);
        starts.push((*taken.get(STARTS / 2).ok_or("no samples")?, name.to_owned()));
        sizes.push((most, name.to_owned()));
    }
    for (name, unit, limit, found) in
        [("mcp_start_ms", "ms", 30, &mut starts), ("mcp_rss_mib", "MiB", 20, &mut sizes)]
    {
        found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let each: Vec<String> = found.iter().map(|(figure, name)| format!("{name} {figure:.1}")).collect();
        let worst = found.first().ok_or("there are no servers")?.0;
        if wanted(name) {
            let samples = if unit == "ms" { STARTS } else { 1 };
            figures.add(name, worst, unit, samples, format!("{}; at most {limit}", each.join(", ")));
        }
    }
    Ok(())
}

/// A server that runs.
struct Server {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

/// From exec to the answer to the first message, in milliseconds.
fn start(mut command: Command) -> Result<(f64, Server), Failure> {
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let lines = BufReader::new(child.stdout.take().ok_or("no standard output")?);
    let mut server = Server { child, lines };
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "bench", "version": "1" } });
    server.ask("initialize", &hello)?;
    let took = begun.elapsed().as_secs_f64() * 1e3;
    server.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))?;
    Ok((took, server))
}

impl Server {
    fn send(&mut self, message: &Value) -> Result<(), Failure> {
        let to = self.child.stdin.as_mut().ok_or("no standard input")?;
        Ok(writeln!(to, "{message}")?)
    }

    fn ask(&mut self, method: &str, params: &Value) -> Result<(), Failure> {
        self.send(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))?;
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line)?;
        if answer.get("result").is_none() {
            return Err(format!("{method} was answered with {line}").into());
        }
        Ok(())
    }

    fn rss_mib(&self) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    fn end(mut self) -> Result<(), Failure> {
        drop(self.child.stdin.take());
        self.child.wait()?;
        Ok(())
    }
}
