//! Deciding in the terminal. What is voted on is the digest of what was read here, and shown.

use qd_api::{ApprovalView, CastVote};
use qd_approvals::inert;
use qd_types::{Action, ApprovalState, Ballot as Word};
use serde_json::Value;

use super::{Found, all, card, pick};
use crate::{
    cli::{Answer, Ballot, Common, Reopen, Who},
    context::{self, UserError},
    say,
    verbs::{Done, explain, mcp::Ledgers, proof, text_or_stdin},
};

/// How the bot says that something is asked again; its new key follows.
const REOPENED: &str = "It is asked again, as ";

/// Says yes or no.
pub(in crate::verbs) async fn vote(common: &Common, ballot: Ballot, word: Word) -> Done {
    let Ballot { id, reason, typed, digest, who } = ballot;
    let found = all(common).await?;
    let one = open(&found, &id)?;
    is_seen(one, digest.as_deref())?;
    let view = decide(common, one, word, reason, typed, &who).await?;
    tell(common, &view);
    Ok(())
}

/// Says yes or no to what is listed, as the person at this computer.
pub(super) async fn cast(
    common: &Common,
    one: &Found,
    word: Word,
    reason: Option<String>,
) -> Result<ApprovalView, UserError> {
    decide(common, one, word, reason, None, &Who { person: None, passphrase_file: None }).await
}

async fn decide(
    common: &Common,
    one: &Found,
    word: Word,
    reason: Option<String>,
    typed: Option<String>,
    who: &Who,
) -> Result<ApprovalView, UserError> {
    let question = matches!(one.view.approval.subject.action, Action::Question(_));
    if word == Word::Approve && question {
        let text = format!("it is a question: quarterdeck approvals answer {} TEXT", one.key());
        return Err(UserError::failed(text));
    }
    announce(one);
    let typed = match typed {
        None if word == Word::Approve && card::confirm(one).typed => Some(type_out(one)?),
        typed => typed,
    };
    let cast = CastVote { typed, ..CastVote::new(word, &one.view.approval.digest, reason) };
    send(common, one, who, &cast).await
}

/// Answers a question.
pub(super) async fn answer(common: &Common, answer: Answer) -> Done {
    let Answer { id, text, value, who } = answer;
    let value = match value {
        Some(json) => serde_json::from_str(&json)
            .map_err(|error| UserError::usage(format!("--value takes JSON, not {json:?}: {error}")))?,
        None => Value::String(text_or_stdin(text)?.unwrap_or_default().trim_end().to_owned()),
    };
    let found = all(common).await?;
    let one = open(&found, &id)?;
    if !matches!(one.view.approval.subject.action, Action::Question(_)) {
        let key = one.key();
        return Err(UserError::failed(format!(
            "it is no question: quarterdeck approve {key}, or deny {key}"
        )));
    }
    announce(one);
    let cast =
        CastVote { answer: Some(value), ..CastVote::new(Word::Approve, &one.view.approval.digest, None) };
    let view = send(common, one, &who, &cast).await?;
    tell(common, &view);
    Ok(())
}

/// Asks again for what expired.
pub(super) async fn reopen(common: &Common, reopen: Reopen) -> Done {
    let found = all(common).await?;
    let expired = |each: &&Found| each.view.approval.state == ApprovalState::Expired;
    // A feature names what expired last, whatever else was asked for it.
    let one = match found.iter().filter(|each| each.fits(&reopen.id)).find(expired) {
        Some(one) => one,
        None => {
            let one = pick(&found, &reopen.id)?;
            let text = format!("{} has not expired. {}", card::headline(one), card::standing(one));
            return Err(UserError::failed(text));
        }
    };
    if one.ledger.is_some() {
        return Err(UserError::failed("a tool's call is not opened again: whoever called it calls it again"));
    }
    announce(one);
    let proven =
        proof::prove(common, reopen.who.person.as_ref(), reopen.who.passphrase_file.as_deref()).await?;
    let key = match one.view.approval.id.executor() {
        "bot" => by_the_bot(&proven, one).await,
        _ => by_its_team(common, &proven, one).await,
    };
    proven.end().await;
    let key = key?;
    if common.json {
        say::json(&serde_json::json!({ "key": key }));
    } else {
        say::line(&format!("{} is asked again: quarterdeck approvals show {key}", card::headline(one)));
    }
    Ok(())
}

