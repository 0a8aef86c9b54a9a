//! Works deliveries off: in order, each told to the core once, after what GitHub knows about it was asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use qd_core::{
    Pipeline,
    chat::Scope,
    inbox::{Inbox, InboxError, News, Settled, Waiting},
    links::is_code,
    outside::{
        Actor, CheckNews, Ended, IssueNews, IssueText, Outside, ReviewNews, Spoken, Spot, Standing, Verdict,
    },
};
use qd_types::{CommitId, Identity, InstanceName, RepositoryName, Role};

use super::{
    comment::commands,
    excerpt::excerpt,
    facts::{FactError, Facts, Level, People, Reaction, roles},
    payload::{CheckRun, Payload, Repository, User},
    read::{Meaning, Run, meaning},
};
use crate::Place;

/// Times that a delivery is begun before it is left. The waits between them are together about ten minutes, after which what
/// it was about is found by reconciling.
const ATTEMPTS: u32 = 14;
/// The longest wait between two of them.
const LONGEST: Duration = Duration::from_secs(60);
/// After a failure of the database.
const PAUSE: Duration = Duration::from_secs(1);
/// Jobs of a workflow of which a run hears at once.
const JOBS: usize = 5;
/// Characters of a check's own words.
const WORDS: usize = 3000;

/// What is heard of GitHub, and of whom.
#[derive(Debug, Clone, Default)]
pub struct Hearing {
    /// Which repository of the fleet is which.
    pub repositories: BTreeMap<RepositoryName, Place>,
    /// The teams that work in each.
    pub teams: BTreeMap<RepositoryName, Vec<InstanceName>>,
    /// Which level at GitHub a role takes; a role that is not named is the fleet's word alone.
    pub roles: Vec<(Level, Role)>,
    /// Whether programs other than the bot may give commands.
    pub bots: bool,
    /// Whether commands are taken under pull requests from other repositories.
    pub forks: bool,
    /// Whether an approving review counts as a vote.
    pub reviews_vote: bool,
}

/// Works deliveries off.
pub struct Worker {
    pub(crate) hearing: Hearing,
    pub(crate) inbox: Arc<dyn Inbox>,
    pub(crate) facts: Arc<dyn Facts>,
    people: Arc<dyn People>,
    /// Repositories whose ids are noted.
    noted: Mutex<BTreeSet<u64>>,
}

/// Why a delivery is not worked off now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Delay {
    /// GitHub or the people's list can't be asked.
    #[error("{0}")]
    Later(String),
    /// The inbox.
    #[error(transparent)]
    Inbox(#[from] InboxError),
}

impl From<FactError> for Delay {
    fn from(error: FactError) -> Self {
        Self::Later(error.to_string())
    }
}

/// What became of a delivery, and what is told of it.
pub(crate) struct Became {
    pub(crate) settled: Settled,
    pub(crate) words: String,
    pub(crate) news: Vec<News>,
}

impl Became {
    fn nothing(words: impl Into<String>) -> Self {
        Self { settled: Settled::Done, words: words.into(), news: Vec::new() }
    }

    fn ignored(words: impl Into<String>) -> Self {
        Self { settled: Settled::Ignored, words: words.into(), news: Vec::new() }
    }

    fn told(words: impl Into<String>, key: Option<String>, what: Outside) -> Self {
        Self { settled: Settled::Done, words: words.into(), news: vec![News { key, what }] }
    }
}

/// What GitHub does not have or show is as it is; all else is tried again.
fn known<T>(fact: Result<T, FactError>) -> Result<Option<T>, Delay> {
    match fact {
        Ok(fact) => Ok(Some(fact)),
        Err(FactError::Gone(why)) => {
            tracing::debug!(why, "GitHub does not say");
            Ok(None)
        }
        Err(later) => Err(later.into()),
    }
}

