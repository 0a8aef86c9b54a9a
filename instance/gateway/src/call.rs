//! A call from its opening to its close. Whatever happens to it, its end is recorded: when it is dropped, the client has
//! gone away, and what was counted so far is what is recorded.

use std::{sync::Arc, time::Instant};

use crate::{
    budget::{Scope, Standing},
    event::{Event, Next, Trouble},
    gateway::Inner,
    meter::{Change, Outcome, Record, Ticket},
    prices::Priced,
    providers::Target,
    runs::Pass,
    usage::{Reader, Reading, Usage},
};

/// A call that is under way.
pub(crate) struct Call {
    inner: Arc<Inner>,
    ticket: Option<Box<dyn Ticket>>,
    pass: Pass,
    record: Record,
    begun: Instant,
    reader: Option<Reader>,
    /// Who was asked last.
    target: Option<Target>,
    /// A provider has the request, and has not said no.
    asked: bool,
    /// One had it, and was heard of no more.
    lost: bool,
}

impl Call {
    pub(crate) fn new(inner: Arc<Inner>, ticket: Box<dyn Ticket>, pass: Pass, record: Record) -> Self {
        Self {
            inner,
            ticket: Some(ticket),
            pass,
            record,
            begun: Instant::now(),
            reader: None,
            target: None,
            asked: false,
            lost: false,
        }
    }

    /// A request goes out.
    pub(crate) fn ask(&mut self, target: &Target, sent: usize) {
        self.asked = true;
        self.record.attempts = self.record.attempts.saturating_add(1);
        self.record.provider.clone_from(&target.provider.name);
        self.record.priced = target.priced(&target.model);
        self.target = Some(target.clone());
        self.record.sent = u64::try_from(sent).unwrap_or(u64::MAX);
    }

    /// A provider answered.
    pub(crate) fn status(&mut self, status: u16) {
        self.record.status = Some(status);
        self.asked = status < 400;
    }

    /// The request never got there.
    pub(crate) fn not_sent(&mut self) {
        self.record.status = None;
        self.asked = false;
    }

    /// The request got there, and no answer came.
    pub(crate) fn no_answer(&mut self) {
        self.record.status = None;
        self.lost = true;
    }

    pub(crate) fn tell(&self, target: &Target, trouble: Trouble, next: Next) {
        let (run, provider) = (self.pass.run.clone(), target.provider.name.clone());
        self.inner.events.tell(Event::Provider { run, provider, trouble, next });
    }

    /// The answer begins.
    pub(crate) fn begin(&mut self, streamed: bool) {
        self.reader = Some(Reader::new(self.record.endpoint, streamed));
    }

    /// A piece of the answer passes by.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if self.record.first_byte_ms.is_none() {
            self.record.first_byte_ms = Some(self.millis());
        }
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.record.received = self.record.received.saturating_add(length);
        if let Some(reader) = &mut self.reader {
            reader.feed(bytes);
        }
    }

    /// The answer came to its end.
    pub(crate) fn end(&mut self) {
        let failed = self.reader.as_ref().and_then(Reader::error).map(str::to_owned);
        self.finish(failed.map_or(Outcome::Answered, Outcome::Failed));
    }

    /// It is over. Only the first time counts.
    pub(crate) fn finish(&mut self, outcome: Outcome) {
        let Some(ticket) = self.ticket.take() else { return };
        self.record.outcome = outcome;
        self.record.total_ms = self.millis();
        // Who said no, or never heard of it, used nothing.
        self.record.reading = match &self.reader {
            Some(reader) => reader.reading(),
            None if self.asked || self.lost => Reading::Unknown,
            None => Reading::Whole(Usage::default()),
        };
        self.record.answered = self.reader.as_ref().and_then(Reader::model).map(str::to_owned);
        self.record.charged = self.record.reading.charged(self.record.sent, self.record.received);
        self.price();
        let record = self.record.clone();
        tracing::debug!(run = %record.run, provider = record.provider, outcome = record.outcome.name(), "a model was called");
        for change in ticket.close(record) {
            self.compare(&change);
        }
    }

    /// The price of the model that answered, else of the one that was asked for: a dated name may have none.
    fn price(&mut self) {
        let rates = self.inner.rates.load();
        let answered = self.record.answered.as_ref().zip(self.target.as_ref());
        let answered = answered.map(|(model, target)| target.priced(model));
        let known = |priced: &Priced| rates.prices.find(&priced.list, &priced.model).is_some();
        if let Some(priced) = answered.filter(known) {
            self.record.priced = priced;
        }
        let price = rates.prices.find(&self.record.priced.list, &self.record.priced.model);
        self.record.cost = price.map(|price| price.of(&self.record.charged));
    }

    /// Tells of a budget that stands otherwise than before the call.
    fn compare(&self, Change { scope, before, after }: &Change) {
        let rates = self.inner.rates.load();
        let budget = rates.budget(scope, &self.pass.budgets);
        let standing = |spent| -> Standing { budget.standing(spent, None, &rates.prices) };
        let now = standing(after);
        if now.level() > standing(before).level() {
            let (run, scope): (_, Scope) = (self.pass.run.clone(), scope.clone());
            self.inner.events.tell(Event::Budget { run, scope, standing: now });
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.finish(Outcome::Cancelled);
    }
}
