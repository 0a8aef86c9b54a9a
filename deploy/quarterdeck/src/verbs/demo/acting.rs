//! The demo's second agent: it speaks the Agent Client Protocol, and it is honest about being an actor. It plays the same
//! script, asks for leave to run one command, and calls a model once, which is an actor too. What listens to it is real: the
//! permission, the gateway that counts, and whoever decides.

use std::{
    io::{self, BufRead, Write},
    net::SocketAddr,
    path::Path,
    process::Command,
    time::Duration,
};

use axum::{Json, Router};
use qd_agents::{CommandAgent, registry::Registry, scripted::Script};
use qd_gateway::{
    budget::{Budgets, RunBudgets},
    prices::Prices,
    providers::{KeySource, ProviderConfig},
    route::Shape,
};
use qd_team::MeteringOptions;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::failed;
use crate::{
    context::UserError,
    fleet::{AgentPlan, KnownAgent},
};

/// Its name in the demo.
pub(super) const NAME: &str = "acting";

/// What it asks to run, once its work is done.
const ASKS: [&str; 3] = ["git", "diff", "--stat"];

/// What the registry has to know of it.
const ENTRY: &str = r#"
[acting]
protocol = "acp"
command = "quarterdeck"
licence = "Apache-2.0"
install = "It comes with the demo."
[acting.permissions]
asks = ["execute"]
[acting.gateway]
api = "openai-chat"
[acting.gateway.env]
OPENAI_BASE_URL = "{base_url}/v1"
OPENAI_API_KEY = "{token}"
"#;

/// What a call of the acted model would cost.
const PRICES: &str = r#"
[[price]]
provider = "scripted"
model = "scripted"
input = 1
output = 2
date = "2026-11-21"
source = "the demo's script"
"#;

/// The agent, as this program plays it.
pub(super) fn agent(script: &Path) -> Result<AgentPlan, UserError> {
    let built_in = Registry::built_in().map_err(|error| failed(&error))?;
    let registry = built_in.with("the demo's agents", ENTRY).map_err(|error| failed(&error))?;
    let mut entry = registry.get(NAME).map_err(|error| failed(&error))?.clone();
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    entry.command = program.to_string_lossy().into_owned();
    entry.args = ["scripted-agent", "--acp", "--script"].map(str::to_owned).to_vec();
    entry.args.push(script.to_string_lossy().into_owned());
    let base = CommandAgent {
        name: NAME.into(),
        argv: Vec::new(),
        env_allow: Vec::new(),
        secrets: Vec::new(),
        limit: Duration::from_secs(120),
    };
    let known = KnownAgent { entry, base, model: None, mode: None, login: None, commands: Vec::new() };
    AgentPlan::known(&registry, NAME, known).map_err(|error| failed(&error))
}

/// A gateway whose only provider is an actor: every answer is 1,000 tokens in and 50 out, and nobody is paid.
pub(super) async fn metering() -> Result<MeteringOptions, UserError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| failed(&error))?;
    let address = listener.local_addr().map_err(|error| failed(&error))?;
    let answer = || async {
        Json(json!({
            "id": "scripted", "object": "chat.completion", "model": "scripted",
            "choices": [{
                "index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Do as the script says."},
            }],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050},
        }))
    };
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, Router::new().fallback(answer)).await {
            tracing::error!(%error, "the demo's model has ended");
        }
    });
    let provider = ProviderConfig {
        shape: Shape::OpenAi,
        base_url: format!("http://{address}"),
        key: KeySource::None,
        prices: None,
        fallback: Vec::new(),
    };
    let prices = Prices::built_in().map_err(|error| failed(&error))?;
    Ok(MeteringOptions {
        providers: [("scripted".to_owned(), provider)].into(),
        prices: prices.with("the demo's prices", PRICES).map_err(|error| failed(&error))?,
        each: RunBudgets::default(),
        all: Budgets::default(),
    })
}

