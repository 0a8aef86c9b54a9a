//! The files in which a repository tells agents about itself: `.quarterdeck/context/*.md`, those that fit the feature.

use std::{fs, io::Read as _, path::Path};

use qd_agents::prompt;
use qd_board::{Feature, context::Context};

/// Where they are in a checkout.
const FOLDER: &str = ".quarterdeck/context";
/// Bytes of one file that are told, and of all of them.
const LONGEST: u64 = 32 * 1024;
const ALL: usize = 96 * 1024;

/// What is told, and sentences about what is left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) files: Vec<prompt::Context>,
    pub(super) left_out: Vec<String>,
}

/// The files of a checkout that are for this feature, by name. Only plain files count: a link could lead anywhere.
pub(super) fn of(checkout: &Path, feature: &Feature) -> Told {
    let mut told = Told::default();
    let Ok(folder) = fs::read_dir(checkout.join(FOLDER)) else { return told };
    let mut names: Vec<String> = folder
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".md"))
        .collect();
    names.sort();
    let mut bytes = 0;
    for name in names {
        match file(&checkout.join(FOLDER).join(&name), feature) {
            Ok(None) => {}
            Ok(Some(text)) if bytes + text.len() > ALL => {
                told.left_out
                    .push(format!("{FOLDER}/{name} is left out: all of them together are too long."));
            }
            Ok(Some(text)) => {
                bytes += text.len();
                told.files.push(prompt::Context { name, text });
            }
            Err(error) => told.left_out.push(format!("{FOLDER}/{name} is left out: {error}.")),
        }
    }
    told
}

fn file(path: &Path, feature: &Feature) -> Result<Option<String>, Box<dyn std::error::Error + Send + Sync>> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err("it is no plain file".into());
    }
    let mut text = String::new();
    fs::File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(format!("it is longer than {} KiB", LONGEST / 1024).into());
    }
    let context = Context::read(&text)?;
    let fits = context.is_for(feature)? && !context.text.is_empty();
    Ok(fits.then_some(context.text))
}
