//! One decision of the policies, both looks at it, in a fleet of a thousand people and things.

use std::{hint::black_box, time::Instant};

use qd_engine::{Branch, Engine, Facts, KnownPerson, KnownTool, Principal, Request, Resource, Source};
use qd_types::{InstanceName, Person, Role, Ruling, Tier, Verb};

use crate::{Failure, figures::Figures};

/// People and things of each of five kinds: a thousand in all.
const EACH: usize = 200;
/// Decisions that are timed.
const SAMPLES: usize = 20_000;

/// Requests of every outcome, by turns.
pub fn decisions(figures: &mut Figures) -> Result<(), Failure> {
    let facts = facts()?;
    let engine = Engine::new(Source::Embedded, &facts, &[])?;
    let requests = requests(&facts)?;
    // The first denial makes the matrix; it is part of the start.
    let rulings: Vec<Ruling> = requests.iter().map(|request| engine.decide(request).ruling).collect();
    let asked = rulings.iter().filter(|ruling| matches!(ruling, Ruling::Ask(_))).count();
    if asked != requests.len() / 2 || !rulings.contains(&Ruling::Allow) {
        return Err("the requests are not decided as they should be".into());
    }
    let mut taken = Vec::with_capacity(SAMPLES);
    for request in requests.iter().cycle().take(SAMPLES) {
        let begun = Instant::now();
        black_box(engine.decide(black_box(request)));
        taken.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    taken.sort_by(f64::total_cmp);
    let p99 = *taken.get(SAMPLES * 99 / 100).ok_or("no samples")?;
    figures.add(
        "policy_decision_us_p99",
        p99,
        "us",
        SAMPLES,
        "both looks, 1000 people and things; at most 100",
    );
    Ok(())
}

fn facts() -> Result<Facts, Failure> {
    let mut facts = Facts::default();
    for number in 0..EACH {
        let team: InstanceName = format!("team-{number}").parse()?;
        let role = Role::ALL.get(number % Role::ALL.len()).copied().unwrap_or(Role::Viewer);
        // Everybody may be more than they say they are: only what is asserted counts.
        let person = Person { id: format!("person-{number}").parse()?, roles: vec![role, Role::Viewer] };
        facts.people.push(KnownPerson { person, identities: vec![format!("local:person-{number}")] });
        facts.agents.push((team.clone(), "agent".to_owned()));
        facts.teams.push(team);
        facts.repositories.push(format!("repository-{number}").parse()?);
        let tier = if number % 2 == 0 { Tier::Destroy } else { Tier::Read };
        facts.tools.push(KnownTool { server: "server".to_owned(), name: format!("tool-{number}"), tier });
    }
    Ok(facts)
}

/// Half are asked, a quarter is allowed and a quarter is denied.
fn requests(facts: &Facts) -> Result<Vec<Request>, Failure> {
    let mut requests = Vec::new();
    for number in (0..EACH).step_by(10) {
        let team = facts.teams.get(number).ok_or("no team")?.clone();
        let mut viewer = facts.people.get(number + 3).ok_or("no person")?.person.clone();
        viewer.roles = vec![Role::Viewer];
        let owner = facts.people.get(number).ok_or("no person")?.person.clone();
        let agent = || Principal::Agent { team: team.clone(), name: "agent".to_owned() };
        let branch = Branch {
            repository: facts.repositories.get(number).ok_or("no repository")?.clone(),
            name: "main".to_owned(),
            protected: true,
            paths: Some((0..20).map(|file| format!("src/module/file{file}.rs")).collect()),
        };
        let tool = Resource::Tool { server: "server".to_owned(), name: format!("tool-{number}") };
        requests.push(Request::new(agent(), Verb::Merge, Resource::Branch(branch)));
        requests.push(Request::new(agent(), Verb::ToolDestroy, tool));
        requests.push(Request::new(Principal::Person(owner), Verb::FeatureAdd, Resource::Team(team.clone())));
        requests.push(Request::new(Principal::Person(viewer), Verb::FeatureAdd, Resource::Team(team)));
    }
    Ok(requests)
}
