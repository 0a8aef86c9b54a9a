//! Refs, commits, comparisons, contents. <https://docs.github.com/en/rest/git>, <https://docs.github.com/en/rest/commits>

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    super::{access::Needs, world::Level},
    Answer, Ask, Refusal, Reply, Route, creating, route,
};

const READ: Needs = Needs::Repo(&[("contents", Level::Read)]);
const WRITE: Needs = Needs::Repo(&[("contents", Level::Write)]);

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/repos/{owner}/{repo}/git/ref/{ref}", READ, one_ref),
    route("GET", "/repos/{owner}/{repo}/git/matching-refs/{ref}", READ, matching),
    creating("/repos/{owner}/{repo}/git/refs", WRITE, create_ref),
    route("PATCH", "/repos/{owner}/{repo}/git/refs/{ref}", WRITE, update_ref),
    route("DELETE", "/repos/{owner}/{repo}/git/refs/{ref}", WRITE, delete_ref),
    route("GET", "/repos/{owner}/{repo}/git/commits/{commit_sha}", READ, git_commit),
    route("GET", "/repos/{owner}/{repo}/commits", READ, commits),
    route("GET", "/repos/{owner}/{repo}/commits/{ref}", READ, commit),
    route("GET", "/repos/{owner}/{repo}/compare/{basehead}", READ, compare),
    route("GET", "/repos/{owner}/{repo}/contents/{path}", READ, contents),
    route("PUT", "/repos/{owner}/{repo}/contents/{path}", WRITE, put_contents),
    route("GET", "/search/code", Needs::Anyone, search),
];

fn one_ref(ask: &mut Ask<'_>) -> Answer {
    let name = format!("refs/{}", ask.param("ref"));
    let repo = ask.repo();
    let sha = repo.refs.get(&name).ok_or_else(Refusal::not_found)?;
    Ok(Reply::Json(200, ask.world.reference(repo, &name, sha)))
}

fn matching(ask: &mut Ask<'_>) -> Answer {
    let start = format!("refs/{}", ask.param("ref"));
    let repo = ask.repo();
    let fit = repo.refs.iter().filter(|(name, _)| name.starts_with(&start));
    Ok(Reply::List(None, fit.map(|(name, sha)| ask.world.reference(repo, name, sha)).collect()))
}

/// A protection holds for the API as for a push.
fn allowed(ask: &Ask<'_>, name: &str) -> Result<(), Refusal> {
    let who = ask.world.bypass_name(&ask.actor);
    let branch = name.trim_start_matches("refs/heads/");
    let rules = ask.repo().rules(branch);
    let stops = rules.iter().any(|it| (it.pull_request.is_some() || !it.checks.is_empty()) && !it.lets(&who));
    if stops && ask.repo().branch(branch).is_some() {
        return Err(Refusal::said(
            422,
            "Repository rule violations found\n\nChanges must be made through a pull request.\n\n",
        ));
    }
    Ok(())
}

fn create_ref(ask: &mut Ask<'_>) -> Answer {
    let (name, sha) = (ask.needed("Reference", "ref")?, ask.needed("Reference", "sha")?);
    if !name.starts_with("refs/") || name.matches('/').count() < 2 {
        return Err(Refusal::said(
            422,
            "Reference name must start with 'refs/' and have at least two slashes",
        ));
    }
    if ask.repo().refs.contains_key(&name) {
        return Err(Refusal::said(422, "Reference already exists"));
    }
    if ask.repo().git.resolve(&sha).is_none() {
        return Err(Refusal::said(422, "Object does not exist"));
    }
    ask.repo().git.update_ref(&name, &sha);
    let (repo, actor) = (ask.repo, ask.actor.clone());
    ask.world.moved(repo, &actor, &name, None, Some(&sha));
    Ok(Reply::Json(201, ask.world.reference(ask.repo(), &name, &sha)))
}

