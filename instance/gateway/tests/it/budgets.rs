//! Budgets: warned at 80 %, refused at 100 %, for a run, a feature, a day, a month and the instance; and what has no price.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp, tz::TimeZoneDatabase};
use qd_gateway::{
    Rates,
    budget::{Amount, Budget, Budgets, RunBudgets, Scope, Standing},
    event::Event,
    money::MicroDollars,
};

use crate::support::{Bench, CASES, CHAT, COST, Options, client, mint, money, prices, upstream::Reply};

fn scopes(events: &[Event]) -> Vec<String> {
    let shown = |event: &Event| match event {
        Event::Budget { scope, standing, .. } => format!("{scope}: {}", word(standing)),
        Event::Refused { scope, standing, .. } => format!("refused by {scope}: {}", word(standing)),
        Event::Provider { .. } => "provider".to_owned(),
    };
    events.iter().map(shown).collect()
}

fn word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Free => "free",
        Standing::Warned(_) => "warned",
        Standing::Reached(_) => "reached",
        Standing::Unpriced(_) => "unpriced",
    }
}

#[tokio::test]
async fn a_run_is_warned_once_and_then_refused_until_it_gets_more() {
    let run = RunBudgets { run: money(COST.0 * 5), ..RunBudgets::default() };
    let mut bench = Bench::new(Options { run, ..Options::default() }).await;
    bench.upstream.plays([Reply::json(CHAT.plain)]);
    for _ in 0..3 {
        assert_eq!(bench.call(&CHAT).await.status, 200);
    }
    assert_eq!(scopes(&bench.told()), [""; 0]);
    assert_eq!(bench.call(&CHAT).await.status, 200);
    assert_eq!(scopes(&bench.told()), ["run A-1.1: warned"]);
    assert_eq!(bench.call(&CHAT).await.status, 200);
    assert_eq!(scopes(&bench.told()), ["run A-1.1: reached"]);
    for case in CASES {
        assert_eq!(bench.call(case).await.status, 402);
        assert_eq!(bench.stream(case).await.status, 402);
    }
    let told = bench.told();
    assert_eq!(told.len(), 8);
    let amount = Amount::Money { spent: MicroDollars(COST.0 * 5), limit: MicroDollars(COST.0 * 5) };
    let expected = Event::Refused {
        run: "A-1.1".parse().unwrap(),
        scope: Scope::Run("A-1.1".parse().unwrap()),
        standing: Standing::Reached(amount),
    };
    assert!(told.iter().all(|event| *event == expected), "{told:#?}");
    // Nothing of it went out, and nothing was spent.
    assert_eq!(bench.seen().len(), 5);
    assert_eq!(bench.meter.records().len(), 5);

    let run = RunBudgets { run: money(COST.0 * 7), ..RunBudgets::default() };
    bench.tokens.set_budgets(&"A-1.1".parse().unwrap(), run);
    assert_eq!(bench.call(&CHAT).await.status, 200);
    // Free again by the new limit, and then warned by it.
    assert_eq!(scopes(&bench.told()), ["run A-1.1: warned"]);
}

#[tokio::test]
async fn runs_of_a_feature_share_its_budget() {
    let run = RunBudgets { feature: money(COST.0 * 2), ..RunBudgets::default() };
    let mut bench = Bench::new(Options { run, ..Options::default() }).await;
    bench.upstream.plays([Reply::json(CHAT.plain)]);
    bench.call(&CHAT).await;
    let second = [("authorization", format!("Bearer {}", mint(&bench.tokens, "A-1.2", run)))];
    let other = [("authorization", format!("Bearer {}", mint(&bench.tokens, "A-2.1", run)))];
    let path = "/openai/v1/chat/completions";
    let call = async |headers: &[(&str, String)]| {
        let request = client::request("POST", path, headers, CHAT.body.as_bytes());
        client::send(bench.address, request).await.status.as_u16()
    };
    assert_eq!(call(&second).await, 200);
    assert_eq!(call(&second).await, 402);
    assert_eq!(call(&other).await, 200);
    assert_eq!(bench.call(&CHAT).await.status, 402);
    assert_eq!(
        scopes(&bench.told()),
        ["feature A-1: reached", "refused by feature A-1: reached", "refused by feature A-1: reached"]
    );
}

