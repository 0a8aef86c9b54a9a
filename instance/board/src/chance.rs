//! Chance that can be repeated: the same words give the same number, on every machine and in every version. For spreading
//! retries, never for secrets.

/// A seed from what identifies the event: a run's id and the attempt, say. Where one part ends and the next begins
/// matters.
pub fn seed(parts: &[&str]) -> u64 {
    // FNV-1a, 64 bits: stable by definition, which the standard library's hasher is not.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    for part in parts {
        part.bytes().for_each(&mut eat);
        // No UTF-8 text has this byte.
        eat(0xff);
    }
    hash
}

/// The `nth` number of the seed, spread evenly from `low` to `high`, both included. `low` where `high` is less.
pub fn between(seed: u64, nth: u64, low: u64, high: u64) -> u64 {
    let Some(width) = high.checked_sub(low) else { return low };
    let values = u128::from(width) + 1;
    let scaled = (u128::from(splitmix(seed.wrapping_add(nth.wrapping_mul(GOLDEN)))) * values) >> 64;
    // `scaled` is below `values`, so it is at most `width`.
    low.saturating_add(u64::try_from(scaled).unwrap_or(width))
}

/// 2^64 divided by the golden ratio: the step of SplitMix64.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
fn splitmix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
