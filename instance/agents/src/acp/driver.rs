//! Drives a session: everything that an agent sends passes through one loop, which owns the transcript, the tool calls
//! and the open requests for permission. The loop never waits for a person; it only waits with them.

use std::{collections::HashMap, path::Path, pin::pin, sync::Arc, time::Duration};

use agent_client_protocol::{
    Error, JsonRpcRequest, Responder, V1,
    v1::schema::{
        CancelNotification, ContentBlock, Cost, ReadTextFileResponse, RequestPermissionOutcome,
        RequestPermissionResponse, SelectedPermissionOutcome, SessionId, TextContent, WriteTextFileResponse,
    },
};
use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use qd_types::RunId;
use tokio::{sync::watch, time::timeout};

use super::{
    clock::Clock,
    error::AcpError,
    files,
    link::Link,
    permission::{Ask, Decision, Permissions, Reply, Verdict, choose},
    tools::{Asker, News, ToolCalls},
    wire::{Dropped, Event, PermissionAsked, Prompt, PromptAnswer, Update},
};
use crate::{
    text::{RawLine, Tail, clean, last_chars},
    transcript::{Kind, Transcript, TranscriptError},
};

/// So much of the end of its words is kept, in characters.
pub(super) const WORDS: usize = 500;

/// An unfinished line of what it says is written down at this length, in bytes.
const LINE: usize = 8 * 1024;

/// So many requests for permission may be open. More are answered with no.
const MAX_OPEN: usize = 64;

/// Why something was not carried to its end.
#[derive(Debug)]
pub(super) enum TurnError {
    /// The agent is to blame.
    Acp(AcpError),
    /// Its streams ended before it answered that method.
    Gone(&'static str),
    /// What it says can't be stored.
    Transcript(TranscriptError),
    /// It was cancelled before a session was there.
    Cancelled,
}

impl From<TranscriptError> for TurnError {
    fn from(error: TranscriptError) -> Self {
        Self::Transcript(error)
    }
}

impl From<AcpError> for TurnError {
    fn from(error: AcpError) -> Self {
        Self::Acp(error)
    }
}

/// Whom the session is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) run: &'a RunId,
    pub(super) agent: &'a str,
    pub(super) cwd: &'a Path,
    pub(super) clock: &'a Clock,
}

/// An open request for permission.
struct Open {
    responder: Responder<RequestPermissionResponse, V1>,
    options: Vec<(String, String)>,
    person: bool,
}

/// What is heard about an open request.
enum Heard {
    Verdict(Verdict),
    Decision(Decision),
    /// The agent took it back.
    Withdrawn,
}

/// What the agent is in the middle of saying.
#[derive(Default)]
struct Speech {
    thinks: bool,
    text: String,
}

/// The driver.
pub(super) struct Driver<'a> {
    pub(super) link: Link,
    pub(super) transcript: &'a mut Transcript,
    pub(super) session: Option<SessionId>,
    /// While an old session is replayed, nothing of it is written down again.
    pub(super) muted: bool,
    /// What it has cost by its own count.
    pub(super) cost: Option<Cost>,
    place: Place<'a>,
    permissions: Arc<dyn Permissions>,
    cancel: watch::Receiver<bool>,
    cancelled: bool,
    calls: ToolCalls,
    speech: Speech,
    plan: String,
    said: Tail,
    complained: Tail,
    open: HashMap<u64, Open>,
    next: u64,
    waits: FuturesUnordered<BoxFuture<'static, (u64, Heard)>>,
}

impl<'a> Driver<'a> {
    pub(super) fn new(
        link: Link,
        place: Place<'a>,
        transcript: &'a mut Transcript,
        permissions: Arc<dyn Permissions>,
        cancel: watch::Receiver<bool>,
    ) -> Self {
        Self {
            link,
            transcript,
            session: None,
            muted: false,
            cost: None,
            place,
            permissions,
            cancel,
            cancelled: false,
            calls: ToolCalls::default(),
            speech: Speech::default(),
            plan: String::new(),
            said: Tail::new(WORDS, 4 * WORDS),
            complained: Tail::new(WORDS, 4 * WORDS),
            open: HashMap::new(),
            next: 0,
            waits: FuturesUnordered::new(),
        }
    }

