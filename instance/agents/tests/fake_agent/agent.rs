//! An agent that speaks ACP and plays the lines of its prompt as steps. It knows every misbehaviour that was seen in real
//! agents. It is written on the bare protocol, so that it does not share our client's mistakes.
//!
//! ```text
//! say TEXT              words, as one chunk with a newline
//! piece TEXT            words without a newline
//! think TEXT            a thought
//! tool ID KIND STATUS TITLE
//! ask ID KIND SET CMD   asks for permission with a set of options, says what it was told
//! ask-two ID ID         asks twice at once, says what it was told, the second first
//! take-back ID          asks, and takes the request back
//! run ID CMD            asks for permission to run a command, and runs it if it is told so
//! write PATH TEXT       writes through the client, says what it was told
//! read PATH             reads through the client, says what it was told
//! env NAME              says the value of a variable
//! leak HOW NAME         lets the value of a variable out: plain, base64, split over two chunks, on its standard error, in what
//!                       it thinks, in a request for permission, in a report to the board
//! spy NAME              says whether it sees a variable of this name in any process
//! consult MODEL         asks the model that its variables point to, says the status
//! need MODEL            the same, and answers the prompt with an error if the status is not 200
//! remember              says how many prompts this session has had
//! offered               says what the client offered to do for it
//! summary               says whether the prompt began with what happened before
//! mcp                   says which MCP servers the session has
//! call SERVER TOOL JSON starts that server, calls a tool and says the answer
//! outcome SERVER        asks for the outcome of that call until it has one, and says it
//! lend SERVER FILE      writes the server's command line and environment to FILE, as JSON
//! garbage               lines that are no messages
//! odd-updates           updates that are unknown or malformed
//! flood N               N updates
//! orphan FILE           leaves a shell outside of its group, its process id in FILE
//! sleep MS              waits
//! hang                  waits for a cancel, then answers that it was cancelled
//! hang-then-end         waits for a cancel, then answers that its turn ended
//! hang-hard             waits for ever
//! usage N               counts N tokens
//! stop REASON           ends the turn for that reason
//! error CODE TEXT       answers the prompt with an error
//! exit CODE             ends the process
//! ```
//!
//! Lines may be quoted, as a feature's text is in a prompt. Relative paths are of its own folder.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::zombie_processes,
    reason = "it stands in for a foreign program in tests"
)]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio, exit},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

struct Fake {
    flags: Vec<String>,
    messages: mpsc::Receiver<Value>,
    session: String,
    mcp: Vec<Value>,
    /// The approval that the last call was told to wait for.
    pending: Value,
    prompts: u64,
    next: u64,
    cancelled: bool,
    usage: Value,
    /// What the client said that it can do.
    offered: Value,
}

