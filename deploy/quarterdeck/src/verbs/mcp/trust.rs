//! `mcp trust`: a person looks at what a repository's `.mcp.json` would start, and at the tools of servers, and trusts exactly
//! that. Another content, or another tool, is nobody's word.

use hyper::Method;
use jiff::Timestamp;
use qd_api::{Client, ClientError, Target};
use qd_approvals::inert;
use qd_config::{Loaded, Repository};
use qd_engine::{Principal, Request, Resource};
use qd_guard::proxy::{Found, Pins, Trust as Standing};
use qd_types::{Person, PersonId, RepositoryName, Ruling, Verb};

use super::{
    alone::Home,
    foreign::{LINE, show},
};
use crate::{
    cli::{Common, Trust},
    context::{self, UserError},
    fleet::{TRUSTED, team_folder},
    say,
    servers::{
        self,
        choice::{Choice, Of},
        declared::{Content, FILE},
        outside::Outside,
        trusted::{self, Trusted},
    },
    verbs::{Done, proof},
};

pub(super) async fn trust(common: &Common, asked: Trust) -> Done {
    // What is trusted is the fleet's: any team will do.
    let loaded = context::load(&context::sources(common)?)?;
    let team = common.team.as_ref().or_else(|| loaded.config.teams.first().map(|team| &team.name));
    let home = Home::open_for(common, team).await?;
    if let Some(name) = &asked.server {
        let server = home.loaded.config.mcp.servers.get(name);
        let server = server.and_then(|server| Outside::configured(name, server)).ok_or_else(|| {
            UserError::usage(format!("{name:?} is no server of others in [mcp.servers] of the configuration"))
        })?;
        let request = |person: &Person| {
            Request::new(Principal::Person(person.clone()), Verb::ConfigReload, Resource::Fleet)
        };
        return tools(common, &home, &asked, &server, &request).await;
    }
    let repository = named(&home, asked.repository.as_ref())?;
    let (name, target) = (&repository.name, &repository.target);
    let found = Content::on(&repository.path, target).await;
    let Some((commit, content)) = found.map_err(|error| UserError::failed(format!("{name}: {error}")))?
    else {
        say::line(&format!("{name} has no {FILE} on {target}: there is nothing to trust."));
        return Ok(());
    };
    let request = |person: &Person| {
        Request::new(Principal::Person(person.clone()), Verb::ServerTrust, Resource::Repository(name.clone()))
    };
    let mut trusted = Trusted::read(&home.loaded.state_dir).map_err(|error| UserError::from_error(&error))?;
    let declared = content.servers(name).map_err(|error| UserError::failed(format!("{name}: {error}")))?;
    say::line(&format!("{FILE} of {name} on {target}, at {}, SHA-256 {}", commit.short(), content.hash));
    let text = String::from_utf8_lossy(&content.bytes);
    text.lines().for_each(|line| say::line(&format!("  > {}", inert::plain(line, LINE))));
    for server in &declared {
        let what = match &server.outside {
            Ok(outside) => inert::plain(&outside.way.to_string(), LINE),
            Err(why) => format!("is not started: {why}"),
        };
        say::line(&format!("{}: {what}", inert::plain(&server.here, LINE)));
    }
    match trusted.of(name, &content) {
        trusted::Standing::Trusted(entry) => {
            say::line(&format!("{} trusted exactly this at {}.", entry.person, entry.at));
        }
        trusted::Standing::Changed(_) | trusted::Standing::New => {
            let person = proven(common, &home, &asked, &request).await?;
            trusted.trust(name, &content, person, Timestamp::now());
            trusted.write(&home.loaded.state_dir).map_err(|error| UserError::from_error(&error))?;
            say::line("Trusted as it is now. Another content starts nothing.");
        }
    }
    // As a run would have it: what is refused there is not looked at here.
    let mut choice = Choice::default();
    let of = Of { team: &home.team, repository: name, agent: "" };
    choice.declared(&home.loaded.config.mcp, of, &content, &trusted);
    choice.left_out.iter().for_each(|why| say::line(why));
    for server in choice.outside.values() {
        tools(common, &home, &asked, server, &request).await?;
    }
    Ok(())
}

