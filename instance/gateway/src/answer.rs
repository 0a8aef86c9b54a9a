//! An answer on its way to the agent: each piece is passed on when it comes, and read on the way. Nothing is held back.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::{
    call::Call,
    event::{Next, Trouble},
    meter::Outcome,
    providers::Target,
};

/// Why an answer ends before its end. The agent sees a connection that breaks off, as it would without us.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("the provider's answer broke off")]
    Cut(#[source] hyper::Error),
    #[error("the provider is silent, or its answer takes too long")]
    Silent,
}

/// The body of an answer.
pub(crate) enum Answer {
    /// Of ours, or a short one.
    Whole(Full<Bytes>),
    /// A provider's.
    Passed(Box<Passed>),
}

pub(crate) struct Passed {
    upstream: Incoming,
    metered: Option<(Call, Target)>,
    idle: Duration,
    deadline: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Passed {
    /// `idle` is the longest silence between two pieces, `longest` the time for all of them.
    pub(crate) fn new(
        upstream: Incoming,
        metered: Option<(Call, Target)>,
        idle: Duration,
        longest: Duration,
    ) -> Self {
        let now = Instant::now();
        let deadline = now + longest;
        let timer = Box::pin(tokio::time::sleep_until(deadline.min(now + idle)));
        let mut passed = Self { upstream, metered, idle, deadline, timer };
        passed.end_if_over();
        passed
    }

    /// Nobody asks again after the last byte of an answer whose length is known.
    fn end_if_over(&mut self) {
        if self.upstream.is_end_stream()
            && let Some((call, _)) = &mut self.metered
        {
            call.end();
        }
    }

    fn broken(&mut self, outcome: Outcome, trouble: Trouble) {
        if let Some((call, target)) = &mut self.metered {
            call.finish(outcome);
            call.tell(target, trouble, Next::GivenUp);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let passed = match &mut *self {
            Self::Whole(full) => {
                return Pin::new(full).poll_frame(context).map_err(|never| match never {});
            }
            Self::Passed(passed) => passed,
        };
        match Pin::new(&mut passed.upstream).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(data), Some((call, _))) = (frame.data_ref(), &mut passed.metered) {
                    call.feed(data);
                }
                let next = passed.deadline.min(Instant::now() + passed.idle);
                passed.timer.as_mut().reset(next);
                passed.end_if_over();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                passed.broken(Outcome::Cut, Trouble::Cut);
                Poll::Ready(Some(Err(AnswerError::Cut(error))))
            }
            Poll::Ready(None) => {
                if let Some((call, _)) = &mut passed.metered {
                    call.end();
                }
                Poll::Ready(None)
            }
            Poll::Pending => {
                std::task::ready!(passed.timer.as_mut().poll(context));
                passed.broken(Outcome::TimedOut, Trouble::Silent);
                Poll::Ready(Some(Err(AnswerError::Silent)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(full) => full.is_end_stream(),
            Self::Passed(passed) => passed.upstream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(full) => full.size_hint(),
            Self::Passed(passed) => passed.upstream.size_hint(),
        }
    }
}
