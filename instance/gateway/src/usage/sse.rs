//! Server-sent events as they come in: the lines that carry data go on to the reader of JSON, nothing is kept. Not a
//! client's parser: names and ids of events do not matter here.

use memchr::memchr2;

use super::scan::Scan;

const DATA: &[u8] = b"data:";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// So many bytes of the mark at the start of the stream were seen.
    Mark(usize),
    /// So many bytes of `data:` were seen.
    Field(usize),
    Data,
    Other,
}

/// The framing around events.
#[derive(Debug)]
pub(crate) struct Sse {
    line: Line,
    /// The last byte was a carriage return: a line feed belongs to it.
    returned: bool,
}

impl Sse {
    pub(crate) fn new() -> Self {
        Self { line: Line::Mark(0), returned: false }
    }

    pub(crate) fn feed(&mut self, mut bytes: &[u8], scan: &mut Scan) {
        loop {
            if matches!(self.line, Line::Data | Line::Other) {
                let end = memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
                let (text, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
                self.returned &= text.is_empty();
                if self.line == Line::Data {
                    scan.feed(text);
                }
                bytes = rest;
            }
            let Some((&byte, rest)) = bytes.split_first() else { return };
            bytes = rest;
            self.step(byte, scan);
        }
    }

    fn step(&mut self, byte: u8, scan: &mut Scan) {
        let returned = std::mem::replace(&mut self.returned, byte == b'\r');
        match (self.line, byte) {
            // The line feed after a carriage return that ended the line.
            (_, b'\n') if returned => {}
            (line, b'\n' | b'\r') => {
                match line {
                    Line::Mark(_) | Line::Field(0) => scan.next_document(),
                    Line::Data => scan.feed(b"\n"),
                    Line::Field(_) | Line::Other => {}
                }
                self.line = Line::Field(0);
            }
            (Line::Mark(seen), _) if BYTE_ORDER_MARK.get(seen) == Some(&byte) => {
                let whole = seen + 1 == BYTE_ORDER_MARK.len();
                self.line = if whole { Line::Field(0) } else { Line::Mark(seen + 1) };
            }
            (Line::Mark(0), _) => {
                self.line = Line::Field(0);
                self.step(byte, scan);
            }
            (Line::Field(seen), _) if DATA.get(seen) == Some(&byte) => {
                self.line = if seen + 1 == DATA.len() { Line::Data } else { Line::Field(seen + 1) };
            }
            (Line::Mark(_) | Line::Field(_) | Line::Other | Line::Data, _) => self.line = Line::Other,
        }
    }
}
