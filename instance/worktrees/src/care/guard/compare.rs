//! Two shots compared, in words. Pure: what the instance moved itself and what agents may do is given.

use std::collections::{BTreeMap, BTreeSet};

use qd_types::RunId;
use serde::{Deserialize, Serialize};

use super::{
    moves::{GONE, Moves},
    shot::{Held, Shot, Watched},
};
use crate::{
    Layout,
    layout::{BRANCHES, FORGE},
};

/// Something that an agent must not have done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Violation {
    /// What was touched: a path in the repository's mirror, or a reference.
    pub path: String,
    /// What became of it, with the path: "hooks/post-commit came".
    pub what: String,
    /// Whether it could harm others. Else it is a name of its own that was left where all runs see it, as
    /// `git stash` and `git tag` leave one.
    pub grave: bool,
    /// Whether it is as it was before.
    pub put_back: bool,
    /// Runs of the same repository whose agents worked at the same time: files don't say who it was.
    pub beside: Vec<RunId>,
}

/// A violation, and what would undo it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) violation: Violation,
    pub(super) undo: Option<Undo>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Undo {
    File { path: std::path::PathBuf, held: Option<Held> },
    Reference { name: String, back: Option<String>, from: Option<String> },
}

/// What is known besides the two shots.
#[derive(Debug)]
pub(super) struct Known<'a> {
    pub(super) layout: &'a Layout,
    /// The run's own branch, whole name.
    pub(super) branch: &'a str,
    pub(super) moves: &'a Moves,
    /// References that this run left before, and that it may go on with.
    pub(super) strays: &'a BTreeSet<String>,
    /// What other runs' worktrees say about where their heads were: the text of git's own log.
    pub(super) logs: &'a BTreeMap<RunId, String>,
}

pub(super) fn compare(before: &Shot, after: &Shot, known: &Known<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    known.files(before, after, &mut found);
    known.references(before, after, &mut found);
    let beside: Vec<RunId> = known.moves.guarded.iter().cloned().collect();
    for finding in &mut found {
        finding.violation.beside.clone_from(&beside);
    }
    found
}

