//! Finds the few numbers and names that tell a call's cost in a JSON text that comes in pieces. Not a JSON library: it
//! keeps nothing of the text but the path to where it stands, so that an answer of any size takes the same memory.
//!
//! It knows where in a document it is, so a text that quotes a usage, or a tool's argument that is called so, counts
//! nothing. A document that is no JSON is left alone from the place where it stops being one.

use memchr::memchr2;

/// Deeper documents are not followed. Answers are about ten deep.
const DEEPEST: usize = 256;
/// The longest key, name or number that is read.
const LONGEST: usize = 128;
/// No call has more tokens than this. What says so is not believed, and no sum of such numbers overflows.
const MOST: u64 = 1_000_000_000;

/// A number that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Count {
    /// `prompt_tokens`, `input_tokens`, `promptTokenCount`.
    Input,
    /// `completion_tokens`, `output_tokens`, `candidatesTokenCount`.
    Output,
    /// Of the input, what was read from a cache.
    Cached,
    /// What was written to a cache.
    CacheWrite,
    /// Of that, what is kept for an hour.
    CacheWriteHour,
    /// Of the output, what was thought and not said. Gemini counts it beside the output.
    Reasoning,
    /// Gemini: what its own tools put into the prompt.
    ToolInput,
}

/// How many counts there are.
pub(crate) const COUNTS: usize = Count::ToolInput as usize + 1;

/// What was found. Later values replace earlier ones: streams tell running totals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    counts: [Option<u64>; COUNTS],
    /// The model that answered.
    pub(crate) model: Option<String>,
    /// The answer says that it is whole.
    pub(crate) last: bool,
    /// What an error inside an answer calls itself.
    pub(crate) error: Option<String>,
}

impl Found {
    pub(crate) fn count(&self, count: Count) -> Option<u64> {
        self.counts.get(count as usize).copied().flatten()
    }

    fn set(&mut self, count: Count, value: u64) {
        if let Some(place) = self.counts.get_mut(count as usize) {
            *place = Some(value);
        }
    }
}

/// Where in a document something of interest may stand. Arrays do not count as a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Root,
    /// Anthropic's `message_start`, whose usage is not the last word.
    Message,
    /// The responses' last event.
    Response,
    /// `choices` and `candidates`.
    Choice,
    Usage,
    /// The usage of a message that only begins.
    FirstUsage,
    InputDetails,
    OutputDetails,
    CacheWrites,
    GeminiUsage,
    PromptFeedback,
    Error,
    Elsewhere,
}

/// What a key's value is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Inside(Node),
    Number(Count),
    /// A number that is only there when the answer is over.
    LastNumber(Count),
    Model,
    /// A text here says that the answer is whole.
    Last,
    ErrorName,
    Nothing,
}

