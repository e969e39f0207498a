//! Whether a row is worse than it was.

/// What a row may lose: noise, and what is too little to matter.
pub(super) const WORSE: f64 = 0.97;

/// How many times as fast the new commit is as the old one, over all rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quartiles {
    pub(super) first: f64,
    pub(super) median: f64,
    pub(super) third: f64,
}

/// What the quartiles say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No part of the interval lies below [`WORSE`].
    NotWorse,
    /// Some of it does: noise may be why.
    Unclear,
    /// All of it does.
    Worse,
}

impl Quartiles {
    /// Of one ratio for each round, between which they are interpolated.
    pub(super) fn of(mut ratios: Vec<f64>) -> Self {
        ratios.sort_by(f64::total_cmp);
        let last = ratios.len() - 1;
        let quartile = |number: usize| {
            let (place, quarters) = (number * last / 4, number * last % 4);
            let [below, above] = [ratios[place], ratios[last.min(place + 1)]];
            below + (above - below) * [0.0, 0.25, 0.5, 0.75][quarters]
        };
        Self { first: quartile(1), median: quartile(2), third: quartile(3) }
    }

    pub(super) fn verdict(self) -> Verdict {
        if self.third < WORSE {
            Verdict::Worse
        } else if self.first < WORSE {
            Verdict::Unclear
        } else {
            Verdict::NotWorse
        }
    }
}