#[tokio::test]
async fn the_day_the_month_and_the_instance_hold_for_all() {
    let limit = money(COST.0);
    let none = Budgets::default();
    for (all, scope) in [
        (Budgets { day: limit, ..none }, "day 2"),
        (Budgets { month: limit, ..none }, "month 2"),
        (Budgets { instance: limit, ..none }, "instance"),
    ] {
        let mut bench = Bench::new(Options { all, ..Options::default() }).await;
        bench.upstream.plays([Reply::json(CHAT.plain)]);
        assert_eq!(bench.call(&CHAT).await.status, 200);
        let refused = bench.call(&CHAT).await;
        assert_eq!(refused.status, 402);
        let told = scopes(&bench.told());
        assert!(told[0].starts_with(scope) && told[1].contains(scope), "{told:?}");
        bench.gateway.set_rates(Rates { prices: prices(), budgets: none, ..Rates::default() });
        assert_eq!(bench.call(&CHAT).await.status, 200);
    }
}

#[tokio::test]
async fn a_day_and_a_month_begin_when_they_do_in_the_fleets_zone() {
    // 14 hours before UTC, and 11 behind: both change their day and their month when UTC does not.
    for (zone, before) in
        [("Pacific/Kiritimati", "2026-11-30T09:59:00Z"), ("Pacific/Pago_Pago", "2026-12-01T10:59:00Z")]
    {
        let before: Timestamp = before.parse().unwrap();
        let now = Arc::new(Mutex::new(before));
        let clock = now.clone();
        let time = Some((
            Arc::new(move || *clock.lock().unwrap()) as _,
            TimeZoneDatabase::bundled().get(zone).unwrap(),
        ));
        let all = Budgets { day: money(COST.0), month: money(COST.0), ..Budgets::default() };
        let mut bench = Bench::new(Options { all, time, ..Options::default() }).await;
        bench.upstream.plays([Reply::json(CHAT.plain), Reply::json(CHAT.plain)]);
        assert_eq!(bench.call(&CHAT).await.status, 200);
        assert_eq!(bench.call(&CHAT).await.status, 402, "{zone}: it is the same day");
        assert!(scopes(&bench.told())[0].starts_with("day 2026-11-30"), "{zone}");
        *now.lock().unwrap() = before + SignedDuration::from_mins(2);
        assert_eq!(bench.call(&CHAT).await.status, 200, "{zone}: it is the next");
        assert!(scopes(&bench.told())[0].starts_with("day 2026-12-01"), "{zone}");
    }
}