fn update_ref(ask: &mut Ask<'_>) -> Answer {
    let name = format!("refs/{}", ask.param("ref"));
    let sha = ask.needed("Reference", "sha")?;
    let force = ask.body["force"].as_bool().unwrap_or(false);
    let old = ask.repo().refs.get(&name).cloned();
    let old = old.ok_or_else(|| Refusal::said(422, "Reference does not exist"))?;
    if ask.repo().git.resolve(&sha).is_none() {
        return Err(Refusal::said(422, "Object does not exist"));
    }
    allowed(ask, &name)?;
    if !force && !ask.repo().git.is_ancestor(&old, &sha) {
        return Err(Refusal::said(422, "Update is not a fast forward"));
    }
    ask.repo().git.update_ref(&name, &sha);
    let (repo, actor) = (ask.repo, ask.actor.clone());
    ask.world.moved(repo, &actor, &name, Some(&old), Some(&sha));
    Ok(Reply::Json(200, ask.world.reference(ask.repo(), &name, &sha)))
}

fn delete_ref(ask: &mut Ask<'_>) -> Answer {
    let name = format!("refs/{}", ask.param("ref"));
    let old = ask.repo().refs.get(&name).cloned();
    let old = old.ok_or_else(|| Refusal::said(422, "Reference does not exist"))?;
    allowed(ask, &name)?;
    if name == format!("refs/heads/{}", ask.repo().default_branch) {
        return Err(Refusal::said(422, "Cannot delete the default branch"));
    }
    ask.repo().git.delete_ref(&name);
    let (repo, actor) = (ask.repo, ask.actor.clone());
    ask.world.moved(repo, &actor, &name, Some(&old), None);
    Ok(Reply::Empty)
}

fn git_commit(ask: &mut Ask<'_>) -> Answer {
    let repo = ask.repo();
    let found = repo.git.commit(ask.param("commit_sha")).ok_or_else(Refusal::not_found)?;
    Ok(Reply::Json(200, ask.world.git_commit(repo, &found)))
}

/// The commit that a branch, tag or id names.
pub(super) fn resolved(ask: &Ask<'_>, name: &str) -> Option<String> {
    let repo = ask.repo();
    let short = name.trim_start_matches("refs/");
    let places = [format!("refs/heads/{name}"), format!("refs/tags/{name}"), format!("refs/{short}")];
    let known = places.iter().find_map(|place| repo.refs.get(place));
    known.cloned().or_else(|| repo.git.resolve(name))
}

fn no_commit(name: &str) -> Refusal {
    Refusal::said(422, &format!("No commit found for SHA: {name}"))
}

fn commits(ask: &mut Ask<'_>) -> Answer {
    let name = ask.asked("sha").map_or_else(|| ask.repo().default_branch.clone(), str::to_owned);
    let sha = resolved(ask, &name).ok_or_else(Refusal::not_found)?;
    let repo = ask.repo();
    let all = repo.git.log(&sha);
    let shapes = all.iter().filter_map(|sha| repo.git.commit(sha)).map(|it| ask.world.commit(repo, &it));
    Ok(Reply::List(None, shapes.collect()))
}

fn commit(ask: &mut Ask<'_>) -> Answer {
    let name = ask.param("ref").to_owned();
    let sha = resolved(ask, &name).ok_or_else(|| no_commit(&name))?;
    let repo = ask.repo();
    let found = repo.git.commit(&sha).ok_or_else(|| no_commit(&name))?;
    let mut shape = ask.world.commit(repo, &found);
    let files = found.parents.first().map(|parent| repo.git.diff(parent, &sha)).unwrap_or_default();
    let (more, less) =
        files.iter().fold((0, 0), |(more, less), file| (more + file.additions, less + file.deletions));
    shape["stats"] = json!({"additions": more, "deletions": less, "total": more + less});
    shape["files"] = files.iter().map(|file| ask.world.changed(repo, &sha, file)).collect();
    Ok(Reply::Json(200, shape))
}

