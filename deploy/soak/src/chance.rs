//! All chance of a simulation: numbers that follow from the seed and from nothing else.

use ulid::Ulid;

/// A stream of numbers (SplitMix64: small, and the same on every machine).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw().checked_rem(end).unwrap_or(0)
    }

    /// A number from `from` up to and with `to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from) + 1)
    }

    /// Whether something happens that does so in `permille` of a thousand cases.
    pub fn happens(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// An id as a clock at `millis` would make it.
    pub fn ulid(&mut self, millis: u64) -> Ulid {
        Ulid::from_parts(millis, u128::from(self.draw()) << 16 | u128::from(self.draw() & 0xffff))
    }

    /// A stream of its own, for somebody who must not disturb this one.
    pub fn fork(&mut self) -> Self {
        Self(self.draw())
    }
}
