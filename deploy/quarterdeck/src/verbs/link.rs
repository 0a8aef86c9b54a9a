//! `bot` and `instance`: one role alone, and how teams on other computers belong to a bot.

use std::path::Path;

use hyper::Method;
use qd_types::InstanceName;
use qd_uplink::{Joined, Link};
use qd_wire::call::Token;

use super::{Done, discord, explain, fleet_answer, fleet_client, fleet_post, github, nats, proof, up};
use crate::{
    cli::{Bot, BotVerb, Common, DiscordVerb, GithubVerb, Instance, InstanceVerb, Who},
    context::{self, UserError},
    enrolment::{InstanceKey, Invitation, LinkState},
    fleet::team_folder,
    people::words::Said,
    say,
};

/// Clocks that are further apart than this are worth a word, in milliseconds.
pub(super) const APART: i64 = 5_000;

pub(super) async fn bot(common: &Common, asked: Bot) -> Done {
    match asked.verb {
        None => up::bot(common).await,
        Some(BotVerb::Invite { name, who }) => invite(common, &name, &who).await,
        Some(BotVerb::Revoke { name, who }) => {
            told(common, &who, &format!("/fleet/instances/{name}/revoke")).await
        }
        Some(BotVerb::Rotate { name: None, who }) => told(common, &who, "/fleet/keys/rotate").await,
        Some(BotVerb::Rotate { name: Some(name), who }) => {
            told(common, &who, &format!("/fleet/instances/{name}/rotate")).await
        }
        Some(BotVerb::Instances) => instances(common).await,
        Some(BotVerb::NatsUser { name, nkey }) => nats::user(common, name.as_ref().zip(nkey.as_deref())),
        Some(BotVerb::Discord(DiscordVerb::Setup(flags))) => Box::pin(discord::setup(common, flags)).await,
        Some(BotVerb::Github(GithubVerb::Setup(flags))) => Box::pin(github::setup(common, flags)).await,
    }
}

pub(super) async fn instance(common: &Common, asked: Instance) -> Done {
    match (asked.verb, asked.name) {
        (Some(InstanceVerb::Join { url, ca, token }), _) => join(common, &url, ca.as_deref(), &token).await,
        (Some(InstanceVerb::Rotate { name }), _) => rotate(common, &name).await,
        (Some(InstanceVerb::NatsKey { name }), _) => nats::key(common, &name),
        (Some(InstanceVerb::Status { name }), _) => status(common, &name).await,
        (None, Some(name)) => up::instance(common, name).await,
        (None, None) => Err(UserError::usage("say which team: quarterdeck instance NAME")),
    }
}

/// Asks the fleet as somebody who gave their passphrase.
pub(super) async fn proven<T: serde::de::DeserializeOwned>(
    common: &Common,
    who: &Who,
    path: &str,
) -> Result<T, UserError> {
    let proven = proof::prove(common, who.person.as_ref(), who.passphrase_file.as_deref()).await?;
    let mut client = proven.fleet().await?;
    let answer = fleet_post(&mut client, path, &()).await;
    proven.end().await;
    answer
}

/// The same, and shows what the fleet says.
async fn told(common: &Common, who: &Who, path: &str) -> Done {
    let said: Said = proven(common, who, path).await?;
    if common.json {
        say::json(&said);
    } else {
        say::line(&said.text);
    }
    Ok(())
}

async fn invite(common: &Common, name: &InstanceName, who: &Who) -> Done {
    let invitation: Invitation = proven(common, who, &format!("/fleet/instances/{name}/invite")).await?;
    if common.json {
        say::json(&invitation);
        return Ok(());
    }
    match invitation {
        Invitation::Waits { text } => say::line(&text),
        Invitation::Token { token, urls, until, alone } => {
            let until = until.strftime("%H:%M UTC");
            say::line(&format!("{name} may join once, until {until}. On its computer:"));
            let join = |url: &String| format!("quarterdeck instance join {url} {token}");
            say::line(&urls.iter().map(join).collect::<Vec<_>>().join("\nor\n"));
            if let Some(alone) = alone {
                say::line(&alone);
            }
        }
    }
    Ok(())
}

async fn instances(common: &Common) -> Done {
    let loaded = context::load(&context::sources(common)?)?;
    let mut client = fleet_client(&loaded, None).await?;
    let answer = client.send(Method::GET, "/fleet/instances", Vec::new()).await.map_err(explain)?;
    let keys: Vec<InstanceKey> = fleet_answer(answer)?;
    if common.json {
        say::json(&keys);
        return Ok(());
    }
    for InstanceKey { instance, fingerprint, since, revoked } in keys {
        let how = match (revoked, since) {
            (true, _) => "revoked".to_owned(),
            (false, Some(since)) => format!("joined {}", since.strftime("%Y-%m-%d %H:%M UTC")),
            (false, None) => "beside the bot".to_owned(),
        };
        say::line(&format!("{instance:<16} {fingerprint}  {how}"));
    }
    Ok(())
}

