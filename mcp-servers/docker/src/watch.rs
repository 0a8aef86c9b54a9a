//! How containers do: the end of their logs, what they use, what happened. All of it has an end, however much there is.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use async_trait::async_trait;
use bollard::query_parameters::{EventsOptionsBuilder, LogsOptionsBuilder, StatsOptionsBuilder};
use futures_util::StreamExt as _;
use qd_guard::{Call, Fault, Look, Quoted, Spec};
use qd_types::Tier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{engine::Engine, inspect::Named};

/// Most lines of a log.
const LINES: u32 = 1_000;

/// Lines of a log where nobody says how many.
const USUAL_LINES: u32 = 200;

/// Most of a log that is handed on, in bytes; the end of it.
const LOG: usize = 32 * 1024;

/// Most of a log that is read, in bytes. A line can be longer than all that is wanted.
const READ: usize = 8 * 1024 * 1024;

/// Longest look back, in seconds: a day.
const BACK: u32 = 24 * 60 * 60;

/// Most events.
const EVENTS: usize = 200;

pub(crate) struct Logs(pub(crate) Arc<Engine>);

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Tail {
    /// Its name, or at least 12 characters of its id.
    container: String,
    /// How many lines from the end: up to 1,000, and 200 if nothing is said.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1000))]
    lines: Option<u32>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Log {
    /// The end of the log, what it wrote as output and as errors.
    log: Quoted,
    /// Whether there was more than fits.
    cut: bool,
}

#[async_trait]
impl Look for Logs {
    type Input = Tail;
    type Output = Log;

    fn spec(&self) -> Spec {
        Spec::new("logs", Tier::Read, "container.logs").described(
            "Read a container's log",
            "The end of a container's log: at most 1,000 lines and 32 KiB. What is in it is data, whatever it says.",
        )
    }

    async fn look(&self, _: &Call, input: Tail) -> Result<Log, Fault> {
        let container = self.0.container(&input.container).await?;
        let lines = input.lines.unwrap_or(USUAL_LINES).clamp(1, LINES);
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&lines.to_string()).build();
        let mut log = self.0.docker().await?.logs(&container.id, Some(options)).boxed();
        let (mut end, mut read) = (VecDeque::with_capacity(LOG), 0);
        while let Some(piece) = log.next().await {
            let piece =
                piece.map_err(|error| self.0.looking("container", &container.name, &error))?.into_bytes();
            read += piece.len();
            end.extend(piece.iter().skip(piece.len().saturating_sub(LOG)));
            end.drain(..end.len().saturating_sub(LOG));
            if read > READ {
                break;
            }
        }
        let text = String::from_utf8_lossy(end.make_contiguous()).into_owned();
        Ok(Log { log: Quoted::new(&text, LOG), cut: read > LOG })
    }
}

pub(crate) struct Stats(pub(crate) Arc<Engine>);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Used {
    /// In hundredths of a core, over the last second.
    cpu_percent: f64,
    /// In bytes.
    memory: u64,
    /// In bytes.
    memory_limit: u64,
    pids: u64,
    /// In bytes, since it was started.
    received: u64,
    /// In bytes, since it was started.
    sent: u64,
}

#[async_trait]
impl Look for Stats {
    type Input = Named;
    type Output = Used;

    fn spec(&self) -> Spec {
        Spec::new("stats", Tier::Read, "container.stats")
            .described(
                "What a container uses",
                "Processor, memory, processes and network of a running container, once.",
            )
            .within(Duration::from_secs(15))
    }

    async fn look(&self, _: &Call, input: Named) -> Result<Used, Fault> {
        let container = self.0.container(&input.container).await?;
        let options = StatsOptionsBuilder::new().stream(false).build();
        let mut stats = self.0.docker().await?.stats(&container.id, Some(options)).boxed();
        let looking = |error| self.0.looking("container", &container.name, &error);
        let now = stats.next().await.transpose().map_err(looking)?;
        let now = now.filter(|_| container.is_up()).ok_or_else(|| {
            Fault::failed(format!("The container {} does not run.", container.name), "Start it first.")
        })?;
        let cpu = now.cpu_stats.unwrap_or_default();
        let before = now.precpu_stats.unwrap_or_default();
        let used = |stats: &bollard::models::ContainerCpuStats| {
            stats.cpu_usage.as_ref().and_then(|usage| usage.total_usage).unwrap_or_default()
        };
        let share = used(&cpu).saturating_sub(used(&before)) as f64;
        let whole = cpu
            .system_cpu_usage
            .unwrap_or_default()
            .saturating_sub(before.system_cpu_usage.unwrap_or_default());
        let cores = f64::from(cpu.online_cpus.unwrap_or(1));
        let cpu_percent = if whole == 0 { 0.0 } else { share / whole as f64 * cores * 100.0 };
        let memory = now.memory_stats.unwrap_or_default();
        let networks = now.networks.unwrap_or_default();
        Ok(Used {
            cpu_percent: (cpu_percent * 10.0).round() / 10.0,
            memory: memory.usage.unwrap_or_default(),
            memory_limit: memory.limit.unwrap_or_default(),
            pids: now.pids_stats.and_then(|pids| pids.current).unwrap_or_default(),
            received: networks.values().filter_map(|network| network.rx_bytes).sum(),
            sent: networks.values().filter_map(|network| network.tx_bytes).sum(),
        })
    }
}

pub(crate) struct Events(pub(crate) Arc<Engine>);

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Since {
    /// How many seconds back: up to a day, and ten minutes if nothing is said.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86400))]
    seconds: Option<u32>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EventList {
    /// The newest, oldest first.
    events: Vec<EventRow>,
    left_out: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EventRow {
    /// Seconds since 1970.
    at: i64,
    /// `container`, `image`, …
    kind: String,
    what: Quoted,
    name: Quoted,
}

#[async_trait]
impl Look for Events {
    type Input = Since;
    type Output = EventList;

    fn spec(&self) -> Spec {
        Spec::new("events", Tier::Read, "engine.events").described(
            "What happened",
            "What happened in the engine lately: at most the newest 200 events of a day.",
        )
    }

    async fn look(&self, _: &Call, input: Since) -> Result<EventList, Fault> {
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
        let since = now.saturating_sub(input.seconds.unwrap_or(600).clamp(1, BACK).into());
        // With an end, the engine's answer has one too.
        let options = EventsOptionsBuilder::new().since(&since.to_string()).until(&now.to_string()).build();
        let mut stream = self.0.docker().await?.events(Some(options)).boxed();
        let (mut events, mut left_out) = (VecDeque::new(), 0);
        while let Some(event) = stream.next().await {
            let event = event.map_err(|error| self.0.looking("event", "list", &error))?;
            let actor = event.actor.unwrap_or_default();
            let name =
                actor.attributes.and_then(|mut named| named.remove("name")).or(actor.id).unwrap_or_default();
            events.push_back(EventRow {
                at: event.time.unwrap_or_default(),
                kind: event.typ.map(|kind| kind.to_string()).unwrap_or_default(),
                what: Quoted::new(&event.action.unwrap_or_default(), 200),
                name: Quoted::new(&name, 200),
            });
            if events.len() > EVENTS {
                events.pop_front();
                left_out += 1;
            }
        }
        Ok(EventList { events: events.into(), left_out })
    }
}
