//! `search`.

use qd_board::{Hit, HitKind};

use super::{Done, connect, encoded, explain};
use crate::{cli::Common, say};

pub(super) async fn search(common: &Common, words: &[String], kind: Option<HitKind>) -> Done {
    let kind = kind.map_or_else(String::new, |kind| format!("&kind={kind}"));
    let path = format!("search?q={}{kind}", encoded(&words.join(" ")));
    let hits: Vec<Hit> = connect(common)?.get(&path).await.map_err(explain)?;
    if common.json {
        say::json(&hits);
    } else if hits.is_empty() {
        say::line("Nothing was found.");
    } else {
        for hit in hits {
            say::line(&format!(
                "{:<9} {:<10} {}\n          {}",
                hit.kind.as_str(),
                hit.place,
                hit.title,
                hit.snippet
            ));
        }
    }
    Ok(())
}
