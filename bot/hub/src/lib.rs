//! The bot's uplink server and its durable state: reports in, effects out, orders down.
