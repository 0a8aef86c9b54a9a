//! A run's socket. A connection that begins with `GET /mcp/NAME` and shows the run's token becomes a session of that server;
//! one that asks for a proxy gets to the hosts that are listed; every other goes to the metering gateway, which has tokens
//! of its own.

use std::{sync::Arc, time::Duration};

use qd_guard::stdio;
use qd_sandbox::egress;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpStream, UnixListener, UnixStream},
    task::JoinSet,
    time::timeout,
};

use super::Open;

/// Connections at once.
const CONNECTIONS: usize = 64;

/// Longest head of a request for a session, in bytes.
const MAX_HEAD: usize = 4 * 1024;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a request for a session begins.
const SESSION: &[u8] = b"GET /mcp/";

/// Takes connections until it is dropped; they end with it.
pub(super) async fn serve(listener: UnixListener, open: Arc<Open>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) if connections.len() < CONNECTIONS => {
                connections.spawn(connection(stream, Arc::clone(&open)));
            }
            Ok(_) => tracing::warn!(caller = %open.caller, "too many connections to a run's socket"),
            Err(error) => {
                tracing::warn!(%error, caller = %open.caller, "a connection to a run's socket could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(mut stream: UnixStream, open: Arc<Open>) {
    let Ok(Some(head)) = timeout(PATIENCE, head(&mut stream)).await else { return };
    if egress::is_asked(&head) == Some(true) {
        if let Err(error) = egress::serve(stream, head, &open.hosts).await {
            tracing::debug!(%error, caller = %open.caller, "a run's connection through the proxy ended badly");
        }
        return;
    }
    if !head.starts_with(SESSION) {
        return to_gateway(stream, &head, &open).await;
    }
    let guard = match asked(&head) {
        Some((_, token)) if !open.is_token(token) => {
            Err(("401 Unauthorized", "This token is not this run's.".to_owned()))
        }
        Some((name, _)) => open.guard(name).await,
        None => Err(("400 Bad Request", "Ask with: quarterdeck mcp shim.".to_owned())),
    };
    let guard = match guard {
        Ok(guard) => guard,
        Err((status, text)) => {
            tracing::warn!(caller = %open.caller, status, "refused at a run's socket");
            let length = text.len();
            let answer =
                format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{text}");
            stream.write_all(answer.as_bytes()).await.ok();
            return;
        }
    };
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: mcp\r\n\r\n";
    if stream.write_all(switched).await.is_err() {
        return;
    }
    let (reader, writer) = stream.into_split();
    if let Err(error) = Box::pin(stdio::serve(guard, open.caller.clone(), reader, writer)).await {
        tracing::debug!(%error, caller = %open.caller, "a run's session with a tool server ended badly");
    }
}

/// What the connection begins with: a whole head of a request for a session, or as much as shows that it is none.
async fn head(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut head = Vec::with_capacity(512);
    loop {
        if stream.read_buf(&mut head).await.ok()? == 0 || head.len() > MAX_HEAD {
            return None;
        }
        let session = SESSION.iter().zip(&head).all(|(wanted, byte)| wanted == byte);
        let proxied = egress::is_asked(&head);
        if proxied == Some(true) || (!session && proxied.is_some()) || head.ends_with(b"\r\n\r\n") {
            return Some(head);
        }
    }
}

/// The server's name and the token.
fn asked(head: &[u8]) -> Option<(&str, &str)> {
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let path = lines.next()?.strip_prefix("GET /mcp/")?;
    let (name, _) = path.split_once(' ')?;
    let token = lines.find_map(|line| line.strip_prefix("Authorization: Bearer "))?;
    Some((name, token))
}

/// Passes everything on.
async fn to_gateway(mut stream: UnixStream, head: &[u8], open: &Open) {
    let Some(address) = open.gateway else {
        let answer = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.ok();
        return;
    };
    let passed = async {
        let mut gateway = TcpStream::connect(address).await?;
        gateway.set_nodelay(true)?;
        gateway.write_all(head).await?;
        copy_bidirectional(&mut stream, &mut gateway).await
    };
    if let Err(error) = passed.await {
        tracing::debug!(%error, caller = %open.caller, "a run's connection to the gateway ended badly");
    }
}

#[cfg(test)]
mod tests {
    use super::asked;

    #[test]
    fn a_session_is_asked_for_by_name_and_token() {
        let head = b"GET /mcp/board HTTP/1.1\r\nUpgrade: mcp\r\nAuthorization: Bearer qdr_1\r\n\r\n";
        assert_eq!(asked(head), Some(("board", "qdr_1")));
        assert_eq!(asked(b"GET /mcp/board HTTP/1.1\r\n\r\n"), None);
        assert_eq!(asked(b"GET /mcp/board\r\n\r\n"), None);
        assert_eq!(asked(b"GET /other HTTP/1.1\r\nAuthorization: Bearer qdr_1\r\n\r\n"), None);
    }
}
