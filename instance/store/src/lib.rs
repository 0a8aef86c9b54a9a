//! The board's rows: state, event and outbox row in one transaction.
