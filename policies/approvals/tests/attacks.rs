//! A table of attacks, one test each: what is tried, and the words by which it is refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

mod support;

use insta::assert_snapshot;
use qd_approvals::{
    Ask, Asked, Asker, Authorised, Cast, KeyOwner, Reopened, Swept, Terms, VoteRefusal, confirm::Way, inert,
};
use qd_types::{Ballot, Role, Tier};
use serde_json::json;
use support::{DAY, World, account, binding, call, person, refused, restart};

#[tokio::test]
async fn a_changed_argument() {
    let mut world = World::new();
    let id = world.granted(restart()).await;
    let mut other = restart();
    binding(&mut other).arguments = json!({"container": "billing-db", "replicas": 0, "force": true});
    assert_snapshot!(world.stopped(&id, other).await, @"What was approved is not what would be done: the argument force (approved: nothing; now: true), the argument replicas (approved: 1; now: 0).");
    assert_snapshot!(world.stopped(&id, restart()).await, @"alpha/00000000000000000000000001 is lapsed, not granted. What was approved is not what would be done: the argument force (approved: nothing; now: true), the argument replicas (approved: 1; now: 0).");
}

#[tokio::test]
async fn a_changed_tool_definition() {
    let mut world = World::new();
    let id = world.granted(restart()).await;
    let mut other = restart();
    binding(&mut other).tool.as_mut().unwrap().definition = "d2".repeat(32);
    assert_snapshot!(world.stopped(&id, other).await, @"What was approved is not what would be done: the definition of the tool (approved: d1d1d1d1d1d1; now: d2d2d2d2d2d2).");
    assert_eq!(world.state(&id).await, "Lapsed");
}

#[tokio::test]
async fn a_changed_state_of_the_target() {
    let mut world = World::new();
    let id = world.granted(restart()).await;
    let mut other = restart();
    binding(&mut other).fingerprint = "stopped".into();
    assert_snapshot!(world.stopped(&id, other).await, @"What was approved is not what would be done: the state of the target (approved: “running since monday”; now: “stopped”).");
}

#[tokio::test]
async fn a_replayed_vote() {
    let mut world = World::new();
    let subject = call("container.remove", Tier::Destroy);
    let id = world.asked(subject).await;
    let mut statement = world.statement(&id, "ines", "discord", Ballot::Approve).await;
    (statement.way, statement.typed) = (Way::Typed, Some("billing-db".into()));
    let vote = world.sign(&statement);
    assert!(matches!(world.cast(vote.clone()).await, Cast::Counted(_)));
    // The same again is the same vote, and not a second person.
    assert_eq!(world.cast(vote.clone()).await, Cast::Duplicate);
    assert_eq!(world.state(&id).await, "Requested");
    // On another request for the same it is a vote for the first one still.
    let mut again = call("container.remove", Tier::Destroy);
    binding(&mut again).fingerprint = "running since tuesday".into();
    let second = world.asked(again).await;
    assert_eq!(world.cast(vote.clone()).await, Cast::Duplicate);
    let tally = world.run(move |a| Ok(a.show(&second)?.approval.tally())).await;
    assert!(tally.approved.is_empty());
    // And when it is over, it stays over.
    let mut no = world.statement(&id, "mira", "discord", Ballot::Deny).await;
    no.way = Way::Reaction;
    assert!(matches!(world.cast(world.sign(&no)).await, Cast::Denied { pause: false, .. }));
    statement.vote.reason = Some("once more".into());
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"This is decided already: denied. mira said no.");
}

#[tokio::test]
async fn a_vote_moved_to_another_digest() {
    let mut world = World::new();
    let id = world.asked(restart()).await;
    let mut other = restart();
    binding(&mut other).fingerprint = "stopped".into();
    let mut statement = world.statement(&id, "ines", "discord", Ballot::Approve).await;
    statement.vote.digest = other.digest().unwrap();
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"This vote is for the digest d8e1 0ce0 2a66, and what is asked has 2b14 c405 046d. Look at the card again.");
}

#[tokio::test]
async fn a_vote_for_another_instance() {
    let mut world = World::new();
    let id = world.asked(restart()).await;
    let mut statement = world.statement(&id, "ines", "discord", Ballot::Approve).await;
    statement.vote.approval = format!("beta/{}", id.key()).parse().unwrap();
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"This vote is for beta/00000000000000000000000001, and alpha decides only on its own approvals.");
    // Another instance's key does not speak for this one.
    world.people.keys.get_mut(&world.alpha.id()).unwrap().owner = KeyOwner::Instance("beta".parse().unwrap());
    let statement = world.statement(&id, "ines", "board", Ballot::Approve).await;
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"A vote that the instance beta signed does not count here: it decides on its own effects, and this is one of alpha/00000000000000000000000001.");
}

