//! What an answer says it used, in all four shapes, read while the answer passes by. Not a guess: what can't be read is
//! unknown. An estimate exists beside it, and only budgets see that.

mod scan;
mod sse;

use serde::{Deserialize, Serialize};

use crate::route::Endpoint;
use scan::{Count, Scan};
use sse::Sse;

/// Bytes of a request or an answer that are taken for one token where nobody counted. English text has about four, so
/// this is rather too many tokens than too few.
const BYTES_PER_TOKEN: u64 = 3;

/// Tokens of one call. No token is in two fields, but `reasoning`, which is a part of `output`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Read by the model afresh.
    pub input: u64,
    /// Read from a cache.
    pub cached: u64,
    /// Written to a cache, for minutes.
    pub cache_write: u64,
    /// Written to a cache, for an hour.
    pub cache_write_hour: u64,
    /// Written by the model, with what it thought.
    pub output: u64,
    /// Of `output`, what was thought and not said.
    pub reasoning: u64,
}

impl Usage {
    /// What goes into the model.
    pub fn prompt(&self) -> u64 {
        self.input
            .saturating_add(self.cached)
            .saturating_add(self.cache_write)
            .saturating_add(self.cache_write_hour)
    }

    /// All of it, as a limit in tokens counts it.
    pub fn tokens(&self) -> u64 {
        self.prompt().saturating_add(self.output)
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cached: self.cached.saturating_add(other.cached),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            cache_write_hour: self.cache_write_hour.saturating_add(other.cache_write_hour),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
    }
}

/// What is known of a call's usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "usage")]
pub enum Reading {
    /// The answer told it to the end.
    Whole(Usage),
    /// The answer was cut: so much was counted, the truth is more.
    Partial(Usage),
    /// Nothing could be read. It is not zero.
    Unknown,
}

impl Reading {
    /// What was counted, if anything was.
    pub fn counted(&self) -> Option<Usage> {
        match self {
            Self::Whole(usage) | Self::Partial(usage) => Some(*usage),
            Self::Unknown => None,
        }
    }

    /// What budgets hold against a call: the count, and where it is not whole, at least an estimate from its size.
    /// Else a run could spend without end by hanging up before the last line of each answer.
    pub fn charged(&self, sent: u64, received: u64) -> Usage {
        let counted = match self {
            Self::Whole(usage) => return *usage,
            Self::Partial(usage) => *usage,
            Self::Unknown => Usage::default(),
        };
        let short = tokens_of(sent).saturating_sub(counted.prompt());
        Usage {
            input: counted.input.saturating_add(short),
            output: counted.output.max(tokens_of(received)),
            ..counted
        }
    }
}

fn tokens_of(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// Reads an answer while it passes by.
#[derive(Debug)]
pub(crate) struct Reader {
    endpoint: Endpoint,
    framing: Option<Sse>,
    scan: Scan,
}

impl Reader {
    pub(crate) fn new(endpoint: Endpoint, streamed: bool) -> Self {
        Self { endpoint, framing: streamed.then(Sse::new), scan: Scan::new() }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        match &mut self.framing {
            Some(framing) => framing.feed(bytes, &mut self.scan),
            None => self.scan.feed(bytes),
        }
    }

    /// The model that says it answered.
    pub(crate) fn model(&self) -> Option<&str> {
        self.scan.found.model.as_deref()
    }

    /// What an error inside the answer calls itself.
    pub(crate) fn error(&self) -> Option<&str> {
        self.scan.found.error.as_deref()
    }

    pub(crate) fn reading(&self) -> Reading {
        let found = &self.scan.found;
        let count = |count| found.count(count).unwrap_or(0);
        if found.count(Count::Input).is_none() {
            return Reading::Unknown;
        }
        let (input, output) = (count(Count::Input), count(Count::Output));
        let (cached, reasoning) = (count(Count::Cached), count(Count::Reasoning));
        let hour = count(Count::CacheWriteHour);
        let cache_write = count(Count::CacheWrite).saturating_sub(hour);
        let usage = match self.endpoint {
            // The input is the whole prompt.
            Endpoint::ChatCompletions | Endpoint::Responses => Usage {
                input: input.saturating_sub(cached).saturating_sub(cache_write),
                cached,
                cache_write,
                cache_write_hour: 0,
                output,
                reasoning,
            },
            // The input is what was in no cache.
            Endpoint::Messages => {
                Usage { input, cached, cache_write, cache_write_hour: hour, output, reasoning }
            }
            // What was thought, and what the model's own tools read, come on top.
            Endpoint::GenerateContent => Usage {
                input: input.saturating_sub(cached).saturating_add(count(Count::ToolInput)),
                cached,
                cache_write: 0,
                cache_write_hour: 0,
                output: output.saturating_add(reasoning),
                reasoning,
            },
        };
        if found.last { Reading::Whole(usage) } else { Reading::Partial(usage) }
    }
}

#[cfg(test)]
mod tests;
