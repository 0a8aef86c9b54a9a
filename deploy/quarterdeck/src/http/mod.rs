//! How the fleet is reached: one router, on TCP for browsers and on Unix sockets for the command line. Who calls is
//! established here, before anything else sees the request.

pub mod pulls;
mod sign_in;

use std::{io, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path};

use axum::{
    Extension, Router,
    serve::{Listener, ListenerExt as _},
};
use tokio::net::{TcpListener, UnixListener};

pub use sign_in::{Door, Guard, home, same_origin};

/// Longest path of a Unix socket on Linux, in bytes (`sun_path`, unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// Binds the page's address.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves browsers, until the task is dropped.
pub async fn serve_tcp(listener: TcpListener, router: Router, guard: Guard) {
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
    });
    serve(listener, router, guard, Door::Tcp).await;
}

/// Serves the command line at `path`, which only this user can open, until the task is dropped.
pub async fn serve_socket(listener: UnixListener, router: Router, guard: Guard) {
    serve(listener, router, guard, Door::Socket).await;
}

async fn serve<L>(listener: L, router: Router, guard: Guard, door: Door)
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    let service = sign_in::guarded(router, guard).layer(Extension(door));
    if let Err(error) = axum::serve(listener, service).await {
        tracing::error!(%error, ?door, "serving ended");
    }
}

/// Makes the socket, mode 0600. A file that an earlier process left there is replaced: whoever calls holds the lock
/// of the database beside it.
pub fn bind_socket(path: &Path) -> io::Result<UnixListener> {
    let length = path.as_os_str().len();
    if length > MAX_SOCKET_PATH {
        let text = format!(
            "{} has {length} bytes, a socket's path has at most {MAX_SOCKET_PATH}: use a shorter state.dir",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
