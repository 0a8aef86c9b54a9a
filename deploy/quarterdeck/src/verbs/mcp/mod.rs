//! `mcp`: tool servers for coding agents. Used alone here: one client, this person, the guard in this process. The agents of
//! runs have the fleet's, through a shim.

pub(crate) mod alone;
mod following;
mod foreign;
mod ledgers;
mod listening;
mod scan;
mod servers;
mod shim;
mod trust;

use qd_people::TokenKind;

use super::{Done, fleet_post, proof};
use crate::{
    cli::{Common, McpVerb, Who},
    context::{self, UserError},
    people::{
        Roster, lends_to_services,
        routes::{PROGRAM, lasts},
        words::{NewToken, Session},
    },
    say,
};

pub(crate) use alone::folder as folder_of_tools;
pub(super) use ledgers::Ledgers;
pub(super) use servers::alone_with;
pub(crate) use servers::known_tools;
pub(crate) use shim::RUN_TOKEN;

pub(super) async fn mcp(common: &Common, verb: McpVerb) -> Done {
    match verb {
        McpVerb::Board(asked) => Box::pin(servers::serve(common, qd_mcp_board::NAME, asked)).await,
        McpVerb::Discord(asked) => Box::pin(servers::serve(common, "discord", asked)).await,
        McpVerb::Docker(asked) => Box::pin(servers::serve(common, "docker", asked)).await,
        McpVerb::Github(asked) => Box::pin(servers::serve(common, "github", asked)).await,
        McpVerb::Proxmox { cluster, asked } => {
            let name = cluster.map_or_else(|| "proxmox".to_owned(), |cluster| format!("proxmox-{cluster}"));
            Box::pin(servers::serve(common, &name, asked)).await
        }
        McpVerb::Trust(asked) => Box::pin(trust::trust(common, asked)).await,
        McpVerb::List => servers::list(common),
        McpVerb::Token { days, service, who } => token(common, days, service, &who).await,
        McpVerb::Guard(asked) => Box::pin(foreign::foreign(common, *asked)).await,
        McpVerb::Shim { name, socket } => shim::shim(&name, &socket).await,
        McpVerb::Scan { file, write } => scan::scan(common, file, write),
    }
}

/// A word as a shell takes it.
fn shell_word(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Makes a token, at the fleet that runs, or in the file of one that does not.
async fn token(common: &Common, days: u16, service: Option<String>, who: &Who) -> Done {
    let loaded = context::load(&context::sources(common)?)?;
    if let Some(name) = service.as_ref().filter(|name| !loaded.config.mcp.services.contains(name)) {
        let text = format!("there is no service account {name}: name it in `services` of [mcp]");
        return Err(UserError::usage(text));
    }
    let (person, file) = (who.person.as_ref(), who.passphrase_file.as_deref());
    let made = if proof::nothing_runs(&loaded).await {
        let person = proof::alone(common, person, file).await?;
        let roster =
            Roster::beside(&loaded.state_dir).await.map_err(|error| UserError::from_error(&error))?;
        let made = match service {
            None => roster.make_token(&person, TokenKind::Token, PROGRAM, lasts(days)).await,
            Some(name) => {
                let known = roster.find(&person).await.map_err(|error| UserError::from_error(&error))?;
                if !known.is_some_and(|profile| lends_to_services(&profile.person(&[]))) {
                    return Err(UserError::failed(format!(
                        "{person} is neither owner nor manager: one of these makes the tokens of service accounts"
                    )));
                }
                roster.make_service_token(&person, name, PROGRAM, lasts(days)).await
            }
        };
        made.map_err(|error| UserError::from_error(&error))?
    } else {
        let proven = proof::prove(common, person, file).await?;
        let made =
            fleet_post(&mut proven.fleet().await?, "/fleet/people/token", &NewToken { days, service }).await;
        proven.end().await;
        let Session { token } = made?;
        token
    };
    say::note("It is shown once. Give it to your coding agent's server as QUARTERDECK_TOKEN.");
    say::line(&made);
    Ok(())
}
