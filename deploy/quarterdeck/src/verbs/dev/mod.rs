//! `dev`: trying things out on this computer.

mod page;
mod thread;
mod typed;

use std::sync::Arc;

use qd_testkit::discord::{FakeDiscord, GUILD, TOKEN};
use qd_types::Role;

use super::Done;
use crate::{
    cli::{self, Common},
    context::{self, UserError},
    say,
};

/// Who is there if nobody says so, and nobody is configured.
const PEOPLE: [&str; 2] = ["ines=owner,manager", "omar=owner"];

/// Somebody of the guild.
struct Member {
    name: String,
    roles: Vec<Role>,
}

fn member(text: &str) -> Result<Member, UserError> {
    let wrong = |why: String| UserError::usage(format!("--person {text}: {why}"));
    let (name, roles) = text.split_once('=').unwrap_or((text, ""));
    let name: qd_types::PersonId =
        name.parse().map_err(|error: qd_types::IdError| wrong(error.to_string()))?;
    let roles = roles.split(',').filter(|role| !role.is_empty());
    let roles = roles.map(|role| role.parse().map_err(|error: qd_types::IdError| wrong(error.to_string())));
    Ok(Member { name: name.to_string(), roles: roles.collect::<Result<_, _>>()? })
}

/// Those who are named; else those of the configuration here; else two owners.
fn people(common: &Common, named: &[String]) -> Result<Vec<Member>, UserError> {
    if !named.is_empty() {
        return named.iter().map(|text| member(text)).collect();
    }
    let configured = context::load(&context::sources(common)?).map(|loaded| loaded.config.people);
    let configured = configured.unwrap_or_default().into_iter();
    let configured: Vec<Member> =
        configured.map(|person| Member { name: person.name.to_string(), roles: person.roles }).collect();
    if configured.is_empty() { PEOPLE.into_iter().map(member).collect() } else { Ok(configured) }
}

pub(super) async fn fake_discord(common: &Common, flags: cli::FakeDiscord) -> Done {
    let people = people(common, &flags.people)?;
    let failed = |error: std::io::Error| UserError::failed(format!("{}: {error}", flags.listen));
    let listener = tokio::net::TcpListener::bind(flags.listen).await.map_err(failed)?;
    let fake = Arc::new(FakeDiscord::by_hand(listener.local_addr().map_err(failed)?));
    // What people write in threads is heard, as where the intent for it is switched on.
    fake.let_read();
    let config = furnish(&fake, &people);
    say::line(&format!("A Discord of your own is at {}, until Ctrl-C. Nothing of it is kept.", fake.url()));
    say::line("Put this into quarterdeck.toml and start quarterdeck up with the token in its environment:");
    say::line(&format!("\n{config}"));
    say::line(&format!("    export QUARTERDECK_FAKE_TOKEN={TOKEN}"));
    for (id, name, _) in fake.members() {
        say::line(&format!("    quarterdeck person link {name} discord:{id}"));
    }
    fake.serve(listener, page::router(Arc::clone(&fake))).await.map_err(failed)
}

/// Channels, roles and people. What the configuration has to say of them.
fn furnish(fake: &FakeDiscord, people: &[Member]) -> String {
    let mut config = format!(
        "[discord]\napi = \"{}\"\nguild = \"{GUILD}\"\ntoken = {{ env = \"QUARTERDECK_FAKE_TOKEN\" }}\nthreads = \"all\"\n\n[discord.channels]\n",
        fake.url()
    );
    for name in ["dev", "alerts", "approvals"] {
        config.push_str(&format!("{name} = \"{}\"\n", fake.add_channel(name)));
    }
    config.push_str("\n[discord.roles]\n");
    let mut held: Vec<Role> = people.iter().flat_map(|member| member.roles.iter().copied()).collect();
    held.sort_unstable();
    held.dedup();
    let ids: Vec<(Role, u64)> = held.into_iter().map(|role| (role, fake.add_role(role.as_str()))).collect();
    for (role, id) in &ids {
        config.push_str(&format!("{role} = \"{id}\"\n"));
    }
    for member in people {
        let holds = ids.iter().filter(|(role, _)| member.roles.contains(role)).map(|(_, id)| *id);
        fake.add_member(&member.name, &holds.collect::<Vec<_>>());
    }
    config
}
