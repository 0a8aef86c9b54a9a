//! Which files git ignores in a folder, and which it has. Asks the git folder that is named, never a `.git`
//! in the folder itself.

use std::path::Path;

use crate::{GitError, Repo, command::Call, folder::real};

impl Repo {
    fn around(&self, folder: &Path, args: &[&str]) -> Call {
        let call = Call::new([Path::new("--git-dir").as_os_str(), self.folder().as_os_str()]);
        call.arg("--work-tree").arg(folder).within(folder).args(args)
    }

    /// Files in a working folder of this repository that git ignores and that a pattern names, by path.
    /// Patterns are git's, from the root: `*` stays within a folder, `**/` does not.
    pub async fn ignored_files(&self, folder: &Path, patterns: &[String]) -> Result<Vec<String>, GitError> {
        let listing = ["ls-files", "--others", "--ignored", "--exclude-standard"];
        self.listed(folder, &listing, patterns).await
    }

    /// Files that the index has and that a pattern names, by path.
    pub async fn indexed_files(&self, folder: &Path, patterns: &[String]) -> Result<Vec<String>, GitError> {
        self.listed(folder, &["ls-files", "--cached"], patterns).await
    }

    async fn listed(
        &self,
        folder: &Path,
        listing: &[&str],
        patterns: &[String],
    ) -> Result<Vec<String>, GitError> {
        // Without any pattern git would name everything.
        if patterns.is_empty() {
            return Ok(Vec::new());
        }
        let folder = real(folder);
        let patterns = patterns.iter().map(|pattern| format!(":(top,glob){pattern}"));
        let call = self.around(&folder, listing).args(["-z", "--"]).args(patterns);
        let text = self.git.text(call).await?;
        let mut names: Vec<String> =
            text.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Those of these paths that git would ignore in the folder. One that the index has is not.
    pub async fn would_ignore(&self, folder: &Path, paths: &[String]) -> Result<Vec<String>, GitError> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let folder = real(folder);
        let call = self.around(&folder, &["check-ignore", "-z", "--stdin"]);
        let done = self.git.run(call.stdin(paths.join("\0"))).await?;
        // 1: none of them.
        if !matches!(done.code, Some(0 | 1)) {
            return Err(done.failed());
        }
        let text = String::from_utf8_lossy(&done.stdout);
        Ok(text.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }
}