/// <https://docs.github.com/en/rest/commits/commits#compare-two-commits>
fn compare(ask: &mut Ask<'_>) -> Answer {
    let text = ask.param("basehead").to_owned();
    let (base, head) = text.split_once("...").ok_or_else(Refusal::not_found)?;
    let base = resolved(ask, base).ok_or_else(Refusal::not_found)?;
    let head = resolved(ask, head).ok_or_else(Refusal::not_found)?;
    let (world, repo) = (&*ask.world, ask.repo());
    let middle = repo.git.merge_base(&base, &head).ok_or_else(Refusal::not_found)?;
    let (ahead, behind) =
        (repo.git.log(&format!("{base}..{head}")), repo.git.log(&format!("{head}..{base}")));
    let status = match (ahead.len(), behind.len()) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let shape = |sha: &String| repo.git.commit(sha).map_or(Value::Null, |it| world.commit(repo, &it));
    let files = repo.git.diff(&middle, &head);
    let page = world.page(repo, &format!("/compare/{text}"));
    Ok(Reply::Json(
        200,
        json!({
            "url": world.at(repo, &format!("/compare/{text}")), "html_url": page, "permalink_url": page,
            "diff_url": format!("{page}.diff"), "patch_url": format!("{page}.patch"), "base_commit": shape(&base),
            "merge_base_commit": shape(&middle), "status": status, "ahead_by": ahead.len(),
            "behind_by": behind.len(), "total_commits": ahead.len(),
            "commits": ahead.iter().rev().map(shape).collect::<Vec<_>>(),
            "files": files.iter().map(|file| world.changed(repo, &head, file)).collect::<Vec<_>>(),
        }),
    ))
}

fn file_shape(ask: &Ask<'_>, path: &str, reference: &str, blob: &str, bytes: &[u8]) -> Value {
    let (world, repo) = (&*ask.world, ask.repo());
    let url = world.at(repo, &format!("/contents/{path}?ref={reference}"));
    let git = world.at(repo, &format!("/git/blobs/{blob}"));
    let page = world.page(repo, &format!("/blob/{reference}/{path}"));
    let mut content = STANDARD.encode(bytes);
    content.push('\n');
    json!({
        "type": "file", "encoding": "base64", "size": bytes.len(), "name": path.rsplit('/').next(),
        "path": path, "content": content, "sha": blob, "url": url, "git_url": git, "html_url": page,
        "download_url": world.page(repo, &format!("/raw/{reference}/{path}")),
        "_links": {"self": url, "git": git, "html": page},
    })
}

fn contents(ask: &mut Ask<'_>) -> Answer {
    let path = ask.param("path").to_owned();
    let name = ask.asked("ref").map_or_else(|| ask.repo().default_branch.clone(), str::to_owned);
    let missing = || Refusal::said(404, &format!("No commit found for the ref {name}"));
    let sha = resolved(ask, &name).ok_or_else(missing)?;
    if let Some(entries) = ask.repo().git.folder(&sha, &path) {
        let shapes = entries.iter().map(|(kind, blob, size, place)| {
            let mut shape = file_shape(ask, place, &name, blob, b"");
            shape["type"] = json!(if kind == "tree" { "dir" } else { "file" });
            shape["size"] = json!(size);
            bare(shape)
        });
        // A folder is no list of pages. <https://docs.github.com/en/rest/repos/contents#get-repository-content>
        return Ok(Reply::Json(200, shapes.collect()));
    }
    let (blob, bytes) = ask.repo().git.file(&sha, &path).ok_or_else(Refusal::not_found)?;
    Ok(Reply::Json(200, file_shape(ask, &path, &name, &blob, &bytes)))
}

/// Without what a file holds.
fn bare(mut shape: Value) -> Value {
    if let Some(fields) = shape.as_object_mut() {
        fields.remove("content");
        fields.remove("encoding");
    }
    shape
}

/// Asks for the spots beside the files. <https://docs.github.com/en/rest/search/search#text-match-metadata>
const TEXT_MATCH: &str = "application/vnd.github.text-match+json";

/// Lines around a spot that stand in its fragment.
const AROUND: usize = 1;

/// The first spots of a file where the words stand, as GitHub shows them: two at the most.
fn matches(text: &str, needle: &str, url: &Value) -> Value {
    let (lines, wanted) = (text.lines().collect::<Vec<_>>(), needle.to_lowercase());
    let spots = lines.iter().enumerate().filter(|(_, line)| line.to_lowercase().contains(&wanted)).take(2);
    let spots = spots.map(|(at, _)| {
        let end = (at + AROUND + 1).min(lines.len());
        let fragment = lines[at.saturating_sub(AROUND)..end].join("\n");
        let from = fragment.to_lowercase().find(&wanted).unwrap_or(0);
        json!({"object_url": url, "object_type": "FileContent", "property": "content", "fragment": fragment,
            "matches": [{"text": needle, "indices": [from, from + needle.len()]}]})
    });
    spots.collect()
}

