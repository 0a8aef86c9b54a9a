//! Routes below `/fleet/people`, for the command line. Those that take a passphrase or an invitation stand before the
//! door; changes need an owner who proved who they are.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock, Weak},
};

use axum::{
    Extension, Json, Router,
    extract::{Path, State, rejection::JsonRejection},
    http::{HeaderMap, header},
    routing::{get, post},
};
use jiff::SignedDuration;
use qd_api::Problem;
use qd_people::{By, Departure, People, PeopleError, Scope, TokenKind};
use qd_team::{Caller, ProblemResponse};
use qd_types::{IdError, PersonId, Role, Stage};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::{
    Roster,
    host::Theirs,
    pages,
    rights::{self, Gift, Given},
    roster::{SIGNED_IN, lends_to_services},
    words::{
        Accept, Accepted, Admission, ChangeLink, ChangeRole, Invite, Invited, NewPassphrase, NewToken,
        PersonView, Said, Session, SignIn, Waits,
    },
};
use crate::fleet::Live;

/// How long a session lasts that the command line asks for: as long as one verb may take.
pub const ONE_VERB: SignedDuration = SignedDuration::from_mins(5);

type Answer<T> = Result<Json<T>, ProblemResponse>;
type Body<T> = Result<Json<T>, JsonRejection>;

/// What the routes work with.
#[derive(Clone)]
pub struct Desk {
    /// People.
    pub roster: Roster,
    /// Where the pages are.
    pub address: SocketAddr,
    /// The boards, once they are served.
    pub live: Arc<OnceLock<Weak<Live>>>,
    /// Held by whoever gives rights: what was approved is given once, and whoever asked for an invitation gets it.
    pub giving: Arc<Mutex<()>>,
}

/// Before the door: who comes with a passphrase or an invitation.
pub fn doors(desk: Desk) -> Router {
    Router::new()
        .route("/fleet/people/sessions", post(session))
        .route("/fleet/people/accept", post(accept))
        .route("/fleet/people/passphrase", post(passphrase))
        .with_state(desk)
}

/// Behind the door.
pub fn routes(desk: Desk) -> Router {
    Router::new()
        .route("/fleet/people", get(list).post(invite))
        .route("/fleet/people/link", post(link_for_me))
        .route("/fleet/people/token", post(token_for_me))
        .route("/fleet/people/sign-out", post(sign_out))
        .route("/fleet/people/{person}/export", get(export))
        .route("/fleet/people/{person}/role", post(role))
        .route("/fleet/people/{person}/link", post(link))
        .route("/fleet/people/{person}/disable", post(disable))
        .route("/fleet/people/{person}/remove", post(remove))
        .route("/fleet/people/{person}/erase", post(erase))
        .with_state(desk)
}

pub(crate) fn no(kind: &str, status: u16, detail: &str, hint: Option<&str>) -> ProblemResponse {
    let (kind, detail, hint) = (kind.into(), detail.into(), hint.map(Into::into));
    ProblemResponse(Problem { kind, status, detail, hint })
}

/// A sentence: a capital letter first, a full stop last.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// A no of the crate as a problem.
pub(super) fn refused(error: &PeopleError) -> ProblemResponse {
    use PeopleError as E;
    let (kind, status) = match error {
        E::NoSuch(_) => ("not-found", 404),
        E::Passphrase | E::Invitation => ("forbidden", 403),
        E::Throttled { .. } => ("throttled", 429),
        E::Text { .. } | E::TooShort | E::TooLong => ("invalid", 422),
        E::Hash(_) | E::Random(_) | E::Corrupt { .. } | E::Host(_) | E::Db(_) => {
            tracing::error!(%error, "people could not be read or changed");
            let detail = "People could not be read or changed.";
            return no("internal", 500, detail, Some("The fleet's log says why."));
        }
        _ => ("refused", 409),
    };
    let text = error.to_string();
    // A name keeps its letters.
    let begins_with_a_word = matches!(
        error,
        E::NoSuch(_)
            | E::Taken(_)
            | E::NoOwner
            | E::Configured(_)
            | E::Text { .. }
            | E::Invitation
            | E::TooShort
            | E::TooLong
            | E::Passphrase
    );
    let text = if begins_with_a_word { sentence(&text) } else { format!("{text}.") };
    no(kind, status, &text, None)
}

