//! How an agent's process is started: program, arguments, environment, and the files of its own configuration. What
//! differs from run to run (where its model is, by which token, and which one) stands in them as a placeholder.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use qd_types::RunId;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::error::AcpError;
use crate::process::Environment;

/// Stands for the address of the model's provider, without a slash at its end.
pub const BASE_URL: &str = "{base_url}";

/// Stands for the token that the provider takes.
pub const TOKEN: &str = "{token}";

/// Stands for the model that was chosen.
pub const MODEL: &str = "{model}";

/// What is started, and with what around it.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// The program, as in a command line.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, besides the allow-list.
    pub env: BTreeMap<String, String>,
    /// Names of variables of ours that it may see, besides `PATH`, `HOME`, `LANG`, `TMPDIR` and `USER`.
    pub env_allow: Vec<String>,
    /// The home that its own login is kept in. With one, no run has a home of its own.
    pub login: Option<PathBuf>,
    /// What is set if its placeholders have values. Later ones win.
    pub settings: Vec<Setting>,
}

/// Something that is set from outside: all of it, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Setting {
    /// Variables of the environment.
    pub env: BTreeMap<String, String>,
    /// More arguments.
    pub args: Vec<String>,
    /// Files below its home: path and text.
    pub files: BTreeMap<String, String>,
}

/// Where a run finds its model.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The address, without a slash at its end: `http://127.0.0.1:4100`.
    pub base_url: String,
    /// The token of the run. It never reaches the transcript.
    pub token: SecretString,
}

/// A launch whose placeholders are filled.
pub(crate) struct Filled {
    pub(crate) args: Vec<String>,
    pub(crate) environment: Environment,
}

impl Setting {
    /// Every text in it, with the key that it stands under.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (String, &String)> {
        let env = self.env.iter().map(|(name, text)| (format!("env.{name}"), text));
        let files = self.files.iter().map(|(name, text)| (format!("files.{name:?}"), text));
        env.chain(self.args.iter().map(|arg| ("args".to_owned(), arg))).chain(files)
    }

    fn holds(&self, placeholder: &str) -> bool {
        self.texts().any(|(_, text)| text.contains(placeholder))
    }
}

impl Launch {
    /// Fills the placeholders, and writes the files.
    pub(crate) fn fill(
        &self,
        run: &RunId,
        metered: Option<(&Endpoint, &Path)>,
        model: Option<&str>,
    ) -> Result<Filled, AcpError> {
        let (endpoint, own) = metered.unzip();
        let values = [
            (BASE_URL, endpoint.map(|endpoint| endpoint.base_url.as_str())),
            (TOKEN, endpoint.map(|endpoint| endpoint.token.expose_secret())),
            (MODEL, model),
        ];
        for (placeholder, value) in values {
            if value.is_some_and(|value| !value.chars().all(is_harmless)) {
                return Err(AcpError::OddValue(placeholder));
            }
        }
        let filled = |text: &str| {
            let replace = |text: String, (placeholder, value): &(&str, Option<&str>)| match value {
                Some(value) => text.replace(placeholder, value),
                None => text,
            };
            values.iter().fold(text.to_owned(), replace)
        };
        let mut args = self.args.clone();
        let mut environment = Environment::new(run, self.env_allow.iter().map(String::as_str));
        environment = self.env.iter().fold(environment, |all, (name, value)| all.with(name, value));
        let mut files = BTreeMap::new();
        for setting in &self.settings {
            let with_endpoint = setting.holds(BASE_URL) || setting.holds(TOKEN);
            if with_endpoint && endpoint.is_none() {
                continue;
            }
            if setting.holds(MODEL) && model.is_none() {
                // An agent that is not told where its model is would look elsewhere.
                if with_endpoint {
                    return Err(AcpError::NeedsModel);
                }
                continue;
            }
            args.extend(setting.args.iter().map(|arg| filled(arg)));
            environment =
                setting.env.iter().fold(environment, |all, (name, text)| all.with(name, filled(text)));
            files.extend(setting.files.iter().map(|(path, text)| (path.clone(), filled(text))));
        }
        // Where it is told its model, nothing of ours must tell it another one.
        if let Some(home) = self.home(own, &files)? {
            environment = environment.with("HOME", home);
        }
        Ok(Filled { args, environment })
    }

