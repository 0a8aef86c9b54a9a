//! `mcp shim`: what an agent starts for a tool server. It holds the run's token and nothing else, and passes standard input
//! and output on to the run's socket.

use std::path::Path;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::UnixStream,
};

use crate::{context::UserError, verbs::Done};

/// Where the run's token is.
pub(crate) const RUN_TOKEN: &str = "QUARTERDECK_RUN_TOKEN";

/// Longest head of an answer, in bytes.
const MAX_HEAD: usize = 4 * 1024;

pub(super) async fn shim(name: &str, socket: &Path) -> Done {
    let token = std::env::var(RUN_TOKEN)
        .map_err(|_| UserError::usage(format!("{RUN_TOKEN} is not set: the agent of a run starts this")))?;
    let gone = |error: std::io::Error| {
        UserError::failed(format!(
            "the fleet does not answer at {}: {error}. It does while the run's agent works",
            socket.display()
        ))
    };
    let mut stream = UnixStream::connect(socket).await.map_err(gone)?;
    let ask = format!(
        "GET /mcp/{name} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: mcp\r\nAuthorization: Bearer \
         {token}\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).await.map_err(gone)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.map_err(gone)?;
        head.push(byte);
        if head.len() > MAX_HEAD {
            return Err(UserError::failed(format!("{} is not a run's socket", socket.display())));
        }
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        let mut why = String::new();
        stream.take(MAX_HEAD as u64).read_to_string(&mut why).await.map_err(gone)?;
        return Err(UserError::failed(format!("the server {name} refused: {why}")));
    }
    let (mut from, mut to) = stream.into_split();
    let up = tokio::spawn(async move {
        let _ = copy(&mut tokio::io::stdin(), &mut to).await;
        to.shutdown().await
    });
    let mut out = tokio::io::stdout();
    let copied = copy(&mut from, &mut out).await;
    out.flush().await.ok();
    up.abort();
    copied.map(drop).map_err(gone)
}
