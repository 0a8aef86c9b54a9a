//! `approvals`, `approve`, `deny`: what waits for people in all teams that run here. A decision needs the passphrase.

mod card;
mod decide;
mod watch;

use std::path::PathBuf;

use qd_api::{ApprovalView, Client, ClientError};
use qd_config::Loaded;
use qd_types::InstanceName;

use super::{Done, explain, mcp::Ledgers};
use crate::{
    cli::{Approvals, ApprovalsVerb, Common, ListFlags},
    context::{self, UserError},
    say,
};

pub(super) use decide::vote;

/// Shortest beginning of a key that is taken, as in the channels: the first ten characters are time.
const SHORTEST_KEY: usize = 6;

pub(super) async fn approvals(common: &Common, Approvals { verb, list: flags }: Approvals) -> Done {
    use qd_types::Ballot;
    match verb {
        None => list(common, &flags).await,
        Some(ApprovalsVerb::List(flags)) => list(common, &flags).await,
        Some(ApprovalsVerb::Show { id }) => show(common, &id).await,
        Some(ApprovalsVerb::Approve(ballot)) => vote(common, ballot, Ballot::Approve).await,
        Some(ApprovalsVerb::Deny(ballot)) => vote(common, ballot, Ballot::Deny).await,
        Some(ApprovalsVerb::Answer(answer)) => decide::answer(common, answer).await,
        Some(ApprovalsVerb::Reopen(reopen)) => decide::reopen(common, reopen).await,
        Some(ApprovalsVerb::Watch { bell }) => watch::watch(common, bell).await,
    }
}

/// An approval, and the team whose API has it.
struct Found {
    team: InstanceName,
    view: ApprovalView,
    /// The folder of the tool server that keeps it, if it is one's.
    ledger: Option<PathBuf>,
}

impl Found {
    fn is_open(&self) -> bool {
        self.view.approval.state.is_open()
    }

    fn key(&self) -> String {
        self.view.approval.id.key()
    }

    /// Whether the person at this computer is asked.
    fn is_mine(&self) -> bool {
        self.is_open() && self.view.refusal.is_none() && !self.view.deciding
    }

    /// Whether somebody means it by `id`: a feature, a whole id, or the beginning of a key.
    fn fits(&self, id: &str) -> bool {
        let wanted = id.rsplit('/').next().unwrap_or_default().to_ascii_uppercase();
        let feature = self.view.approval.subject.feature.to_string();
        feature == wanted || (wanted.len() >= SHORTEST_KEY && self.key().starts_with(&wanted))
    }
}

/// A client of each team that is meant: the one that was named, or all.
fn clients(common: &Common, loaded: &Loaded) -> Result<Vec<(InstanceName, Client)>, UserError> {
    let of = |name: &InstanceName| {
        let one = Common { team: Some(name.clone()), ..common.clone() };
        Ok((name.clone(), context::client(&one, loaded, None)?))
    };
    match &common.team {
        Some(name) => Ok(vec![of(name)?]),
        None => loaded.config.teams.iter().map(|team| of(&team.name)).collect(),
    }
}

/// The approvals of all teams that run here, and of the tool servers of whoever asks: open ones first, newest first.
async fn all(common: &Common) -> Result<Vec<Found>, UserError> {
    let loaded = context::load(&context::sources(common)?)?;
    let (mut found, mut heard, mut silent) = (Vec::new(), false, None);
    for (team, mut client) in clients(common, &loaded)? {
        match client.get::<Vec<ApprovalView>>("approvals").await {
            Ok(views) => {
                heard = true;
                found.extend(views.into_iter().map(|view| Found { team: team.clone(), view, ledger: None }));
            }
            Err(error @ ClientError::NotRunning { .. }) => silent = Some(error),
            Err(error) => return Err(explain(error)),
        }
    }
    let ledgers = Ledgers::look(common)?;
    let asked = ledgers.all().await?.into_iter();
    found.extend(asked.map(|(team, folder, view)| Found { team, view, ledger: Some(folder) }));
    if !heard && ledgers.is_empty() {
        return Err(silent.map_or_else(
            || UserError::failed("no team is configured here. In your repository, run: quarterdeck init"),
            explain,
        ));
    }
    sort(&mut found);
    Ok(found)
}

fn sort(found: &mut [Found]) {
    found.sort_by_key(|each| (!each.is_open(), std::cmp::Reverse(each.view.approval.requested_at)));
}

async fn list(common: &Common, flags: &ListFlags) -> Done {
    let mut found = all(common).await?;
    found.retain(|each| (flags.all || each.is_open()) && (!flags.mine || each.is_mine()));
    if common.json {
        say::json(&found.iter().map(|each| &each.view).collect::<Vec<_>>());
        return Ok(());
    }
    if found.is_empty() {
        let text = match (flags.mine, flags.all) {
            (true, _) => "Nothing waits for you.",
            (false, true) => "Nothing was asked yet.",
            (false, false) => "Nothing waits for people. What was decided: quarterdeck approvals --all",
        };
        say::line(text);
    }
    found.iter().for_each(|each| say::line(&card::line(each)));
    Ok(())
}

async fn show(common: &Common, id: &str) -> Done {
    let found = all(common).await?;
    let one = pick(&found, id)?;
    if common.json {
        say::json(&one.view);
    } else {
        say::line(&card::whole(one));
    }
    Ok(())
}

/// What somebody means: of several, the open one; of a feature's closed ones, the newest.
fn pick<'a>(found: &'a [Found], id: &str) -> Result<&'a Found, UserError> {
    let fit: Vec<&Found> = found.iter().filter(|each| each.fits(id)).collect();
    let open: Vec<&Found> = fit.iter().copied().filter(|each| each.is_open()).collect();
    match (open.as_slice(), fit.as_slice()) {
        ([one], _) | ([], [one]) => Ok(one),
        ([], []) if is_short(id) => Err(UserError::usage(format!(
            "{id:?} is neither a feature like A-142 nor at least {SHORTEST_KEY} characters of an approval's key"
        ))),
        ([], []) => Err(UserError::failed(format!(
            "nothing is asked under {id}. quarterdeck approvals lists what waits"
        ))),
        ([], [newest, ..]) if id.contains('-') => Ok(newest),
        (several, fit) => {
            let several = if several.is_empty() { fit } else { several };
            let keys: Vec<String> = several.iter().map(|each| each.key()).collect();
            Err(UserError::usage(format!("several approvals fit {id}, use a key: {}", keys.join(", "))))
        }
    }
}

/// Neither a feature nor enough of a key.
fn is_short(id: &str) -> bool {
    let last = id.rsplit('/').next().unwrap_or_default();
    last.len() < SHORTEST_KEY && last.parse::<qd_types::FeatureId>().is_err()
}
