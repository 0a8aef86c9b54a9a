//! The link to a started agent: its three streams on one side, the crate's connection on the other. Updates are taken out
//! before the crate sees them: its queues have no bound, and ours have.

use std::sync::Arc;

use agent_client_protocol::{
    Agent, Channel, Client, RawJsonRpcMessage, RawJsonRpcResponse, TransportFrame,
    v1::{
        ConnectionTo,
        schema::{ReadTextFileRequest, WriteTextFileRequest},
    },
};
use futures_util::{Stream, StreamExt as _};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    process::Child,
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{
    error::AcpError,
    wire::{Dropped, Event, PermissionAsked},
};
use crate::{
    process::{Stream as Pipe, pump},
    text::clean,
};

/// Longest message, in bytes: a file may be in it.
const MESSAGE_CAP: usize = 32 * 1024 * 1024;

/// Events that may wait. A flood of updates slows its source down.
const EVENTS: usize = 256;

/// The link.
pub(crate) struct Link {
    /// Sends requests.
    pub(crate) to: ConnectionTo<Agent>,
    /// What the agent does besides answering. It must be read while an answer is waited for.
    pub(super) events: mpsc::Receiver<Event>,
    /// What nothing could be made of.
    pub(super) dropped: Arc<Dropped>,
    hang_up: Option<oneshot::Sender<()>>,
    /// Ended when this is dropped.
    _tasks: JoinSet<()>,
}

impl Link {
    /// Links up with a process whose gate is open.
    pub(crate) async fn of(child: &mut Child) -> Result<Self, AcpError> {
        Self::new(child.stdin.take(), child.stdout.take(), child.stderr.take()).await
    }

    /// Links up with an agent, wherever it runs.
    pub(crate) async fn new(
        stdin: Option<impl AsyncWrite + Send + Unpin + 'static>,
        stdout: Option<impl AsyncRead + Send + Unpin + 'static>,
        stderr: Option<impl AsyncRead + Send + Unpin + 'static>,
    ) -> Result<Self, AcpError> {
        let (events, received) = mpsc::channel(EVENTS);
        let dropped = Arc::new(Dropped::default());
        let mut tasks = JoinSet::new();
        let (ours, theirs) = Channel::duplex();
        let (from_crate, to_crate) = ours.into_parts();
        if let Some(stdin) = stdin {
            tasks.spawn(write(from_crate, stdin));
        }
        if let Some(stdout) = stdout {
            let (events, dropped) = (events.clone(), Arc::clone(&dropped));
            tasks.spawn(async move {
                let forward = |frame| to_crate.unbounded_send(frame).is_ok();
                read(BufReader::new(stdout), forward, events, &dropped).await;
            });
        }
        if let Some(stderr) = stderr {
            let (sender, mut lines) = mpsc::channel(EVENTS);
            tasks.spawn(pump(stderr, Pipe::Err, sender));
            let events = events.clone();
            tasks.spawn(async move {
                while let Some((_, line)) = lines.recv().await {
                    if events.send(Event::Complaint(line)).await.is_err() {
                        return;
                    }
                }
            });
        }
        let (hang_up, hung_up) = oneshot::channel();
        let (connected, connection) = oneshot::channel();
        tasks.spawn(async move {
            if let Err(error) = serve(theirs, events, connected, hung_up).await {
                tracing::debug!(code = ?error.code, "the connection to an agent ended with an error");
            }
        });
        let to = connection.await.map_err(|_| AcpError::NoConnection)?;
        Ok(Self { to, events: received, dropped, hang_up: Some(hang_up), _tasks: tasks })
    }

    /// What it writes on its standard error next, cleaned. Everything else that it sends is left out. None at the end.
    pub(crate) async fn complaint(&mut self) -> Option<String> {
        loop {
            if let Event::Complaint(line) = self.events.recv().await? {
                return Some(clean(&String::from_utf8_lossy(&line.bytes)));
            }
        }
    }

    /// Closes the agent's standard input. Its events go on until its streams end.
    pub(crate) fn hang_up(&mut self) {
        if let Some(hang_up) = self.hang_up.take() {
            let _ = hang_up.send(());
        }
    }
}

/// Runs the connection until it is hung up. Its handlers only pass on: they hold up whatever comes after.
async fn serve(
    transport: Channel,
    events: mpsc::Sender<Event>,
    connected: oneshot::Sender<ConnectionTo<Agent>>,
    hung_up: oneshot::Receiver<()>,
) -> Result<(), agent_client_protocol::Error> {
    let (asks, reads, writes) = (events.clone(), events.clone(), events);
    Client
        .v1()
        .name("quarterdeck")
        .on_receive_request(
            async move |asked: PermissionAsked, responder, _| {
                pass(&asks, Event::Permission(asked, responder)).await
            },
            agent_client_protocol::on_receive_request!(),
        )
        .on_receive_request(
            async move |file: ReadTextFileRequest, responder, _| {
                pass(&reads, Event::Read(file, responder)).await
            },
            agent_client_protocol::on_receive_request!(),
        )
        .on_receive_request(
            async move |file: WriteTextFileRequest, responder, _| {
                pass(&writes, Event::Write(file, responder)).await
            },
            agent_client_protocol::on_receive_request!(),
        )
        .connect_with(transport, async move |connection: ConnectionTo<Agent>| {
            let _ = connected.send(connection);
            let _ = hung_up.await;
            Ok(())
        })
        .await
}

