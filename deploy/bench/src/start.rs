//! How long a start takes, and what an idle process keeps in memory.

use std::{path::Path, time::Duration};

use crate::{Failure, figures::Figures, site::Site};

const STARTS: usize = 15;
/// Idle is what it is after a minute.
const IDLE: Duration = Duration::from_secs(60);

/// From exec to the first good answer, on a state that exists.
pub async fn cold(binary: &Path, figures: &mut Figures) -> Result<(), Failure> {
    let site = Site::new()?;
    drop(site.start(binary, &["instance", "alpha"]).await?);
    let mut taken = Vec::new();
    for _ in 0..STARTS {
        taken.push(site.start(binary, &["instance", "alpha"]).await?.ready);
    }
    taken.sort();
    let median = taken.get(STARTS / 2).ok_or("no samples")?.as_secs_f64() * 1e3;
    figures.add("instance_cold_start_ms", median, "ms", STARTS, "median; at most 50");
    Ok(())
}

/// Both at once, so that the minute is waited for once.
pub async fn idle(binary: &Path, figures: &mut Figures) -> Result<(), Failure> {
    let (one, all) = (Site::new()?, Site::new()?);
    let instance = one.start(binary, &["instance", "alpha"]).await?;
    let up = all.start(binary, &["up"]).await?;
    tokio::time::sleep(IDLE).await;
    figures.add("instance_idle_rss_mib", instance.rss_mib()?, "MiB", 1, "after one minute; at most 30");
    figures.add("up_idle_rss_mib", up.rss_mib()?, "MiB", 1, "after one minute; at most 45");
    Ok(())
}
