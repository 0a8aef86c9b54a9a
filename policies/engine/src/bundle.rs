//! A bundle: the policies as files, parsed, held against the schema, each with what it says besides its condition.
//! A bundle that is wrong anywhere is refused as a whole.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PolicyId, PolicySet, Schema, ValidationError,
    ValidationMode, Validator,
};
use miette::Diagnostic;
use qd_types::{PolicyHash, Verb};
use sha2::{Digest, Sha256};

use crate::{
    annotations::{self, Asking},
    matrix::Matrix,
    vocabulary::{SCHEMA, Vocabulary},
};

/// The default bundle, as it stands in `policies/cedar`.
const DEFAULT: &[(&str, &str)] = &[
    ("tiers/consent.cedar", include_str!("../../cedar/tiers/consent.cedar")),
    ("tiers/destroy.cedar", include_str!("../../cedar/tiers/destroy.cedar")),
    ("tiers/govern.cedar", include_str!("../../cedar/tiers/govern.cedar")),
    ("tiers/merge.cedar", include_str!("../../cedar/tiers/merge.cedar")),
    ("tiers/never.cedar", include_str!("../../cedar/tiers/never.cedar")),
    ("tiers/operate.cedar", include_str!("../../cedar/tiers/operate.cedar")),
    ("tiers/provision.cedar", include_str!("../../cedar/tiers/provision.cedar")),
    ("tiers/read.cedar", include_str!("../../cedar/tiers/read.cedar")),
];

/// Largest bundle, in bytes: a wrong path must not fill the memory.
const MAX_BYTES: u64 = 1024 * 1024;
/// Folders below each other in a bundle's folder.
const MAX_DEPTH: usize = 4;

/// The files of a bundle: path below its folder, and text.
pub type Files = BTreeMap<String, String>;

/// A bundle that holds.
#[derive(Debug)]
pub struct Bundle {
    /// For each action the policies whose scope it is in: no other can permit or forbid it, or fail on it.
    scopes: HashMap<Verb, Scope>,
    pub(crate) facts: BTreeMap<String, PolicyFacts>,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) warnings: Vec<Problem>,
    /// All of them, as they were written.
    pub(crate) set: PolicySet,
    files: Files,
    hash: PolicyHash,
    matrix: OnceLock<Matrix>,
}

/// What decides on one action.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) policies: PolicySet,
    /// What the conditions of these policies name themselves.
    pub(crate) named: HashSet<EntityUid>,
}

/// What is known of a policy besides its condition.
#[derive(Debug, Clone)]
pub(crate) struct PolicyFacts {
    pub(crate) place: Place,
    pub(crate) reason: String,
    /// Who is asked, if it asks.
    pub(crate) asking: Option<Asking>,
}

/// A line of a file of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Path below the bundle's folder, with `/`.
    pub file: String,
    /// From 1; `None` if it is the file as a whole.
    pub line: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// In which policy, if it has an id.
    pub policy: Option<String>,
    /// What, and the way out.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.policy {
            Some(policy) => write!(f, "{}: policy {policy}: {}", self.place, self.text),
            None => write!(f, "{}: {}", self.place, self.text),
        }
    }
}

/// Why a bundle is refused.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Everything that is wrong, in order of place.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<Problem>),
    /// A file could not be read.
    #[error("the policies in {path} can't be read", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is too much of it.
    #[error("the policies in {path} take more than {MAX_BYTES} bytes: is it the right folder?", path = path.display())]
    TooLarge {
        /// The folder.
        path: PathBuf,
    },
    /// The program's own schema does not hold.
    #[error("the schema of this program does not hold: {0}")]
    Schema(String),
}

/// What a validator says of a policy.
type Found = (PolicyId, String);

