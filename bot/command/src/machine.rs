//! What a person says of machines of teams: which one, and what it has. What is left out, whoever makes it decides.

use std::fmt;

use qd_text::say;
use qd_types::InstanceName;

use crate::parse::{CommandError, first, no, quoted, team, unknown_flag};

/// A team's machine, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMachine {
    /// Whose.
    pub team: InstanceName,
    /// Where it is made, if not on the cluster that has no name.
    pub cluster: Option<String>,
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

const CLUSTER: &str = "--cluster";

const FLAGS: [&str; 7] = [CLUSTER, "--template", "--pool", "--cores", "--memory", "--disk", "--storage"];

impl fmt::Display for NewMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        let values = [
            self.cluster.clone(),
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
    let (mut whose, mut values) = (None, [const { None::<String> }; 7]);
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = first(rest);
        rest = after;
        if word == "--" {
            continue;
        }
        if !word.starts_with("--") {
            if whose.replace(team(word)?).is_some() {
                return no(say!("vm-takes-team", verb = verb, word = quoted(word)));
            }
            continue;
        }
        let place = FLAGS.iter().position(|flag| *flag == word);
        let Some(slot) = place.and_then(|place| values.get_mut(place)) else {
            return no(unknown_flag(&format!("vm {verb}"), word, &FLAGS));
        };
        let (value, after) = first(rest);
        if value.is_empty() || value.starts_with("--") {
            return no(say!("vm-needs-value", verb = verb, flag = word));
        }
        *slot = Some(value.to_owned());
        rest = after;
    }
    let Some(team) = whose else {
        return no(say!("vm-needs-team", verb = verb));
    };
    let number = |flag: &str, value: Option<String>| {
        let read = |text: String| {
            text.parse::<u32>()
                .map_err(|_| CommandError(say!("vm-number", flag = flag, text = quoted(&text))))
        };
        value.map(read).transpose()
    };
    let [cluster, template, pool, cores, memory, disk, storage] = values;
    Ok(NewMachine {
        team,
        cluster: cluster.as_deref().map(named).transpose()?,
        template: number("--template", template)?,
        pool,
        cores: number("--cores", cores)?,
        memory: number("--memory", memory)?,
        disk: number("--disk", disk)?,
        storage,
    })
}

/// The name of a cluster: small letters and digits, as it fits into the variables that it is configured by.
fn named(cluster: &str) -> Result<String, CommandError> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if (1..=20).contains(&cluster.len()) && cluster.bytes().all(fits) {
        return Ok(cluster.to_owned());
    }
    no(say!("vm-cluster", flag = CLUSTER, cluster = quoted(cluster)))
}

/// A team's machine that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldMachine {
    /// Whose.
    pub team: InstanceName,
    /// Where it is, if not on the cluster that has no name.
    pub cluster: Option<String>,
    /// Where a last backup is kept, if anywhere.
    pub backup_to: Option<String>,
}

impl fmt::Display for OldMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.team)?;
        let given = [(CLUSTER, &self.cluster), (BACKUP, &self.backup_to)];
        let mut given = given.into_iter().filter_map(|(flag, value)| Some((flag, value.as_ref()?)));
        given.try_for_each(|(flag, value)| write!(f, " {flag} {value}"))
    }
}

const BACKUP: &str = "--backup-to";

/// `beta --cluster lab --backup-to nas`, in any order.
pub(crate) fn old_machine(text: &str) -> Result<OldMachine, CommandError> {
    let (mut whose, mut cluster, mut backup_to) = (None, None, None);
    let mut words = text.split(' ').filter(|word| !word.is_empty() && *word != "--");
    let unfit = || no(say!("vm-destroy-takes", cluster = CLUSTER, backup = BACKUP, text = quoted(text)));
    while let Some(word) = words.next() {
        let before = match word {
            CLUSTER | BACKUP => {
                let Some(value) = words.next().filter(|value| !value.starts_with("--")) else {
                    return unfit();
                };
                if word == CLUSTER {
                    cluster.replace(named(value)?)
                } else {
                    backup_to.replace(value.to_owned())
                }
            }
            word if word.starts_with("--") || whose.is_some() => return unfit(),
            word => {
                whose = Some(team(word)?);
                None
            }
        };
        if before.is_some() {
            return unfit();
        }
    }
    match whose {
        Some(team) => Ok(OldMachine { team, cluster, backup_to }),
        None => no(say!("vm-destroy-needs")),
    }
}