    /// Sends a request and carries on with everything else until it is answered.
    pub(super) async fn request<R: JsonRpcRequest>(
        &mut self,
        method: &'static str,
        request: R,
        limit: Duration,
    ) -> Result<R::Response, TurnError> {
        let answer = self.link.to.send_request(request).block_task();
        self.answered(method, answer, limit).await
    }

    /// Carries on with everything else until that request is answered.
    pub(super) async fn answered<T>(
        &mut self,
        method: &'static str,
        answer: impl Future<Output = Result<T, Error>>,
        limit: Duration,
    ) -> Result<T, TurnError> {
        match self.drive(timeout(limit, answer)).await? {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.refused(method, &error)),
            Err(_) => Err(AcpError::Silent { method, limit }.into()),
        }
    }

    /// Sends a prompt into the session, and returns when the turn is over. It has no time limit of its own.
    pub(super) async fn prompt(
        &mut self,
        session: &SessionId,
        text: &str,
    ) -> Result<PromptAnswer, TurnError> {
        let prompt = vec![ContentBlock::Text(TextContent::new(text))];
        let request = Prompt { session_id: session.clone(), prompt };
        let answer = self.link.to.send_request(request).block_task();
        let answer = self.drive(answer).await?;
        self.flush()?;
        answer.map_err(|error| self.refused("session/prompt", &error))
    }

    fn refused(&self, method: &'static str, error: &Error) -> TurnError {
        if agent_client_protocol::is_incoming_transport_closed(error)
            || agent_client_protocol::is_connection_terminated(error)
        {
            return TurnError::Gone(method);
        }
        let more = error.data.as_ref().and_then(|data| {
            let inner = ["details", "message", "error"].iter().find_map(|key| data.get(key)?.as_str());
            data.as_str().or(inner)
        });
        let message = match more {
            Some(more) if more != error.message => format!("{}: {more}", error.message),
            _ => error.message.clone(),
        };
        let message = self.transcript.redactor().redact(clean(&message)).chars().take(WORDS).collect();
        AcpError::Refused { method, message, code: error.code.into() }.into()
    }

    /// Carries on with everything until that is ready. What the agent sent before it is dealt with before.
    async fn drive<T>(&mut self, ready: impl Future<Output = T>) -> Result<T, TurnError> {
        let mut ready = pin!(ready);
        loop {
            tokio::select! {
                biased;
                () = wanted(&mut self.cancel), if !self.cancelled => self.cancel_turn()?,
                Some(event) = self.link.events.recv() => self.take(event)?,
                Some((id, heard)) = self.waits.next(), if !self.waits.is_empty() => self.hear(id, heard)?,
                ready = &mut ready => {
                    while let Ok(event) = self.link.events.try_recv() {
                        self.take(event)?;
                    }
                    return Ok(ready);
                }
            }
        }
    }

    /// Tells the agent to stop, and answers what it still asks: some agents wait for that before they stop.
    fn cancel_turn(&mut self) -> Result<(), TurnError> {
        self.cancelled = true;
        self.withdraw_all();
        match &self.session {
            // An agent that is gone shows by its streams.
            Some(session) => {
                let _ = self.link.to.send_notification(CancelNotification::new(session.clone()));
                Ok(())
            }
            None => Err(TurnError::Cancelled),
        }
    }

    /// Answers every open request with "cancelled".
    fn withdraw_all(&mut self) {
        for (_, open) in self.open.drain() {
            let _ = open.responder.respond(answer(Reply::Cancelled));
        }
        self.place.clock.go_on();
    }

    /// Takes what is still in the streams, until they end. Nothing is allowed any more.
    pub(super) async fn drain(&mut self) -> Result<(), TranscriptError> {
        self.cancelled = true;
        self.withdraw_all();
        while let Some(event) = self.link.events.recv().await {
            self.take(event)?;
        }
        self.flush()
    }

    /// Deals with one event. It never waits.
    fn take(&mut self, event: Event) -> Result<(), TranscriptError> {
        match event {
            Event::Update(_) if self.muted => Ok(()),
            Event::Update(params) => match Update::read(&params) {
                Some(update) => self.update(update),
                None => {
                    Dropped::count(&self.link.dropped.updates);
                    Ok(())
                }
            },
            Event::Permission(asked, responder) => self.asked(&asked, responder),
            Event::Read(file, responder) => {
                let text = files::read(self.place.cwd, &file.path, file.line, file.limit);
                let answer = text.map(ReadTextFileResponse::new);
                let _ = responder.respond_with_result(answer.map_err(|error| invalid(&error)));
                Ok(())
            }
            Event::Write(file, responder) => {
                let written = if self.cancelled {
                    Err(invalid(&"the turn was cancelled"))
                } else {
                    files::write(self.place.cwd, &file.path, &file.content).map_err(|error| invalid(&error))
                };
                let short = file.path.strip_prefix(self.place.cwd).unwrap_or(&file.path).display();
                let line = match &written {
                    Ok(()) => format!("edit, completed: wrote {short}"),
                    Err(error) => format!("edit, refused: {}", error.message),
                };
                let _ = responder.respond_with_result(written.map(|()| WriteTextFileResponse::new()));
                self.note(Kind::Tool, &line)
            }
            Event::Complaint(line) => {
                self.complained.push(&self.transcript.append_line(Kind::ErrorOutput, &line)?);
                Ok(())
            }
        }
    }

    fn update(&mut self, update: Update) -> Result<(), TranscriptError> {
        match update {
            Update::Says(text) => self.speak(false, &text),
            Update::Thinks(text) => self.speak(true, &text),
            Update::Call(call) => {
                let id = call.tool_call_id.0.to_string();
                match self.calls.upsert(*call) {
                    News::Little => Ok(()),
                    News::First | News::Over => {
                        let line = self.calls.line(&id, self.place.cwd);
                        self.note(Kind::Tool, &line)
                    }
                }
            }
            Update::Plan(entries) => {
                let line =
                    |(text, done): &(String, bool)| format!("[{}] {text}", if *done { 'x' } else { ' ' });
                let plan = entries.iter().map(line).collect::<Vec<_>>().join("\n");
                if plan.is_empty() || plan == self.plan {
                    return Ok(());
                }
                self.plan.clone_from(&plan);
                self.note(Kind::Thought, &plan)
            }
            Update::Cost(cost) => {
                self.cost = Some(cost);
                Ok(())
            }
            Update::Nothing => Ok(()),
        }
    }

    /// Words come in pieces; they are written down line by line.
    fn speak(&mut self, thinks: bool, text: &str) -> Result<(), TranscriptError> {
        if self.speech.thinks != thinks {
            self.flush()?;
        }
        self.speech.thinks = thinks;
        self.speech.text.push_str(text);
        if let Some(end) = self.speech.text.rfind('\n') {
            let rest = self.speech.text.split_off(end + 1);
            let lines = std::mem::replace(&mut self.speech.text, rest);
            for line in lines.lines() {
                self.say(line)?;
            }
        }
        if self.speech.text.len() > LINE { self.flush() } else { Ok(()) }
    }

    /// Writes down what is left of an unfinished line.
    fn flush(&mut self) -> Result<(), TranscriptError> {
        let line = std::mem::take(&mut self.speech.text);
        if line.trim().is_empty() { Ok(()) } else { self.say(&line) }
    }

    fn say(&mut self, line: &str) -> Result<(), TranscriptError> {
        let kind = if self.speech.thinks { Kind::Thought } else { Kind::Output };
        let raw = RawLine { bytes: line.as_bytes().to_vec(), dropped: 0 };
        let written = self.transcript.append_line(kind, &raw)?;
        if kind == Kind::Output {
            self.said.push(&written);
        }
        Ok(())
    }

    fn note(&mut self, kind: Kind, text: &str) -> Result<(), TranscriptError> {
        self.flush()?;
        self.transcript.append(kind, text).map(drop)
    }

    /// A request for permission: the policy is asked, and the loop goes on.
    fn asked(
        &mut self,
        asked: &PermissionAsked,
        responder: Responder<RequestPermissionResponse, V1>,
    ) -> Result<(), TranscriptError> {
        let call = asked.call();
        if call.is_none() {
            Dropped::count(&self.link.dropped.updates);
        }
        let Some(call) = call.filter(|_| !self.cancelled && self.open.len() < MAX_OPEN) else {
            let _ = responder.respond(answer(Reply::Cancelled));
            return Ok(());
        };
        let id = call.tool_call_id.0.to_string();
        self.calls.upsert(call);
        let Place { run, agent, cwd, .. } = self.place;
        let ask = self.calls.ask(&id, &Asker { run, agent, cwd }).without(self.transcript.redactor());
        self.note(Kind::Permission, &format!("asks for {}", asks_for(&ask)))?;
        let number = self.next;
        self.next += 1;
        let withdrawn = responder.cancellation();
        self.open.insert(number, Open { responder, options: asked.options(), person: false });
        let permissions = Arc::clone(&self.permissions);
        self.waits.push(Box::pin(async move {
            let decides = async { Heard::Verdict(permissions.decide(&ask).await) };
            (number, or_withdrawn(decides, withdrawn.cancelled()).await)
        }));
        Ok(())
    }

    fn hear(&mut self, number: u64, heard: Heard) -> Result<(), TranscriptError> {
        let decision = match heard {
            Heard::Verdict(Verdict::Person(person)) => {
                // It may be answered already: then nobody needs to be asked.
                let Some(open) = self.open.get_mut(&number) else { return Ok(()) };
                open.person = true;
                let withdrawn = open.responder.cancellation();
                self.waits.push(Box::pin(async move {
                    let decides = async { Heard::Decision(person.await) };
                    (number, or_withdrawn(decides, withdrawn.cancelled()).await)
                }));
                self.place.clock.stand_still();
                return self.note(Kind::Permission, "a person is asked");
            }
            Heard::Verdict(Verdict::Allow) | Heard::Decision(Decision::Allow) => Some(Decision::Allow),
            Heard::Verdict(Verdict::Deny(why)) | Heard::Decision(Decision::Deny(why)) => {
                Some(Decision::Deny(why))
            }
            Heard::Withdrawn => None,
        };
        let Some(open) = self.open.remove(&number) else { return Ok(()) };
        if !self.open.values().any(|open| open.person) {
            self.place.clock.go_on();
        }
        let (reply, line) = match &decision {
            None => (Reply::Cancelled, "withdrawn".to_owned()),
            Some(decision) => match (choose(&open.options, decision), decision) {
                ((reply, Some(instead)), _) => (reply, format!("denied: {instead}")),
                ((reply, None), Decision::Allow) => (reply, "allowed once".to_owned()),
                ((reply, None), Decision::Deny(why)) => (reply, format!("denied: {why}")),
            },
        };
        // The protocol has no words for a no. An agent that looks for them finds them beside it.
        let words = match decision {
            Some(Decision::Deny(why)) => {
                Some(serde_json::Map::from_iter([("reason".to_owned(), why.into())]))
            }
            _ => None,
        };
        let _ = open.responder.respond(answer(reply).meta(words));
        self.note(Kind::Permission, &line)
    }

    /// The last of its words; of its complaints, if it said nothing.
    pub(super) fn words(&self) -> String {
        let said = self.said.text();
        let words = if said.trim().is_empty() { self.complained.text() } else { said };
        last_chars(&words, WORDS).into_owned()
    }

    /// The last of what it wrote on its standard error.
    pub(super) fn complaints(&self) -> String {
        last_chars(&self.complained.text(), WORDS).into_owned()
    }
}

