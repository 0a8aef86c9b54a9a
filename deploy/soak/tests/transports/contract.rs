//! What every transport has to hold.

use std::time::Duration;

use qd_team::Uplink as _;
use qd_wire::v1::{Ack, BoardCommand, Envelope, Order};
use tokio::time::Instant;

use crate::site::{Site, TEAMS, Transport, report};

/// The longest that anything may take, breaks included.
const PATIENCE: Duration = Duration::from_secs(60);
/// Reports of one team while the way breaks.
const LOAD: u64 = 300;
/// Breaks under load.
const BREAKS: u32 = 4;

fn none() -> Ack {
    Ack { epoch: 0, seq: 0 }
}

fn ack(seq: u64) -> Ack {
    Ack { epoch: 1, seq }
}

fn title(order: &Envelope<Order>) -> String {
    match &order.body {
        Order::Command { command: BoardCommand::AddFeature { title, .. }, .. } => title.clone(),
        other => panic!("{other:?}"),
    }
}

/// All of it, on one transport.
pub(crate) async fn holds(transport: &mut dyn Transport) {
    let mut site = Site::new(transport).await;
    reports(&site, transport).await;
    orders(&site, transport).await;
    restart(&mut site, transport).await;
    load(&site, transport).await;
}

/// Reports are acknowledged once they are kept; the same again changes nothing, and what comes after a gap is not taken.
async fn reports(site: &Site, transport: &dyn Transport) {
    let alpha = site.uplink(transport, "alpha").await;
    assert_eq!(alpha.ship(vec![]).await.unwrap(), none());
    assert_eq!(alpha.ship(vec![report(1), report(2)]).await.unwrap(), ack(2));
    assert_eq!(alpha.ship(vec![report(1), report(2), report(3)]).await.unwrap(), ack(3));
    assert_eq!(alpha.ship(vec![report(5)]).await.unwrap(), ack(3));
    assert_eq!(alpha.ship(vec![]).await.unwrap(), ack(3));
    let taken: Vec<u64> = site.alerts("alpha").into_values().collect();
    assert_eq!(taken, [1, 1, 1]);
}

/// Orders come in order and soon, again until they are acknowledged, and only to the team that they are for.
async fn orders(site: &Site, transport: &dyn Transport) {
    let (alpha, beta) = (site.uplink(transport, "alpha").await, site.uplink(transport, "beta").await);
    site.orders("alpha", "one").await;
    site.orders("beta", "other").await;
    site.orders("alpha", "two").await;
    let mut came = Vec::new();
    while came.len() < 2 {
        let after = came.last().map_or(none(), |order: &Envelope<Order>| ack(order.seq));
        came.extend(alpha.orders(after).await.unwrap());
    }
    assert_eq!(came.iter().map(|order| order.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(came.iter().map(title).collect::<Vec<_>>(), ["one", "two"]);
    let other = beta.orders(none()).await.unwrap();
    assert_eq!(other.iter().map(title).collect::<Vec<_>>(), ["other"]);
    // A process that has kept only the first, and starts again, hears of the second again.
    drop(alpha);
    let alpha = site.uplink(transport, "alpha").await;
    let again = alpha.orders(ack(1)).await.unwrap();
    assert_eq!(again.iter().map(title).collect::<Vec<_>>(), ["two"]);
    // Whoever waits hears soon.
    let waits = tokio::spawn(async move { (alpha.orders(ack(2)).await.unwrap(), Instant::now()) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let given = Instant::now();
    site.orders("alpha", "three").await;
    let (third, heard) = waits.await.unwrap();
    assert_eq!(third.iter().map(title).collect::<Vec<_>>(), ["three"]);
    assert!(heard.duration_since(given) < Duration::from_secs(2), "{:?}", heard.duration_since(given));
}

/// The bot's process ends and starts again: what it had acknowledged, it has.
async fn restart(site: &mut Site, transport: &mut dyn Transport) {
    let begun = Instant::now();
    site.stop(transport).await;
    site.start(transport).await;
    let alpha = site.uplink(transport, "alpha").await;
    let has = loop {
        match alpha.ship(vec![]).await {
            Ok(has) => break has,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
    };
    assert_eq!(has, ack(3));
}

/// While the way breaks again and again, every team's reports are taken, once each.
async fn load(site: &Site, transport: &mut dyn Transport) {
    let mut teams = Vec::new();
    for name in TEAMS {
        let uplink = site.uplink(transport, name).await;
        let begin = if name == "alpha" { 3 } else { 0 };
        teams.push(tokio::spawn(async move {
            let (begun, mut has) = (Instant::now(), begin);
            while has < LOAD {
                let batch = (has + 1..=LOAD.min(has + 5)).map(report).collect();
                match uplink.ship(batch).await {
                    Ok(ack) => has = ack.seq,
                    Err(error) => {
                        assert!(begun.elapsed() < PATIENCE, "{name}: {error}");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }));
    }
    for _ in 0..BREAKS {
        tokio::time::sleep(Duration::from_millis(300)).await;
        transport.breaks().await;
    }
    for team in teams {
        team.await.unwrap();
    }
    for name in TEAMS {
        let alerts = site.alerts(name);
        assert_eq!(alerts.len() as u64, LOAD, "{name}");
        assert!(alerts.values().all(|count| *count == 1), "{name}: {alerts:?}");
    }
}
