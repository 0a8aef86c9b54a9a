//! Commands that people give in chat. The answer is for them alone; what follows is the same as from any surface.

use qd_command::{Command, FleetPart, Service, When, Which, catalogue, parse};
use qd_engine::Refusal;
use qd_text::say;
use qd_types::{Action, ApprovalState, FeatureId, Identity, InstanceName, Person, Ruling, Stage, Verb};
use qd_wire::v1::{Announcement, BoardCommand, FeatureReport, NewWork, OnBehalf, Order, Remark};

use crate::{
    answer::Handled,
    ask,
    chat::{Given, MessageKey, Proof, Scope},
    desk,
    distil::{digest, risk},
    effect::{Effect, ForgeCall},
    event::Moment,
    foreign,
    forge::Marker,
    inquiry, links, machines, near, people, progress,
    state::{Desk, FleetState, Foreign},
    text::{self, presence::Clock},
    trail,
    waits::{self, Found, fitting, pick},
    wishes,
};

/// Takes one command.
pub(crate) fn handle(
    state: &mut FleetState,
    person: &Person,
    given: &Given,
    text: &str,
    moment: Moment,
) -> Handled {
    let command = match parse(text) {
        Ok(command) => command,
        Err(error) => return say(error.to_string()),
    };
    // What belongs to the whole fleet looks at the place itself.
    let is_fleets = machines::concerns(&command) || matches!(command, Command::Person { .. });
    if given.scope != Scope::Fleet && !is_fleets {
        return within(state, person, given, text, moment);
    }
    let place = (given, moment);
    let clock = Clock::for_one(state, given);
    match command {
        Command::Help { of } => say(help(given, of.as_deref())),
        Command::Approvals => say(waits::list(state)),
        Command::Board { team } => say(inquiry::board(state, team.as_ref(), clock, moment)),
        Command::Status { team } => say(inquiry::status(state, team.as_ref(), clock, moment)),
        Command::BoardWhy { id } => say(match find(state, &id) {
            Ok((_, report)) => format!("{id}: {}", text::why(report)),
            Err(problem) => problem,
        }),
        Command::BoardSearch { words } => say(inquiry::search(state, &words)),
        Command::Fleet { part: FleetPart::Teams } => say(inquiry::teams(state)),
        Command::Fleet { part: FleetPart::Cost } => say(inquiry::cost(state)),
        Command::Fleet { part: FleetPart::Risks } => say(text::risks(&risk::risks(state, moment.at))),
        Command::Fleet { part: FleetPart::Week } => say(digest::weekly(state, moment.at)),
        Command::Ask { team, question } => ask::ask(state, person, place, team, question),
        Command::Person { name } => people::show(state, person, given, name),
        Command::PolicyExplain { action, team } => match team.map_or_else(|| only_team(state), Ok) {
            Ok(team) => say(inquiry::explain(state, person, action, &team)),
            Err(problem) => say(problem),
        },
        Command::VmList
        | Command::VmPlan { .. }
        | Command::VmCreate { .. }
        | Command::VmDestroy { .. }
        | Command::VmClusters => machines::wanted(person, given, &command, moment),
        Command::Link { service } => links::ask(state, person, given, service, moment),
        Command::LinkCode { code } => match given.account {
            Some(_) => links::redeem(state, &given.identity(&person.id), Some(&person.id), &code, moment),
            None => say(say!("link-elsewhere")),
        },
        Command::StandupHours { team } => say(digest::hours(state, team.as_ref())),
        Command::StandupSchedule { team, when } => schedule(state, person, &team, &when, moment),
        Command::ApprovalShow { which } => say(waits::show(state, &which)),
        Command::ApprovalSubject { which } => say(waits::subject(state, &which)),
        Command::Approve { which, typed } => {
            vote(state, &which, (person, given), foreign::Said::Yes { typed }, moment)
        }
        Command::Answer { which, text } => {
            vote(state, &which, (person, given), foreign::Said::Answer(text), moment)
        }
        Command::Deny { which, reason } => {
            vote(state, &which, (person, given), foreign::Said::No { reason }, moment)
        }
        Command::Reopen { which } => reopen(state, person, &which),
        Command::FeatureShow { id } => say(match find(state, &id) {
            Ok((team, report)) => {
                let caution = text::presence::caution(state, &team, clock, moment.at);
                [Some(text::feature(&team, report)), caution]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join("\n")
            }
            Err(problem) => problem,
        }),
        Command::Standup { team } => say(digest::now(state, team.as_ref(), moment.at)),
        Command::Announce { text } => announce(state, person, given, text, moment),
        Command::FeatureAdd { team, ready, title } => {
            let team = match team.map_or_else(|| only_team(state), Ok) {
                Ok(team) => team,
                Err(problem) => return say(problem),
            };
            let stage = if ready { Stage::Ready } else { Stage::Backlog };
            // As in a commit: what is wanted stands below the title.
            let (title, wanted) = title.split_once('\n').unwrap_or((title.as_str(), ""));
            let (title, description) = (title.trim_end().to_owned(), wanted.trim().into());
            let work = NewWork { description, ..NewWork::default() };
            order(state, person, place, team, BoardCommand::AddFeature { title, stage, work })
        }
        Command::FeatureMove { id, stage } => {
            about(state, person, place, &id, BoardCommand::MoveFeature { feature: id.clone(), stage })
        }
        Command::FeatureRetry { id } => {
            about(state, person, place, &id, BoardCommand::Retry { feature: id.clone() })
        }
        Command::FeatureGuide { id, text } => {
            remark(state, (person, given), &id, text, Remark::Guidance, moment)
        }
        Command::FeatureReview { id, text } => {
            remark(state, (person, given), &id, text, Remark::Review, moment)
        }
        Command::FeatureEdit { id, field, value } => {
            about(state, person, place, &id, wishes::edit(&id, field, &value))
        }
        Command::FeatureStop { id } => wishes::if_so(state, person, place, &id, wishes::stop),
        Command::FeatureRevert { id, why } => {
            wishes::if_so(state, person, place, &id, |report| wishes::revert(report, why))
        }
        Command::Plan { team, page, goal } => wishes::plan(state, person, place, team, (goal, page)),
        Command::Milestones { team } => say(progress::of_milestones(state, team.as_ref())),
        Command::Project { name } => say(progress::of_projects(state, name.as_deref())),
        Command::TeamLimits { team } => say(progress::limits(state, &team)),
        Command::TeamLimit { team, limit, most } => {
            order(state, person, place, team, wishes::limit(limit, most))
        }
        Command::TeamRelease { team, count } => {
            order(state, person, place, team, BoardCommand::Release { count })
        }
        Command::AuditShow { what } => trail::asked(state, person, place, &what),
        Command::Pause { team, why } => {
            let command = || BoardCommand::PauseTeam { why: why.clone().map(Into::into) };
            orders(state, person, place, team, command)
        }
        Command::Resume { team } => orders(state, person, place, team, || BoardCommand::ResumeTeam),
        Command::Reload { team } => reload(state, person, place, team),
        Command::FeatureCancel { id } => {
            about(state, person, place, &id, BoardCommand::CancelFeature { feature: id.clone() })
        }
    }
}