/// Waits until the turn shall be cancelled. If nobody can want that any more, it waits for ever.
async fn wanted(cancel: &mut watch::Receiver<bool>) {
    if cancel.wait_for(|wanted| *wanted).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn or_withdrawn(heard: impl Future<Output = Heard>, withdrawn: impl Future<Output = ()>) -> Heard {
    tokio::select! {
        heard = heard => heard,
        () = withdrawn => Heard::Withdrawn,
    }
}

fn answer(reply: Reply) -> RequestPermissionResponse {
    RequestPermissionResponse::new(match reply {
        Reply::Option(id) => RequestPermissionOutcome::Selected(SelectedPermissionOutcome::new(id)),
        Reply::Cancelled => RequestPermissionOutcome::Cancelled,
    })
}

fn invalid(text: &impl ToString) -> Error {
    let mut error = Error::invalid_params();
    error.message = text.to_string();
    error
}

/// "execute: run the tests: cargo test (/etc/passwd, outside)"
fn asks_for(ask: &Ask) -> String {
    let mut text = format!("{}: {}", ask.kind.as_str(), ask.title);
    if let Some(command) = &ask.command {
        let command = command.text();
        if !ask.title.contains(&command) {
            text.push_str(&format!(": {command}"));
        }
    }
    let outside: Vec<String> = ask
        .paths
        .iter()
        .filter(|asked| !asked.inside)
        .map(|asked| asked.path.display().to_string())
        .collect();
    if !outside.is_empty() {
        text.push_str(&format!(" (outside of the worktree: {})", outside.join(", ")));
    }
    text
}
