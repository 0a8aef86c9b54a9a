//! The real git below the fake: a bare repository, asked and changed by git itself.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Refuses what a protection refuses, in the words that lie beside it. GitHub does the same with a hook of its own.
const PRE_RECEIVE: &str = r#"#!/bin/sh
while read -r old new ref; do
  file="$GIT_DIR/protected/$ref"
  if [ -f "$file" ] && ! grep -qxF "$FAKE_ACTOR" "$GIT_DIR/bypass/$ref" 2>/dev/null; then
    cat "$file" >&2
    exit 1
  fi
done
"#;

/// A bare repository.
#[derive(Debug, Clone)]
pub(super) struct Bare(pub(super) PathBuf);

/// A commit, as git tells it.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub(super) sha: String,
    pub(super) tree: String,
    pub(super) parents: Vec<String>,
    pub(super) author: Signature,
    pub(super) committer: Signature,
    pub(super) message: String,
}

/// Who, and when.
#[derive(Debug, Clone)]
pub(super) struct Signature {
    pub(super) name: String,
    pub(super) email: String,
    /// Seconds since 1970.
    pub(super) at: i64,
}

/// A file that differs.
#[derive(Debug, Clone)]
pub(super) struct Changed {
    pub(super) path: String,
    pub(super) previous: Option<String>,
    pub(super) status: &'static str,
    /// The blob; none of what is gone.
    pub(super) sha: Option<String>,
    pub(super) additions: u64,
    pub(super) deletions: u64,
    pub(super) patch: Option<String>,
}

/// The program, deaf to the configuration of this machine.
pub(super) fn program() -> Command {
    let mut git = Command::new("git");
    git.env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE");
    git
}

impl Bare {
    pub(super) fn init(path: &Path, branch: &str) -> Self {
        let bare = Self(path.to_owned());
        std::fs::create_dir_all(path).unwrap();
        let mut init = program();
        init.args(["init", "--quiet", "--bare", "--initial-branch", branch]).arg(path);
        assert!(init.status().expect("git is installed").success(), "git init {}", path.display());
        // GitHub's own refs of pull requests are not to be pushed to.
        for (key, value) in [
            ("http.receivepack", "true"),
            ("uploadpack.allowAnySHA1InWant", "true"),
            ("receive.hideRefs", "refs/pull"),
            ("gc.auto", "0"),
        ] {
            bare.run(&["config", key, value]);
        }
        let hook = path.join("hooks/pre-receive");
        std::fs::write(&hook, PRE_RECEIVE).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        bare
    }

    /// Puts a refusal beside a ref, or takes it away. `bypass` may all the same.
    pub(super) fn protect(&self, reference: &str, refusal: Option<&str>, bypass: &[String]) {
        for (folder, text) in
            [("protected", refusal.map(str::to_owned)), ("bypass", refusal.map(|_| bypass.join("\n")))]
        {
            let file = self.0.join(folder).join(reference);
            match text {
                Some(text) => {
                    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                    std::fs::write(file, text).unwrap();
                }
                None => drop(std::fs::remove_file(file)),
            }
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut git = program();
        git.arg("-C").arg(&self.0).args(args);
        git
    }

    fn tried(&self, args: &[&str]) -> Option<Vec<u8>> {
        let out = self.command(args).stderr(Stdio::null()).output().expect("git is installed");
        out.status.success().then_some(out.stdout)
    }

    pub(super) fn run(&self, args: &[&str]) -> String {
        let out = self.command(args).output().expect("git is installed");
        assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
    }

    fn fed(mut command: Command, input: &[u8]) -> String {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("git is installed");
        child.stdin.take().unwrap().write_all(input).unwrap();
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "{command:?}");
        String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
    }

