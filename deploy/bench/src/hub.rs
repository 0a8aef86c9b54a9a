//! The bot and a thousand instances on the same cores: how many reports it takes, each on disk before it is acknowledged, how
//! soon it acknowledges them, how soon an order arrives, and what it keeps in memory. The bot is the shipped binary.

use std::{
    fmt::Write as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::Method;
use qd_api::Client;
use tokio::{sync::Mutex, time::Instant as Moment};

use crate::{
    Failure,
    crowd::{Batch, PROBE, Remote},
    figures::Figures,
    site::{Running, Site},
};

/// Instances.
pub const INSTANCES: u32 = 1000;
/// Reports of one call.
pub const REPORTS: u64 = 10;
/// Seconds for which each instance ships one batch a second: 10,000 reports a second.
const SECONDS: u32 = 10;
/// Batches that each instance then ships one after the other, as fast as they are acknowledged.
pub const ROUNDS: u32 = 12;
/// Orders whose way is measured.
const ORDERS: usize = 300;
/// What a bot that has just been started and connected does first.
const SETTLES: Duration = Duration::from_secs(3);

const FIGURES: [&str; 5] = [
    "hub_reports_per_s",
    "hub_ack_ms_p99",
    "order_latency_ms_p99",
    "bot_rss_mib_1000_idle",
    "bot_rss_mib_1000_load",
];

/// Those that are wanted.
pub async fn measure(
    binary: &Path,
    figures: &mut Figures,
    wanted: &impl Fn(&str) -> bool,
) -> Result<(), Failure> {
    if !FIGURES.iter().any(|name| wanted(name)) {
        return Ok(());
    }
    let site = Site::with(&configuration(INSTANCES)?, &[])?;
    let running = site.start(binary, &["bot"]).await?;
    let mut crowd = crowd(&running, INSTANCES).await?;
    for remote in &mut crowd {
        remote.listen().await?;
    }
    tokio::time::sleep(SETTLES).await;
    let idle = running.rss_mib()?;
    figures.add("bot_rss_mib_1000_idle", idle, "MiB", 1, "1,000 instances connected; at most 120");
    orders(&running, &mut crowd, figures).await?;
    load(running, crowd, figures).await
}

/// A bot with so many teams. Each has a prefix of its own, in letters.
pub fn configuration(teams: u32) -> Result<String, Failure> {
    let mut text =
        "[fleet]\nsolo = true\n\n[[people]]\nname = \"bench\"\nroles = [\"owner\", \"manager\"]\n\n\
                    [hub]\nlisten = \"127.0.0.1:0\"\n\n[[repositories]]\nname = \"project\"\npath = \".\"\n"
            .to_owned();
    for number in 0..teams {
        let letter = |digit: u32| char::from_u32(u32::from(b'A') + digit % 26).unwrap_or('A');
        let prefix: String = [number / 676, number / 26, number].into_iter().map(letter).collect();
        write!(text, "\n[[teams]]\nname = \"team-{number}\"\nprefix = \"{prefix}\"\n")?;
    }
    Ok(text)
}

/// Teams that joined with a token each, and have said so.
pub async fn crowd(running: &Running, teams: u32) -> Result<Vec<Remote>, Failure> {
    let (mut client, bot) = (running.client()?, running.hub()?);
    let mut crowd = Vec::new();
    for number in 0..teams {
        let token = invited(&mut client, &format!("team-{number}")).await?;
        let mut remote = Remote::join(bot, &token.parse()?, number).await?;
        let hello = remote.hello()?;
        remote.connected().await?;
        remote.ship(hello).await?;
        crowd.push(remote);
    }
    Ok(crowd)
}

async fn invited(client: &mut Client, name: &str) -> Result<String, Failure> {
    let path = format!("/fleet/instances/{name}/invite");
    let (status, body) = client.send(Method::POST, &path, Vec::new()).await?;
    let said: serde_json::Value = serde_json::from_slice(&body)?;
    let token = said.pointer("/token/token").and_then(|token| token.as_str());
    Ok(token.ok_or_else(|| format!("{name} is not invited: {status} {said}"))?.to_owned())
}

/// A person has something filed, in chat, with one team after the other.
async fn orders(running: &Running, crowd: &mut [Remote], figures: &mut Figures) -> Result<(), Failure> {
    let mut person = running.client()?;
    let mut taken = Vec::with_capacity(ORDERS);
    for remote in crowd.iter_mut().take(ORDERS) {
        let begun = Instant::now();
        let text = format!("feature add --team {} {PROBE}", remote.name);
        person.form("/console/command", &[("text", &text)]).await?;
        taken.push(remote.ordered().await?.duration_since(begun).as_secs_f64() * 1e3);
    }
    let (median, p99) = middle_and_p99(&mut taken)?;
    let note =
        format!("from a command in chat to its arrival, 1,000 connected; median {median:.1}; at most 50");
    figures.add("order_latency_ms_p99", p99, "ms", ORDERS, note);
    Ok(())
}

fn middle_and_p99(taken: &mut [f64]) -> Result<(f64, f64), Failure> {
    taken.sort_by(f64::total_cmp);
    let at = |part: usize| taken.get(taken.len() * part / 100).copied().ok_or("no samples");
    Ok((at(50)?, at(99)?))
}

/// First at the pace that is wanted, then as fast as it goes.
async fn load(running: Running, mut crowd: Vec<Remote>, figures: &mut Figures) -> Result<(), Failure> {
    let mut paced = Vec::new();
    for remote in &mut crowd {
        let batches = (0..SECONDS + ROUNDS).map(|_| remote.batch(REPORTS));
        paced.push(batches.collect::<Result<Vec<Batch>, _>>()?);
        remote.connected().await?;
    }
    let (running, most) = (Arc::new(running), Arc::new(Mutex::new(0.0_f64)));
    let watched = tokio::spawn(watch(Arc::clone(&running), Arc::clone(&most)));

    let (begun, cpu) = (Moment::now() + Duration::from_millis(100), running.cpu()?);
    let mut tasks = Vec::new();
    for (number, (mut remote, mut batches)) in (0_u32..).zip(crowd.into_iter().zip(paced)) {
        tasks.push(tokio::spawn(async move {
            let rest = batches.split_off(SECONDS as usize);
            let mut taken = Vec::new();
            for (second, batch) in (0_u32..).zip(batches) {
                // By the plan, not by the answer before: what waits behind a late one is late, too.
                let due =
                    begun + Duration::from_secs(1) * second + Duration::from_secs(1) * number / INSTANCES;
                tokio::time::sleep_until(due).await;
                remote.ship(batch).await?;
                taken.push(due.elapsed().as_secs_f64() * 1e3);
            }
            Ok::<_, Failure>((remote, rest, taken))
        }));
    }
    let (mut taken, mut crowd) = (Vec::new(), Vec::new());
    for task in tasks {
        let (remote, rest, some) = task.await??;
        taken.extend(some);
        crowd.push((remote, rest));
    }
    let took = begun.elapsed().as_secs_f64();
    let paced = (running.cpu()? - cpu) / took;
    let (median, p99) = middle_and_p99(&mut taken)?;
    let note = format!(
        "{} reports/s in batches of {REPORTS}, {paced:.2} cores of the bot; median {median:.1}; at most 150",
        u64::from(INSTANCES) * REPORTS
    );
    figures.add("hub_ack_ms_p99", p99, "ms", taken.len(), note);

    let work = crowd.into_iter().map(|(mut remote, batches)| async move {
        for batch in batches {
            remote.ship(batch).await?;
        }
        Ok(())
    });
    let (rate, busy, reports) = as_fast_as_it_goes(&running, work).await?;
    let note = format!(
        "1,000 instances over HTTP, each on disk before it is acknowledged; {busy:.2} cores of the bot; at least 10,000"
    );
    figures.add("hub_reports_per_s", rate, "1/s", reports, note);
    watched.abort();
    let most = *most.lock().await;
    figures.add("bot_rss_mib_1000_load", most, "MiB", 1, "the highest while it was loaded; at most 200");
    Ok(())
}

/// All instances ship their rounds at once: reports a second, the bot's cores meanwhile, and how many reports they are.
pub async fn as_fast_as_it_goes<W>(
    running: &Running,
    work: impl Iterator<Item = W>,
) -> Result<(f64, f64, usize), Failure>
where
    W: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let (begun, cpu) = (Instant::now(), running.cpu()?);
    let tasks: Vec<_> = work.map(tokio::spawn).collect();
    for task in tasks {
        task.await??;
    }
    let took = begun.elapsed().as_secs_f64();
    let reports = u64::from(INSTANCES) * u64::from(ROUNDS) * REPORTS;
    #[allow(clippy::cast_precision_loss, reason = "a count of reports")]
    let rate = reports as f64 / took;
    Ok((rate, (running.cpu()? - cpu) / took, usize::try_from(reports)?))
}

async fn watch(running: Arc<Running>, most: Arc<Mutex<f64>>) {
    while let Ok(now) = running.rss_mib() {
        let mut most = most.lock().await;
        *most = most.max(now);
        drop(most);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
