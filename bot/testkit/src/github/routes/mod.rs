//! What each request does. The table is all that there is: what it does not name is a violation.

mod actions;
mod apps;
mod checks;
mod code;
mod graphql;
mod issues;
mod labels;
mod protection;
mod pulls;
mod repos;
mod reviews;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    access::{Caller, Needs},
    repo::{Actor, Repo},
    world::World,
};

/// One route.
pub(super) struct Route {
    pub(super) method: &'static str,
    /// As GitHub's description writes it.
    pub(super) template: &'static str,
    pub(super) needs: Needs,
    /// Whether it makes content, which the secondary limit counts.
    pub(super) creates: bool,
    pub(super) handle: fn(&mut Ask<'_>) -> Answer,
}

/// A request that was let in.
pub(super) struct Ask<'a> {
    pub(super) world: &'a mut World,
    pub(super) caller: Caller,
    pub(super) actor: Actor,
    pub(super) params: BTreeMap<&'static str, String>,
    pub(super) query: BTreeMap<String, String>,
    /// The media type that the answer should have.
    pub(super) accept: String,
    pub(super) body: Value,
    /// The repository, where the route names one.
    pub(super) repo: u64,
}

pub(super) type Answer = Result<Reply, Refusal>;

/// What is answered.
pub(super) enum Reply {
    /// A body with this status.
    Json(u16, Value),
    /// 204.
    Empty,
    /// A list, of which a page is shown; under this name beside `total_count`, where there is one.
    List(Option<&'static str>, Vec<Value>),
    /// 302 to there.
    Found(String),
}

/// Why it was not done, in GitHub's words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: String,
    pub(super) errors: Option<Value>,
}

impl Refusal {
    pub(super) fn said(status: u16, message: &str) -> Self {
        Self { status, message: message.to_owned(), errors: None }
    }

    pub(super) fn not_found() -> Self {
        Self::said(404, "Not Found")
    }

    pub(super) fn bad_credentials() -> Self {
        Self::said(401, "Bad credentials")
    }

    /// <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#validation-failed>
    pub(super) fn invalid(resource: &str, field: &str, code: &str) -> Self {
        let errors = json!([{"resource": resource, "field": field, "code": code}]);
        Self { status: 422, message: "Validation Failed".to_owned(), errors: Some(errors) }
    }

    pub(super) fn custom(resource: &str, message: &str) -> Self {
        let errors = json!([{"resource": resource, "code": "custom", "message": message}]);
        Self { status: 422, message: "Validation Failed".to_owned(), errors: Some(errors) }
    }
}

/// All routes.
pub(super) fn all() -> impl Iterator<Item = &'static Route> {
    [
        apps::ROUTES,
        repos::ROUTES,
        protection::ROUTES,
        code::ROUTES,
        issues::ROUTES,
        labels::ROUTES,
        pulls::ROUTES,
        reviews::ROUTES,
        checks::ROUTES,
        actions::ROUTES,
        graphql::ROUTES,
    ]
    .into_iter()
    .flatten()
}

/// Routes whose last part may hold slashes, as GitHub's do.
const GREEDY: [&str; 5] = [
    "/repos/{owner}/{repo}/contents/{path}",
    "/repos/{owner}/{repo}/git/ref/{ref}",
    "/repos/{owner}/{repo}/git/refs/{ref}",
    "/repos/{owner}/{repo}/git/matching-refs/{ref}",
    "/repos/{owner}/{repo}/branches/{branch}",
];

/// The route of a path, with its parameters: the most literal one that fits.
pub(super) fn find(method: &str, path: &str) -> Option<(&'static Route, BTreeMap<&'static str, String>)> {
    let asked: Vec<&str> = path.split('/').collect();
    let fits = all().filter(|route| route.method == method);
    let fits = fits.filter_map(|route| matched(route.template, &asked).map(|params| (route, params)));
    fits.min_by_key(|(route, params)| (params.len(), GREEDY.contains(&route.template)))
}

fn matched(template: &'static str, asked: &[&str]) -> Option<BTreeMap<&'static str, String>> {
    let parts: Vec<&'static str> = template.split('/').collect();
    let greedy = GREEDY.contains(&template) && asked.len() > parts.len();
    if asked.len() != parts.len() && !greedy {
        return None;
    }
    let mut params = BTreeMap::new();
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        let text =
            if last && greedy { asked.get(index..)?.join("/") } else { (*asked.get(index)?).to_owned() };
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) if !text.is_empty() => {
                params.insert(name, super::door::decoded(&text));
            }
            Some(_) => return None,
            None if *part == text => {}
            None => return None,
        }
    }
    Some(params)
}

impl Ask<'_> {
    pub(super) fn repo(&self) -> &Repo {
        self.world.repo(self.repo)
    }

    pub(super) fn repo_mut(&mut self) -> &mut Repo {
        self.world.repo_mut(self.repo)
    }

    /// A parameter of the path.
    pub(super) fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// A number of the path; what is none is not there.
    pub(super) fn number(&self, name: &str) -> Result<u64, Refusal> {
        self.param(name).parse().map_err(|_| Refusal::not_found())
    }

    /// A text of the body.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.body[name].as_str().map(str::to_owned)
    }

    /// A text of the body that must be there.
    pub(super) fn needed(&self, resource: &str, name: &str) -> Result<String, Refusal> {
        let text = self.text(name).filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| Refusal::invalid(resource, name, "missing_field"))
    }

    /// Texts of the body.
    pub(super) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let list = self.body[name].as_array()?;
        Some(
            list.iter()
                .filter_map(|item| item.as_str().or(item["name"].as_str()).map(str::to_owned))
                .collect(),
        )
    }

    pub(super) fn asked(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// The number of a pull request that is there.
    pub(super) fn pull_number(&self) -> Result<u64, Refusal> {
        let number = self.number("pull_number")?;
        self.repo().pulls.get(&number).map(|_| number).ok_or_else(Refusal::not_found)
    }

    /// The number of an issue that is there; what was deleted is gone.
    pub(super) fn issue_number(&self) -> Result<u64, Refusal> {
        let number = self.number("issue_number")?;
        match self.repo().issues.get(&number) {
            None => Err(Refusal::not_found()),
            Some(issue) if issue.deleted => Err(Refusal::said(410, "This issue was deleted")),
            Some(_) => Ok(number),
        }
    }
}

pub(super) const fn route(
    method: &'static str,
    template: &'static str,
    needs: Needs,
    handle: fn(&mut Ask<'_>) -> Answer,
) -> Route {
    Route { method, template, needs, creates: false, handle }
}

/// One that makes content.
pub(super) const fn creating(
    template: &'static str,
    needs: Needs,
    handle: fn(&mut Ask<'_>) -> Answer,
) -> Route {
    Route { method: "POST", template, needs, creates: true, handle }
}
