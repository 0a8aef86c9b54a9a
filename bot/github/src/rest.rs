//! Requests about one repository that the port Forge has no words for: reviews, logs, searches. With the repository's token, minted
//! anew where GitHub takes it no more, and in GitHub's own words. What they mean stands where they are made.

use qd_types::RepositoryName;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    app::Scope,
    client::{CallError, Method},
    forge::{GitHub, Here},
};

/// Asks for what was found beside where.
const TEXT_MATCH: &str = "application/vnd.github.text-match+json";

/// A text as part of a path or a query.
pub fn part(text: &str) -> String {
    crate::forge::part(text)
}

/// A branch within a path.
pub fn branch_part(branch: &str) -> String {
    crate::forge::part_of_branch(branch)
}

/// A repository to ask about.
pub struct Rest<'a>(Here<'a>);

impl GitHub {
    /// For requests about a repository that is here.
    pub fn rest<'a>(&'a self, repository: &'a RepositoryName) -> Option<Rest<'a>> {
        self.inner().here(repository).ok().map(Rest)
    }
}

impl Rest<'_> {
    /// The same, to read logs of workflows and to run them again.
    pub fn workflows(self) -> Self {
        Self(self.0.to(Scope::Workflows))
    }

    /// `owner/name`, as GitHub calls it.
    pub fn place(&self) -> String {
        self.0.place.to_string()
    }

    /// Reads one thing; `rest` is what stands behind `/repos/owner/name`.
    pub async fn get<T: DeserializeOwned>(&self, rest: &str) -> Result<T, CallError> {
        self.0.get(rest).await
    }

    /// Reads the first page of a list: at most a hundred.
    pub async fn newest<T: DeserializeOwned>(&self, rest: &str) -> Result<Vec<T>, CallError> {
        self.0.get(rest).await
    }

    /// Reads all pages of a list within an answer that says more.
    pub async fn list_in<T: DeserializeOwned>(&self, rest: &str, name: &str) -> Result<Vec<T>, CallError> {
        self.0.list_in(rest, name).await
    }

    /// Reads a text.
    pub async fn text(&self, rest: &str) -> Result<String, CallError> {
        let (client, path) = (&self.0.github.client, &self.0.path(rest));
        self.0.with(|bearer| async move { client.text(&bearer, path).await }).await
    }

    /// Searches the repository's code, with the lines in which the words stand; the query is words alone (docs.github.com, "Search
    /// code", "Text match metadata").
    pub async fn search<T: DeserializeOwned>(&self, words: &str) -> Result<T, CallError> {
        let query = part(&format!("{words} repo:{}", self.place()));
        let (client, path) = (&self.0.github.client, &format!("/search/code?per_page=100&q={query}"));
        self.0.with(|bearer| async move { client.get_as(&bearer, path, TEXT_MATCH).await }).await
    }

    /// Makes or changes something, and reads what it is then.
    pub async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        rest: &str,
        body: &Value,
    ) -> Result<T, CallError> {
        self.0.change(method, rest, body).await
    }

    /// Does something whose answer says no more.
    pub async fn act(&self, method: Method, rest: &str, body: Option<&Value>) -> Result<(), CallError> {
        self.0.act(method, rest, body).await
    }
}
