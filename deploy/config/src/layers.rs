//! The layers, and where every value came from.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use toml::Value;
use toml_edit::{Document, Item};

use crate::{Config, ConfigError, Problem, check, unknown};

/// The name that is looked for, upwards from the current folder.
pub(crate) const FILE: &str = "quarterdeck.toml";
/// Every variable that begins so is a key.
const PREFIX: &str = "QUARTERDECK__";
/// Variables that begin so and are none: they are the tests' own.
const ROOT_VARIABLE: &str = "ALLOWED_ROOT_DIRECTORY";

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of a file.
    File {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// An environment variable.
    Env(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The current folder.
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

/// Reads all layers and checks the result.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let mut problems = Vec::new();
    let mut origins = BTreeMap::new();
    let mut builder = config::Config::builder();
    let file = match &sources.file {
        Some(file) => Some(sources.cwd.join(file)),
        None => find(&sources.cwd),
    };
    let explicit = sources.file.is_some();
    for (path, must_exist) in [(Some(sources.system_file.clone()), false), (file.clone(), explicit)] {
        let Some(path) = path.filter(|path| must_exist || path.is_file()) else { continue };
        let layer = read(&path, &mut problems, &mut origins)?;
        builder = add(builder, layer)?;
    }
    for (name, text) in &sources.env {
        let Some(key) = name.strip_prefix(PREFIX) else { continue };
        let path: Vec<String> = key.split("__").map(str::to_ascii_lowercase).collect();
        let origin = Origin::Env(name.clone());
        builder = single(builder, &path, text, origin, &mut problems, &mut origins)?;
    }
    for (key, text) in &sources.flags {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        builder = single(builder, &path, text, Origin::Flag(key.clone()), &mut problems, &mut origins)?;
    }
    if !problems.is_empty() {
        return Err(ConfigError { problems });
    }
    let merged: Value = builder
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|error| ConfigError::one(None, error.to_string()))?;
    let config: Config = serde_path_to_error::deserialize(merged).map_err(|error| {
        let key = error.path().to_string().replace('[', ".").replace(']', "");
        let key = key.trim_start_matches('.').to_owned();
        let origin = nearest_origin(&origins, &key);
        ConfigError::one(origin, format!("{key}: {}", error.inner().message().trim()))
    })?;
    let state_dir = state_dir(&config, sources);
    let roots = check::roots(&config, sources, file.as_deref());
    let loaded = Loaded { config, origins, file, state_dir, roots };
    let problems = check::problems(&loaded, sources.env.contains_key(ROOT_VARIABLE));
    if problems.is_empty() { Ok(loaded) } else { Err(ConfigError { problems }) }
}

type Builder = config::builder::ConfigBuilder<config::builder::DefaultState>;

fn add(builder: Builder, layer: Value) -> Result<Builder, ConfigError> {
    let text = toml::to_string(&layer).map_err(|error| ConfigError::one(None, error.to_string()))?;
    Ok(builder.add_source(config::File::from_str(&text, config::FileFormat::Toml)))
}

