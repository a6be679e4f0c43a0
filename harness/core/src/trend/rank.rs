//! Two samples compared by ranks: nothing is assumed of how outages are distributed, and one value that is far out does
//! not decide.

/// Up to this many steps of its loop the exact distribution is counted; above, the normal distribution takes its place.
/// That is 28 against 28, or 1 against 1,400.
const EXACT_STEPS_MAX: usize = 4_000_000;

/// What the test of Mann and Whitney says about two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankTest {
    /// U of the second sample: in how many of all pairs its value is the greater one; ties count half.
    pub u: f64,
    /// Probability of a U this low or lower where the two samples are alike.
    pub p_less: f64,
    /// Probability of a U this high or higher where the two samples are alike.
    pub p_greater: f64,
    /// Two-sided: twice the smaller of the two, at most 1.
    pub p: f64,
    /// The smallest `p` that these values could have had, however they had fallen to the two samples. Above the level
    /// of the test, nothing could have been found.
    pub p_min: f64,
    /// Whether the probabilities were counted; otherwise they are by the normal distribution.
    pub exact: bool,
}

/// Tests whether one of two samples tends to greater values; none where one of them is empty.
///
/// The U of Mann and Whitney (On a test of whether one of two random variables is stochastically larger than the other,
/// Annals of Mathematical Statistics 18, 1947). The probabilities are conditional on the values that were seen: of all
/// ways to deal them to the two samples those are counted that have a sum of ranks as extreme as the one seen, by the
/// shift algorithm (Streitberg and Röhmel, Exact distributions for permutation and rank tests, Statistical Software
/// Newsletter 12, 1986). Equal values get the mean of their ranks, so ties need no correction there. Samples too large
/// to count get the normal distribution with the correction for ties and for continuity (Lehmann, Nonparametrics,
/// 1975). Values may be infinite, but no NaN.
pub fn mann_whitney(a: &[f64], b: &[f64]) -> Option<RankTest> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let ranks = Ranks::of(a, b);
    let sums: u64 = ranks.b2.iter().sum();
    let pairs = a.len() as f64 * b.len() as f64;
    let u = sums as f64 / 2.0 - b.len() as f64 * (b.len() as f64 + 1.0) / 2.0;
    let (less, greater, p_min, exact) = match ranks.tails() {
        Some([less, greater, lowest, highest]) => (less, greater, lowest.min(highest), true),
        None => {
            let normal = |above: f64| upper_tail((above - pairs / 2.0 - 0.5) / ranks.deviation());
            // Where all values are equal there is one outcome, and it is certain.
            let extreme = if ranks.ties.len() == 1 { 1.0 } else { normal(pairs) };
            (normal(pairs - u), normal(u), extreme, false)
        }
    };
    let two_sided = |p: f64| (2.0 * p).min(1.0);
    Some(RankTest {
        u,
        p_less: less,
        p_greater: greater,
        p: two_sided(less.min(greater)),
        p_min: two_sided(p_min),
        exact,
    })
}

/// Ranks times two of both samples together, so that the mean of two ranks is a whole number.
struct Ranks {
    all2: Vec<u64>,
    a2: Vec<u64>,
    b2: Vec<u64>,
    /// How many values each group of equal ones has.
    ties: Vec<usize>,
}

impl Ranks {
    fn of(a: &[f64], b: &[f64]) -> Self {
        let mut all: Vec<(f64, bool)> = a.iter().map(|x| (*x, false)).chain(b.iter().map(|x| (*x, true))).collect();
        all.sort_by(|x, y| x.0.total_cmp(&y.0));
        let mut ranks = Self { all2: Vec::new(), a2: Vec::new(), b2: Vec::new(), ties: Vec::new() };
        // Zero has two signs, which `total_cmp` tells apart and a person does not.
        for group in all.chunk_by(|x, y| x.0 == y.0) {
            let rank2 = (2 * ranks.all2.len() + group.len() + 1) as u64;
            for (_, second) in group {
                ranks.all2.push(rank2);
                if *second { ranks.b2.push(rank2) } else { ranks.a2.push(rank2) }
            }
            ranks.ties.push(group.len());
        }
        ranks
    }

    /// Of U of the second sample: the probability of as low and lower, of as high and higher, of the lowest and of the
    /// highest there can be. None where it would take too long to count.
    fn tails(&self) -> Option<[f64; 4]> {
        let (few, mirrored) = if self.b2.len() <= self.a2.len() { (&self.b2, false) } else { (&self.a2, true) };
        let sums = subset_sums(&self.all2, few.len())?;
        let at = few.iter().sum::<u64>() as usize;
        let some = |p: &&f64| **p > 0.0;
        let (first, last) = (sums.iter().find(some).copied()?, sums.iter().rfind(some).copied()?);
        let (low, high) = (sums[..=at].iter().sum(), sums[at..].iter().sum());
        Some(if mirrored { [high, low, last, first] } else { [low, high, first, last] })
    }

    /// Standard deviation of U where the samples are alike; nearly nothing where all values are equal.
    fn deviation(&self) -> f64 {
        let n = self.all2.len() as f64;
        let ties: f64 = self.ties.iter().map(|t| (*t as f64).powi(3) - *t as f64).sum();
        let pairs = self.a2.len() as f64 * self.b2.len() as f64;
        (pairs / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)))).max(f64::MIN_POSITIVE).sqrt()
    }
}

