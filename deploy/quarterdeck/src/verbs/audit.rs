//! `audit`: verify, show, export. Reads the files of the state folder itself and asks no running process: who is to be
//! proven right is not the one to ask.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use qd_audit::{AuditError, ChainFile, Countersignature, Of, Report, Signer, Story};
use serde_json::json;

use super::Done;
use crate::{
    cli::{AuditVerb, Common},
    context::{self, UserError},
    say,
};

pub(super) fn audit(common: &Common, verb: AuditVerb) -> Done {
    match verb {
        AuditVerb::Verify { file: Some(file), keys } => {
            let lines = File::open(&file)
                .map_err(|error| UserError::failed(format!("{} can't be read: {error}", file.display())))?;
            let report = qd_audit::verify_file(BufReader::new(lines), &keys);
            told(common, &[report.map_err(|error| UserError::from_error(&error))?])
        }
        AuditVerb::Verify { file: None, keys } => {
            let chains = chains(common)?;
            told(common, &verify(&chains, &keys)?)
        }
        AuditVerb::Show { what } => {
            let mut all = chains(common)?;
            all.extend(chains_of_tools(common)?);
            show(common, &all, &what)
        }
        AuditVerb::Export { of, out } => export(&chains(common)?, of.as_deref(), out.as_deref()),
    }
}

/// Every chain below the state folder, with what was archived of it.
fn chains(common: &Common) -> Result<Vec<ChainFile>, UserError> {
    let loaded = context::load(&context::sources(common)?)?;
    let (audit, state) = (context::audit(&loaded)?, &loaded.state_dir);
    let all = chains_below(state)?.into_iter();
    Ok(all.map(|(file, chain)| chain.with_segments(audit.segments(&file))).collect())
}

/// Every chain below a state folder and the file that it lies in, of teams that are retired too.
pub(super) fn chains_below(state: &Path) -> Result<Vec<(PathBuf, ChainFile)>, UserError> {
    let mut files = vec![state.join("bot").join("bot.db"), state.join("people.db")];
    if let Ok(teams) = std::fs::read_dir(state.join("instances")) {
        files.extend(teams.filter_map(Result::ok).map(|team| team.path().join("board.db")));
    }
    files.sort();
    let mut chains = Vec::new();
    for file in files {
        let chain = ChainFile::open(&file);
        let failed = |error: AuditError| UserError::failed(format!("{}: {error}", file.display()));
        let chain = chain.map_err(failed)?;
        chains.extend(chain.map(|chain| (file, chain)));
    }
    if chains.is_empty() {
        return Err(UserError::failed(format!("no audit chain was begun below {}", state.display())));
    }
    Ok(chains)
}

/// The chains of tool servers that people use alone. Each is its server's own, and nobody signs its head.
fn chains_of_tools(common: &Common) -> Result<Vec<ChainFile>, UserError> {
    let loaded = context::load(&context::sources(common)?)?;
    let below = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let teams = below(&super::folder_of_tools(&loaded.state_dir));
    let mut files: Vec<PathBuf> =
        teams.iter().flat_map(|team| below(team)).map(|server| server.join("guard.db")).collect();
    files.sort();
    let mut chains = Vec::new();
    for file in files.into_iter().filter(|file| file.exists()) {
        let failed = |error: AuditError| UserError::failed(format!("{}: {error}", file.display()));
        chains.extend(ChainFile::open(&file).map_err(failed)?);
    }
    Ok(chains)
}

fn of_chain(chain: &ChainFile) -> impl Fn(AuditError) -> UserError {
    let name = chain.name().to_owned();
    move |error| UserError::failed(format!("the chain of {name}: {error}"))
}

