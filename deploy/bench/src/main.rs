#![doc = include_str!("../README.md")]
#![allow(
    unreachable_pub,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own: its table goes to the terminal"
)]

mod approvals;
mod audit;
mod board;
mod crowd;
mod discord;
mod distil;
mod engine;
mod figures;
mod gateway;
mod github;
mod guard;
mod hub;
mod hub_nats;
mod policy;
mod proxmox;
mod servers;
mod site;
mod soak;
mod start;
mod transcript;
mod walls;
mod worktrees;
mod yard;

use std::{path::PathBuf, process::ExitCode};

use figures::Figures;

/// Why a figure could not be taken.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

const KNOWN: &[&str] = &[
    "webhook_accept_per_s",
    "webhook_accept_ms_p99",
    "comment_to_reaction_ms_p99",
    "instance_cold_start_ms",
    "instance_idle_rss_mib",
    "up_idle_rss_mib",
    "feature_create_per_s_1_client",
    "feature_create_per_s_32_clients",
    "feature_list_1000_p99_ms",
    "feature_create_growth",
    "fsync_per_s",
    "schedule_decision_ms_1000",
    "merge_train_overhead_ms",
    "rss_mib_10000_features_1000_runs",
    "soak_features_per_min",
    "worktree_create_ratio_50k",
    "worktree_reuse_ratio_50k",
    "worktree_create_eight_ratio_50k",
    "conflict_radar_ms_20_branches",
    "audit_verify_rows_per_s",
    "policy_decision_us_p99",
    "distill_events_per_s",
    "discord_calls_per_1000_reports",
    "approval_card_delay_s_p99",
    "hub_reports_per_s",
    "hub_ack_ms_p99",
    "hub_reports_per_s_nats",
    "order_latency_ms_p99",
    "bot_rss_mib_1000_idle",
    "bot_rss_mib_1000_load",
    "approval_roundtrip_ms_p99",
    "interaction_ack_ms_p99",
    "reaction_to_decision_ms_p99",
    "discord_guild_rss_mib",
    "agent_spawn_overhead_ms_bubblewrap",
    "agent_spawn_overhead_ms_docker",
    "guard_added_us_p50",
    "guard_added_us_p99",
    "guard_mutation_added_us_p50",
    "commit_us_p50",
    "guard_proxy_calls_per_s",
    "mcp_start_ms",
    "mcp_rss_mib",
    "proxmox_overview_ms",
    "gateway_added_ms_p50",
    "gateway_cpu_us_per_request",
    "gateway_rps",
    "transcript_append_us_p99",
];

struct Asked {
    binary: PathBuf,
    json: Option<PathBuf>,
    names: Vec<String>,
}

fn read(mut args: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut asked = Asked { binary: PathBuf::new(), json: None, names: Vec::new() };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--binary" => {
                let path = args.next().ok_or("--binary needs a path")?;
                // Each measured process starts in a folder of its own.
                asked.binary =
                    PathBuf::from(&path).canonicalize().map_err(|error| format!("{path}: {error}"))?;
            }
            "--json" => asked.json = Some(args.next().ok_or("--json needs a file")?.into()),
            name if KNOWN.contains(&name) => asked.names.push(name.to_owned()),
            other => return Err(format!("there is no figure {other}; there is {}", KNOWN.join(", "))),
        }
    }
    Ok(asked)
}

fn main() -> ExitCode {
    let asked = match read(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(error) => {
            eprintln!("qd-bench: {error}");
            return ExitCode::from(2);
        }
    };
    match measure(&asked) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("qd-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(asked: &Asked) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let wanted = |name: &str| asked.names.is_empty() || asked.names.iter().any(|asked| asked == name);
    let mut figures = Figures::default();
    runtime.block_on(async {
        if wanted("instance_cold_start_ms") {
            start::cold(&asked.binary, &mut figures).await?;
        }
        board::measure(&asked.binary, &mut figures, &wanted).await?;
        engine::measure(&asked.binary, &mut figures, &wanted).await?;
        if wanted("soak_features_per_min") {
            soak::soak(&asked.binary, &mut figures).await?;
        }
        worktrees::measure(&mut figures, &wanted).await?;
        if wanted("audit_verify_rows_per_s") {
            audit::verify_rows(&mut figures).await?;
        }
        if wanted("approval_roundtrip_ms_p99") {
            approvals::measure(&asked.binary, &mut figures).await?;
        }
        if wanted("policy_decision_us_p99") {
            policy::decisions(&mut figures)?;
        }
        distil::measure(&mut figures, &wanted).await?;
        hub::measure(&asked.binary, &mut figures, &wanted).await?;
        hub_nats::measure(&asked.binary, &mut figures, &wanted).await?;
        github::measure(&asked.binary, &mut figures, &wanted).await?;
        discord::measure(&asked.binary, &mut figures, &wanted).await?;
        walls::measure(&asked.binary, &mut figures, &wanted).await?;
        guard::measure(&mut figures, &wanted).await?;
        servers::measure(&asked.binary, &mut figures, &wanted).await?;
        if wanted("proxmox_overview_ms") {
            proxmox::overview(&mut figures).await?;
        }
        gateway::measure(&mut figures, &wanted).await?;
        if wanted("transcript_append_us_p99") {
            transcript::append(&mut figures)?;
        }
        if wanted("instance_idle_rss_mib") || wanted("up_idle_rss_mib") {
            start::idle(&asked.binary, &mut figures).await?;
        }
        Ok::<_, Failure>(())
    })?;
    figures.print();
    if let Some(path) = &asked.json {
        figures.write(path)?;
    }
    Ok(())
}
