//! What is refused, each with its place and the way out.

use crate::support::{Place, refused};

#[test]
fn unknown_keys_with_the_nearest_one() {
    insta::assert_snapshot!(refused("repair_rounds = 2\n[runs]\nrepair_round = 2\n[[teams]]\nname = \"alpha\"\nslot = 1\n[zzz]\n"), @r"
    DIR/quarterdeck.toml:1: unknown key repair_rounds. Did you mean runs.repair_rounds?
    DIR/quarterdeck.toml:3: unknown key runs.repair_round. Did you mean repair_rounds?
    DIR/quarterdeck.toml:6: unknown key teams.0.slot. Did you mean slots?
    DIR/quarterdeck.toml:7: unknown key zzz. `quarterdeck config schema` lists the keys.
    ");
    insta::assert_snapshot!(refused("people = [\n  { name = \"ines\", roles = [] },\n  { nmae = \"olaf\", roles = [] },\n]\n"), @r"
    DIR/quarterdeck.toml:3: unknown key people.1.nmae. Did you mean name?
    DIR/quarterdeck.toml:3: people.1: name is missing, and has no default.
    ");
}

#[test]
fn rules_of_policies() {
    insta::assert_snapshot!(refused(r#"
[[policies.rules]]
name = "main"
actions = ["merge"]
effect = "aks"
quorum = 0
raodmap = "main"
"#), @r#"
    DIR/quarterdeck.toml:5: policies.rules.0.effect: "aks" is none of deny, ask, allow. Did you mean ask?
    DIR/quarterdeck.toml:6: policies.rules.0.quorum: 0 is less than 1. For `ask`: how many people, from 1.
    DIR/quarterdeck.toml:7: unknown key policies.rules.0.raodmap. `quarterdeck config schema` lists the keys.
    "#);
    let rule = "[[policies.rules]]\nname = \"main\"\nactions = [\"merge\"]\neffect = \"deny\"\n";
    insta::assert_snapshot!(refused(&format!("{rule}team = \"alhpa\"\n{rule}repository = \"biling\"\n")), @"
    DIR/quarterdeck.toml:5: policies.rules.0.team: there is no team alhpa.
    DIR/quarterdeck.toml:7: policies.rules.1.name: there are two rules main.
    DIR/quarterdeck.toml:10: policies.rules.1.repository: there is no repository biling.
    ");
}

#[test]
fn wrong_values_all_at_once_with_key_and_line() {
    insta::assert_snapshot!(refused(r#"
roots = "."
agents = 3

[fleet]
solo = "yes"
merge_quorum = 0

[runs]
repair_rounds = "many"
log_lines = 99999999999

[[people]]
name = "Ines M"
roles = ["owner", "manger"]

[[teams]]
name = 7
slots = -1

[[repositories]]
name = "a"
path = "."
merge_method = "rebase"

[web]
listen = "localhost"
"#), @r#"
    DIR/quarterdeck.toml:2: roots: "." is not a list. Folders below which repositories, attachments and context may be read.
    DIR/quarterdeck.toml:3: agents: 3 is not a section. Coding agents, by name: any command line.
    DIR/quarterdeck.toml:6: fleet.solo: "yes" is not true or false. One person runs this fleet, and may approve what they asked for.
    DIR/quarterdeck.toml:7: fleet.merge_quorum: 0 is less than 1. Approvals that a merge needs, from 1: nothing merges without a person.
    DIR/quarterdeck.toml:10: runs.repair_rounds: "many" is not a whole number. Rounds that an agent gets to repair red checks, before a person is asked.
    DIR/quarterdeck.toml:11: runs.log_lines: 99999999999 is more than 4294967295. Last lines of a red check's log that the agent is given.
    DIR/quarterdeck.toml:14: people.0.name: "Ines M" is not a person's name: lower-case letters, digits, - and _, at most 64, like ines. The name that everything this person does is recorded under.
    DIR/quarterdeck.toml:15: people.0.roles.1: "manger" is none of owner, manager, operator, reviewer, viewer. Did you mean manager?
    DIR/quarterdeck.toml:18: teams.0.name: 7 is not a text in quotes. The team's name.
    DIR/quarterdeck.toml:19: teams.0.slots: -1 is less than 1. Runs at once, from 1.
    DIR/quarterdeck.toml:24: repositories.0.merge_method: "rebase" is none of merge, squash.
    DIR/quarterdeck.toml:27: web.listen: "localhost" is not an address and a port, like 127.0.0.1:7717. Address and port where they are served.
    "#);
}

#[test]
fn what_has_to_be_there() {
    insta::assert_snapshot!(refused("[[teams]]\nslots = 1\n\n[agents.claude]\nminutes = 3\n"), @r"
    DIR/quarterdeck.toml:1: teams.0: name is missing, and has no default.
    ");
}

#[test]
fn text_that_is_no_toml() {
    insta::assert_snapshot!(refused("[fleet]\nsolo = true\n[runs\n"), @"DIR/quarterdeck.toml:3: unclosed table, expected `]`");
    insta::assert_snapshot!(refused("[runs]\nlog_lines = 1\nlog_lines = 2\n"), @"DIR/quarterdeck.toml:3: duplicate key");
    let mut place = Place::new("");
    place.sources.file = Some("other.toml".into());
    insta::assert_snapshot!(place.refused(), @"DIR/other.toml can't be read: No such file or directory (os error 2).");
}

#[test]
fn every_layer_is_read_before_anything_is_told() {
    let place = Place::new("[runs]\nrepair_rounds = \"x\"\n").env("QUARTERDECK__WEB__LISTEN", "7717");
    place.write("etc/config.toml", "[web\n");
    insta::assert_snapshot!(place.flag("log.format", "jsn").refused(), @r#"
    DIR/etc/config.toml:1: unclosed table, expected `]`
    DIR/quarterdeck.toml:2: runs.repair_rounds: "x" is not a whole number. Rounds that an agent gets to repair red checks, before a person is asked.
    QUARTERDECK__WEB__LISTEN: web.listen: "7717" is not an address and a port, like 127.0.0.1:7717. Address and port where they are served.
    --log.format: log.format: "jsn" is none of text, json. Did you mean json?
    "#);
}

#[test]
fn variables_and_flags_by_their_names() {
    let place = Place::new("[[teams]]\nname = \"alpha\"\n")
        .env("QUARTERDECK__RUN__REPAIR_ROUNDS", "6")
        .env("QUARTERDECK__RUNS__LOG_LINES", "6\nrepair_rounds = 1")
        .env("QUARTERDECK__TEAMS__0__SLOTS", "none")
        .env("QUARTERDECK__TEAMS__4__SLOTS", "1")
        .env("QUARTERDECK__", "1")
        .flag("runs.repair_rounds", "1.5");
    insta::assert_snapshot!(place.refused(), @r#"
    QUARTERDECK__: unknown key (empty). `quarterdeck config schema` lists the keys.
    QUARTERDECK__RUNS__LOG_LINES: runs.log_lines: "6\nrepair_rounds = 1" is not a whole number. Last lines of a red check's log that the agent is given.
    QUARTERDECK__RUN__REPAIR_ROUNDS: unknown key run. Did you mean runs?
    QUARTERDECK__TEAMS__0__SLOTS: teams.0.slots: "none" is not a whole number. Runs at once, from 1.
    QUARTERDECK__TEAMS__4__SLOTS: teams has no entry 4: its last entry is teams.0.
    --runs.repair_rounds: runs.repair_rounds: 1.5 is not a whole number. Rounds that an agent gets to repair red checks, before a person is asked.
    "#);
}

#[test]
fn what_does_not_fit_together() {
    insta::assert_snapshot!(refused(r#"
[fleet]
me = "olaf"
merge_quorum = 2

[[people]]
name = "ines"
roles = ["owner"]

[[people]]
name = "ines"
roles = ["viewer"]

[agents.claude]
command = []
env = ["KEY=hunter2"]

[agents.Claude]
command = ["claude"]

[[teams]]
name = "alpha"
agent = "cluade"
repositories = [
  "billing",
  "elsewere",
]

[[teams]]
name = "atlas"

[[teams]]
name = "beta"
prefix = "b1"
agent = "zebra"

[[repositories]]
name = "elsewhere"
path = "/"
target = "-x"
checks = [{ name = "test", command = "true" }, { name = "test", command = " " }]

[[repositories]]
name = "gone"
path = "gone"

[log]
level = "qd_team=debug,inof"
"#), @r#"
    DIR/quarterdeck.toml:3: fleet.me: olaf is not among the people: add [[people]] with name = "olaf".
    DIR/quarterdeck.toml:4: fleet.merge_quorum: approvals needed for a merge: 2; people who are owner or reviewer: 1.
    DIR/quarterdeck.toml:11: people.1.name: there are two people ines.
    DIR/quarterdeck.toml:15: agents.claude.command: is empty: give the program and its arguments.
    DIR/quarterdeck.toml:16: agents.claude.env.0: KEY has a value: give only the name, and set it where quarterdeck starts.
    DIR/quarterdeck.toml:18: agents.Claude: an agent's name is lower-case letters, digits, - and _.
    DIR/quarterdeck.toml:23: teams.0.agent: there is no agent cluade. Did you mean claude?
    DIR/quarterdeck.toml:25: teams.0.repositories.0: there is no repository billing. There is elsewhere, gone.
    DIR/quarterdeck.toml:26: teams.0.repositories.1: there is no repository elsewere. Did you mean elsewhere?
    DIR/quarterdeck.toml:29: teams.1.prefix: two teams would have A: give atlas a prefix of its own.
    DIR/quarterdeck.toml:34: teams.2.prefix: "b1" is not 1 to 8 capital letters.
    DIR/quarterdeck.toml:35: teams.2.agent: there is no agent zebra. There is Claude, claude.
    DIR/quarterdeck.toml:39: repositories.0.path: / is not below DIR: add its folder to roots.
    DIR/quarterdeck.toml:40: repositories.0.target: "-x" is not the name of a branch, like main.
    DIR/quarterdeck.toml:41: repositories.0.checks.1: needs a name and a command.
    DIR/quarterdeck.toml:41: repositories.0.checks.1.name: there are two checks test.
    DIR/quarterdeck.toml:45: repositories.1.path: DIR/gone can't be opened: No such file or directory (os error 2).
    DIR/quarterdeck.toml:48: log.level: "inof" is none of off, error, warn, info, debug, trace. Did you mean info?
    "#);
}

#[test]
fn the_allowed_root_is_the_only_one() {
    let place = Place::new("roots = [\".\"]\n[[repositories]]\nname = \"a\"\npath = \"inside/link\"\n")
        .env("ALLOWED_ROOT_DIRECTORY", "DIR/inside");
    std::fs::create_dir_all(place.here.join("inside/real")).unwrap();
    std::fs::create_dir_all(place.here.join("outside")).unwrap();
    let link = place.here.join("inside/link");
    std::os::unix::fs::symlink(place.here.join("outside"), &link).unwrap();
    insta::assert_snapshot!(place.refused(), @"DIR/quarterdeck.toml:4: repositories.0.path: DIR/outside is not below DIR/inside: ALLOWED_ROOT_DIRECTORY says so.");
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(place.here.join("inside/real"), &link).unwrap();
    assert_eq!(place.load().roots, [place.here.join("inside")]);
    let place = place.env("ALLOWED_ROOT_DIRECTORY", "DIR/gone");
    insta::assert_snapshot!(place.refused(), @"ALLOWED_ROOT_DIRECTORY: DIR/gone can't be opened: No such file or directory (os error 2).");
    insta::assert_snapshot!(place.env("ALLOWED_ROOT_DIRECTORY", "").refused(), @"ALLOWED_ROOT_DIRECTORY: is empty: name the folder that may be read, or unset it.");
}

#[test]
fn folders_that_are_not_there() {
    insta::assert_snapshot!(refused("roots = [\".\", \"nowhere\"]\n"), @"DIR/quarterdeck.toml:1: roots.1: DIR/nowhere can't be opened: No such file or directory (os error 2).");
    let mut place = Place::new("");
    place.sources.env.clear();
    insta::assert_snapshot!(place.refused(), @"state.dir: is not set, and neither HOME nor STATE_DIRECTORY says where state goes: set it.");
}

#[test]
fn spans_of_the_audit_trail() {
    insta::assert_snapshot!(refused("[audit]\nafter = \"soon\"\nkeep = \"0d\"\n"), @r#"
    DIR/quarterdeck.toml:2: audit.after: "soon" is not a span of time, like 90d, 26w or 2y.
    DIR/quarterdeck.toml:3: audit.keep: "0d" is not a span of time, like 90d, 26w or 2y.
    "#);
    insta::assert_snapshot!(refused("[audit]\nafter = \"2y\"\nkeep = \"26w\"\n"), @"DIR/quarterdeck.toml:3: audit.keep: 182 days are less than the 730 days of audit.after.");
    assert_eq!(["90d", "26w", "2y"].map(qd_config::days), [Ok(90), Ok(182), Ok(730)]);
    for no in ["", "d", "y2", "-1d", "1 d", "9999999y", "ü", "2ü"] {
        assert!(qd_config::days(no).is_err(), "{no}");
    }
}

#[test]
fn a_nats_server_that_can_t_be_one() {
    insta::assert_snapshot!(refused("[fleet]\nname = \"our home\"\n[hub]\nnats = \"nats.example.org:4222\"\n"), @r#"
    DIR/quarterdeck.toml:2: fleet.name: "our home" can't be a part of NATS subjects: letters, digits, - and _, at most 64.
    DIR/quarterdeck.toml:4: hub.nats: is no address of a NATS server, like tls://nats.example.org:4222.
    "#);
    insta::assert_snapshot!(refused("[hub]\nnats = \"tls://bot:secret@nats.example.org\"\n"), @"DIR/quarterdeck.toml:2: hub.nats: is no address of a NATS server, like tls://nats.example.org:4222.");
    insta::assert_snapshot!(refused("[hub]\nnats_ca = \"ca.pem\"\n"), @r"
    DIR/quarterdeck.toml:2: hub.nats_ca: there is no hub.nats that it is for.
    DIR/quarterdeck.toml:2: hub.nats_ca: ca.pem is no full path, which begins with /.
    ");
}