/// A layer of one key. The text is read as a TOML value, and as a string if it is none.
fn single(
    builder: Builder,
    path: &[String],
    text: &str,
    origin: Origin,
    problems: &mut Vec<Problem>,
    origins: &mut BTreeMap<String, Origin>,
) -> Result<Builder, ConfigError> {
    let value = format!("v = {text}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| Value::String(text.to_owned()));
    let layer = path
        .iter()
        .rev()
        .fold(value, |inner, key| Value::Table([(key.clone(), inner)].into_iter().collect()));
    let unknown = unknown::unknown(&layer);
    if unknown.is_empty() {
        origins.insert(path.join("."), origin);
        return add(builder, layer);
    }
    problems.extend(unknown.into_iter().map(|unknown| refused(unknown, Some(origin.clone()))));
    Ok(builder)
}

fn refused(unknown: unknown::Unknown, origin: Option<Origin>) -> Problem {
    let hint = unknown.nearest.map_or_else(
        || " `quarterdeck config schema` lists the keys.".to_owned(),
        |nearest| format!(" Did you mean {nearest}?"),
    );
    Problem { origin, text: format!("unknown key {}.{hint}", unknown.path.join(".")) }
}

fn find(from: &Path) -> Option<PathBuf> {
    from.ancestors().map(|folder| folder.join(FILE)).find(|path| path.is_file())
}

/// Reads a file: its values, with paths made absolute, and the line of each.
fn read(
    path: &Path,
    problems: &mut Vec<Problem>,
    origins: &mut BTreeMap<String, Origin>,
) -> Result<Value, ConfigError> {
    let at = |line| Some(Origin::File { path: path.to_owned(), line });
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::one(None, format!("{} can't be read: {error}.", path.display())))?;
    let document = Document::parse(text.clone()).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(&text, span.start));
        ConfigError::one(at(line), error.message().trim().to_owned())
    })?;
    let mut lines = BTreeMap::new();
    note_lines(document.as_item(), &text, &mut Vec::new(), &mut lines);
    let mut layer: Value =
        toml::from_str(&text).map_err(|error| ConfigError::one(at(1), error.message().trim().to_owned()))?;
    for unknown in unknown::unknown(&layer) {
        let line = lines.get(&unknown.path.join(".")).copied().unwrap_or(1);
        problems.push(refused(unknown, at(line)));
    }
    for (key, line) in lines {
        // A list replaces the list of an earlier layer as a whole.
        origins.insert(key, Origin::File { path: path.to_owned(), line });
    }
    absolute(&mut layer, path.parent().unwrap_or(Path::new("/")));
    Ok(layer)
}

fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

fn note_lines(item: &Item, text: &str, path: &mut Vec<String>, lines: &mut BTreeMap<String, usize>) {
    let span = item.span();
    if let (Some(span), false) = (span, path.is_empty()) {
        lines.insert(path.join("."), line_of(text, span.start));
    }
    if let Some(table) = item.as_table_like() {
        for (key, inner) in table.iter() {
            path.push(key.to_owned());
            if let Some(span) = table.get_key_value(key).and_then(|(key, _)| key.span()) {
                lines.insert(path.join("."), line_of(text, span.start));
            }
            note_lines(inner, text, path, lines);
            path.pop();
        }
    } else if let Some(tables) = item.as_array_of_tables() {
        for (index, table) in tables.iter().enumerate() {
            path.push(index.to_string());
            note_lines(&Item::Table(table.clone()), text, path, lines);
            path.pop();
        }
    }
}

/// Paths of a file are relative to that file.
fn absolute(layer: &mut Value, folder: &Path) {
    let fix = |value: &mut Value| {
        if let Value::String(text) = value {
            *text = folder.join(&*text).to_string_lossy().into_owned();
        }
    };
    if let Some(roots) = layer.get_mut("roots").and_then(Value::as_array_mut) {
        roots.iter_mut().for_each(fix);
    }
    if let Some(dir) = layer.get_mut("state").and_then(|state| state.get_mut("dir")) {
        fix(dir);
    }
    for repository in layer.get_mut("repositories").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(path) = repository.get_mut("path") {
            fix(path);
        }
    }
}

/// The origin of a key, or of the nearest thing around it.
pub(crate) fn nearest_origin(origins: &BTreeMap<String, Origin>, key: &str) -> Option<Origin> {
    let mut key = key;
    loop {
        if let Some(origin) = origins.get(key) {
            return Some(origin.clone());
        }
        key = key.rsplit_once('.')?.0;
    }
}

fn state_dir(config: &Config, sources: &Sources) -> PathBuf {
    let env = |name: &str| sources.env.get(name).filter(|text| !text.is_empty());
    if let Some(dir) = &config.state.dir {
        return sources.cwd.join(dir);
    }
    if let Some(first) = env("STATE_DIRECTORY").and_then(|list| list.split(':').next()) {
        return PathBuf::from(first);
    }
    if let Some(base) = env("XDG_STATE_HOME") {
        return Path::new(base).join("quarterdeck");
    }
    let home = env("HOME").map_or_else(|| sources.cwd.clone(), PathBuf::from);
    home.join(".local/state/quarterdeck")
}