/// The files of the default bundle.
pub(crate) fn embedded_files() -> Files {
    DEFAULT.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

impl Bundle {
    /// The default bundle, which is loaded once. Whoever asks meanwhile waits for it.
    pub fn embedded() -> Result<Arc<Self>, BundleError> {
        static LOADED: Mutex<Option<Arc<Bundle>>> = Mutex::new(None);
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bundle) = &*loaded {
            return Ok(Arc::clone(bundle));
        }
        // Held against the schema by a test: the program can't change them, and it is half of the time that loading takes.
        let bundle = Arc::new(Self::put_together(&embedded_files(), |_, _| (Vec::new(), Vec::new()))?);
        *loaded = Some(Arc::clone(&bundle));
        Ok(bundle)
    }

    /// Begins to load the default bundle beside what else a start does.
    pub fn prepare() {
        // An error is had again by whoever needs it.
        std::thread::spawn(|| drop(Self::embedded()));
    }

    /// The bundle in a folder: every `*.cedar` below it.
    pub fn read(folder: &Path) -> Result<Self, BundleError> {
        Self::load(&read_files(folder)?)
    }

    /// The bundle of these files. What is not called `*.cedar` is left out: the schema is the program's.
    pub fn load(files: &Files) -> Result<Self, BundleError> {
        Self::put_together(files, |schema, set| {
            let result = Validator::new(schema.clone()).validate(set, ValidationMode::Strict);
            let errors = result.validation_errors().map(|error| (error.policy_id().clone(), said(error)));
            let warnings = result.validation_warnings();
            let warnings = warnings.map(|warning| (warning.policy_id().clone(), sentence(warning)));
            (errors.collect(), warnings.collect())
        })
    }

    /// `validate` gives errors and warnings of policies that can be read.
    fn put_together(
        files: &Files,
        validate: impl FnOnce(&Schema, &PolicySet) -> (Vec<Found>, Vec<Found>),
    ) -> Result<Self, BundleError> {
        let vocabulary = Vocabulary::new().map_err(BundleError::Schema)?;
        let (mut set, mut facts, mut problems) = (PolicySet::new(), BTreeMap::new(), Vec::new());
        let mut hash = Sha256::new();
        // Lengths in between: no two sets of files are the same bytes.
        let mut count = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        count(SCHEMA);
        for (file, text) in files.iter().filter(|(file, _)| file.ends_with(".cedar")) {
            count(file);
            count(text);
            parse(file, text, &mut set, &mut facts, &mut problems);
        }
        if facts.is_empty() && problems.is_empty() {
            let place = Place { file: ".".into(), line: None };
            let text = "there is no policy in it, so nothing would be allowed".into();
            problems.push(Problem { place, policy: None, text });
        }
        let (errors, warnings) = validate(&vocabulary.schema, &set);
        problems.extend(errors.into_iter().map(|(policy, text)| problem_of(&facts, &policy, text)));
        let warnings = warnings.into_iter().map(|(policy, text)| problem_of(&facts, &policy, text)).collect();
        if !problems.is_empty() {
            problems.sort();
            problems.dedup();
            return Err(BundleError::Refused(problems));
        }
        let hash = PolicyHash::of(&hash.finalize());
        let scopes = by_action(&set, &vocabulary).map_err(BundleError::Schema)?;
        let files = files.clone();
        Ok(Self { scopes, facts, vocabulary, warnings, set, files, hash, matrix: OnceLock::new() })
    }

    /// SHA-256 of schema and policies.
    pub fn hash(&self) -> &PolicyHash {
        &self.hash
    }

    /// The files that it was loaded from.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Where a policy stands, and its reason.
    pub fn policy(&self, id: &str) -> Option<(&Place, &str)> {
        self.facts.get(id).map(|facts| (&facts.place, facts.reason.as_str()))
    }

    /// The policies that an action is in the scope of.
    pub(crate) fn scope(&self, verb: Verb) -> Option<&Scope> {
        self.scopes.get(&verb)
    }

    /// Every role × action × resource. Computed when it is first asked for.
    pub fn matrix(&self) -> &Matrix {
        self.matrix.get_or_init(|| Matrix::of(self))
    }
}

/// The bundle's files below a folder. Hidden ones, as editors make them, are left out; anything else that can't be taken is
/// an error: it might hold what forbids.
pub(crate) fn read_files(folder: &Path) -> Result<Files, BundleError> {
    let refuse = |file: String, text: &str| {
        let place = Place { file, line: None };
        BundleError::Refused(vec![Problem { place, policy: None, text: text.to_owned() }])
    };
    let (mut files, mut bytes) = (Files::new(), 0);
    let mut folders = vec![(folder.to_owned(), String::new(), 0)];
    while let Some((path, prefix, depth)) = folders.pop() {
        let failed = |source| BundleError::Read { path: path.clone(), source };
        for entry in std::fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let at = entry.path();
            let Ok(name) = entry.file_name().into_string() else {
                return Err(refuse(at.display().to_string(), "its name is not UTF-8: rename it"));
            };
            if name.starts_with('.') {
                continue;
            }
            let failed = |source| BundleError::Read { path: at.clone(), source };
            // Follows links: a folder of policies may be put together from several places.
            let metadata = std::fs::metadata(&at).map_err(failed)?;
            if metadata.is_dir() {
                if depth == MAX_DEPTH {
                    return Err(refuse(format!("{prefix}{name}"), "it lies too deep: move it up"));
                }
                folders.push((at, format!("{prefix}{name}/"), depth + 1));
            } else if metadata.is_file() && name.ends_with(".cedar") {
                bytes += metadata.len();
                if bytes > MAX_BYTES {
                    return Err(BundleError::TooLarge { path: folder.to_owned() });
                }
                files.insert(format!("{prefix}{name}"), std::fs::read_to_string(&at).map_err(failed)?);
            }
        }
    }
    Ok(files)
}

