//! `bot discord setup`, and what `doctor` says of Discord. Channels and roles are made only after somebody agreed, and their
//! ids go into the configuration.

use std::{collections::BTreeMap, io::IsTerminal as _};

use qd_config::{DiscordChannels, DiscordGuild, DiscordRoles, DiscordThreads, Loaded, Snowflake};
use qd_discord::setup::{Seen, SeenGuild, Setup, SetupError, intents, invite, permissions};
use qd_types::{InstanceName, Role};
use secrecy::SecretString;
use toml_edit::{DocumentMut, InlineTable, Item, Table, Value, value};

use super::{Done, roster};
use crate::{
    cli::{Common, DiscordSetup, Threads},
    context::{self, UserError},
    say,
};

/// The channels that every fleet has, and what stands at their top.
const CHANNELS: [(&str, &str); 3] = [
    ("dev", "One living message per feature."),
    ("alerts", "One message per cause, closed when it is over."),
    ("approvals", "What people are asked to decide."),
];

const HELLO: &str = "Quarterdeck is here. `/help` lists what it does; cards to decide come to #approvals.";

const UNREAD: &str = "the application may not read messages, and discord.threads = \"all\" is to hear all of a thread: switch on \
                      its Message Content Intent at https://discord.com/developers/applications, or take mentions";

impl From<SetupError> for UserError {
    fn from(error: SetupError) -> Self {
        UserError::failed(format!("Discord: {error}"))
    }
}

/// Where the bot is to work, by flags first.
struct Wanted {
    token: SecretString,
    /// As the configuration is to name it, where it does not yet.
    source: Option<InlineTable>,
    guild: Snowflake,
    api: Option<String>,
    threads: DiscordThreads,
}

fn wanted(
    loaded: &Loaded,
    flags: &DiscordSetup,
    env: &BTreeMap<String, String>,
) -> Result<Wanted, UserError> {
    let configured = loaded.config.discord.as_ref();
    let mut source = InlineTable::new();
    let secret = match (&flags.token_env, &flags.token_file, configured) {
        (Some(name), _, _) => {
            source.insert("env", name.as_str().into());
            qd_config::Secret::Env { env: name.clone() }
        }
        (None, Some(file), _) => {
            let file = std::path::absolute(file).map_err(|error| UserError::from_error(&error))?;
            source.insert("file", file.to_string_lossy().into_owned().into());
            qd_config::Secret::File { file }
        }
        (None, None, Some(discord)) => discord.token.clone(),
        (None, None, None) => {
            return Err(UserError::usage(
                "where is the bot's token? Make a bot at https://discord.com/developers/applications, copy its token into a \
                 file, and name it: --token-file FILE --guild ID",
            ));
        }
    };
    let guild = flags.guild.or(configured.map(|discord| discord.guild)).ok_or_else(|| {
        UserError::usage(
            "which guild? Turn on Developer Mode in Discord's settings, copy the server's ID, and name it: --guild ID",
        )
    })?;
    let token = secret.resolve(env).map_err(|error| UserError::failed(format!("discord.token: {error}")))?;
    let source = (!source.is_empty()).then_some(source);
    let threads = match flags.threads {
        Some(Threads::Off) => DiscordThreads::Off,
        Some(Threads::Mentions) => DiscordThreads::Mentions,
        Some(Threads::All) => DiscordThreads::All,
        None => configured.map(|discord| discord.threads).unwrap_or_default(),
    };
    Ok(Wanted { token, source, guild, api: configured.and_then(|discord| discord.api.clone()), threads })
}

/// Something that has to have an id in the configuration: a channel or a role.
struct Place {
    section: &'static str,
    /// As the configuration calls it.
    name: String,
    /// As it is called in Discord.
    called: String,
    id: Option<u64>,
}

/// What there is and what is missing: by the configured id if that is still there, else by its name.
fn places(loaded: &Loaded, guild: &SeenGuild, team_channels: bool) -> Vec<Place> {
    let configured = loaded.config.discord.as_ref();
    let ids = configured.map(|discord| discord.channels.clone()).unwrap_or_default();
    let channels = channels(&ids, guild);
    let elsewhere = |team: &InstanceName| {
        configured.is_some_and(|discord| discord.guilds.iter().any(|guild| guild.teams.contains(team)))
    };
    let teams = loaded.config.teams.iter().map(|team| &team.name);
    let teams = teams.filter(|team| team_channels && !elsewhere(team)).map(|team| {
        let known = configured.and_then(|discord| discord.teams.get(team)).map(|id| id.get());
        let known = known.filter(|id| guild.channels.contains_key(id));
        let called = format!("team-{team}");
        Place {
            section: "teams",
            name: team.to_string(),
            id: known.or_else(|| guild.channel(&called)),
            called,
        }
    });
    let listed = configured.map(|discord| discord.roles.clone()).unwrap_or_default();
    channels.chain(teams).chain(roles(loaded, &listed, guild)).collect()
}

