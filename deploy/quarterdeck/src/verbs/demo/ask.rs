//! Asking for approvals: in the terminal, on the page, or answered by `--yes`. Whoever comes first decides.

use std::{collections::BTreeSet, io::IsTerminal as _};

use qd_api::{ApprovalView, CastVote};
use qd_team::{Caller, Team};
use qd_types::Ballot;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines, Stdin},
    time::{Duration, timeout},
};

use super::progress::Progress;
use crate::{context::UserError, fleet::Fleet};

pub(super) struct Asking {
    yes: bool,
    terminal: Option<Lines<BufReader<Stdin>>>,
    told: BTreeSet<String>,
    asked: Option<(Team, ApprovalView)>,
    way: String,
    /// Who filed the features. They try to approve one themselves, once.
    requester: Option<Caller>,
}

impl Asking {
    pub(super) fn new(yes: bool, requester: Caller, port: u16, board: &str) -> Self {
        let interactive = !yes && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let way = format!(
            "Approve on the page: {board}\nFrom another computer: ssh -L {port}:127.0.0.1:{port} THIS-HOST, then the same address."
        );
        let terminal = interactive.then(|| BufReader::new(tokio::io::stdin()).lines());
        Self { yes, terminal, told: BTreeSet::new(), asked: None, way, requester: Some(requester) }
    }

    /// Looks what waits for a person, and asks for it once.
    pub(super) async fn look(
        &mut self,
        fleet: &Fleet,
        you: &Caller,
        progress: &mut Progress,
    ) -> Result<(), UserError> {
        let mut open = Vec::new();
        for team in &fleet.teams() {
            let inbox = team.approvals(you).await.map_err(|problem| UserError::failed(problem.detail))?;
            open.extend(
                inbox
                    .into_iter()
                    .filter(|view| view.approval.state.is_open() && !view.deciding)
                    .map(|view| (team.clone(), view)),
            );
        }
        if let Some((_, asked)) = &self.asked
            && !open.iter().any(|(_, view)| view.approval.id == asked.approval.id)
        {
            // Decided on the page meanwhile.
            self.asked = None;
        }
        for (team, view) in open {
            let fresh = self.told.insert(view.approval.id.key());
            if let Some(requester) = self.requester.take() {
                progress.say(&own_yes(&team, &requester, &view).await?);
            }
            if self.yes {
                if fresh {
                    progress.say(&format!("{}: approved as {} (--yes).", headline(&view), you.person.id));
                    vote(&team, you, &view, Ballot::Approve).await?;
                }
            } else if self.terminal.is_none() {
                if fresh {
                    progress.say(&format!("{}\n{}", headline(&view), self.way));
                }
            } else if self.asked.is_none() {
                progress.say(&format!(
                    "{}\n  Approve? [y]es, [n]o, or decide on the page, then Enter:",
                    headline(&view)
                ));
                self.asked = Some((team, view));
            }
        }
        self.hear(you, progress).await
    }

    /// Takes an answer from the terminal, if one was typed.
    async fn hear(&mut self, you: &Caller, progress: &mut Progress) -> Result<(), UserError> {
        let (Some(lines), Some((team, view))) = (&mut self.terminal, &self.asked) else { return Ok(()) };
        // `next_line` loses nothing when it is cancelled.
        let Ok(Ok(line)) = timeout(Duration::from_millis(10), lines.next_line()).await else { return Ok(()) };
        let Some(line) = line else {
            self.terminal = None;
            return Ok(());
        };
        let ballot = match line.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ballot::Approve,
            "n" | "no" => Ballot::Deny,
            "" => return Ok(()),
            other => {
                progress.say(&format!("  {other:?} is neither y nor n."));
                return Ok(());
            }
        };
        vote(team, you, view, ballot).await?;
        self.asked = None;
        Ok(())
    }
}

/// Whoever asked for a change says yes to it. That is refused, and the board says why.
async fn own_yes(team: &Team, requester: &Caller, view: &ApprovalView) -> Result<String, UserError> {
    let cast = CastVote::new(Ballot::Approve, &view.approval.digest, None);
    let (who, feature) = (&requester.person.id, &view.approval.subject.feature);
    match team.vote(requester, &view.approval.id.key(), cast).await {
        Err(problem) if problem.kind == "forbidden" => {
            Ok(format!("{who} says yes to {feature}, and is refused: {}", problem.detail))
        }
        Err(problem) => Err(UserError::failed(problem.detail)),
        Ok(_) => Err(UserError::failed(format!("{who} asked for {feature}, and could approve it"))),
    }
}

fn headline(view: &ApprovalView) -> String {
    let subject = &view.approval.subject;
    format!("{} ({}, {}). {}", view.title, subject.feature, subject.instance, view.facts)
}

async fn vote(team: &Team, you: &Caller, view: &ApprovalView, ballot: Ballot) -> Result<(), UserError> {
    let cast = CastVote::new(ballot, &view.approval.digest, None);
    match team.vote(you, &view.approval.id.key(), cast).await {
        Ok(_) => Ok(()),
        // Somebody was faster, on the page.
        Err(problem) if problem.kind == "refused" => Ok(()),
        Err(problem) => Err(UserError::failed(problem.detail)),
    }
}