fn at(node: Node, key: &[u8]) -> Value {
    use Value::{Inside, LastNumber, Number};
    match (node, key) {
        (Node::Root | Node::Message | Node::Response, b"model") | (Node::Root, b"modelVersion") => {
            Value::Model
        }
        (Node::Root | Node::Response, b"usage") => Inside(Node::Usage),
        (Node::Root | Node::Response, b"error") => Inside(Node::Error),
        (Node::Root, b"message") => Inside(Node::Message),
        (Node::Root, b"response") => Inside(Node::Response),
        (Node::Root, b"choices" | b"candidates") => Inside(Node::Choice),
        (Node::Root, b"usageMetadata") => Inside(Node::GeminiUsage),
        (Node::Root, b"promptFeedback") => Inside(Node::PromptFeedback),
        (Node::Message, b"usage") => Inside(Node::FirstUsage),
        (Node::Choice, b"finishReason") | (Node::PromptFeedback, b"blockReason") => Value::Last,
        (Node::Error, b"type" | b"code" | b"status") => Value::ErrorName,
        (Node::Usage | Node::FirstUsage, b"prompt_tokens" | b"input_tokens") => Number(Count::Input),
        (Node::Usage, b"completion_tokens" | b"output_tokens") => LastNumber(Count::Output),
        (Node::FirstUsage, b"output_tokens") => Number(Count::Output),
        (Node::Usage | Node::FirstUsage, b"cache_read_input_tokens" | b"prompt_cache_hit_tokens") => {
            Number(Count::Cached)
        }
        (Node::Usage | Node::FirstUsage, b"cache_creation_input_tokens") => Number(Count::CacheWrite),
        (Node::Usage | Node::FirstUsage, b"cache_creation") => Inside(Node::CacheWrites),
        (Node::Usage, b"prompt_tokens_details" | b"input_tokens_details") => Inside(Node::InputDetails),
        (Node::Usage, b"completion_tokens_details" | b"output_tokens_details") => Inside(Node::OutputDetails),
        (Node::InputDetails, b"cached_tokens") => Number(Count::Cached),
        (Node::InputDetails, b"cache_write_tokens") => Number(Count::CacheWrite),
        (Node::OutputDetails, b"reasoning_tokens" | b"thinking_tokens") => Number(Count::Reasoning),
        (Node::CacheWrites, b"ephemeral_1h_input_tokens") => Number(Count::CacheWriteHour),
        (Node::GeminiUsage, b"promptTokenCount") => Number(Count::Input),
        (Node::GeminiUsage, b"candidatesTokenCount") => Number(Count::Output),
        (Node::GeminiUsage, b"cachedContentTokenCount") => Number(Count::Cached),
        (Node::GeminiUsage, b"thoughtsTokenCount") => Number(Count::Reasoning),
        (Node::GeminiUsage, b"toolUsePromptTokenCount") => Number(Count::ToolInput),
        _ => Value::Nothing,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    Object(Node),
    Array(Value),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A value begins.
    Value,
    /// In an object: a key or the end.
    Key,
    /// In a string that is a key.
    InKey,
    /// A key is over, its colon comes.
    Colon,
    InText,
    InNumber,
    /// In `true`, `false` or `null`.
    InWord,
    /// A value is over: a comma or the end of what it stands in.
    After,
    /// No JSON, or deeper than anything that is read.
    Lost,
}

/// Reads a text in pieces.
#[derive(Debug)]
pub(crate) struct Scan {
    state: State,
    stack: Vec<Frame>,
    /// What the value that is being read is good for.
    value: Value,
    escaped: bool,
    token: Vec<u8>,
    /// The token is too long, or has escapes in it: it is none that is looked for.
    unread: bool,
    pub(crate) found: Found,
}

impl Scan {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Value,
            stack: Vec::with_capacity(16),
            value: Value::Inside(Node::Root),
            escaped: false,
            token: Vec::with_capacity(LONGEST),
            unread: false,
            found: Found::default(),
        }
    }

    /// The next document begins. What was found stays.
    pub(crate) fn next_document(&mut self) {
        self.state = State::Value;
        self.stack.clear();
        self.value = Value::Inside(Node::Root);
        self.clear_token();
    }

    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        loop {
            if self.state == State::Lost {
                return;
            }
            if matches!(self.state, State::InKey | State::InText) && !self.escaped {
                let end = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
                let (text, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
                self.keep(text);
                bytes = rest;
            }
            let Some((&byte, rest)) = bytes.split_first() else { return };
            bytes = rest;
            self.step(byte);
        }
    }

    fn step(&mut self, byte: u8) {
        match self.state {
            State::InKey | State::InText => self.in_string(byte),
            State::InNumber => {
                if matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') {
                    self.keep(&[byte]);
                } else {
                    self.number();
                    self.state = State::After;
                    self.step(byte);
                }
            }
            State::InWord => {
                if !byte.is_ascii_lowercase() {
                    self.state = State::After;
                    self.step(byte);
                }
            }
            _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => {}
            State::Value => self.begin(byte),
            State::Key => match byte {
                b'"' => self.string(State::InKey),
                b'}' => self.close(),
                _ => self.state = State::Lost,
            },
            State::Colon => self.state = if byte == b':' { State::Value } else { State::Lost },
            State::After => match (byte, self.stack.last()) {
                (b',', Some(Frame::Object(_))) => self.state = State::Key,
                (b',', Some(Frame::Array(value))) => {
                    self.value = *value;
                    self.state = State::Value;
                }
                (b'}', Some(Frame::Object(_))) | (b']', Some(Frame::Array(_))) => self.close(),
                _ => self.state = State::Lost,
            },
            State::Lost => {}
        }
    }

    fn begin(&mut self, byte: u8) {
        match byte {
            b'{' => {
                let node = if let Value::Inside(node) = self.value { node } else { Node::Elsewhere };
                self.open(Frame::Object(node), State::Key);
            }
            b'[' => {
                // Only what holds objects goes on inside an array: a number in one is another number.
                let inside = if matches!(self.value, Value::Inside(_)) { self.value } else { Value::Nothing };
                self.value = inside;
                self.open(Frame::Array(inside), State::Value);
            }
            b']' if matches!(self.stack.last(), Some(Frame::Array(_))) => self.close(),
            b'"' => self.string(State::InText),
            b'-' | b'0'..=b'9' => {
                self.clear_token();
                self.keep(&[byte]);
                self.state = State::InNumber;
            }
            b't' | b'f' | b'n' => self.state = State::InWord,
            _ => self.state = State::Lost,
        }
    }

    fn open(&mut self, frame: Frame, state: State) {
        if self.stack.len() == DEEPEST {
            self.state = State::Lost;
        } else {
            self.stack.push(frame);
            self.state = state;
        }
    }

    fn close(&mut self) {
        self.stack.pop();
        self.state = State::After;
    }

    fn string(&mut self, state: State) {
        self.clear_token();
        self.state = state;
    }

    fn in_string(&mut self, byte: u8) {
        if self.escaped {
            self.escaped = false;
        } else if byte == b'\\' {
            (self.escaped, self.unread) = (true, true);
        } else if self.state == State::InKey {
            let node =
                if let Some(Frame::Object(node)) = self.stack.last() { *node } else { Node::Elsewhere };
            self.value = if self.unread { Value::Nothing } else { at(node, &self.token) };
            self.state = State::Colon;
        } else {
            self.text();
            self.state = State::After;
        }
    }

    fn text(&mut self) {
        let token = (!self.unread).then(|| std::str::from_utf8(&self.token).ok()).flatten();
        match self.value {
            Value::Model => self.found.model = token.map(str::to_owned).or(self.found.model.take()),
            Value::ErrorName => self.found.error = token.map(str::to_owned).or(self.found.error.take()),
            Value::Last => self.found.last = true,
            _ => {}
        }
    }

    fn number(&mut self) {
        let (count, last) = match self.value {
            Value::Number(count) => (count, false),
            Value::LastNumber(count) => (count, true),
            _ => return,
        };
        let read = std::str::from_utf8(&self.token).ok().and_then(|text| text.parse().ok());
        if let Some(number) = read.filter(|number| !self.unread && *number <= MOST) {
            self.found.set(count, number);
            self.found.last |= last;
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if matches!(self.state, State::InText) && !matches!(self.value, Value::Model | Value::ErrorName) {
            return;
        }
        if self.token.len() + bytes.len() > LONGEST {
            self.unread = true;
        } else {
            self.token.extend_from_slice(bytes);
        }
    }

    fn clear_token(&mut self) {
        self.token.clear();
        (self.escaped, self.unread) = (false, false);
    }
}
