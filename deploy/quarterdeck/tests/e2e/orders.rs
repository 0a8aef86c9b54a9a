//! What is ordered in chat: accounts that people link themselves, and a machine of a team on Proxmox, from its plan to its end. A
//! fleet beside the strict fake of Discord and the fake of Proxmox.

use qd_testkit::discord::FakeDiscord;
use serde_json::{Value, json};

use crate::{
    discord::Guild,
    door::send,
    proxmox::{Cluster, until},
    support::{Project, Up, config, session},
};

/// Types a line on the console page, signed in as somebody; the whole answer.
fn says(up: &Up, person: &str, text: &str) -> String {
    let header = format!("Authorization: Bearer {}", session(&up.address, person).unwrap());
    let form = "Content-Type: application/x-www-form-urlencoded";
    let body = format!("text={}", text.replace(' ', "+"));
    let headers = [header.as_str(), "Accept: text/plain", form];
    let (status, answer) = send(&up.address, "POST /console/command", &headers, &body);
    assert_eq!(status, 200, "{answer}");
    answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned()
}

fn sub(name: &str, options: &[(&str, &str)]) -> Value {
    let options: Vec<Value> =
        options.iter().map(|(name, value)| json!({"name": name, "type": 3, "value": value})).collect();
    json!([{"name": name, "type": 1, "options": options}])
}

/// The code in an answer.
fn code(answer: &str) -> String {
    let line = answer.lines().next().unwrap();
    line.split_whitespace().last().unwrap().to_owned()
}

/// A guild with one more owner and manager, whose fleet takes commands from it, and hears teams elsewhere.
async fn guild() -> (Guild, u64, u16) {
    let guild = Guild::with("", "true", "").await;
    let manager = guild.fake.add_role("manager");
    let ines = guild.fake.members().into_iter().find(|(id, _, _)| *id == guild.ines).unwrap();
    let owner = ines.2[0];
    let mara = guild.fake.add_member("mara", &[owner, manager]);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = guild.project.folder().join("quarterdeck.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let more = format!(
        "manager = \"{manager}\"\n\n[[people]]\nname = \"mara\"\nroles = [\"owner\", \"manager\"]\n\n[hub]\nlisten = \"127.0.0.1:{free}\"\n"
    );
    std::fs::write(file, text + &more).unwrap();
    for name in ["mara", "olaf"] {
        guild.project.ok(&["person", "--as", name, "passphrase"]);
    }
    (guild, mara, free)
}