#[tokio::test]
async fn an_instance_votes_on_what_the_bot_does() {
    let mut world = World::of("bot");
    let id = world.asked(restart()).await;
    let statement = world.statement(&id, "ines", "board", Ballot::Approve).await;
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"A vote that the instance alpha signed does not count here: the bot takes votes of an instance only where the policies say `local_votes`.");
    // An instance takes no votes in Discord's name.
    let mut remote = world.statement(&id, "ines", "discord", Ballot::Approve).await;
    remote.vote.reason = Some("from alpha".into());
    assert_snapshot!(world.refusal(world.alpha.sign(&remote).unwrap()).await, @"A vote that the instance alpha signed does not count here: it takes no votes on discord.");
    world.executor.rules.local_votes = true;
    assert!(matches!(world.cast(world.sign(&statement)).await, Cast::Granted(_)));
    // And when the policies take that back before the act, the vote goes with it.
    world.executor.rules.local_votes = false;
    assert_snapshot!(world.stopped(&id, restart()).await, @"The people who approved it may not decide on it any more.");
}

#[tokio::test]
async fn a_forged_signature() {
    let mut world = World::new();
    let id = world.asked(restart()).await;
    let no = world.sign(&world.statement(&id, "ines", "discord", Ballot::Deny).await);
    let mut forged = no.clone();
    forged.payload = forged.payload.replace("deny", "approve");
    assert_snapshot!(world.refusal(forged).await, @"The signature of this vote is not good: it was forged, or changed on its way.");
    // Signed by another key, under the name of this one.
    let mut stolen =
        world.alpha.sign(&world.statement(&id, "ines", "discord", Ballot::Approve).await).unwrap();
    stolen.key = world.bot.id();
    assert_snapshot!(world.refusal(stolen).await, @"The signature of this vote is not good: it was forged, or changed on its way.");
    let stranger = qd_approvals::SurfaceKey::new(&[9; 32]);
    let unknown = stranger.sign(&world.statement(&id, "ines", "discord", Ballot::Approve).await).unwrap();
    assert_snapshot!(world.refusal(unknown).await, @"This vote is signed with a key that is not known here. Enrol the surface that took it.");
    world.people.keys.get_mut(&world.bot.id()).unwrap().revoked = true;
    assert_snapshot!(world.refusal(no).await, @"This vote is signed with a key of the bot that was withdrawn.");
}

#[tokio::test]
async fn a_grant_whose_votes_were_written_by_hand() {
    let mut world = World::new();
    let id = world.asked(restart()).await;
    world.sql("UPDATE approval_requests SET state = 'granted', execute_from = 0;").await;
    assert_snapshot!(world.stopped(&id, restart()).await, @"The people who approved it may not decide on it any more.");
    let other = world.asked(call("container.stop", Tier::Operate)).await;
    world.sql("UPDATE approval_requests SET subject = replace(subject, 'billing-db', 'ledger-db');").await;
    let error = world.try_run(move |a| a.show(&other)).await.unwrap_err();
    assert_snapshot!(error.to_string(), @"the table approval_requests holds something that is not well formed: the subject is not the one that was asked for; restore the database from a backup");
}

#[tokio::test]
async fn self_approval_through_a_linked_account() {
    let mut world = World::new();
    // An issue's author, known by a GitHub login alone.
    let mut subject = restart();
    subject.requesters = vec![];
    binding(&mut subject).askers = vec![account("github", "t-from-home")];
    let id = world.asked(subject.clone()).await;
    world.people.people.get_mut(&person("theo")).unwrap().identities.push(account("github", "t-from-home"));
    let mut statement = world.statement(&id, "theo", "github", Ballot::Approve).await;
    statement.identity.account = "t-from-home".into();
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"theo asked for this, so somebody else has to decide.");
    let other = world.statement(&id, "theo", "board", Ballot::Approve).await;
    assert_snapshot!(world.refusal(world.sign(&other)).await, @"theo asked for this, so somebody else has to decide.");
    // Two names that turn out to be one person, after the vote was counted.
    let mut mine = call("container.stop", Tier::Operate);
    mine.requesters = vec![person("theo-at-work")];
    let second = world.granted(mine.clone()).await;
    world.people.people.get_mut(&person("ines")).unwrap().also.push(person("theo-at-work"));
    assert_snapshot!(world.stopped(&second, mine).await, @"The people who approved it may not decide on it any more.");
    // Somebody else's account.
    let third = world.asked(call("container.pause", Tier::Operate)).await;
    let mut borrowed = world.statement(&third, "ines", "discord", Ballot::Approve).await;
    borrowed.identity.account = "theo".into();
    assert_snapshot!(world.refusal(world.sign(&borrowed)).await, @"It is not proved who gave this vote: the account discord:theo is not linked to ines.");
}

