//! What is said of features.

use qd_text::say;
use qd_types::{FeatureId, Stage};

use super::{CommandError, EMPTY, first, nearest, no, quoted, unknown, unknown_flag, why};
use crate::{Command, Field};

pub(super) fn feature(text: &str) -> Result<Command, CommandError> {
    let (verb, rest) = first(text);
    match verb.to_ascii_lowercase().as_str() {
        "add" => add(rest),
        "show" => Ok(Command::FeatureShow { id: id("show", rest)? }),
        "cancel" => Ok(Command::FeatureCancel { id: id("cancel", rest)? }),
        "retry" => Ok(Command::FeatureRetry { id: id("retry", rest)? }),
        "guide" => match first(rest) {
            (feature, "") => {
                let id = id("guide", feature)?;
                no(say!("guide-needs", id = id))
            }
            (feature, text) => Ok(Command::FeatureGuide { id: id("guide", feature)?, text: text.to_owned() }),
        },
        "review" => match first(rest) {
            (feature, "") => {
                let id = id("review", feature)?;
                no(say!("review-needs", id = id))
            }
            (feature, text) => {
                Ok(Command::FeatureReview { id: id("review", feature)?, text: text.to_owned() })
            }
        },
        "move" => {
            let (feature, stage) = first(rest);
            let id = id("move", feature)?;
            match stage.to_ascii_lowercase().parse() {
                Ok(stage @ (Stage::Backlog | Stage::Ready)) => Ok(Command::FeatureMove { id, stage }),
                _ => no(say!("move-takes", id = id, stage = quoted(stage))),
            }
        }
        "edit" => edit(rest),
        "stop" => Ok(Command::FeatureStop { id: id("stop", rest)? }),
        "revert" => {
            let (feature, reason) = first(rest);
            Ok(Command::FeatureRevert { id: id("revert", feature)?, why: why(reason) })
        }
        _ => unknown("feature", text),
    }
}

/// `A-1 priority 0`.
fn edit(text: &str) -> Result<Command, CommandError> {
    let (feature, rest) = first(text);
    let id = id("edit", feature)?;
    let (word, value) = first(rest);
    let known = Field::ALL.map(Field::as_str);
    let Some(field) = Field::ALL.into_iter().find(|field| field.as_str() == word.to_ascii_lowercase()) else {
        return no(say!("edit-takes", id = id, fields = known.join(", "), near = nearest(word, &known)));
    };
    if value.is_empty() {
        return no(say!("edit-needs", id = id, field = word));
    }
    let unfit = |wants: String| no(say!("field-takes", field = word, wants = wants, value = quoted(value)));
    match field {
        Field::Priority if !matches!(value.parse::<u8>(), Ok(0..=4)) => unfit(say!("wants-priority")),
        Field::Size if !["xs", "s", "m", "l", "xl", EMPTY].contains(&value.to_ascii_lowercase().as_str()) => {
            unfit(say!("wants-size"))
        }
        Field::Title if value.eq_ignore_ascii_case(EMPTY) => unfit(say!("wants-title")),
        _ => Ok(Command::FeatureEdit { id, field, value: value.to_owned() }),
    }
}

fn add(text: &str) -> Result<Command, CommandError> {
    let (mut team, mut ready, mut rest) = (None, false, text);
    loop {
        let (word, after) = first(rest);
        match word {
            "--ready" => (ready, rest) = (true, after),
            "--team" => {
                let (name, after) = first(after);
                team = Some(super::team(name)?);
                rest = after;
            }
            "--" => {
                rest = after;
                break;
            }
            flag if flag.starts_with("--") => {
                return no(unknown_flag("feature add", flag, &["--team", "--ready"]));
            }
            _ => break,
        }
    }
    let title = rest.strip_prefix('"').and_then(|title| title.strip_suffix('"')).unwrap_or(rest).trim();
    if title.is_empty() {
        return no(say!("add-needs"));
    }
    Ok(Command::FeatureAdd { team, ready, title: title.to_owned() })
}

fn id(verb: &str, text: &str) -> Result<FeatureId, CommandError> {
    if text.is_empty() {
        return no(say!("needs-feature", verb = verb));
    }
    text.parse().map_err(|error: qd_types::IdError| CommandError(format!("{error}.")))
}
