//! `person`: who may act. Changes need an owner's passphrase.

use hyper::Method;
use qd_types::PersonId;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::{Done, explain, fleet_answer, fleet_client, fleet_post, proof};
use crate::{
    cli::{Common, Person, PersonVerb},
    context::{self, UserError},
    governed,
    people::{
        Roster,
        words::{
            Accept, Accepted, Admission, ChangeLink, ChangeRole, Invite, NewPassphrase, PersonView, Said,
            Waits,
        },
    },
    say,
};

pub(super) async fn person(common: &Common, asked: Person) -> Done {
    let Person { verb, me, passphrase_file } = asked;
    let file = passphrase_file.as_deref();
    match verb {
        PersonVerb::List => return list(common).await,
        PersonVerb::Accept { token } => return accept(common, token, file).await,
        PersonVerb::Passphrase { new_file } => {
            return passphrase(common, me.as_ref(), file, new_file.as_deref()).await;
        }
        _ => {}
    }
    let proven = proof::prove(common, me.as_ref(), file).await?;
    let mut client = proven.fleet().await?;
    let done = change(common, &mut client, verb).await;
    proven.end().await;
    done
}

async fn change(common: &Common, client: &mut qd_api::Client, verb: PersonVerb) -> Done {
    match verb {
        PersonVerb::List | PersonVerb::Accept { .. } | PersonVerb::Passphrase { .. } => Ok(()),
        PersonVerb::Invite { person, name, roles, again } => {
            let roles = roles.into_iter().map(|scoped| (scoped.scope, scoped.role)).collect();
            let body = Invite { person: person.clone(), name, roles, again };
            let admission: Admission = fleet_post(client, "/fleet/people", &body).await?;
            if common.json {
                say::json(&admission);
                return Ok(());
            }
            let invited = match admission {
                Admission::Invited(invited) => invited,
                Admission::Waits(Waits { waits }) => {
                    say::line(&waits);
                    return Ok(());
                }
            };
            let until = invited.expires_at.strftime("%Y-%m-%d %H:%M UTC");
            say::line(&format!("{person} is invited. The link works once, until {until}:"));
            say::line(&invited.url);
            say::line(
                "At a terminal of this computer: quarterdeck person accept TOKEN, with what follows token=.",
            );
            if let Some(alone) = invited.alone {
                say::line(&alone);
            }
            Ok(())
        }
        PersonVerb::Role { person, role, take } => {
            let body = ChangeRole { scope: role.scope, role: role.role, take };
            say_done(common, client, &person, "role", &body).await
        }
        PersonVerb::Link { person, identity, unlink } => {
            say_done(common, client, &person, "link", &ChangeLink { identity, unlink }).await
        }
        PersonVerb::Disable { person } => say_done(common, client, &person, "disable", &()).await,
        PersonVerb::Remove { person } => say_done(common, client, &person, "remove", &()).await,
        PersonVerb::Erase { person } => say_done(common, client, &person, "erase", &()).await,
        PersonVerb::Export { person } => {
            let path = format!("/fleet/people/{person}/export");
            let answer = client.send(Method::GET, &path, Vec::new()).await.map_err(explain)?;
            let export: serde_json::Value = fleet_answer(answer)?;
            say::json(&export);
            Ok(())
        }
    }
}

async fn say_done(
    common: &Common,
    client: &mut qd_api::Client,
    person: &PersonId,
    what: &str,
    body: &impl Serialize,
) -> Done {
    let said: Said = fleet_post(client, &format!("/fleet/people/{person}/{what}"), body).await?;
    if common.json {
        say::json(&said);
    } else {
        say::line(said.text.trim_end());
    }
    Ok(())
}

async fn list(common: &Common) -> Done {
    let loaded = context::load(&context::sources(common)?)?;
    let mut client = fleet_client(&loaded, None).await?;
    let answer = client.send(Method::GET, "/fleet/people", Vec::new()).await.map_err(explain)?;
    let people: Vec<PersonView> = fleet_answer(answer)?;
    if common.json {
        say::json(&people);
    } else {
        people.iter().for_each(|person| say::line(&person.line()));
    }
    Ok(())
}

async fn accept(common: &Common, token: String, file: Option<&std::path::Path>) -> Done {
    let sources = context::sources(common)?;
    let loaded = context::load(&sources)?;
    let mut client = fleet_client(&loaded, None).await?;
    let passphrase = match proof::given(file, sources.env.get(proof::VARIABLE))? {
        Some(passphrase) => passphrase,
        None => proof::ask_new("yourself")?,
    };
    let body = Accept { token, passphrase: passphrase.expose_secret().to_owned() };
    let Accepted { person } = fleet_post(&mut client, "/fleet/people/accept", &body).await?;
    say::line(&format!("Welcome, {person}. Your passphrase is set: quarterdeck approve asks for it."));
    Ok(())
}

/// Changes the passphrase of whoever knows it. The first one is set where nothing runs: an agent could ask a running
/// fleet for it as well.
async fn passphrase(
    common: &Common,
    person: Option<&PersonId>,
    file: Option<&std::path::Path>,
    new_file: Option<&std::path::Path>,
) -> Done {
    let sources = context::sources(common)?;
    let loaded = context::load(&sources)?;
    let (me, people) = context::household(&loaded, &sources.env)?;
    let person = person.cloned().unwrap_or(me);
    let given = proof::given(file, sources.env.get(proof::VARIABLE))?;
    if proof::nothing_runs(&loaded).await {
        let roster =
            Roster::beside(&loaded.state_dir).await.map_err(|error| UserError::from_error(&error))?;
        let failed = |error: qd_people::PeopleError| UserError::from_error(&error);
        let people =
            governed::people(&loaded.state_dir, people).map_err(|error| UserError::from_error(&error))?;
        roster.seed(&people).await.map_err(failed)?;
        let known = roster.find(&person).await.map_err(failed)?;
        if known.is_some_and(|known| known.configured && !known.has_passphrase) {
            return first(&roster, &person, given).await;
        }
    }
    let mut client = fleet_client(&loaded, None).await?;
    proof::able(&mut client, &person).await?;
    let old = match given {
        Some(old) => old,
        None => proof::ask(&format!("Passphrase of {person} until now: "))?,
    };
    let new = match proof::given(new_file, None)? {
        Some(new) => new,
        None => proof::ask_new(person.as_str())?,
    };
    let body =
        NewPassphrase { person, old: old.expose_secret().to_owned(), new: new.expose_secret().to_owned() };
    let Said { text } = fleet_post(&mut client, "/fleet/people/passphrase", &body).await?;
    say::line(&text);
    Ok(())
}

/// Sets a first passphrase.
pub(super) async fn first(roster: &Roster, person: &PersonId, given: Option<SecretString>) -> Done {
    let passphrase = match given {
        Some(passphrase) => passphrase,
        None => proof::ask_new(person.as_str())?,
    };
    let set = roster.first_passphrase(person, passphrase).await;
    set.map_err(|error| UserError::from_error(&error))?;
    say::line(&format!("{person} has a passphrase now: quarterdeck approve asks for it."));
    Ok(())
}