/// From a place that has some of the teams, the others are neither seen nor commanded: whoever has a role there has none here.
/// What was seen of the fleet is laid aside for the length of the command.
fn within(state: &mut FleetState, person: &Person, given: &Given, text: &str, moment: Moment) -> Handled {
    let has = |team: &InstanceName| given.scope.has(team);
    let teams = state.rules.teams.clone();
    let features: Vec<_> = state.features.extract_if(.., |(team, _), _| !has(team)).collect();
    let own = |desk: &Desk| !has(&desk.approval().subject.instance);
    let approvals: Vec<_> = state.approvals.extract_if(.., |_, desk| own(desk)).collect();
    let theirs = |found: &Foreign| !has(&found.approval().subject.instance);
    let foreign: Vec<_> = state.foreign.extract_if(.., |_, found| theirs(found)).collect();
    state.rules.teams.retain(|team| has(team));
    let elsewhere = parse(text).ok().and_then(|command| command.team().cloned());
    let mut handled = match elsewhere.filter(|team| !has(team)) {
        Some(team) => say(near::no_team(&state.rules.teams, &team)),
        None => {
            let here = Given { scope: Scope::Fleet, ..given.clone() };
            handle(state, person, &here, text, moment)
        }
    };
    // What is said to everybody is said where those teams are.
    if let Scope::Only(here) = &given.scope
        && let Some(team) = here.first()
    {
        handled.effects = handled.effects.into_iter().map(|effect| effect.within(team)).collect();
    }
    state.rules.teams = teams;
    state.features.extend(features);
    state.approvals.extend(approvals);
    state.foreign.extend(foreign);
    handled
}