/// Asks the model that the variables point to, and gives the status.
fn ask_model(model: &str) -> String {
    let script = format!(
        "curl -sS -o /dev/null -w '%{{http_code}}' \"$OPENAI_BASE_URL/chat/completions\" \
         -H 'content-type: application/json' -H \"authorization: Bearer $OPENAI_API_KEY\" \
         -d '{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}'"
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn main() {
    let flags: Vec<String> = std::env::args().skip(1).collect();
    let (sender, messages) = mpsc::channel();
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(message) = serde_json::from_str(&line.unwrap()) else { continue };
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    let mut fake = Fake {
        flags,
        messages,
        session: String::new(),
        mcp: Vec::new(),
        pending: Value::Null,
        prompts: 0,
        next: 0,
        cancelled: false,
        usage: Value::Null,
        offered: Value::Null,
    };
    if fake.has("--version") {
        println!("fake-acp-agent 1.2.3");
        return;
    }
    if let Some(code) = fake.value("--die") {
        eprintln!("there is no key");
        exit(code.parse().unwrap());
    }
    if fake.has("--garbage") {
        println!("Loading the model...\n\u{1b}[31mready\u{1b}[0m\n{{\"half\":");
    }
    while let Ok(message) = fake.messages.recv() {
        fake.message(&message);
    }
    // Some agents do not leave when their input ends.
    if fake.has("--stays") {
        thread::sleep(Duration::from_secs(1000));
    }
}

fn send(message: &Value) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{message}").unwrap();
    out.flush().unwrap();
}

impl Fake {
    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|known| known == flag)
    }

    fn value(&self, flag: &str) -> Option<String> {
        let at = self.flags.iter().position(|known| known == flag)?;
        self.flags.get(at + 1).cloned()
    }

    fn message(&mut self, message: &Value) {
        let id = &message["id"];
        let params = &message["params"];
        let answer = |result: Value| send(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
        let refuse = |code: i64, text: &str| {
            let error = json!({"code": code, "message": text, "data": {"details": "more of it"}});
            send(&json!({"jsonrpc": "2.0", "id": id, "error": error}));
        };
        match message["method"].as_str().unwrap_or("") {
            "initialize" if self.has("--silent") => {}
            "initialize" => {
                assert_eq!(params["protocolVersion"], 1);
                self.offered = params["clientCapabilities"].clone();
                let version: u64 = self.value("--speaks").map_or(1, |version| version.parse().unwrap());
                let mut sessions = json!({});
                if self.has("--resume") || self.has("--resume-fails") {
                    sessions["resume"] = json!({});
                }
                answer(json!({
                    "protocolVersion": version,
                    "agentCapabilities": {
                        "loadSession": self.has("--load") || self.has("--load-fails"),
                        "sessionCapabilities": sessions,
                        "mcpCapabilities": {"http": self.has("--http")},
                        "promptCapabilities": {"image": true, "odd": 7},
                    },
                    "agentInfo": {"name": "fake", "version": "1.2.3"},
                    "authMethods": [{"id": "x"}, 7],
                }));
            }
            "session/new" if self.has("--needs-login") => refuse(-32000, "Authentication required"),
            "session/new" => {
                self.mcp = params["mcpServers"].as_array().cloned().unwrap_or_default();
                self.session = format!("s{}", self.remembered().len() + 1);
                self.keep();
                answer(self.settings(true));
            }
            "session/resume" if self.has("--resume-fails") => refuse(-32603, "Internal error"),
            "session/load" if self.has("--load-fails") => refuse(-32603, "Internal error"),
            "session/resume" | "session/load" => {
                let wanted = params["sessionId"].as_str().unwrap().to_owned();
                let Some((_, prompts)) = self.remembered().into_iter().find(|(id, _)| *id == wanted) else {
                    return refuse(-32002, "no such session");
                };
                self.mcp = params["mcpServers"].as_array().cloned().unwrap_or_default();
                (self.session, self.prompts) = (wanted, prompts);
                if message["method"] == "session/load" {
                    self.say("this was said before\n");
                }
                answer(self.settings(false));
            }
            "session/set_config_option" => {
                assert_eq!(params["configId"], "model-choice");
                let model = if self.has("--keeps-model") { json!("small") } else { params["value"].clone() };
                answer(json!({"configOptions": models(&model)}));
            }
            "session/set_mode" => {
                self.say(&format!("mode {}\n", params["modeId"].as_str().unwrap()));
                answer(json!({}));
            }
            "session/prompt" => {
                self.prompts += 1;
                self.keep();
                self.cancelled = false;
                let text = params["prompt"][0]["text"].as_str().unwrap().to_owned();
                let (result, error) = self.play(&text);
                match error {
                    Some((code, text)) => refuse(code, &text),
                    None => answer(result),
                }
            }
            "session/cancel" => self.cancelled = true,
            _ => {}
        }
    }

    fn settings(&self, new: bool) -> Value {
        let mut settings = json!({});
        if new {
            settings["sessionId"] = json!(self.session);
        }
        if self.has("--models") {
            settings["configOptions"] = models(&json!("small"));
        }
        if self.has("--modes") {
            settings["modes"] = json!({"currentModeId": "ask", "availableModes": [
                {"id": "ask", "name": "Ask"}, {"id": "code", "name": "Code"}]});
        }
        settings
    }

    /// The sessions and how many prompts they have had.
    fn remembered(&self) -> Vec<(String, u64)> {
        let Some(file) = self.value("--state") else { return Vec::new() };
        let text = fs::read_to_string(file).unwrap_or_default();
        let line =
            |line: &str| line.split_once(' ').map(|(id, count)| (id.to_owned(), count.parse().unwrap()));
        text.lines().filter_map(line).collect()
    }

    fn keep(&self) {
        let Some(file) = self.value("--state") else { return };
        let mut sessions = self.remembered();
        sessions.retain(|(id, _)| *id != self.session);
        sessions.push((self.session.clone(), self.prompts));
        let text: String = sessions.iter().map(|(id, count)| format!("{id} {count}\n")).collect();
        fs::write(file, text).unwrap();
    }

    fn update(&self, update: &Value) {
        let params = json!({"sessionId": self.session, "update": update});
        send(&json!({"jsonrpc": "2.0", "method": "session/update", "params": params}));
    }

    fn say(&self, text: &str) {
        self.update(
            &json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}),
        );
    }

    /// Asks the client, and waits for its answer and nothing else.
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        let id = format!("fake-{}", self.next);
        send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        self.await_answer(&id)
    }

    fn await_answer(&mut self, id: &str) -> Value {
        loop {
            let message = self.messages.recv().unwrap_or_else(|_| exit(3));
            match message["method"].as_str() {
                Some("session/cancel") => self.cancelled = true,
                Some(_) => {}
                None if message["id"] == *id => return message,
                None => {}
            }
        }
    }

    fn leak(&mut self, rest: &str) {
        let (how, name) = rest.split_once(' ').unwrap();
        let value = std::env::var(name).unwrap();
        match how {
            "plain" => self.say(&format!("it is {value}.\n")),
            "base64" => {
                let script = format!(
                    "printf 'user:%s' \"${name}\" | base64 -w 0; printf ' '; printf %s \"${name}\" | base64 -w 0"
                );
                let said = Command::new("sh").args(["-c", &script]).output().unwrap();
                self.say(&format!("encoded {}\n", String::from_utf8_lossy(&said.stdout)));
            }
            "split" => {
                let (one, other) = value.split_at(value.len() / 2);
                self.say(&format!("in two: {one}"));
                self.say(&format!("{other}\n"));
            }
            "stderr" => eprintln!("it complains: {value}"),
            "thought" => self.update(&json!({"sessionUpdate": "agent_thought_chunk",
                "content": {"type": "text", "text": format!("Hm, {value}.\n")}})),
            "ask" => {
                let asked = asks(&self.session, &format!("leak execute all publish --token {value}"));
                let answer = self.ask("session/request_permission", &asked);
                self.say(&format!("told {}\n", told(&answer)));
            }
            "report" => {
                let report = json!({"text": format!("I have {value}.")});
                let answer = call(&self.server("board"), "report_progress", &report);
                self.say(&format!("reported {answer}\n"));
            }
            other => panic!("no way out is called {other}"),
        }
    }

    fn server(&self, name: &str) -> Value {
        self.mcp.iter().find(|server| server["name"] == name).unwrap().clone()
    }

    fn await_cancel(&mut self) {
        while !self.cancelled {
            let message = self.messages.recv().unwrap_or_else(|_| exit(3));
            self.cancelled = message["method"] == "session/cancel";
        }
    }

    fn play(&mut self, prompt: &str) -> (Value, Option<(i64, String)>) {
        for line in prompt.lines() {
            let line = line.strip_prefix("> ").unwrap_or(line);
            let (step, rest) = line.split_once(' ').unwrap_or((line, ""));
            match step {
                "say" => self.say(&format!("{rest}\n")),
                "piece" => self.say(rest),
                "think" => self.update(&json!({"sessionUpdate": "agent_thought_chunk", "content": {"type": "text", "text": rest}})),
                "tool" => {
                    let words: Vec<&str> = rest.splitn(4, ' ').collect();
                    self.update(&json!({"sessionUpdate": "tool_call", "toolCallId": words[0], "kind": words[1],
                        "status": words[2], "title": words[3]}));
                }
                "ask" => {
                    let answer = self.ask("session/request_permission", &asks(&self.session, rest));
                    self.say(&format!("told {}\n", told(&answer)));
                }
                "ask-two" => {
                    for (n, call) in ["first", "second"].into_iter().zip(rest.split(' ')) {
                        let params = asks(&self.session, &format!("{call} edit all x"));
                        send(&json!({"jsonrpc": "2.0", "id": n, "method": "session/request_permission", "params": params}));
                    }
                    for n in ["second", "first"] {
                        let answer = self.await_answer(n);
                        self.say(&format!("{n} told {}\n", told(&answer)));
                    }
                }
                "take-back" => {
                    self.next += 1;
                    let id = format!("fake-{}", self.next);
                    let params = asks(&self.session, &format!("{rest} edit all x"));
                    send(&json!({"jsonrpc": "2.0", "id": id, "method": "session/request_permission", "params": params}));
                    send(&json!({"jsonrpc": "2.0", "method": "$/cancel_request", "params": {"requestId": id}}));
                    let answer = self.await_answer(&id);
                    self.say(&format!("told {}\n", told(&answer)));
                }
                "run" => {
                    let (call, command) = rest.split_once(' ').unwrap();
                    let asked = asks(&self.session, &format!("{call} execute all {command}"));
                    let answer = told(&self.ask("session/request_permission", &asked));
                    self.say(&format!("told {answer}\n"));
                    if answer == "proceed" {
                        Command::new("sh").args(["-c", command]).status().unwrap();
                    }
                }
                "write" => {
                    let (path, content) = rest.split_once(' ').unwrap();
                    let path = std::env::current_dir().unwrap().join(path);
                    let params = json!({"sessionId": self.session, "path": path, "content": content});
                    let answer = self.ask("fs/write_text_file", &params);
                    self.say(&format!("told {}\n", answer["error"]["message"].as_str().unwrap_or("written")));
                }
                "read" => {
                    let answer = self.ask("fs/read_text_file", &json!({"sessionId": self.session, "path": rest}));
                    let text = answer["result"]["content"].as_str().or(answer["error"]["message"].as_str());
                    self.say(&format!("told {}\n", text.unwrap()));
                }
                "terminal" => {
                    let answer = self.ask("terminal/create", &json!({"sessionId": self.session, "command": "ls"}));
                    self.say(&format!("told {}\n", answer["error"]["code"]));
                }
                "env" => {
                    let value = std::env::var(rest).unwrap_or_else(|_| "(not set)".to_owned());
                    self.say(&format!("{rest} is {value}\n"));
                }
                "leak" => self.leak(rest),
                "spy" => {
                    let seen = fs::read_dir("/proc").unwrap().flatten().any(|process| {
                        let all = fs::read(process.path().join("environ")).unwrap_or_default();
                        String::from_utf8_lossy(&all).contains(&format!("{rest}="))
                    });
                    self.say(&format!("sees {rest}: {seen}\n"));
                }
                "consult" => {
                    let status = ask_model(rest);
                    self.say(&format!("called {status}\n"));
                }
                "need" => {
                    let status = ask_model(rest);
                    if status != "200" {
                        return (Value::Null, Some((-32603, format!("its model said {status}"))));
                    }
                }
                "offered" => self.say(&format!("offered {}\n", self.offered)),
                "summary" => {
                    let began = prompt.contains("# What happened before");
                    self.say(&format!("summary {began}\n"));
                }
                "remember" => self.say(&format!("prompt {} of {}\n", self.prompts, self.session)),
                "mcp" => self.say(&format!("servers: {}\n", names(&self.mcp).join(" "))),
                "call" => {
                    let words: Vec<&str> = rest.splitn(3, ' ').collect();
                    let server = self.server(words[0]);
                    let answer = call(&server, words[1], &serde_json::from_str(words[2]).unwrap());
                    self.pending = answer["structuredContent"]["approval"].clone();
                    self.say(&format!("answered {answer}\n"));
                }
                "outcome" => loop {
                    let answer = call(&self.server(rest), "call_outcome", &json!({"approval": self.pending}));
                    if answer["structuredContent"]["state"] != "pending" {
                        self.say(&format!("outcome {answer}\n"));
                        break;
                    }
                    thread::sleep(Duration::from_millis(200));
                },
                "lend" => {
                    let (server, file) = rest.split_once(' ').unwrap();
                    fs::write(file, self.server(server).to_string()).unwrap();
                }
                "garbage" => println!("npm warn deprecated\n[]\n{{\"jsonrpc\":\"2.0\"}}"),
                "odd-updates" => {
                    self.update(&json!({"sessionUpdate": "mind_reading", "content": 7}));
                    self.update(&json!({"sessionUpdate": "tool_call", "title": "no id"}));
                    self.update(&json!({"sessionUpdate": "agent_message_chunk", "content": "no block"}));
                    send(&json!({"jsonrpc": "2.0", "method": "_fake/news", "params": {}}));
                    send(&json!({"jsonrpc": "2.0", "id": "nobody asked", "result": {}}));
                }
                "flood" => {
                    for n in 0..rest.parse::<u64>().unwrap() {
                        self.say(&format!("word {n}\n"));
                    }
                }
                "orphan" => {
                    let script = format!("echo $$ > {rest}; while :; do sleep 0.1; done");
                    Command::new("setsid").args(["sh", "-c", &script]).spawn().unwrap();
                    while fs::read_to_string(rest).unwrap_or_default().is_empty() {
                        thread::sleep(Duration::from_millis(10));
                    }
                }
                "sleep" => thread::sleep(Duration::from_millis(rest.parse().unwrap())),
                "hang" => {
                    self.await_cancel();
                    return (json!({"stopReason": "cancelled"}), None);
                }
                "hang-then-end" => self.await_cancel(),
                "hang-hard" => thread::sleep(Duration::from_secs(1000)),
                "usage" => {
                    let tokens: u64 = rest.parse().unwrap();
                    self.usage = json!({"totalTokens": tokens, "inputTokens": tokens - 50, "outputTokens": 50});
                    let cost = json!({"amount": 0.25, "currency": "USD"});
                    self.update(&json!({"sessionUpdate": "usage_update", "used": 1, "size": 2, "cost": cost}));
                }
                "stop" => return (json!({"stopReason": rest, "usage": self.usage}), None),
                "error" => {
                    let (code, text) = rest.split_once(' ').unwrap();
                    return (Value::Null, Some((code.parse().unwrap(), text.to_owned())));
                }
                "exit" => exit(rest.parse().unwrap()),
                "complain" => eprintln!("{rest}"),
                _ => {}
            }
        }
        (json!({"stopReason": "end_turn", "usage": self.usage}), None)
    }
}