/// Plays the agent on standard input and output, until the input ends.
pub(crate) async fn play(script: &Script) -> io::Result<()> {
    let mut lines = io::stdin().lock().lines();
    while let Some(line) = lines.next() {
        let Ok(message) = serde_json::from_str::<Value>(&line?) else { continue };
        let Some(id) = message.get("id") else { continue };
        let result = match message.get("method").and_then(Value::as_str) {
            Some("initialize") => json!({
                "protocolVersion": 1, "agentCapabilities": {},
                "agentInfo": {"name": NAME, "version": env!("CARGO_PKG_VERSION")},
            }),
            Some("session/new") => json!({"sessionId": "demo"}),
            Some("session/prompt") => {
                let prompt = message.pointer("/params/prompt/0/text").and_then(Value::as_str);
                turn(script, prompt.unwrap_or_default(), &mut lines).await?;
                json!({"stopReason": "end_turn"})
            }
            _ => continue,
        };
        send(&json!({"jsonrpc": "2.0", "id": id, "result": result}))?;
    }
    Ok(())
}

/// One turn: it asks its model, plays the script, and asks for leave to run a command.
async fn turn(
    script: &Script,
    prompt: &str,
    lines: &mut impl Iterator<Item = io::Result<String>>,
) -> io::Result<()> {
    say("I am an actor: I play a script, and so does my model.")?;
    if let Err(error) = consult().await {
        say(&format!("My model can't be reached: {error}."))?;
    }
    let mut words = Vec::new();
    let played = script.play(prompt, &std::env::current_dir()?, &mut words).await;
    played.map_err(io::Error::other)?;
    say(String::from_utf8_lossy(&words).trim_end())?;
    let command = ASKS.join(" ");
    send(&json!({"jsonrpc": "2.0", "id": "ask", "method": "session/request_permission", "params": {
        "sessionId": "demo",
        "toolCall": {
            "toolCallId": "diff", "title": "Look at what changed", "kind": "execute",
            "rawInput": {"command": command},
        },
        "options": [
            {"optionId": "yes", "name": "Allow", "kind": "allow_once"},
            {"optionId": "no", "name": "Deny", "kind": "reject_once"},
        ],
    }}))?;
    for line in lines {
        let Ok(message) = serde_json::from_str::<Value>(&line?) else { continue };
        if message.get("id").and_then(Value::as_str) != Some("ask") {
            continue;
        }
        let told = message.pointer("/result/outcome/optionId").and_then(Value::as_str);
        if told != Some("yes") {
            return say(&format!("I may not run {command}."));
        }
        let [program, args @ ..] = ASKS;
        let output = Command::new(program).args(args).output()?;
        return say(&format!("{command}:\n{}", String::from_utf8_lossy(&output.stdout).trim_end()));
    }
    Ok(())
}

fn say(text: &str) -> io::Result<()> {
    let content = json!({"type": "text", "text": format!("{text}\n")});
    let update = json!({"sessionUpdate": "agent_message_chunk", "content": content});
    send(&json!({
        "jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": "demo", "update": update},
    }))
}

fn send(message: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{message}")?;
    out.flush()
}

/// Asks the model where its variables point to: the gateway, on this machine.
async fn consult() -> io::Result<()> {
    let missing = |_| io::Error::other("no gateway is named");
    let url = std::env::var("OPENAI_BASE_URL").map_err(missing)?;
    let token = std::env::var("OPENAI_API_KEY").map_err(missing)?;
    let rest = url.strip_prefix("http://").ok_or_else(|| io::Error::other("it is not on this machine"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address: SocketAddr = host.parse().map_err(io::Error::other)?;
    let body =
        json!({"model": "scripted", "messages": [{"role": "user", "content": "What next?"}]}).to_string();
    let request = format!(
        "POST /{path}/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.lines().next().unwrap_or_default();
    if status.contains(" 200 ") { Ok(()) } else { Err(io::Error::other(status.to_owned())) }
}
