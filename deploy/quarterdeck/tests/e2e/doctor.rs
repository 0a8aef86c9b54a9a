//! `quarterdeck doctor`: what is missing, odd or wrong, with the way out.

use crate::support::{Project, config};

/// What it says, without what differs between machines, and whether something is wrong.
fn doctor(project: &Project) -> (String, bool) {
    let output = project.run(&["doctor"]);
    let text =
        String::from_utf8(output.stdout).unwrap().replace(&project.folder().display().to_string(), "PROJECT");
    let kept =
        |line: &&str| !["✔ git", "✔ policies", "walls", "state"].iter().any(|part| line.contains(part));
    let lines: Vec<&str> = text.lines().filter(kept).collect();
    (lines.join("\n"), !output.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_is_missing_odd_or_wrong() {
    let project = Project::new(&[("README.md", "# Doctor\n")]);
    let (text, wrong) = doctor(&project);
    assert!(wrong);
    insta::assert_snapshot!(text, @"
    ✖ configuration  nobody is configured. In your repository, run: quarterdeck init
    ● agent          no coding agent is configured. Name one under [agents]; any command line will do
    ● people         nobody was taken in yet: that happens at the first start
    ● policies       people: nobody is configured, so whether people can reach the quorums was not looked at
    One thing is wrong.
    ");

    let healthy = config("cat > hello.txt", None).replace("\"manager\"]", "\"manager\", \"operator\"]");
    std::fs::write(project.folder().join("quarterdeck.toml"), &healthy).unwrap();
    let (text, wrong) = doctor(&project);
    assert!(!wrong, "{text}");
    insta::assert_snapshot!(text, @"
    ✔ configuration  PROJECT/quarterdeck.toml
    ● repository     project: no check is configured, so its work stays unverified. Name one under repositories.checks
    ✔ agent          shell: sh
    ● people         nobody was taken in yet: that happens at the first start
    ● team           alpha does not run. Start it with: quarterdeck up
    Nothing is wrong.
    ");

    let up = project.up(&[]);
    let (text, wrong) = doctor(&project);
    assert!(!wrong, "{text}");
    insta::assert_snapshot!(text, @"
    ✔ configuration  PROJECT/quarterdeck.toml
    ● repository     project: no check is configured, so its work stays unverified. Name one under repositories.checks
    ✔ agent          shell: sh
    ✔ people         ines
    ✔ team           alpha runs
    Nothing is wrong.
    ");
    drop(up);

    let rule = "\n[[policies.rules]]\nname = \"free\"\nactions = [\"merge\"]\neffect = \"ask\"\nway = \"reaction\"\nloosen = true\n\
                \n[[policies.rules]]\nname = \"many\"\nactions = [\"merge\"]\neffect = \"ask\"\nquorum = 3\n";
    let odd = healthy
        .replace("[\"sh\"", "[\"no-such-agent\"")
        .replace("path = \".\"", "path = \".\"\ntarget = \"trunk\"");
    std::fs::write(project.folder().join("quarterdeck.toml"), odd + rule).unwrap();
    let (text, wrong) = doctor(&project);
    assert!(wrong);
    insta::assert_snapshot!(text, @r#"
    ✔ configuration  PROJECT/quarterdeck.toml
    ✖ repository     project: PROJECT/. has no branch trunk. Commit something there, or correct its target
    ✖ agent          shell: no-such-agent is not on the PATH. Install it, or correct agents.shell.command
    ✔ people         ines
    ● policies       what is written may widen rights, and waits for people: the rule free is new, and loosens: actions = ["merge"], effect = "ask", way = "reaction"
    ✖ policies       rule many: for merge, it asks for 3 with the role owner or reviewer, and 1 of the known people have it; give the role to more people, or ask for fewer
    ● policies       rule free: it makes the policies less strict, as loosen = true says
    ● team           alpha does not run. Start it with: quarterdeck up
    Some things are wrong.
    "#);

    std::fs::write(project.folder().join("quarterdeck.toml"), "[teams]\n").unwrap();
    let (text, wrong) = doctor(&project);
    assert!(wrong);
    insta::assert_snapshot!(text, @"
    ✖ configuration  the configuration does not hold:
    PROJECT/quarterdeck.toml:1: teams: a section is not a list. The teams.
    One thing is wrong.
    ");
}
