//! A merge is asked of the train, bound to the reviewed head. Nothing here can merge.

use std::sync::Arc;

use async_trait::async_trait;
use qd_approvals::Probe;
use qd_guard::{Approved, Call, Fault, Mutation, Plan, Spec};
use qd_types::{SpentGrant, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Desk, Merging, Pull, changing, looking, words};

pub(crate) struct Merge(pub(crate) Arc<Desk>);

/// A merge to be.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Wanted {
    /// The pull request.
    number: u64,
    /// Its reviewed commit, 40 digits. If the branch has moved, nothing is merged.
    head_sha: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Asked {
    number: u64,
    /// How it stands in the train.
    train: String,
}

impl Merge {
    async fn pull(&self, input: &Wanted) -> Result<Pull, Fault> {
        let sha = words::sha(&input.head_sha)?;
        let pull = self.0.github.pull(self.0.repository(), input.number).await.map_err(looking)?;
        if !pull.issue.open {
            return Err(Fault::failed(format!("#{} is not open.", input.number), "Leave it at that."));
        }
        if pull.head_sha != sha {
            return Err(Fault::failed(
                format!("#{} is at {} by now.", input.number, pull.head_sha),
                "Have that reviewed, then ask for it.",
            ));
        }
        Ok(pull)
    }
}

#[async_trait]
impl Mutation for Merge {
    type Input = Wanted;
    type Output = Asked;

    fn spec(&self) -> Spec {
        Spec::new("merge", Tier::Merge, "merge").described(
            "Ask for a merge",
            "Asks the merge train for a pull request at exactly its reviewed commit. The train tests the merge, and merges what it tested. It takes merges of runs alone, and a run asks for its own when its checks have passed: any other is refused before people are asked.",
        )
    }

    async fn plan(&self, _: &Call, input: &Wanted) -> Result<Plan, Fault> {
        words::sha(&input.head_sha)?;
        // A train that takes none says so before people are asked.
        self.0.train.standing(self.0.repository(), "").await.map_err(looking)?;
        let pull = self.pull(input).await?;
        Ok(Plan {
            target: format!("{}#{}", self.0.repository(), input.number),
            fingerprint: words::fingerprint([&*pull.head_sha, &*pull.base]),
            steps: vec![format!(
                "Ask the merge train for #{} at {} into {}.",
                input.number, pull.head_sha, pull.base
            )],
        })
    }

    async fn probe(&self, approval: &str, input: &Wanted) -> Probe {
        match self.0.train.standing(self.0.repository(), approval).await {
            Ok(Some(train)) => {
                let asked = Asked { number: input.number, train };
                Probe::Happened(serde_json::to_string(&asked).unwrap_or_default())
            }
            Ok(None) => Probe::DidNot,
            Err(error) => Probe::CantTell(error.to_string()),
        }
    }
}

#[async_trait]
impl Approved for Merge {
    async fn carry_out(&self, _: &Call, input: Wanted, grant: SpentGrant) -> Result<Asked, Fault> {
        let pull = self.pull(&input).await?;
        let merging = Merging {
            repository: self.0.repository().to_owned(),
            number: input.number,
            head_sha: pull.head_sha,
            approval: grant.grant().approval().to_string(),
        };
        let train = self.0.train.ask(&merging).await.map_err(changing)?;
        Ok(Asked { number: input.number, train })
    }
}