impl Known<'_> {
    fn files(&self, before: &Shot, after: &Shot, found: &mut Vec<Finding>) {
        let moved = self.admins_that_move(before, after);
        for (name, at) in &after.admins {
            if !before.admins.contains_key(name) && !moved.contains(name) {
                let at = at.as_ref().map(|at| at.display().to_string());
                let at = at.unwrap_or_else(|| "a folder that it does not name".to_owned());
                let what = format!("worktrees/{name} came, a worktree at {at}");
                found.push(finding(format!("worktrees/{name}"), what, false, None));
            }
        }
        for name in before.admins.keys() {
            if !after.admins.contains_key(name) && !moved.contains(name) {
                let path = format!("worktrees/{name}");
                found.push(finding(path.clone(), format!("{path} went"), true, None));
            }
        }
        let names: BTreeSet<&String> = before.files.keys().chain(after.files.keys()).collect();
        for name in names {
            let (old, new) = (before.files.get(name), after.files.get(name));
            let admin = old.or(new).and_then(|watched| watched.admin.as_deref());
            let passed = admin.is_some_and(|admin| {
                let both = before.admins.contains_key(admin) && after.admins.contains_key(admin);
                // Said above, or the instance's own doing.
                !both || moved.contains(admin)
            });
            // Nobody here makes this file, for any worktree.
            let never = name.ends_with("/config.worktree");
            if same(old, new) || (passed && !(never && new.is_some())) || self.may_head(name, admin, before) {
                continue;
            }
            let undo = old.or(new).and_then(|watched| {
                let held = old.map(|old| old.held.clone());
                let can =
                    !matches!(held, Some(Held::File { content: None, .. } | Held::Folder | Held::Other));
                can.then(|| Undo::File { path: watched.path.clone(), held })
            });
            let what = format!("{name} {}", words(old, new));
            found.push(finding(name.clone(), what, true, undo));
        }
    }

    /// Registrations that the instance made, moved or removed itself.
    fn admins_that_move(&self, before: &Shot, after: &Shot) -> BTreeSet<String> {
        let folders = before.admins.iter().chain(&after.admins);
        let ours = folders.filter(|(name, at)| {
            let Some(at) = at else {
                // Half made when it was looked at: git names it before it says where it is.
                let named = [self.layout.worktrees().join(name), self.layout.checkouts().join(name)];
                let run = named.iter().find_map(|path| self.layout.reading(path));
                return run.is_some_and(|(run, _)| self.moves.runs.contains(&run));
            };
            match self.layout.reading(at) {
                Some((run, _)) => self.moves.runs.contains(&run),
                // Not a run's: something that the instance keeps ready.
                None => self.layout.holds(at),
            }
        });
        ours.map(|(name, _)| name.clone()).collect()
    }

    /// Another run's agent may stand where it likes in its own worktree.
    fn may_head(&self, name: &str, admin: Option<&str>, before: &Shot) -> bool {
        let Some(admin) = admin.filter(|_| name.ends_with("/HEAD")) else { return false };
        let at = before.admins.get(admin).and_then(Option::as_deref);
        let run = at.and_then(|at| self.layout.reading(at)).map(|(run, _)| run);
        run.is_some_and(|run| self.moves.guarded.contains(&run))
    }

    fn references(&self, before: &Shot, after: &Shot, found: &mut Vec<Finding>) {
        let names: BTreeSet<&String> = before.references.keys().chain(after.references.keys()).collect();
        for name in names {
            let (old, new) = (before.references.get(name), after.references.get(name));
            if old == new || name == self.branch || self.may_move(name, new, before, after) {
                continue;
            }
            let own_name =
                ["refs/heads/", "refs/tags/", "refs/notes/"].iter().any(|own| name.starts_with(own));
            let stray = name == "refs/stash" || self.strays.contains(name) || (old.is_none() && own_name);
            let what = match (old, new) {
                (None, Some(new)) => format!("{name} came, at {}", short(new)),
                (_, None) => format!("{name} went"),
                (Some(_), Some(new)) => format!("{name} was moved to {}", short(new)),
            };
            // The branch of a run whose agent works is its own to move: nothing is pulled from under it.
            let of_another =
                self.owner(name, before, after).is_some_and(|run| self.moves.guarded.contains(&run));
            let (back, from) = (old.cloned(), new.cloned());
            let undo = (!stray && !of_another).then(|| Undo::Reference { name: name.clone(), back, from });
            found.push(finding(name.clone(), what, !stray, undo));
        }
    }

    fn may_move(&self, name: &str, new: Option<&String>, before: &Shot, after: &Shot) -> bool {
        let to = new.map_or(GONE, String::as_str);
        if self.moves.has(name, to) || (!self.moves.fetching.is_empty() && name.starts_with(FORGE)) {
            return true;
        }
        let Some(run) = self.owner(name, before, after) else { return false };
        if !self.moves.guarded.contains(&run) {
            return false;
        }
        // Its own agent moved it, if its own worktree's log says so.
        let log = self.logs.get(&run).map_or("", String::as_str);
        match new {
            Some(new) => log.lines().any(|line| line.split(' ').nth(1) == Some(new)),
            None => log.contains(&format!("renamed {name} to ")),
        }
    }

    /// The run whose branch this is on record.
    fn owner(&self, name: &str, before: &Shot, after: &Shot) -> Option<RunId> {
        let pointed = format!("ref: {name}");
        let records = before.references.iter().chain(&after.references);
        records
            .filter(|(_, held)| **held == pointed)
            .find_map(|(record, _)| record.strip_prefix(BRANCHES)?.parse().ok())
    }
}

fn finding(path: String, what: String, grave: bool, undo: Option<Undo>) -> Finding {
    Finding { violation: Violation { path, what, grave, put_back: false, beside: Vec::new() }, undo }
}

fn same(old: Option<&Watched>, new: Option<&Watched>) -> bool {
    old.map(|watched| &watched.held) == new.map(|watched| &watched.held)
}

fn words(old: Option<&Watched>, new: Option<&Watched>) -> &'static str {
    match (old.map(|old| &old.held), new.map(|new| &new.held)) {
        (None, _) => "came",
        (_, None) => "went",
        (Some(Held::File { sha256: one, .. }), Some(Held::File { sha256: other, .. })) if one == other => {
            "has other permissions"
        }
        (Some(Held::File { .. }), Some(Held::Link { .. })) => "became a symbolic link",
        (Some(Held::File { .. }), Some(Held::Folder)) => "became a folder",
        _ => "was changed",
    }
}

/// The first seven digits of an id; other texts whole.
fn short(held: &str) -> &str {
    if held.len() >= 40 && held.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        held.get(..7).unwrap_or(held)
    } else {
        held.strip_prefix("ref: ").unwrap_or(held)
    }
}