/// The channels that every guild has.
fn channels<'a>(ids: &DiscordChannels, guild: &'a SeenGuild) -> impl Iterator<Item = Place> + use<'a> {
    let known = [ids.dev, ids.alerts, ids.approvals];
    CHANNELS.iter().zip(known).map(|((name, _), id)| {
        let known = id.map(Snowflake::get).filter(|id| guild.channels.contains_key(id));
        let id = known.or_else(|| guild.channel(name));
        Place { section: "channels", name: (*name).to_owned(), called: (*name).to_owned(), id }
    })
}

/// The roles that people of the fleet hold.
fn roles<'a>(
    loaded: &Loaded,
    ids: &DiscordRoles,
    guild: &'a SeenGuild,
) -> impl Iterator<Item = Place> + use<'a> {
    let mut held: Vec<Role> =
        loaded.config.people.iter().flat_map(|person| person.roles.iter().copied()).collect();
    held.sort_unstable();
    held.dedup();
    let listed = ids.listed();
    held.into_iter().map(move |role| {
        let known = listed.iter().find(|(known, _)| *known == role).map(|(_, id)| id.get());
        let known = known.filter(|id| guild.roles.contains_key(id));
        let name = role.as_str().to_owned();
        Place { section: "roles", id: known.or_else(|| guild.role(&name)), called: name.clone(), name }
    })
}

fn mark(place: &Place) -> String {
    match place.section {
        "roles" => format!("the role {}", place.called),
        _ => format!("#{}", place.called),
    }
}

pub(super) async fn setup(common: &Common, flags: DiscordSetup) -> Done {
    let sources = context::sources(common)?;
    let loaded = context::load(&sources)?;
    let wanted = wanted(&loaded, &flags, &sources.env)?;
    let guild_id = wanted.guild.get();
    let threads = context::discord_threads(wanted.threads);
    let setup = Setup::new(&wanted.token, guild_id, threads, wanted.api.as_deref());
    let Seen { name, application, reads, guild } = setup.look().await?;
    say::line(&format!("The token is good: it is {name}, application {application}."));
    let uses = intents(threads).join(", ");
    if wanted.threads != DiscordThreads::All {
        say::line(&format!("It asks for no privileged intent; it uses {uses}."));
    } else if reads {
        say::line(&format!("It may read messages, as it is to hear all of a thread; it uses {uses}."));
    } else {
        return Err(UserError::failed(UNREAD));
    }
    let needs: Vec<&str> = permissions(threads).collect();
    let Some(guild) = guild else {
        say::line(&format!("It is not in the guild {guild_id} yet. It needs there: {}.", needs.join(", ")));
        say::line(
            "And while it makes channels and roles: Manage Channels, Manage Roles. Open this link, then run this again:",
        );
        say::line(&invite(application, guild_id, threads, true));
        return Ok(());
    };
    say::line(&format!("It is in the guild {}.", guild.name));
    let mut places = places(&loaded, &guild, flags.team_channels);
    let link = invite(application, guild_id, threads, true);
    make(&setup, &guild, &link, &mut places, flags.yes).await?;
    let mut more = Vec::new();
    let guilds = loaded.config.discord.iter().flat_map(|discord| &discord.guilds).enumerate();
    for (index, guild) in guilds {
        if let Some((setup, places)) = further(&loaded, &wanted, application, guild, flags.yes).await? {
            more.push((index, setup, places));
        }
    }
    let ids_of_more = more.iter().map(|(index, _, places)| (*index, ids(places))).collect();
    write(common, &wanted, ids(&places), ids_of_more).await?;
    settle(&setup, application, &places).await?;
    for (_, setup, places) in &more {
        settle(setup, application, places).await?;
    }
    if guild.may_make {
        say::line(
            "Manage Channels and Manage Roles are needed no more: take them from the bot's role if you like.",
        );
    }
    say::line(
        "Link each person's account: quarterdeck person link NAME discord:ID. It counts from the next quarterdeck up.",
    );
    Ok(())
}

