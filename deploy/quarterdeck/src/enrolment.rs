//! Routes below `/fleet/instances`: which teams on other computers belong to the fleet. Policy decides who may let one join, and
//! who may put one out; whoever does has to have proved who they are.

use std::sync::{Arc, Weak};

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use jiff::Timestamp;
use qd_engine::{Principal, Request, Resource};
use qd_hub::{HubError, Invited, Rotated};
use qd_team::{Caller, ProblemResponse};
use qd_types::{InstanceName, Ruling, Verb};
use qd_wire::signed::fingerprint;
use serde::{Deserialize, Serialize};

use crate::{
    fleet::Live,
    people::{Desk, routes::no, words::Said},
};

type Answer<T> = Result<Json<T>, ProblemResponse>;

/// What came of an invitation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Invitation {
    /// It can be used.
    Token {
        /// Shown once.
        token: String,
        /// Where the bot is; each of them leads to it.
        urls: Vec<String>,
        /// Until when it works.
        until: Timestamp,
        /// One owner was enough, and why, as a sentence.
        alone: Option<String>,
    },
    /// Others have to give the same command.
    Waits {
        /// As sentences.
        text: String,
    },
}

/// A key of an instance.
#[derive(Debug, Serialize, Deserialize)]
pub struct InstanceKey {
    /// Whose.
    pub instance: InstanceName,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Since when; none for a team of the bot's own process.
    pub since: Option<Timestamp>,
    /// It counts no more.
    pub revoked: bool,
}

/// How the link of a team stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct LinkState {
    /// Which team.
    pub instance: InstanceName,
    /// Where its bot is; none for the one in the same process.
    pub url: Option<String>,
    /// What is known.
    pub state: qd_uplink::State,
}

/// The routes.
pub fn routes(desk: Desk) -> Router {
    Router::new()
        .route("/fleet/instances", get(list))
        .route("/fleet/instances/{name}/invite", post(invite))
        .route("/fleet/instances/{name}/revoke", post(revoke))
        .route("/fleet/instances/{name}/rotate", post(rotate))
        .route("/fleet/keys/rotate", post(rotate_own))
        .route("/fleet/links", get(links))
        .with_state(desk)
}

fn live(desk: &Desk) -> Result<Arc<Live>, ProblemResponse> {
    let gone = || no("unavailable", 503, "The fleet is starting.", Some("Try again in a moment."));
    desk.live.get().and_then(Weak::upgrade).ok_or_else(gone)
}

fn no_bot() -> ProblemResponse {
    let hint = "Give the command where the bot runs: quarterdeck up, or quarterdeck bot.";
    no("refused", 409, "No bot runs here.", Some(hint))
}

/// What the hub refused is a no with its reason; all else is ours.
fn not_done(error: &HubError) -> ProblemResponse {
    match error {
        HubError::Refused(detail) => no("refused", 409, detail, None),
        error => failed(error),
    }
}

fn failed(error: &HubError) -> ProblemResponse {
    tracing::error!(%error, "instances could not be read or changed");
    no("internal", 500, "Instances could not be read or changed.", Some("The fleet's log says why."))
}

/// How many people have to say so, the caller among them; a no if policy says no, or they did not prove who they are.
async fn permitted(
    desk: &Desk,
    live: &Live,
    caller: &Caller,
    verb: Verb,
) -> Result<(u32, bool), ProblemResponse> {
    if !caller.is_proven() {
        let hint = "Give your passphrase: quarterdeck asks for it.";
        return Err(no(
            "unproven",
            403,
            "A change of who belongs to the fleet needs proof of who you are.",
            Some(hint),
        ));
    }
    let request = Request::new(Principal::Person(caller.person.clone()), verb, Resource::Fleet);
    let refusal = match live.policies().permit(&request) {
        Ok(()) => return Ok((1, false)),
        Err(refusal) => refusal,
    };
    let Ruling::Ask(ask) = &refusal.decision.ruling else {
        return Err(no("forbidden", 403, &refusal.reason, Some(&refusal.help)));
    };
    let asked = &ask.requirement;
    if !asked.roles.iter().any(|role| caller.person.roles.contains(role)) {
        let roles: Vec<&str> = asked.roles.iter().map(|role| role.as_str()).collect();
        let detail = format!("{} has to say so, and {} is none.", roles.join(" or "), caller.person.id);
        return Err(no("forbidden", 403, &detail, Some("Ask one: quarterdeck person list shows them.")));
    }
    // Where the fleet has one owner, that one is enough: it could never have a second otherwise.
    let owners = desk.roster.owners().await.map_err(|error| {
        tracing::error!(%error, "owners can't be counted");
        no("unavailable", 503, "Who owns the fleet can't be looked up.", Some("The fleet's log says why."))
    })?;
    Ok(if owners <= 1 { (1, asked.count > 1) } else { (asked.count.max(1), false) })
}

