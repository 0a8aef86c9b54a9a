//! What is asked of GitHub before something that was delivered counts: a webhook is a hint, the API is the fact. And the two
//! small acts that may be done twice without harm: a reaction, and a job that runs once more.

use async_trait::async_trait;
use qd_core::outside::LineComment;
use qd_types::{Person, RepositoryName, Role};

/// Why a fact can't be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactError {
    /// Not now: it is tried again.
    #[error("{0}")]
    Later(String),
    /// GitHub does not have it, or does not show it.
    #[error("{0}")]
    Gone(String),
}

/// What an account may do in a repository, weakest first (docs.github.com, "Repository roles for an organization").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing that everybody may not.
    None,
    /// Read.
    Read,
    /// Sort issues.
    Triage,
    /// Push.
    Write,
    /// Maintain.
    Maintain,
    /// All of it.
    Admin,
}

impl Level {
    /// Every level.
    pub const ALL: [Self; 6] =
        [Self::None, Self::Read, Self::Triage, Self::Write, Self::Maintain, Self::Admin];

    /// GitHub's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    /// The level of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }
}

/// What a reaction to a comment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// 👀: it is taken.
    Eyes,
    /// 😕: it is not, and nobody is told more.
    Confused,
}

impl Reaction {
    /// GitHub's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eyes => "eyes",
            Self::Confused => "confused",
        }
    }
}

/// A job that is red.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedJob {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// The step that failed.
    pub step: Option<String>,
    /// Its page.
    pub url: Option<String>,
}

/// GitHub's facts.
#[async_trait]
pub trait Facts: Send + Sync {
    /// Whether this account, or this App, is the bot itself. What the bot writes with a person's token is known by its marker.
    async fn is_own(&self, login: &str, app: Option<u64>) -> Result<bool, FactError>;
    /// The name by which the bot is addressed, without `[bot]`.
    async fn name(&self) -> Result<String, FactError>;
    /// What an account may do, now.
    async fn level(&self, repository: &RepositoryName, login: &str) -> Result<Level, FactError>;
    /// Whether a pull request comes from another repository.
    async fn is_from_fork(&self, repository: &RepositoryName, number: u64) -> Result<bool, FactError>;
    /// Reacts to a comment; the same again changes nothing.
    async fn react(
        &self,
        repository: &RepositoryName,
        comment: u64,
        reaction: Reaction,
    ) -> Result<(), FactError>;
    /// The remarks of a review, each with its thread.
    async fn remarks(
        &self,
        repository: &RepositoryName,
        number: u64,
        review: u64,
    ) -> Result<Vec<LineComment>, FactError>;
    /// The open pull request whose head this is.
    async fn pull_request_of(&self, repository: &RepositoryName, sha: &str)
    -> Result<Option<u64>, FactError>;
    /// The jobs of a workflow's newest attempt that are red.
    async fn red_jobs(&self, repository: &RepositoryName, run: u64) -> Result<Vec<RedJob>, FactError>;
    /// The log of a job.
    async fn log(&self, repository: &RepositoryName, job: u64) -> Result<String, FactError>;
    /// Runs what is red of a workflow once more.
    async fn run_again(&self, repository: &RepositoryName, run: u64) -> Result<(), FactError>;
}

/// Whose accounts are linked. Asked whenever somebody does something, so that whoever is shut out is out at once.
#[async_trait]
pub trait People: Send + Sync {
    /// Whose account it is, with the roles that the fleet lets them have; `None` if it is nobody's. Logins are in lower case.
    ///
    /// # Errors
    /// Why it can't be told. It is tried again then.
    async fn by_login(&self, login: &str) -> Result<Option<Person>, String>;
}

/// The roles that count at a repository of somebody to whom the fleet gives `known`, and whom GitHub gives `level` there: of a
/// role that is mapped to a level both must say so.
pub fn roles(mapped: &[(Level, Role)], known: &[Role], level: Level) -> Vec<Role> {
    let needs =
        |role: &Role| mapped.iter().filter(|(_, mapped)| mapped == role).map(|(level, _)| *level).min();
    let mut roles: Vec<Role> =
        known.iter().filter(|role| needs(role).is_none_or(|least| level >= least)).copied().collect();
    roles.sort_unstable();
    roles.dedup();
    roles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_role_takes_githubs_word_and_the_fleets() {
        let mapped = [(Level::Admin, Role::Owner), (Level::Write, Role::Reviewer)];
        let known = [Role::Owner, Role::Reviewer, Role::Operator];
        let of = |level| roles(&mapped, &known, level);
        assert_eq!(of(Level::Admin), [Role::Owner, Role::Operator, Role::Reviewer]);
        assert_eq!(of(Level::Maintain), [Role::Operator, Role::Reviewer]);
        assert_eq!(of(Level::Read), [Role::Operator]);
        assert_eq!(roles(&mapped, &[], Level::Admin), [], "GitHub alone makes nobody an owner");
        assert_eq!(Level::ALL.map(|level| Level::named(level.as_str())), Level::ALL.map(Some));
    }
}
