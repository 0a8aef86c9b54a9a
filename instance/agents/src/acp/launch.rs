//! How an agent's process is started: program, arguments, environment, and the files of its own configuration.

use std::{collections::BTreeMap, path::PathBuf};

use qd_types::RunId;
use secrecy::SecretString;

use super::{agent::configure, error::AcpError};
use crate::{command::MODEL, process::Environment};

/// What is started, and with what around it.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// The program, as in a command line.
    pub program: String,
    /// Its arguments. `{model}` stands for the model that was chosen; an argument that holds it is left out, with the
    /// one before it, if none was.
    pub args: Vec<String>,
    /// Its environment, besides the allow-list.
    pub env: BTreeMap<String, String>,
    /// Names of variables of ours that it may see, besides `PATH`, `HOME`, `LANG`, `TMPDIR` and `USER`.
    pub env_allow: Vec<String>,
    /// A home of its own. Without, it has ours.
    pub home: Option<PathBuf>,
    /// Files that are written below its home before it starts: (path, text).
    pub files: Vec<(String, String)>,
    /// Values in all of this that must not appear in the transcript.
    pub secrets: Vec<SecretString>,
}

impl Launch {
    /// The arguments for a model.
    pub(super) fn args(&self, model: Option<&str>) -> Vec<String> {
        let mut args: Vec<String> = Vec::new();
        for arg in &self.args {
            match model {
                Some(model) => args.push(arg.replace(MODEL, model)),
                None if arg == MODEL && args.last().is_some_and(|last| last.starts_with('-')) => {
                    args.pop();
                }
                None if arg.contains(MODEL) => {}
                None => args.push(arg.clone()),
            }
        }
        args
    }

    /// The environment for a run. The files of its configuration are written first.
    pub(super) fn environment(&self, run: &RunId) -> Result<Environment, AcpError> {
        let mut environment = Environment::new(run, self.env_allow.iter().map(String::as_str));
        match &self.home {
            Some(home) => {
                configure(home, &self.files)?;
                environment = environment.with("HOME", home);
            }
            None if self.files.is_empty() => {}
            None => {
                let path = self.files.first().map(|(path, _)| PathBuf::from(path)).unwrap_or_default();
                let source =
                    std::io::Error::other("it is written only into a home of its own, and it has none");
                return Err(AcpError::Configuration { path, source });
            }
        }
        Ok(self.env.iter().fold(environment, |environment, (name, value)| environment.with(name, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_model_its_argument_goes() {
        let args = ["acp", "--model", "{model}", "--shell", "-m={model}"].map(str::to_owned).to_vec();
        let launch = Launch { args, ..Launch::default() };
        assert_eq!(launch.args(Some("m1")), ["acp", "--model", "m1", "--shell", "-m=m1"]);
        assert_eq!(launch.args(None), ["acp", "--shell"]);
    }
}
