//! Every shape's usage, whole and in pieces. The pieces are the point: a network cuts where it likes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Reader, Reading, Usage};
use crate::route::Endpoint;

/// What a stream of each endpoint looks like, with lookalikes in texts and arguments.
const STREAMS: [(Endpoint, &str); 5] = [
    (
        Endpoint::ChatCompletions,
        concat!(
            "\u{feff}data: {\"model\":\"gpt-x\",\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":{\\\"prompt_tokens\\\":7}\"}}],\"usage\":null}\n\n",
            ": a comment\nevent: x\n",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"usage\":{\"prompt_tokens\":9}}]},\"finish_reason\":\"stop\"}]}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":50,\"total_tokens\":1050,",
            "\"prompt_tokens_details\":{\"cached_tokens\":400},\"completion_tokens_details\":{\"reasoning_tokens\":20}}}\n\n",
            "data: [DONE]\n\n"
        ),
    ),
    (
        Endpoint::Responses,
        concat!(
            "event: response.created\r\ndata: {\"type\":\"response.created\",\"response\":{\"model\":\"gpt-x\",\"usage\":null}}\r\n\r\n",
            "event: response.completed\r\ndata: {\"type\":\"response.completed\",\"response\":{\"model\":\"gpt-x\",\r\n",
            "data: \"output\":[{\"usage\":{\"input_tokens\":3}}],\"usage\":{\"input_tokens\":1000,",
            "\"input_tokens_details\":{\"cached_tokens\":400},\"output_tokens\":50,\"output_tokens_details\":{\"reasoning_tokens\":20}}}}\r\n\r\n"
        ),
    ),
    (
        Endpoint::Messages,
        concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-x\",\"usage\":{\"input_tokens\":600,",
            "\"cache_read_input_tokens\":400,\"cache_creation_input_tokens\":30,\"cache_creation\":{\"ephemeral_5m_input_tokens\":10,",
            "\"ephemeral_1h_input_tokens\":20},\"output_tokens\":1}}}\n\n",
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":50}}\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
        ),
    ),
    (
        Endpoint::GenerateContent,
        concat!(
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}],\"modelVersion\":\"gemini-x\",\"usageMetadata\":{\"promptTokenCount\":1000}}\r\r",
            "data: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":1000,\"candidatesTokenCount\":30,",
            "\"cachedContentTokenCount\":400,\"thoughtsTokenCount\":20,\"toolUsePromptTokenCount\":5}}\r\r"
        ),
    ),
    // An error inside a stream that had begun well.
    (
        Endpoint::Messages,
        concat!(
            "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":600,\"output_tokens\":1}}}\n\n",
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"
        ),
    ),
];

fn read(endpoint: Endpoint, streamed: bool, pieces: &[&[u8]]) -> (Reading, Option<String>, Option<String>) {
    let mut reader = Reader::new(endpoint, streamed);
    for piece in pieces {
        reader.feed(piece);
    }
    (reader.reading(), reader.model().map(str::to_owned), reader.error().map(str::to_owned))
}

#[test]
fn streams_tell_their_usage() {
    let told: Vec<_> =
        STREAMS.iter().map(|(endpoint, text)| read(*endpoint, true, &[text.as_bytes()])).collect();
    let usage = |input, cached, cache_write, cache_write_hour, output, reasoning| Usage {
        input,
        cached,
        cache_write,
        cache_write_hour,
        output,
        reasoning,
    };
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(
        told,
        [
            (Reading::Whole(usage(600, 400, 0, 0, 50, 20)), named("gpt-x"), None),
            (Reading::Whole(usage(600, 400, 0, 0, 50, 20)), named("gpt-x"), None),
            (Reading::Whole(usage(600, 400, 10, 20, 50, 0)), named("claude-x"), None),
            (Reading::Whole(usage(605, 400, 0, 0, 50, 20)), named("gemini-x"), None),
            (Reading::Partial(usage(600, 0, 0, 0, 1, 0)), None, named("overloaded_error")),
        ]
    );
}

#[test]
fn a_byte_at_a_time_is_the_same() {
    for (endpoint, text) in STREAMS {
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(read(endpoint, true, &pieces), read(endpoint, true, &[text.as_bytes()]));
    }
}