/// Whose signatures count on a chain: by the keys that the caller names; else by those that the signer's own file lists,
/// which whoever can write the chain need not be able to write; else by those that were enrolled beside the chain.
fn signers(chain: &ChainFile, chains: &[ChainFile], given: &[Signer]) -> Result<Vec<Signer>, UserError> {
    fn of<'s>(signers: &'s [Signer], name: &str) -> impl Iterator<Item = &'s Signer> {
        signers.iter().filter(move |signer| signer.name == name)
    }
    let mut known = given.to_vec();
    for other in chains.iter().filter(|other| other.name() != chain.name()) {
        if of(given, other.name()).next().is_none() {
            let listed = other.signers().map_err(of_chain(other))?;
            known.extend(of(&listed, other.name()).cloned());
        }
    }
    let enrolled = chain.signers().map_err(of_chain(chain))?;
    let only_here = |signer: &&Signer| of(&known, &signer.name).next().is_none();
    let only_here: Vec<Signer> = enrolled.iter().filter(only_here).cloned().collect();
    known.extend(only_here);
    Ok(known)
}

/// Verifies each chain, with what the others have signed of it.
pub(super) fn verify(chains: &[ChainFile], given: &[Signer]) -> Result<Vec<Report>, UserError> {
    let mut reports = Vec::new();
    for chain in chains {
        let mut witnesses: Vec<Countersignature> = Vec::new();
        for other in chains.iter().filter(|other| other.name() != chain.name()) {
            witnesses.extend(other.witnessed(chain.name()).map_err(of_chain(other))?);
        }
        let signers = signers(chain, chains, given)?;
        reports.push(chain.verify(&signers, &witnesses).map_err(of_chain(chain))?);
    }
    Ok(reports)
}

fn told(common: &Common, reports: &[Report]) -> Done {
    if common.json {
        let all: Vec<_> = reports
            .iter()
            .map(|report| {
                json!({
                    "chain": report.to.chain,
                    "fault": report.fault.as_ref().map(|fault| json!({ "row": fault.seq, "text": fault.to_string() })),
                    "rows": report.rows,
                    "whole_to": report.to,
                    "proven_to": report.proven,
                    "dropped": report.dropped,
                    "unchecked_signatures": report.unchecked,
                })
            })
            .collect();
        say::json(&all);
    } else {
        for report in reports {
            say::line(report.to_string().trim_end());
        }
    }
    match reports.iter().filter(|report| report.fault.is_some()).count() {
        0 => Ok(()),
        _ => Err(UserError::failed(
            "the audit trail is broken: keep the files as they are, and ask who could write them",
        )),
    }
}

fn show(common: &Common, chains: &[ChainFile], what: &Of) -> Done {
    let mut told = Vec::new();
    for chain in chains {
        told.push(chain.tell(what).map_err(of_chain(chain))?);
    }
    let story = Story::of(told);
    if story.rows.is_empty() {
        return Err(UserError::failed("no audit row is about that"));
    }
    if common.json {
        say::json(&story);
    } else {
        say::line(story.to_string().trim_end());
    }
    Ok(())
}

fn export(chains: &[ChainFile], of: Option<&str>, out: Option<&Path>) -> Done {
    let names: Vec<&str> = chains.iter().map(ChainFile::name).collect();
    let chain = match (of, chains) {
        (None, [only]) => only,
        (None, _) => return Err(UserError::usage(format!("say whose chain: {}", names.join(", ")))),
        (Some(of), _) => chains.iter().find(|chain| chain.name() == of).ok_or_else(|| {
            UserError::usage(format!("there is no audit chain of {of}; there is {}", names.join(", ")))
        })?,
    };
    let Some(path) = out else {
        return chain.export(std::io::stdout().lock()).map(drop).map_err(of_chain(chain));
    };
    let failed =
        |error: std::io::Error| UserError::failed(format!("{} can't be written: {error}", path.display()));
    let mut file = BufWriter::new(File::create_new(path).map_err(failed)?);
    let rows = chain.export(&mut file).map_err(of_chain(chain))?;
    file.flush().map_err(failed)?;
    let file = path.display();
    say::line(&format!(
        "{rows} rows are in {file}. To verify it on its own: quarterdeck audit verify --file {file}"
    ));
    Ok(())
}
