//! What an entry of a transcript costs its writer: redacted, and one write to the system.

use std::time::Instant;

use qd_agents::{
    Redactor,
    transcript::{Header, Kind, Transcript},
};
use secrecy::SecretString;

use crate::{Failure, figures::Figures};

const ENTRIES: usize = 20_000;
/// Secrets that are looked for in each entry.
const SECRETS: usize = 8;

/// The 99th percentile of 20,000 entries of 200 bytes.
pub fn append(figures: &mut Figures) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let secrets: Vec<SecretString> =
        (0..SECRETS).map(|number| format!("secret-number-{number}-of-a-run").into()).collect();
    let header = Header::new("B-1.1".parse()?, "bench");
    let path = folder.path().join("transcript.jsonl");
    let mut transcript = Transcript::open(&path, &header, Redactor::new(&secrets))?;
    let text = "It reads src/lib.rs and changes a line in it. ".repeat(4);
    let mut micros = Vec::with_capacity(ENTRIES);
    for number in 0..ENTRIES {
        let text = format!("{number} {text}");
        let begun = Instant::now();
        transcript.append(Kind::Output, &text)?;
        micros.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    micros.sort_by(f64::total_cmp);
    let p99 = micros.get(ENTRIES * 99 / 100).copied().unwrap_or_default();
    figures.add("transcript_append_us_p99", p99, "us", ENTRIES, "200 bytes, 8 known secrets");
    Ok(())
}