#[tokio::test]
async fn an_instance_that_is_called_like_the_bot() {
    let mut world = World::of("bot");
    world.people.keys.get_mut(&world.alpha.id()).unwrap().owner = KeyOwner::Instance("bot".parse().unwrap());
    let id = world.asked(restart()).await;
    let statement = world.statement(&id, "ines", "board", Ballot::Approve).await;
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"A vote that the instance bot signed does not count here: it decides on its own effects, and this is one of bot/00000000000000000000000001.");
}

#[tokio::test]
async fn names_that_are_linked_in_a_circle() {
    let mut world = World::new();
    world.people.people.get_mut(&person("ines")).unwrap().also.push(person("mira"));
    world.people.people.get_mut(&person("mira")).unwrap().also.push(person("ines"));
    let mut subject = restart();
    subject.requirement.count = 2;
    let id = world.asked(subject).await;
    world.vote(&id, "ines", "board", Ballot::Approve).await;
    let Cast::Counted(tally) = world.vote(&id, "mira", "discord", Ballot::Approve).await else { panic!() };
    assert_eq!(tally.approved, [person("ines")], "one person with two names");
    // An account that two people claim is nobody's to vote with.
    world.people.people.get_mut(&person("olaf")).unwrap().identities.push(account("local", "theo"));
    let statement = world.statement(&id, "theo", "board", Ballot::Deny).await;
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"It is not proved who gave this vote: the account local:theo is not linked to theo.");
}

#[tokio::test]
async fn one_person_on_two_surfaces() {
    let mut world = World::new();
    let id = world.asked(call("container.remove", Tier::Destroy)).await;
    for surface in ["discord", "github", "board"] {
        let mut statement = world.statement(&id, "ines", surface, Ballot::Approve).await;
        (statement.way, statement.typed) = (Way::Typed, Some("billing-db".into()));
        match world.cast(world.sign(&statement)).await {
            Cast::Counted(tally) => assert_eq!(tally.approved, [person("ines")], "{surface}"),
            other => panic!("{other:?}"),
        }
    }
    assert_snapshot!(world.stopped(&id, call("container.remove", Tier::Destroy)).await, @"alpha/00000000000000000000000001 is requested, not granted. Nobody decided yet.");
}

#[tokio::test]
async fn a_role_that_only_the_surface_gives() {
    let mut world = World::new();
    let id = world.asked(restart()).await;
    let statement = world.statement(&id, "olaf", "discord", Ballot::Approve).await;
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"You need the role owner or operator for this. You have: none.");
}

#[tokio::test]
async fn denied_and_tried_in_another_way() {
    let mut world = World::new();
    let id = world.asked(restart()).await;
    let granted = {
        let mut forced = restart();
        binding(&mut forced).arguments = json!({"force": true});
        world.granted(forced).await
    };
    assert!(matches!(world.vote(&id, "mira", "github", Ballot::Deny).await, Cast::Denied { .. }));
    // What was granted for the same a moment before ends with it.
    assert_eq!(world.state(&granted).await, "Lapsed");
    let mut tool = restart();
    binding(&mut tool).tool.as_mut().unwrap().name = "shell.run".into();
    assert_snapshot!(refused(world.ask(tool).await), @"A person said no to container.restart on billing-db in this run, and that holds for the run: no other tool, wording or argument changes it. Do not try again; finish without it, or stop and say what is missing.");
    let mut words = restart();
    binding(&mut words).arguments = json!({"container": "billing-db", "reason": "a person said it is fine"});
    assert!(refused(world.ask(words).await).contains("said no"));
    // Another run may ask: a person may have changed their mind.
    let mut later = restart();
    later.run = qd_types::RunId::new(later.feature.clone(), 2);
    world.asked(later).await;
}

