//! Two samples of durations: the difference of their medians, and the probability that they have the same
//! distribution.

/// The comparison of two samples.
#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    /// Median of the first, in milliseconds.
    pub first: f64,
    /// Median of the second.
    pub second: f64,
    /// Two-sided p of the Mann-Whitney U test.
    pub p: f64,
}

impl Comparison {
    /// Compares two samples, in milliseconds; neither may be empty.
    pub fn of(first: &[f64], second: &[f64]) -> Comparison {
        Comparison {
            first: median(first),
            second: median(second),
            p: mann_whitney(first, second),
        }
    }

    /// The difference of the medians, in milliseconds.
    pub fn gap(&self) -> f64 {
        (self.first - self.second).abs()
    }
}

/// The median of a sample.
pub fn median(sample: &[f64]) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

/// The two-sided p of the Mann-Whitney U test, by the normal approximation with the correction for ties. It tests
/// whether one sample tends to be larger than the other, not by how much.
fn mann_whitney(first: &[f64], second: &[f64]) -> f64 {
    let (n, m) = (first.len() as f64, second.len() as f64);
    let mut all: Vec<(f64, bool)> = first.iter().map(|value| (*value, true)).collect();
    all.extend(second.iter().map(|value| (*value, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut ties, mut before) = (0.0, 0.0, 0.0);
    for run in all.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let length = run.len() as f64;
        let rank = before + f64::midpoint(1.0, length);
        rank_sum += rank * run.iter().filter(|(_, is_first)| *is_first).count() as f64;
        ties += length.powi(3) - length;
        before += length;
    }
    let u = rank_sum - n * (n + 1.0) / 2.0;
    let total = n + m;
    let variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    // Continuity correction of half a rank, never across the middle.
    let distance = ((u - n * m / 2.0).abs() - 0.5).max(0.0);
    complementary_error_function(distance / variance.sqrt() / std::f64::consts::SQRT_2)
}

/// `erfc` for values that are not negative: Abramowitz and Stegun 7.1.26, good to seven digits.
fn complementary_error_function(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 5] = [
        1.061_405_429,
        -1.453_152_027,
        1.421_413_741,
        -0.284_496_736,
        0.254_829_592,
    ];
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let polynomial = COEFFICIENTS.iter().fold(0.0, |sum, c| (sum + c) * t);
    polynomial * (-x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_samples() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn p_is_that_of_the_normal_distribution() {
        for (deviations, p) in [
            (0.0, 1.0),
            (1.0, 0.317_31),
            (1.959_964, 0.05),
            (3.0, 0.002_7),
        ] {
            let found = complementary_error_function(deviations / std::f64::consts::SQRT_2);
            assert!((found - p).abs() < 1e-5, "{deviations}: {found}");
        }
    }

    #[test]
    fn samples_of_one_distribution_are_equal_and_shifted_ones_are_not() {
        let even: Vec<f64> = (0..1_000).map(|n| f64::from(n * 2)).collect();
        let odd: Vec<f64> = (0..1_000).map(|n| f64::from(n * 2 + 1)).collect();
        assert!(Comparison::of(&even, &odd).p > 0.9);
        let shifted: Vec<f64> = even.iter().map(|value| value + 200.0).collect();
        let comparison = Comparison::of(&even, &shifted);
        assert!(comparison.p < 1e-6, "{comparison:?}");
        assert_eq!(comparison.gap(), 200.0);
    }

    /// U is 17 of 20 here, its deviation 4.0825, and so z is 1.592.
    #[test]
    fn a_small_example_by_hand() {
        let p = mann_whitney(&[19.0, 22.0, 16.0, 29.0, 24.0], &[20.0, 11.0, 17.0, 12.0]);
        assert!((p - 0.111_3).abs() < 5e-4, "{p}");
    }

    #[test]
    fn ties_share_their_ranks() {
        let p = mann_whitney(&[1.0, 1.0, 2.0, 2.0], &[1.0, 1.0, 2.0, 2.0]);
        assert!((p - 1.0).abs() < 1e-6, "{p}");
        assert_eq!(mann_whitney(&[1.0; 5], &[1.0; 5]), 1.0);
    }
}
