//! `approvals watch`: what is asked and decided, as it happens. In a terminal the list stands and is drawn anew, with a bell
//! for whoever is asked; elsewhere each event is a line, without a bell or an escape code.

use std::{io::IsTerminal as _, time::Duration};

use http_body_util::BodyExt as _;
use qd_api::{ApprovalView, Client};
use qd_types::{ApprovalState, Ballot, InstanceName};
use serde::Serialize;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::{Found, all, card, clients, decide};
use crate::{
    cli::Common,
    context::{self, UserError},
    say,
    verbs::Done,
};

/// How long to wait before a stream that ended is opened again.
const AGAIN: Duration = Duration::from_secs(2);

/// Changes that come at once are one change.
const TOGETHER: Duration = Duration::from_millis(60);

/// Decided ones that stand below the open ones.
const DECIDED: usize = 5;

/// What the watch hears.
enum Heard {
    Change,
    Line(String),
}

/// One thing that happened to an approval.
#[derive(Serialize)]
struct Event<'a> {
    /// `asks`, `voted`, or the state that it came to.
    event: String,
    approval: &'a ApprovalView,
    #[serde(skip)]
    found: &'a Found,
}

pub(super) async fn watch(common: &Common, bell: bool) -> Done {
    let loaded = context::load(&context::sources(common)?)?;
    let failed = |error| UserError::failed(format!("signals can't be heard: {error}"));
    // One for the whole watch: what comes while something else is done is not lost.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let drawn = std::io::stdout().is_terminal() && !common.json;
    let (tell, mut heard) = mpsc::channel(64);
    for (team, client) in clients(common, &loaded)? {
        tokio::spawn(follow(team, client, tell.clone()));
    }
    let (go, lines) = std::sync::mpsc::channel();
    if drawn && std::io::stdin().is_terminal() {
        std::thread::spawn(move || read(&tell, &lines));
    }
    // What is there already when the watch begins is told, and rings no bell.
    let mut before = all(common).await?;
    let mut said = String::new();
    if drawn {
        draw(&before, &said);
    } else {
        happened(&[], &before).iter().for_each(|event| line(common, event));
    }
    // A line that was typed while changes were gathered.
    let mut pending = None;
    loop {
        let what = match pending.take() {
            Some(line) => Some(line),
            None => tokio::select! {
                _ = interrupt.recv() => return Ok(()),
                what = heard.recv() => what,
            },
        };
        match what {
            None => return Ok(()),
            Some(Heard::Change) => {
                tokio::time::sleep(TOGETHER).await;
                while let Ok(more) = heard.try_recv() {
                    if let Heard::Line(_) = more {
                        pending = Some(more);
                        break;
                    }
                }
            }
            Some(Heard::Line(typed)) => {
                said = choose(common, &before, &typed).await;
                // The reader has gone only if its terminal has.
                let _gone = go.send(());
            }
        }
        let after = match all(common).await {
            Ok(after) => after,
            Err(error) => {
                said = format!("{error}. It goes on as soon as something answers.");
                if drawn {
                    draw(&before, &said);
                }
                continue;
            }
        };
        let events = happened(&before, &after);
        let mine = events.iter().any(|event| event.event == "asks" && event.found.is_mine());
        if drawn {
            draw(&after, &said);
        } else {
            events.iter().for_each(|event| line(common, event));
        }
        if mine && (drawn || bell) {
            say::bell();
        }
        before = after;
    }
}

/// Tells of every event of a team, and opens its stream again when it ends.
async fn follow(team: InstanceName, mut client: Client, tell: mpsc::Sender<Heard>) {
    loop {
        if let Ok(response) = client.stream("events").await {
            let mut body = response.into_body();
            while let Some(Ok(frame)) = body.frame().await {
                // A comment keeps the stream alive and says nothing.
                let says = frame.data_ref().is_some_and(|data| !data.starts_with(b":"));
                if says && tell.send(Heard::Change).await.is_err() {
                    return;
                }
            }
        }
        tracing::debug!(%team, "the stream of events ended");
        tokio::time::sleep(AGAIN).await;
    }
}

/// Reads a line, and the next one only when that was dealt with: a passphrase may be asked in between.
fn read(tell: &mpsc::Sender<Heard>, next: &std::sync::mpsc::Receiver<()>) {
    let mut line = String::new();
    while matches!(std::io::stdin().read_line(&mut line), Ok(1..)) {
        let typed = std::mem::take(&mut line);
        if tell.blocking_send(Heard::Line(typed)).is_err() || next.recv().is_err() {
            return;
        }
    }
}

