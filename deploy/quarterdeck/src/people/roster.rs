//! `people.db`: who keeps it open, and what is asked of it.
//!
//! The process that runs the bot holds it. A process that runs one team alone reads beside it, and takes it over for the
//! moment of a write if nobody holds it. Nothing is kept in memory between two requests: who is shut out is out.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use qd_audit::{Actor, Archived, AuditError, Head, Retention};
use qd_engine::KnownPerson;
use qd_people::{
    By, Connection, Identity, PassphraseHash, People, PeopleError, Profile, Proof, Scope, Seed, Seeded,
    SignedIn, State, TokenKind, by_identity, by_token, find, list,
};
use qd_sqlite::{Db, DbError, Migration};
use qd_types::{Person, PersonId, Role};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;

use super::host::{CHAIN, Theirs};

const MIGRATIONS: &[Migration] =
    &[qd_audit::SCHEMA, qd_people::SCHEMA, qd_audit::WITNESSES, qd_people::SCHEMA_SERVICES];

/// How long to wait for a process that has the file for the moment of a write.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a browser stays signed in.
pub const SIGNED_IN: SignedDuration = SignedDuration::from_hours(30 * 24);

/// People, as this process knows them.
#[derive(Clone)]
pub struct Roster {
    path: PathBuf,
    held: Option<Db>,
    /// A connection that reads beside, between two requests: to open one costs more than to look somebody up.
    idle: Arc<Mutex<Option<Idle>>>,
}

/// A connection and the file that it was opened on: a restored one is another.
struct Idle {
    inode: u64,
    connection: Connection,
}

impl Roster {
    /// Opens the file below `state` and keeps it, for the process that runs the bot.
    pub async fn hold(state: &Path) -> Result<Self, PeopleError> {
        let path = state.join("people.db");
        let db = open(&path, PATIENCE).await?;
        let roster = Self { path, held: Some(db), idle: Arc::default() };
        roster.begin().await?;
        Ok(roster)
    }

    /// Looks into the file below `state` beside whoever holds it; makes it if it is not there.
    pub async fn beside(state: &Path) -> Result<Self, PeopleError> {
        let roster = Self { path: state.join("people.db"), held: None, idle: Arc::default() };
        if !roster.path.exists() {
            roster.begin().await?;
        }
        Ok(roster)
    }

    async fn begin(&self) -> Result<(), PeopleError> {
        self.write(|tx| qd_audit::begin(tx, CHAIN).map_err(|error| PeopleError::Host(error.into()))).await
    }

    /// Ticks after every change; `None` if another process makes them.
    pub fn changes(&self) -> Option<watch::Receiver<u64>> {
        self.held.as_ref().map(Db::commits)
    }

    /// Where the chain of people ends.
    pub async fn head(&self) -> Result<Head, PeopleError> {
        self.read(|c| qd_audit::head(c).map_err(|error| PeopleError::Host(error.into()))).await
    }

    /// Moves old rows of the chain to segment files in `folder`, and lets go of those that were kept long enough. Nothing
    /// happens where another process keeps the file.
    pub async fn archive(&self, folder: &Path, retention: Retention) -> Result<Archived, AuditError> {
        match &self.held {
            Some(db) => qd_audit::archive(db, folder, retention, &Actor::Bot, Timestamp::now()).await,
            None => Ok(Archived::default()),
        }
    }