/// Words in the files of the default branches that the caller reads; `repo:` names one.
/// <https://docs.github.com/en/search-github/searching-on-github/searching-code>
fn search(ask: &mut Ask<'_>) -> Answer {
    let wanted = ask.asked("q").unwrap_or_default().to_owned();
    let (named, words): (Vec<&str>, Vec<&str>) =
        wanted.split_whitespace().partition(|word| word.contains(':'));
    if let Some(other) = named.iter().find(|word| !word.starts_with("repo:")) {
        ask.world.complain(format!("GET /search/code: the fake does not know {other}"));
        return Err(Refusal::invalid("Search", "q", "invalid"));
    }
    if words.is_empty() {
        return Err(Refusal::invalid("Search", "q", "missing"));
    }
    let needle = words.join(" ");
    let repos = named.iter().filter_map(|word| word.strip_prefix("repo:")?.split_once('/'));
    let repos: Vec<u64> = repos.filter_map(|(owner, name)| ask.world.find(owner, name)).collect();
    let mut items = Vec::new();
    for repo in ask.world.repos.values().filter(|repo| named.is_empty() || repos.contains(&repo.id)) {
        if ask.world.may(&ask.caller, repo.id, "contents", Level::Read).is_err() {
            continue;
        }
        for (path, blob) in repo.git.grep(&repo.default_branch, &needle) {
            let place = format!("/contents/{path}?ref={}", repo.default_branch);
            let mut item = json!({
                "name": path.rsplit('/').next(), "path": path, "sha": blob, "score": 1.0,
                "url": ask.world.at(repo, &place), "git_url": ask.world.at(repo, &format!("/git/blobs/{blob}")),
                "html_url": ask.world.page(repo, &format!("/blob/{}/{path}", repo.default_branch)),
                "repository": ask.world.minimal_repository(repo),
            });
            if ask.accept == TEXT_MATCH {
                let (_, bytes) = repo.git.file(&repo.default_branch, &path).unwrap_or_default();
                item["text_matches"] = matches(&String::from_utf8_lossy(&bytes), &needle, &item["url"]);
            }
            items.push(item);
        }
    }
    Ok(Reply::List(Some("items"), items))
}

/// <https://docs.github.com/en/rest/repos/contents#create-or-update-file-contents>
fn put_contents(ask: &mut Ask<'_>) -> Answer {
    let path = ask.param("path").to_owned();
    let message = ask.needed("Commit", "message")?;
    let content = ask.text("content").unwrap_or_default().replace('\n', "");
    let bytes = STANDARD.decode(content).map_err(|_| Refusal::said(422, "content is not valid Base64"))?;
    let branch = ask.text("branch").unwrap_or_else(|| ask.repo().default_branch.clone());
    let reference = format!("refs/heads/{branch}");
    let missing = || Refusal::said(404, &format!("Branch {branch} not found"));
    let old = ask.repo().refs.get(&reference).cloned().ok_or_else(missing)?;
    allowed(ask, &reference)?;
    let known = ask.repo().git.file(&old, &path).map(|(blob, _)| blob);
    match (&known, ask.text("sha")) {
        (Some(_), None) => return Err(Refusal::said(422, "Invalid request.\n\n\"sha\" wasn't supplied.")),
        (Some(blob), Some(said)) if *blob != said => {
            return Err(Refusal::said(409, &format!("{path} does not match {said}")));
        }
        _ => {}
    }
    let login = ask.world.login(&ask.actor);
    let email = format!("{login}@users.noreply.github.com");
    let git = &ask.repo().git;
    let commit = git.write(Some(&old), &[(&path, Some(&bytes))], &message, (&login, &email));
    git.update_ref(&reference, &commit);
    let (repo, actor) = (ask.repo, ask.actor.clone());
    ask.world.moved(repo, &actor, &reference, Some(&old), Some(&commit));
    let (blob, _) = ask.repo().git.file(&commit, &path).ok_or_else(Refusal::not_found)?;
    let content = bare(file_shape(ask, &path, &branch, &blob, &bytes));
    let written = ask.repo().git.commit(&commit).ok_or_else(Refusal::not_found)?;
    let shape = json!({"content": content, "commit": ask.world.git_commit(ask.repo(), &written)});
    Ok(Reply::Json(if known.is_some() { 200 } else { 201 }, shape))
}
