//! Trial merges of many pairs of commits at once, in memory: one git for all of them, no working tree, no index. What
//! two changes have in common is looked at first, so that most pairs cost nothing.

use std::collections::{BTreeSet, HashMap};

use qd_types::CommitId;

use crate::{GitError, Repo, names::commit_id};

impl Repo {
    /// Merges each pair by its merge base; gives the paths in conflict of each, sorted, none where it merges. Pairs
    /// without a common commit conflict in nothing that can be named, and are left out as if they merged.
    pub async fn conflicts(&self, pairs: &[(CommitId, CommitId)]) -> Result<Vec<Vec<String>>, GitError> {
        let mut related = Vec::new();
        for (index, (one, other)) in pairs.iter().enumerate() {
            if one != other && self.merge_base(one, other).await?.is_some() {
                related.push(index);
            }
        }
        let mut found = vec![Vec::new(); pairs.len()];
        if related.is_empty() {
            return Ok(found);
        }
        let lines: String = related
            .iter()
            .filter_map(|index| pairs.get(*index))
            .map(|(one, other)| format!("{one} {other}\n"))
            .collect();
        let call = self.call(["merge-tree", "--write-tree", "--stdin", "--name-only", "--no-messages", "-z"]);
        let text = self.git.text(call.stdin(lines)).await?;
        // For each pair: a number (0: conflict, 1: clean), the tree, the paths, and an empty part.
        let mut parts = text.split('\0');
        for index in related {
            let unreadable = |text: &str| GitError::Parse { what: "a trial merge", text: text.to_owned() };
            let status = parts.next().unwrap_or_default();
            let tree = parts.next().unwrap_or_default();
            commit_id(tree).map_err(|_| unreadable(tree))?;
            let mut files: Vec<String> =
                parts.by_ref().take_while(|part| !part.is_empty()).map(str::to_owned).collect();
            files.sort();
            files.dedup();
            match (status, found.get_mut(index)) {
                ("1", _) => {}
                ("0", Some(place)) => *place = files,
                _ => return Err(unreadable(status)),
            }
        }
        Ok(found)
    }

    /// The folders in which each head has changed something since it left the target.
    pub async fn changed_folders(
        &self,
        heads: &[CommitId],
        target: &CommitId,
    ) -> Result<HashMap<CommitId, BTreeSet<String>>, GitError> {
        let mut folders = HashMap::new();
        for head in heads {
            let Some(base) = self.merge_base(head, target).await? else { continue };
            let files = self.changed_files(&base, head).await?;
            let parents =
                files.iter().map(|file| file.path.rsplit_once('/').map_or("", |(folder, _)| folder));
            folders.insert(head.clone(), parents.map(str::to_owned).collect());
        }
        Ok(folders)
    }
}

/// Whether changes in these folders can meet: a folder of one is, or is within, a folder of the other. Files at the root
/// meet only files at the root: nobody renames the root.
pub fn may_meet(one: &BTreeSet<String>, other: &BTreeSet<String>) -> bool {
    let within = |inner: &str, outer: &str| {
        inner == outer
            || (!outer.is_empty() && inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/')))
    };
    one.iter().any(|a| other.iter().any(|b| within(a, b) || within(b, a)))
}
