//! GitHub's objects, with every field that its description calls required. Accounts, Apps and repositories are here; the
//! rest is in the modules below.

mod checks;
mod code;
mod issues;
mod pulls;

pub(super) use issues::REACTIONS;
use serde_json::{Map, Value, json};

use super::{
    repo::{Actor, Repo, Role},
    world::{App, Installation, Level, World},
};

/// What a repository's object says about where its parts are.
const REPOSITORY_URLS: [(&str, &str); 36] = [
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
];

/// What an account's object says about where its parts are.
const USER_URLS: [(&str, &str); 9] = [
    ("events_url", "/events{/privacy}"),
    ("followers_url", "/followers"),
    ("following_url", "/following{/other_user}"),
    ("gists_url", "/gists{/gist_id}"),
    ("organizations_url", "/orgs"),
    ("received_events_url", "/received_events"),
    ("repos_url", "/repos"),
    ("starred_url", "/starred{/owner}{/repo}"),
    ("subscriptions_url", "/subscriptions"),
];

/// An opaque id of the GraphQL API.
pub(super) fn node(kind: &str, id: u64) -> String {
    format!("{kind}_{id}")
}

impl World {
    /// An address of the API.
    pub(super) fn api(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// An address in a repository, for the API.
    pub(super) fn at(&self, repo: &Repo, path: &str) -> String {
        format!("{}/repos/{}{path}", self.base, repo.full_name())
    }

    /// An address in a repository, for people.
    pub(super) fn page(&self, repo: &Repo, path: &str) -> String {
        format!("{}/{}{path}", self.base, repo.full_name())
    }

    /// `simple-user`.
    pub(super) fn user(&self, login: &str) -> Value {
        let known = self.accounts.get(&login.to_lowercase());
        let (id, kind) = known.map_or((10_137, "User"), |known| (known.id, known.kind));
        let login = known.map_or("ghost", |known| known.login.as_str());
        let url = self.api(&format!("/users/{}", login.replace('[', "%5B").replace(']', "%5D")));
        // The page of a bot is its App's.
        let page =
            login.strip_suffix("[bot]").map_or_else(|| login.to_owned(), |slug| format!("apps/{slug}"));
        let mut user = json!({
            "login": login, "id": id, "node_id": node("U", id), "gravatar_id": "", "type": kind,
            "avatar_url": self.api(&format!("/avatars/{id}")), "url": url,
            "html_url": self.api(&format!("/{page}")), "site_admin": false,
        });
        for (name, path) in USER_URLS {
            user[name] = json!(format!("{url}{path}"));
        }
        user
    }

    pub(super) fn actor(&self, actor: &Actor) -> Value {
        self.user(&self.login(actor))
    }

    /// How somebody stands to a repository.
    /// <https://docs.github.com/en/graphql/reference/enums#commentauthorassociation>
    pub(super) fn association(&self, repo: &Repo, actor: &Actor) -> &'static str {
        match actor {
            Actor::Person(login) if repo.owner.eq_ignore_ascii_case(login) => "OWNER",
            Actor::Person(login) => match repo.role(login) {
                Some(Role::Admin | Role::Maintain) => "MEMBER",
                Some(_) => "COLLABORATOR",
                None => "NONE",
            },
            Actor::App(_) => "NONE",
        }
    }

