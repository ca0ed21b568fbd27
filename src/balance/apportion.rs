//! Dividing whole slots among queues that each have a least and a most: shares that always add up.

/// What one queue may get, and how it is measured against the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Claim {
    /// It gets no fewer.
    pub(super) least: usize,
    /// It gets no more; not below `least`.
    pub(super) most: usize,
    /// What the rest is divided by.
    pub(super) weight: f64,
    /// Whether its least counts as part of its share (`even`), or the share comes on top of it.
    pub(super) is_level: bool,
}

impl Claim {
    /// What it is due when one weight is worth this many slots.
    fn due(&self, worth: f64) -> f64 {
        let share = self.weight * worth;
        let due = if self.is_level { share } else { self.least as f64 + share };
        due.clamp(self.least as f64, self.most as f64)
    }
}

/// Halvings of the interval in which the worth of a weight is looked for: beyond what a float can tell apart.
const HALVINGS: usize = 128;

/// What each claim is due of this many slots, in parts of slots. They add up to the slots, unless all have their most, or
/// the least of all is more.
pub(super) fn dues(claims: &[Claim], slots: usize) -> Vec<f64> {
    let smallest = claims.iter().map(|claim| claim.weight).filter(|weight| *weight > 0.0).fold(1.0, f64::min);
    // With this worth the claim of the smallest weight has all slots.
    let (mut low, mut high) = (0.0, slots as f64 / smallest);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        let sum: f64 = claims.iter().map(|claim| claim.due(middle)).sum();
        if sum > slots as f64 { high = middle } else { low = middle }
    }
    claims.iter().map(|claim| claim.due(low)).collect()
}

/// Rounds what each is due to whole slots, which together are as many: the parts that are left over go to the largest
/// remainders, equal ones to the larger weight.
pub(super) fn round(claims: &[Claim], dues: &[f64]) -> Vec<usize> {
    // The sum is a whole number but for the last bits.
    let slots = dues.iter().sum::<f64>().round() as usize;
    // The same bits must not cost a queue the last slot of its due.
    let mut given: Vec<usize> = dues.iter().map(|due| (due + 1e-6) as usize).collect();
    let mut by_remainder: Vec<usize> = (0..claims.len()).collect();
    by_remainder.sort_by(|&one, &other| {
        let remainder = |at: usize| ((dues[at] - given[at] as f64) * 1e6).round();
        remainder(other)
            .total_cmp(&remainder(one))
            .then(claims[other].weight.total_cmp(&claims[one].weight))
            .then(one.cmp(&other))
    });
    let mut left = slots.saturating_sub(given.iter().sum());
    for at in by_remainder {
        if left > 0 && given[at] < claims[at].most {
            given[at] += 1;
            left -= 1;
        }
    }
    given
}