/// A guild beside the first: its channels and roles, as they are there now. `None` if the bot is not in it.
async fn further(
    loaded: &Loaded,
    wanted: &Wanted,
    application: u64,
    configured: &DiscordGuild,
    yes: bool,
) -> Result<Option<(Setup, Vec<Place>)>, UserError> {
    let (id, threads) = (configured.guild.get(), context::discord_threads(wanted.threads));
    let setup = Setup::new(&wanted.token, id, threads, wanted.api.as_deref());
    let link = invite(application, id, threads, true);
    let Some(guild) = setup.look().await?.guild else {
        say::line(&format!("It is not in the guild {id} yet. Open this link, then run this again:"));
        say::line(&link);
        return Ok(None);
    };
    let teams: Vec<&str> = configured.teams.iter().map(InstanceName::as_str).collect();
    say::line(&format!("It is in the guild {}, which has {}.", guild.name, teams.join(", ")));
    let mut places: Vec<Place> =
        channels(&configured.channels, &guild).chain(roles(loaded, &configured.roles, &guild)).collect();
    make(&setup, &guild, &link, &mut places, yes).await?;
    Ok(Some((setup, places)))
}

/// Registers the commands, looks what the bot lacks, and says hello.
async fn settle(setup: &Setup, application: u64, places: &[Place]) -> Done {
    let count = setup.register(application).await?;
    say::line(&format!("{count} commands are registered."));
    // What was just made is looked at as well.
    let Some(guild) = setup.look().await?.guild else { return Ok(()) };
    let mut lacking = false;
    for place in places.iter().filter(|place| place.section != "roles") {
        let Some(channel) = place.id.and_then(|id| guild.channels.get(&id)) else { continue };
        for (permission, why) in &channel.lacks {
            lacking = true;
            say::line(&format!("It lacks {permission} in #{}, {why}.", channel.name));
        }
    }
    if lacking {
        return Err(UserError::failed(
            "give the bot's role these permissions in the channels' settings, and run this again",
        ));
    }
    let is_dev = |place: &&Place| place.section == "channels" && place.name == "dev";
    if let Some(id) = places.iter().find(is_dev).and_then(|place| place.id) {
        setup.hello(id, HELLO).await?;
        say::line("It said hello in #dev.");
    }
    Ok(())
}

/// Makes what is missing, if somebody agrees.
async fn make(setup: &Setup, guild: &SeenGuild, link: &str, places: &mut [Place], yes: bool) -> Done {
    let missing: Vec<String> = places.iter().filter(|place| place.id.is_none()).map(mark).collect();
    if missing.is_empty() {
        say::line("All channels and roles are there.");
        return Ok(());
    }
    let missing = missing.join(", ");
    if !guild.may_make {
        say::line(&format!(
            "Missing: {missing}. It may not make them. Open this link, or make them by hand, and run this again:"
        ));
        say::line(link);
        return Err(UserError::failed("channels or roles are missing, and nothing was made"));
    }
    if !yes && !agreed(&format!("Missing: {missing}. Make them?"))? {
        return Err(UserError::failed("channels or roles are missing, and nothing was made"));
    }
    for place in places.iter_mut().filter(|place| place.id.is_none()) {
        let topic = CHANNELS.iter().find(|(name, _)| *name == place.name).map(|(_, topic)| *topic);
        let id = match place.section {
            "roles" => setup.make_role(&place.called).await?,
            "teams" => setup.make_channel(&place.called, &format!("What {} does.", place.name)).await?,
            _ => setup.make_channel(&place.called, topic.unwrap_or_default()).await?,
        };
        place.id = Some(id);
        say::line(&format!("Made {}.", mark(place)));
    }
    Ok(())
}

/// A yes or a no from the terminal. Where nobody can answer, it is a no.
fn agreed(question: &str) -> Result<bool, UserError> {
    if !std::io::stdin().is_terminal() {
        return Err(UserError::usage(format!("{question} Nobody is there to agree: --yes agrees to all")));
    }
    say::line(&format!("{question} [y/N]"));
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|error| UserError::failed(format!("the terminal can't be read: {error}")))?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// What is written of a guild: the section, the name in it, the id.
type Ids = Vec<(&'static str, String, String)>;

fn ids(places: &[Place]) -> Ids {
    let id = |place: &Place| Some((place.section, place.name.clone(), place.id?.to_string()));
    places.iter().filter_map(id).collect()
}

/// The ids go into the file.
async fn write(common: &Common, wanted: &Wanted, ids: Ids, further: Vec<(usize, Ids)>) -> Done {
    let (guild, source, threads) = (wanted.guild.to_string(), wanted.source.clone(), wanted.threads);
    let edit = move |file: &mut DocumentMut| {
        let section = table(file.as_table_mut(), "discord")?;
        section.insert("guild", value(guild));
        if let Some(source) = source {
            section.insert("token", Item::Value(Value::InlineTable(source)));
        }
        let heard = match threads {
            DiscordThreads::Off => "off",
            DiscordThreads::Mentions => "mentions",
            DiscordThreads::All => "all",
        };
        if threads != DiscordThreads::Off || section.contains_key("threads") {
            section.insert("threads", value(heard));
        }
        for (part, name, id) in ids {
            table(section, part)?.insert(&name, value(id));
        }
        for (index, ids) in further {
            let guilds = section.get_mut("guilds").and_then(Item::as_array_of_tables_mut);
            let guild = guilds.and_then(|guilds| guilds.get_mut(index)).ok_or_else(|| {
                UserError::failed(
                    "discord.guilds is not written as sections of its own: write each as [[discord.guilds]]",
                )
            })?;
            for (part, name, id) in ids {
                table(guild, part)?.insert(&name, value(id));
            }
        }
        Ok(())
    };
    roster::change(common, "The ids are in the configuration", edit).await
}

fn table<'a>(parent: &'a mut Table, name: &str) -> Result<&'a mut Table, UserError> {
    let item = parent.entry(name).or_insert_with(|| Item::Table(Table::new()));
    item.as_table_mut().ok_or_else(|| {
        UserError::failed(format!(
            "{name} is not written as a section of its own in the file: write it as [{name}]"
        ))
    })
}

