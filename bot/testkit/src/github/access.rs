//! Who asks, and what they may. <https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps>

use super::{
    repo::Actor,
    routes::Refusal,
    world::{Holder, Level, Permissions, Token, World},
};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    /// Nobody in particular.
    Nobody,
    /// An App, by a token that it signed.
    App(u64),
    /// An installation, by a token that it was given.
    Installation { id: u64, app: u64, token: String },
    /// A person, by a fine-grained token.
    Person { login: String, token: String },
}

/// What a route wants of who asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Needs {
    /// Nothing.
    Nobody,
    /// An App itself.
    App,
    /// A token of an installation.
    Installation,
    /// Any token.
    Anyone,
    /// One of these permissions, on the repository.
    Repo(&'static [(&'static str, Level)]),
}

impl World {
    /// Who a header names. <https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api>
    pub(super) fn caller(&self, authorization: Option<&str>) -> Result<Caller, Refusal> {
        let Some(header) = authorization else { return Ok(Caller::Nobody) };
        let (scheme, token) = header.split_once(' ').unwrap_or(("", header));
        if !matches!(scheme.to_lowercase().as_str(), "bearer" | "token") {
            return Err(Refusal::bad_credentials());
        }
        if token.matches('.').count() == 2 {
            return self.app_of(token).map(Caller::App);
        }
        self.holder(token)
    }

    fn app_of(&self, token: &str) -> Result<u64, Refusal> {
        let now = self.now().as_second();
        let mut wrong = "A JSON web token could not be decoded";
        for app in self.apps.values() {
            let Some(key) = &app.key else { continue };
            match key.verify(token, now) {
                Ok(issuer) if issuer == app.id.to_string() || issuer == app.client_id => return Ok(app.id),
                Ok(_) => return Err(Refusal::said(404, "Integration not found")),
                // A token of another App's key is not readable with this one.
                Err(said) if said.starts_with('\'') => wrong = said,
                Err(_) => {}
            }
        }
        Err(Refusal::said(401, wrong))
    }

    /// Who holds a token.
    pub(super) fn holder(&self, token: &str) -> Result<Caller, Refusal> {
        let known = self.tokens.get(token).filter(|it| !it.revoked);
        let known = known.filter(|it| it.expires.is_none_or(|end| self.now() < end));
        match known.map(|it| &it.of) {
            None => Err(Refusal::bad_credentials()),
            Some(Holder::Person(login)) => {
                Ok(Caller::Person { login: login.clone(), token: token.to_owned() })
            }
            Some(Holder::Installation(id)) => {
                let Some(it) = self.installations.get(id) else { return Err(Refusal::bad_credentials()) };
                if it.suspended.is_some() {
                    return Err(Refusal::said(403, "This installation has been suspended"));
                }
                Ok(Caller::Installation { id: *id, app: it.app, token: token.to_owned() })
            }
        }
    }

    /// Whether a route's needs are met; on a repository, also whether it is seen at all.
    pub(super) fn admit(&self, caller: &Caller, needs: Needs, repo: Option<u64>) -> Result<(), Refusal> {
        match (needs, caller) {
            (Needs::Nobody, _) | (Needs::App, Caller::App(_)) => Ok(()),
            (Needs::App, _) => Err(Refusal::said(401, "A JSON web token could not be decoded")),
            (_, Caller::Nobody) => Err(Refusal::said(401, "Requires authentication")),
            (Needs::Installation, Caller::Installation { .. }) => Ok(()),
            (Needs::Installation, _) => Err(Refusal::said(
                403,
                "You must authenticate with an installation access token in order to list repositories for an \
                 installation.",
            )),
            // <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/authenticating-as-a-github-app>
            (Needs::Anyone | Needs::Repo(_), Caller::App(_)) => {
                Err(Refusal::said(403, "Resource not accessible by integration"))
            }
            (Needs::Anyone, _) => Ok(()),
            (Needs::Repo(any), _) => {
                let repo = repo.ok_or_else(Refusal::not_found)?;
                let mut refused = Refusal::not_found();
                for (name, level) in any {
                    match self.may(caller, repo, name, *level) {
                        Ok(()) => return Ok(()),
                        Err(refusal) => refused = refusal,
                    }
                }
                Err(refused)
            }
        }
    }