async fn invite(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<InstanceName>,
) -> Answer<Invitation> {
    let live = live(&desk)?;
    let bot = live.bot().ok_or_else(no_bot)?;
    let (needed, alone) = permitted(&desk, &live, &caller, Verb::EnrolmentAccept).await?;
    let urls = bot.urls().to_vec();
    if urls.is_empty() {
        let hint = "Set hub.listen, like 0.0.0.0:7718, or hub.nats, and start the bot again.";
        return Err(no("refused", 409, "The bot does not hear teams on other computers.", Some(hint)));
    }
    match bot.hub.invite(&name, &caller.person.id, needed).await {
        Ok(Invited::Token { secret, until }) => {
            let token = bot.gate.token(name, secret).to_string();
            let alone = alone.then(|| "One owner was enough: there is no other.".to_owned());
            Ok(Json(Invitation::Token { token, urls, until, alone }))
        }
        Ok(Invited::Waits { said }) => {
            let said: Vec<String> = said.iter().map(ToString::to_string).collect();
            let text = format!(
                "Not yet: {needed} people decide whether {name} joins, and {} said yes. Another one gives the same command \
                 within a day, and gets the token.",
                said.join(", ")
            );
            Ok(Json(Invitation::Waits { text }))
        }
        Err(error) => Err(not_done(&error)),
    }
}

async fn revoke(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<InstanceName>,
) -> Answer<Said> {
    let live = live(&desk)?;
    let bot = live.bot().ok_or_else(no_bot)?;
    may_change_keys(&desk, &live, &caller).await?;
    let keys = bot.hub.revoke(&name, &caller.person.id).await.map_err(|error| failed(&error))?;
    let text = match keys {
        0 => format!("{name} had no key that counted; a token that was made for it works no more."),
        1 => format!("{name} is out of the fleet: its key counts no more."),
        keys => format!("{name} is out of the fleet: its {keys} keys count no more."),
    };
    Ok(Json(Said { text }))
}

/// The bot takes other keys.
async fn rotate_own(State(desk): State<Desk>, Extension(caller): Extension<Caller>) -> Answer<Said> {
    let live = live(&desk)?;
    let bot = live.bot().ok_or_else(no_bot)?;
    may_change_keys(&desk, &live, &caller).await?;
    match bot.gate.rotate_own(&caller.person.id).await {
        Ok(Rotated { key, told }) => {
            let told: Vec<&str> = told.iter().map(InstanceName::as_str).collect();
            let told = if told.is_empty() { "no team".to_owned() } else { told.join(", ") };
            Ok(Json(Said {
                text: format!(
                    "The bot has another key: {key}\nIt is told to {told}. The one of before counts beside it until the next \
                     change. A token that was printed before works no more."
                ),
            }))
        }
        Err(error) => Err(not_done(&error)),
    }
}

/// A team is to take another key.
async fn rotate(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<InstanceName>,
) -> Answer<Said> {
    let live = live(&desk)?;
    let bot = live.bot().ok_or_else(no_bot)?;
    may_change_keys(&desk, &live, &caller).await?;
    match bot.hub.order_rotation(&name, &caller.person.id).await {
        Ok(()) => {
            let text = format!(
                "{name} is to take another key. The one of before counts beside it until the next change. quarterdeck bot \
                 instances shows it once it is there."
            );
            Ok(Json(Said { text }))
        }
        Err(error) => Err(not_done(&error)),
    }
}

/// Whoever may put a team out may have keys changed.
async fn may_change_keys(desk: &Desk, live: &Live, caller: &Caller) -> Result<(), ProblemResponse> {
    let (needed, _) = permitted(desk, live, caller, Verb::EnrolmentRevoke).await?;
    if needed > 1 {
        return Err(no("forbidden", 403, "People have to agree first.", Some("An owner may do it at once.")));
    }
    Ok(())
}

async fn list(State(desk): State<Desk>) -> Answer<Vec<InstanceKey>> {
    let live = live(&desk)?;
    let bot = live.bot().ok_or_else(no_bot)?;
    let keys = bot.hub.enrolled().await.map_err(|error| failed(&error))?;
    let key = |key: qd_hub::Enrolled| InstanceKey {
        instance: key.instance,
        fingerprint: fingerprint(&key.signing),
        since: key.sealing.map(|_| key.since),
        revoked: key.revoked,
    };
    Ok(Json(keys.into_iter().map(key).collect()))
}

async fn links(State(desk): State<Desk>) -> Answer<Vec<LinkState>> {
    Ok(Json(live(&desk)?.links()))
}
