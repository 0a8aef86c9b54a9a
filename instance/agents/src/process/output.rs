//! A process's output, line by line, with a bound on every line. It does not look at what the lines say.

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
};

use crate::text::{RAW_CAP, RawLine};

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Sends every line until the end of the stream, the last one also without a newline. When the receiver is slow, this is
/// slow, and in the end the process is, through its pipe.
pub(crate) async fn pump(
    mut from: impl AsyncRead + Unpin,
    stream: Stream,
    to: mpsc::Sender<(Stream, RawLine)>,
) {
    let mut chunk = vec![0; 8 * 1024];
    let mut line = RawLine::default();
    let mut begun = false;
    // A pipe of ours fails to be read only when it is closed.
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        let mut rest = chunk.get(..count).unwrap_or(&[]);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = rest.split_at(end);
            extend(&mut line, head);
            if to.send((stream, std::mem::take(&mut line))).await.is_err() {
                return;
            }
            begun = false;
            rest = tail.get(1..).unwrap_or(&[]);
        }
        begun |= !rest.is_empty();
        extend(&mut line, rest);
    }
    if begun {
        let _ = to.send((stream, line)).await;
    }
}

fn extend(line: &mut RawLine, bytes: &[u8]) {
    let keep = bytes.len().min(RAW_CAP.saturating_sub(line.bytes.len()));
    line.bytes.extend_from_slice(bytes.get(..keep).unwrap_or(&[]));
    line.dropped += (bytes.len() - keep) as u64;
}