/// When nobody takes events any more, the responder in it is dropped, and the agent gets an error.
async fn pass(events: &mpsc::Sender<Event>, event: Event) -> Result<(), agent_client_protocol::Error> {
    let _ = events.send(event).await;
    Ok(())
}

async fn write(mut frames: impl Stream<Item = TransportFrame> + Unpin, mut to: impl AsyncWrite + Unpin) {
    while let Some(frame) = frames.next().await {
        let Ok(mut line) = frame.to_json() else { continue };
        line.push('\n');
        // An agent that is gone shows on its other streams.
        if to.write_all(line.as_bytes()).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

async fn read(
    mut from: BufReader<impl AsyncRead + Unpin>,
    forward: impl Fn(TransportFrame) -> bool,
    events: mpsc::Sender<Event>,
    dropped: &Dropped,
) {
    let mut line = Vec::new();
    while let Some(whole) = next_line(&mut from, &mut line).await {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let frame = std::str::from_utf8(&line).ok().filter(|_| whole).map(TransportFrame::parse_json);
        let passed = match frame {
            Some(TransportFrame::Single(RawJsonRpcMessage::Notification(notification))) => {
                match &*notification.method {
                    "session/update" => {
                        let params =
                            notification.params.map_or_else(Default::default, |params| params.into_value());
                        events.send(Event::Update(params)).await.is_ok()
                    }
                    method if method.starts_with("$/") => {
                        forward(TransportFrame::Single(RawJsonRpcMessage::Notification(notification)))
                    }
                    _ => {
                        Dropped::count(&dropped.updates);
                        true
                    }
                }
            }
            Some(TransportFrame::Single(RawJsonRpcMessage::Response(response))) => {
                forward(TransportFrame::Single(RawJsonRpcMessage::Response(as_version_one(response))))
            }
            Some(frame @ TransportFrame::Single(_)) => forward(frame),
            _ => {
                Dropped::count(&dropped.lines);
                true
            }
        };
        if !passed {
            return;
        }
    }
}

/// Some agents echo version 2 in the handshake and go on with the shape of version 1. The crate would turn them away.
fn as_version_one(mut response: RawJsonRpcResponse) -> RawJsonRpcResponse {
    if let RawJsonRpcResponse::Result { result: Value::Object(fields), .. } = &mut response
        && fields.contains_key("agentCapabilities")
        && fields.get("protocolVersion").and_then(Value::as_u64) == Some(2)
    {
        fields.insert("protocolVersion".to_owned(), 1.into());
    }
    response
}

/// Reads a line into `line`, and says whether it is there as a whole. None at the end.
async fn next_line(from: &mut BufReader<impl AsyncRead + Unpin>, line: &mut Vec<u8>) -> Option<bool> {
    line.clear();
    let (mut whole, mut any) = (true, false);
    loop {
        let chunk = from.fill_buf().await.ok()?;
        if chunk.is_empty() {
            return any.then_some(whole);
        }
        any = true;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or(&[]);
        let used = part.len() + usize::from(end.is_some());
        whole = whole && line.len() + part.len() <= MESSAGE_CAP;
        if whole {
            line.extend_from_slice(part);
        }
        from.consume(used);
        if end.is_some() {
            return Some(whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;

    /// What is passed to the crate, how many updates, and what is dropped.
    fn run(bytes: &[u8]) -> (usize, usize, (u64, u64)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (sender, mut events) = mpsc::channel(4096);
            let (passed, dropped) = (Mutex::new(0), Dropped::default());
            let forward = |_| {
                *passed.lock().unwrap() += 1;
                true
            };
            read(BufReader::with_capacity(7, bytes), forward, sender, &dropped).await;
            let mut updates = 0;
            while events.try_recv().is_ok() {
                updates += 1;
            }
            let passed = *passed.lock().unwrap();
            (passed, updates, dropped.read())
        })
    }

    #[test]
    fn what_is_no_message_is_dropped_and_counted() {
        let lines = concat!(
            "Loading the model...\n\n  \r\n{\"half\": \n[1]\n{}\n",
            "{\"jsonrpc\":\"2.0\",\"method\":\"session/update\",\"params\":{}}\n",
            "{\"jsonrpc\":\"2.0\",\"method\":\"_vendor/news\",\"params\":{}}\n",
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n",
            "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"fs/read_text_file\",\"params\":{}}\n",
            "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":null}",
        );
        assert_eq!(run(lines.as_bytes()), (3, 1, (4, 1)));
        assert_eq!(run(b"\xff\xfe\n"), (0, 0, (1, 0)));
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            run(&bytes);
        }
    }
}
