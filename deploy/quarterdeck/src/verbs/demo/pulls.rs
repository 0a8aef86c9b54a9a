//! What the demo tells of a pull request: what stands on it on the forge, as GitHub would show it. It is the embedded forge, and
//! nothing is made up for it.

use std::time::{Duration, Instant};

use qd_core::forge::{Comment, Conclusion, Forge as _};
use qd_types::{FeatureId, RepositoryName};

use super::failed;
use crate::{context::UserError, fleet::Fleet, say};

/// Longest wait for the last edit: those take their time.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// Tells what stands on the pull request of a feature.
pub(super) async fn tell(
    fleet: &Fleet,
    repository: &RepositoryName,
    feature: &FeatureId,
) -> Result<(), UserError> {
    let Some(bot) = fleet.bot() else { return Ok(()) };
    let all = bot.forge.pull_requests(repository).await.map_err(|error| failed(&error))?;
    let begins = format!("{feature}: ");
    let Some(pull) = all.into_iter().find(|pull| pull.title.starts_with(&begins)) else { return Ok(()) };
    let begun = Instant::now();
    let comments = loop {
        let comments = bot.forge.comments(repository, pull.number).await.map_err(|error| failed(&error))?;
        let settled =
            |comment: &Comment| comment.body.contains("merged as") || comment.body.contains("Merged");
        if pull.merged.is_none() || comments.iter().all(settled) || begun.elapsed() > PATIENCE {
            break comments;
        }
        tokio::time::sleep(LOOK).await;
    };
    say::note("");
    say::note(&format!(
        "Pull request #{} of {repository}, as the forge shows it ({} comments, each edited as it went on; also at /pulls/{repository}/{}):",
        pull.number,
        comments.len(),
        pull.number
    ));
    for comment in comments {
        say::note(&format!("  {}", comment.body.replace('\n', "\n  ")));
    }
    let checks = bot.forge.checks(repository, &pull.head).await.map_err(|error| failed(&error))?;
    let passed: Vec<&str> = checks
        .iter()
        .filter(|check| check.conclusion == Conclusion::Success)
        .map(|check| check.name.as_str())
        .collect();
    say::note(&format!("  Checks of {} that passed: {}.", pull.head.short(), passed.join(", ")));
    Ok(())
}
