//! Filing and listing features over HTTP, kept alive. An answer means that the feature is on the disk.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use qd_api::{Client, FeatureView};
use qd_board::NewFeature;

use crate::{Failure, figures::Figures, site::Site};

const TIME: Duration = Duration::from_secs(4);
const LISTS: usize = 200;
/// Features filed for one sample of the growth.
const GROWTH: usize = 300;

fn new(number: usize) -> NewFeature {
    let mut new = NewFeature::titled(format!("Feature {number} with a title of usual length"));
    new.wanted.description = "A sentence or two about what is wanted, and why. ".repeat(4);
    new
}

async fn file(client: &mut Client, number: usize) -> Result<(), Failure> {
    client.post::<_, FeatureView>("features", &new(number)).await?;
    Ok(())
}

/// Files until `until` features were filed by `clients` together.
async fn fill(clients: Vec<Client>, each: usize) -> Result<(), Failure> {
    let mut tasks = Vec::new();
    for mut client in clients {
        tasks.push(tokio::spawn(async move {
            for number in 0..each {
                file(&mut client, number).await?;
            }
            Ok::<_, Failure>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}

async fn rate(clients: Vec<Client>) -> Result<(f64, usize), Failure> {
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for mut client in clients {
        tasks.push(tokio::spawn(async move {
            let mut filed = 0;
            while begun.elapsed() < TIME {
                file(&mut client, filed).await?;
                filed += 1;
            }
            Ok::<_, Failure>(filed)
        }));
    }
    let mut filed = 0;
    for task in tasks {
        filed += task.await??;
    }
    Ok((filed as f64 / begun.elapsed().as_secs_f64(), filed))
}

/// What one fsync per request allows on this disk: appends of 4 KiB, each followed by fdatasync.
fn fsyncs(folder: &Path) -> Result<(f64, usize), Failure> {
    let mut file = File::create(folder.join("fsync"))?;
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(2) {
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        count += 1;
    }
    Ok((f64::from(count) / begun.elapsed().as_secs_f64(), count as usize))
}

async fn cost(client: &mut Client) -> Result<f64, Failure> {
    let begun = Instant::now();
    for number in 0..GROWTH {
        file(client, number).await?;
    }
    Ok(begun.elapsed().as_secs_f64() / GROWTH as f64)
}

/// Those of the board's figures that are wanted.
pub async fn measure(
    binary: &Path,
    figures: &mut Figures,
    wanted: &impl Fn(&str) -> bool,
) -> Result<(), Failure> {
    let one = wanted("feature_create_per_s_1_client");
    if one || wanted("fsync_per_s") {
        let site = Site::new()?;
        let (fsyncs, samples) = fsyncs(site.folder())?;
        figures.add("fsync_per_s", fsyncs, "1/s", samples, "4 KiB appended and fdatasync, this disk");
        if one {
            let running = site.start(binary, &["instance", "alpha"]).await?;
            let (rate, samples) = rate(vec![running.client()?]).await?;
            let note = format!("at least 1000, or 0.8 of fsync_per_s; is {:.2} of it", rate / fsyncs);
            figures.add("feature_create_per_s_1_client", rate, "1/s", samples, note);
        }
    }
    if wanted("feature_create_per_s_32_clients") {
        let site = Site::new()?;
        let running = site.start(binary, &["instance", "alpha"]).await?;
        let clients = (0..32).map(|_| running.client()).collect::<Result<_, _>>()?;
        let (rate, samples) = rate(clients).await?;
        figures.add(
            "feature_create_per_s_32_clients",
            rate,
            "1/s",
            samples,
            "clients on the same cores; at least 5000",
        );
    }
    if wanted("feature_list_1000_p99_ms") {
        let site = Site::new()?;
        let running = site.start(binary, &["instance", "alpha"]).await?;
        fill((0..10).map(|_| running.client()).collect::<Result<_, _>>()?, 100).await?;
        let mut client = running.client()?;
        let mut taken = Vec::new();
        for _ in 0..LISTS {
            let begun = Instant::now();
            let (status, body) =
                client.send(hyper::Method::GET, "/teams/alpha/api/v1/features", Vec::new()).await?;
            taken.push(begun.elapsed());
            if !status.is_success() || body.len() < 1000 * 100 {
                return Err(format!("the list answered {status} with {} bytes", body.len()).into());
            }
        }
        taken.sort();
        let p99 = taken.get(LISTS * 99 / 100).ok_or("no samples")?.as_secs_f64() * 1e3;
        figures.add("feature_list_1000_p99_ms", p99, "ms", LISTS, "all fields of 1000 features; at most 10");
    }
    if wanted("feature_create_growth") {
        let site = Site::new()?;
        let running = site.start(binary, &["instance", "alpha"]).await?;
        let mut client = running.client()?;
        fill(vec![running.client()?], 100).await?;
        let early = cost(&mut client).await?;
        fill((0..32).map(|_| running.client()).collect::<Result<_, _>>()?, 300).await?;
        let late = cost(&mut client).await?;
        let note =
            format!("{:.2} ms at 10,000 features over {:.2} ms at 100; at most 1.3", late * 1e3, early * 1e3);
        figures.add("feature_create_growth", late / early, "ratio", 2 * GROWTH, note);
    }
    Ok(())
}