impl Worker {
    /// A worker.
    pub fn new(
        hearing: Hearing,
        inbox: Arc<dyn Inbox>,
        facts: Arc<dyn Facts>,
        people: Arc<dyn People>,
    ) -> Self {
        Self { hearing, inbox, facts, people, noted: Mutex::default() }
    }

    /// Works off what comes, until the task is dropped.
    pub async fn run(self: Arc<Self>) {
        loop {
            match self.inbox.next().await {
                Ok(waiting) => self.one(waiting).await,
                Err(error) => {
                    tracing::error!(%error, "deliveries of GitHub can't be read");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn one(&self, waiting: Waiting) {
        let Waiting { place, attempts, delivery } = waiting;
        let became = match self.judge(&delivery.kind, &delivery.body).await {
            Ok(became) => became,
            Err(delay) if attempts < ATTEMPTS => {
                tracing::warn!(delivery = delivery.id, attempts, why = %delay, "a delivery waits");
                tokio::time::sleep(Duration::from_millis(250 << attempts.min(8)).min(LONGEST)).await;
                return;
            }
            Err(delay) => {
                tracing::error!(delivery = delivery.id, why = %delay, "a delivery is left: it is found by reconciling");
                Became { settled: Settled::Left, words: delay.to_string(), news: Vec::new() }
            }
        };
        let Became { settled, words, news } = became;
        tracing::info!(
            delivery = delivery.id,
            event = delivery.kind,
            became = words,
            "a delivery is worked off"
        );
        if let Err(error) = self.inbox.settle(place, settled, &words, news).await {
            tracing::error!(delivery = delivery.id, %error, "what a delivery says could not be stored");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What becomes of a delivery.
    pub(crate) async fn judge(&self, kind: &str, body: &[u8]) -> Result<Became, Delay> {
        match serde_json::from_slice::<Payload>(body) {
            Ok(payload) => self.judge_payload(kind, &payload).await,
            Err(error) => Ok(Became::ignored(format!("it is not read: {error}"))),
        }
    }

    async fn judge_payload(&self, kind: &str, payload: &Payload) -> Result<Became, Delay> {
        let meaning = meaning(kind, payload);
        match &meaning {
            Meaning::Nothing(why) => return Ok(Became::nothing(*why)),
            Meaning::Unknown => return Ok(Became::ignored("it is not known here")),
            Meaning::Access { owner, names, lost } => return Ok(self.access(owner, names, *lost)),
            _ => {}
        }
        let Some(repository) = &payload.repository else {
            return Ok(Became::ignored("it names no repository"));
        };
        let before = match &meaning {
            Meaning::Renamed { before } => before.as_deref(),
            _ => None,
        };
        let Some(name) = self.name(repository, before).await? else {
            return Ok(Became::nothing("it is of no repository of this fleet"));
        };
        let by = payload.sender.clone().unwrap_or_default();
        match meaning {
            Meaning::Issue { number, done, text, mark } => {
                if self.facts.is_own(&by.login, None).await? {
                    return Ok(Became::nothing("the bot did it itself"));
                }
                self.issue(&name, (number, done, text), mark, &by).await
            }
            Meaning::Comment { number, id, body, by, issue, app } => {
                self.comment(&name, (number, id), &body, &by, issue, app).await
            }
            Meaning::Review { number, id, head, verdict, body, by } => {
                self.review(&name, (number, id), (head, verdict, body), &by).await
            }
            Meaning::Run(run) => self.ended_run(&name, &run).await,
            Meaning::Check(check) => self.check(&name, *check).await,
            Meaning::Status { id, sha, name: check, summary, url } => {
                let id = format!("status/{id}");
                self.red(&name, id, &sha, check, (summary, String::new()), url, None).await
            }
            Meaning::Ran { kind, name: what, commit, passed, url } => {
                let words = format!("{what} ran on {}", commit.short());
                let pipeline = Pipeline { repository: name, kind, name: what };
                Ok(Became::told(words, None, Outside::Ran { pipeline, commit, passed, url }))
            }
            Meaning::Renamed { .. } => {
                Ok(self.standing(&name, Standing::Renamed { to: repository.full_name.clone() }))
            }
            Meaning::Transferred => {
                Ok(self.standing(&name, Standing::Transferred { to: repository.full_name.clone() }))
            }
            Meaning::Deleted => Ok(self.standing(&name, Standing::Deleted)),
            Meaning::Nothing(_) | Meaning::Unknown | Meaning::Access { .. } => {
                Ok(Became::nothing("nothing is made of it"))
            }
        }
    }

    /// Which repository of the fleet it is: by its name, or by its id where it had that name before.
    async fn name(
        &self,
        repository: &Repository,
        before: Option<&str>,
    ) -> Result<Option<RepositoryName>, Delay> {
        let key = format!("github/repository/{}", repository.id);
        let called = self.called(&repository.full_name).or_else(|| self.called(before?));
        let Some(name) = called else {
            let noted = self.inbox.noted(&key).await?;
            let noted = noted.and_then(|name| name.parse().ok());
            return Ok(noted.filter(|name| self.hearing.repositories.contains_key(name)));
        };
        let known = self.noted.lock().unwrap_or_else(PoisonError::into_inner).contains(&repository.id);
        if !known && repository.id != 0 {
            self.inbox.note(&key, name.as_str()).await?;
            self.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(repository.id);
        }
        Ok(Some(name))
    }

    fn called(&self, full: &str) -> Option<RepositoryName> {
        let mut all = self.hearing.repositories.iter();
        all.find(|(_, place)| place.to_string().eq_ignore_ascii_case(full)).map(|(name, _)| name.clone())
    }

    fn standing(&self, name: &RepositoryName, standing: Standing) -> Became {
        let teams = self.hearing.teams.get(name).cloned().unwrap_or_default();
        let what = Outside::Repository { repository: name.clone(), teams, standing };
        Became::told(format!("{name} stands otherwise"), None, what)
    }

    /// The App may reach repositories, or may not any more.
    fn access(&self, owner: &str, names: &[String], lost: Option<&'static str>) -> Became {
        let is_meant = |place: &Place| {
            let named = names.iter().any(|name| name.eq_ignore_ascii_case(&place.to_string()));
            named || (names.is_empty() && place.owner().eq_ignore_ascii_case(owner))
        };
        let meant = self.hearing.repositories.iter().filter(|(_, place)| is_meant(place));
        let standing = || lost.map_or(Standing::Back, |why| Standing::Lost { why: why.to_owned() });
        let news: Vec<News> = meant.flat_map(|(name, _)| self.standing(name, standing()).news).collect();
        let words = format!(
            "{} of this fleet are reached {}",
            news.len(),
            if lost.is_some() { "no more" } else { "now" }
        );
        Became { settled: Settled::Done, words, news }
    }

    /// Who did it, with the roles that count there now.
    pub(crate) async fn actor(&self, name: &RepositoryName, login: &str) -> Result<(Actor, Level), Delay> {
        let login = login.to_ascii_lowercase();
        let person = self.people.by_login(&login).await.map_err(Delay::Later)?;
        // Nobody without an account is asked about.
        let level = if login.is_empty() {
            Level::None
        } else {
            known(self.facts.level(name, &login).await)?.unwrap_or(Level::None)
        };
        let person = person.map(|mut person| {
            person.roles = roles(&self.hearing.roles, &person.roles, level);
            person
        });
        let account = Identity { service: "github".to_owned(), account: login };
        Ok((Actor { account, person }, level))
    }

    pub(crate) async fn issue(
        &self,
        name: &RepositoryName,
        (number, done, issue): (u64, qd_core::outside::Done, IssueText),
        mark: String,
        by: &User,
    ) -> Result<Became, Delay> {
        if by.is_bot() && !self.hearing.bots {
            return Ok(Became::nothing("a program did it"));
        }
        let (by, _) = self.actor(name, &by.login).await?;
        let at = Spot { repository: name.clone(), number };
        let words = format!("{at}: {done:?}");
        let news = IssueNews { id: mark, at, done, issue, by };
        Ok(Became::told(words, None, Outside::Issue(Box::new(news))))
    }

    pub(crate) async fn comment(
        &self,
        name: &RepositoryName,
        (number, id): (u64, u64),
        body: &str,
        by: &User,
        issue: Option<IssueText>,
        app: Option<u64>,
    ) -> Result<Became, Delay> {
        if crate::mark::is_marked(body) || self.facts.is_own(&by.login, app).await? {
            return Ok(Became::nothing("the bot wrote it itself"));
        }
        let own_name = self.facts.name().await?;
        let mut said = commands(body, &own_name);
        if said.is_empty() {
            return Ok(Became::nothing("it is no command"));
        }
        if by.is_bot() && !self.hearing.bots {
            return Ok(Became::nothing("a program commands nothing here"));
        }
        let fork = !self.hearing.forks && issue.is_none();
        if fork && known(self.facts.is_from_fork(name, number).await)?.unwrap_or(true) {
            return Ok(Became::nothing("nothing is commanded from a fork"));
        }
        let (by, _) = self.actor(name, &by.login).await?;
        let text = said.swap_remove(0);
        let more = !said.is_empty();
        if by.person.is_none() && !is_code(&text) {
            known(self.facts.react(name, id, Reaction::Confused).await)?;
            // Whoever is nobody here is told so once, wherever they write.
            let key = format!("github/stranger/{}", by.account.account);
            if self.inbox.noted(&key).await?.is_some() {
                return Ok(Became::nothing(format!("{} is nobody here", by.account)));
            }
            self.inbox.note(&key, "told").await?;
        } else {
            known(self.facts.react(name, id, Reaction::Eyes).await)?;
        }
        let spoken = Spoken {
            at: Spot { repository: name.clone(), number },
            comment: id.to_string(),
            text,
            by,
            more,
            issue,
            scope: Scope::Only(self.hearing.teams.get(name).cloned().unwrap_or_default()),
        };
        let words = format!("a command of {}", spoken.by.account);
        Ok(Became::told(words, Some(format!("comment/{name}/{id}")), Outside::Command(Box::new(spoken))))
    }

    pub(crate) async fn review(
        &self,
        name: &RepositoryName,
        (number, id): (u64, u64),
        (head, verdict, text): (CommitId, Verdict, String),
        by: &User,
    ) -> Result<Became, Delay> {
        if self.facts.is_own(&by.login, None).await? || crate::mark::is_marked(&text) {
            return Ok(Became::nothing("the bot wrote it itself"));
        }
        if by.is_bot() && !self.hearing.bots {
            return Ok(Became::nothing("a program reviews nothing here"));
        }
        let mut comments = known(self.facts.remarks(name, number, id).await)?.unwrap_or_default();
        comments.retain(|remark| !crate::mark::is_marked(&remark.text));
        if verdict == Verdict::Commented && comments.is_empty() && text.trim().is_empty() {
            return Ok(Became::nothing("the review says nothing"));
        }
        let (by, _) = self.actor(name, &by.login).await?;
        let words = format!("a review of {}", by.account);
        let review = ReviewNews {
            id: id.to_string(),
            at: Spot { repository: name.clone(), number },
            head,
            by,
            verdict,
            text,
            comments,
            votes: self.hearing.reviews_vote,
        };
        Ok(Became::told(words, Some(format!("review/{name}/{id}")), Outside::Review(Box::new(review))))
    }

    /// What is red runs once more, and is then either flaky, or red for whoever wrote the change.
    async fn ended_run(&self, name: &RepositoryName, run: &Run) -> Result<Became, Delay> {
        let key = format!("github/again/{name}/{}", run.id);
        let before = self.inbox.noted(&key).await?;
        if run.passed && (run.attempt < 2 || before.is_none()) {
            return Ok(Became::nothing("what is green is asked for when it matters"));
        }
        let sha = run.commit.as_str();
        let Some(number) = known(self.facts.pull_request_of(name, sha).await)?.flatten() else {
            return Ok(Became::nothing("it is of no open pull request"));
        };
        let at = Spot { repository: name.clone(), number };
        let news = |id: String, name: String, ended, summary, excerpt, url| {
            let key = Some(format!("{id}/{}/{ended:?}", at.repository));
            let commit = run.commit.clone();
            let check = CheckNews { id, at: at.clone(), commit, name, ended, summary, excerpt, url };
            News { key, what: Outside::Check(Box::new(check)) }
        };
        if run.passed {
            let names = before.unwrap_or_default();
            let flaky = names.lines().map(|job| {
                news(
                    format!("run/{}/{job}", run.id),
                    job.to_owned(),
                    Ended::Flaky,
                    String::new(),
                    String::new(),
                    None,
                )
            });
            let news: Vec<News> = flaky.collect();
            return Ok(Became { settled: Settled::Done, words: format!("{} are flaky", news.len()), news });
        }
        let red = known(self.facts.red_jobs(name, run.id).await)?.unwrap_or_default();
        if run.attempt < 2 && before.is_none() {
            let names: Vec<&str> = red.iter().map(|job| job.name.as_str()).collect();
            // Noted first: after a crash it is red at worst, and never run twice.
            self.inbox.note(&key, &names.join("\n")).await?;
            if known(self.facts.run_again(name, run.id).await)?.is_some() {
                return Ok(Became::nothing(format!("{} run once more", names.len())));
            }
        }
        let mut told = Vec::new();
        for job in red.into_iter().take(JOBS) {
            let log = known(self.facts.log(name, job.id).await)?.unwrap_or_default();
            let failed = |step: String| format!("It failed in: {step}");
            let summary = job.step.map_or_else(|| "It failed.".to_owned(), failed);
            told.push(news(format!("job/{}", job.id), job.name, Ended::Red, summary, excerpt(&log), job.url));
        }
        Ok(Became { settled: Settled::Done, words: format!("{} are red on {at}", told.len()), news: told })
    }

    async fn check(&self, name: &RepositoryName, check: CheckRun) -> Result<Became, Delay> {
        if self.facts.is_own("", check.app.as_ref().map(|app| app.id)).await? {
            return Ok(Became::nothing("it is the bot's own check"));
        }
        let number = check.pull_requests.first().map(|pull| pull.number);
        let cut = |text: Option<String>| -> String { text.unwrap_or_default().chars().take(WORDS).collect() };
        let excerpt = [cut(check.output.summary), cut(check.output.text)].join("\n\n");
        let summary = check.output.title.unwrap_or_else(|| "It failed.".to_owned());
        let (id, url) = (format!("check/{}", check.id), check.details_url.or(check.html_url));
        let said = (summary, excerpt.trim().to_owned());
        self.red(name, id, &check.head_sha, check.name, said, url, number).await
    }

    #[expect(clippy::too_many_arguments, reason = "a red check is all of this, from two kinds of events")]
    async fn red(
        &self,
        name: &RepositoryName,
        id: String,
        sha: &str,
        check: String,
        (summary, excerpt): (String, String),
        url: Option<String>,
        number: Option<u64>,
    ) -> Result<Became, Delay> {
        let number = match number {
            Some(number) => Some(number),
            None => known(self.facts.pull_request_of(name, sha).await)?.flatten(),
        };
        let (Some(number), Ok(commit)) = (number, sha.parse()) else {
            return Ok(Became::nothing("it is of no open pull request"));
        };
        let at = Spot { repository: name.clone(), number };
        let words = format!("{check} is red on {at}");
        let key = Some(format!("{id}/{name}"));
        let ended = Ended::Red;
        let news = CheckNews { id, at, commit, name: check, ended, summary, excerpt, url };
        Ok(Became::told(words, key, Outside::Check(Box::new(news))))
    }
}