/// All commands, or those of a group. Where commands are slash commands, they are told as such, and fit into one answer.
fn help(given: &Given, of: Option<&str>) -> String {
    let slash = given.surface == Service::Discord.as_str();
    match (slash, of) {
        (true, None) => catalogue::slash_help(),
        (true, Some(of)) => catalogue::slash_help_of(of),
        (false, None) => qd_command::help(),
        (false, Some(of)) => catalogue::help_of(of),
    }
}

pub(crate) fn say(reply: impl Into<String>) -> Handled {
    Handled { reply: Some(reply.into()), ..Handled::default() }
}

/// Board commands go to the team, which decides again for that person.
pub(crate) fn order(
    state: &FleetState,
    person: &Person,
    (given, moment): (&Given, Moment),
    to: InstanceName,
    command: BoardCommand,
) -> Handled {
    if !state.rules.teams.contains(&to) {
        return say(near::no_team(&state.rules.teams, &to));
    }
    let asks = match permitted(state, person, command.verb(), &to) {
        Ok(asks) => asks,
        Err(no) => return say(no),
    };
    let reply = sent(state, &to, asks.as_deref(), (given, moment));
    let order = Order::Command { by: on_behalf(person, given, moment), command };
    let effects = vec![Effect::Tell { to, living: None, order: Box::new(order) }];
    Handled { effects, reply: Some(reply), ..Handled::default() }
}

/// What a person hears who gives an order: whether it is heard, and who has to agree first.
fn sent(
    state: &FleetState,
    to: &InstanceName,
    asks: Option<&str>,
    (given, moment): (&Given, Moment),
) -> String {
    let sent = text::presence::order(state, to, Clock::for_one(state, given), moment.at);
    match asks {
        Some(who) => say!("order-asks", sent = sent, who = who),
        None => sent,
    }
}

/// Whether a person may give a team such a command: who has to agree before it is carried out, if anybody. The team asks them.
/// The error is why not, and what would help.
fn permitted(
    state: &FleetState,
    person: &Person,
    verb: Verb,
    team: &InstanceName,
) -> Result<Option<String>, String> {
    whom(state.rules.permit(person, verb, team))
}

/// Who has to agree, if anybody has. The error is why not, and what would help.
pub(crate) fn whom(permitted: Result<(), Refusal>) -> Result<Option<String>, String> {
    let Err(refusal) = permitted else { return Ok(None) };
    match &refusal.decision.ruling {
        Ruling::Ask(ask) => Ok(Some(ask.requirement.describe())),
        Ruling::Allow | Ruling::Deny { .. } => Err(format!("{} {}", refusal.reason, refusal.help)),
    }
}

/// To the team that has the feature.
fn about(
    state: &FleetState,
    person: &Person,
    place: (&Given, Moment),
    id: &FeatureId,
    command: BoardCommand,
) -> Handled {
    match find(state, id) {
        Ok((team, _)) => order(state, person, place, team, command),
        Err(problem) => say(problem),
    }
}