/// Reads one file into the set. What is wrong with it goes to the problems.
fn parse(
    file: &str,
    text: &str,
    set: &mut PolicySet,
    facts: &mut BTreeMap<String, PolicyFacts>,
    problems: &mut Vec<Problem>,
) {
    let whole = Place { file: file.to_owned(), line: None };
    let parsed = match text.parse::<PolicySet>() {
        Ok(parsed) => parsed,
        Err(errors) => {
            for error in errors.iter() {
                let offset = error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
                let place = Place { file: file.to_owned(), line: offset.map(|offset| line_of(text, offset)) };
                problems.push(Problem { place, policy: None, text: sentence(error) });
            }
            return;
        }
    };
    if parsed.templates().next().is_some() {
        let text =
            "templates with ?principal or ?resource are not used here: write the policy out".to_owned();
        problems.push(Problem { place: whole.clone(), policy: None, text });
    }
    for policy in parsed.policies() {
        let Some(id) = policy.annotation("id").filter(|id| is_id(id)) else {
            let text = format!(
                "{} has no @id(\"…\") of lower-case letters, digits, dots and hyphens: give it one",
                head_of(policy)
            );
            problems.push(Problem { place: whole.clone(), policy: None, text });
            continue;
        };
        let line = text.find(&format!("@id(\"{id}\")")).map(|offset| line_of(text, offset));
        let place = Place { file: file.to_owned(), line };
        let mut refuse =
            |text: String| problems.push(Problem { place: place.clone(), policy: Some(id.to_owned()), text });
        match annotations::read(policy) {
            Ok((reason, asking)) => {
                if let Some(other) = facts.get(id) {
                    refuse(format!("{} has the same id: ids are unique", other.place));
                    continue;
                }
                if let Err(error) = set.add(policy.new_id(PolicyId::new(id))) {
                    refuse(sentence(&error));
                    continue;
                }
                facts.insert(id.to_owned(), PolicyFacts { place, reason, asking });
            }
            Err(texts) => texts.into_iter().for_each(refuse),
        }
    }
}

fn by_action(set: &PolicySet, vocabulary: &Vocabulary) -> Result<HashMap<Verb, Scope>, String> {
    let mut scopes = HashMap::new();
    for verb in Verb::ALL.iter().copied() {
        let groups = vocabulary.groups(verb)?;
        let policies = set.policies().filter(|policy| match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(action) => vocabulary.action(verb) == Some(&action),
            ActionConstraint::In(actions) => actions.iter().any(|action| groups.contains(action)),
        });
        let policies = PolicySet::from_policies(policies.cloned()).map_err(|error| error.to_string())?;
        let with_conditions = policies.policies().filter(|policy| policy.has_non_scope_constraint());
        let named = with_conditions.flat_map(Policy::entity_literals).collect();
        scopes.insert(verb, Scope { policies, named });
    }
    Ok(scopes)
}

fn is_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 64
        && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-')
}

/// What a policy without an id is called in an error: "a permit".
fn head_of(policy: &Policy) -> &'static str {
    match policy.effect() {
        Effect::Permit => "a permit",
        Effect::Forbid => "a forbid",
    }
}

fn problem_of(facts: &BTreeMap<String, PolicyFacts>, id: &PolicyId, text: String) -> Problem {
    let id: &str = id.as_ref();
    let unknown = || Place { file: "?".into(), line: None };
    let place = facts.get(id).map_or_else(unknown, |facts| facts.place.clone());
    // The policy is named already.
    let text = text.strip_prefix(&format!("for policy `{id}`")).unwrap_or(&text);
    let text = text.trim_start_matches([',', ':', ' ']).to_owned();
    Problem { place, policy: Some(id.to_owned()), text }
}

/// The error with its help, on one line.
fn sentence(error: &impl Diagnostic) -> String {
    let text = match error.help() {
        Some(help) => format!("{error} ({help})"),
        None => error.to_string(),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn said(error: &ValidationError) -> String {
    match error {
        // Cedar's own guess at what was meant is any of the actions.
        ValidationError::UnrecognizedActionId(_) => format!("{error}; quarterdeck policy matrix lists all"),
        other => sentence(other),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
