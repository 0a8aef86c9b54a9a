//! `audit`: verify, show, export. Reads the files of the state folder itself and asks no running process: who is to be
//! proven right is not the one to ask.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use qd_audit::{AuditError, ChainFile, Countersignature, Of, Report, Signer};
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
            let chains = chains(&state(common)?)?;
            told(common, &verify(&chains, &keys)?)
        }
        AuditVerb::Show { what } => show(common, &chains(&state(common)?)?, &what),
        AuditVerb::Export { of, out } => export(&chains(&state(common)?)?, of.as_deref(), out.as_deref()),
    }
}

fn state(common: &Common) -> Result<PathBuf, UserError> {
    Ok(context::load(&context::sources(common)?)?.state_dir)
}

/// Every chain below the state folder, of teams that are retired too.
fn chains(state: &Path) -> Result<Vec<ChainFile>, UserError> {
    let mut files = vec![state.join("bot").join("bot.db"), state.join("people.db")];
    if let Ok(teams) = std::fs::read_dir(state.join("instances")) {
        files.extend(teams.filter_map(Result::ok).map(|team| team.path().join("board.db")));
    }
    files.sort();
    let mut chains = Vec::new();
    for file in files {
        let chain = ChainFile::open(&file);
        let failed = |error: AuditError| UserError::failed(format!("{}: {error}", file.display()));
        chains.extend(chain.map_err(failed)?);
    }
    if chains.is_empty() {
        return Err(UserError::failed(format!("no audit chain was begun below {}", state.display())));
    }
    Ok(chains)
}

fn of_chain(chain: &ChainFile) -> impl Fn(AuditError) -> UserError {
    let name = chain.name().to_owned();
    move |error| UserError::failed(format!("the chain of {name}: {error}"))
}

/// Verifies each chain, with what the others have signed of it.
fn verify(chains: &[ChainFile], signers: &[Signer]) -> Result<Vec<Report>, UserError> {
    let mut reports = Vec::new();
    for chain in chains {
        let mut witnesses: Vec<Countersignature> = Vec::new();
        for other in chains.iter().filter(|other| other.name() != chain.name()) {
            witnesses.extend(other.witnessed(chain.name()).map_err(of_chain(other))?);
        }
        reports.push(chain.verify(signers, &witnesses).map_err(of_chain(chain))?);
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
    let mut found = false;
    for chain in chains {
        let rows = chain.select(what).map_err(of_chain(chain))?;
        if rows.is_empty() {
            continue;
        }
        found = true;
        if common.json {
            say::json(&json!({ "chain": chain.name(), "rows": rows }));
        } else {
            let text = chain.timeline(&rows).map_err(of_chain(chain))?;
            say::line(&format!("In the chain of {}:\n\n{}", chain.name(), text.trim_end()));
        }
    }
    if found { Ok(()) } else { Err(UserError::failed("no audit row is about that")) }
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