/// The bot keeps it, and opens it again as in a channel.
async fn by_the_bot(proven: &proof::Proven, one: &Found) -> Result<String, UserError> {
    let said = command(proven, &format!("reopen {}", one.key())).await?;
    match said.strip_prefix(REOPENED) {
        Some(key) => Ok(key.trim_end_matches('.').to_owned()),
        None => Err(UserError::failed(said)),
    }
}

/// Its team keeps it.
async fn by_its_team(common: &Common, proven: &proof::Proven, one: &Found) -> Result<String, UserError> {
    let of_team = Common { team: Some(one.team.clone()), ..common.clone() };
    let mut client = proven.team(&of_team)?;
    let path = format!("approvals/{}/reopen", one.key());
    let view: ApprovalView = client.post(&path, &serde_json::json!({})).await.map_err(explain)?;
    Ok(view.approval.id.key())
}

/// What somebody wants to decide. If it is decided, that is the error.
fn open<'a>(found: &'a [Found], id: &str) -> Result<&'a Found, UserError> {
    let one = pick(found, id)?;
    if one.is_open() {
        return Ok(one);
    }
    Err(UserError::failed(format!("{id} is decided: {}", card::standing(one))))
}

/// Refuses if it is not what the person saw.
fn is_seen(one: &Found, digest: Option<&str>) -> Done {
    let Some(digest) = digest else { return Ok(()) };
    let seen: String = digest.chars().filter(|letter| !letter.is_whitespace()).collect();
    let asked = &one.view.approval.digest;
    if seen.len() >= 12 && asked.as_str().starts_with(&seen.to_ascii_lowercase()) {
        return Ok(());
    }
    Err(UserError::failed(format!(
        "what is asked under {} has the digest {} and not {digest}: nothing was decided. Look at it: quarterdeck \
         approvals show {}",
        one.key(),
        asked.short(),
        one.key()
    )))
}

/// Says on standard error what is about to be decided.
fn announce(one: &Found) {
    let digest = one.view.approval.digest.short();
    say::note(&format!("{}. {} Digest {digest}.", card::headline(one), card::standing(one)));
}

/// Has the target's name typed out.
fn type_out(one: &Found) -> Result<String, UserError> {
    let target = card::target(one).unwrap_or_default();
    if !proof::can_ask() {
        return Err(UserError::usage("its target has to be typed out: use --type NAME"));
    }
    let failed = |error: std::io::Error| UserError::failed(format!("the terminal can't be read: {error}"));
    let terminal = console::Term::stderr();
    let shown = inert::plain(target, card::WHOLE);
    terminal.write_str(&format!("It can't be brought back. Type {shown} to approve it: ")).map_err(failed)?;
    let typed = terminal.read_line().map_err(failed)?;
    if typed.trim() == target {
        Ok(typed.trim().to_owned())
    } else {
        Err(UserError::failed("that is not its name: nothing was decided"))
    }
}

/// Proves who decides, and sends their word.
async fn send(common: &Common, one: &Found, who: &Who, cast: &CastVote) -> Result<ApprovalView, UserError> {
    if let Some(folder) = &one.ledger {
        let loaded = context::load(&context::sources(common)?)?;
        let person = proof::person(common, &loaded, who).await?;
        return Ledgers::look(common)?.cast((&one.team, folder), &one.view, &person, cast).await;
    }
    let proven = proof::prove(common, who.person.as_ref(), who.passphrase_file.as_deref()).await?;
    let of_team = Common { team: Some(one.team.clone()), ..common.clone() };
    let after = match proven.team(&of_team) {
        Ok(mut client) => {
            let path = format!("approvals/{}/vote", one.key());
            client.post(&path, cast).await.map_err(explain)
        }
        Err(error) => Err(error),
    };
    proven.end().await;
    after
}

/// What became of a word that was given.
pub(super) fn on_its_way(view: &ApprovalView) -> String {
    let title = inert::plain(&view.title, 200);
    match &view.ended {
        // Its own team keeps it, and decided at once.
        Some(ended) => format!("\"{title}\": {ended}"),
        None => format!("Your word on \"{title}\" is on its way."),
    }
}

fn tell(common: &Common, view: &ApprovalView) {
    if common.json {
        say::json(view);
    } else {
        say::line(&on_its_way(view));
    }
}

/// Says something to the bot as in a channel, and gives what it answers.
async fn command(proven: &proof::Proven, text: &str) -> Result<String, UserError> {
    let mut client = proven.fleet().await?;
    client.form("/console/command", &[("text", text)]).await.map_err(explain)
}
