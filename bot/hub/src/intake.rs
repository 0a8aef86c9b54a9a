//! Reports in. What comes at once from many instances is one transaction: a commit costs the same for one report as for all of
//! them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use qd_sqlite::DbError;
use qd_types::InstanceName;
use qd_wire::v1::{Ack, Envelope, Report};
use tokio::sync::oneshot;

use crate::{
    Hub, HubError,
    hub::State,
    uplink::{self, Placed},
};

/// Reports in one transaction, about; past that the next one begins, so that nobody waits long for an answer.
const AT_ONCE: usize = 512;

/// What waits for its transaction: at most one batch for each call under way, and transports bound those.
#[derive(Default)]
pub(crate) struct Intake(Mutex<VecDeque<Waiting>>);

struct Waiting {
    from: InstanceName,
    batch: Vec<Envelope<Report>>,
    answer: oneshot::Sender<Result<Ack, HubError>>,
}

/// What is new of a batch, and up to where its instance is known once that is committed.
struct Taken {
    from: InstanceName,
    known: Ack,
    reports: Vec<Placed>,
}

impl Intake {
    fn put(&self, waiting: Waiting) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(waiting);
    }

    /// The oldest that wait, as many as are one transaction; at least one, if any waits.
    fn take(&self) -> Vec<Waiting> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reports = 0;
        let fits = all.iter().take_while(|waiting| {
            let first = reports == 0;
            reports += waiting.batch.len();
            first || reports <= AT_ONCE
        });
        let count = fits.count();
        all.drain(..count).collect()
    }
}

impl Hub {
    /// Takes reports of an instance, in order; answers with what is committed. Reports that were seen are skipped.
    ///
    /// # Errors
    /// If the database fails, or something in them can't be kept: then nothing of them is.
    pub async fn receive(&self, from: &InstanceName, batch: Vec<Envelope<Report>>) -> Result<Ack, HubError> {
        let (answer, told) = oneshot::channel();
        self.inner.intake.put(Waiting { from: from.clone(), batch, answer });
        // A task of its own for each that waits: it goes on if whoever called is gone, as others wait for it, too.
        tokio::spawn(self.clone().take_in());
        told.await.map_err(|_| DbError::Closed)?
    }

    async fn take_in(self) {
        let mut state = self.inner.state.lock().await;
        let (mut taken, mut answers) = (Vec::new(), Vec::new());
        for Waiting { from, batch, answer } in self.inner.intake.take() {
            match self.received(&mut state, &from).await {
                Ok(known) => {
                    let (known, reports) = uplink::next(&from, known, batch);
                    // Forgotten if the transaction fails.
                    state.received.insert(from.clone(), known);
                    taken.push(Taken { from, known, reports });
                    answers.push(answer);
                }
                Err(error) => tell(answer, Err(error)),
            }
        }
        let taken = Arc::new(taken);
        match self.apply(&mut state, Arc::clone(&taken), 0..taken.len()).await {
            Ok(()) => {
                for (answer, Taken { known, .. }) in answers.into_iter().zip(taken.iter()) {
                    tell(answer, Ok(*known));
                }
            }
            Err(error) if answers.len() == 1 => {
                if let Some(answer) = answers.pop() {
                    tell(answer, Err(error));
                }
            }
            // One of them can't be kept: each for itself, so that it stands in nobody else's way.
            Err(_) => {
                for (place, answer) in answers.into_iter().enumerate() {
                    let done = self.apply(&mut state, Arc::clone(&taken), place..place + 1).await;
                    let known =
                        taken.get(place).map(|taken| taken.known).ok_or(HubError::Db(DbError::Closed));
                    tell(answer, done.and(known));
                }
            }
        }
    }

    /// Applies some of what was taken, in one transaction; none, if nothing in it is new.
    async fn apply(
        &self,
        state: &mut State,
        taken: Arc<Vec<Taken>>,
        which: std::ops::Range<usize>,
    ) -> Result<(), HubError> {
        let some = taken.get(which.clone()).unwrap_or_default();
        if some.iter().all(|taken| taken.reports.is_empty()) {
            return Ok(());
        }
        self.turn(state, move |turn| {
            let some = taken.get(which).unwrap_or_default();
            some.iter().try_for_each(|Taken { from, reports, .. }| uplink::apply(turn, from, reports))
        })
        .await
    }
}

fn tell(answer: oneshot::Sender<Result<Ack, HubError>>, told: Result<Ack, HubError>) {
    if answer.send(told).is_err() {
        tracing::debug!("a caller left before its reports were acknowledged");
    }
}