pub(super) fn invalid(error: &IdError) -> ProblemResponse {
    no("invalid", 422, &sentence(&error.to_string()), None)
}

fn body<T: DeserializeOwned>(body: Body<T>) -> Result<T, ProblemResponse> {
    body.map(|Json(value)| value).map_err(|error| no("invalid", 422, &sentence(&error.to_string()), None))
}

/// The owner who asks, and proved it.
fn owner(caller: &Caller) -> Result<By, ProblemResponse> {
    if !caller.is_proven() {
        let hint = "Give your passphrase: quarterdeck person asks for it.";
        return Err(no("unproven", 403, "A change of people needs proof of who you are.", Some(hint)));
    }
    if !caller.person.roles.contains(&Role::Owner) {
        let detail = format!("Only an owner changes people, and {} is none.", caller.person.id);
        return Err(no("forbidden", 403, &detail, Some("Ask an owner: quarterdeck person list shows them.")));
    }
    Ok(By::Person(caller.person.id.clone()))
}

async fn session(State(desk): State<Desk>, sent: Body<SignIn>) -> Answer<Session> {
    let SignIn { person, passphrase } = body(sent)?;
    let made = desk.roster.sign_in(&person, SecretString::from(passphrase), "terminal", ONE_VERB).await;
    Ok(Json(Session { token: made.map_err(|error| refused(&error))? }))
}

async fn accept(State(desk): State<Desk>, sent: Body<Accept>) -> Answer<Accepted> {
    let Accept { token, passphrase } = body(sent)?;
    let profile = desk.roster.accept(token, SecretString::from(passphrase)).await;
    Ok(Json(Accepted { person: profile.map_err(|error| refused(&error))?.id }))
}

async fn passphrase(State(desk): State<Desk>, sent: Body<NewPassphrase>) -> Answer<Said> {
    let NewPassphrase { person, old, new } = body(sent)?;
    let changed = desk.roster.change_passphrase(&person, old.into(), new.into()).await;
    changed.map_err(|error| refused(&error))?;
    Ok(Json(Said {
        text: format!("{person} has another passphrase. Sessions and tokens from before ended."),
    }))
}

async fn list(State(desk): State<Desk>) -> Answer<Vec<PersonView>> {
    let profiles = desk.roster.list().await.map_err(|error| refused(&error))?;
    Ok(Json(profiles.into_iter().map(PersonView::from).collect()))
}

/// A sign-in link for whoever asks: with proof it may vote, without it reads and works.
async fn link_for_me(State(desk): State<Desk>, Extension(caller): Extension<Caller>) -> Answer<Said> {
    let kind = if caller.is_proven() { TokenKind::Session } else { TokenKind::Token };
    let made = desk.roster.make_token(&caller.person.id, kind, "sign-in link", SIGNED_IN).await;
    let token = made.map_err(|error| refused(&error))?;
    Ok(Json(Said { text: pages::sign_in_url(desk.address, &token) }))
}

/// A token for a program of whoever asks, and proved who they are: it acts as them, and decides nothing.
async fn token_for_me(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    sent: Body<NewToken>,
) -> Answer<Session> {
    if !caller.is_proven() {
        let hint = "Give your passphrase: quarterdeck mcp token asks for it.";
        return Err(no("unproven", 403, "A token needs proof of who you are.", Some(hint)));
    }
    let NewToken { days, service } = body(sent)?;
    let (person, lasts) = (&caller.person, lasts(days));
    let made = match service {
        None => desk.roster.make_token(&person.id, TokenKind::Token, PROGRAM, lasts).await,
        Some(_) if !lends_to_services(person) => {
            let detail = format!("{} is neither owner nor manager.", person.id);
            let hint = "A manager makes the tokens of service accounts.";
            return Err(no("forbidden", 403, &detail, Some(hint)));
        }
        Some(name) => desk.roster.make_service_token(&person.id, name, PROGRAM, lasts).await,
    };
    Ok(Json(Session { token: made.map_err(|error| refused(&error))? }))
}