    /// The home that its login is kept in, or the run's own, with the files in it.
    fn home(
        &self,
        own: Option<&Path>,
        files: &BTreeMap<String, String>,
    ) -> Result<Option<PathBuf>, AcpError> {
        let Some(home) = self.login.clone().or_else(|| own.map(Path::to_owned)) else {
            return match files.keys().next() {
                None => Ok(None),
                Some(path) => Err(AcpError::Configuration {
                    path: path.into(),
                    source: io::Error::other("it is written only into a home of its own, and it has none"),
                }),
            };
        };
        let failed = |path: PathBuf| move |source| AcpError::Configuration { path, source };
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&home);
        made.map_err(failed(home.clone()))?;
        for (name, text) in files {
            let path = home.join(name);
            let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
            folder.and_then(|()| fs::write(&path, text)).map_err(failed(path.clone()))?;
        }
        Ok(Some(home))
    }
}

/// What may stand in a value: it goes into JSON and TOML as it is.
fn is_harmless(c: char) -> bool {
    !(c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '\\' | '`' | '$' | '{' | '}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> RunId {
        "A-1.1".parse().unwrap()
    }

    fn setting(env: &str, text: &str, args: &[&str]) -> Setting {
        Setting {
            env: [(env.to_owned(), text.to_owned())].into(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            ..Setting::default()
        }
    }

    fn var(filled: &Filled, name: &str) -> Option<String> {
        let found = filled.environment.vars().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.to_string_lossy().into_owned())
    }

    #[test]
    fn settings_apply_as_a_whole_or_not_at_all() {
        let launch = Launch {
            args: vec!["acp".to_owned()],
            settings: vec![
                setting("MODE", "ask", &[]),
                setting("MODEL", "{model}", &["--model", "{model}"]),
                setting("CONFIG", r#"{"baseURL":"{base_url}/v1","key":"{token}"}"#, &[]),
            ],
            ..Launch::default()
        };
        let home = tempfile::tempdir().unwrap();
        let bare = launch.fill(&run(), None, None).unwrap();
        assert_eq!(
            (bare.args.as_slice(), var(&bare, "MODE")),
            (["acp".to_owned()].as_slice(), Some("ask".into()))
        );
        assert_eq!((var(&bare, "MODEL"), var(&bare, "CONFIG")), (None, None));
        let endpoint = Endpoint { base_url: "http://127.0.0.1:1".into(), token: "t0k".to_owned().into() };
        let full = launch.fill(&run(), Some((&endpoint, home.path())), Some("m-1")).unwrap();
        assert_eq!(full.args, ["acp", "--model", "m-1"]);
        assert_eq!(var(&full, "CONFIG").unwrap(), r#"{"baseURL":"http://127.0.0.1:1/v1","key":"t0k"}"#);
    }

    #[test]
    fn what_cannot_be_set_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let check = |launch: &Launch, model, expect: &str| {
            let endpoint = Endpoint { base_url: "http://h".into(), token: "t".to_owned().into() };
            let error = launch.fill(&run(), Some((&endpoint, home.path())), model).err().unwrap();
            assert_eq!(error.to_string(), expect);
        };
        let launch = Launch { settings: vec![setting("C", "{base_url} {model}", &[])], ..Launch::default() };
        check(
            &launch,
            None,
            "it is told where its model is together with the model, and no model is chosen: choose one",
        );
        check(
            &launch,
            Some("m\",\"x\":\""),
            "the value for {model} holds a character that would break its configuration",
        );
    }
}