#[tokio::test]
async fn a_limit_in_tokens_counts_all_kinds() {
    let run = RunBudgets { run: Budget { tokens: Some(1_050), money: None }, ..RunBudgets::default() };
    let bench = Bench::new(Options { run, ..Options::default() }).await;
    bench.upstream.plays([Reply::json(CHAT.plain)]);
    assert_eq!(bench.call(&CHAT).await.status, 200);
    let refused = bench.call(&CHAT).await;
    insta::assert_snapshot!(refused.shown(), @r#"402 {"error":{"message":"Quarterdeck: the budget of run A-1.1 is used up (1050 of 1050 tokens): a person has to raise it before this goes on","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#);
}

#[tokio::test]
async fn what_has_no_price_reaches_a_money_budget() {
    let run = RunBudgets { run: money(1_000_000), ..RunBudgets::default() };
    let mut bench = Bench::new(Options { run, ..Options::default() }).await;
    bench.upstream.plays([Reply::json(&CHAT.plain.replace("model-x", "model-new"))]);
    let body = CHAT.body.replace("model-x", "model-new");
    let refused = bench.post("openai", CHAT.path, &body).await;
    insta::assert_snapshot!(refused.shown(), @r#"402 {"error":{"message":"Quarterdeck: the price of model model-new (test) is unknown, and the budget of run A-1.1 is in money: a person has to set a price, or a limit in tokens","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#);
    assert_eq!(scopes(&bench.told()), ["refused by run A-1.1: unpriced"]);
    assert_eq!(bench.seen().len(), 0);

    // A limit in tokens lets it through; its cost stays unknown, and is not zero.
    let run_id = "A-1.1".parse().unwrap();
    let with_tokens = Budget { tokens: Some(100_000), ..money(1_000_000) };
    bench.tokens.set_budgets(&run_id, RunBudgets { run: with_tokens, ..RunBudgets::default() });
    assert_eq!(bench.post("openai", CHAT.path, &body).await.status, 200);
    assert_eq!(bench.record().await.cost, None);

    // Without that limit, what was spent without a price still counts as everything.
    bench.tokens.set_budgets(&run_id, run);
    assert_eq!(bench.call(&CHAT).await.status, 402);

    // A price counts for what came before it, too.
    let more = "[[price]]\nprovider = 'test'\nmodel = 'model-new'\ninput = 1\noutput = 1\n\
                date = '2026-11-02'\nsource = 'https://example.com'\n";
    let rates = Rates {
        prices: prices().with("more", more).unwrap(),
        budgets: Budgets::default(),
        ..Rates::default()
    };
    bench.gateway.set_rates(rates);
    assert_eq!(bench.post("openai", CHAT.path, &body).await.status, 200);
    assert_eq!(bench.records(2).await[1].cost, Some(MicroDollars(1_050)));
}

#[tokio::test]
async fn another_tier_has_another_price() {
    let run = RunBudgets { run: money(1_000_000), ..RunBudgets::default() };
    let bench = Bench::new(Options { run, ..Options::default() }).await;
    bench.upstream.plays([Reply::json(CHAT.plain)]);
    let body = CHAT.body.replace("\"messages\"", "\"service_tier\":\"priority\",\"messages\"");
    assert_eq!(bench.post("openai", CHAT.path, &body).await.status, 402);
    let dearer = "[[price]]\nprovider = 'test'\nmodel = 'model-x:priority'\ninput = 2\noutput = 4\n\
                  date = '2026-11-02'\nsource = 'https://example.com'\n";
    let rates = Rates {
        prices: prices().with("more", dearer).unwrap(),
        budgets: Budgets::default(),
        ..Rates::default()
    };
    bench.gateway.set_rates(rates);
    assert_eq!(bench.post("openai", CHAT.path, &body).await.status, 200);
    let record = bench.record().await;
    assert_eq!((&*record.priced.model, record.cost), ("model-x:priority", Some(MicroDollars(2_200))));
}

#[tokio::test]
async fn hanging_up_does_not_make_it_free() {
    let run = RunBudgets { run: Budget { tokens: Some(30), money: None }, ..RunBudgets::default() };
    let bench = Bench::new(Options { run, ..Options::default() }).await;
    bench.upstream.plays([Reply::stream(&CHAT.streamed[..2])]);
    assert_eq!(bench.stream(&CHAT).await.status, 200);
    bench.record().await;
    assert_eq!(bench.stream(&CHAT).await.status, 402);
}

#[tokio::test]
async fn refusals_of_a_provider_cost_nothing() {
    let run = RunBudgets { run: money(1), ..RunBudgets::default() };
    let bench = Bench::new(Options { run, ..Options::default() }).await;
    bench.upstream.plays([Reply::error(400, r#"{"error":{"message":"no"}}"#)]);
    for _ in 0..3 {
        assert_eq!(bench.call(&CHAT).await.shown(), r#"400 {"error":{"message":"no"}}"#);
    }
    assert!(bench.records(3).await.iter().all(|record| record.cost == Some(MicroDollars(0))));
}