#[test]
fn a_cut_stream_is_partial_or_unknown_and_never_whole_with_less() {
    for (endpoint, text) in STREAMS {
        let (whole, ..) = read(endpoint, true, &[text.as_bytes()]);
        for end in 0..text.len() {
            let (reading, ..) = read(endpoint, true, &[&text.as_bytes()[..end]]);
            if let Reading::Whole(usage) = reading {
                let Reading::Whole(all) = whole else { panic!("{endpoint:?} at {end}") };
                assert!(usage.output <= all.output, "{endpoint:?} at {end}");
                assert!(end > text.len() / 2, "{endpoint:?} at {end}");
            }
        }
    }
}

#[test]
fn an_array_of_answers_is_a_stream_too() {
    let text = json!([
        {"candidates": [{}], "usageMetadata": {"promptTokenCount": 5}},
        {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2}},
    ])
    .to_string();
    let (reading, ..) = read(Endpoint::GenerateContent, false, &[text.as_bytes()]);
    assert_eq!(reading, Reading::Whole(Usage { input: 5, output: 2, ..Usage::default() }));
}

#[test]
fn what_is_no_number_of_tokens_is_unknown() {
    for text in [
        "",
        "busy",
        "{}",
        r#"{"usage":null}"#,
        r#"{"usage":{"prompt_tokens":"12","completion_tokens":-3}}"#,
        r#"{"usage":{"prompt_tokens":1.5}}"#,
        r#"{"usage":{"prompt_tokens":99999999999999999999999}}"#,
        r#"{"usage":{"prompt_tokens":1000000001}}"#,
        r#"{"usage":[[{"prompt_tokens":[12]}]]}"#,
        r#"{"a" 1,"usage":{"prompt_tokens":12}}"#,
        r#"{"usage":{"prompt_tokens":12"#,
    ] {
        assert_eq!(read(Endpoint::ChatCompletions, false, &[text.as_bytes()]).0, Reading::Unknown, "{text}");
    }
}

#[test]
fn what_nobody_counted_is_charged_by_its_size() {
    let counted = Usage { input: 10, cached: 5, output: 4, ..Usage::default() };
    assert_eq!(Reading::Whole(counted).charged(9_000, 9_000), counted);
    assert_eq!(Reading::Unknown.charged(300, 30), Usage { input: 100, output: 10, ..Usage::default() });
    assert_eq!(Reading::Partial(counted).charged(300, 30), Usage { input: 95, output: 10, ..counted });
    assert_eq!(Reading::Partial(counted).charged(1, 1), counted);
}

fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("usage".to_owned()),
        Just("prompt_tokens".to_owned()),
        Just("completion_tokens".to_owned()),
        Just("choices".to_owned()),
        Just("error".to_owned()),
        Just("type".to_owned()),
        "[a-z\\\\\"{}:,\u{e9}]{0,6}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..1_000_000_000_u32).prop_map(Value::from),
        any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Value::from),
        "[a-z\\\\\"{}:,\n\u{e9}]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_split_reads_the_same(which in 0..STREAMS.len(), cuts in prop::collection::vec(0..2_000_usize, 0..12)) {
        let (endpoint, text) = STREAMS[which];
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
        prop_assert_eq!(read(endpoint, true, &pieces), read(endpoint, true, &[text.as_bytes()]));
    }

    #[test]
    fn any_bytes_are_survived_and_split_the_same(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0..400_usize, streamed: bool) {
        let at = at.min(bytes.len());
        let split = read(Endpoint::ChatCompletions, streamed, &[&bytes[..at], &bytes[at..]]);
        prop_assert_eq!(split, read(Endpoint::ChatCompletions, streamed, &[&bytes]));
    }

    #[test]
    fn the_same_is_read_as_by_a_whole_parser(document in any_json(), pretty: bool, tokens in prop::option::of((0..1_000_000_000_u32, 0..1_000_000_000_u32))) {
        // Whatever stands around it, the usage at its place is read, and nothing else is.
        let mut fields = document.as_object().cloned().unwrap_or_default();
        fields.remove("usage");
        fields.insert("before".to_owned(), document);
        if let Some((input, output)) = tokens {
            fields.insert("usage".to_owned(), json!({"prompt_tokens": input, "completion_tokens": output}));
        }
        let document = Value::Object(fields);
        let text = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) }.unwrap();
        let expected = tokens.map_or(Reading::Unknown, |(input, output)| {
            Reading::Whole(Usage { input: input.into(), output: output.into(), ..Usage::default() })
        });
        prop_assert_eq!(read(Endpoint::ChatCompletions, false, &[text.as_bytes()]).0, expected);
    }
}
