//! An agent that speaks the protocol, behind the port: one process for each turn, one session for the whole run.

use std::{path::PathBuf, sync::Arc, time::Duration};

use agent_client_protocol::v1::schema::SessionId;
use async_trait::async_trait;
use secrecy::SecretString;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    clock::Clock,
    driver::{Driver, Place, TurnError},
    error::AcpError,
    launch::{Filled, Launch},
    link::Link,
    memory::{self, Memory},
    session::{Begun, McpServers, Wanted},
    wire::PromptAnswer,
};
use crate::{
    port::{Agent, AgentEnd, AgentError, OwnCount, Task},
    process::{
        Ended, Environment, GRACE, Job, Leader, NOT_CONFINED, OnStart, ProcessError, Stop, TurnEnd,
        allowed_secrets, locate, start,
    },
    registry::Api,
    transcript::{Kind, Transcript, summary},
};

/// How long an agent may take to stop after it was asked to in the protocol's own way.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it may take to leave by itself when its standard input is closed.
const LEAVE: Duration = Duration::from_secs(1);

/// How long its last words are waited for when its process is gone.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// So much of what happened before goes into a session that begins anew, in bytes.
const SUMMARY: usize = 12 * 1024;

/// An agent that speaks the Agent Client Protocol.
#[derive(Clone)]
pub struct AcpAgent {
    /// Its name.
    pub name: String,
    /// How its process is started and set up.
    pub launch: Launch,
    /// What the registry says it can do.
    pub can: Abilities,
    /// The MCP servers that its sessions get.
    pub servers: Arc<dyn McpServers>,
    /// What it speaks where its model is metered. Without, or where nobody meters, its own configuration says where.
    pub api: Option<Api>,
    /// The model, if the task names none.
    pub model: Option<String>,
    /// Whether the model is chosen in the session: through a config option of the category "model".
    pub model_in_session: bool,
    /// The permission mode to set in the session.
    pub mode: Option<String>,
    /// More values that must not appear in the transcript.
    pub secrets: Vec<SecretString>,
    /// How long one turn may take. The clock stands still while a person decides.
    pub limit: Duration,
}

/// What the registry says an agent can do. What it says of itself in the handshake counts too: both must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// A session can be resumed in a new process.
    pub resume: bool,
    /// A session can be loaded in a new process.
    pub load: bool,
    /// It takes MCP servers.
    pub mcp: bool,
    /// It behaves better if reading and writing files is offered to it.
    pub files: bool,
    /// It asks for permission before it does something that policy would want to know of.
    pub asks: bool,
}

/// How a turn came to its end, on our side.
struct Over {
    turn: Option<Result<PromptAnswer, TurnError>>,
    cut: Option<Ended>,
    grace: Duration,
}

#[async_trait]
impl Agent for AcpAgent {
    fn name(&self) -> &str {
        &self.name
    }

    fn secrets(&self) -> Vec<SecretString> {
        let allowed = allowed_secrets(self.launch.env_allow.iter().map(String::as_str));
        self.secrets.iter().cloned().chain(allowed).collect()
    }

    fn needs_walls(&self) -> bool {
        !self.can.asks
    }

    fn reads(&self) -> Vec<PathBuf> {
        let program = PathBuf::from(&self.launch.program);
        if program.is_absolute() { vec![program] } else { Vec::new() }
    }

    fn writes(&self) -> Vec<PathBuf> {
        self.launch.login.iter().cloned().collect()
    }

    fn is_metered(&self, metered: &crate::Metered) -> bool {
        self.api.is_some_and(|api| metered.endpoint(api).is_some())
    }

