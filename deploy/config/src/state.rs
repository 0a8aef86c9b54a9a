//! Where state is kept and what may be read: folders, resolved from the configuration and the environment.

use std::path::{Path, PathBuf};

use crate::{Config, Sources};

/// The variable that, if set, names the only root.
pub(crate) const ROOT_VARIABLE: &str = "ALLOWED_ROOT_DIRECTORY";

fn set<'a>(sources: &'a Sources, name: &str) -> Option<&'a str> {
    sources.env.get(name).map(String::as_str).filter(|text| !text.is_empty())
}

/// Where state is kept, or what is missing to know it.
pub(crate) fn folder(config: &Config, sources: &Sources) -> Result<PathBuf, String> {
    if let Some(dir) = &config.state.dir {
        return Ok(sources.cwd.join(dir));
    }
    // systemd gives several folders as one list; the first is the state's own.
    if let Some(first) = set(sources, "STATE_DIRECTORY").and_then(|list| list.split(':').next()) {
        return Ok(PathBuf::from(first));
    }
    // The XDG base directory specification: a relative path is ignored.
    if let Some(base) = set(sources, "XDG_STATE_HOME").map(Path::new).filter(|base| base.is_absolute()) {
        return Ok(base.join("quarterdeck").join(slug(&config.fleet.name)));
    }
    let home = set(sources, "HOME").map(|home| Path::new(home).join(".local/state/quarterdeck"));
    home.map(|home| home.join(slug(&config.fleet.name))).ok_or_else(|| {
        "is not set, and neither HOME nor STATE_DIRECTORY says where state goes: set it".to_owned()
    })
}

/// A fleet's name as a folder's: two fleets of one person keep apart what they keep.
fn slug(name: &str) -> String {
    let keep =
        |letter: char| if letter.is_ascii_alphanumeric() || "-_".contains(letter) { letter } else { '-' };
    let slug: String = name.chars().map(keep).take(64).collect();
    if slug.is_empty() { "fleet".to_owned() } else { slug }
}

/// The folders below which may be read. What can't be opened is told with the key, or the variable, that names it.
pub(crate) fn roots(
    config: &Config,
    sources: &Sources,
    file: Option<&Path>,
    add: &mut impl FnMut(String, String),
) -> Vec<PathBuf> {
    // A restriction that is set to nothing must not open everything.
    if let Some(only) = sources.env.get(ROOT_VARIABLE) {
        if only.is_empty() {
            add(
                ROOT_VARIABLE.to_owned(),
                "is empty: name the folder that may be read, or unset it".to_owned(),
            );
            return Vec::new();
        }
        return real(add, ROOT_VARIABLE.to_owned(), &sources.cwd.join(only)).into_iter().collect();
    }
    if config.roots.is_empty() {
        let folder = file.and_then(Path::parent).unwrap_or(&sources.cwd);
        return real(add, "roots".to_owned(), folder).into_iter().collect();
    }
    let each = config.roots.iter().enumerate();
    each.filter_map(|(index, root)| real(add, format!("roots.{index}"), &sources.cwd.join(root))).collect()
}

fn real(add: &mut impl FnMut(String, String), key: String, path: &Path) -> Option<PathBuf> {
    let real = path.canonicalize();
    real.map_err(|error| add(key, format!("{} can't be opened: {error}", path.display()))).ok()
}