/// Somebody links their own account: a code from the console, said on Discord.
async fn links(guild: &Guild, up: &Up, name: &str, account: u64) {
    let answer = says(up, name, "link discord");
    let told = guild.types(account, "link", sub("code", &[("code", &code(&answer))])).await;
    assert_eq!(told, format!("discord:{account} is linked to {name}. From now on you are known with it."));
    // The bot is told of it a moment later.
    for _ in 0..200 {
        if guild.types(account, "person", json!([])).await.starts_with(&format!("You are {name}")) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{name} is not known: {:?}", guild.fake.complaints());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_linked_by_a_code_that_its_person_got_elsewhere() {
    let (guild, mara, _) = guild().await;
    let up = guild.project.up(&[]);
    guild.heard().await;
    let stranger = guild.types(mara, "fleet", sub("status", &[])).await;
    assert!(stranger.starts_with("I don't know who you are here."), "{stranger}");
    let wrong = guild.types(mara, "link", sub("code", &[("code", "ABCDEF-GHJKMN")])).await;
    insta::assert_snapshot!(wrong, @"That code is not known for discord, was used, or is older than 15 minutes. Get another one where you are known: link discord");
    insta::assert_snapshot!(says(&up, "mara", "link github"), @"GitHub is not configured here, so there is nothing to link.");
    let answer = says(&up, "mara", "link discord");
    let mine = code(&answer);
    insta::assert_snapshot!(answer.replace(&mine, "CODE"), @"
    Type this on Discord, with the account that is yours: /link code CODE
    It works once, for 15 minutes. Show it to nobody.
    ");
    // Only the newest counts, nothing of it is kept in the clear, and it survives a restart.
    let newest = code(&says(&up, "mara", "link discord"));
    let used = guild.types(mara, "link", sub("code", &[("code", &mine)])).await;
    assert!(used.starts_with("That code is not known"), "{used}");
    drop(up);
    let found =
        std::process::Command::new("grep").args(["-r", "-l", &newest]).arg(guild.project.state()).output();
    assert_eq!(String::from_utf8_lossy(&found.unwrap().stdout), "", "the code stands nowhere");
    let up = guild.project.up(&[]);
    guild.heard().await;
    let linked = guild.types(mara, "link", sub("code", &[("code", &newest.to_lowercase())])).await;
    insta::assert_snapshot!(linked.replace(&mara.to_string(), "NUMBER"), @"discord:NUMBER is linked to mara. From now on you are known with it.");
    let again = guild.types(guild.omar, "link", sub("code", &[("code", &newest)])).await;
    assert!(again.starts_with("That code is not known"), "it works once: {again}");
    links(&guild, &up, "olaf", guild.olaf).await;
    // A code is for whoever got it.
    let stolen = code(&says(&up, "mara", "link discord"));
    let told = guild.types(guild.olaf, "link", sub("code", &[("code", &stolen)])).await;
    insta::assert_snapshot!(told, @"This account is linked to you already, and the code is another person's.");
    guild.is_content();
}

/// The card of this title, open: its id and text.
async fn card(guild: &Guild, title: &str) -> (u64, String) {
    let begins = format!("**{title}**");
    guild.seen(guild.approvals, |text| text.starts_with(&begins) && text.contains("Decide until")).await
}

/// What every run has anew.
fn tame(text: &str) -> String {
    let line = |line: &str| match (line.find(" until "), line.rfind(" so far.")) {
        (Some(from), Some(to)) => {
            let who = line[..to].rfind(": ").unwrap();
            format!("{} until WHEN{}", &line[..from], &line[who..])
        }
        _ => line.to_owned(),
    };
    let text = text.lines().map(line).collect::<Vec<_>>().join("\n");
    let is_key = |word: &str| word.len() == 26 && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let word = |word: &str| match word.trim_start_matches('(').parse::<u32>() {
        Ok(100..200) => "NUMBER".to_owned(),
        _ if is_key(word.trim_start_matches("id:")) => word.replace(word.trim_start_matches("id:"), "KEY"),
        _ => word.to_owned(),
    };
    let words = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    crate::discord::tame(&text.lines().map(words).collect::<Vec<_>>().join("\n"))
}

async fn destroys(fake: &FakeDiscord, guild: &Guild, user: u64, card: u64) -> String {
    let click = fake.click(user, guild.approvals, card, "Approve");
    assert_eq!(fake.answer(click).await.unwrap().callback, 9, "the name has to be typed");
    guild.told(fake.submit(click, "team beta")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_ordered_agreed_to_made_and_taken_away_in_chat() {
    let Some(cluster) = Cluster::start() else { return };
    let (guild, mara, _) = guild().await;
    let mut env = cluster.env();
    env.push(("PROXMOX_TEAM_TEMPLATE", "190"));
    let up = guild.project.up(&env);
    guild.heard().await;
    for (name, account) in [("mara", mara), ("olaf", guild.olaf), ("ines", guild.ines)] {
        links(&guild, &up, name, account).await;
    }
    insta::assert_snapshot!(guild.types(guild.olaf, "vm", sub("list", &[])).await, @"There is no machine of a team.");
    let early = guild.types(guild.olaf, "vm", sub("create", &[("team", "beta")])).await;
    insta::assert_snapshot!(early, @"No machine is made for beta: beta can't join: nobody invited it; an owner invites it with: quarterdeck provision invite beta Have that done, then call again.");
    assert!(guild.fake.messages(guild.dev).is_empty(), "what came to nothing is for one person");
    guild.project.ok(&["provision", "invite", "beta"]);
    guild.project.ok(&["provision", "invite", "beta", "--as", "mara"]);
    let wanted = [("team", "beta"), ("cores", "4"), ("memory", "8192")];
    let planned = guild.types(guild.olaf, "vm", sub("plan", &wanted)).await;
    insta::assert_snapshot!(planned, @"
    1. Clone 190 (debian) (linked) to team-beta, under the first free number of 100-199, in no pool: 4 cores, 8192 MiB, 8 GiB.
    2. Give it the tags qd;quarterdeck;team-beta, and Proxmox's protection.
    3. Set the user quarterdeck, 0 keys and the network by cloud-init.
    4. Start it, and wait for its agent.
    5. Bring the program of the template, the configuration and the invitation into it.
    6. Wait until beta says hello at the hub. If anything fails, all of it is taken away.
    Asks 1 manager, not the requester. Nothing was done.
    ");
    let asked = guild.types(guild.olaf, "vm", sub("create", &wanted)).await;
    insta::assert_snapshot!(asked, @"Asked 1 manager, not the requester. The card is in #approvals, how far it is stands in #dev.");
    let (of_make, text) = card(&guild, "Make a machine for beta").await;
    insta::assert_snapshot!(tame(&text), @"
    **Make a machine for beta** (ordered by olaf)
    4 cores, 8192 MiB, the template's size of disk. From template 190, in no pool.
    Decide until WHEN: 1 manager, not the requester. 0 of 1 so far. By button.
    Digest 9be1 40c7 d2aa
    ");
    let (living, _) = guild.seen(guild.dev, |text| text.contains("Nothing happens before.")).await;
    assert!(cluster.ask("guest/100").is_null(), "nothing happens before");
    let own = guild.clicks(guild.olaf, of_make, "Approve").await;
    assert!(own.contains("You need the role manager"), "{own}");

    // Killed after the yes, it goes on with it after the start, and nobody is asked again.
    assert_eq!(guild.clicks(mara, of_make, "Approve").await, "Approved.");
    drop(up);
    let _up = guild.project.up(&env);
    guild.heard().await;
    let line = tokio::task::block_in_place(|| {
        until("the invitation in the guest", || {
            (100..200).find_map(|number| {
                let guest = cluster.ask(&format!("guest/{number}"));
                let ran = !guest["execs"].as_array()?.is_empty();
                guest["files"]["/etc/quarterdeck/invitation"].as_str().filter(|_| ran).map(str::to_owned)
            })
        })
    });
    let (url, token) = line.trim().split_once(' ').unwrap();
    let elsewhere = Project::new(&[("README.md", "# Elsewhere\n")]);
    std::fs::write(elsewhere.folder().join("quarterdeck.toml"), config("true", None)).unwrap();
    elsewhere.ok(&["instance", "join", url, token]);
    let (done, text) = guild.seen(guild.dev, |text| text.starts_with('✔')).await;
    assert_eq!(done, living, "one message, edited as it goes");
    insta::assert_snapshot!(tame(&text), @"
    ✔ **Machine of beta** · ordered by olaf
    beta: is at work (guest NUMBER on pve1).
    ");
    let (closed, text) = guild.seen(guild.approvals, |text| text.starts_with("✔ Make a machine")).await;
    assert_eq!(closed, of_make);
    insta::assert_snapshot!(tame(&text), @"✔ Make a machine for beta (ordered by olaf): approved by mara, done.");
    insta::assert_snapshot!(tame(&guild.types(guild.olaf, "vm", sub("list", &[])).await), @"beta: is at work (guest NUMBER on pve1)");
    let clones = cluster
        .ask("log")
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row.to_string().contains("/clone"))
        .count();
    assert_eq!(clones, 1, "it was made once");

    // Two owners, each types its name.
    guild.types(guild.olaf, "vm", sub("destroy", &[("team", "beta")])).await;
    let (of_end, text) = card(&guild, "Destroy the machine of beta").await;
    insta::assert_snapshot!(tame(&text), @"
    **Destroy the machine of beta** (ordered by olaf)
    It is deleted with its disks and snapshots. No backup is made.
    Decide until WHEN: 2 owners, not the requester. 0 of 2 so far. By button, then the name that stands behind “On”, typed out.
    Digest 9be1 40c7 d2aa
    On: team beta. Type: `/approve id:KEY name:team beta`
    ");
    assert_eq!(destroys(&guild.fake, &guild, guild.ines, of_end).await, "Noted: 1 of 2.");
    assert_eq!(destroys(&guild.fake, &guild, mara, of_end).await, "Approved.");
    let (_, text) = guild.seen(guild.dev, |text| text.contains("is out of the fleet")).await;
    insta::assert_snapshot!(tame(&text), @"
    ✔ **End of the machine of beta** · ordered by olaf
    It is gone with its disks, and beta is out of the fleet.
    ");
    let keys = || guild.project.ok(&["bot", "instances"]);
    tokio::task::block_in_place(|| {
        until("the end of beta's key", || keys().contains("revoked").then_some(()));
    });
    insta::assert_snapshot!(guild.types(guild.olaf, "vm", sub("list", &[])).await, @"There is no machine of a team.");
    guild.is_content();
}
