//! What is said of one team.

use qd_text::say;
use qd_types::InstanceName;

use super::{CommandError, first, nearest, no, quoted, unknown, why};
use crate::{Command, Limit};

pub(super) fn team(text: &str) -> Result<Command, CommandError> {
    let (verb, rest) = first(text);
    let (team, more) = first(rest);
    match (verb.to_ascii_lowercase().as_str(), team) {
        (verb @ ("pause" | "resume" | "reload"), "") => no(say!("team-or-fleet", verb = verb)),
        (verb @ ("limits" | "release"), "") => no(say!("needs-team", verb = verb)),
        ("limits", team) => limits(super::team(team)?, more),
        ("release", team) => {
            let team = super::team(team)?;
            let count = match more {
                "" => None,
                more => match more.parse() {
                    Ok(count @ 1..) => Some(count),
                    _ => return no(say!("release-takes", team = team, more = quoted(more))),
                },
            };
            Ok(Command::TeamRelease { team, count })
        }
        ("pause", team) => Ok(Command::Pause { team: Some(super::team(team)?), why: why(more) }),
        ("resume", team) if more.is_empty() => Ok(Command::Resume { team: Some(super::team(team)?) }),
        ("reload", team) if more.is_empty() => Ok(Command::Reload { team: Some(super::team(team)?) }),
        _ => unknown("team", text),
    }
}

/// `slots 3`, `reviews default`, or nothing.
fn limits(team: InstanceName, text: &str) -> Result<Command, CommandError> {
    let (word, most) = first(text);
    if word.is_empty() {
        return Ok(Command::TeamLimits { team });
    }
    let known = Limit::ALL.map(Limit::as_str);
    let Some(limit) = Limit::ALL.into_iter().find(|limit| limit.as_str() == word.to_ascii_lowercase()) else {
        return no(say!("unknown-limit", word = quoted(word), near = nearest(word, &known)));
    };
    let most = match most.to_ascii_lowercase().as_str() {
        "default" => None,
        number => match number.parse() {
            Ok(most @ 1..) => Some(most),
            _ => {
                let word = limit.as_str();
                return no(say!("limit-takes", team = team, limit = word, most = quoted(most)));
            }
        },
    };
    Ok(Command::TeamLimit { team, limit, most })
}
