//! Which message is where. Nothing is kept on disk: after a start the channels are read, and messages are known by the
//! marker in their footer.

use std::collections::{HashMap, HashSet};

use qd_core::chat::Reaction;

/// A message of the bot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    /// Discord's id, while it is there.
    pub(crate) id: Option<u64>,
    /// What was sent last: its digest; none after a start.
    pub(crate) body: Option<[u8; 32]>,
    /// Which picture hangs there: the digest of its data; none after a start.
    pub(crate) picture: Option<[u8; 32]>,
    /// What its reactions mean.
    pub(crate) reactions: Vec<Reaction>,
    /// How often it was deleted.
    pub(crate) round: u32,
}

/// Every known message, by channel and key.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    shown: HashMap<(u64, String), Shown>,
    /// Channel and key, by message.
    ids: HashMap<u64, (u64, String)>,
    /// Those whose reactions stand under them.
    seeded: HashSet<u64>,
    /// Threads, by the key of the message that they hang on.
    threads: HashMap<String, u64>,
    /// Keys, by thread. A thread outlives its message.
    threaded: HashMap<u64, String>,
}

impl Registry {
    pub(crate) fn get(&self, channel: u64, key: &str) -> Shown {
        self.shown.get(&(channel, key.to_owned())).cloned().unwrap_or_default()
    }

    pub(crate) fn put(&mut self, channel: u64, key: &str, shown: Shown) {
        if let Some(id) = shown.id {
            self.ids.insert(id, (channel, key.to_owned()));
        }
        self.shown.insert((channel, key.to_owned()), shown);
    }

    /// A message was found. The oldest of a key is the one that is edited.
    pub(crate) fn found(&mut self, channel: u64, key: &str, id: u64, reactions: Vec<Reaction>) {
        let known = self.get(channel, key);
        if known.id.is_none_or(|before| id < before) {
            if !reactions.is_empty() {
                self.seeded(id);
            }
            self.put(channel, key, Shown { id: Some(id), body: None, reactions, ..known });
        }
    }

    pub(crate) fn key(&self, id: u64) -> Option<String> {
        self.ids.get(&id).map(|(_, key)| key.clone())
    }

    /// What a mark under a message means.
    pub(crate) fn means(&self, id: u64, mark: &str) -> Option<String> {
        let shown = self.ids.get(&id).and_then(|place| self.shown.get(place))?;
        shown.reactions.iter().find(|known| known.mark == mark).map(|known| known.command.clone())
    }

    pub(crate) fn is_seeded(&self, id: u64) -> bool {
        self.seeded.contains(&id)
    }

    pub(crate) fn seeded(&mut self, id: u64) {
        self.seeded.insert(id);
    }

    /// Messages whose reactions mean something: channel, id, and what they mean.
    pub(crate) fn with_reactions(&self) -> Vec<(u64, u64, Vec<Reaction>)> {
        let open = self.shown.iter().filter(|(_, shown)| !shown.reactions.is_empty());
        open.filter_map(|((channel, _), shown)| Some((*channel, shown.id?, shown.reactions.clone())))
            .collect()
    }

    /// A thread hangs on the message with this key.
    pub(crate) fn hangs(&mut self, key: &str, thread: u64) {
        self.threads.insert(key.to_owned(), thread);
        self.threaded.insert(thread, key.to_owned());
    }

    /// The thread that hangs on the message with this key.
    pub(crate) fn thread(&self, key: &str) -> Option<u64> {
        self.threads.get(key).copied()
    }

    /// Threads with the channels that they are in, the newest first, so many at most.
    pub(crate) fn newest_threads(&self, most: usize) -> Vec<(u64, u64)> {
        // A thread has the id of its message.
        let at = |thread: &u64| Some((*thread, self.ids.get(thread)?.0));
        let mut threads: Vec<(u64, u64)> = self.threaded.keys().filter_map(at).collect();
        threads.sort_unstable_by(|one, other| other.cmp(one));
        threads.truncate(most);
        threads
    }

    /// The key of the message on which a thread hangs.
    pub(crate) fn of_thread(&self, thread: u64) -> Option<String> {
        self.threaded.get(&thread).cloned()
    }

    /// A thread was deleted.
    pub(crate) fn no_thread(&mut self, thread: u64) {
        if let Some(key) = self.threaded.remove(&thread) {
            self.threads.remove(&key);
        }
    }

    /// A channel was read from this message on, and these stand there: what else was known of it is gone. Whether that is any.
    pub(crate) fn read(&mut self, channel: u64, from: u64, there: &HashSet<u64>) -> bool {
        let known = self.ids.iter().filter(|(_, (at, _))| *at == channel).map(|(id, _)| *id);
        let gone: Vec<u64> = known.filter(|id| *id >= from && !there.contains(id)).collect();
        gone.iter().for_each(|id| self.gone(*id));
        !gone.is_empty()
    }

    /// A message was deleted: the next time, it is created again.
    pub(crate) fn gone(&mut self, id: u64) {
        if let Some(place) = self.ids.remove(&id)
            && let Some(shown) = self.shown.get_mut(&place)
        {
            *shown = Shown { round: shown.round + 1, ..Shown::default() };
        }
    }
}