/// What happened between two looks, oldest first.
fn happened<'a>(before: &[Found], after: &'a [Found]) -> Vec<Event<'a>> {
    let mut events = Vec::new();
    for found in after.iter().rev() {
        let (view, was) =
            (&found.view, before.iter().find(|was| was.view.approval.id == found.view.approval.id));
        let votes = |each: &Found| each.view.approval.votes.len();
        let event = match was {
            None if found.is_open() => "asks".to_owned(),
            // Decided before anybody looked. At the start, everything of old is.
            None if before.is_empty() => continue,
            Some(was) if was.view.approval.state == view.approval.state => {
                if votes(was) == votes(found) {
                    continue;
                }
                "voted".to_owned()
            }
            _ => state(view.approval.state),
        };
        events.push(Event { event, approval: view, found });
    }
    events
}

fn state(state: ApprovalState) -> String {
    serde_json::to_value(state).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

fn line(common: &Common, event: &Event<'_>) {
    if common.json {
        match serde_json::to_string(event) {
            Ok(text) => say::line(&text),
            Err(error) => say::problem(&format!("the event has no JSON: {error}")),
        }
    } else {
        say::line(&format!("{:<9} {}", event.event, card::line(event.found)));
    }
}

fn draw(found: &[Found], said: &str) {
    let terminal = console::Term::stdout();
    // A terminal that can't be cleared shows the lists one below the other.
    let _unclear = terminal.clear_screen();
    say::line(&screen(found));
    if !said.is_empty() {
        say::line(&format!("\n{said}"));
    }
}

/// What stands in the terminal.
fn screen(found: &[Found]) -> String {
    let mut lines = Vec::new();
    let open: Vec<&Found> = found.iter().filter(|each| each.is_open()).collect();
    if open.is_empty() {
        lines.push("Nothing waits for people. Ctrl-C ends.".to_owned());
    } else {
        lines.push("Waits for people. a 1 approves the first, d 1 WHY denies it, Ctrl-C ends.".to_owned());
    }
    lines.push(String::new());
    for (number, each) in open.iter().enumerate() {
        let mark = if each.is_mine() { "›" } else { " " };
        lines.push(format!("{mark}{:>2}  {}", number + 1, card::line(each)));
    }
    let decided: Vec<&Found> = found.iter().filter(|each| !each.is_open()).take(DECIDED).collect();
    if !decided.is_empty() {
        lines.extend(["".to_owned(), "Decided".to_owned(), "".to_owned()]);
        lines.extend(decided.iter().map(|each| format!("     {}", card::line(each))));
    }
    lines.join("\n")
}

/// Does what was typed, and says what came of it.
async fn choose(common: &Common, found: &[Found], typed: &str) -> String {
    if typed.trim().is_empty() {
        return String::new();
    }
    let Some((word, number, reason)) = choice(typed) else {
        return format!("{:?} is neither a 1 nor d 1 WHY, with the number of what you decide.", typed.trim());
    };
    let Some(one) = found.iter().filter(|each| each.is_open()).nth(number.saturating_sub(1)) else {
        return format!("There is no number {number}.");
    };
    match decide::cast(common, one, word, reason).await {
        Ok(view) => decide::on_its_way(&view),
        Err(error) => error.to_string(),
    }
}

/// "a 1", "1a", "d 2 use a migration".
fn choice(typed: &str) -> Option<(Ballot, usize, Option<String>)> {
    let typed = typed.trim();
    let (first, rest) = match typed.split_once(char::is_whitespace) {
        Some((first, rest)) if first.len() == 1 => {
            let (number, rest) =
                rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
            (format!("{first}{number}"), rest)
        }
        Some((first, rest)) => (first.to_owned(), rest),
        None => (typed.to_owned(), ""),
    };
    let word = |letter: &str| match letter {
        "a" => Some(Ballot::Approve),
        "d" => Some(Ballot::Deny),
        _ => None,
    };
    let digits: String = first.chars().filter(char::is_ascii_digit).collect();
    let letters: String = first.chars().filter(|letter| !letter.is_ascii_digit()).collect();
    let number = digits.parse().ok().filter(|number| *number > 0)?;
    let reason = Some(rest.trim().to_owned()).filter(|reason| !reason.is_empty());
    Some((word(&letters)?, number, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(typed: &str) -> String {
        match choice(typed) {
            Some((word, number, reason)) => format!("{word:?} {number} {}", reason.unwrap_or_default()),
            None => "nothing".to_owned(),
        }
    }

    #[test]
    fn what_is_typed_names_a_word_and_a_number() {
        assert_eq!(read("a 1"), "Approve 1 ");
        assert_eq!(read("1a\n"), "Approve 1 ");
        assert_eq!(read("1 a"), "Approve 1 ");
        assert_eq!(read(" d12  use a   migration "), "Deny 12 use a   migration");
        assert_eq!(read("d 2 use a migration"), "Deny 2 use a migration");
        for nothing in ["a", "1", "a 0", "x 1", "approve 1", "a one", "a -1"] {
            assert_eq!(read(nothing), "nothing", "{nothing}");
        }
    }
}
