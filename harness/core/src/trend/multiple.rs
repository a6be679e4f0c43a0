//! Many questions at once: of a hundred cells that did not change, five look changed to a test at 5 %.

/// Adjusts `p` values for how many there are: at most the level is false among those at or below it.
///
/// Benjamini and Hochberg, Controlling the false discovery rate, Journal of the Royal Statistical Society B 57, 1995;
/// measures of one fault rise and fall together, for which it holds too (Benjamini and Yekutieli, Annals of Statistics
/// 29, 2001). Where nothing at all has changed, a false one among those found is the same as any found at all: a gate
/// on unchanged shops alarms with at most the level's probability.
///
/// Questions that could not have been answered, because even the clearest outcome has a `p` above the level, do not
/// count and must be left out by the caller (Tarone, A modified Bonferroni method for discrete data, Biometrics 46,
/// 1990).
pub fn adjusted(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut least: f64 = 1.0;
    for (rank, index) in order.iter().enumerate().rev() {
        least = least.min(p[*index] * (p.len() as f64 / (rank + 1) as f64));
        adjusted[*index] = least;
    }
    adjusted
}