async fn join(common: &Common, url: &str, ca: Option<&Path>, token: &Token) -> Done {
    let loaded = context::load(&context::sources(common)?)?;
    let folder = team_folder(&loaded.state_dir, &token.instance);
    let joined = qd_uplink::join(url, ca, token, &folder).await;
    let joined = joined.map_err(|error| UserError::from_error(&error))?;
    let Joined { fleet, instance, bot } = &joined;
    let name = &token.instance;
    if common.json {
        say::json(&serde_json::json!({ "fleet": fleet, "instance": name, "key": instance, "bot": bot }));
        return Ok(());
    }
    say::line(&format!("{name} belongs to the fleet {fleet} now."));
    say::line(&format!("Its key:    {instance}"));
    say::line(&format!("The bot's:  {bot}"));
    say::line("Where the bot runs, quarterdeck bot instances shows the same.");
    for (open, closed) in
        [("http://", "let https:// stand before the bot"), ("nats://", "give the server tls")]
    {
        if url.starts_with(open) {
            say::note(&format!("What travels over {open} is signed, and can be read on the way: {closed}."));
        }
    }
    say::line(&format!("Start it with: quarterdeck instance {name}"));
    Ok(())
}

async fn rotate(common: &Common, name: &InstanceName) -> Done {
    let loaded = context::load(&context::sources(common)?)?;
    let folder = team_folder(&loaded.state_dir, id(&loaded, name));
    let joined = qd_uplink::rotate(&folder).await.map_err(|error| UserError::from_error(&error))?;
    if common.json {
        say::json(&serde_json::json!({ "instance": name, "key": joined.instance }));
        return Ok(());
    }
    say::line(&format!("{name} has another key: {}", joined.instance));
    say::line(
        "The one of before counts beside it until the next change. A team that runs takes the new one when it starts again.",
    );
    Ok(())
}

async fn status(common: &Common, name: &InstanceName) -> Done {
    let loaded = context::load(&context::sources(common)?)?;
    let id = id(&loaded, name);
    match link(&loaded, id).await? {
        Some(link) if common.json => say::json(&link),
        Some(link) => say::line(&words(&link)),
        None => {
            let joined = Link::read(&team_folder(&loaded.state_dir, id));
            let joined = joined.map_err(|error| UserError::from_error(&error))?;
            return Err(UserError::failed(match joined {
                Some(link) => format!("{name} does not run. It belongs to the bot at {}.", link.url),
                None => format!("{name} does not run, and has not joined a bot."),
            }));
        }
    }
    Ok(())
}

/// What a team is known by, whatever it is called now.
pub(super) fn id<'a>(loaded: &'a qd_config::Loaded, name: &'a InstanceName) -> &'a InstanceName {
    loaded.config.teams.iter().find(|team| team.name == *name).map_or(name, qd_config::Team::id)
}

/// How the link of a team that runs stands; none if it does not run, or has no bot.
pub(super) async fn link(
    loaded: &qd_config::Loaded,
    id: &InstanceName,
) -> Result<Option<LinkState>, UserError> {
    let socket = team_folder(&loaded.state_dir, id).join("api.sock");
    let mut client = qd_api::Client::new(qd_api::Target::Socket(socket), id.as_str(), None);
    let answer = match client.send(Method::GET, "/fleet/links", Vec::new()).await {
        Ok(answer) => answer,
        Err(qd_api::ClientError::NotRunning { .. }) => return Ok(None),
        Err(error) => return Err(explain(error)),
    };
    let links: Vec<LinkState> = fleet_answer(answer)?;
    Ok(links.into_iter().find(|link| link.instance == *id))
}

/// How a link stands, in one line.
pub(super) fn words(link: &LinkState) -> String {
    let LinkState { instance, url, state } = link;
    let bot = url
        .as_ref()
        .map_or_else(|| "the bot in its own process".to_owned(), |url| format!("the bot at {url}"));
    let clock = match state.ahead_ms {
        0 => "its clock shows the same".to_owned(),
        ahead => {
            let way = if ahead > 0 { "ahead" } else { "behind" };
            let (apart, exact) = (ahead.unsigned_abs(), state.round_trip_ms.div_ceil(2));
            format!("its clock is {apart} ms {way}, give or take {exact} ms")
        }
    };
    match (state.heard, &state.trouble) {
        (_, Some(trouble)) => format!("{instance}: {bot} can't be reached: {trouble}"),
        (None, None) => format!("{instance}: {bot} was not heard yet"),
        (Some(heard), None) => {
            let heard = heard.strftime("%Y-%m-%d %H:%M:%S UTC");
            format!("{instance}: {bot} was heard last at {heard}, {clock}")
        }
    }
}
