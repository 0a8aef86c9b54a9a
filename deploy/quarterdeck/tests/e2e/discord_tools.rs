//! The tools of the server `discord` where Discord is: a run's agent and a person's own client, beside a fake that is stricter than
//! the real one.

use qd_testkit::discord::{FakeDiscord, GUILD, TOKEN};
use serde_json::{Value, json};

use crate::{
    acp::Stage,
    discord::{id, text},
    mcp::Client,
    run_tools::told,
    servers::played,
};

/// A fleet in a guild with a channel that its team may read, and one that it may not.
struct World {
    fake: FakeDiscord,
    stage: Stage,
    dev: u64,
    incidents: u64,
    ines: u64,
}

impl World {
    async fn new() -> Self {
        let fake = FakeDiscord::start().await;
        let [dev, alerts, approvals, incidents] =
            ["dev", "alerts", "approvals", "incidents"].map(|name| fake.add_channel(name));
        fake.add_channel("secret");
        let ines = fake.add_member("ines", &[]);
        let more = format!(
            "\n[mcp.servers.discord]\n\n[mcp.discord]\nposts_per_minute = 5\n\n[mcp.discord.teams.alpha]\nchannel = \"dev\"\n\
             reads = [\"incidents\"]\n\n[discord]\napi = \"{}\"\nguild = \"{GUILD}\"\ntoken = {{ file = \"token\" }}\n\n\
             [discord.channels]\ndev = \"{dev}\"\nalerts = \"{alerts}\"\napprovals = \"{approvals}\"\n",
            fake.url()
        );
        let stage = Stage::with("true", &more);
        std::fs::write(stage.project.folder().join("token"), TOKEN).unwrap();
        Self { fake, stage, dev, incidents, ines }
    }

    fn posts(&self) -> Vec<Value> {
        let all = self.fake.messages(self.dev).into_iter();
        all.filter(|message| {
            message["embeds"][0]["footer"]["text"].as_str().unwrap_or("").starts_with("tool:")
        })
        .collect()
    }
}

fn words(answer: &Value) -> &str {
    answer["content"][0]["text"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runs_agent_reads_its_channels_and_posts_to_its_own() {
    let world = World::new().await;
    world.fake.let_read();
    world.fake.write(world.ines, world.incidents, "The disk is full.");
    let up = world.stage.project.up(&[]);
    let said = played(
        &world.stage,
        &up,
        "mcp\ncall discord read_messages {\"channel\": \"incidents\"}\n\
         call discord read_messages {\"channel\": \"secret\"}\n\
         call discord post {\"text\": \"@everyone **half** of it\"}\noutcome discord\nsay done",
        "\"state\":\"pending\"",
    )
    .await;
    assert!(said.contains("The disk is full."), "{said}");
    assert!(said.contains("There is no such channel for this team."), "{said}");
    assert_eq!(world.posts(), Vec::<Value>::new(), "nothing is posted before somebody agreed");
    let id = said.split("\"approval\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    world.stage.project.ok(&["approvals", "approve", id]);
    told(&mut up.client("alpha", None), "output: done").await;
    let posts = world.posts();
    assert_eq!(posts.len(), 1, "{said}");
    insta::assert_snapshot!(text(&posts[0]).replace('\u{200b}', "·"), @r"
    alpha wrote:
    > @·everyone \*\*half\*\* of it
    ");
    assert_eq!(world.fake.mentions(), 0);
    assert_eq!(world.fake.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_asks_from_their_own_client_and_sees_what_was_answered() {
    let world = World::new().await;
    let project = &world.stage.project;
    let up = project.up(&[]);
    project.ok(&["person", "link", "ines", &format!("discord:{}", world.ines)]);
    assert!(world.fake.connected().await, "{:?}", world.fake.complaints());
    let mut client = Client::start(project, &["mcp", "discord"], &[]);
    let asked = client.call("ask", json!({ "question": "Which?", "choices": ["Blue", "Red"] }));
    assert_eq!(asked["isError"], json!(false), "{asked}");
    let message = asked["structuredContent"]["result"]["id"].clone();
    let posts = world.posts();
    assert_eq!(json!(id(&posts[0]).to_string()), message);
    let pressed = world.fake.click(world.ines, world.dev, id(&posts[0]), "Red");
    assert_eq!(world.fake.answer(pressed).await.unwrap().text(), "Noted: Red");
    let answered = client.call("answer", json!({ "message": message }));
    assert_eq!(answered["structuredContent"]["answers"][0]["author"]["untrusted"], "ines", "{answered}");
    assert_eq!(answered["structuredContent"]["answers"][0]["text"]["untrusted"], "Red", "{answered}");
    let thread = client.call("thread", json!({ "message": message, "title": "Colours" }));
    assert_eq!(thread["structuredContent"]["result"]["id"], message, "{thread}");
    assert_eq!(world.fake.threads(world.dev), [(id(&posts[0]), "Colours".to_owned())]);

    for _ in 0..3 {
        client.call("post", json!({ "text": "x" }));
    }
    let over = client.call("post", json!({ "text": "x" }));
    assert!(words(&over).contains("The team alpha has posted 5 times within a minute."), "{over}");
    assert_eq!(world.posts().len(), 4);
    client.end();
    drop(up);
    assert_eq!(world.fake.complaints(), Vec::<String>::new());
}