fn named<'a>(home: &'a Home, name: Option<&RepositoryName>) -> Result<&'a Repository, UserError> {
    let all = &home.loaded.config.repositories;
    match (name, all.as_slice()) {
        (Some(name), _) => all.iter().find(|repository| repository.name == *name).ok_or_else(|| {
            UserError::usage(format!("there is no repository {name}: quarterdeck config show lists them"))
        }),
        (None, [only]) => Ok(only),
        (None, []) => {
            Err(UserError::failed("no repository is configured. In your repository, run: quarterdeck init"))
        }
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|repository| repository.name.as_str()).collect();
            Err(UserError::usage(format!("say which repository: {}", names.join(", "))))
        }
    }
}

/// Starts a server, shows its tools, and trusts what is new of them.
async fn tools(
    common: &Common,
    home: &Home,
    asked: &Trust,
    server: &Outside,
    request: &dyn Fn(&Person) -> Request,
) -> Done {
    let failed = |error: &dyn std::error::Error| UserError::from_error(error);
    let state = &home.loaded.state_dir;
    let file = servers::pins(state, &server.name);
    let mut pins = Pins::read(&file).map_err(|error| failed(&error))?;
    say::line(&format!("Tools of {}:", server.name));
    let place = servers::place(state, &server.name);
    let connected = server
        .connect(&place, &home.loaded.config.sandbox, state, pins.clone())
        .await
        .map_err(UserError::failed)?;
    let found = connected.proxy.found();
    found.iter().for_each(show);
    let new: Vec<&Found> =
        found.iter().filter(|found| found.trust != Standing::Pinned && found.refused.is_none()).collect();
    if new.is_empty() {
        say::line("There is nothing new to trust.");
        return Ok(());
    }
    proven(common, home, asked, request).await?;
    let names: Vec<String> = new
        .iter()
        .filter(|found| pins.trust(&found.tool))
        .map(|found| inert::plain(&found.tool.name, LINE))
        .collect();
    pins.write(&file).map_err(|error| failed(&error))?;
    tell(&home.loaded).await;
    say::line(&format!("Trusted as they are now: {}", names.join(", ")));
    Ok(())
}

/// Has whatever runs of the fleet look at once. What does not run looks when it starts.
async fn tell(loaded: &Loaded) {
    let teams = loaded.config.teams.iter().map(|team| team_folder(&loaded.state_dir, team.id()));
    for folder in std::iter::once(loaded.state_dir.join("bot")).chain(teams) {
        let mut client = Client::new(Target::Socket(folder.join("api.sock")), "", None);
        match client.send(Method::POST, TRUSTED, Vec::new()).await {
            Ok((status, _)) if status.is_success() => {}
            Err(ClientError::NotRunning { .. }) => {}
            Ok(_) | Err(_) => say::note("The fleet that runs knows it within seconds."),
        }
    }
}

/// A person who proved who they are, and may, as policy says. Where it asks for one person of some roles, it is they.
async fn proven(
    common: &Common,
    home: &Home,
    asked: &Trust,
    request: &dyn Fn(&Person) -> Request,
) -> Result<PersonId, UserError> {
    let id = proof::person(common, &home.loaded, &asked.who).await?;
    let policies = home.policies()?;
    let current = policies.current();
    let person = current.people().find(|known| known.person.id == id).map(|known| known.person.clone());
    let Some(person) = person else {
        return Err(UserError::failed(format!("nobody is known as {id} here")));
    };
    let request = request(&person);
    let refusal = match policies.permit(&request) {
        Ok(()) => return Ok(id),
        Err(refusal) => refusal,
    };
    if let Ruling::Ask(ask) = &refusal.decision.ruling {
        let enough = ask.requirement.count <= 1;
        if enough && person.roles.iter().any(|role| ask.requirement.roles.contains(role)) {
            return Ok(id);
        }
    }
    Err(UserError::failed(format!("{refusal} {}", refusal.help)))
}
