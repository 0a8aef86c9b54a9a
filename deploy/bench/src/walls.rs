//! What walls cost: how much later a program ends that does nothing, within them and without.

use std::{ffi::OsString, path::Path, process::Stdio, time::Instant};

use qd_sandbox::{Bounds, Bubblewrap, Docker, Limits, Network, Sandbox, Spec};

use crate::{Failure, figures::Figures};

const SPAWNS: usize = 21;

/// Both figures. Without an engine at its usual socket, or its image, the second is left out.
pub async fn measure(
    binary: &Path,
    figures: &mut Figures,
    wanted: &impl Fn(&str) -> bool,
) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let spec = spec(folder.path())?;
    let bounds = || Bounds(binary.to_owned());
    if wanted("agent_spawn_overhead_ms_bubblewrap") {
        let bare = median(&spec, &[], "true").await?;
        let walled = within(&Bubblewrap::new(bounds()), &spec).await?;
        let note = "bubblewrap, median over a bare spawn; at most 30";
        figures.add("agent_spawn_overhead_ms_bubblewrap", walled - bare, "ms", SPAWNS, note);
    }
    if wanted("agent_spawn_overhead_ms_docker") {
        let image = std::env::var("QUARTERDECK_BENCH_IMAGE").unwrap_or_else(|_| "busybox".to_owned());
        let docker = Docker::new(bounds(), image.clone(), folder.path());
        match docker.probe().await {
            Err(error) => eprintln!("agent_spawn_overhead_ms_docker is left out: {error}"),
            Ok(_) => {
                let run = ["docker", "run", "--rm", "--network", "none", &image].map(OsString::from);
                let bare = median(&spec, &run, "true").await?;
                let walled = within(&docker, &spec).await?;
                let note = "docker, median over `docker run`; at most 400";
                figures.add("agent_spawn_overhead_ms_docker", walled - bare, "ms", SPAWNS, note);
            }
        }
    }
    Ok(())
}

fn spec(folder: &Path) -> Result<Spec, Failure> {
    let cwd = folder.join("work");
    std::fs::create_dir(&cwd)?;
    Ok(Spec {
        instance: "bench".parse()?,
        run: "B-1.1".parse()?,
        cwd,
        home: folder.join("home"),
        home_at: std::env::var_os("HOME").unwrap_or_else(|| "/root".into()).into(),
        write: vec![],
        read: vec![],
        hidden: vec![],
        limits: Limits { memory: Some(1 << 30), processes: Some(4096), millicpus: None },
        network: Network::Closed,
        turn: None,
        adopt: None,
    })
}

async fn within(sandbox: &dyn Sandbox, spec: &Spec) -> Result<f64, Failure> {
    let launch = sandbox.launch(spec)?;
    median(spec, &launch.argv, "true").await
}

/// Milliseconds from start to end.
async fn median(spec: &Spec, argv: &[OsString], program: &str) -> Result<f64, Failure> {
    let mut taken = Vec::new();
    for _ in 0..SPAWNS {
        let mut all = argv.iter().cloned().chain(std::iter::once(program.into()));
        let mut command = tokio::process::Command::new(all.next().ok_or("nothing to start")?);
        command.args(all).current_dir(&spec.cwd).stdin(Stdio::null()).stdout(Stdio::null());
        let begun = Instant::now();
        let status = command.status().await?;
        if !status.success() {
            return Err(format!("{program} did not run: {status}").into());
        }
        taken.push(begun.elapsed());
    }
    taken.sort();
    Ok(taken.get(SPAWNS / 2).ok_or("no samples")?.as_secs_f64() * 1e3)
}
