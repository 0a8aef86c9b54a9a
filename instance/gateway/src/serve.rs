//! Where agents reach the gateway: a Unix socket, or a TCP port of this machine. Nowhere else.

use std::{convert::Infallible, io, path::Path, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinSet,
};

use crate::gateway::Gateway;

/// How long the head of a request may take, and how long a connection may wait for its next one.
const HEAD_TIME: Duration = Duration::from_secs(60);
/// After an accept that failed, mostly for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Why nobody can reach the gateway.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket can't be made.
    #[error("the gateway can't listen on {place}: {source}")]
    Listen {
        /// Path or address.
        place: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others could reach the address.
    #[error("the gateway listens on this machine only, not on {0}: use 127.0.0.1 or [::1]")]
    NotLoopback(String),
}

/// Makes the socket, for its owner alone. One that is left from before is replaced.
pub fn bind_unix(path: &Path) -> Result<UnixListener, ServeError> {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    let bind = || -> io::Result<UnixListener> {
        if std::fs::symlink_metadata(path).is_ok_and(|about| about.file_type().is_socket()) {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    bind().map_err(|source| ServeError::Listen { place: path.display().to_string(), source })
}

/// Listens on an address of this machine. Port 0 takes any that is free.
pub async fn bind_tcp(address: std::net::SocketAddr) -> Result<TcpListener, ServeError> {
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address.to_string()));
    }
    let listen = TcpListener::bind(address).await;
    listen.map_err(|source| ServeError::Listen { place: address.to_string(), source })
}

/// What agents connect to.
trait Listener {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    fn accept_one(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    async fn accept_one(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // An answer's pieces are small, and each is wanted at once.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;
    async fn accept_one(&self) -> io::Result<UnixStream> {
        Ok(self.accept().await?.0)
    }
}

impl Gateway {
    /// Serves a TCP port until `stop` is over. Calls that are under way then end, and are recorded as cancelled.
    pub async fn serve_tcp(
        &self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let address = listener.local_addr();
        if !address.as_ref().is_ok_and(|address| address.ip().is_loopback()) {
            let place = address.map_or_else(|error| error.to_string(), |address| address.to_string());
            return Err(ServeError::NotLoopback(place));
        }
        self.serve(listener, stop).await;
        Ok(())
    }

    /// Serves a Unix socket until `stop` is over.
    pub async fn serve_unix(&self, listener: UnixListener, stop: impl Future<Output = ()>) {
        self.serve(listener, stop).await;
    }

    async fn serve(&self, listener: impl Listener, stop: impl Future<Output = ()>) {
        let places = Arc::new(Semaphore::new(self.inner.settings.connections));
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        let next = || async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept_one().await)
        };
        loop {
            let (place, stream) = tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next() => continue,
                next = next() => next,
            };
            let (Ok(place), stream) = (place, stream) else { break };
            match stream {
                Ok(stream) => {
                    let connection = self.clone().connection(stream);
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the gateway could not accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        connections.shutdown().await;
    }

    async fn connection<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request| {
            let gateway = self.clone();
            async move { Ok::<_, Infallible>(gateway.handle(request).await) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "a connection of an agent ended early");
        }
    }
}