/// What a program's token is known by.
pub const PROGRAM: &str = "coding agent";

/// So many days, at most a leap year.
pub fn lasts(days: u16) -> SignedDuration {
    SignedDuration::from_hours(i64::from(days.clamp(1, 366)) * 24)
}

/// Ends the session or token that this is asked with.
async fn sign_out(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Answer<Said> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(token) = bearer.and_then(|text| text.strip_prefix("Bearer ")) {
        let ended = desk.roster.end_token(&caller.person.id, token.to_owned()).await;
        ended.map_err(|error| refused(&error))?;
    }
    Ok(Json(Said { text: format!("{} is signed out.", caller.person.id) }))
}

async fn invite(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    sent: Body<Invite>,
) -> Answer<Admission> {
    owner(&caller)?;
    let Invite { person, name, roles, again } = body(sent)?;
    let scoped = |(scope, role): (String, Role)| Ok((scope.parse::<Scope>()?.to_string(), role));
    let roles = roles.into_iter().map(scoped).collect::<Result<Vec<_>, IdError>>();
    let roles = roles.map_err(|error| invalid(&error))?;
    let gift = if again {
        Gift::AnotherInvitation
    } else {
        Gift::Invitation { name: name.unwrap_or_else(|| person.to_string()), roles }
    };
    match rights::give(&desk, &caller, &person, &gift).await? {
        Given::Waits(waits) => Ok(Json(Admission::Waits(Waits { waits }))),
        Given::Done { invitation: Some(invitation), alone } => {
            let token = invitation.token.expose_secret().to_owned();
            let url = pages::join_url(desk.address, &token);
            let (expires_at, alone) = (invitation.expires_at, alone.map(str::to_owned));
            Ok(Json(Admission::Invited(Invited { url, token, expires_at, alone })))
        }
        Given::Done { invitation: None, .. } => {
            let hint = format!("Get the link with: quarterdeck person invite {person} --again");
            Err(no("refused", 409, &format!("{person} is invited already."), Some(&hint)))
        }
    }
}

/// What to say once it is given, or that it waits.
fn said(given: Given, done: String) -> Said {
    match given {
        Given::Waits(text) => Said { text },
        Given::Done { alone: Some(why), .. } => Said { text: format!("{done} {why}") },
        Given::Done { alone: None, .. } => Said { text: done },
    }
}

async fn role(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(person): Path<PersonId>,
    sent: Body<ChangeRole>,
) -> Answer<Said> {
    let by = owner(&caller)?;
    let ChangeRole { scope, role, take } = body(sent)?;
    let scope: Scope = scope.parse().map_err(|error| invalid(&error))?;
    if !take {
        let gift = Gift::Role { scope: scope.to_string(), role };
        let given = rights::give(&desk, &caller, &person, &gift).await?;
        return Ok(Json(said(given, format!("{person} has the role {role} in {scope} now."))));
    }
    let text = format!("{person} does not have the role {role} in {scope} now.");
    let job = move |people: &People<'_>| people.take_role(&person, &scope, role);
    desk.roster.change(by, job).await.map_err(|error| refused(&error))?;
    Ok(Json(Said { text }))
}

async fn link(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(person): Path<PersonId>,
    sent: Body<ChangeLink>,
) -> Answer<Said> {
    let by = owner(&caller)?;
    let ChangeLink { identity, unlink } = body(sent)?;
    let identity = rights::identity(&identity)?;
    if !unlink {
        let gift = Gift::Identity { identity: identity.to_string() };
        let given = rights::give(&desk, &caller, &person, &gift).await?;
        return Ok(Json(said(given, format!("{identity} is linked to {person}."))));
    }
    let text = format!("{identity} is not linked to {person} any more.");
    let job = move |people: &People<'_>| people.unlink(&person, &identity);
    desk.roster.change(by, job).await.map_err(|error| refused(&error))?;
    Ok(Json(Said { text }))
}

