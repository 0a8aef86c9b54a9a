//! Who acts, proven: the passphrase, from a file, the environment or the terminal, for a session that one verb uses.

use std::path::Path;

use hyper::Method;
use qd_api::{Client, ClientError};
use qd_config::Loaded;
use qd_types::PersonId;
use secrecy::{ExposeSecret as _, SecretString};

use super::{explain, fleet_answer, fleet_client, fleet_post};
use crate::{
    cli::{Common, Who},
    context::{self, UserError},
    governed,
    people::{
        Roster,
        routes::ONE_VERB,
        words::{PersonView, Session, SignIn},
    },
};

/// Where a script puts the passphrase.
pub(super) const VARIABLE: &str = "QUARTERDECK_PASSPHRASE";

/// A session of somebody who gave their passphrase.
pub(super) struct Proven {
    /// Who.
    pub(super) person: PersonId,
    loaded: Loaded,
    token: String,
}

impl Proven {
    /// A client of the fleet itself.
    pub(super) async fn fleet(&self) -> Result<Client, UserError> {
        fleet_client(&self.loaded, Some(&self.token)).await
    }

    /// A client of the team.
    pub(super) fn team(&self, common: &Common) -> Result<Client, UserError> {
        context::client(common, &self.loaded, Some(self.token.clone()))
    }

    /// Ends the session. If that fails, it ends by itself within minutes.
    pub(super) async fn end(self) {
        if let Ok(mut client) = self.fleet().await {
            client.send(Method::POST, "/fleet/people/sign-out", Vec::new()).await.ok();
        }
    }
}

/// Asks `person`, or the person at this computer, for the passphrase, and signs in with it.
pub(super) async fn prove(
    common: &Common,
    person: Option<&PersonId>,
    file: Option<&Path>,
) -> Result<Proven, UserError> {
    let sources = context::sources(common)?;
    let loaded = context::load(&sources)?;
    let person = match person {
        Some(person) => person.clone(),
        None => context::me(&loaded, &sources.env)?,
    };
    let mut client = fleet_client(&loaded, None).await?;
    able(&mut client, &person).await?;
    let given = given(file, sources.env.get(VARIABLE))?;
    let passphrase = match given {
        Some(passphrase) => passphrase,
        None => ask(&format!("Passphrase of {person}: "))?,
    };
    let body = SignIn { person: person.clone(), passphrase: passphrase.expose_secret().to_owned() };
    let Session { token } = fleet_post(&mut client, "/fleet/people/sessions", &body).await?;
    Ok(Proven { person, loaded, token })
}

/// Asks for the passphrase and says whose it is, whether or not a fleet runs.
pub(super) async fn person(common: &Common, loaded: &Loaded, who: &Who) -> Result<PersonId, UserError> {
    let (person, file) = (who.person.as_ref(), who.passphrase_file.as_deref());
    if nothing_runs(loaded).await {
        return alone(common, person, file).await;
    }
    let proven = prove(common, person, file).await?;
    let person = proven.person.clone();
    proven.end().await;
    Ok(person)
}

/// The same where nothing runs: the file of people is looked into here.
pub(super) async fn alone(
    common: &Common,
    person: Option<&PersonId>,
    file: Option<&Path>,
) -> Result<PersonId, UserError> {
    let failed = |error: qd_people::PeopleError| UserError::from_error(&error);
    let sources = context::sources(common)?;
    let loaded = context::load(&sources)?;
    let (me, people) = context::household(&loaded, &sources.env)?;
    let person = person.cloned().unwrap_or(me);
    let roster = Roster::beside(&loaded.state_dir).await.map_err(failed)?;
    let people =
        governed::people(&loaded.state_dir, people).map_err(|error| UserError::from_error(&error))?;
    roster.seed(&people).await.map_err(failed)?;
    match roster.find(&person).await.map_err(failed)? {
        Some(known) if known.has_passphrase => {}
        Some(_) => {
            return Err(UserError::failed(format!(
                "{person} has no passphrase yet: quarterdeck person passphrase sets one"
            )));
        }
        None => return Err(UserError::failed(format!("nobody is known as {person} here"))),
    }
    let passphrase = match given(file, sources.env.get(VARIABLE))? {
        Some(passphrase) => passphrase,
        None => ask(&format!("Passphrase of {person}: "))?,
    };
    let session = roster.sign_in(&person, passphrase, "terminal", ONE_VERB).await.map_err(failed)?;
    roster.end_token(&person, session).await.map_err(failed)?;
    Ok(person)
}

