//! Bad hours: what is given while nobody listens, what Discord does not take yet, and what comes of reactions.

use qd_testkit::discord::Drop;

use super::*;

#[tokio::test]
async fn reactions_are_heard_after_every_kind_of_drop() {
    let mut guild = Guild::connected().await;
    let message = guild.card(Way::Reaction).await;
    guild.fake.react(guild.stranger, guild.approvals(), message, "✅");
    guild.fake.react(guild.ines, guild.approvals(), message, "✅");
    guild.hears(1).await;
    guild.fake.drop_gateway(Drop::Cut);
    guild.fake.react(guild.omar, guild.approvals(), message, "❌");
    guild.hears(2).await;
    guild.fake.drop_gateway(Drop::Forgotten);
    guild.fake.react(guild.omar, guild.approvals(), message, "✅");
    guild.hears(3).await;
    guild.fake.drop_gateway(Drop::Reconnect);
    guild.fake.unreact(guild.ines, guild.approvals(), message, "✅");
    guild.fake.react(guild.ines, guild.approvals(), message, "✅");
    guild.hears(4).await;
    insta::assert_snapshot!(guild.heard().join("\n"), @"
    ines (owner) by Reaction: approve 01ARZ3NDEKTSV4RRFFQ69G5FAV
    omar (owner) by Reaction: deny 01ARZ3NDEKTSV4RRFFQ69G5FAV
    omar (owner) by Reaction: approve 01ARZ3NDEKTSV4RRFFQ69G5FAV
    ines (owner) by Reaction: approve 01ARZ3NDEKTSV4RRFFQ69G5FAV
    ");

    // And one that was given while the bot was not running.
    guild.run.take().unwrap().abort();
    guild.fake.drop_gateway(Drop::Forgotten);
    guild.fake.react(guild.ines, guild.approvals(), message, "❌");
    guild.discord = Discord::new(guild.config.clone(), guild.known.clone());
    guild.listen().await;
    let all = guild.hears(8).await;
    assert!(all.iter().any(|said| said.contains("ines") && said.contains("deny")), "{all:?}");
    guild.is_content();
}

#[tokio::test]
async fn an_event_that_the_library_drops_is_noticed() {
    let guild = Guild::connected().await;
    guild.fake.dispatch("MESSAGE_REACTION_ADD", &json!({"emoji": {"name": "✅"}}));
    for _ in 0..200 {
        if !guild.dropped().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let dropped = guild.dropped();
    assert_eq!(dropped, ["Discord told of something that can't be read"], "a test that ends well has none");
}

#[tokio::test]
async fn whoever_reacted_in_vain_hears_why_with_the_next_answer() {
    let guild = Guild::connected().await;
    let message = guild.card(Way::Reaction).await;
    guild.fake.set_roles(guild.ines, &[]);
    guild.fake.react(guild.ines, guild.approvals(), message, "✅");
    guild.hears(1).await;
    let asked = guild.fake.slash(guild.ines, guild.approvals(), "help", json!([]));
    insta::assert_snapshot!(guild.fake.answer(asked).await.unwrap().text(), @"
    Your ✅ a while ago: You need the role owner to approve merges of alpha.
    You need the role owner to approve merges of alpha.
    ");
    guild.is_content();
}

#[tokio::test]
async fn what_discord_did_not_say_at_first_is_asked_again() {
    let mut guild = Guild::new().await;
    let message = guild.card(Way::Reaction).await;
    for number in 0..120 {
        let other = guild.fake.add_member(&format!("member-{number}"), &[]);
        guild.fake.react(other, guild.approvals(), message, "✅");
    }
    guild.fake.react(guild.omar, guild.approvals(), message, "✅");
    // A bot that knows nothing, and a Discord that answers nothing for a while: each call is tried five times.
    guild.discord = Discord::new(guild.config.clone(), guild.known.clone());
    let (discord, heard) = (guild.discord.clone(), guild.heard.clone());
    guild.run = Some(tokio::spawn(async move { discord.run(heard).await.unwrap() }));
    assert!(guild.fake.connected().await);
    guild.fake.fail(503, 25);
    insta::assert_snapshot!(guild.hears(1).await.join("\n"), @"omar (owner) by Reaction: approve 01ARZ3NDEKTSV4RRFFQ69G5FAV");
    assert!(!guild.fake.commands().is_empty());
    guild.is_content();
}

#[tokio::test]
async fn a_storm_of_429_loses_nothing_and_posts_nothing_twice() {
    let guild = Guild::new().await;
    guild.fake.limit("POST /channels/{}/messages", 2, Duration::from_millis(300));
    for number in 0..8 {
        let key = MessageKey(format!("alert:alpha:{number}:0"));
        let alert = Message {
            channel: Channel::Alerts,
            about: None,
            key,
            text: format!("⚠ {number}"),
            picture: None,
            buttons: Vec::new(),
            reactions: Vec::new(),
            mentions: Vec::new(),
        };
        while let Err(error) = guild.discord.put(&alert).await {
            assert!(matches!(error, ChatError::Unavailable(_)), "{error}");
        }
    }
    assert_eq!(guild.fake.messages(guild.config.channels.alerts).len(), 8);
    assert!(guild.fake.requests().iter().any(|request| request.ends_with("429")));
    guild.is_content();
}
