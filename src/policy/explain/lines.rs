//! What comes of each line that classifies, wherever its path leads.

use std::collections::HashSet;

use crate::{
    path::{PathId, State},
    policy::{
        explain::{
            Explanation, Row,
            walk::Walk,
            words::{in_words, leaves, names_in_words, names_leave},
        },
        model::{CategoryId, Class, Field},
        verdict::Own,
    },
    transform::Action,
};

/// Most other lines that one row names.
const OTHERS_MAX: usize = 3;

/// Where a line meets others, and whose action is carried out there.
#[derive(Default)]
struct Overlaps {
    /// Somewhere, its own.
    wins: bool,
    /// Lines that are stricter somewhere, each with its category.
    stricter: Vec<(PathId, CategoryId)>,
}

impl Overlaps {
    /// Of a line that has not been met where not all has been looked at, only its own action is known.
    fn seen_if(&self, complete: bool) -> Self {
        let wins = self.wins || (!complete && self.stricter.is_empty());
        Self { wins, stricter: self.stricter.clone() }
    }
}

/// Tells about every line of a route, in their order.
pub(super) fn tell(walk: Walk<'_>, told: &mut Explanation) {
    let (states, complete) = walk.states();
    let mut names: Vec<Overlaps> = Vec::new();
    let mut values: Vec<Overlaps> = Vec::new();
    names.resize_with(walk.route.fields.len(), Overlaps::default);
    values.resize_with(walk.route.fields.len(), Overlaps::default);
    let mut rows = HashSet::new();
    let mut with_values = HashSet::new();
    let empties = states.iter().any(|state| walk.plan.verdict(*state).own == Own::Null);
    for state in states {
        meet(walk, walk.classes(state), &mut values, in_words, LinePart::Values);
        // What is said about the names below is the same for all states of a row.
        if rows.insert(walk.plan.program().row(state)) {
            meet(walk, walk.naming(state), &mut names, names_in_words, LinePart::Names);
            if !complete || some_value_stays(walk, state, empties) {
                with_values.extend(walk.naming(state).map(|(line, _)| line));
            }
        }
    }
    if !complete {
        told.rest.push(
            "The paths meet in more ways than are told here: ask about one path to see what is true of it."
                .to_owned(),
        );
    }
    let lines = (0..u32::MAX).map(PathId::numbered).zip(&walk.route.fields);
    for ((line, field), (names, values)) in lines.zip(names.iter().zip(&values)) {
        if let Some(category) = field.names {
            let (fate, lines, stays) = fate_of(
                walk,
                (field, category, LinePart::Names),
                &names.seen_if(complete),
                names_in_words,
                names_leave,
            );
            let (by, action) =
                decided(walk, field, category, &names.seen_if(complete), LinePart::Names);
            let (fate, stays) = if stays && !with_values.contains(&line) {
                ("removed: so is every value that has such a name".to_owned(), false)
            } else {
                (fate, stays)
            };
            let row = Row::new(format!("names in {}", field.written()), fate, lines);
            let row = row.by(by, action);
            told.put(stays, row);
        }
        if let Class::Category(category) = field.class {
            let (fate, lines, left) = fate_of(
                walk,
                (field, category, LinePart::Values),
                &values.seen_if(complete),
                in_words,
                leaves,
            );
            let (by, action) =
                decided(walk, field, category, &values.seen_if(complete), LinePart::Values);
            told.put(left, Row::new(field.written(), fate, lines).by(by, action));
        }
    }
}

/// Whether anything can stay of a member of such an object whose name no line spells; `empties` says that something on
/// the route becomes `null`, which what is below can become with it.
fn some_value_stays(walk: Walk<'_>, object: State, empties: bool) -> bool {
    let keeps = empties || walk.plan.keeps_unclassified() || !walk.route.keeping.is_empty();
    let program = walk.plan.program();
    program.settled(program.unspelled(object)).into_iter().any(|member| {
        let verdict = walk.plan.verdict(member);
        let stays = match verdict.own {
            Own::Keep(_) | Own::Change(_) | Own::Null => true,
            Own::None => keeps,
            Own::Drop => false,
        };
        stays || verdict.below_object || verdict.below_array
    })
}

/// What a line speaks of.
#[derive(Clone, Copy)]
enum LinePart {
    Values,
    Names,
}

impl LinePart {
    /// What happens to it, by a line.
    fn action(self, walk: Walk<'_>, line: PathId, category: CategoryId) -> &Action {
        match self {
            Self::Values => walk.action(line, category),
            Self::Names => walk.purpose.action(category),
        }
    }
}