fn names(servers: &[Value]) -> Vec<String> {
    servers.iter().map(|server| server["name"].as_str().unwrap().to_owned()).collect()
}

/// Starts an MCP server as the client named it, and calls one tool.
fn call(server: &Value, tool: &str, arguments: &Value) -> Value {
    let args = server["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
    let env = server["env"].as_array().unwrap().iter();
    let mut child = Command::new(server["command"].as_str().unwrap())
        .args(args)
        .envs(env.map(|pair| (pair["name"].as_str().unwrap(), pair["value"].as_str().unwrap())))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "fake", "version": "1"}});
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}),
    ] {
        writeln!(to, "{message}").unwrap();
    }
    let messages = BufReader::new(from).lines().map_while(Result::ok);
    let mut messages = messages.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let answer =
        messages.find(|message| message["id"] == 2).unwrap_or_else(|| json!({"error": "the server ended"}));
    drop(to);
    child.wait().unwrap();
    if answer["error"].is_null() { answer["result"].clone() } else { answer }
}

fn models(current: &Value) -> Value {
    json!([{"id": "model-choice", "name": "Model", "category": "model", "type": "select", "currentValue": current,
        "options": [{"value": "small", "name": "Small"}, {"value": "large", "name": "Large"}]}])
}

/// "ID KIND SET COMMAND"
fn asks(session: &str, rest: &str) -> Value {
    let words: Vec<&str> = rest.splitn(4, ' ').collect();
    let options = match words[2] {
        "all" => json!([
            {"optionId": "always", "name": "Always", "kind": "allow_always"},
            {"optionId": "proceed", "name": "Once", "kind": "allow_once"},
            {"optionId": "stop", "name": "No", "kind": "reject_once"},
        ]),
        "always" => json!([
            {"optionId": "allow_once", "name": "Yes", "kind": "allow_always"},
            {"optionId": "no", "name": "No", "kind": "reject_once"},
        ]),
        _ => json!([
            {"optionId": "s", "name": "This session", "kind": "allow_session"},
            {"optionId": "zz", "name": "Once", "kind": "allow_once"},
            {"name": "nothing"},
        ]),
    };
    json!({
        "sessionId": session,
        "toolCall": {"toolCallId": words[0], "kind": words[1], "status": "pending", "title": format!("Wants {}", words[0]),
            "rawInput": {"command": words[3]}},
        "options": options,
    })
}

fn told(answer: &Value) -> String {
    let outcome = &answer["result"]["outcome"];
    match outcome["outcome"].as_str() {
        Some("selected") => outcome["optionId"].as_str().unwrap().to_owned(),
        Some(other) => other.to_owned(),
        None => format!("error {}", answer["error"]["code"]),
    }
}
