//! The metering gateway, from an agent that calls its model to what people read: tokens and money counted in all four
//! shapes, budgets that stop and go on, and the provider's key nowhere.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use qd_api::{ApprovalView, CastVote, Client, FeatureView, TranscriptPage};
use qd_types::{ApprovalState, Ballot};

use crate::{
    door::send,
    support::{Project, Up, approve, config, finished, open_approval, until},
};

/// What no agent may ever see.
pub(crate) const KEY: &str = "sk-provider-4f2a91c07be3";

/// A scripted provider of all four shapes: 1,000 tokens in and 50 out for every call.
pub(crate) struct Provider {
    child: Child,
    pub(crate) port: u16,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// The scripted provider: where `QUARTERDECK_TEST_MODEL` says, or in a folder beside this repository or where
/// `QUARTERDECK_PEERS` says.
fn script() -> Option<PathBuf> {
    if let Some(script) = std::env::var_os("QUARTERDECK_TEST_MODEL") {
        return Some(script.into());
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/peers");
    let folder = std::env::var_os("QUARTERDECK_PEERS").map_or(beside, PathBuf::from);
    let script = folder.join("scripted_llm.py");
    if script.is_file() {
        return Some(script);
    }
    eprintln!("skipped: no {}; set QUARTERDECK_PEERS to the folder with it", script.display());
    None
}

impl Provider {
    /// `None` where there is none to be started.
    pub(crate) fn start(project: &Project) -> Option<Self> {
        let script = script()?;
        let folder = project.folder().with_file_name("provider");
        std::fs::create_dir_all(&folder).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("python3")
            .arg(script)
            .arg(port.to_string())
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let provider = Self { child, port };
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the scripted provider does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(provider)
    }

    /// The section by which a gateway reaches it in the OpenAI shape.
    pub(crate) fn section(&self) -> String {
        format!(
            "\n[gateway.providers.openai]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:{}\"\n\
             key = {{ env = \"PROVIDER_KEY\" }}\n",
            self.port
        )
    }

    /// A fleet whose agent reaches it through the gateway.
    fn fleet(&self, project: &Project, agent: &str, budgets: &str) -> Up {
        let mut text = config(&format!("{CALL}\n{agent}"), None);
        for kind in ["openai", "anthropic", "gemini"] {
            text.push_str(&format!(
                "\n[gateway.providers.{kind}]\nkind = \"{kind}\"\nbase_url = \"http://127.0.0.1:{}\"\n\
                 key = {{ env = \"PROVIDER_KEY\" }}\n",
                self.port
            ));
        }
        text.push_str(&format!("\n[gateway]\nprices = \"../prices.toml\"\n{budgets}"));
        let prices = ["openai", "anthropic", "gemini"].map(|provider| {
            format!(
                "[[price]]\nprovider = \"{provider}\"\nmodel = \"priced\"\ninput = 1\noutput = 2\n\
                 date = \"2026-11-21\"\nsource = \"https://example.com\"\n"
            )
        });
        std::fs::write(project.folder().with_file_name("prices.toml"), prices.concat()).unwrap();
        std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
        project.up(&[("PROVIDER_KEY", KEY)])
    }
}

/// `call URL HEADER BODY` prints the status; `chat MODEL` asks for a completion.
const CALL: &str = r#"cat > /dev/null
call() { curl -sS -w '\n%{http_code}\n' "$1" -H 'content-type: application/json' -H "$2" -d "$3" | tail -n 1; }
chat() { call "$OPENAI_BASE_URL/chat/completions" "authorization: Bearer $OPENAI_API_KEY" "{\"model\":\"$1\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"; }"#;

/// What the agent said, a line each.
async fn transcript(client: &mut Client) -> String {
    let page: TranscriptPage = client.get("runs/A-1.1/transcript").await.unwrap();
    page.entries.into_iter().map(|entry| entry.text + "\n").collect()
}

/// Says yes to what the run asks for, and gives it as it was asked.
async fn budget(client: &mut Client) -> ApprovalView {
    let open = open_approval(client, "A-1").await.unwrap();
    let cast = CastVote::new(Ballot::Approve, &open.approval.digest, None);
    let path = format!("approvals/{}/vote", open.approval.id.key());
    let said: ApprovalView = client.post(&path, &cast).await.unwrap();
    assert!(!matches!(said.approval.state, ApprovalState::Denied), "{said:?}");
    open
}

/// Files below a folder that have a text in them.
pub(crate) fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(holding(&path, text));
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).unwrap_or_default();
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(path);
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_counts_all_four_shapes_and_the_key_is_nowhere() {
    let project = Project::new(&[("README.md", "# Gateway\n")]);
    let Some(provider) = Provider::start(&project) else { return };
    let agent = r#"env
echo chat $(chat priced)
echo responses $(call "$OPENAI_BASE_URL/responses" "authorization: Bearer $OPENAI_API_KEY" '{"model":"priced","input":"hi","stream":true}')
echo messages $(call "$ANTHROPIC_BASE_URL/v1/messages" "x-api-key: $ANTHROPIC_API_KEY" '{"model":"priced","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}')
echo gemini $(call "$GOOGLE_GEMINI_BASE_URL/v1beta/models/priced:streamGenerateContent?alt=sse" "x-goog-api-key: $GEMINI_API_KEY" '{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}')
for status in 402 429; do
  echo failed $(call "$OPENAI_BASE_URL/chat/completions" "authorization: Bearer $OPENAI_API_KEY" "{\"model\":\"priced\",\"messages\":[{\"role\":\"user\",\"content\":\"[[cwd=/tmp steps=err:$status]]\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"bash\",\"parameters\":{}}}]}")
done
echo stranger $(call "$OPENAI_BASE_URL/chat/completions" "authorization: Bearer qdr_0" '{"model":"priced"}')
echo good > out.txt"#;
    let up = provider.fleet(&project, agent, "");
    let mut client = up.client("alpha", None);
    project.ok(&["feature", "add", "Ask", "--ready"]);
    until(&mut client, "A-1", |view| view.sentence.contains("Asks to merge")).await;
    let transcript = transcript(&mut client).await;
    let said: Vec<&str> = transcript.lines().collect();
    for wanted in [
        "chat 200",
        "responses 200",
        "messages 200",
        "gemini 200",
        "failed 402",
        "failed 429",
        "stranger 401",
    ] {
        assert!(said.iter().any(|line| line.contains(wanted)), "{wanted}: {transcript}");
    }
    approve(&mut client, "A-1").await;
    let view: FeatureView = until(&mut client, "A-1", finished).await;
    let spent = view.spent.unwrap();
    insta::assert_snapshot!(format!("{} calls, {}", spent.calls, spent.said()), @"6 calls, 4,200 tokens, $0.0044");
    assert_eq!(view.run.unwrap().spent.unwrap(), spent);
    insta::assert_snapshot!(project.ok(&["cost", "--by", "model", "--csv"]), @"
    model,title,calls,estimated_calls,tokens,input,cached,cache_write,output,reasoning,usd,unpriced_tokens
    openai/priced,,4,0,2100,2000,0,0,100,0,0.002200,0
    anthropic/priced,,1,0,1050,1000,0,0,50,0,0.001100,0
    gemini/priced,,1,0,1050,1000,0,0,50,0,0.001100,0
    ");
    // The page of the board has a link to the same.
    let bearer = project.token("ines");
    let port = up.address.rsplit(':').next().unwrap();
    let cookie = format!("Cookie: quarterdeck_{port}={}", bearer.rsplit(' ').next().unwrap());
    let page = |path: &str| send(&up.address, &format!("GET /teams/alpha/{path}"), &[&cookie], "");
    assert!(page("cost?by=model").1.contains("cost.csv?by=model"));
    let (status, csv) = page("cost.csv?by=model");
    assert!(status == 200 && csv.contains("text/csv") && csv.contains("openai/priced,,4,0,2100"), "{csv}");
    insta::assert_snapshot!(project.ok(&["cost", "--by", "feature"]), @"
    A-1         6 calls           4,200 tokens        $0.0044  ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇  Ask
    all         6 calls           4,200 tokens        $0.0044
    ");
    let history = project.ok(&["feature", "show", "A-1"]);
    assert!(history.contains("openai wants to be paid (402). The agent was told."), "{history}");
    assert!(history.contains("4,200 tokens, $0.0044"), "{history}");
    drop(client);
    up.interrupt();
    let everything = project.folder().parent().unwrap().to_owned();
    assert_eq!(holding(&everything, KEY), Vec::<PathBuf>::new(), "the provider's key");
    assert_eq!(
        holding(&everything, "qdr_").len(),
        1,
        "a run's token is in no file: only in the configured command"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_budget_of_tokens_is_used_up_and_the_run_goes_on_with_more() {
    let project = Project::new(&[("README.md", "# Gateway\n")]);
    let Some(provider) = Provider::start(&project) else { return };
    let agent = r#"if test -f begun.txt; then echo again $(chat priced); echo good > out.txt; exit 0; fi
touch begun.txt
for n in 1 2 3 4; do status=$(chat priced); echo $n $status; test "$status" = 200 || exit 0; done"#;
    let up = provider.fleet(&project, agent, "");
    let mut client = up.client("alpha", None);
    project.ok(&["feature", "add", "Ask", "--budget-tokens", "2500", "--ready"]);
    let asks = until(&mut client, "A-1", |view| view.sentence.contains("Asks for")).await;
    insta::assert_snapshot!(asks.sentence, @"Its budget of 2,500 tokens is used up. Asks for 5,000 tokens: one more manager.");
    insta::assert_snapshot!(asks.spent.unwrap().warning.unwrap(), @"126 % of the budget for feature A-1 is used: 3,150 of 2,500 tokens.");
    let open = budget(&mut client).await;
    insta::assert_snapshot!(format!("{}. {}", open.title, open.facts), @r#"Change a budget from 2,500 to 5,000 tokens. On: tokens of A-1. Arguments: {"more":2500}."#);
    let merges = until(&mut client, "A-1", |view| view.sentence.contains("Asks to merge")).await;
    assert_eq!(merges.feature.wanted.budget.tokens, Some(5_000), "raised once");
    insta::assert_snapshot!(merges.spent.unwrap().warning.unwrap(), @"84 % of the budget for feature A-1 is used: 4,200 of 5,000 tokens.");
    let transcript = transcript(&mut client).await;
    assert!(transcript.contains("4 402") && transcript.contains("again 200"), "{transcript}");
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_budget_in_money_lets_nothing_of_an_unknown_price_through_until_tokens_are_limited() {
    let project = Project::new(&[("README.md", "# Gateway\n")]);
    let Some(provider) = Provider::start(&project) else { return };
    let agent =
        r#"status=$(chat dear); echo dear $status; test "$status" = 200 || exit 0; echo good > out.txt"#;
    let up = provider.fleet(&project, agent, "[gateway.budgets]\nday = { cents = 100 }\n");
    let mut client = up.client("alpha", None);
    project.ok(&["feature", "add", "Ask", "--ready"]);
    let asks = until(&mut client, "A-1", |view| view.sentence.contains("Asks for")).await;
    assert!(asks.sentence.starts_with("Nothing may be spent for day 20"), "{}", asks.sentence);
    assert!(asks.sentence.ends_with("Asks for 1,000,000 tokens: one more manager."), "{}", asks.sentence);
    let open = budget(&mut client).await;
    assert!(open.facts.contains("openai/dear"), "{}", open.facts);
    let merges = until(&mut client, "A-1", |view| view.sentence.contains("Asks to merge")).await;
    insta::assert_snapshot!(merges.spent.unwrap().said(), @"1,050 tokens, price unknown");
    let costs = project.ok(&["cost"]);
    assert!(costs.contains("price unknown") && costs.contains("of 1,000,000 tokens"), "{costs}");
    assert!(!costs.lines().any(|line| line.starts_with("20") && line.contains('$')), "{costs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_and_listed_hosts_are_all_that_a_metered_agent_reaches() {
    let project = Project::new(&[("README.md", "# Gateway\n")]);
    let Some(provider) = Provider::start(&project) else { return };
    let direct = format!("echo direct $(curl -sS http://127.0.0.1:{}/ 2>&1)", provider.port);
    // As a program would that does not take this computer for itself.
    let proxied = format!(
        "get() {{ curl -sS --noproxy '' -o /dev/null -w '%{{http_code}}' http://$1:{}/ 2>&1; }}\n\
         echo listed $(get 127.0.0.1) other $(get localhost)\n\
         echo tunnel $(curl -sS https://example.org 2>&1)",
        provider.port
    );
    let agent = format!("echo chat $(chat priced)\n{direct}\n{proxied}\necho good > out.txt");
    let listed = format!("\n[sandbox]\nkind = \"bubblewrap\"\nhosts = [\"127.0.0.1:{}\"]\n", provider.port);
    let up = provider.fleet(&project, &agent, &listed);
    let mut client = up.client("alpha", None);
    project.ok(&["feature", "add", "Ask", "--ready"]);
    let view = until(&mut client, "A-1", |view| {
        view.sentence.contains("Asks to merge") || view.feature.held.is_some()
    })
    .await;
    let transcript = transcript(&mut client).await;
    assert!(transcript.contains("chat 200"), "{}: {transcript}", view.sentence);
    assert!(transcript.contains("direct curl: (7)"), "{transcript}");
    assert!(transcript.contains("listed 404 other 403"), "{transcript}");
    assert!(transcript.contains("response 403"), "{transcript}");
}