async fn disable(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(person): Path<PersonId>,
) -> Answer<Said> {
    leave(&desk, &caller, person, |people, person| people.disable(person)).await
}

async fn remove(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(person): Path<PersonId>,
) -> Answer<Said> {
    leave(&desk, &caller, person, |people, person| people.remove(person)).await
}

async fn leave(
    desk: &Desk,
    caller: &Caller,
    person: PersonId,
    event: fn(&People<'_>, &PersonId) -> Result<Departure, PeopleError>,
) -> Answer<Said> {
    let by = owner(caller)?;
    let live = desk.live.get().and_then(Weak::upgrade);
    let hub = live.as_ref().and_then(|live| live.bot()).map(|bot| bot.hub.clone());
    let votes = match &hub {
        Some(hub) => hub.votes_of(&person).await.map_err(|error| {
            tracing::error!(%error, "open votes can't be looked up");
            let hint = "The fleet's log says why.";
            no("unavailable", 503, "Their open votes can't be looked up, so nothing is changed.", Some(hint))
        })?,
        // Another process runs the bot, which ends them as soon as it sees who is shut out.
        None => Vec::new(),
    };
    let theirs = Theirs { responsible: responsible(desk, &person).await?, votes };
    let left = desk.roster.change_of(by, theirs, move |people| event(people, &person)).await;
    let left = left.map_err(|error| refused(&error))?;
    if let Some(hub) = hub
        && let Err(error) = hub.drop_votes(&left.person).await
    {
        // Nothing is lost: the bot ends them when it is told who there is, and at its next start.
        tracing::error!(%error, person = %left.person, "open votes are not ended yet");
    }
    Ok(Json(Said { text: left.to_string() }))
}

/// What hangs on a person on the boards that are served here: features that are theirs to do.
async fn responsible(desk: &Desk, person: &PersonId) -> Result<Vec<String>, ProblemResponse> {
    let mut theirs = Vec::new();
    let live = desk.live.get().and_then(Weak::upgrade);
    for team in live.map(|live| live.teams()).unwrap_or_default() {
        for view in team.features(None).await? {
            let feature = &view.feature;
            let open = !matches!(feature.stage, Stage::Done | Stage::Cancelled);
            if open && feature.wanted.assignee.as_ref() == Some(person) {
                theirs.push(format!("{}: {}", feature.id, feature.wanted.title));
            }
        }
    }
    Ok(theirs)
}

async fn erase(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(person): Path<PersonId>,
) -> Answer<Said> {
    let by = owner(&caller)?;
    let text = format!("Everything that was stored about {person} is deleted. The trail keeps a pseudonym.");
    let whom = person.clone();
    let erased = desk.roster.change(by, move |people| people.erase(&whom)).await;
    // Somebody who is gone already may still be in a map that could not be written then.
    if let (Ok(()) | Err(PeopleError::NoSuch(_)), Some(live)) =
        (&erased, desk.live.get().and_then(Weak::upgrade))
        && let Err(error) = live.forget(&person).await
    {
        tracing::error!(%person, %error, "a trail could not forget a person");
        let detail = "A trail still has the name beside it.";
        return Err(no("internal", 500, detail, Some("Erase them again; the fleet's log says why.")));
    }
    erased.map_err(|error| refused(&error))?;
    Ok(Json(Said { text }))
}

/// For an owner, and for the person themselves.
async fn export(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(person): Path<PersonId>,
) -> Answer<qd_people::Export> {
    if !(caller.is_proven() && caller.person.id == person) {
        owner(&caller)?;
    }
    Ok(Json(desk.roster.export(&person).await.map_err(|error| refused(&error))?))
}
