//! Whether `make bench AGAINST=COMMIT` calls a row worse where it should. It is a program of its own, whose rule is
//! read here.

#[path = "../../benches/against/verdict.rs"]
mod verdict;

use verdict::{Quartiles, Verdict};

fn check(ratios: &[f64], first: f64, median: f64, third: f64, expected: Verdict) {
    let quartiles = Quartiles::of(ratios.to_vec());
    let close = |one: f64, other: f64| (one - other).abs() < 1e-9;
    assert!(close(quartiles.first, first), "{ratios:?}: {quartiles:?}");
    assert!(close(quartiles.median, median), "{ratios:?}: {quartiles:?}");
    assert!(close(quartiles.third, third), "{ratios:?}: {quartiles:?}");
    assert_eq!(quartiles.verdict(), expected, "{ratios:?}");
}

#[test]
fn a_row_is_worse_where_the_whole_interval_is_below_the_bound() {
    check(&[0.9, 0.94, 0.92, 0.98, 0.96], 0.92, 0.94, 0.96, Verdict::Worse);
    // One round that was lucky, and one that was not, lie outside.
    check(&[0.1, 0.94, 0.95, 0.96, 3.0], 0.94, 0.95, 0.96, Verdict::Worse);
}

#[test]
fn a_row_is_not_worse_where_the_whole_interval_is_above_the_bound() {
    check(&[1.0, 1.02, 0.98, 1.01, 0.1], 0.98, 1.0, 1.01, Verdict::NotWorse);
    check(&[0.97; 5], 0.97, 0.97, 0.97, Verdict::NotWorse);
    check(&[1.0], 1.0, 1.0, 1.0, Verdict::NotWorse);
}

#[test]
fn a_row_is_unclear_where_the_bound_is_inside_of_the_interval() {
    // Between two rounds, numpy and R (type 7) say.
    check(&[0.90, 0.95, 1.00, 1.05], 0.9375, 0.975, 1.0125, Verdict::Unclear);
    check(&[0.96, 0.97], 0.9625, 0.965, 0.9675, Verdict::Worse);
    check(&[0.96, 0.98], 0.965, 0.97, 0.975, Verdict::Unclear);
}
