//! What GitHub answered before, with the tag it gave it: what has not changed is not sent again, and does not count against the
//! limit (docs.github.com, "Best practices for using the REST API", "Use conditional requests if appropriate"). GitHub is asked
//! each time all the same: nothing here is taken for true unasked. In memory alone.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::client::{Reply, Seen};

/// Answers that are kept; whichever was not asked for the longest goes for another one.
const MOST: usize = 512;
/// The longest body that is kept, in bytes: a page of a hundred comments.
const LONGEST: usize = 256 * 1024;

#[derive(Debug, Default)]
struct Answers {
    /// By path and query, each with when it was asked for.
    kept: BTreeMap<String, (u64, Seen, Reply)>,
    /// Counts what is asked for.
    clock: u64,
}

/// Answers that may still hold. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(Arc<Mutex<Answers>>);

impl Known {
    fn with<T>(&self, change: impl FnOnce(&mut Answers) -> T) -> T {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.clock += 1;
        change(&mut answers)
    }

    /// What was answered there, and by what GitHub knows whether it still holds.
    pub(crate) fn at(&self, path: &str) -> Option<(Seen, Reply)> {
        self.with(|answers| {
            let now = answers.clock;
            let (asked, seen, reply) = answers.kept.get_mut(path)?;
            *asked = now;
            Some((seen.clone(), reply.clone()))
        })
    }

    /// Keeps an answer, if GitHub gave it a tag.
    pub(crate) fn keep(&self, path: &str, reply: &Reply) {
        let Some(tag) = reply.header("etag").filter(|_| reply.status == 200 && reply.body.len() <= LONGEST)
        else {
            return;
        };
        let kept = (Seen(tag.to_owned()), reply.clone());
        self.with(|answers| {
            let now = answers.clock;
            answers.kept.insert(path.to_owned(), (now, kept.0, kept.1));
            if answers.kept.len() > MOST {
                let oldest = answers.kept.iter().min_by_key(|(_, (asked, ..))| *asked);
                if let Some(path) = oldest.map(|(path, _)| path.clone()) {
                    answers.kept.remove(&path);
                }
            }
        });
    }
}
