//! The demo's look at the trail: what led from a request to a merge, row by row, and that every chain is whole. Read from
//! the files, as `quarterdeck audit` does.

use std::path::Path;

use qd_audit::{ChainFile, Of, Story};
use qd_types::FeatureId;

use crate::{context::UserError, say, verbs::audit};

/// Tells the approval of one feature, and verifies every chain.
pub(super) fn tell(state: &Path, feature: &FeatureId) -> Result<(), UserError> {
    let failed = |error: qd_audit::AuditError| UserError::from_error(&error);
    let chains: Vec<ChainFile> = audit::chains_below(state)?.into_iter().map(|(_, chain)| chain).collect();
    let mut told = Vec::new();
    for chain in chains.iter().filter(|chain| chain.name() == "bot") {
        told.push(chain.tell(&Of::Feature(feature.clone())).map_err(failed)?);
    }
    say::note("");
    say::note(&format!("The bot's trail of {feature}:"));
    for row in Story::of(told).rows {
        say::note(&format!("  {:<10} {:<14} {}", row.row.kind.as_str(), row.who, row.text));
    }
    let mut whole = Vec::new();
    for report in audit::verify(&chains, &[])? {
        if let Some(fault) = &report.fault {
            return Err(UserError::failed(format!("the chain of {} is broken: {fault}", report.to.chain)));
        }
        whole.push(format!("{} ({} rows)", report.to.chain, report.rows));
    }
    say::note(&format!("Whole, row by row: {}.", whole.join(", ")));
    Ok(())
}
