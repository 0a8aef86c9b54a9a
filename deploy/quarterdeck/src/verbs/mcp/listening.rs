//! A server over HTTP, for whoever has a token: one of the fleet's own, or one of an issuer that people were linked to. It
//! listens on this computer only; TLS, and the network, are somebody else's in front of it.

use std::sync::Arc;

use async_trait::async_trait;
use qd_guard::{
    Caller, Guard, StoreError, Who,
    http::{self, Tokens},
    issuer::{Issuer, Links, Stranger},
    reach::SystemNames,
};
use qd_people::{Identity, Profile, SignedIn, TokenKind};
use qd_types::InstanceName;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::Listening,
    context::UserError,
    people::{Roster, lends_to_services, person_at},
    say,
};

/// What a client may ask an issuer for.
const SCOPE: &str = "tools";

/// People, by what they show. Looked up at every request: whoever is shut out is out.
#[derive(Clone)]
struct Known {
    roster: Roster,
    team: InstanceName,
}

impl Known {
    /// A person, or a service account on their behalf; `None` if that is nobody whom service accounts act for.
    fn caller(&self, profile: &Profile, service: Option<String>) -> Option<Caller> {
        let team = self.team.clone();
        let person = person_at(profile, &format!("/teams/{team}"));
        let who = match service {
            None => Who::Person { person, team },
            Some(name) if lends_to_services(&person) => {
                Who::Service { team, name, on_behalf: vec![person.id] }
            }
            Some(_) => return None,
        };
        Some(Caller::new(who))
    }
}

fn unread(error: &qd_people::PeopleError) -> StoreError {
    StoreError { doing: "Looking up people", problem: error.to_string() }
}

#[async_trait]
impl Tokens for Known {
    async fn caller(&self, token: Option<&str>) -> Result<Option<Caller>, StoreError> {
        let Some(token) = token else { return Ok(None) };
        let found = self.roster.by_token(token).await.map_err(|error| unread(&error))?;
        // A session is for pages: it may vote, and is no program's.
        let found = found.filter(|signed_in| signed_in.kind == TokenKind::Token);
        Ok(found.and_then(|SignedIn { profile, service, .. }| self.caller(&profile, service)))
    }
}

#[async_trait]
impl Links for Known {
    async fn caller(&self, stranger: &Stranger) -> Result<Option<Caller>, StoreError> {
        let Stranger { issuer, subject } = stranger.clone();
        let found = self.roster.by_identity(Identity::Oidc { issuer, subject }).await;
        let found = found.map_err(|error| unread(&error))?;
        Ok(found.and_then(|profile| Known::caller(self, &profile, None)))
    }
}

/// Ours, and those of an issuer: these have three parts.
struct Either {
    own: Known,
    issuer: Option<Issuer>,
}

#[async_trait]
impl Tokens for Either {
    async fn caller(&self, token: Option<&str>) -> Result<Option<Caller>, StoreError> {
        match (&self.issuer, token) {
            (Some(issuer), Some(token)) if token.contains('.') => issuer.caller(Some(token)).await,
            _ => Tokens::caller(&self.own, token).await,
        }
    }
}

/// Serves until it is interrupted. `private` lets the issuer be one of this computer's own networks.
pub(super) async fn serve(
    asked: &Listening,
    private: bool,
    guard: Guard,
    roster: Roster,
    team: InstanceName,
) -> Result<(), UserError> {
    let Some(at) = asked.listen else {
        return Err(UserError::usage("say where to listen: --listen ADDRESS"));
    };
    if !at.ip().is_loopback() {
        return Err(UserError::usage(format!(
            "{at} is not of this computer alone: listen on 127.0.0.1, and let what speaks TLS for you lead there"
        )));
    }
    let own = Known { roster, team };
    let mut settings = http::Settings::default();
    let issuer = match (&asked.issuer, &asked.resource) {
        (Some(issuer), Some(resource)) => {
            let links = Arc::new(own.clone());
            let found = Issuer::discover(issuer, resource, private, &SystemNames, links).await;
            let issuer = found.map_err(|error| UserError::from_error(&error))?;
            settings.protected = Some(issuer.protected(vec![SCOPE.to_owned()]));
            Some(issuer)
        }
        _ => None,
    };
    if let Some(resource) = &asked.resource {
        let uri: hyper::Uri = resource.parse().map_err(|error| {
            UserError::usage(format!("{resource} is no address: {error}. Take https://host/path"))
        })?;
        let host = uri.host().ok_or_else(|| UserError::usage(format!("{resource} has no host")))?;
        settings.hosts.push(host.to_owned());
    }
    let listener = TcpListener::bind(at)
        .await
        .map_err(|error| UserError::failed(format!("{at} can't be listened at: {error}")))?;
    let at = listener.local_addr().map_err(|error| UserError::from_error(&error))?;
    say::line(&format!("http://{at}/mcp"));
    let stop = CancellationToken::new();
    let serving = http::serve(listener, guard, Arc::new(Either { own, issuer }), settings, stop.clone());
    tokio::select! {
        () = serving => {}
        stopped = tokio::signal::ctrl_c() => {
            stop.cancel();
            stopped.map_err(|error| UserError::from_error(&error))?;
        }
    }
    Ok(())
}