    async fn work(
        &self,
        task: Task,
        transcript: &mut Transcript,
        on_start: &dyn OnStart,
        stop: Stop,
    ) -> Result<AgentEnd, AgentError> {
        let agent = || self.name.clone();
        let process = |source| AgentError::Process { agent: agent(), source };
        let written = |source| AgentError::Transcript { agent: agent(), source };
        let acp = |source| AgentError::Acp { agent: agent(), source };

        let endpoint = self.api.and_then(|api| task.metered.as_ref()?.endpoint(api));
        let model = task.model.as_deref().or(self.model.as_deref());
        let metered = endpoint.as_ref().map(|endpoint| (endpoint, task.home.as_path()));
        let Filled { args, environment } = self.launch.fill(&task.run, metered, model).map_err(acp)?;
        let environment = match &task.confined {
            Some(confined) => environment.within(confined),
            None => environment,
        };
        let mut offered = self.servers.of_run(&task.run);
        if let Some(confined) = &task.confined {
            offered.iter_mut().for_each(|server| server.start_within(&confined.launch));
        }
        let (servers, withheld) = if self.can.mcp { (offered, Vec::new()) } else { (Vec::new(), offered) };
        transcript.learn(&self.secrets);
        transcript.learn(endpoint.iter().map(|endpoint| &endpoint.token));
        transcript.learn(&environment.secrets());
        transcript.learn(servers.iter().flat_map(|server| server.secrets()));
        for server in withheld {
            let text = format!("{} takes no MCP servers, so it works without {}.", self.name, server.name());
            transcript.append(Kind::System, &text).map_err(written)?;
        }

        let old = memory::recall(transcript.path(), &self.name, &task.cwd).map(SessionId::new);
        let wanted = Wanted {
            cwd: &task.cwd,
            servers,
            old: old.as_ref(),
            resume: self.can.resume,
            load: self.can.load,
            files: self.can.files,
            model: model.filter(|_| self.model_in_session),
            mode: self.mode.as_deref(),
        };
        let mut leader = self.start(&task, &environment, args, on_start).await.map_err(process)?;
        let clock = Clock::new(self.limit);
        let link = Link::of(&mut leader.child).await.map_err(acp)?;
        let place = Place { run: &task.run, agent: &self.name, cwd: &task.cwd, clock: &clock };
        let (cancel, cancelled) = watch::channel(false);
        let mut driver = Driver::new(link, place, transcript, Arc::clone(&task.permissions), cancelled);

        let turn = self.turn(&mut driver, &task, &wanted);
        let over = watch_turn(turn, &leader, &clock, &cancel, stop.clone()).await.map_err(process)?;
        let exit = end(leader, &mut driver, over.grace, stop).await.map_err(|error| match error {
            EndError::Process(source) => process(source),
            EndError::Transcript(source) => written(source),
        })?;
        if task.confined.is_some() && exit == Ended::Exited(NOT_CONFINED) && over.cut.is_none() {
            return Err(process(ProcessError::NotConfined { program: self.launch.program.clone() }));
        }
        let took = clock.counted();
        let (words, complaints) = (driver.words(), driver.complaints());
        let own = self.count(&mut driver, &over).map_err(written)?;
        let ended = judge(over, exit, &words, complaints).map_err(|error| match error {
            TurnError::Transcript(source) => written(source),
            TurnError::Acp(source) => acp(source),
            TurnError::Gone(_) | TurnError::Cancelled => acp(AcpError::NoConnection),
        })?;
        let end = AgentEnd { ended, words, took, own };
        transcript.append(Kind::System, &end.sentence(&self.name)).map_err(written)?;
        Ok(end)
    }
}

impl AcpAgent {
    /// Starts the process, has it recorded, and opens its gate.
    async fn start(
        &self,
        task: &Task,
        environment: &Environment,
        args: Vec<String>,
        on_start: &dyn OnStart,
    ) -> Result<Leader, ProcessError> {
        let program = locate(&self.launch.program, &task.cwd, environment, task.confined.as_ref())?;
        let job = Job {
            run: &task.run,
            program: program.as_os_str(),
            args,
            cwd: &task.cwd,
            environment,
            stdin: String::new(),
            limit: self.limit,
            confined: task.confined.as_ref(),
        };
        let mut leader = start(&job)?;
        let pgid = leader.group.pgid();
        let not_kept = |source| ProcessError::NotKept { pgid, run: task.run.clone(), source };
        on_start.started(&leader.group).await.map_err(not_kept)?;
        leader.open().await?;
        Ok(leader)
    }

    /// Session and prompt.
    async fn turn(
        &self,
        driver: &mut Driver<'_>,
        task: &Task,
        wanted: &Wanted<'_>,
    ) -> Result<PromptAnswer, TurnError> {
        let (session, begun) = driver.begin(wanted).await?;
        let memory =
            Memory { agent: self.name.clone(), session: session.0.to_string(), cwd: task.cwd.clone() };
        if let Err(error) = memory::keep(driver.transcript.path(), &memory) {
            tracing::warn!(%error, run = %task.run, "the next turn will begin a new session");
        }
        let mut prompt = task.prompt.clone();
        if let Begun::Anew(why) = begun {
            let text = format!("The session could not go on ({why}), so a new one has a summary of the old.");
            driver.transcript.append(Kind::System, &text)?;
            if let Some(before) = summary(driver.transcript.path(), SUMMARY)? {
                prompt = format!("{before}\n\n{prompt}");
            }
        }
        driver.transcript.append(Kind::Prompt, &task.prompt)?;
        driver.prompt(&session, &prompt).await
    }