/// What a person says goes to the run of a feature, if one works on it. What was said is known by where it was said, so that it
/// can be meant otherwise afterwards.
fn remark(
    state: &FleetState,
    (person, given): (&Person, &Given),
    id: &FeatureId,
    text: String,
    remark: Remark,
    moment: Moment,
) -> Handled {
    let (team, report) = match find(state, id) {
        Ok(found) => found,
        Err(problem) => return say(problem),
    };
    if !matches!(report.stage, Stage::Running | Stage::Review) {
        return say(text::nobody_works(id));
    }
    if remark == Remark::Review && report.pull_request.is_none() {
        return say(text::nothing_to_review(id));
    }
    let said = match &given.proof {
        Proof::Service(word) => Some(format!("{}/{word}", given.surface)),
        _ => None,
    };
    // On the pull request it stands once it goes to the run, which others may have to agree to.
    let at_once = state.rules.permit(person, Verb::RunGuide, &team).is_ok();
    let comment = (remark == Remark::Review && at_once)
        .then(|| comment(state, person, &team, report, said.as_deref(), &text));
    let command = BoardCommand::Guide { feature: id.clone(), text: text.into(), remark, said };
    let place = (given, moment);
    let mut handled = order(state, person, place, team, command);
    if !handled.effects.is_empty() {
        handled.effects.extend(comment.flatten());
        let sent = handled.reply.take().unwrap_or_default();
        handled.reply = Some(format!("{} {sent}", text::taken(id, remark)));
    }
    handled
}

/// What a person says in a review stands on the pull request too, once: for those who read it there. It is known by where it was
/// said, and which repository it is by what people are or were asked about this pull request.
fn comment(
    state: &FleetState,
    person: &Person,
    team: &InstanceName,
    report: &FeatureReport,
    said: Option<&str>,
    text: &str,
) -> Option<Effect> {
    let (number, said) = (report.pull_request?, said?);
    let repository = state.approvals.values().rev().find_map(|desk| {
        let subject = &desk.approval().subject;
        let same = subject.instance == *team && subject.feature == report.feature;
        match &subject.action {
            Action::Merge(merge) if same && merge.pull_request == number => Some(merge.repository.clone()),
            _ => None,
        }
    })?;
    let key = format!("review/{said}");
    let body = text::review_comment(&person.id, text);
    let call = ForgeCall::Answer { repository, number, marker: Marker(key.clone()), body };
    Some(Effect::Forge { key, call })
}

/// The same to one team, or to each. Where one of them may not be ordered, none is.
fn orders(
    state: &FleetState,
    person: &Person,
    place: (&Given, Moment),
    team: Option<InstanceName>,
    command: impl Fn() -> BoardCommand,
) -> Handled {
    if let Some(team) = team.as_ref().filter(|team| !state.rules.teams.contains(team)) {
        return say(near::no_team(&state.rules.teams, team));
    }
    let to = team.map_or_else(|| state.rules.teams.clone(), |team| vec![team]);
    let refused = to.iter().find_map(|team| permitted(state, person, command().verb(), team).err());
    if let Some(no) = refused {
        return say(no);
    }
    let (mut effects, mut replies) = (Vec::new(), Vec::new());
    for team in to {
        let one = order(state, person, place, team, command());
        effects.extend(one.effects);
        replies.extend(one.reply);
    }
    Handled { effects, reply: Some(replies.join("\n")), ..Handled::default() }
}

/// Teams read their configuration again; each asks its own policies once more whether that person may have it done.
fn reload(
    state: &FleetState,
    person: &Person,
    (given, moment): (&Given, Moment),
    team: Option<InstanceName>,
) -> Handled {
    let asks = match whom(state.rules.permit_fleet(person, Verb::ConfigReload)) {
        Ok(asks) => asks,
        Err(no) => return say(no),
    };
    if let Some(team) = team.as_ref().filter(|team| !state.rules.teams.contains(team)) {
        return say(near::no_team(&state.rules.teams, team));
    }
    let (mut effects, mut replies) = (Vec::new(), Vec::new());
    for to in team.map_or_else(|| state.rules.teams.clone(), |team| vec![team]) {
        replies.push(sent(state, &to, asks.as_deref(), (given, moment)));
        let order = Box::new(Order::Reload { by: on_behalf(person, given, moment) });
        // Said twice before it is heard, it is done once.
        effects.push(Effect::Tell { to, living: Some("reload".to_owned()), order });
    }
    Handled { effects, reply: Some(replies.join("\n")), ..Handled::default() }
}

