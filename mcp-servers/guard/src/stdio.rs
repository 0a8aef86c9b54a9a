//! Over standard input and output, or any other pair of byte streams: one JSON message a line. The caller is whoever the
//! server was started for.

use rmcp::service::{QuitReason, ServerInitializeError, serve_server};
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
        DuplexStream,
    },
    task::JoinError,
};

use crate::{
    Caller, Guard, Session,
    screen::{MAX_MESSAGE, screen},
};

/// Bytes between the screen and the protocol.
const BUFFER: usize = 64 * 1024;

/// Why a session could not be served to its end.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It did not begin.
    #[error("the client did not begin a session: {0}")]
    Begin(#[source] Box<ServerInitializeError>),
    /// It broke.
    #[error("the session broke: {0}")]
    Broken(#[from] JoinError),
}

/// Serves one client until it closes its end.
pub async fn serve<R, W>(guard: Guard, caller: Caller, reader: R, writer: W) -> Result<QuitReason, ServeError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let (screened, protocol) = tokio::io::duplex(BUFFER);
    let screening = tokio::spawn(pass(reader, screened));
    let session = Session::new(guard, caller);
    let served = async {
        let running =
            serve_server(session, (protocol, writer)).await.map_err(|e| ServeError::Begin(Box::new(e)))?;
        Ok(running.waiting().await?)
    };
    let ended = served.await;
    screening.abort();
    ended
}

/// Passes lines on as the screen lets them. A line that is too long ends the session: where its end would be, nobody knows.
async fn pass(reader: impl AsyncRead + Unpin, mut to: DuplexStream) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(MAX_MESSAGE as u64 + 1).read_until(b'\n', &mut line).await;
        match read {
            Ok(0) => return,
            Ok(length) if length > MAX_MESSAGE => {
                tracing::warn!(MAX_MESSAGE, "a client sent a message that is too long: its session ends");
                return;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "a client can't be read");
                return;
            }
        }
        let message = line.trim_ascii();
        if message.is_empty() {
            continue;
        }
        let message = screen(message);
        if to.write_all(&message).await.is_err() || to.write_all(b"\n").await.is_err() {
            return;
        }
    }
}