/// How it stands with Discord.
pub(super) enum Found {
    /// As it should be.
    Fine(String),
    /// Odd.
    Note(String),
    /// Wrong, with the way out.
    Wrong(String),
}

/// What there is to say; nothing where Discord is not configured.
pub(super) async fn findings(loaded: &Loaded, env: &BTreeMap<String, String>) -> Vec<Found> {
    let Some(discord) = &loaded.config.discord else { return Vec::new() };
    let config = match context::discord(&loaded.config, env) {
        Ok(Some(config)) => config,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![Found::Wrong(error.to_string())],
    };
    let mut found = Vec::new();
    let mut setups = Setup::of(&config).into_iter();
    if let Some((id, setup)) = setups.next() {
        let teams = discord.teams.iter().map(|(team, id)| (format!("discord.teams.{team}"), *id));
        let named = named("discord", &discord.channels).chain(teams).collect();
        found.extend(in_guild(&setup, &config, id, named, &discord.roles).await);
    }
    for ((id, setup), (index, guild)) in setups.zip(discord.guilds.iter().enumerate()) {
        let named = named(&format!("discord.guilds.{index}"), &guild.channels).collect();
        found.extend(in_guild(&setup, &config, id, named, &guild.roles).await);
    }
    found
}

fn named(section: &str, ids: &DiscordChannels) -> impl Iterator<Item = (String, Snowflake)> {
    let all = [
        ("dev", ids.dev),
        ("alerts", ids.alerts),
        ("approvals", ids.approvals),
        ("fallback", ids.fallback),
        ("standup", ids.standup),
    ];
    let section = section.to_owned();
    all.into_iter().filter_map(move |(name, id)| Some((format!("{section}.channels.{name}"), id?)))
}

/// How it stands with one guild: its channels, by where the configuration names them, and its roles.
async fn in_guild(
    setup: &Setup,
    config: &qd_discord::Config,
    id: u64,
    channels: Vec<(String, Snowflake)>,
    roles: &DiscordRoles,
) -> Vec<Found> {
    let seen = match setup.look().await {
        Ok(seen) => seen,
        Err(error) => return vec![Found::Wrong(error.to_string())],
    };
    let mut found = Vec::new();
    if config.threads == qd_discord::Threads::All && !seen.reads {
        found.push(Found::Wrong(UNREAD.to_owned()));
    }
    let Some(guild) = &seen.guild else {
        let link = invite(seen.application, id, config.threads, false);
        found.push(Found::Wrong(format!("{} is not in the guild. Invite it: {link}", seen.name)));
        return found;
    };
    for (name, id) in channels {
        match guild.channels.get(&id.get()) {
            None => found.push(Found::Wrong(format!(
                "{name}: the guild has no text channel {id}. Run: quarterdeck bot discord setup"
            ))),
            Some(channel) => found.extend(channel.lacks.iter().map(|(permission, why)| {
                Found::Wrong(format!("the bot lacks {permission} in #{}, {why}", channel.name))
            })),
        }
    }
    for (role, id) in roles.listed() {
        match guild.roles.get(&id.get()) {
            None => found.push(Found::Wrong(format!(
                "discord.roles.{role}: the guild has no role {id}. Run: quarterdeck bot discord setup"
            ))),
            Some(seen) if !seen.mentionable => found.push(Found::Note(format!(
                "the role {} can't be mentioned, so cards that wait too long call nobody. Let everybody mention it",
                seen.name
            ))),
            Some(_) => {}
        }
    }
    if !found.iter().any(|each| matches!(each, Found::Wrong(_))) {
        found.push(Found::Fine(format!("{} in {}", seen.name, guild.name)));
    }
    found
}
