//! Random draws at a few nanoseconds each: quantile tables, weighted choice, and a seeded stream of bits.
//!
//! Promises: a stream depends on its seed and its number alone. A table replaces a distribution by its quantiles, so a
//! draw is one load, and its tails end where the table does. Nothing here fails.

use crate::models::time::{Nanos, SECOND};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};
use std::sync::LazyLock;
use std::time::Duration;

/// Bits of an index into a table of quantiles.
const TABLE_BITS: u32 = 11;
/// Entries of a table: 8 kB of `f32`, so that all of them together stay in the second-level cache.
pub const TABLE_LEN: usize = 1 << TABLE_BITS;

/// The quantiles of one distribution.
#[derive(Debug)]
pub struct Quantiles([f32; TABLE_LEN]);

impl Quantiles {
    /// Draws with the low bits.
    #[inline]
    pub fn draw(&self, bits: u64) -> f64 {
        f64::from(self.0[bits as usize & (TABLE_LEN - 1)])
    }
}

/// The tables that every market shares.
#[derive(Debug)]
pub struct Tables {
    /// Exponential with mean 1.
    pub exponential: Quantiles,
    /// Normal with mean 0 and variance 1.
    pub normal: Quantiles,
    /// Sizes in whole units: mostly round lots of 100 with a log-normal tail, every eighth an odd lot.
    pub sizes: Quantiles,
    /// Mean of `sizes`.
    pub mean_size: f64,
}

/// Returns the tables, made on first use.
pub fn tables() -> &'static Tables {
    static TABLES: LazyLock<Tables> = LazyLock::new(Tables::new);
    &TABLES
}

impl Tables {
    fn new() -> Tables {
        let middle = |at: usize| (at as f64 + 0.5) / TABLE_LEN as f64;
        let mut exponential: Vec<f64> = (0..TABLE_LEN).map(|at| -(1.0 - middle(at)).ln()).collect();
        scale_by(&mut exponential, |values| values.iter().sum::<f64>() / TABLE_LEN as f64);
        let mut normal = normal_quantiles();
        scale_by(&mut normal, |values| (values.iter().map(|z| z * z).sum::<f64>() / TABLE_LEN as f64).sqrt());
        let sizes: Vec<f64> = normal
            .iter()
            .enumerate()
            .map(|(at, z)| match at % 8 {
                0 => (3.0 + 0.9 * z).exp().clamp(1.0, 99.0).round(),
                _ => (0.3 + 1.2 * z).exp().round().max(1.0) * 100.0,
            })
            .collect();
        let mean_size = sizes.iter().sum::<f64>() / TABLE_LEN as f64;
        let table = |values: &[f64]| Quantiles(std::array::from_fn(|at| values[at] as f32));
        Tables { exponential: table(&exponential), normal: table(&normal), sizes: table(&sizes), mean_size }
    }
}

/// Divides all values by what `measure` finds, so that a table has exactly the moment its distribution has.
fn scale_by(values: &mut [f64], measure: impl Fn(&[f64]) -> f64) {
    let divisor = measure(values);
    values.iter_mut().for_each(|value| *value /= divisor);
}

/// Inverts the normal distribution by adding up its density.
fn normal_quantiles() -> Vec<f64> {
    const STEP: f64 = 1e-4;
    let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let (mut x, mut below) = (0.0, 0.5);
    let mut upper = Vec::with_capacity(TABLE_LEN / 2);
    for at in TABLE_LEN / 2..TABLE_LEN {
        let wanted = (at as f64 + 0.5) / TABLE_LEN as f64;
        while below < wanted {
            below += density(x + STEP / 2.0) * STEP;
            x += STEP;
        }
        upper.push(x);
    }
    upper.iter().rev().map(|z| -z).chain(upper.iter().copied()).collect()
}

/// Chooses among weighted items in constant time (Vose's alias method).
#[derive(Clone, Debug)]
pub struct Alias {
    /// For each column: below which of 2^21 the column itself is meant, and who is meant above.
    columns: Vec<(u32, u32)>,
}

impl Alias {
    const ONE: f64 = (1 << 21) as f64;

