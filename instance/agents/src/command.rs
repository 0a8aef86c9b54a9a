//! The command runner: any command line as an agent. The prompt comes on its standard input, what it prints is what it
//! says, and what it leaves in the worktree is its work.

use std::{fs, time::Duration};

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::{
    port::{Agent, AgentEnd, AgentError, OwnCount, Task},
    process::{
        Ended, Environment, Job, NOT_CONFINED, OnStart, ProcessError, Stop, Stream, SuperviseError,
        allowed_secrets, locate, supervise,
    },
    text::{Tail, last_chars},
    transcript::{Kind, Transcript},
};

/// Stands in the command line for the path of a file that holds the prompt.
pub const PROMPT_FILE: &str = "{prompt_file}";

/// Stands in the command line for the model that was chosen; for nothing, if none was.
pub const MODEL: &str = "{model}";

/// So much of the end of its output counts as the agent's words, in characters: it fits on a card.
const WORDS: usize = 500;

/// A command line as an agent.
#[derive(Debug, Clone)]
pub struct CommandAgent {
    /// Its name.
    pub name: String,
    /// The program and its arguments. [`PROMPT_FILE`] in an argument becomes a path; the prompt comes on standard input
    /// in any case.
    pub argv: Vec<String>,
    /// Names of environment variables that it may see, besides `PATH`, `HOME`, `LANG`, `TMPDIR` and `USER`. The values of
    /// those whose names end like a secret's (`…KEY`, `…TOKEN`, `…PASSWORD`) are redacted.
    pub env_allow: Vec<String>,
    /// More values that must not appear in the transcript.
    pub secrets: Vec<SecretString>,
    /// How long one turn may take.
    pub limit: Duration,
}

#[async_trait]
impl Agent for CommandAgent {
    fn name(&self) -> &str {
        &self.name
    }

    fn reads(&self) -> Vec<std::path::PathBuf> {
        let named = self.argv.iter().map(std::path::PathBuf::from);
        named.filter(|path| path.is_absolute() && path.exists()).collect()
    }

    fn secrets(&self) -> Vec<SecretString> {
        let allowed = allowed_secrets(self.env_allow.iter().map(String::as_str));
        self.secrets.iter().cloned().chain(allowed).collect()
    }

    fn outlives(&self) -> bool {
        true
    }

    fn is_metered(&self, metered: &crate::Metered) -> bool {
        !metered.variables().is_empty()
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

        let environment = Environment::new(&task.run, self.env_allow.iter().map(String::as_str));
        let environment = match &task.confined {
            Some(confined) => environment.within(confined),
            None => environment,
        };
        let variables = task.metered.iter().flat_map(|metered| metered.variables());
        let environment = variables.fold(environment, |all, (name, value)| all.with(name, value));
        transcript.learn(&self.secrets);
        transcript.learn(&environment.secrets());

        let Some((program, args)) = self.argv.split_first() else {
            return Err(AgentError::NoCommand { agent: agent() });
        };
        let program = locate(program, &task.cwd, &environment, task.confined.as_ref()).map_err(process)?;
        if args.iter().any(|arg| arg.contains(PROMPT_FILE)) {
            write_prompt(&task).map_err(|source| AgentError::Prompt {
                agent: agent(),
                path: task.prompt_file.clone(),
                source,
            })?;
        }
        let prompt_file = task.prompt_file.to_string_lossy();
        let job = Job {
            run: &task.run,
            program: program.as_os_str(),
            args: args
                .iter()
                .map(|arg| {
                    arg.replace(PROMPT_FILE, &prompt_file).replace(MODEL, task.model.as_deref().unwrap_or(""))
                })
                .collect(),
            cwd: &task.cwd,
            environment: &environment,
            stdin: task.prompt.clone(),
            limit: self.limit,
            confined: task.confined.as_ref(),
        };

        transcript.append(Kind::Prompt, &task.prompt).map_err(written)?;
        let begun = Instant::now();
        let mut said = Tail::new(WORDS, 4 * WORDS);
        let mut complained = Tail::new(WORDS, 4 * WORDS);
        let ended = supervise(job, on_start, stop, &mut |stream, line| {
            let (kind, tail) = match stream {
                Stream::Out => (Kind::Output, &mut said),
                Stream::Err => (Kind::ErrorOutput, &mut complained),
            };
            tail.push(&transcript.append_line(kind, &line)?);
            Ok(())
        })
        .await
        .map_err(|error| match error {
            SuperviseError::Process(source) => process(source),
            SuperviseError::Sink(source) => written(source),
        })?;

        if task.confined.is_some() && ended == Ended::Exited(NOT_CONFINED) {
            return Err(process(ProcessError::NotConfined { program: self.argv.join(" ") }));
        }
        let (said, complained) = (said.text(), complained.text());
        let words = if said.trim().is_empty() { complained } else { said };
        let end = AgentEnd {
            ended,
            words: last_chars(&words, WORDS).into_owned(),
            took: begun.elapsed(),
            own: OwnCount::default(),
        };
        transcript.append(Kind::System, &end.sentence(&self.name)).map_err(written)?;
        Ok(end)
    }
}

fn write_prompt(task: &Task) -> std::io::Result<()> {
    if let Some(folder) = task.prompt_file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&task.prompt_file, &task.prompt)
}
