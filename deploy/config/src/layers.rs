//! The layers, one over the other. Not what a value has to be: `values` says that of each, `check` of all together.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use config::builder::{ConfigBuilder, DefaultState};
use toml::Value;

use crate::{
    Config, ConfigError, Origin, Problem, check, file,
    origin::{Origins, nearest_origin, note},
    values,
};

/// Every variable that begins so is a key.
const PREFIX: &str = "QUARTERDECK__";

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The current folder, absolute.
    pub cwd: PathBuf,
    /// `/etc/quarterdeck/config.toml`.
    pub system_file: PathBuf,
    /// The file that `--config` names, instead of the one that would be found.
    pub file: Option<PathBuf>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// Flags: key and value.
    pub flags: Vec<(String, String)>,
}

/// A configuration that holds.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// Where each value came from, by its key; what is missing is a default.
    pub origins: BTreeMap<String, Origin>,
    /// The project's file.
    pub file: Option<PathBuf>,
    /// Where state is kept, resolved.
    pub state_dir: PathBuf,
    /// Folders below which may be read, resolved.
    pub roots: Vec<PathBuf>,
}

/// Reads all layers and checks the result. What is wrong is told all at once: first what can't be read, and only if
/// all of it can, what does not fit together.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let found = match &sources.file {
        Some(file) => Some(sources.cwd.join(file)),
        None => file::find(&sources.cwd),
    };
    let mut layers = Layers::default();
    let files = [(Some(&sources.system_file), false), (found.as_ref(), sources.file.is_some())];
    for (path, must_exist) in files {
        if let Some(path) = path.filter(|path| must_exist || path.is_file()) {
            layers.file(path);
        }
    }
    for (name, text) in &sources.env {
        if let Some(key) = name.strip_prefix(PREFIX) {
            let path: Vec<String> = key.split("__").map(str::to_ascii_lowercase).collect();
            layers.single(&path, text, &Origin::Env(name.clone()), &sources.cwd);
        }
    }
    for (key, text) in &sources.flags {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        layers.single(&path, text, &Origin::Flag(key.clone()), &sources.cwd);
    }
    let (config, origins) = layers.finish()?;
    check::loaded(config, origins, found, sources)
}

/// What has been read so far.
#[derive(Default)]
struct Layers {
    builder: ConfigBuilder<DefaultState>,
    origins: Origins,
    problems: Vec<Problem>,
}

impl Layers {
    /// A file. What is wrong in it is noted, and the next layer is still read.
    fn file(&mut self, path: &Path) {
        let file::File { layer, lines } = match file::read(path) {
            Ok(file) => file,
            Err(problem) => return self.problems.push(problem),
        };
        let at = |key: &str| lines.get(key).map(|line| Origin::File { path: path.to_owned(), line: *line });
        let around = Origin::File { path: path.to_owned(), line: 1 };
        note(&mut self.origins, &mut Vec::new(), &layer, &around, &at);
        for finding in values::wrong(&layer) {
            let origin = nearest_origin(&self.origins, &finding.path.join("."));
            self.problems.push(Problem { origin, text: finding.text });
        }
        self.add(&layer);
    }

    /// One key, from a variable or a flag.
    fn single(&mut self, path: &[String], text: &str, origin: &Origin, cwd: &Path) {
        let value = values::typed(path, text);
        let (whole_path, whole) = match self.entry(path, value.clone()) {
            Ok(whole) => whole,
            Err(text) => return self.problems.push(Problem { origin: Some(origin.clone()), text }),
        };
        let mut layer = whole_path
            .iter()
            .rev()
            .fold(whole, |inner, key| Value::Table([(key.clone(), inner)].into_iter().collect()));
        let mut findings = values::wrong(&layer);
        // A list that this goes into has been looked at already, where it was written.
        findings.retain(|found| found.path.starts_with(path) || path.starts_with(&found.path));
        if findings.is_empty() {
            note(&mut self.origins, &mut path.to_vec(), &value, origin, &|_| None);
            file::absolute(&mut layer, cwd);
            return self.add(&layer);
        }
        let problem = |found: values::Finding| Problem { origin: Some(origin.clone()), text: found.text };
        self.problems.extend(findings.into_iter().map(problem));
    }

    /// A layer replaces a list as a whole, so a key inside a list is put into the list as it stands.
    fn entry<'p>(&mut self, path: &'p [String], value: Value) -> Result<(&'p [String], Value), String> {
        let Some((list, inside)) = values::into_list(path).and_then(|parts| path.split_at_checked(parts))
        else {
            return Ok((path, value));
        };
        let merged = self.merged()?;
        let there = list.iter().try_fold(&merged, |value, part| value.get(part));
        let mut whole = there.cloned().unwrap_or_else(|| Value::Array(Vec::new()));
        put(&mut whole, list, inside, value)?;
        Ok((list, whole))
    }

    fn add(&mut self, layer: &Value) {
        match toml::to_string(layer) {
            Ok(text) => {
                let source = config::File::from_str(&text, config::FileFormat::Toml);
                self.builder = std::mem::take(&mut self.builder).add_source(source);
            }
            Err(error) => self.problems.push(Problem { origin: None, text: error.to_string() }),
        }
    }

    fn merged(&self) -> Result<Value, String> {
        let built = self.builder.build_cloned().and_then(config::Config::try_deserialize);
        built.map_err(|error| error.to_string())
    }

    fn finish(mut self) -> Result<(Config, Origins), ConfigError> {
        let merged = self.merged().map_err(|text| ConfigError::new(vec![Problem { origin: None, text }]))?;
        for finding in values::missing(&merged) {
            let origin = nearest_origin(&self.origins, &finding.path.join("."));
            self.problems.push(Problem { origin, text: finding.text });
        }
        if !self.problems.is_empty() {
            return Err(ConfigError::new(self.problems));
        }
        let config = serde_path_to_error::deserialize(merged).map_err(|error| {
            let key = error.path().to_string().replace('[', ".").replace(']', "");
            let origin = nearest_origin(&self.origins, &key);
            let text = format!("{key}: {}", error.inner().message().trim());
            ConfigError::new(vec![Problem { origin, text }])
        })?;
        Ok((config, self.origins))
    }
}

/// Puts a value where `inside` leads from `place`, which is called `name`.
fn put(place: &mut Value, name: &[String], inside: &[String], value: Value) -> Result<(), String> {
    let Some((part, rest)) = inside.split_first() else {
        *place = value;
        return Ok(());
    };
    let below: Vec<String> = name.iter().chain([part]).cloned().collect();
    match place {
        Value::Array(items) => {
            let last = items.len().checked_sub(1);
            let item =
                part.parse::<usize>().ok().and_then(|index| items.get_mut(index)).ok_or_else(|| {
                    let name = name.join(".");
                    let last = last
                        .map_or("it is empty".to_owned(), |last| format!("its last entry is {name}.{last}"));
                    format!("{name} has no entry {part}: {last}.")
                })?;
            put(item, &below, rest, value)
        }
        Value::Table(table) => {
            let item = table.entry(part.clone()).or_insert_with(|| Value::Table(toml::Table::new()));
            put(item, &below, rest, value)
        }
        _ => Err(format!("{} has no keys.", name.join("."))),
    }
}
