//! An agent that plays a script: for the demo and the tests, where every run must go the same way. It calls no model,
//! keeps no state and counts nothing. What it does follows from the prompt alone: a turn that repairs is chosen by what
//! the failing log in the prompt says.
//!
//! ```toml
//! [[turn]]
//! prompt = "# Feature B-1: Round"    # must be in the prompt
//! log = "rounds_half_up"             # must be in the prompt's failing log; may be left out
//! say = "The half goes up."          # line by line, with a pause after each
//! pause_ms = 300
//! [[turn.write]]
//! path = "src/new.rs"
//! text = "…"
//! [[turn.replace]]
//! path = "src/old.rs"
//! from = "cents / 100"
//! to = "(cents + 50) / 100"
//! ```

use std::{
    fs, io,
    io::Write,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use crate::prompt;

/// A script.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Its turns. Of those that match equally well, the first one is played.
    #[serde(rename = "turn")]
    pub turns: Vec<Turn>,
}

/// What is done on one prompt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// What the prompt must contain.
    pub prompt: String,
    /// What the failing log in the prompt must contain.
    pub log: Option<String>,
    /// What it says first.
    #[serde(default)]
    pub say: String,
    /// The pause after each line that it says, in milliseconds.
    #[serde(default)]
    pub pause_ms: u64,
    /// Files that it writes as a whole.
    #[serde(default)]
    pub write: Vec<WriteFile>,
    /// Places that it changes, after the files are written.
    #[serde(default)]
    pub replace: Vec<Replace>,
}

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteFile {
    /// Where, below the current folder.
    pub path: PathBuf,
    /// All of its content.
    pub text: String,
}

/// A place to change. If the file holds `to` already, it is left as it is: a run that was interrupted may play a turn
/// twice.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// Where, below the current folder.
    pub path: PathBuf,
    /// What is there, exactly once.
    pub from: String,
    /// What should be there.
    pub to: String,
}

/// Whether the script had something to play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Played {
    /// A turn was played to its end.
    Turn,
    /// No turn matches the prompt. It said so, and did nothing.
    Nothing,
}

/// Why a turn could not be played to its end.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// A file could not be read or written.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The script is not a script.
    #[error("{path} is not a script for the scripted agent")]
    Parse {
        /// The script's file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A path that leads out of the current folder, or into git's.
    #[error("the script names {path}, which is not a file below the current folder")]
    Outside {
        /// The path as the script has it.
        path: PathBuf,
    },
    /// What should be replaced is not there, or more than once.
    #[error("{path} holds the text to replace {count} times, not once: {from:?}")]
    Replace {
        /// The file.
        path: PathBuf,
        /// How often it is there.
        count: usize,
        /// What should be replaced.
        from: String,
    },
}

impl Script {
    /// Reads a script from a file.
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let text = fs::read_to_string(path).map_err(io_error("read", path))?;
        toml::from_str(&text)
            .map_err(|source| ScriptError::Parse { path: path.to_owned(), source: Box::new(source) })
    }

    /// The turn for a prompt: of those whose `prompt` is in it, one whose `log` is in its failing log; if there is none,
    /// one without `log`.
    pub fn choose(&self, prompt: &str) -> Option<&Turn> {
        let failing = prompt::failing_log(prompt).unwrap_or("");
        let mine = || self.turns.iter().filter(|turn| prompt.contains(&turn.prompt));
        let repair = mine().find(|turn| turn.log.as_deref().is_some_and(|log| failing.contains(log)));
        repair.or_else(|| mine().find(|turn| turn.log.is_none()))
    }

    /// Plays the turn for `prompt` in the folder `cwd`, and says on `out` what it does. A caller ends with exit code 1 on
    /// [`Played::Nothing`].
    pub async fn play(
        &self,
        prompt: &str,
        cwd: &Path,
        out: &mut (dyn Write + Send),
    ) -> Result<Played, ScriptError> {
        let mut say = |line: &str| {
            writeln!(out, "{line}")
                .and_then(|()| out.flush())
                .map_err(io_error("write to", Path::new("output")))
        };
        let Some(turn) = self.choose(prompt) else {
            say("The script has no turn for this prompt, so nothing was done.")?;
            return Ok(Played::Nothing);
        };
        for line in turn.say.lines() {
            say(line)?;
            tokio::time::sleep(Duration::from_millis(turn.pause_ms)).await;
        }
        for WriteFile { path, text } in &turn.write {
            let file = inside(cwd, path)?;
            fs::write(&file, text).map_err(io_error("write", &file))?;
            say(&format!("Wrote {}.", path.display()))?;
        }
        for change in &turn.replace {
            replace(&inside(cwd, &change.path)?, change)?;
            say(&format!("Changed {}.", change.path.display()))?;
        }
        Ok(Played::Turn)
    }
}

fn replace(file: &Path, Replace { path, from, to }: &Replace) -> Result<(), ScriptError> {
    let text = fs::read_to_string(file).map_err(io_error("read", file))?;
    if !to.is_empty() && text.contains(to) {
        return Ok(());
    }
    match text.matches(from).count() {
        1 => fs::write(file, text.replacen(from, to, 1)).map_err(io_error("write", file)),
        count => Err(ScriptError::Replace { path: path.clone(), count, from: from.clone() }),
    }
}

/// The file below `cwd`, whose folder is made. Neither `..` nor a symbolic link leads out.
fn inside(cwd: &Path, path: &Path) -> Result<PathBuf, ScriptError> {
    let outside = || ScriptError::Outside { path: path.to_owned() };
    let mut names = path.components();
    let plain = names.clone().all(|part| matches!(part, Component::Normal(_)));
    if !plain || names.next().is_none_or(|first| first.as_os_str() == ".git") {
        return Err(outside());
    }
    let file = cwd.join(path);
    let below = |part: &Path| part != cwd && part.starts_with(cwd);
    if file.ancestors().take_while(|part| below(part)).any(Path::is_symlink) {
        return Err(outside());
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(io_error("make", folder))?;
    }
    Ok(file)
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ScriptError {
    let path = path.to_owned();
    move |source| ScriptError::Io { doing, path, source }
}
