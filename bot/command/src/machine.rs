//! What a person says of machines of teams: which one, and what it has. What is left out, whoever makes it decides.

use std::fmt;

use qd_types::InstanceName;

use crate::parse::{CommandError, first, nearest, no, team};

/// A team's machine, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMachine {
    /// Whose.
    pub team: InstanceName,
    /// Number of the template.
    pub template: Option<u32>,
    /// Its pool.
    pub pool: Option<String>,
    /// Cores.
    pub cores: Option<u32>,
    /// Memory, in MiB.
    pub memory: Option<u32>,
    /// Size of the disk, in GiB.
    pub disk: Option<u32>,
    /// Where a full clone's disks lie.
    pub storage: Option<String>,
}

const FLAGS: [&str; 6] = ["--template", "--pool", "--cores", "--memory", "--disk", "--storage"];

impl fmt::Display for NewMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        let values = [
            number(self.template),
            self.pool.clone(),
            number(self.cores),
            number(self.memory),
            number(self.disk),
            self.storage.clone(),
        ];
        write!(f, "{}", self.team)?;
        let given = FLAGS.iter().zip(values).filter_map(|(flag, value)| Some((flag, value?)));
        given.into_iter().try_for_each(|(flag, value)| write!(f, " {flag} {value}"))
    }
}

/// `beta --template 9000 --cores 4`, in any order; what `verb` needs is said by its name.
pub(crate) fn new_machine(verb: &str, text: &str) -> Result<NewMachine, CommandError> {
    let (mut whose, mut values) = (None, [const { None::<String> }; 6]);
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = first(rest);
        rest = after;
        if word == "--" {
            continue;
        }
        if !word.starts_with("--") {
            if whose.replace(team(word)?).is_some() {
                return no(format!("vm {verb} takes one team. What does {word:?} mean?"));
            }
            continue;
        }
        let place = FLAGS.iter().position(|flag| *flag == word);
        let Some(slot) = place.and_then(|place| values.get_mut(place)) else {
            return no(format!("vm {verb} does not know {word}.{}", nearest(word, &FLAGS)));
        };
        let (value, after) = first(rest);
        if value.is_empty() || value.starts_with("--") {
            return no(format!("{word} needs a value: vm {verb} TEAM {word} …"));
        }
        *slot = Some(value.to_owned());
        rest = after;
    }
    let Some(team) = whose else {
        return no(format!("vm {verb} needs a team: vm {verb} beta --template 9000 --cores 4"));
    };
    let number = |flag: &str, value: Option<String>| {
        let read = |text: String| {
            text.parse::<u32>().map_err(|_| CommandError(format!("{flag} takes a number, not {text:?}.")))
        };
        value.map(read).transpose()
    };
    let [template, pool, cores, memory, disk, storage] = values;
    Ok(NewMachine {
        team,
        template: number("--template", template)?,
        pool,
        cores: number("--cores", cores)?,
        memory: number("--memory", memory)?,
        disk: number("--disk", disk)?,
        storage,
    })
}

/// `beta --backup-to nas`.
pub(crate) fn old_machine(text: &str) -> Result<(InstanceName, Option<String>), CommandError> {
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty() && *word != "--").collect();
    match words.as_slice() {
        [] => no("vm destroy needs a team: vm destroy beta --backup-to nas"),
        [whose] => Ok((team(whose)?, None)),
        [whose, "--backup-to", storage] | ["--backup-to", storage, whose] => {
            Ok((team(whose)?, Some((*storage).to_owned())))
        }
        _ => no(format!("vm destroy takes a team and --backup-to STORAGE. What does {text:?} mean?")),
    }
}
