//! What can be done to a repository, by whomever: it is carried out, and told by webhook. Whether somebody may is asked
//! before, by the routes and by what drives people.

mod checks;
mod code;
mod issues;
mod pulls;

pub(super) use checks::CheckText;
pub(super) use issues::NewIssue;
pub(super) use pulls::NewRemark;