    /// Prepares the choice; weights are positive, there is at least one.
    pub fn new(weights: &[f64]) -> Alias {
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        let mut rest: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
        let mut columns: Vec<(u32, u32)> = (0..).map(|at| (Alias::ONE as u32, at)).take(rest.len()).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..rest.len()).partition(|&at| rest[at] < 1.0);
        while let (Some(&less), Some(&more)) = (small.last(), large.last()) {
            small.pop();
            columns[less] = ((rest[less] * Alias::ONE) as u32, more as u32);
            rest[more] -= 1.0 - rest[less];
            if rest[more] < 1.0 {
                large.pop();
                small.push(more);
            }
        }
        Alias { columns }
    }

    /// Chooses with the upper 32 bits for the column and the 21 below them for the coin.
    #[inline]
    pub fn choose(&self, bits: u64) -> usize {
        let column = ((bits >> 32) * self.columns.len() as u64) >> 32;
        let (threshold, other) = self.columns[column as usize];
        let coin = (bits >> TABLE_BITS) as u32 & ((1 << 21) - 1);
        if coin < threshold { column as usize } else { other as usize }
    }
}

/// A seeded stream of draws.
#[derive(Clone, Debug)]
pub struct Dice(Pcg64Mcg);

impl Dice {
    /// Starts the stream of that number; streams of one seed have nothing to do with each other.
    pub fn new(seed: u64, stream: u64) -> Dice {
        Dice(Pcg64Mcg::seed_from_u64(seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// Draws 64 bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Draws from 0 to 1, exclusive.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with that probability; draws nothing for 0, so what is switched off disturbs no stream.
    pub fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.unit() < probability
    }

    /// Draws nanoseconds above 0, at most `max`.
    pub fn within(&mut self, max: Duration) -> i64 {
        (self.unit() * nanos(max) as f64) as i64 + 1
    }

    /// Draws nanoseconds from an exponential distribution with that mean.
    pub fn wait(&mut self, mean: Duration) -> i64 {
        (-(1.0 - self.unit()).ln() * nanos(mean) as f64) as i64
    }

    /// Draws one of `len` places.
    pub fn place(&mut self, len: usize) -> usize {
        (self.unit() * len as f64) as usize
    }
}

/// Returns a duration in nanoseconds, stopping at the end of the range.
pub fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Returns nanoseconds as seconds.
pub fn seconds(nanos: i64) -> f64 {
    nanos as f64 / SECOND as f64
}

/// Returns the first of ids that no market used before `start`: microseconds since 1970.
///
/// A restarted market thus never repeats an id of the run before it, as long as no symbol trades more than a million
/// times a second; and the ids stay below 2^53, where JavaScript still counts.
pub fn first_id(start: Nanos) -> u64 {
    (start.0 / 1_000).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_the_moments_of_their_distributions() {
        let tables = tables();
        let mean = |table: &Quantiles, power: i32| {
            (0..TABLE_LEN as u64).map(|at| table.draw(at).powi(power)).sum::<f64>() / TABLE_LEN as f64
        };
        assert!((mean(&tables.exponential, 1) - 1.0).abs() < 1e-6);
        assert!(mean(&tables.normal, 1).abs() < 1e-6);
        assert!((mean(&tables.normal, 2) - 1.0).abs() < 1e-6);
        // The third quartile and the 97.5th percentile of the normal distribution.
        assert!((tables.normal.draw(TABLE_LEN as u64 * 3 / 4) - 0.674).abs() < 0.01);
        assert!((tables.normal.draw(TABLE_LEN as u64 * 975 / 1_000) - 1.96).abs() < 0.02);
        let round = (0..TABLE_LEN as u64).filter(|&at| tables.sizes.draw(at) % 100.0 == 0.0).count();
        assert!(round * 8 >= TABLE_LEN * 7, "{round} round lots");
    }

    #[test]
    fn choices_follow_their_weights() {
        let weights = [5.0, 1.0, 3.0, 1.0];
        let alias = Alias::new(&weights);
        let mut dice = Dice::new(7, 0);
        let mut counts = [0_usize; 4];
        for _ in 0..100_000 {
            counts[alias.choose(dice.bits())] += 1;
        }
        for (count, weight) in counts.into_iter().zip(weights) {
            assert!((count as f64 / 100_000.0 - weight / 10.0).abs() < 0.01, "{counts:?}");
        }
        assert_eq!(Alias::new(&[2.0]).choose(u64::MAX), 0);
    }
}
