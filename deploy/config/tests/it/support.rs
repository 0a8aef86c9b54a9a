//! A folder with a configuration in it, and nothing of this computer's.

use std::{collections::BTreeMap, path::PathBuf};

use qd_config::{Loaded, Sources, load, show};

pub(crate) struct Place {
    _dir: tempfile::TempDir,
    pub(crate) here: PathBuf,
    pub(crate) sources: Sources,
}

impl Place {
    /// With this `quarterdeck.toml`.
    pub(crate) fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path().canonicalize().unwrap();
        let sources = Sources {
            cwd: here.clone(),
            system_file: here.join("etc/config.toml"),
            env: BTreeMap::from([("HOME".to_owned(), "/home/ines".to_owned())]),
            ..Sources::default()
        };
        let place = Self { _dir: dir, here, sources };
        place.write("quarterdeck.toml", text);
        place
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.here.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.sources.env.insert(name.to_owned(), value.replace("DIR", &self.here.display().to_string()));
        self
    }

    pub(crate) fn flag(mut self, key: &str, value: &str) -> Self {
        self.sources.flags.push((key.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn load(&self) -> Loaded {
        load(&self.sources).unwrap()
    }

    /// What is refused, with this folder as DIR.
    pub(crate) fn refused(&self) -> String {
        load(&self.sources).unwrap_err().to_string().replace(&self.here.display().to_string(), "DIR")
    }

    /// What `config show` prints of these sections.
    pub(crate) fn shown(&self, sections: &[&str]) -> String {
        let rows = show(&self.load()).into_iter();
        let rows = rows.filter(|row| sections.iter().any(|section| row.key.starts_with(section)));
        let rows: Vec<String> =
            rows.map(|row| format!("{} = {}  ({})", row.key, row.value, row.origin)).collect();
        rows.join("\n").replace(&self.here.display().to_string(), "DIR")
    }
}

pub(crate) fn refused(text: &str) -> String {
    Place::new(text).refused()
}
