//! The contract of the port Forge, one function per promise. Not the place for what only one adapter promises.

mod checks;
mod comments;
mod issues;
mod merges;
mod pull_requests;
mod rebuilds;

pub use checks::*;
pub use comments::*;
pub use issues::*;
pub use merges::*;
pub use pull_requests::*;
pub use rebuilds::*;

use crate::ForgeHarness;

/// Hands the names of all contracts to the macro `$then`, behind `$given`: the one list of them.
#[doc(hidden)]
#[macro_export]
macro_rules! each_forge_contract {
    ($then:path, $($given:tt)*) => {
        $then! { ($($given)*)
            opening_twice_gives_the_same_pull_request
            pull_requests_are_listed_newest_first
            an_open_pull_request_follows_its_branch
            closing_a_pull_request_is_final
            what_cannot_be_proposed_is_refused
            one_open_pull_request_per_branch
            what_is_not_there_is_named
            a_draft_is_not_merged
            a_pull_request_has_labels_and_a_milestone
            a_branch_goes_that_nothing_needs
            the_newest_check_of_a_name_counts
            checks_gate_the_merge
            checks_belong_to_a_commit
            a_check_says_more_than_how_it_ended
            a_check_remarks_on_lines
            a_merge_commit_has_both_parents
            a_squash_is_one_commit_on_the_target
            a_diverged_head_is_merged_with_the_target
            a_moved_base_is_not_merged_onto
            a_moved_head_is_not_merged
            conflicts_name_their_files
            merging_again_gives_the_same_commit
            merging_closes_the_issues_that_it_names
            what_is_closed_is_not_merged
            a_rebuild_answers_with_the_reviewed_diff
            a_rebuild_refuses_what_was_not_reviewed
            a_rebuild_refuses_a_conflict_settled_by_hand
            a_rebuild_needs_the_head_and_the_base
            a_comment_is_written_once_per_marker
            comments_are_listed_oldest_first
            opening_twice_gives_the_same_issue
            issues_are_listed_newest_first
            labels_are_made_and_replaced
            labels_that_no_forge_takes_are_refused
            milestones_count_their_issues
            closing_an_issue_twice_is_fine
            what_cannot_be_an_issue_is_refused
            issues_and_pull_requests_share_their_numbers
        }
    };
}

macro_rules! run_all {
    (($harness:ident) $($name:ident)*) => { $($name($harness).await;)* };
}

/// All contracts, one after the other, on one repository.
pub async fn forge(harness: &dyn ForgeHarness) {
    crate::each_forge_contract!(run_all, harness);
}

/// Makes one `#[tokio::test]` of every contract. The expression makes a harness; it may await.
#[macro_export]
macro_rules! forge_contract {
    ($harness:expr) => {
        $crate::each_forge_contract!($crate::forge_contract_tests, $harness);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! forge_contract_tests {
    (($harness:expr) $($name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let harness = $harness;
                $crate::contract::$name(&harness).await;
            }
        )*
    };
}
