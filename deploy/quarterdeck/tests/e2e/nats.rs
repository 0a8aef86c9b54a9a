//! Bot and teams as processes of their own over a real NATS server, from the keys by which it knows them to merged work. The
//! server is killed and restarted meanwhile, and the bot with it: nothing is lost, and nothing is done twice.

use std::time::Duration;

use qd_natsd::{Authority, Natsd};

use crate::{
    apart::{Place, Role, says},
    support::{Project, approve, arrived, config, finished, git, until},
};

/// A fleet of two teams at places of their own, and the server between them.
fn text(url: &str) -> String {
    let text = config("sleep 2; echo done > $(basename $PWD).txt", None);
    let alpha = "[[teams]]\nname = \"alpha\"\nagent = \"shell\"\n";
    assert!(text.contains(alpha));
    let both = format!("{alpha}\n[[teams]]\nname = \"beta\"\nagent = \"shell\"\n");
    text.replace(alpha, &both) + &format!("\n[uplink]\nbeat_seconds = 1\n\n[hub]\nnats = \"{url}\"\n")
}

/// The block that is printed for the server's configuration, with what leads it in.
fn user(bot: &Place<'_>, args: &[&str]) -> String {
    bot.ok(&[&["bot", "nats-user"], args].concat())
}

/// Without what differs from one time to the next.
fn plain(text: &str, url: &str, nkeys: &[&str]) -> String {
    let mut text = text.replace(url, "URL");
    for nkey in nkeys {
        text = text.replace(nkey, "NKEY");
    }
    text
}