    /// Writes down what the agent counted, and what had to be dropped.
    fn count(
        &self,
        driver: &mut Driver<'_>,
        over: &Over,
    ) -> Result<OwnCount, crate::transcript::TranscriptError> {
        let (mut lines, mut own) = (Vec::new(), OwnCount::default());
        if let Some(Ok(answer)) = &over.turn
            && let Some(usage) = answer.usage()
        {
            let (all, within, out) = (usage.total_tokens, usage.input_tokens, usage.output_tokens);
            own.tokens = all;
            lines.push(format!("By its own count it used {all} tokens ({within} in, {out} out)."));
        }
        if let Some(cost) = driver.cost.take() {
            own.micro_dollars = micro_dollars(cost.amount, &cost.currency);
            lines.push(format!("By its own count it has cost {} {}.", cost.amount, cost.currency));
        }
        match driver.link.dropped.read() {
            (0, 0) => {}
            (lines_count, updates) => lines.push(format!(
                "Dropped what could not be understood: {lines_count} lines, {updates} updates."
            )),
        }
        lines.iter().try_for_each(|line| driver.transcript.append(Kind::System, line).map(drop))?;
        Ok(own)
    }
}

/// An amount of dollars in millionths. What is no amount, or no dollars, is none.
fn micro_dollars(amount: f64, currency: &str) -> Option<u64> {
    let micro = (amount * 1e6).round();
    let is_amount = currency == "USD" && (0.0..1e15).contains(&micro);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and in range")]
    is_amount.then_some(micro as u64)
}

/// Waits for the end of the turn, of the process, of the time, or for the wish to stop. Then the agent is asked to stop
/// in the protocol's own way, and is given some time for that.
async fn watch_turn(
    turn: impl Future<Output = Result<PromptAnswer, TurnError>>,
    leader: &Leader,
    clock: &Clock,
    cancel: &watch::Sender<bool>,
    mut stop: Stop,
) -> Result<Over, ProcessError> {
    let mut turn = std::pin::pin!(turn);
    let (cut, grace) = tokio::select! {
        turn = &mut turn => return Ok(Over { turn: Some(turn), cut: None, grace: GRACE }),
        exited = leader.exited() => {
            exited?;
            let turn = timeout(LAST_WORDS, turn).await.ok();
            return Ok(Over { turn, cut: None, grace: GRACE });
        }
        () = clock.run_out() => (Ended::TimeLimit(clock.limit()), PATIENCE + GRACE),
        grace = stop.wanted() => (Ended::Stopped, grace),
    };
    let begun = tokio::time::Instant::now();
    cancel.send_replace(true);
    let turn = tokio::select! {
        turn = &mut turn => Some(turn),
        exited = leader.exited() => { exited?; None }
        () = sleep(PATIENCE.min(grace / 2)) => None,
    };
    Ok(Over { turn, cut: Some(cut), grace: grace.saturating_sub(begun.elapsed()).min(GRACE) })
}

enum EndError {
    Process(ProcessError),
    Transcript(crate::transcript::TranscriptError),
}

/// Hangs up, lets the agent leave, and ends what is left of it. Meanwhile its streams are read: who can't write can't
/// leave.
async fn end(
    leader: Leader,
    driver: &mut Driver<'_>,
    grace: Duration,
    stop: Stop,
) -> Result<Ended, EndError> {
    driver.link.hang_up();
    let leaves = async {
        let _ = timeout(LEAVE.min(grace), leader.exited()).await;
        leader.end(grace, stop).await
    };
    let mut leaves = std::pin::pin!(leaves);
    let mut drained = false;
    loop {
        tokio::select! {
            exit = &mut leaves => {
                let exit = exit.map_err(EndError::Process)?;
                // Only a process that hides can hold the streams now.
                if !drained && let Ok(last) = timeout(LAST_WORDS, driver.drain()).await {
                    last.map_err(EndError::Transcript)?;
                }
                return Ok(exit);
            }
            result = driver.drain(), if !drained => {
                result.map_err(EndError::Transcript)?;
                drained = true;
            }
        }
    }
}

/// What the end of the turn means.
fn judge(over: Over, exit: Ended, words: &str, complaints: String) -> Result<Ended, TurnError> {
    if let Some(Err(TurnError::Transcript(error))) = over.turn {
        return Err(TurnError::Transcript(error));
    }
    if let Some(cut) = over.cut {
        return Ok(cut);
    }
    let answer = match over.turn {
        Some(Ok(answer)) => answer,
        // The process ended in the middle of its turn: its exit code is the fact there is.
        None | Some(Err(TurnError::Gone("session/prompt"))) => return Ok(exit),
        Some(Err(TurnError::Gone(method))) => {
            return Err(AcpError::Died { method, ended: exit, words: complaints }.into());
        }
        Some(Err(error)) => return Err(error),
    };
    match answer.stop_reason.as_str() {
        Some("end_turn") => Ok(Ended::Turn(TurnEnd::Done)),
        Some("max_tokens") => Ok(Ended::Turn(TurnEnd::TokenLimit)),
        Some("max_turn_requests") => Ok(Ended::Turn(TurnEnd::RequestLimit)),
        Some("refusal") => Err(AcpError::Refusal(words.to_owned()).into()),
        Some(other) => Err(AcpError::StopReason(other.chars().take(80).collect()).into()),
        None => Err(AcpError::StopReason(String::new()).into()),
    }
}