    /// `repository` and, with a little more, `full-repository`.
    pub(super) fn repository(&self, repo: &Repo) -> Value {
        let open = repo.issues.values().filter(|issue| issue.open && !issue.deleted).count();
        let page = self.page(repo, "");
        let mut shape = json!({
            "id": repo.id, "node_id": node("R", repo.id), "name": repo.name, "full_name": repo.full_name(),
            "owner": self.user(&repo.owner), "private": repo.private, "html_url": page, "description": null,
            "fork": repo.parent.is_some(), "url": self.at(repo, ""), "clone_url": format!("{page}.git"),
            "git_url": format!("{page}.git"), "ssh_url": format!("{page}.git"), "svn_url": page,
            "homepage": null, "language": null, "mirror_url": null, "license": null,
            "default_branch": repo.default_branch, "archived": repo.archived, "disabled": false,
            "has_issues": true, "has_projects": false, "has_wiki": false, "has_pages": false,
            "has_downloads": false, "has_discussions": false, "size": 1, "forks": 0, "forks_count": 0,
            "stargazers_count": 0, "watchers": 0, "watchers_count": 0, "open_issues": open,
            "open_issues_count": open, "visibility": if repo.private { "private" } else { "public" },
            "pushed_at": repo.pushed, "created_at": repo.created, "updated_at": repo.pushed,
            "topics": [], "is_template": false, "allow_forking": true, "web_commit_signoff_required": false,
        });
        for (name, path) in REPOSITORY_URLS {
            shape[name] = json!(self.at(repo, path));
        }
        shape
    }

    /// `full-repository`.
    pub(super) fn full_repository(&self, repo: &Repo) -> Value {
        let mut shape = self.repository(repo);
        let more = json!({
            "network_count": 0, "subscribers_count": 0, "allow_merge_commit": true, "allow_squash_merge": true,
            "allow_rebase_merge": false, "allow_auto_merge": false, "allow_update_branch": false,
            "delete_branch_on_merge": repo.delete_branch_on_merge,
        });
        extend(&mut shape, more);
        shape
    }

    /// `minimal-repository`: in lists and inside of other objects.
    pub(super) fn minimal_repository(&self, repo: &Repo) -> Value {
        self.repository(repo)
    }

    /// `integration`.
    pub(super) fn app(&self, app: &App) -> Value {
        json!({
            "id": app.id, "slug": app.slug, "node_id": node("A", app.id), "client_id": app.client_id,
            "owner": self.user(&app.owner), "name": app.name, "description": "",
            "external_url": self.api(""), "html_url": self.api(&format!("/apps/{}", app.slug)),
            "created_at": app.created, "updated_at": app.created,
            "permissions": Self::permissions(&app.permissions), "events": app.events,
        })
    }

    pub(super) fn app_by_id(&self, id: u64) -> Value {
        self.apps.get(&id).map_or(Value::Null, |app| self.app(app))
    }

    /// `installation`.
    pub(super) fn installation(&self, it: &Installation) -> Value {
        let app = self.apps.get(&it.app).expect("an installation is of an App");
        let account = self.user(&it.account);
        let selection = if it.repositories.is_none() { "all" } else { "selected" };
        json!({
            "id": it.id, "account": account, "repository_selection": selection,
            "access_tokens_url": self.api(&format!("/app/installations/{}/access_tokens", it.id)),
            "repositories_url": self.api("/installation/repositories"),
            "html_url": self.api(&format!("/settings/installations/{}", it.id)),
            "app_id": app.id, "app_slug": app.slug, "client_id": app.client_id, "target_id": account["id"],
            "target_type": account["type"], "permissions": Self::permissions(&it.permissions),
            "events": app.events, "created_at": it.created, "updated_at": it.created,
            "single_file_name": null, "has_multiple_single_files": false, "single_file_paths": [],
            "suspended_by": it.suspended.map(|_| account.clone()), "suspended_at": it.suspended,
        })
    }

    /// What an App may, for the `permissions` of a repository in a list of an installation.
    pub(super) fn shown_rights(write: bool) -> Value {
        json!({"admin": false, "maintain": false, "push": write, "triage": write, "pull": true})
    }

    /// Whether permissions hold this much.
    pub(super) fn holds(permissions: &super::world::Permissions, name: &str, level: Level) -> bool {
        name == "metadata" && level == Level::Read
            || permissions.get(name).is_some_and(|known| *known >= level)
    }
}

/// Adds the fields of one object to another.
pub(super) fn extend(to: &mut Value, more: Value) {
    let (Value::Object(to), Value::Object(more)) = (to, more) else { return };
    let more: Map<String, Value> = more;
    to.extend(more);
}
