//! `policy`: check, explain, matrix, diff. They read the configuration and the policies themselves; nothing has to run.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use qd_config::Loaded;
use qd_engine::{Branch, Bundle, Matrix, Principal, Request, Resource, Severity, Source};
use qd_types::{Person, Ruling, Target, Verb};
use serde_json::json;

use crate::{
    cli::{Common, Explain, PolicyVerb},
    context::{self, UserError},
    governed::{self, Governed},
    policies::PolicyPlan,
    say,
};

/// The word for the policies that come with the program.
const DEFAULT: &str = "default";

pub(super) async fn policy(common: &Common, verb: PolicyVerb) -> Result<ExitCode, UserError> {
    match verb {
        PolicyVerb::Check { folder } => return check(common, folder).await,
        PolicyVerb::Explain(asked) => explain(common, &asked).await?,
        PolicyVerb::Matrix { folder } => {
            let source = match folder {
                Some(folder) => Source::Folder(folder),
                None => PolicyPlan::of(&context::load(&context::sources(common)?)?).source,
            };
            matrix(common, load(&source)?.matrix());
        }
        PolicyVerb::Diff { old, new } => diff(common, &old, &new)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn load(source: &Source) -> Result<Arc<Bundle>, UserError> {
    source.load().map_err(|error| UserError::from_error(&error))
}

async fn check(common: &Common, folder: Option<PathBuf>) -> Result<ExitCode, UserError> {
    let loaded = context::load(&context::sources(common)?)?;
    let mut plan = PolicyPlan::of(&loaded).with_people(&loaded.state_dir).await?;
    if let Some(folder) = folder {
        plan.source = Source::Folder(folder);
    }
    let policies = plan.engine()?.current();
    let findings = policies.check();
    let waits = governed::waits(&loaded.state_dir, &Governed::written(&loaded));
    let waits = waits.map_err(|error| UserError::from_error(&error))?;
    let failed = findings.iter().any(|finding| finding.severity == Severity::Error);
    if common.json {
        let rows = findings.iter().map(|finding| {
            json!({ "severity": finding.severity.as_str(), "place": finding.place, "text": finding.text })
        });
        let rows: Vec<_> = rows.collect();
        say::json(&json!({ "ok": !failed, "hash": policies.hash(), "findings": rows, "waits": waits }));
    } else {
        findings.iter().for_each(|finding| say::line(&finding.to_string()));
        if let Some(waits) = waits {
            say::line(&format!("note: {waits}"));
        }
        let word = if failed { "do not hold" } else { "hold" };
        say::line(&format!("The policies {word} ({}).", policies.hash().short()));
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn explain(common: &Common, asked: &Explain) -> Result<(), UserError> {
    let sources = context::sources(common)?;
    let loaded = context::load(&sources)?;
    let who = match &asked.who {
        Some(who) => who.clone(),
        None => context::me(&loaded, &sources.env)?.to_string(),
    };
    let plan = PolicyPlan::of(&loaded).with_people(&loaded.state_dir).await?;
    let principal = principal(&plan, &who)?;
    let resource = resource(&loaded, common, asked)?;
    let request = Request { team: common.team.clone(), ..Request::new(principal, asked.action, resource) };
    let policies = plan.engine()?.current();
    if common.json {
        say::json(&policies.decide(&request));
    } else {
        say::line(policies.explain(&request).trim_end());
    }
    Ok(())
}

fn principal(plan: &PolicyPlan, who: &str) -> Result<Principal, UserError> {
    let wrong = |error: &dyn std::error::Error| UserError::usage(format!("--as {who}: {error}"));
    if let Some(agent) = who.strip_prefix("agent:") {
        let (team, name) =
            agent.split_once('/').ok_or_else(|| UserError::usage("an agent is agent:TEAM/NAME"))?;
        let team = team.parse().map_err(|error| wrong(&error))?;
        return Ok(Principal::Agent { team, name: name.to_owned() });
    }
    if let Some(team) = who.strip_prefix("team:") {
        return Ok(Principal::Team(team.parse().map_err(|error| wrong(&error))?));
    }
    let id = who.parse().map_err(|error| wrong(&error))?;
    let known = plan.facts.people.iter().find(|known| known.person.id == id);
    let roles = known.map(|known| known.person.roles.clone()).unwrap_or_default();
    Ok(Principal::Person(Person { id, roles }))
}

fn resource(loaded: &Loaded, common: &Common, asked: &Explain) -> Result<Resource, UserError> {
    let Some(text) = &asked.resource else { return left_out(loaded, common, asked.action) };
    let wrong = |error: &dyn std::error::Error| UserError::usage(format!("{text}: {error}"));
    let forms = "fleet, team:NAME, repository:NAME, branch:REPOSITORY/NAME, tool:SERVER/NAME, server:NAME, host:NAME or vm:NAME";
    let unknown = || UserError::usage(format!("{text} is no resource: write {forms}"));
    if text == "fleet" {
        return Ok(Resource::Fleet);
    }
    let (kind, name) = text.split_once(':').ok_or_else(unknown)?;
    let pair = || name.split_once('/').ok_or_else(unknown);
    Ok(match kind {
        "team" => Resource::Team(name.parse().map_err(|error| wrong(&error))?),
        "repository" => Resource::Repository(name.parse().map_err(|error| wrong(&error))?),
        "branch" => {
            let (repository, branch) = pair()?;
            Resource::Branch(Branch {
                repository: repository.parse().map_err(|error| wrong(&error))?,
                name: branch.to_owned(),
                protected: asked.protected,
                paths: (!asked.paths.is_empty()).then(|| asked.paths.clone()),
            })
        }
        "tool" => {
            let (server, tool) = pair()?;
            Resource::Tool { server: server.to_owned(), name: tool.to_owned() }
        }
        "server" => Resource::Server(name.to_owned()),
        "host" => Resource::Host(name.to_owned()),
        "vm" => Resource::Vm(name.to_owned()),
        _ => return Err(unknown()),
    })
}

/// What an action is done to if the command line does not say.
fn left_out(loaded: &Loaded, common: &Common, action: Verb) -> Result<Resource, UserError> {
    match (action.target(), &common.team, loaded.config.teams.as_slice()) {
        (Target::Fleet, _, _) => Ok(Resource::Fleet),
        (Target::Team, Some(team), _) => Ok(Resource::Team(team.clone())),
        (Target::Team, None, [only]) => Ok(Resource::Team(only.name.clone())),
        (target, _, _) => {
            let form = match target {
                Target::Fleet => "fleet",
                Target::Team => "team:NAME",
                Target::Repository => "repository:NAME",
                Target::Branch => "branch:REPOSITORY/NAME",
                Target::Tool => "tool:SERVER/NAME",
                Target::Server => "server:NAME",
                Target::Host => "host:NAME",
                Target::Vm => "vm:NAME",
            };
            Err(UserError::usage(format!("say on what: policy explain {action} {form}")))
        }
    }
}

fn matrix(common: &Common, matrix: &Matrix) {
    if !common.json {
        return say::line(matrix.table().trim_end());
    }
    let rows = matrix.rows().iter().flat_map(|row| {
        matrix.columns().iter().zip(&row.cells).map(move |(column, cell)| {
            let ask = match &cell.ruling {
                Ruling::Ask(ask) => Some(ask),
                Ruling::Allow | Ruling::Deny { .. } => None,
            };
            json!({
                "action": row.verb, "on": row.thing, "who": column, "ruling": cell.ruling.as_str(), "ask": ask,
                "policy": cell.policy,
            })
        })
    });
    say::json(&rows.collect::<Vec<_>>());
}

fn diff(common: &Common, old: &Path, new: &Path) -> Result<(), UserError> {
    let side = |path: &Path| {
        let embedded = path == Path::new(DEFAULT) && !path.exists();
        load(&if embedded { Source::Embedded } else { Source::Folder(path.to_owned()) })
    };
    let (old, new) = (side(old)?, side(new)?);
    let text = old.matrix().diff(new.matrix());
    if common.json {
        let lines: Vec<&str> = text.lines().collect();
        say::json(&json!({ "old": old.hash(), "new": new.hash(), "changes": lines }));
    } else if text.is_empty() {
        say::line("Nobody's rights change.");
    } else {
        say::line(text.trim_end());
    }
    Ok(())
}
