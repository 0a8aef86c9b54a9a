//! One repository, and requests about it: with its token, minted anew once if GitHub takes it no more, and with errors in the
//! port's words.

use std::future::Future;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use qd_core::forge::ForgeError;
use qd_types::{CommitId, RepositoryName};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Inner;
use crate::{
    app::{Bearer, Scope},
    client::{CallError, Method},
    config::Place,
};

/// What stays as it is in a part of a path or a query (RFC 3986, unreserved characters).
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A branch keeps its slashes.
const BRANCH: &AsciiSet = &PART.remove(b'/');

/// Longest title of a pull request or an issue, in characters (GitHub's limit).
const MAX_TITLE: usize = 256;

/// Longest name of a label, in characters (GitHub's limit).
const MAX_LABEL: usize = 50;

/// A repository to ask about, for a purpose.
#[derive(Clone, Copy)]
pub(crate) struct Here<'a> {
    pub(crate) github: &'a Inner,
    pub(crate) repository: &'a RepositoryName,
    pub(crate) place: &'a Place,
    pub(crate) scope: Scope,
}

impl<'a> Here<'a> {
    /// The same, for another purpose.
    pub(crate) fn to(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/repos/{}{rest}", self.place)
    }

    /// Does it with a token; with another one if GitHub does not take the first.
    pub(crate) async fn with<T, F>(&self, call: impl Fn(Bearer) -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let tokens = &self.github.tokens;
        let minted = tokens.of(self.place, self.scope).await?;
        match call(minted.bearer).await {
            Err(CallError::Unauthorized(_)) => {
                tokens.forget(self.place, self.scope).await;
                call(tokens.of(self.place, self.scope).await?.bearer).await
            }
            done => done,
        }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, rest: &str) -> Result<T, CallError> {
        let (client, path) = (&self.github.client, &self.path(rest));
        self.with(|bearer| async move { client.get(&bearer, path).await }).await
    }

    pub(crate) async fn list<T: DeserializeOwned>(&self, rest: &str) -> Result<Vec<T>, CallError> {
        let (client, path) = (&self.github.client, &self.path(rest));
        self.with(|bearer| async move { client.list(&bearer, path).await }).await
    }

    /// A list within an answer that says more.
    pub(crate) async fn list_in<T: DeserializeOwned>(
        &self,
        rest: &str,
        name: &str,
    ) -> Result<Vec<T>, CallError> {
        let (client, path) = (&self.github.client, &self.path(rest));
        self.with(|bearer| async move { client.search(&bearer, path, Some(name), |_| false).await }).await
    }

    /// A list up to the entry that is looked for.
    pub(crate) async fn find<T: DeserializeOwned>(
        &self,
        rest: &str,
        is_it: impl Fn(&T) -> bool + Copy,
    ) -> Result<Option<T>, CallError> {
        let (client, path) = (&self.github.client, &self.path(rest));
        let read = self.with(|bearer| async move { client.search(&bearer, path, None, is_it).await }).await?;
        Ok(read.into_iter().find(|one| is_it(one)))
    }

    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        rest: &str,
        body: &Value,
    ) -> Result<T, CallError> {
        let (client, path) = (&self.github.client, &self.path(rest));
        self.with(|bearer| async move { client.change(&bearer, method, path, body).await }).await
    }

    pub(crate) async fn act(
        &self,
        method: Method,
        rest: &str,
        body: Option<&Value>,
    ) -> Result<(), CallError> {
        let (client, path) = (&self.github.client, &self.path(rest));
        self.with(|bearer| async move { client.act(&bearer, method, path, body).await }).await
    }

    pub(crate) async fn graphql<T: DeserializeOwned>(
        &self,
        document: &str,
        variables: &Value,
        writes: bool,
    ) -> Result<T, CallError> {
        let client = &self.github.client;
        self.with(|bearer| async move { client.graphql(&bearer, document, variables, writes).await }).await
    }

    /// Who writes here.
    pub(crate) async fn own_login(&self) -> Result<String, ForgeError> {
        let own = self.github.tokens.own().await;
        own.map(|own| own.login).map_err(|error| self.said(error, None))
    }

    /// The port's words for a refusal. `what` is what was asked for, if that can be missing: "pull request 7".
    pub(crate) fn said(&self, error: CallError, what: Option<&str>) -> ForgeError {
        match (error, what) {
            (CallError::NotFound(_), Some(what)) => self.missing(what),
            (error @ CallError::NotFound(_), None) => ForgeError::NotFound {
                what: format!("repository {} ({}): {error}", self.repository, self.place),
            },
            (error @ (CallError::Limited(_) | CallError::Unreachable(_)), _) => {
                ForgeError::NotNow { reason: error.to_string() }
            }
            (CallError::NoAnswer(reason), _) => ForgeError::Unavailable { reason },
            (error, Some(what)) => refused(format!("{what} of {}: {error}", self.repository)),
            (error, None) => refused(format!("{}: {error}", self.repository)),
        }
    }

    pub(crate) fn missing(&self, what: &str) -> ForgeError {
        ForgeError::NotFound { what: format!("{what} of {}", self.repository) }
    }
}

pub(crate) fn refused(reason: impl Into<String>) -> ForgeError {
    ForgeError::Refused { reason: reason.into() }
}

/// `what` is "the title of a pull request".
pub(crate) fn title(what: &str, title: &str) -> Result<(), ForgeError> {
    if title.trim().is_empty() {
        return Err(refused(format!("{what} is empty: say in one line what it is about")));
    }
    let length = title.chars().count();
    if length > MAX_TITLE {
        let over = format!("{what} has {length} characters, more than the {MAX_TITLE} that fit: shorten it");
        return Err(refused(over));
    }
    Ok(())
}

/// Each once, in the order given.
pub(crate) fn labels(labels: &[String]) -> Result<Vec<&String>, ForgeError> {
    let mut each: Vec<&String> = Vec::new();
    for label in labels {
        let length = label.chars().count();
        if label.trim().is_empty() || length > MAX_LABEL {
            return Err(refused(format!(
                "a label has 1 to {MAX_LABEL} characters, {label:?} has {length}: rename it"
            )));
        }
        if !each.contains(&label) {
            each.push(label);
        }
    }
    Ok(each)
}

/// As part of a path or a query.
pub(crate) fn part(text: &str) -> String {
    utf8_percent_encode(text, PART).to_string()
}

/// A branch within a path.
pub(crate) fn branch_part(branch: &str) -> String {
    utf8_percent_encode(branch, BRANCH).to_string()
}

/// A commit as GitHub says it.
pub(crate) fn commit(sha: &str) -> Result<CommitId, ForgeError> {
    sha.parse().map_err(|_| ForgeError::Unavailable { reason: format!("GitHub named {sha:?} as a commit") })
}
