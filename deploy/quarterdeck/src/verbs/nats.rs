//! What whoever keeps a NATS server needs for a fleet: its users, with the keys by which the server knows them and what each may
//! do. And whether the bot gets on with that server.

use qd_config::Loaded;
use qd_nats::{Names, NatsError, UserKey, bot_user, instance_user, probe};
use qd_types::InstanceName;

use super::{Done, link::id};
use crate::{
    cli::Common,
    context::{self, UserError},
    fleet::{self, bot_folder, team_folder},
    say,
};

/// Prints a user for the server's configuration: a team's with the key that was printed there, or the bot's own.
pub(super) fn user(common: &Common, team: Option<(&InstanceName, &str)>) -> Done {
    let loaded = context::load(&context::sources(common)?)?;
    let failed = |error: NatsError| UserError::from_error(&error);
    let names = Names::new(&loaded.config.fleet.name).map_err(failed)?;
    let (name, nkey, user) = match team {
        Some((_, nkey)) if !UserKey::is_public(nkey) => {
            return Err(UserError::usage(format!(
                "{nkey:?} is no public key of a NATS user, which begins with U: print it with quarterdeck instance nats-key"
            )));
        }
        Some((team, nkey)) => (team.as_str(), nkey.to_owned(), instance_user(&names, team, nkey)),
        None => {
            let key = qd_uplink::nats_key(&bot_folder(&loaded.state_dir));
            let nkey = key.map_err(|error| UserError::from_error(&error))?.public().to_owned();
            let user = bot_user(&names, &nkey);
            ("bot", nkey, user)
        }
    };
    if common.json {
        say::json(&serde_json::json!({ "name": name, "nkey": nkey, "user": user }));
        return Ok(());
    }
    say::line(user.trim_end());
    say::note(
        "Put it into the list of users of the NATS server's configuration, and reload that: nats-server --signal reload",
    );
    Ok(())
}

/// Prints the public key by which a NATS server knows a team of this computer.
pub(super) fn key(common: &Common, name: &InstanceName) -> Done {
    let loaded = context::load(&context::sources(common)?)?;
    let key = qd_uplink::nats_key(&team_folder(&loaded.state_dir, id(&loaded, name)));
    let key = key.map_err(|error| UserError::from_error(&error))?;
    if common.json {
        say::json(&serde_json::json!({ "name": name, "nkey": key.public() }));
        return Ok(());
    }
    say::line(key.public());
    say::note(&format!("Where the bot runs: quarterdeck bot nats-user {name} {}", key.public()));
    Ok(())
}

/// How the bot gets on with the NATS server over which it hears teams; none if there is none.
pub(super) async fn standing(loaded: &Loaded) -> Option<Result<String, UserError>> {
    loaded.config.hub.nats.as_ref()?;
    if !bot_folder(&loaded.state_dir).join("nats.key").exists() {
        let text = "hub.nats names a NATS server, and the bot has no key for it yet. Print its user for the server's \
                    configuration with: quarterdeck bot nats-user";
        return Some(Err(UserError::failed(text)));
    }
    let server = match fleet::nats(&loaded.config, &loaded.state_dir) {
        Ok(server) => server?,
        Err(error) => return Some(Err(UserError::from_error(&error))),
    };
    Some(probe(&server).await.map_err(|error| UserError::from_error(&error)))
}