/// Says what to do about somebody who has no passphrase to give.
pub(super) async fn able(client: &mut Client, person: &PersonId) -> Result<(), UserError> {
    let people: Vec<PersonView> =
        fleet_answer(client.send(Method::GET, "/fleet/people", Vec::new()).await.map_err(explain)?)?;
    match people.iter().find(|known| known.id == *person) {
        Some(known) if known.has_passphrase => Ok(()),
        Some(known) if known.state == "disabled" || known.state == "removed" => {
            Err(UserError::failed(format!("{person} is shut out: quarterdeck person list shows who is not")))
        }
        Some(known) if known.configured => Err(UserError::failed(format!(
            "{person} has no passphrase yet: open the link that quarterdeck up printed, or stop it and run \
             quarterdeck person passphrase"
        ))),
        Some(_) => Err(UserError::failed(format!(
            "{person} has no passphrase yet: take up the invitation, or ask an owner for another one"
        ))),
        None => Err(UserError::failed(format!(
            "nobody is known as {person} here: quarterdeck person list shows who there is"
        ))),
    }
}

/// A passphrase that was not typed: from a file, or from the environment.
pub(super) fn given(
    file: Option<&Path>,
    variable: Option<&String>,
) -> Result<Option<SecretString>, UserError> {
    let Some(file) = file else { return Ok(variable.map(|text| SecretString::from(text.as_str()))) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| UserError::failed(format!("{} can't be read: {error}", file.display())))?;
    Ok(Some(SecretString::from(text.trim_end_matches(['\r', '\n']))))
}

/// Asks in the terminal; what is typed is not shown.
pub(super) fn ask(question: &str) -> Result<SecretString, UserError> {
    let terminal = console::Term::stderr();
    if !can_ask() {
        return Err(UserError::failed(format!(
            "a passphrase is needed, and there is no terminal to ask in: use --passphrase-file FILE or {VARIABLE}"
        )));
    }
    let failed = |error: std::io::Error| UserError::failed(format!("the terminal can't be read: {error}"));
    terminal.write_str(question).map_err(failed)?;
    Ok(SecretString::from(terminal.read_secure_line().map_err(failed)?))
}

/// Whether there is a terminal to ask in.
pub(super) fn can_ask() -> bool {
    use std::io::IsTerminal as _;
    std::io::stdin().is_terminal() && console::Term::stderr().is_term()
}

/// Asks for a new passphrase, twice.
pub(super) fn ask_new(whose: &str) -> Result<SecretString, UserError> {
    let first =
        ask(&format!("New passphrase of {whose} (at least {} characters): ", qd_people::LEAST_CHARACTERS))?;
    if first.expose_secret().is_empty() {
        return Ok(first);
    }
    let second = ask("The same again: ")?;
    if first.expose_secret() == second.expose_secret() {
        Ok(first)
    } else {
        Err(UserError::failed("the two are not the same: nothing was changed"))
    }
}

/// Whether nothing answers, and so nothing runs.
pub(super) async fn nothing_runs(loaded: &Loaded) -> bool {
    let socket = |folder: std::path::PathBuf| qd_api::Target::Socket(folder.join("api.sock"));
    let teams =
        loaded.config.teams.iter().map(|team| crate::fleet::team_folder(&loaded.state_dir, team.id()));
    for folder in std::iter::once(loaded.state_dir.join("bot")).chain(teams) {
        let answer = Client::new(socket(folder), "", None).send(Method::GET, "/health", Vec::new()).await;
        if !matches!(answer, Err(ClientError::NotRunning { .. })) {
            return false;
        }
    }
    true
}
