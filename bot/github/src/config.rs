//! Where GitHub is, with which App or token, and which repository is which. The one place that maps the fleet's names
//! to GitHub's.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr};

use qd_types::RepositoryName;

use crate::Login;

/// GitHub's own API.
pub const API: &str = "https://api.github.com";

/// Content that may be made in a minute, where nothing else is said: GitHub asks for a second between two requests that
/// change something, and stops 80 a minute (docs.github.com, "Best practices for using the REST API" and "Rate limits for the
/// REST API").
pub const WRITES_PER_MINUTE: u32 = 60;

/// A repository on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    owner: String,
    name: String,
}

/// What is no repository's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not `owner/name`.
    #[error("{0:?} is no repository of GitHub's: write owner/name, like acme/widget")]
    Place(String),
    /// Not an address.
    #[error(
        "{0:?} is no address of an API: write https://api.github.com, or that of an own server, https://HOST/api/v3"
    )]
    Api(String),
}

impl Place {
    /// Whose it is.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// What it is called there.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl FromStr for Place {
    type Err = ConfigError;

    /// What both parts may hold: letters, digits, `-`, `_` and `.` (docs.github.com, "About repositories").
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::Place(text.to_owned());
        let good = |part: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !part.is_empty() && part.len() <= 100 && part.chars().all(plain) && part != "." && part != ".."
        };
        let (owner, name) = text.split_once('/').ok_or_else(wrong)?;
        if !good(owner) || !good(name) {
            return Err(wrong());
        }
        Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
    }
}

/// How GitHub is used.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address of the REST API, without a `/` at its end: `https://api.github.com`, `https://HOST/api/v3`.
    pub api: String,
    /// Where repositories are cloned from; without it, what belongs to the API's address.
    pub git: Option<String>,
    /// As what it is used.
    pub login: Login,
    /// Which repository of the fleet is which.
    pub repositories: BTreeMap<RepositoryName, Place>,
    /// Folder for git's objects.
    pub mirrors: PathBuf,
    /// Whether repositories are used whose target anybody with a push token could move.
    pub allow_unprotected: bool,
    /// Requests that change something, in a minute.
    pub writes_per_minute: u32,
}

/// What the addresses of one GitHub are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Scheme and host of the API.
    pub origin: String,
    /// What stands before each path of the REST API: nothing, or `/api/v3`.
    pub rest: String,
    /// The path of GraphQL.
    pub graphql: String,
    /// Where repositories are cloned from, without a `/` at its end.
    pub git: String,
}

impl Addresses {
    /// By the address of the REST API. An own server has it below `/api/v3` and GraphQL at `/api/graphql`
    /// (docs.github.com/enterprise-server, "About the GraphQL API"); elsewhere it has a host of its own, `api.` before that
    /// of the pages.
    pub fn of(api: &str, git: Option<&str>) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::Api(api.to_owned());
        let (scheme, rest) = api.split_once("://").ok_or_else(wrong)?;
        if !matches!(scheme, "http" | "https") || rest.is_empty() {
            return Err(wrong());
        }
        let (host, path) = match rest.trim_end_matches('/').split_once('/') {
            Some((host, path)) => (host, format!("/{path}")),
            None => (rest.trim_end_matches('/'), String::new()),
        };
        if host.is_empty() || host.contains(['@', '?', '#', ' ']) || path.contains(['?', '#', ' ']) {
            return Err(wrong());
        }
        let graphql = match path.strip_suffix("/v3") {
            Some(above) => format!("{above}/graphql"),
            None => format!("{path}/graphql"),
        };
        let pages = host.strip_prefix("api.").unwrap_or(host);
        let git =
            git.map_or_else(|| format!("{scheme}://{pages}"), |git| git.trim_end_matches('/').to_owned());
        Ok(Self { origin: format!("{scheme}://{host}"), rest: path, graphql, git })
    }

    /// Where a repository is cloned from and pushed to.
    pub fn remote(&self, place: &Place) -> String {
        format!("{}/{place}.git", self.git)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_github_of_an_own_server_or_of_a_test() {
        let of = |api| {
            let Addresses { origin, rest, graphql, git } = Addresses::of(api, None).unwrap();
            format!("{origin} {rest:?} {graphql} {git}")
        };
        assert_eq!(of(API), r#"https://api.github.com "" /graphql https://github.com"#);
        assert_eq!(
            of("https://git.example.org/api/v3"),
            r#"https://git.example.org "/api/v3" /api/graphql https://git.example.org"#
        );
        assert_eq!(
            of("https://api.acme.ghe.com/"),
            r#"https://api.acme.ghe.com "" /graphql https://acme.ghe.com"#
        );
        for bad in ["api.github.com", "ftp://x", "https://", "https://user@host", "https://h/a?b"] {
            assert!(Addresses::of(bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_place_is_an_owner_and_a_name() {
        let place: Place = "acme/widget.rs".parse().unwrap();
        assert_eq!((place.owner(), place.name()), ("acme", "widget.rs"));
        for bad in ["acme", "acme/", "/widget", "a/b/c", "a b/c", "a/..", "a/b?x"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
