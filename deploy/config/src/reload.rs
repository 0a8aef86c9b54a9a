//! What a changed file changes in a running fleet.

use crate::{Loaded, show};

/// Keys that take effect at once, by their beginning. All others need a restart.
const HOT: [&str; 5] = ["runs.", "agents.", "fleet.merge_quorum", "fleet.solo", "people."];
/// The same for fields of a list's entries.
const HOT_FIELDS: [(&str, &str); 3] =
    [("teams", "slots"), ("teams", "agent"), ("repositories", "merge_method")];

/// Keys whose values differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reload {
    /// In force from now on.
    pub took_effect: Vec<String>,
    /// In force after a restart.
    pub needs_restart: Vec<String>,
}

/// Compares two configurations.
pub fn reload(old: &Loaded, new: &Loaded) -> Reload {
    let (old, new) = (show(old), show(new));
    let value = |rows: &[crate::ShowRow], key: &str| {
        rows.iter().find(|row| row.key == key).map(|row| row.value.clone())
    };
    let mut keys: Vec<&str> = old.iter().chain(&new).map(|row| row.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut reload = Reload::default();
    for key in keys {
        let (before, after) = (value(&old, key), value(&new, key));
        if before != after {
            // An entry that came or went as a whole needs a restart, whatever is in it.
            let same_entry = !key.starts_with("teams.") || (before.is_some() && after.is_some());
            let list =
                if is_hot(key) && same_entry { &mut reload.took_effect } else { &mut reload.needs_restart };
            list.push(key.to_owned());
        }
    }
    reload
}

fn is_hot(key: &str) -> bool {
    let parts: Vec<&str> = key.split('.').collect();
    if let [list, _, field, ..] = parts.as_slice()
        && (HOT_FIELDS.contains(&(list, field)) || (*list == "repositories" && *field == "checks"))
    {
        return true;
    }
    HOT.iter().any(|hot| key == hot.trim_end_matches('.') || key.starts_with(hot))
}
