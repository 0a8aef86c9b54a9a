//! Which layer wins, and that `show` says so.

use crate::support::Place;

#[test]
fn later_layers_win_and_show_says_which() {
    let mut place =
        Place::new("[runs]\nrepair_rounds = 5\n\n[agents.x]\ncommand = [\"x\"]\nredact = [\"hunter2\"]\n")
            .env("QUARTERDECK__RUNS__REPAIR_ROUNDS", "6")
            .env("QUARTERDECK__FLEET__NAME", "42")
            .flag("log.level", "debug");
    place.write("etc/config.toml", "[runs]\nrepair_rounds = 1\nlog_lines = 7\n");
    std::fs::create_dir_all(place.here.join("deep/er")).unwrap();
    place.sources.cwd = place.here.join("deep/er");
    let loaded = place.load();
    assert_eq!(loaded.config.runs.repair_rounds, 6);
    assert_eq!(loaded.roots, std::slice::from_ref(&place.here));
    insta::assert_snapshot!(place.shown(&["runs", "log", "web", "agents", "fleet.name"]), @r#"
    agents.x.command = ["x"]  (DIR/quarterdeck.toml:5)
    agents.x.commands = []  (default)
    agents.x.entry = null  (default)
    agents.x.env = []  (default)
    agents.x.login = false  (default)
    agents.x.minutes = 30  (default)
    agents.x.mode = null  (default)
    agents.x.model = null  (default)
    agents.x.redact = ["(secret)"]  (DIR/quarterdeck.toml:6)
    agents.x.slots = null  (default)
    fleet.name = "42"  (QUARTERDECK__FLEET__NAME)
    log.format = "text"  (default)
    log.level = "debug"  (--log.level)
    runs.large_files = 40  (default)
    runs.large_lines = 800  (default)
    runs.log_lines = 7  (DIR/etc/config.toml:3)
    runs.preserved_days = 14  (default)
    runs.question_minutes = 10  (default)
    runs.repair_rounds = 6  (QUARTERDECK__RUNS__REPAIR_ROUNDS)
    runs.retry_seconds = null  (default)
    runs.returns = 3  (default)
    runs.transcript_mib = 64  (default)
    web.listen = "127.0.0.1:7717"  (default)
    "#);
    let place = place.flag("runs.repair_rounds", "9");
    assert_eq!(place.load().config.runs.repair_rounds, 9);
    assert!(!format!("{:?}", place.load()).contains("hunter2"));
}

#[test]
fn a_list_replaces_the_list_of_an_earlier_layer() {
    let place =
        Place::new("people = [{ name = \"olaf\", roles = [\"owner\"] }]\n[[teams]]\nname = \"beta\"\n");
    place.write(
        "etc/config.toml",
        "[[people]]\nname = \"ines\"\nroles = [\"owner\"]\n\n[[people]]\nname = \"ada\"\nroles = []\n\n[[teams]]\nname = \"alpha\"\nslots = 9\n",
    );
    insta::assert_snapshot!(place.shown(&["people", "teams"]), @r#"
    people.0.name = "olaf"  (DIR/quarterdeck.toml:1)
    people.0.roles = ["owner"]  (DIR/quarterdeck.toml:1)
    teams.0.agent = null  (default)
    teams.0.disk_gib = 20  (default)
    teams.0.id = null  (default)
    teams.0.ladder = []  (default)
    teams.0.name = "beta"  (DIR/quarterdeck.toml:3)
    teams.0.prefix = null  (default)
    teams.0.quiet = []  (default)
    teams.0.repositories = []  (default)
    teams.0.reviews = null  (default)
    teams.0.sandbox = null  (default)
    teams.0.slots = 2  (default)
    "#);
}

#[test]
fn a_key_of_a_list_can_be_set_alone() {
    let place = Place::new("[[teams]]\nname = \"alpha\"\n\n[[teams]]\nname = \"beta\"\nslots = 3\n")
        .env("QUARTERDECK__TEAMS__1__SLOTS", "4")
        .flag("teams.0.prefix", "AL");
    insta::assert_snapshot!(place.shown(&["teams"]), @r#"
    teams.0.agent = null  (default)
    teams.0.disk_gib = 20  (default)
    teams.0.id = null  (default)
    teams.0.ladder = []  (default)
    teams.0.name = "alpha"  (DIR/quarterdeck.toml:2)
    teams.0.prefix = "AL"  (--teams.0.prefix)
    teams.0.quiet = []  (default)
    teams.0.repositories = []  (default)
    teams.0.reviews = null  (default)
    teams.0.sandbox = null  (default)
    teams.0.slots = 2  (default)
    teams.1.agent = null  (default)
    teams.1.disk_gib = 20  (default)
    teams.1.id = null  (default)
    teams.1.ladder = []  (default)
    teams.1.name = "beta"  (DIR/quarterdeck.toml:5)
    teams.1.prefix = null  (default)
    teams.1.quiet = []  (default)
    teams.1.repositories = []  (default)
    teams.1.reviews = null  (default)
    teams.1.sandbox = null  (default)
    teams.1.slots = 4  (QUARTERDECK__TEAMS__1__SLOTS)
    "#);
}

#[test]
fn a_whole_list_may_come_from_a_variable() {
    let place = Place::new("[[people]]\nname = \"ines\"\nroles = []\n")
        .env("QUARTERDECK__PEOPLE", "[{ name = \"olaf\", roles = [\"owner\"] }]");
    insta::assert_snapshot!(place.shown(&["people"]), @r#"
    people.0.name = "olaf"  (QUARTERDECK__PEOPLE)
    people.0.roles = ["owner"]  (QUARTERDECK__PEOPLE)
    "#);
}

#[test]
fn paths_are_relative_to_the_file_that_says_so() {
    let mut place = Place::new("");
    place.write(
        "etc/config.toml",
        "roots = [\"..\"]\n[state]\ndir = \"kept\"\n[policies]\nfolder = \"who\"\n",
    );
    std::fs::create_dir_all(place.here.join("sub/repo")).unwrap();
    place.sources.cwd = place.here.join("sub");
    let place = place.flag("repositories", "[{ name = \"a\", path = \"repo\" }]");
    let loaded = place.load();
    assert_eq!(loaded.state_dir, place.here.join("etc/kept"));
    assert_eq!(loaded.config.policies.folder, Some(place.here.join("etc/who")));
    assert_eq!(loaded.roots, std::slice::from_ref(&place.here));
    assert_eq!(loaded.config.repositories[0].path, place.here.join("sub/repo"));
}

#[test]
fn state_goes_where_systemd_or_xdg_say() {
    let check = |env: &[(&str, &str)], expect: &str| {
        let place = env.iter().fold(Place::new(""), |place, (name, value)| place.env(name, value));
        assert_eq!(place.load().state_dir.display().to_string(), expect, "{env:?}");
    };
    let xdg = ("XDG_STATE_HOME", "/xdg");
    check(&[], "/home/ines/.local/state/quarterdeck/fleet");
    check(&[xdg], "/xdg/quarterdeck/fleet");
    check(&[("XDG_STATE_HOME", "relative")], "/home/ines/.local/state/quarterdeck/fleet");
    check(&[xdg, ("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")], "/var/lib/a");
    check(&[xdg, ("QUARTERDECK__STATE__DIR", "/set")], "/set");
}