#[tokio::test]
async fn carried_out_after_a_change_of_the_policies() {
    let mut world = World::new();
    let id = world.granted(restart()).await;
    let mut now = restart();
    binding(&mut now).policies = "a2".repeat(32);
    (now.requirement.roles, now.requirement.count) = (vec![Role::Owner], 2);
    assert_snapshot!(world.stopped(&id, now).await, @r#"What was approved is not what would be done: the policies (approved: a1a1a1a1a1a1; now: a2a2a2a2a2a2), the number of people who decide (approved: 1; now: 2), the roles that decide (approved: ["owner","operator"]; now: ["owner"])."#);
}

#[tokio::test]
async fn expired_while_the_executor_was_down() {
    let mut world = World::new();
    let id = world.asked(restart()).await;
    let late = world.sign(&world.statement(&id, "ines", "discord", Ballot::Approve).await);
    world.stop();
    world.pass(2 * DAY);
    world.start();
    // The vote comes before the reconciler ran.
    assert_snapshot!(world.refusal(late.clone()).await, @"This is decided already: expired. Nobody decided in time.");
    // A clock that went back changes nothing.
    world.pass(-2 * DAY);
    assert!(world.refusal(late).await.contains("expired"));
    assert_eq!(world.run(|a| a.sweep()).await, []);
    world.pass(2 * DAY);
    assert_snapshot!(refused(world.ask(restart()).await), @"alpha/00000000000000000000000001 asked for this in this run, and nobody decided in time. This attempt is over; a person can open it again with `quarterdeck approvals reopen alpha/00000000000000000000000001`, you can't.");

    // The agent can't open it again, whatever it says it is.
    let agent = Asker::Agent(restart().run);
    let (ask, which) = (world.ask_of(restart()), id.clone());
    let Reopened::Refused(refusal) = world.run(move |a| a.reopen(&which, &agent, ask)).await else {
        panic!()
    };
    assert_snapshot!(refusal.to_string(), @"alpha/00000000000000000000000001 can only be opened again by a person: `quarterdeck approvals reopen alpha/00000000000000000000000001`. The run stops here or goes on without it.");
    let viewer = Asker::Person(person("olaf"));
    let (ask, which) = (world.ask_of(restart()), id.clone());
    let Reopened::Refused(refusal) = world.run(move |a| a.reopen(&which, &viewer, ask)).await else {
        panic!()
    };
    assert_snapshot!(refusal.to_string(), @"You need the role owner or operator for this. You have: viewer.");

    // A person can: a new id, a new digest, fresh clocks, linked to the old one.
    let mut fresh = restart();
    binding(&mut fresh).fingerprint = "running since tuesday".into();
    let ines = Asker::Person(person("ines"));
    let (ask, which) = (world.ask_of(fresh.clone()), id.clone());
    let Reopened::Opened(new) = world.run(move |a| a.reopen(&which, &ines, ask)).await else { panic!() };
    let (old, which) = (id.clone(), new.clone());
    let (old, record) = world.run(move |a| Ok((a.show(&old)?, a.show(&which)?))).await;
    assert_eq!((old.reopened_as.as_ref(), old.state()), (Some(&new), qd_types::ApprovalState::Expired));
    assert_ne!(old.approval.digest, record.approval.digest);
    assert_eq!(record.left_ms, None, "its clock starts with its card");
    world.deliver(&new).await;
    // Votes for the old one are votes for the old one.
    assert_eq!(world.vote(&id, "mira", "discord", Ballot::Approve).await, {
        let state = "expired".to_owned();
        let reason = old.reason.clone().unwrap();
        Cast::Refused(qd_approvals::VoteRefusal::Over { state, reason })
    });
    assert!(matches!(world.vote(&new, "mira", "discord", Ballot::Approve).await, Cast::Granted(_)));
    assert!(matches!(world.authorise(&new, fresh, "act-1").await, Authorised::Go(_)));
    let (ask, which, ines) = (world.ask_of(restart()), id.clone(), Asker::Person(person("ines")));
    let Reopened::Refused(refusal) = world.run(move |a| a.reopen(&which, &ines, ask)).await else { panic!() };
    assert_snapshot!(refusal.to_string(), @"alpha/00000000000000000000000001 was opened again already, as alpha/00000000000000000000000005.");
}

#[tokio::test]
async fn carried_out_after_its_time() {
    let mut world = World::new();
    let id = world.granted(restart()).await;
    world.pass(61);
    assert_snapshot!(world.stopped(&id, restart()).await, @"alpha/00000000000000000000000001 is lapsed, not granted. It was not carried out in time.");
    assert_eq!(world.run(|a| a.sweep()).await, [] as [Swept; 0]);
    assert_eq!(world.state(&id).await, "Lapsed");
}

#[tokio::test]
async fn what_cannot_be_bound() {
    let mut world = World::new();
    let mut big = restart();
    let size = |subject: &qd_types::Subject| serde_json::to_string(subject).unwrap().len();
    binding(&mut big).arguments = json!({"text": ""});
    let room = qd_types::subject::MAX_SUBJECT - size(&big);
    binding(&mut big).arguments = json!({"text": "x".repeat(room + 1)});
    assert_snapshot!(refused(world.ask(big.clone()).await), @"This can't be approved, because it can't be bound: what is to be approved takes 65537 bytes, more than the 65536 that can be bound.");
    binding(&mut big).arguments = json!({"text": "x".repeat(room)});
    world.asked(big).await;
    // Two numbers that canonical JSON writes alike.
    let mut blurred = call("container.stop", Tier::Operate);
    binding(&mut blurred).arguments = json!({"id": 9_007_199_254_740_993_u64});
    assert_snapshot!(refused(world.ask(blurred).await), @"This can't be approved, because it can't be bound: what is to be approved holds the number 9007199254740993, which can't be bound exactly: give it as text.");
    let mut loose = call("container.stop", Tier::Operate);
    binding(&mut loose).fingerprint = String::new();
    assert_snapshot!(refused(world.ask(loose.clone()).await), @"This can't be approved, because it can't be bound: the fingerprint of the target's state is missing.");
    loose.binding = None;
    assert_snapshot!(refused(world.ask(loose).await), @"This can't be approved, because it can't be bound: what it acts on is missing.");
}

#[tokio::test]
async fn a_quorum_that_is_too_small() {
    let mut world = World::new();
    let mut subject = call("container.remove", Tier::Destroy);
    subject.requirement.count = 1;
    assert_snapshot!(refused(world.ask(subject.clone()).await), @"This can't be approved as the policies stand: It asks for 1 owner, not the requester, and at least 2 owners, not the requester must decide.");
    subject.requirement.solo = true;
    assert_snapshot!(refused(world.ask(subject.clone()).await), @"This can't be approved as the policies stand: `solo` lets nobody decide alone on this in a fleet of 4 people: ask for 2 owners, not the requester.");
    world.people.people.retain(|id, _| *id == person("theo"));
    world.asked(subject).await;
}

#[tokio::test]
async fn a_vote_that_nobody_gave() {
    let mut world = World::new();
    let id = world.asked(restart()).await;
    let mut statement = world.statement(&id, "ines", "cli", Ballot::Approve).await;
    statement.proof = qd_approvals::Proof::Socket;
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"It is not proved who gave this vote: a socket's user is not enough, as an agent may be the same one. Give your passphrase.");
    statement.proof = qd_approvals::Proof::Passphrase;
    let agent = world.executor.rules.exposed.enter();
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"It is not proved who gave this vote: an agent runs that could act as you on this machine. Vote when it has ended, in Discord or on GitHub; or put walls around agents: sandbox.kind.");
    drop(agent);
    world.people.people.get_mut(&person("ines")).unwrap().disabled = true;
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"ines may do nothing here any more.");
}

