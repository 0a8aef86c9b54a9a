//! Verifying the audit chain where it is stored: rows of usual size, with a signed head every thousand.

use std::{path::Path, time::Instant};

use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use qd_audit::{
    About, Actor, AuditError, Entry, Kind, SCHEMA, Signer, WITNESSES, append, begin, head, keep, sign, verify,
};
use qd_sqlite::Db;
use serde_json::{Map, json};

use crate::{Failure, figures::Figures};

const ROWS: u64 = 200_000;
const BATCH: u64 = 1_000;
const ROUNDS: usize = 5;

fn entry(number: u64) -> Result<Entry, Failure> {
    let mut payload = Map::new();
    payload.insert("text".into(), json!(format!("approve, on the board, in round {number}")));
    payload.insert("digest".into(), json!("9be140c7d2aa".repeat(5)));
    payload.insert("surface".into(), json!("board"));
    Ok(Entry {
        kind: Kind::Vote,
        actor: Actor::Person("p-4f2a91c07be1d3a5".parse()?),
        about: About {
            issue: Some("acme/billing#12".into()),
            feature: Some(format!("A-{}", number / 100 + 1).parse()?),
            run: Some(format!("A-{}.1", number / 100 + 1).parse()?),
            call: None,
            approval: Some("bot/01ARZ3NDEKTSV4RRFFQ69G5FAV".parse()?),
        },
        at: Timestamp::from_second(1_780_000_000 + number.cast_signed())?,
        payload,
    })
}

/// `audit_verify_rows_per_s`: the median of some rounds, each over the whole chain.
pub async fn verify_rows(figures: &mut Figures) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let db = Db::open(&folder.path().join("audit.db"), &[SCHEMA, WITNESSES])?;
    let key = SigningKey::from_bytes(&[7; 32]);
    let signers = [Signer { name: "bot".to_owned(), key: key.verifying_key() }];
    db.write(|tx| begin(tx, "alpha")).await?;
    for batch in 0..ROWS / BATCH {
        let entries: Vec<Entry> =
            (batch * BATCH..(batch + 1) * BATCH).map(entry).collect::<Result<_, Failure>>()?;
        let (key, signers) = (key.clone(), signers.clone());
        db.write(move |tx| {
            for entry in &entries {
                append(tx, entry)?;
            }
            keep(tx, &sign(head(tx)?, "bot", Timestamp::now(), &key), &signers)
        })
        .await?;
    }
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let signers = signers.clone();
        let report =
            db.read(move |c| verify(c, Path::new("segments"), &signers, &[])).await.map_err(boxed)?;
        rates.push(ROWS as f64 / begun.elapsed().as_secs_f64());
        if report.fault.is_some() || report.proven.is_none() || report.rows != ROWS {
            return Err(report.to_string().into());
        }
    }
    rates.sort_by(f64::total_cmp);
    let median = *rates.get(ROUNDS / 2).ok_or("no samples")?;
    figures.add("audit_verify_rows_per_s", median, "/s", ROUNDS, "a chain of 200,000 rows; at least 100,000");
    Ok(())
}

fn boxed(error: AuditError) -> Failure {
    Box::new(error)
}