    /// Whether somebody has a permission on a repository. What is not seen is not there; what is seen and may not be
    /// done is forbidden. <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#404-not-found-for-an-existing-resource>
    pub(super) fn may(&self, caller: &Caller, repo: u64, name: &str, level: Level) -> Result<(), Refusal> {
        let held = self.repo(repo);
        let public = !held.private;
        let (reaches, permissions, words) = match caller {
            Caller::Nobody | Caller::App(_) => {
                (false, Permissions::new(), "Must have admin rights to Repository.")
            }
            Caller::Installation { id, token, .. } => {
                let it = self.installations.get(id).ok_or_else(Refusal::bad_credentials)?;
                let token = self.tokens.get(token).ok_or_else(Refusal::bad_credentials)?;
                let has = it.account.eq_ignore_ascii_case(&held.owner)
                    && it.repositories.as_ref().is_none_or(|known| known.contains(&repo))
                    && token.repositories.as_ref().is_none_or(|known| known.contains(&repo));
                (has, token.permissions.clone(), "Resource not accessible by integration")
            }
            Caller::Person { login, token } => {
                let token = self.tokens.get(token).ok_or_else(Refusal::bad_credentials)?;
                let role = held.role(login);
                let has =
                    role.is_some() && token.repositories.as_ref().is_none_or(|known| known.contains(&repo));
                let enough = match level {
                    Level::Read => true,
                    Level::Write => role.is_some_and(|role| role >= super::Role::Write),
                    Level::Admin => role.is_some_and(|role| role >= super::Role::Admin),
                };
                let permissions = if enough { token.permissions.clone() } else { Permissions::new() };
                (has, permissions, "Resource not accessible by personal access token")
            }
        };
        if reaches && Self::holds(&permissions, name, level) {
            return if held.archived && level > Level::Read {
                Err(Refusal::said(403, "Repository was archived so is read-only."))
            } else {
                Ok(())
            };
        }
        match (reaches || public, level) {
            // What is public is read by everybody; settings are not.
            (_, Level::Read) if public && name != "administration" && name != "secrets" => Ok(()),
            (true, _) => Err(Refusal::said(403, words)),
            (false, _) => Err(Refusal::not_found()),
        }
    }

    /// Whose deed a request is.
    pub(super) fn actor_of(&self, caller: &Caller) -> Actor {
        match caller {
            Caller::App(app) | Caller::Installation { app, .. } => Actor::App(*app),
            Caller::Person { login, .. } => Actor::Person(login.clone()),
            Caller::Nobody => Actor::Person("ghost".to_owned()),
        }
    }

    /// Who a request counts for: every installation and every person has a limit of its own.
    pub(super) fn counted(caller: &Caller) -> String {
        match caller {
            Caller::Nobody => "nobody".to_owned(),
            Caller::App(app) => format!("app {app}"),
            Caller::Installation { id, .. } => format!("installation {id}"),
            Caller::Person { login, .. } => format!("person {login}"),
        }
    }

    /// A token for an installation, with no more than was asked for and is had.
    /// <https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app>
    pub(super) fn installation_token(
        &mut self,
        id: u64,
        repositories: Option<std::collections::BTreeSet<u64>>,
        permissions: Permissions,
    ) -> (String, jiff::Timestamp) {
        let expires = self.now() + jiff::SignedDuration::from_hours(1);
        let token = Token {
            of: Holder::Installation(id),
            repositories,
            permissions,
            expires: Some(expires),
            revoked: false,
        };
        (self.add_token("ghs", token), expires)
    }
}