/// A team's stand-up comes at another hour from now on.
fn schedule(
    state: &mut FleetState,
    person: &Person,
    team: &InstanceName,
    when: &When,
    moment: Moment,
) -> Handled {
    if let Err(refusal) = state.rules.permit_fleet(person, Verb::ChatPost) {
        return say(format!("{} {}", refusal.reason, refusal.help));
    }
    if !state.rules.teams.contains(team) {
        return say(near::no_team(&state.rules.teams, team));
    }
    match digest::schedule(state, team, when, moment.at) {
        Ok(effects) => Handled { reply: Some(digest::hours(state, Some(team))), ..Handled::from(effects) },
        Err(problem) => say(problem),
    }
}

/// Everybody hears it once: in the channel, and on the board of each team.
fn announce(state: &FleetState, person: &Person, given: &Given, text: String, moment: Moment) -> Handled {
    if let Err(refusal) = state.rules.permit_fleet(person, Verb::ChatPost) {
        return say(format!("{} {}", refusal.reason, refusal.help));
    }
    let id = moment.fresh.to_string();
    let route = state.rules.distil.routes.announcement;
    let key = MessageKey(format!("announcement:{id}"));
    let mut effects = vec![desk::put(route.channel, key, text::announcement(&person.id, &text))];
    let order = Order::Announcement(Announcement {
        id,
        by: on_behalf(person, given, moment),
        team: None,
        text: text.into(),
    });
    effects.extend(state.rules.teams.iter().map(|team| Effect::Tell {
        to: team.clone(),
        living: None,
        order: Box::new(order.clone()),
    }));
    let reply = Some(say!("told-to", count = state.rules.teams.len()));
    Handled { effects, reply, ..Handled::default() }
}

pub(crate) fn on_behalf(person: &Person, given: &Given, moment: Moment) -> OnBehalf {
    // On a surface of the bot's own the name is the account.
    let account = given.account.clone().unwrap_or_else(|| person.id.to_string());
    OnBehalf {
        person: person.clone(),
        surface: given.surface.clone(),
        identity: Some(Identity { service: given.surface.clone(), account }),
        at: Some(moment.at),
    }
}

pub(crate) fn find<'a>(
    state: &'a FleetState,
    id: &FeatureId,
) -> Result<(InstanceName, &'a FeatureReport), String> {
    let mut found = state.features.iter().filter(|((_, feature), _)| feature == id);
    match (found.next(), found.next()) {
        (Some(((team, _), report)), None) => Ok((team.clone(), report)),
        (None, _) => Err(near::no_feature(state, id)),
        (Some(_), Some(_)) => Err(say!("several-features", id = id)),
    }
}

pub(crate) fn only_team(state: &FleetState) -> Result<InstanceName, String> {
    match state.rules.teams.as_slice() {
        [one] => Ok(one.clone()),
        teams => {
            let names: Vec<&str> = teams.iter().map(InstanceName::as_str).collect();
            Err(say!("which-team", teams = near::names(&names)))
        }
    }
}

fn vote(
    state: &mut FleetState,
    which: &Which,
    (person, given): (&Person, &Given),
    said: foreign::Said,
    moment: Moment,
) -> Handled {
    let key = match pick(state, which, given) {
        Err(problem) => return say(problem),
        Ok(Found::Foreign(found)) => found.approval().id.key(),
        Ok(Found::Own(found)) => {
            let said = match said {
                foreign::Said::Yes { typed } => desk::Said::Yes { typed },
                foreign::Said::No { reason } => desk::Said::No { reason },
                foreign::Said::Answer(_) => {
                    let key = found.approval().id.key();
                    return say(say!("no-question", key = key));
                }
            };
            return vec![desk::ballot(found, person, given, said, moment)].into();
        }
    };
    foreign::vote(state, &key, person, given, said, moment)
}

/// Opens again what expired last under that name.
fn reopen(state: &mut FleetState, person: &Person, which: &Which) -> Handled {
    let expired = |found: &Found<'_>| found.approval().state == ApprovalState::Expired;
    let key = match fitting(state, which).into_iter().find(expired) {
        None => return say(say!("nothing-expired", which = which)),
        Some(Found::Own(desk)) => {
            return match desk::reopen(state, person, desk) {
                Ok(effect) => vec![effect].into(),
                Err(no) => say(no),
            };
        }
        Some(Found::Foreign(found)) => found.approval().id.key(),
    };
    foreign::reopen(state, &key, person)
}
