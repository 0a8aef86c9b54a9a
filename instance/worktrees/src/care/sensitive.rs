//! Paths whose change is a matter for people: what they hold runs with rights of its own, or decides who may
//! do what. A pure table, not a policy: what follows from a match is decided elsewhere.

use qd_types::{CommitId, RepositoryName};

use crate::{GitWorktrees, WorktreeError, error::git};

/// How a rule names paths. Letters' case never counts: some file systems don't either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Everything below a folder at the repository's root; with a slash at its end.
    Folder(&'static str),
    /// Whatever begins so at the repository's root.
    Start(&'static str),
    /// A file of this name in any folder.
    Name(&'static str),
}

/// A rule, and why it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sensitive {
    /// Which paths.
    pub place: Place,
    /// Why, as the end of "…, because".
    pub reason: &'static str,
}

const CI: &str = "it runs on the forge's machines, with the repository's secrets";
const RULES: &str = "it says what agents and people may do here";
const OWNERS: &str = "it says whose review a change needs";
const HOOKS: &str = "it runs on the machine of whoever commits or checks out";
const READS: &str = "it changes what git shows and stores of other files";
const ORDERS: &str = "it gives orders to agents, or starts programs beside them";

/// All rules.
pub const SENSITIVE: &[Sensitive] = &[
    Sensitive { place: Place::Folder(".github/"), reason: CI },
    Sensitive { place: Place::Folder(".gitlab/"), reason: CI },
    Sensitive { place: Place::Name(".gitlab-ci.yml"), reason: CI },
    Sensitive { place: Place::Folder(".forgejo/"), reason: CI },
    Sensitive { place: Place::Folder(".gitea/"), reason: CI },
    Sensitive { place: Place::Folder(".circleci/"), reason: CI },
    Sensitive { place: Place::Start(".woodpecker"), reason: CI },
    Sensitive { place: Place::Start(".drone.y"), reason: CI },
    Sensitive { place: Place::Folder(".buildkite/"), reason: CI },
    Sensitive { place: Place::Name("Jenkinsfile"), reason: CI },
    Sensitive { place: Place::Start("azure-pipelines"), reason: CI },
    Sensitive { place: Place::Start(".azure-pipelines"), reason: CI },
    Sensitive { place: Place::Name("bitbucket-pipelines.yml"), reason: CI },
    Sensitive { place: Place::Start(".travis.y"), reason: CI },
    Sensitive { place: Place::Name("quarterdeck.toml"), reason: RULES },
    Sensitive { place: Place::Folder(".quarterdeck/"), reason: RULES },
    Sensitive { place: Place::Folder("policies/"), reason: RULES },
    Sensitive { place: Place::Name("CODEOWNERS"), reason: OWNERS },
    Sensitive { place: Place::Folder(".githooks/"), reason: HOOKS },
    Sensitive { place: Place::Folder(".husky/"), reason: HOOKS },
    Sensitive { place: Place::Name(".pre-commit-config.yaml"), reason: HOOKS },
    Sensitive { place: Place::Name("lefthook.yml"), reason: HOOKS },
    Sensitive { place: Place::Name(".gitattributes"), reason: READS },
    Sensitive { place: Place::Name(".gitmodules"), reason: READS },
    Sensitive { place: Place::Name(".lfsconfig"), reason: READS },
    Sensitive { place: Place::Name("AGENTS.md"), reason: ORDERS },
    Sensitive { place: Place::Name("CLAUDE.md"), reason: ORDERS },
    Sensitive { place: Place::Folder(".claude/"), reason: ORDERS },
    Sensitive { place: Place::Name(".mcp.json"), reason: ORDERS },
];

/// The rule that a path meets.
pub fn why_sensitive(path: &str) -> Option<&'static Sensitive> {
    let path = path.to_lowercase();
    let name = path.rsplit('/').next().unwrap_or_default();
    SENSITIVE.iter().find(|rule| match rule.place {
        Place::Folder(folder) => path.starts_with(folder),
        Place::Start(start) => path.starts_with(start),
        Place::Name(file) => name == file.to_lowercase(),
    })
}

/// Those of these paths that a rule names, in order.
pub fn sensitive<P: AsRef<str>>(paths: &[P]) -> Vec<&str> {
    paths.iter().map(AsRef::as_ref).filter(|path| why_sensitive(path).is_some()).collect()
}

impl GitWorktrees {
    pub(crate) async fn touched(
        &self,
        repository: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Vec<String>, WorktreeError> {
        let mirror = self.mirror(repository).await?;
        for commit in [base, head] {
            self.need_commit(&mirror, repository, commit).await?;
        }
        let files = mirror.changed_files(base, head).await.map_err(git("listing what a change touches"))?;
        let mut paths: Vec<String> = files.into_iter().map(|file| file.path).collect();
        paths.sort();
        Ok(paths)
    }
}