/// The probability of every sum that `few` of these ranks can have, by sum. None where that would take too long.
fn subset_sums(ranks2: &[u64], few: usize) -> Option<Vec<f64>> {
    let max = ranks2.iter().rev().take(few).sum::<u64>() as usize;
    if ranks2.len() * few * (max + 1) > EXACT_STEPS_MAX {
        return None;
    }
    // ways[k][s]: how many choices of k ranks have the sum s. They stay whole numbers up to 2^53, and nothing is ever
    // subtracted, so that also greater ones are right to the last digits.
    let mut ways = vec![vec![0.0; max + 1]; few + 1];
    ways[0][0] = 1.0;
    for rank in ranks2.iter().map(|rank| *rank as usize) {
        for k in (1..=few).rev() {
            let (before, here) = ways.split_at_mut(k);
            let before = &before[k - 1];
            here[0][rank..].iter_mut().zip(before).for_each(|(ways, more)| *ways += more);
        }
    }
    let ways = ways.pop().unwrap_or_default();
    let all: f64 = ways.iter().sum();
    Some(ways.into_iter().map(|n| n / all).collect())
}

/// The smallest two-sided `p` that samples of these sizes can have, where no two values are equal: 2 of all the ways to
/// deal them. No number of differences makes it smaller; only more repeats do.
pub fn smallest_p(a: usize, b: usize) -> f64 {
    let few = a.min(b) as f64;
    let ways = (1..=a.min(b)).fold(1.0, |ways, i| ways * ((a + b) as f64 - few + i as f64) / i as f64);
    (2.0 / ways).min(1.0)
}

/// How many repeats on both sides it takes until a difference can be found at all at this level.
pub fn repeats_needed(level: f64) -> usize {
    (1..).find(|n| smallest_p(*n, *n) <= level).unwrap_or(usize::MAX)
}

/// By how much the second sample is greater: the median of all differences (Hodges and Lehmann, Estimates of location
/// based on rank tests, Annals of Mathematical Statistics 34, 1963). 0 of nothing; infinite where mostly one of the two
/// is.
pub fn shift(a: &[f64], b: &[f64]) -> f64 {
    median(differences(a, b))
}

/// Between which values the shift lies, with a confidence of `1 - level`: the test, inverted (Bauer, Constructing
/// confidence sets using rank statistics, Journal of the American Statistical Association 67, 1972). None where there
/// are too few values to bound it.
pub fn shift_interval(a: &[f64], b: &[f64], level: f64) -> Option<(f64, f64)> {
    let mut all = differences(a, b);
    all.sort_by(f64::total_cmp);
    let cut = cut(a.len(), b.len(), level / 2.0);
    let (low, high) = (all.get(cut.checked_sub(1)?)?, all.get(all.len().checked_sub(cut)?)?);
    (low <= high).then_some((*low, *high))
}

/// The highest number of differences that can be cut off at one end, so that U is as low with at most this probability.
fn cut(a: usize, b: usize, level: f64) -> usize {
    let ranks2: Vec<u64> = (1..=a + b).map(|rank| 2 * rank as u64).collect();
    let few = a.min(b);
    let Some(sums) = subset_sums(&ranks2, few) else {
        let pairs = a as f64 * b as f64;
        let deviation = (pairs * (a + b + 1) as f64 / 12.0).sqrt();
        return (pairs / 2.0 - quantile(level) * deviation).max(0.0) as usize;
    };
    let mut below = 0.0;
    // Without ties U is half of the doubled sum, less the lowest there can be.
    let by_u = sums.iter().skip(few * (few + 1)).step_by(2);
    by_u.take_while(|p| {
        below += **p;
        // The last digits of a sum of many shall not decide.
        below <= level * (1.0 + 1e-12)
    })
    .count()
}

fn differences(a: &[f64], b: &[f64]) -> Vec<f64> {
    // Two that never ended are alike; an infinite number less another one would be no number.
    let less = |y: f64, x: f64| if x == y { 0.0 } else { y - x };
    b.iter().flat_map(|y| a.iter().map(move |x| less(*y, *x))).collect()
}

/// The middle value, or the mean of the two in the middle; 0 of nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match (values.len(), values.len() % 2) {
        (0, _) => 0.0,
        (_, 1) => values[half],
        // Two infinite ones have a mean only where they are the same; opposite ones cancel out.
        _ if values[half - 1] == values[half] => values[half],
        _ if values[half - 1] == -values[half] => 0.0,
        _ => values[half - 1] / 2.0 + values[half] / 2.0,
    }
}

/// Upper tail of the normal distribution (Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, 26.2.17);
/// wrong by less than 7.5e-8.
pub fn upper_tail(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - upper_tail(-z);
    }
    const B: [f64; 5] = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let density = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
    // An infinite z is certain, and no density times no number.
    if z.is_infinite() { 0.0 } else { density * B.iter().rev().fold(0.0, |sum, b| (sum + b) * t) }
}

/// Above which value the normal distribution has this probability, by halving: it is asked for once a comparison.
fn quantile(upper: f64) -> f64 {
    let (mut low, mut high) = (-10.0, 10.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if upper_tail(middle) > upper { low = middle } else { high = middle }
    }
    low
}