/// Notes who wins where these lines meet.
fn meet(
    walk: Walk<'_>,
    lines: impl Iterator<Item = (PathId, CategoryId)>,
    meetings: &mut [Overlaps],
    words: impl Fn(&Action) -> String,
    of: LinePart,
) {
    let lines: Vec<_> = lines.collect();
    let by = |line, category| of.action(walk, line, category);
    let Some(winner) = walk.strictest_by(lines.iter().copied(), by) else { return };
    let Some(winner) = lines.iter().copied().find(|(line, _)| *line == winner) else { return };
    let winning = by(winner.0, winner.1);
    for (line, category) in lines {
        let action = by(line, category);
        let Some(met) = meetings.get_mut(line.index()) else { continue };
        if action.rank() == winning.rank() || words(action) == words(winning) {
            met.wins = true;
        } else if !met.stricter.contains(&winner) {
            met.stricter.push(winner);
        }
    }
}

/// What a line comes to, the places that say so, and whether anything leaves.
fn fate_of(
    walk: Walk<'_>,
    (field, category, of): (&Field, CategoryId, LinePart),
    met: &Overlaps,
    words: impl Fn(&Action) -> String,
    leaves: impl Fn(&Action) -> bool,
) -> (String, Vec<String>, bool) {
    let policies = walk.policies;
    let (action, reason) = match of {
        LinePart::Values => {
            (field.action(walk.purpose.action(category)), walk.reason(field, category))
        }
        LinePart::Names => {
            (walk.purpose.action(category), policies.reason_for(walk.purpose, category))
        }
    };
    let own = format!("{}: {reason}", words(action));
    let left = (met.wins && leaves(action))
        || met.stricter.iter().any(|(line, category)| leaves(of.action(walk, *line, *category)));
    match (met.wins, met.stricter.as_slice()) {
        (true, []) => (own, policies.lines(field, walk.purpose, category), left),
        (true, _) => {
            let fate = format!("{own}; {}", others(walk, met, words, of));
            (fate, policies.lines(field, walk.purpose, category), left)
        }
        (false, []) => {
            let fate = "nothing: this path selects no value";
            (fate.to_owned(), vec![policies.line(&field.at)], false)
        }
        (false, [(line, category_there)]) => {
            let there = of.action(walk, *line, *category_there);
            let Some(winner) = walk.field(*line) else { return (own, Vec::new(), left) };
            let fate = format!(
                "{}: {}; {} is stricter than {} and meets it everywhere",
                words(there),
                policies.reason_for(walk.purpose, *category_there),
                winner.path,
                policies.category_name(category),
            );
            let mut lines = vec![policies.line(&field.at)];
            lines.extend(policies.lines(winner, walk.purpose, *category_there));
            (fate, lines, left)
        }
        (false, _) => {
            let fate = format!(
                "never {} ({}), for other lines are stricter: {}",
                words(action),
                policies.category_name(category),
                others(walk, met, words, of)
            );
            (fate, policies.lines(field, walk.purpose, category), left)
        }
    }
}

/// The category and the action that decide: those of the line, unless one other line is stricter wherever it
/// leads.
fn decided<'w>(
    walk: Walk<'w>,
    field: &Field,
    category: CategoryId,
    met: &Overlaps,
    of: LinePart,
) -> (&'w str, &'static str) {
    let own = match of {
        LinePart::Values => field.action(walk.purpose.action(category)),
        LinePart::Names => walk.purpose.action(category),
    };
    match (met.wins, met.stricter.as_slice()) {
        (false, [(line, there)]) => {
            (walk.policies.category_name(*there), of.action(walk, *line, *there).word())
        }
        (true | false, _) => (walk.policies.category_name(category), own.word()),
    }
}

/// `removed where $.a.email (crm.yaml:31) meets it`.
fn others(
    walk: Walk<'_>,
    met: &Overlaps,
    words: impl Fn(&Action) -> String,
    of: LinePart,
) -> String {
    let other = |(line, category): &(PathId, CategoryId)| {
        let field = walk.field(*line)?;
        let words = words(of.action(walk, *line, *category));
        Some(format!("{words} where {} ({}) meets it", field.path, walk.policies.line(&field.at)))
    };
    let mut others: Vec<String> = met.stricter.iter().take(OTHERS_MAX).filter_map(other).collect();
    let more = met.stricter.len().saturating_sub(OTHERS_MAX);
    if more > 0 {
        others.push(format!("and stricter where {more} more lines meet it"));
    }
    others.join(", ")
}