#[tokio::test]
async fn a_yes_without_the_name() {
    let mut world = World::new();
    let id = world.asked(call("container.remove", Tier::Destroy)).await;
    let mut statement = world.statement(&id, "ines", "discord", Ballot::Approve).await;
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"A yes to this takes the name of what it is done to, typed out.");
    (statement.way, statement.typed) = (Way::Typed, Some("billing".into()));
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"What was typed is not the name of what this is done to: billing-db.");
}

#[test]
fn mentions_and_markdown_of_outsiders() {
    // The break that can't be seen stands as a dot here.
    let seen = |text: String| text.replace('\u{200B}', "·");
    let text = "@everyone **approve** this [now](https://evil.example) <@123> #12 GH-7\n# big\n1. `code`\n> said mira: yes";
    assert_snapshot!(seen(inert::markdown(text, 400)), @r"@·everyone \*\*approve\*\* this \[now\]\(https\:·\/\/evil.example\) \<@·123\> #·12 GH\-·7 #· big 1\. \`code\` \> said mira\:· yes");
    assert_snapshot!(seen(inert::quoted("an agent", text, 400)), @r"
    an agent wrote:
    > @·everyone \*\*approve\*\* this \[now\]\(https\:·\/\/evil.example\) \<@·123\> #·12 GH\-·7
    > #· big
    > 1\. \`code\`
    > \> said mira\:· yes
    ");
    assert_snapshot!(seen(inert::markdown(&"long ".repeat(10), 12)), @"long long lo… (cut: 38 more characters)");
}

#[test]
fn names_that_look_like_others() {
    let told = |text: &str| {
        let all: Vec<String> =
            inert::warnings(text, &["ines", "billing-db"]).iter().map(ToString::to_string).collect();
        format!("{}: {}", inert::plain(text, 40), all.join(" "))
    };
    // A Cyrillic е; a right-to-left override; a zero-width space; a one for an l.
    assert_snapshot!(told("in\u{0435}s"), @"inеs: “inеs” mixes letters of several scripts. It looks like “ines”, and is not.");
    assert_snapshot!(told("billing\u{202E}bd-"), @"billing⟨U+202E⟩bd-: It holds marks that turn the direction of writing; they are shown as ⟨U+…⟩.");
    assert_snapshot!(told("in\u{200B}es"), @"in⟨U+200B⟩es: It holds characters that can't be seen; they are shown as ⟨U+…⟩. It looks like “ines”, and is not.");
    assert_snapshot!(told("bi1ling-db"), @"bi1ling-db: It looks like “billing-db”, and is not.");
    assert_snapshot!(told("ines"), @"ines:");
    assert_snapshot!(told("Zoë Müller 東京"), @"Zoë Müller 東京:");
}

/// Asks for this by these terms, and delivers the card.
async fn asked_by(world: &mut World, terms: Terms) -> qd_types::ApprovalId {
    let ask = Ask { terms, ..world.ask_of(restart()) };
    let Asked::Opened(id) = world.run(move |a| a.ask(ask)).await else { panic!() };
    world.deliver(&id).await;
    id
}

#[tokio::test]
async fn a_yes_that_is_lighter_than_the_policy_asks_for() {
    let mut world = World::new();
    let id = asked_by(&mut world, Terms { way: Some(Way::Typed), ..Terms::default() }).await;
    let mut statement = world.statement(&id, "ines", "discord", Ballot::Approve).await;
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"A yes to this takes the name of what it is done to, typed out.");
    (statement.way, statement.typed) = (Way::Typed, Some("billing".into()));
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"What was typed is not the name of what this is done to: billing-db.");
    statement.typed = Some("billing-db".into());
    assert!(matches!(world.cast(world.sign(&statement)).await, Cast::Granted(_)));

    let mut world = World::new();
    let id = asked_by(&mut world, Terms { way: Some(Way::Passphrase), ..Terms::default() }).await;
    let statement = world.statement(&id, "ines", "discord", Ballot::Approve).await;
    assert_snapshot!(world.refusal(world.sign(&statement)).await, @"A yes to this takes your passphrase: at a terminal, or on a page that you signed in to.");
    let statement = world.statement(&id, "ines", "board", Ballot::Approve).await;
    assert!(matches!(world.cast(world.sign(&statement)).await, Cast::Granted(_)));

    // A policy that asks for less than the least changes nothing.
    let mut world = World::new();
    let terms = Terms { way: Some(Way::Reaction), ..Terms::default() };
    let ask = Ask { terms, ..world.ask_of(call("container.remove", Tier::Destroy)) };
    let Asked::Opened(id) = world.run(move |a| a.ask(ask)).await else { panic!() };
    world.deliver(&id).await;
    let statement = world.statement(&id, "ines", "discord", Ballot::Approve).await;
    assert!(matches!(world.cast(world.sign(&statement)).await, Cast::Refused(VoteRefusal::TooWeak(_))));
}

#[tokio::test]
async fn each_request_goes_by_its_own_terms() {
    let mut world = World::of("bot");
    let minutes = |minutes: u64| Some(std::time::Duration::from_secs(minutes * 60));
    let terms = Terms {
        decide_within: minutes(30),
        execute_within: minutes(5),
        local_votes: true,
        ..Terms::default()
    };
    let id = asked_by(&mut world, terms).await;
    let which = id.clone();
    let record = world.run(move |a| a.show(&which)).await;
    assert_eq!(record.decide_until, Some(world.now + jiff::SignedDuration::from_mins(30)));
    world.restart();
    world.pass(29);
    let statement = world.statement(&id, "ines", "board", Ballot::Approve).await;
    assert!(matches!(world.cast(world.sign(&statement)).await, Cast::Granted(_)), "local votes count here");
    world.pass(5);
    assert_eq!(world.run(|a| a.sweep()).await, [Swept::Lapsed(id)]);
}