/// What doctor finds about the way between bot and teams.
fn doctor(place: &Place<'_>) -> String {
    let output = place.command(&["doctor"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let about = |line: &&str| line.contains(" nats ") || line.contains(" uplink ");
    text.lines().filter(about).collect::<Vec<_>>().join("\n")
}

fn said(place: &Place<'_>, args: &[&str]) -> String {
    let output = place.command(args).output().unwrap();
    assert!(!output.status.success(), "{args:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_teams_and_their_bot_work_over_a_server_that_is_killed() {
    let Some(mut natsd) = Natsd::for_test(&qd_natsd::with_users("{user: nobody, password: nothing}")) else {
        return;
    };
    let (url, project) = (natsd.url(), Project::new(&[("README.md", "# NATS\n")]));
    let text = text(&url);
    let at_the_bot = Place::new(&project, "bot", &text);

    // What whoever keeps the server has to be given.
    insta::assert_snapshot!(doctor(&at_the_bot), @"✖ nats           hub.nats names a NATS server, and the bot has no key for it yet. Print its user for the server's configuration with: quarterdeck bot nats-user");
    let own = user(&at_the_bot, &[]);
    let bots = own.split_whitespace().find(|word| word.starts_with('U')).unwrap().to_owned();
    insta::assert_snapshot!(plain(&own, &url, &[&bots]), @r#"
    # bot
    {
        nkey: NKEY
        permissions: {
            publish: [
                "$JS.API.INFO"
                "$JS.API.STREAM.*.QD_fleet_UP"
                "$JS.API.STREAM.*.QD_fleet_DOWN"
                "$JS.API.CONSUMER.*.QD_fleet_UP.>"
                "$JS.API.CONSUMER.*.QD_fleet_DOWN.>"
                "$JS.API.CONSUMER.*.*.QD_fleet_UP.>"
                "$JS.API.CONSUMER.*.*.QD_fleet_DOWN.>"
                "$JS.ACK.QD_fleet_UP.>"
                "qd.fleet.down.*"
                "qd.fleet.answer.*.*"
            ]
            subscribe: [
                "_INBOX_bot.>"
            ]
        }
    }
    "#);
    insta::assert_snapshot!(plain(&doctor(&at_the_bot), &url, &[&bots]), @"✖ nats           the NATS server at URL does not know bot by the key NKEY: put what quarterdeck bot nats-user prints for it into the server's configuration, and reload that");
    let forge = at_the_bot.state.join("bot/forge/repos/project.git");
    let remote = format!("name = \"project\"\nremote = \"{}\"", forge.display());
    let elsewhere = text.replace("name = \"project\"", &remote).replace(&format!("nats = \"{url}\"\n"), "");
    let places = ["alpha", "beta"].map(|name| Place::new(&project, name, &elsewhere));
    let [alpha, beta] = &places;
    let nkeys =
        [(alpha, "alpha"), (beta, "beta")].map(|(place, name)| place.ok(&["instance", "nats-key", name]));
    let teams = [("alpha", &nkeys[0]), ("beta", &nkeys[1])];
    let teams = teams.map(|(name, nkey)| user(&at_the_bot, &[name, nkey.trim()]));
    insta::assert_snapshot!(said(&at_the_bot, &["bot", "nats-user", "alpha", "SUAIB"]), @r#"quarterdeck: "SUAIB" is no public key of a NATS user, which begins with U: print it with quarterdeck instance nats-key"#);

    // A team that comes before the server knows it, and before there is a bot.
    let address = format!("{url}/fleet");
    let token = format!("alpha.{}.{}", "0".repeat(32), "1".repeat(32));
    let early = said(alpha, &["instance", "join", &address, &token]);
    insta::assert_snapshot!(plain(&early, &url, &[nkeys[0].trim()]), @"quarterdeck: the NATS server at URL does not know alpha by the key NKEY: put what quarterdeck bot nats-user prints for it into the server's configuration, and reload that");
    natsd.configure(&qd_natsd::with_users(&(own + &teams.concat())));
    natsd.stop();
    natsd.start();
    let early = said(alpha, &["instance", "join", &address, &token]);
    insta::assert_snapshot!(plain(&early, &url, &[]), @"quarterdeck: URL/fleet: the NATS server at URL keeps nothing for this fleet: its bot sees to that when it starts, if hub.nats names this server, and the server needs JetStream");

    let mut bot = at_the_bot.start(&["bot"]);
    let fine = plain(&doctor(&at_the_bot), &url, &[]);
    assert!(fine.starts_with("✔ nats           the NATS server at URL, version "), "{fine}");
    let speaks = bot.session();
    for (place, name) in [(alpha, "alpha"), (beta, "beta")] {
        let invited = at_the_bot.ok(&["bot", "invite", name]);
        let join = invited.lines().find(|line| line.starts_with("quarterdeck ")).unwrap();
        let args: Vec<&str> = join.split(' ').skip(1).collect();
        assert_eq!(args[2], address);
        place.ok(&args);
    }
    let wrong = said(beta, &["instance", "join", &format!("{url}/our home"), &token]);
    insta::assert_snapshot!(plain(&wrong, &url, &[]), @r#"quarterdeck: "URL/our home" is no address of a NATS server and a fleet, like tls://nats.example.org:4222/home"#);
    let start = |place: &Place<'_>, name: &str| -> Role { place.start(&["instance", name]) };
    let mut roles = [start(alpha, "alpha"), start(beta, "beta")];
    let votes = [roles[0].session(), roles[1].session()];
    insta::assert_snapshot!(says(&bot, &speaks, "feature add --team alpha --ready Write one"), @"Sent to alpha.");
    insta::assert_snapshot!(says(&bot, &speaks, "feature add --team beta --ready Write another"), @"Sent to beta.");

    // Everything is killed while the runs go on, each at another step.
    for round in 0..4_u64 {
        tokio::time::sleep(Duration::from_millis(700 + 400 * round)).await;
        match round {
            0 => natsd.kill(),
            1 => {
                drop(bot);
                bot = at_the_bot.start(&["bot"]);
                continue;
            }
            2 => natsd.stop(),
            _ => {
                let [one, other] = roles;
                drop(one);
                roles = [start(alpha, "alpha"), other];
                natsd.kill();
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        natsd.start();
    }
    for ((place, name, feature), votes) in
        [(alpha, "alpha", "A-1"), (beta, "beta", "B-1")].into_iter().zip(&votes)
    {
        let mut client = place.client(name, votes);
        approve(&mut client, feature).await;
        until(&mut client, feature, finished).await;
    }
    let mut history: Vec<String> =
        git(&forge, &["log", "--first-parent", "--format=%s", "main"]).lines().map(str::to_owned).collect();
    history.sort();
    assert_eq!(history, ["A-1: Write one", "B-1: Write another", "First"], "each merged exactly once");
    let up = doctor(alpha);
    assert!(up.contains("✔ uplink"), "{up}");

    // What is wrong is said, by whichever side sees it.
    natsd.kill();
    insta::assert_snapshot!(plain(&doctor(&at_the_bot), &url, &[]), @"✖ nats           the NATS server at URL can't be reached (IO error: Connection refused (os error 111)): see whether it runs there");
    let silent = async {
        loop {
            let up = doctor(alpha);
            if up.contains("nobody answers") {
                break plain(&up, &url, &[]);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let silent = tokio::time::timeout(Duration::from_secs(60), silent).await.unwrap();
    insta::assert_snapshot!(silent, @"✖ uplink         alpha: the bot at URL/fleet can't be reached: the NATS server at URL can't be reached (nobody answers): see whether it runs there");
    drop((bot, roles));
}

/// With TLS as the shipped configuration shows it, and a certificate of an authority that no system knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_believed_by_the_authority_that_is_named_alone() {
    let nobody = qd_natsd::with_users("{user: nobody, password: nothing}");
    let Some(mut natsd) = Natsd::for_test(&nobody) else { return };
    let (authority, other) = (Authority::new(), Authority::new());
    natsd.configure(&authority.served(&nobody));
    natsd.stop();
    natsd.start();
    let (url, project) =
        (natsd.url().replace("nats://", "tls://"), Project::new(&[("README.md", "# TLS\n")]));
    let files = [&authority, &other].map(|authority| authority.file().display().to_string());
    let unnamed = text(&url);
    let named = |file: &str| {
        unnamed.replace(&format!("nats = \"{url}\"\n"), &format!("nats = \"{url}\"\nnats_ca = \"{file}\"\n"))
    };
    let at_the_bot = Place::new(&project, "bot", &unnamed);
    let own = user(&at_the_bot, &[]);

    // The bot's side: the system's authorities, another one, a file that is none, and the right one.
    insta::assert_snapshot!(plain(&doctor(&at_the_bot), &url, &[]), @"✖ nats           the NATS server at URL is not believed to be it (invalid peer certificate: UnknownIssuer). Where its certificate is of an authority of your own, name the file with that authority's certificate: hub.nats_ca where the bot runs, quarterdeck instance join --ca FILE for a team");
    std::fs::write(&at_the_bot.file, named(&files[1])).unwrap();
    insta::assert_snapshot!(plain(&doctor(&at_the_bot), &url, &[]), @"✖ nats           the NATS server at URL is not believed to be it (invalid peer certificate: BadSignature). Where its certificate is of an authority of your own, name the file with that authority's certificate: hub.nats_ca where the bot runs, quarterdeck instance join --ca FILE for a team");
    std::fs::write(&at_the_bot.file, named("/dev/null")).unwrap();
    insta::assert_snapshot!(doctor(&at_the_bot), @"✖ nats           /dev/null can't be used as the certificates of authorities, in PEM: no certificate is in it");
    std::fs::write(&at_the_bot.file, named(&files[0])).unwrap();

    // A team's side.
    let forge = at_the_bot.state.join("bot/forge/repos/project.git");
    let remote = format!("name = \"project\"\nremote = \"{}\"", forge.display());
    let elsewhere =
        unnamed.replace("name = \"project\"", &remote).replace(&format!("nats = \"{url}\"\n"), "");
    let alpha = Place::new(&project, "alpha", &elsewhere);
    let nkey = alpha.ok(&["instance", "nats-key", "alpha"]);
    let users = own + &user(&at_the_bot, &["alpha", nkey.trim()]);
    natsd.configure(&authority.served(&qd_natsd::with_users(&users)));
    natsd.stop();
    natsd.start();
    let fine = plain(&doctor(&at_the_bot), &url, &[]);
    assert!(fine.starts_with("✔ nats           the NATS server at URL, version "), "{fine}");
    let bot = at_the_bot.start(&["bot"]);
    let speaks = bot.session();
    let invited = at_the_bot.ok(&["bot", "invite", "alpha"]);
    let line = invited.lines().find(|line| line.starts_with("quarterdeck ")).unwrap();
    let args: Vec<&str> = line.split(' ').skip(1).collect();
    let with = |file: &'static str| [&args[..], &["--ca", file]].concat();
    insta::assert_snapshot!(plain(&said(&alpha, &args), &url, &[]), @"quarterdeck: the NATS server at URL is not believed to be it (invalid peer certificate: UnknownIssuer). Where its certificate is of an authority of your own, name the file with that authority's certificate: hub.nats_ca where the bot runs, quarterdeck instance join --ca FILE for a team");
    insta::assert_snapshot!(plain(&said(&alpha, &[&args[..], &["--ca", &files[1]]].concat()), &url, &[]), @"quarterdeck: the NATS server at URL is not believed to be it (invalid peer certificate: BadSignature). Where its certificate is of an authority of your own, name the file with that authority's certificate: hub.nats_ca where the bot runs, quarterdeck instance join --ca FILE for a team");
    insta::assert_snapshot!(said(&alpha, &with("/nowhere/ca.pem")), @"quarterdeck: /nowhere/ca.pem can't be used as the certificates of authorities, in PEM: I/O error: No such file or directory (os error 2)");
    let joined = alpha.ok(&[&args[..], &["--ca", &files[0]]].concat());
    assert!(joined.starts_with("alpha belongs to the fleet fleet now."), "{joined}");
    assert!(!joined.contains("can be read on the way"), "{joined}");

    // Work goes over it, in both directions.
    let role = alpha.start(&["instance", "alpha"]);
    let votes = role.session();
    insta::assert_snapshot!(says(&bot, &speaks, "feature add --team alpha --ready Write one"), @"Sent to alpha.");
    let mut client = alpha.client("alpha", &votes);
    arrived(&mut client, "A-1").await;
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;

    // The server gets another certificate while they run: it is not believed any more, and that is said.
    natsd.configure(&other.served(&qd_natsd::with_users(&users)));
    natsd.stop();
    natsd.start();
    let lost = async {
        loop {
            let up = doctor(&alpha);
            if up.contains("not believed") {
                break plain(&up, &url, &[]);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let lost = tokio::time::timeout(Duration::from_secs(60), lost).await.unwrap();
    insta::assert_snapshot!(lost, @"✖ uplink         alpha: the bot at URL/fleet can't be reached: the NATS server at URL can't be reached (nobody answers, or its certificate is not believed): see whether it runs there");
    drop((bot, role));
}