    /// The state folder in which the file lies.
    pub fn state(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Where the database lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the trail itself needs written: a signature, an archived segment.
    pub(super) async fn trail<T, F>(&self, job: F) -> Result<T, PeopleError>
    where
        F: FnOnce(&Connection) -> Result<T, AuditError> + Send + 'static,
        T: Send + 'static,
    {
        self.write(|tx| job(tx).map_err(|error| PeopleError::Host(error.into()))).await
    }

    async fn read<T, F>(&self, query: F) -> Result<T, PeopleError>
    where
        F: FnOnce(&Connection) -> Result<T, PeopleError> + Send + 'static,
        T: Send + 'static,
    {
        match &self.held {
            Some(db) => db.read(query).await,
            None => {
                let (path, idle) = (self.path.clone(), Arc::clone(&self.idle));
                let work = move || {
                    let inode = fs::metadata(&path).map(|file| file.ino()).unwrap_or_default();
                    let kept = locked(&idle).take().filter(|kept| kept.inode == inode);
                    let connection = match kept {
                        Some(kept) => kept.connection,
                        None => qd_sqlite::read_only(&path)?,
                    };
                    let answer = query(&connection);
                    *locked(&idle) = Some(Idle { inode, connection });
                    answer
                };
                tokio::task::spawn_blocking(work).await.map_err(|_| DbError::Closed)?
            }
        }
    }

    async fn write<T, F>(&self, job: F) -> Result<T, PeopleError>
    where
        F: FnOnce(&Connection) -> Result<T, PeopleError> + Send + 'static,
        T: Send + 'static,
    {
        match &self.held {
            Some(db) => db.write(job).await,
            None => open(&self.path, PATIENCE).await?.write(job).await,
        }
    }

    /// One change, in one transaction, with its row in the audit chain.
    pub async fn change<T, F>(&self, by: By, job: F) -> Result<T, PeopleError>
    where
        F: FnOnce(&People<'_>) -> Result<T, PeopleError> + Send + 'static,
        T: Send + 'static,
    {
        self.change_of(by, Theirs::default(), job).await
    }

    /// Like [`Roster::change`], for somebody on whom `theirs` hangs.
    pub(super) async fn change_of<T, F>(&self, by: By, theirs: Theirs, job: F) -> Result<T, PeopleError>
    where
        F: FnOnce(&People<'_>) -> Result<T, PeopleError> + Send + 'static,
        T: Send + 'static,
    {
        let work = move |tx: &Connection| job(&People::new(tx, &theirs, by, Timestamp::now()));
        self.write(work).await
    }

    /// Whether a change could be made now. Nothing is changed.
    pub(super) async fn would<F>(&self, by: By, job: F) -> Result<(), PeopleError>
    where
        F: FnOnce(&People<'_>) -> Result<(), PeopleError> + Send + 'static,
    {
        let work = move |tx: &Connection| {
            tx.execute_batch("SAVEPOINT would")?;
            let would = job(&People::new(tx, &Theirs::default(), by, Timestamp::now()));
            tx.execute_batch("ROLLBACK TO would; RELEASE would")?;
            would
        };
        self.write(work).await
    }

    /// How many owners of the whole fleet are active.
    pub async fn owners(&self) -> Result<usize, PeopleError> {
        let owns = |profile: &Profile| profile.person(&[]).roles.contains(&Role::Owner);
        Ok(self.list().await?.iter().filter(|profile| owns(profile)).count())
    }

    /// Whether an invitation waits for them.
    pub(super) async fn has_invitation(&self, person: &PersonId) -> Result<bool, PeopleError> {
        let person = person.clone();
        self.read(move |connection| qd_people::has_invitation(connection, &person, Timestamp::now())).await
    }

    /// Brings the file in line with the configuration. Where another process keeps it, that is for that one to do.
    pub async fn seed(&self, people: &[Person]) -> Result<Seeded, PeopleError> {
        let seeds: Vec<Seed> =
            people.iter().map(|person| Seed { id: person.id.clone(), roles: person.roles.clone() }).collect();
        if self.held.is_none()
            && matches!(open(&self.path, Duration::ZERO).await, Err(DbError::Locked { .. }))
        {
            return Ok(Seeded::default());
        }
        self.change(By::Configuration, move |people| people.seed(&seeds)).await
    }

    /// Everybody who was not erased.
    pub async fn list(&self) -> Result<Vec<Profile>, PeopleError> {
        self.read(list).await
    }

    /// Everybody who may act, with every role that they have anywhere: the most that they can be. Which of these hold at
    /// some place, the door says. What is linked to them on other services counts for votes there.
    pub async fn active(&self) -> Result<Vec<KnownPerson>, PeopleError> {
        let profiles = self.list().await?.into_iter();
        let active = profiles.filter(|profile| profile.state == State::Active);
        Ok(active.map(|profile| known(&profile)).collect())
    }

    /// Looks into the file below `state` beside whoever holds it; `None` if it was not made yet. Makes nothing.
    pub fn look(state: &Path) -> Option<Self> {
        let path = state.join("people.db");
        path.exists().then(|| Self { path, held: None, idle: Arc::default() })
    }

    /// Somebody, in whatever state.
    pub async fn find(&self, person: &PersonId) -> Result<Option<Profile>, PeopleError> {
        let person = person.clone();
        self.read(move |connection| find(connection, &person)).await
    }

    /// Whose token or session it is.
    pub async fn by_token(&self, token: &str) -> Result<Option<SignedIn>, PeopleError> {
        let token = token.to_owned();
        self.read(move |connection| by_token(connection, &token, Timestamp::now())).await
    }

    /// The active person whom a service knows like that.
    pub async fn by_identity(&self, identity: Identity) -> Result<Option<Profile>, PeopleError> {
        self.read(move |connection| by_identity(connection, &identity)).await
    }

    /// All that is stored about somebody.
    pub async fn export(&self, person: &PersonId) -> Result<qd_people::Export, PeopleError> {
        let person = person.clone();
        self.read(move |connection| qd_people::export(connection, &person)).await
    }

    /// A session or a token for somebody who is active. Its text is stored nowhere.
    pub async fn make_token(
        &self,
        person: &PersonId,
        kind: TokenKind,
        label: &'static str,
        lasts: SignedDuration,
    ) -> Result<String, PeopleError> {
        let (by, person) = (By::Person(person.clone()), person.clone());
        let token = self.change(by, move |people| people.make_token(&person, kind, label, lasts)).await?;
        Ok(token.expose_secret().to_owned())
    }

    /// A token for a service account that acts on behalf of somebody who is active. Its text is stored nowhere.
    pub async fn make_service_token(
        &self,
        person: &PersonId,
        service: String,
        label: &'static str,
        lasts: SignedDuration,
    ) -> Result<String, PeopleError> {
        let (by, person) = (By::Person(person.clone()), person.clone());
        let job = move |people: &People<'_>| people.make_service_token(&person, &service, label, lasts);
        Ok(self.change(by, job).await?.expose_secret().to_owned())
    }

    /// Ends a session or a token.
    pub async fn end_token(&self, person: &PersonId, token: String) -> Result<(), PeopleError> {
        self.change(By::Person(person.clone()), move |people| people.end_token(&token)).await.map(drop)
    }

    /// A session for whoever knows the passphrase.
    pub async fn sign_in(
        &self,
        person: &PersonId,
        passphrase: SecretString,
        label: &'static str,
        lasts: SignedDuration,
    ) -> Result<String, PeopleError> {
        let proof = self.prove(person, passphrase).await?;
        let job = move |people: &People<'_>| {
            let profile = people.settle(proof)?;
            people.make_token(&profile.id, TokenKind::Session, label, lasts)
        };
        let token = self.change(By::Person(person.clone()), job).await?;
        Ok(token.expose_secret().to_owned())
    }

    async fn prove(&self, person: &PersonId, passphrase: SecretString) -> Result<Proof, PeopleError> {
        let (by, person) = (By::Person(person.clone()), person.clone());
        let attempt = self.change(by, move |people| people.attempt(&person)).await?;
        blocking(move || attempt.prove(&passphrase)).await
    }

    /// Takes up an invitation: sets the passphrase. Says who it is.
    pub async fn accept(&self, token: String, passphrase: SecretString) -> Result<Profile, PeopleError> {
        let hash = blocking(move || PassphraseHash::of(&passphrase)).await?;
        // Whose it is, and so who did it, is found by the token.
        self.change(By::Configuration, move |people| people.accept(&token, &hash)).await
    }

    /// Sets another passphrase, for whoever knows the one there is. Their sessions and tokens end.
    pub async fn change_passphrase(
        &self,
        person: &PersonId,
        old: SecretString,
        new: SecretString,
    ) -> Result<(), PeopleError> {
        let hash = blocking(move || PassphraseHash::of(&new)).await?;
        let proof = self.prove(person, old).await?;
        let job = move |people: &People<'_>| {
            let profile = people.settle(proof)?;
            let invitation = people.invite_again(&profile.id)?;
            people.accept(invitation.token.expose_secret(), &hash).map(drop)
        };
        self.change(By::Person(person.clone()), job).await
    }

    /// Sets the first passphrase of somebody who has none. For a state folder that nothing runs in: whoever writes there
    /// needs no leave.
    pub async fn first_passphrase(
        &self,
        person: &PersonId,
        passphrase: SecretString,
    ) -> Result<(), PeopleError> {
        let hash = blocking(move || PassphraseHash::of(&passphrase)).await?;
        let (by, person) = (By::Person(person.clone()), person.clone());
        let job = move |people: &People<'_>| {
            let invitation = people.invite_again(&person)?;
            people.accept(invitation.token.expose_secret(), &hash).map(drop)
        };
        self.change(by, job).await
    }

    /// An invitation for somebody whom the configuration names, to set a first passphrase with. `None` if they have one.
    pub async fn first_invitation(&self, person: &PersonId) -> Result<Option<String>, PeopleError> {
        let known = self.find(person).await?;
        if !known.is_some_and(|profile| profile.state == State::Active && !profile.has_passphrase) {
            return Ok(None);
        }
        let person = person.clone();
        let invitation = self.change(By::Configuration, move |people| people.invite_again(&person)).await?;
        Ok(Some(invitation.token.expose_secret().to_owned()))
    }
}

/// A user of this computer is not proven by that, so only what other services know is taken along.
fn known(profile: &Profile) -> KnownPerson {
    let linked = profile.identities.iter().filter(|identity| !matches!(identity, Identity::Local(_)));
    let identities = [format!("local:{}", profile.id)].into_iter().chain(linked.map(ToString::to_string));
    KnownPerson { person: profile.ceiling(), identities: identities.collect() }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The person with the roles that hold at a path: those of the fleet, and those of the team that it leads to.
pub fn person_at(profile: &Profile, path: &str) -> Person {
    let team = path.strip_prefix("/teams/").and_then(|rest| rest.split('/').next());
    let scopes: Vec<Scope> = team.and_then(|name| name.parse().ok()).map(Scope::Team).into_iter().collect();
    profile.person(&scopes)
}

/// Whether service accounts act on somebody's behalf: they have the rights of agents, which not everybody may lend. It is
/// asked at every request, so that a token is worth nothing once the role is gone.
pub fn lends_to_services(person: &Person) -> bool {
    person.roles.iter().any(|role| matches!(role, Role::Owner | Role::Manager))
}

/// Opens the file, and waits so long for a process that has it for the moment of a write.
async fn open(path: &Path, patience: Duration) -> Result<Db, DbError> {
    let begun = tokio::time::Instant::now();
    let db = loop {
        match Db::open(path, MIGRATIONS) {
            Err(DbError::Locked { .. }) if begun.elapsed() < patience => {
                tokio::time::sleep(PATIENCE / 40).await;
            }
            other => break other?,
        }
    };
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .map_err(|source| DbError::Open { path: path.to_owned(), source: source.into() })?;
    Ok(db)
}

async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, PeopleError> + Send + 'static,
) -> Result<T, PeopleError> {
    tokio::task::spawn_blocking(job).await.map_err(|_| DbError::Closed)?
}
