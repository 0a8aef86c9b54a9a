//! The way of a team's machine as a pure machine of states: forward step by step, or back until nothing is left. There is no
//! way from back to forward, and no way out of the end.

use serde::{Deserialize, Serialize};

/// What is done, one after the other. Each looks first, so that doing it again does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// Room in the pool, and a number.
    Reserve,
    /// The guest is made from the template. That the number was free is decided here.
    Create,
    /// Tags, pool, protection, cores, memory, disk.
    Own,
    /// User, keys, network.
    CloudInit,
    /// It runs.
    Start,
    /// Its agent answers.
    Agent,
    /// Program, configuration, token.
    Bootstrap,
    /// It said hello at the hub.
    Hello,
}

impl Step {
    /// All, in their order.
    pub(crate) const ALL: [Self; 8] = [
        Self::Reserve,
        Self::Create,
        Self::Own,
        Self::CloudInit,
        Self::Start,
        Self::Agent,
        Self::Bootstrap,
        Self::Hello,
    ];

    /// What happens in it, for people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Reserve => "reserves room and a number",
            Self::Create => "makes the guest from its template",
            Self::Own => "sets tags, protection and size",
            Self::CloudInit => "sets user, keys and network",
            Self::Start => "starts the guest",
            Self::Agent => "waits for the guest's agent",
            Self::Bootstrap => "brings program, configuration and token into it",
            Self::Hello => "waits for the team's hello",
        }
    }

    fn next(self) -> Option<Self> {
        Self::ALL.into_iter().find(|step| *step > self)
    }
}

/// Where a team's machine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// This is done next.
    Forward(Step),
    /// It is there, and its team at work.
    Done,
    /// It is being taken away, and why. Nothing of it is to be left.
    Back(String),
    /// Nothing is left.
    Gone,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The step that was next is done.
    Stepped,
    /// It can't be done, and why.
    Failed(String),
    /// People want it gone, and why.
    Unwanted(String),
    /// It was looked, and nothing is left.
    Cleared,
}

/// An event that has no place where the machine is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} has no place in {phase:?}")]
pub(crate) struct Misplaced {
    phase: Phase,
    event: Event,
}

impl Phase {
    /// Where it is after that.
    pub(crate) fn after(&self, event: Event) -> Result<Self, Misplaced> {
        Ok(match (self, event) {
            (Self::Forward(step), Event::Stepped) => step.next().map_or(Self::Done, Self::Forward),
            (Self::Forward(_), Event::Failed(why)) => Self::Back(why),
            (Self::Forward(_) | Self::Done, Event::Unwanted(why)) => Self::Back(why),
            // Who wants gone what is going already has what they want.
            (Self::Back(why), Event::Unwanted(_)) => Self::Back(why.clone()),
            (Self::Back(_), Event::Cleared) => Self::Gone,
            (phase, event) => return Err(Misplaced { phase: phase.clone(), event }),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            6 => Just(Event::Stepped),
            1 => Just(Event::Failed("f".to_owned())),
            1 => Just(Event::Unwanted("u".to_owned())),
            1 => Just(Event::Cleared),
        ]
    }

    proptest! {
        #[test]
        fn it_is_done_after_every_step_and_gone_for_good(events in prop::collection::vec(event(), 0..40)) {
            let (mut phase, mut steps, mut back) = (Phase::Forward(Step::Reserve), 0, false);
            for event in events {
                let Ok(next) = phase.after(event.clone()) else { continue };
                prop_assert_ne!(&phase, &Phase::Gone, "nothing comes after the end");
                steps += usize::from(event == Event::Stepped);
                back |= matches!(next, Phase::Back(_));
                match &next {
                    Phase::Forward(step) => {
                        prop_assert!(!back, "what goes back never goes on");
                        prop_assert_eq!(*step, Step::ALL[steps]);
                    }
                    Phase::Done => prop_assert!(!back && steps == Step::ALL.len()),
                    Phase::Back(_) => {}
                    Phase::Gone => prop_assert!(back, "nothing is gone that was not taken away"),
                }
                phase = next;
            }
        }

        #[test]
        fn what_is_written_down_is_read_back(at in 0..8_usize, why in ".{0,20}") {
            for phase in [Phase::Forward(Step::ALL[at]), Phase::Done, Phase::Back(why), Phase::Gone] {
                let text = serde_json::to_string(&phase).unwrap();
                prop_assert_eq!(serde_json::from_str::<Phase>(&text).unwrap(), phase);
            }
        }
    }
}