    /// Every branch and tag with its commit.
    pub(super) fn refs(&self) -> BTreeMap<String, String> {
        let text =
            self.run(&["for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags"]);
        text.lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(name, sha)| (name.to_owned(), sha.to_owned()))
            .collect()
    }

    /// The commit of a name.
    pub(super) fn resolve(&self, name: &str) -> Option<String> {
        if name.starts_with('-') {
            return None;
        }
        let out = self.tried(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")])?;
        Some(String::from_utf8_lossy(&out).trim().to_owned())
    }

    pub(super) fn commit(&self, sha: &str) -> Option<Commit> {
        let format = "--format=%H%n%T%n%P%n%an%n%ae%n%at%n%cn%n%ce%n%ct%n%B";
        let out = self.tried(&["show", "--no-patch", "--no-show-signature", format, sha])?;
        let text = String::from_utf8_lossy(&out).into_owned();
        let mut lines = text.splitn(10, '\n');
        let mut next = || lines.next().unwrap_or_default().to_owned();
        let (sha, tree, parents) = (next(), next(), next());
        let mut signature = || Signature { name: next(), email: next(), at: next().parse().unwrap_or(0) };
        let (author, committer) = (signature(), signature());
        let message = next().trim_end().to_owned();
        let parents = parents.split_whitespace().map(str::to_owned).collect();
        Some(Commit { sha, tree, parents, author, committer, message })
    }

    /// The commits of a range, newest first.
    pub(super) fn log(&self, range: &str) -> Vec<String> {
        let out = self.tried(&["rev-list", range]).unwrap_or_default();
        String::from_utf8_lossy(&out).lines().map(str::to_owned).collect()
    }

    pub(super) fn merge_base(&self, one: &str, other: &str) -> Option<String> {
        let out = self.tried(&["merge-base", one, other])?;
        Some(String::from_utf8_lossy(&out).trim().to_owned())
    }

    pub(super) fn is_ancestor(&self, old: &str, new: &str) -> bool {
        self.tried(&["merge-base", "--is-ancestor", old, new]).is_some()
    }

    /// The tree that merging gives; none in a conflict.
    pub(super) fn merge_tree(&self, base: &str, head: &str) -> Option<String> {
        let out = self.tried(&["merge-tree", "--write-tree", base, head])?;
        String::from_utf8_lossy(&out).lines().next().map(str::to_owned)
    }

    pub(super) fn commit_tree(
        &self,
        tree: &str,
        parents: &[&str],
        message: &str,
        who: (&str, &str),
    ) -> String {
        let mut git = self.command(&["commit-tree", tree]);
        for parent in parents {
            git.args(["-p", parent]);
        }
        git.env("GIT_AUTHOR_NAME", who.0)
            .env("GIT_AUTHOR_EMAIL", who.1)
            .env("GIT_COMMITTER_NAME", "GitHub")
            .env("GIT_COMMITTER_EMAIL", "noreply@github.com");
        Self::fed(git, message.as_bytes())
    }

    /// Takes over what another repository has.
    pub(super) fn fetch(&self, from: &Self, what: &str) {
        self.run(&["fetch", "--quiet", &from.0.to_string_lossy(), what]);
    }

    pub(super) fn update_ref(&self, name: &str, sha: &str) {
        self.run(&["update-ref", name, sha]);
    }

    pub(super) fn delete_ref(&self, name: &str) {
        self.run(&["update-ref", "-d", name]);
    }

    /// A commit on top of `parent` with these files written; one without a text is taken away.
    pub(super) fn write(
        &self,
        parent: Option<&str>,
        files: &[(&str, Option<&[u8]>)],
        message: &str,
        who: (&str, &str),
    ) -> String {
        let index = self.0.join(passing());
        let with = |args: &[&str]| {
            let mut git = self.command(args);
            git.env("GIT_INDEX_FILE", &index);
            git
        };
        let read =
            parent.map_or_else(|| with(&["read-tree", "--empty"]), |parent| with(&["read-tree", parent]));
        Self::fed(read, b"");
        for (path, text) in files {
            match text {
                Some(text) => {
                    let blob = Self::fed(self.command(&["hash-object", "-w", "--stdin"]), text);
                    let entry = format!("100644,{blob},{path}");
                    Self::fed(with(&["update-index", "--add", "--cacheinfo", &entry]), b"");
                }
                None => drop(Self::fed(with(&["rm", "--cached", "--quiet", "--", path]), b"")),
            }
        }
        let tree = Self::fed(with(&["write-tree"]), b"");
        drop(std::fs::remove_file(&index));
        let parents: Vec<&str> = parent.into_iter().collect();
        self.commit_tree(&tree, &parents, message, who)
    }

    /// A file of a commit: the blob and what it holds.
    pub(super) fn file(&self, commit: &str, path: &str) -> Option<(String, Vec<u8>)> {
        let place = format!("{commit}:{path}");
        let blob = self.tried(&["rev-parse", "--verify", "--quiet", &place])?;
        let blob = String::from_utf8_lossy(&blob).trim().to_owned();
        Some((blob.clone(), self.tried(&["cat-file", "blob", &blob])?))
    }

    /// What a folder of a commit holds: kind, id, size and path of each.
    pub(super) fn folder(&self, commit: &str, path: &str) -> Option<Vec<(String, String, u64, String)>> {
        let place = format!("{commit}:{path}");
        let out = self.tried(&["ls-tree", "-z", "--long", &place])?;
        let text = String::from_utf8_lossy(&out).into_owned();
        let entries = text.split('\0').filter_map(|line| {
            let (facts, name) = line.split_once('\t')?;
            let mut facts = facts.split_whitespace().skip(1);
            let (kind, id, size) = (facts.next()?, facts.next()?, facts.next()?);
            Some((kind.to_owned(), id.to_owned(), size.parse().unwrap_or(0), format!("{path}/{name}")))
        });
        Some(entries.collect())
    }

    /// The files of a branch that hold a text, with their blobs.
    pub(super) fn grep(&self, branch: &str, text: &str) -> Vec<(String, String)> {
        let reference = format!("refs/heads/{branch}");
        let args =
            ["grep", "--files-with-matches", "--fixed-strings", "--ignore-case", "-I", "-z", "-e", text];
        let out = self.tried(&[&args[..], &[&reference]].concat()).unwrap_or_default();
        let names = String::from_utf8_lossy(&out).into_owned();
        let paths = names.split('\0').filter_map(|name| name.strip_prefix(&reference)?.strip_prefix(':'));
        paths.filter_map(|path| Some((path.to_owned(), self.file(&reference, path)?.0))).collect()
    }

    /// What differs from `base` to `head`.
    pub(super) fn diff(&self, base: &str, head: &str) -> Vec<Changed> {
        let raw = self.run(&["diff", "--raw", "--abbrev=40", "-M", "-z", base, head]);
        let mut fields = raw.split('\0');
        let mut changed = Vec::new();
        while let Some(line) = fields.next().filter(|line| line.starts_with(':')) {
            let words: Vec<&str> = line.split(' ').collect();
            let (blob, letter) = (words[3], words[4].chars().next().unwrap_or('M'));
            let first = fields.next().unwrap_or_default().to_owned();
            let (previous, path) = match letter {
                'R' | 'C' => (Some(first), fields.next().unwrap_or_default().to_owned()),
                _ => (None, first),
            };
            let status = match letter {
                'A' => "added",
                'D' => "removed",
                'R' => "renamed",
                'C' => "copied",
                _ => "modified",
            };
            let sha = (letter != 'D').then(|| blob.to_owned());
            let patch = self.patch(base, head, previous.as_deref(), &path);
            let count = |mark: char| {
                let lines = patch.as_deref().unwrap_or_default().lines();
                lines.filter(|line| line.starts_with(mark)).count() as u64
            };
            let (additions, deletions) = (count('+'), count('-'));
            changed.push(Changed { path, previous, status, sha, additions, deletions, patch });
        }
        changed
    }

    fn patch(&self, base: &str, head: &str, previous: Option<&str>, path: &str) -> Option<String> {
        let mut args = vec!["diff", "-M", base, head, "--", path];
        args.extend(previous);
        let text = self.run(&args);
        text.find("\n@@").map(|at| text[at + 1..].to_owned())
    }
}

/// A name for a passing file that no other thread has.
fn passing() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("index-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
