//! A loopback port that leads to one Unix socket: the only way out of a sandbox without a network. Plain threads, no
//! runtime: it must start in a moment and cost nothing.
//!
//! The port is opened first, and given to a helper as its standard input; then this process becomes the program. So the
//! port is there before the program runs, and both end with their sandbox.

use std::{
    ffi::OsString,
    io,
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Connections at once; further ones are hung up on.
const CONNECTIONS: usize = 64;

/// How long a socket that is gone is waited for: the fleet may be starting again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks for it.
const PAUSE: Duration = Duration::from_millis(200);

/// Opens the port, starts `helper` with it, and becomes the program. Comes back only if it could not.
pub fn enter(port: u16, helper: &mut Command, command: &[OsString]) -> io::Error {
    let Some((program, args)) = command.split_first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "forward needs a program");
    };
    let started = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| {
        let listener = OwnedFd::from(listener);
        helper.stdin(Stdio::from(listener)).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    });
    match started {
        Ok(_) => Command::new(program).args(args).exec(),
        Err(error) => error,
    }
}

/// The helper: takes connections from the port on standard input, for ever.
pub fn serve(socket: &Path) -> io::Result<()> {
    let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    forward(&listener, socket)
}

/// Each connection to the listener becomes one to the socket.
pub fn forward(listener: &TcpListener, socket: &Path) -> io::Result<()> {
    let (open, socket) = (Arc::new(()), PathBuf::from(socket));
    loop {
        let (inside, _) = listener.accept()?;
        if Arc::strong_count(&open) > CONNECTIONS {
            continue;
        }
        let (held, socket) = (Arc::clone(&open), socket.clone());
        thread::Builder::new().spawn(move || {
            let _held = held;
            // Who hangs up shows as the end of the stream on the other side.
            let _ = both_ways(&inside, &socket);
        })?;
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "this process has no executor: each connection has a thread of its own"
)]
fn connect(socket: &Path) -> io::Result<UnixStream> {
    let until = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(socket) {
            Err(error) if is_away(&error) && Instant::now() < until => thread::sleep(PAUSE),
            result => return result,
        }
    }
}

/// Whether nobody listens there now.
fn is_away(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::PermissionDenied
    )
}

fn both_ways(inside: &TcpStream, socket: &Path) -> io::Result<()> {
    let outside = connect(socket)?;
    inside.set_nodelay(true)?;
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = io::copy(&mut &outside, &mut &*inside);
            let _ = inside.shutdown(Shutdown::Write);
        });
        let copied = io::copy(&mut &*inside, &mut &outside).map(drop);
        outside.shutdown(Shutdown::Write).and(copied)
    })
}
