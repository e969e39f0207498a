//! What happens to a response, compiled: for each state of a route's paths, the verdict of one purpose.
//!
//! Everything that the rules of the language decide without seeing a document is decided here: ties,
//! which category an action is counted under, and whether a path can still go on below a node.

use std::sync::Arc;

use crate::{
    access::{self, Labels},
    path::{Automaton, Kind, Path, PathId, Program, ProgramError, Row, State},
    policy::{
        cells::{Cell, Cells, PlanParts},
        lazy::{LazyVerdicts, Relations},
        lines::{Lines, Rivals},
        model::{Class, Digest, Field, OPAQUE, Stream},
        spelled::Spelled,
        verdict::{CellId, Kinds, Names, Own, Verdict},
    },
    source::Place,
    transform::{Sealer, Transform},
};

/// What happens to one response: the decision for one route and one purpose. Comes only from
/// [`PolicySet::decide`](crate::policy::PolicySet::decide).
///
/// It does not say in which direction a body goes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who asks for what; the caller is not part of the plan and stands as `unknown`.
    pub labels: Labels,
    /// The policies that it was compiled from.
    pub digest: Digest,
    program: Arc<Program>,
    verdicts: Verdicts,
    cells: Arc<[Cell]>,
    /// For each path, the cell of its category.
    path_cells: Arc<[Option<CellId>]>,
    keeps_unclassified: bool,
    stream: Arc<Stream>,
    spelled: Arc<Spelled>,
    /// Names, lower-case, each with the cell of its category.
    headers: Arc<[(Box<str>, CellId)]>,
    passes: bool,
    media: Arc<[Box<str>]>,
    sealer: Option<Arc<Sealer>>,
}

/// What is known of nodes, by their states.
#[derive(Clone, Debug)]
enum Verdicts {
    Made(Arc<[Verdict]>),
    Lazy(Arc<LazyVerdicts>),
}

impl Plan {
    /// The paths of the route.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// The plan for another body, or for a document inside of one whose root is in this state: itself, or a
    /// [copy](Program::afresh) of which nobody else makes states; and what the state is in it.
    #[must_use]
    pub fn afresh(self: Arc<Self>, state: State) -> (Arc<Self>, State) {
        let Verdicts::Lazy(lazy) = &self.verdicts else { return (self, state) };
        let (program, state) = self.program.afresh(state);
        let verdicts = Verdicts::Lazy(Arc::new(lazy.afresh()));
        (Arc::new(Self { program, verdicts, ..Self::clone(&self) }), state)
    }

    /// What is decided of a node in this state of [`Plan::program`].
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "a state of another program is a bug: stop")]
    pub fn verdict(&self, state: State) -> Verdict {
        match &self.verdicts {
            Verdicts::Made(made) => made[state.index()],
            Verdicts::Lazy(lazy) => lazy.verdict(&self.program, state),
        }
    }

    /// All that can be decided of nodes; where their states are made on the way, what each line decides by
    /// itself.
    pub fn verdicts(&self) -> Vec<Verdict> {
        match &self.verdicts {
            Verdicts::Made(made) => made.to_vec(),
            Verdicts::Lazy(lazy) => lazy.of_lines(),
        }
    }

    /// The cell of the one category whose paths wait in this state; none if they are of several, or of
    /// records.
    pub fn waiting_cell(&self, waiting: State) -> Option<CellId> {
        let mut cells = self.program.waiting(waiting).map(|path| self.path_cells.get(path.index()));
        let first = (*cells.next()??)?;
        cells.all(|cell| cell == Some(&Some(first))).then_some(first)
    }

    /// The categories that the route can give.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The transform of a cell.
    #[expect(clippy::indexing_slicing, reason = "a cell of another plan is a bug: stop")]
    pub fn transform(&self, cell: CellId) -> &Transform {
        &self.cells[cell.index()].transform
    }

    /// Whether the api keeps what nobody classified, outside of records.
    pub fn keeps_unclassified(&self) -> bool {
        self.keeps_unclassified
    }

    /// What a stream of events may say besides documents.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// The names that the paths of all routes of the policies spell.
    pub fn spelled(&self) -> &Spelled {
        &self.spelled
    }

    /// The response headers that the policies know by name, lower-case, and what happens to each.
    pub fn headers(&self) -> &[(Box<str>, CellId)] {
        &self.headers
    }

    /// The cell of a response header, by its name in lower case; none if the policies do not know it.
    pub fn header(&self, name: &str) -> Option<CellId> {
        self.headers.iter().find(|(listed, _)| **listed == *name).map(|(_, cell)| *cell)
    }

    /// Whether there are bodies that pass as they are.
    pub fn passes(&self) -> bool {
        self.passes || !self.media.is_empty()
    }

    /// The media types that pass, if this is the range of all of one kind, such as `text/*`.
    pub fn media_of<'a>(&'a self, range: &'a str) -> impl Iterator<Item = &'a str> {
        let kind = range.strip_suffix('*').filter(|kind| *kind != "*/" && kind.ends_with('/'));
        self.media
            .iter()
            .map(|one| &**one)
            .filter(move |one| kind.is_some_and(|kind| one.starts_with(kind)))
    }

    /// Whether a body of this media type (`type/subtype`, lower-case) passes as it is.
    pub fn passes_media(&self, media: &str) -> bool {
        self.media.iter().any(|listed| **listed == *media)
    }

    /// What accesses can be counted under, as category and action, but for what is unclassified or unfit.
    pub fn countable(&self) -> impl Iterator<Item = (&str, access::Action)> {
        let cells = self.cells.iter().map(|cell| (&*cell.category, cell.action));
        cells.chain(self.passes().then_some((OPAQUE, access::Action::Keep)))
    }

    /// What seals the upstream's validators, if clients are given any.
    pub fn sealer(&self) -> Option<&Sealer> {
        self.sealer.as_deref()
    }

    /// Whether what leaves depends on the day.
    pub fn asks_the_day(&self) -> bool {
        self.cells.iter().any(|cell| cell.transform.asks_the_day())
    }

    /// Whether there was no key for the pseudonyms of the plan when it was compiled: they become `null`.
    pub fn lacks_pseudonym_key(&self) -> bool {
        self.cells.iter().any(|cell| !cell.transform.is_ready())
    }

    /// Whether there was no key for its validators: none leaves.
    pub fn lacks_validator_key(&self) -> bool {
        self.sealer().is_some_and(|sealer| !sealer.is_ready())
    }

    /// Whether every key that a body needs was there: what needs one only in the head is left aside.
    pub fn is_ready_for_bodies(&self) -> bool {
        let verdicts = self.verdicts();
        let own = verdicts.iter().filter_map(|verdict| match verdict.own {
            Own::Keep(cell) | Own::Change(cell) => Some(cell),
            Own::None | Own::Null | Own::Drop => None,
        });
        let names = verdicts.iter().filter_map(|verdict| match verdict.names {
            Names::Keep(cell) | Names::Change(cell) => Some(cell),
            Names::Unclassified | Names::Drop => None,
        });
        let mut cells = own.chain(names).chain(self.path_cells.iter().copied().flatten());
        cells.all(|id| self.cells.get(id.index()).is_some_and(|cell| cell.transform.is_ready()))
    }
}

/// Two fields that can meet at one node and ask for different parameters of the same action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tie {
    /// What they meet at, in a word: a value, or a name.
    pub(crate) at_one: &'static str,
    pub(crate) first: Place,
    pub(crate) second: Place,
}

/// The fields of one route, compiled once for all purposes.
pub(crate) struct RouteFields<'a> {
    fields: &'a [Field],
    /// Of each path that only spells names, which of the fields lists these.
    spelling: Vec<usize>,
    keeps_unclassified: bool,
    program: Arc<Program>,
    /// By the rows of the automaton, if there is one.
    rows: Vec<Steps>,
    /// How many steps of each row lead to where a path selects something.
    known: Vec<Below>,
    /// If there is none.
    relations: Option<Arc<Relations>>,
}

/// Where the steps of a row of the program lead; what is pending, to all that it can be settled to.
struct Steps {
    /// By names: each state once for each name that leads there, and for all names that are not spelled.
    members: Vec<State>,
    elements: Vec<State>,
    /// The row with further steps by names,
    behind: Option<Row>,
    /// and those of them that are not shared.
    shadowed: Vec<State>,
}

impl Steps {
    fn of(program: &Program, automaton: &Automaton, row: Row) -> Self {
        Self {
            members: settled(program, automaton.own_steps(row, Kind::Object)),
            elements: settled(program, automaton.own_steps(row, Kind::Array)),
            behind: automaton.row_behind(row),
            shadowed: settled(program, automaton.shadowed(row)),
        }
    }

    /// Whether no step leads to any path.
    fn lead_nowhere(&self) -> bool {
        let mut own = self.members.iter().chain(&self.elements);
        self.behind.is_none() && own.all(|child| *child == State::DEAD)
    }
}

fn settled(program: &Program, states: impl Iterator<Item = State>) -> Vec<State> {
    let mut all = Vec::new();
    for state in states {
        if state.is_pending() {
            all.extend(program.settled(state));
        } else {
            all.push(state);
        }
    }
    all
}

/// How many steps of a row, to members and to elements, lead to what is looked for. Those by names
/// are counted one by one: so those that are not shared can be taken off.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Below {
    members: usize,
    elements: usize,
}

impl Below {
    fn is_any(self) -> bool {
        self.members > 0 || self.elements > 0
    }
}

impl<'a> RouteFields<'a> {
    /// Compiles the paths of a route.
    pub(crate) fn compile(
        fields: &'a [Field],
        keeps_unclassified: bool,
    ) -> Result<Self, ProgramError> {
        // Behind the lines come paths that only spell names: no line is about what they select.
        let spelling: Vec<(usize, Path)> = fields
            .iter()
            .enumerate()
            .filter(|(_, field)| !field.spells.is_empty())
            .flat_map(|(line, field)| field.spelling().map(move |path| (line, path)))
            .collect();
        let paths = fields.iter().map(|field| field.path.clone());
        let (spelling, spelled): (Vec<usize>, Vec<Path>) = spelling.into_iter().unzip();
        let paths: Vec<Path> = paths.chain(spelled).collect();
        let program = Program::compile(&paths)?;
        let (mut rows, mut known, mut relations) = (Vec::new(), Vec::new(), None);
        match program.automaton() {
            Some(made) => {
                rows.extend(made.rows().map(|row| Steps::of(&program, made, row)));
                // A path that only spells names leads nowhere.
                let selects = |state| program.selects_one_of(state, fields.len());
                let selected: Vec<bool> = made.states().map(selects).collect();
                let is_selected = |state: State| selected.get(state.index()) == Some(&true);
                known = look_below(made, &rows, is_selected);
            }
            None => relations = Some(Arc::new(Relations::new(paths, fields.len()))),
        }
        let program = Arc::new(program);
        Ok(Self { fields, spelling, keeps_unclassified, program, rows, known, relations })
    }

    /// How many states the paths have: the size of each plan.
    pub(crate) fn states(&self) -> usize {
        self.program.automaton().map_or(0, |made| made.states().count())
    }

    /// Whether states are made on the way, since there can be too many.
    pub(crate) fn is_lazy(&self) -> bool {
        self.program.is_lazy()
    }

    /// The plan for one purpose, or the ties that leave open what it would do.
    pub(crate) fn plan(&self, parts: &PlanParts<'_>) -> Result<Plan, Undecided> {
        let cells = Cells::new(self.fields, parts);
        let lines = Lines::new(self.fields, parts, &cells);
        let mut ties = Vec::new();
        let verdicts = match (self.program.automaton(), &self.relations) {
            (Some(made), _) => Verdicts::Made(self.verdicts(made, &lines, &mut ties).into()),
            (None, relations) => {
                let relations = relations.as_ref().ok_or(Undecided::TooMany)?;
                let (values, names) = relations.rivals(&lines).ok_or(Undecided::TooMany)?;
                self.put_ties("value", &values, &mut ties);
                self.put_ties("name", &names, &mut ties);
                let anywhere = self.program.anywhere();
                let lazy = LazyVerdicts::new(lines, Arc::clone(relations), anywhere);
                Verdicts::Lazy(Arc::new(lazy))
            }
        };
        if !ties.is_empty() {
            return Err(Undecided::Ties(ties));
        }
        let spelling = self.spelling.iter().filter_map(|line| self.fields.get(*line));
        let path_cells = self.fields.iter().chain(spelling).map(|field| match field.class {
            Class::Category(category) => {
                Some(cells.id(category, field.action((parts.action)(category))))
            }
            Class::Mount { .. } => None,
        });
        let headers = parts.headers.iter().map(|header| {
            let cell = cells.id(header.category, (parts.action)(header.category));
            (header.name.as_str().into(), cell)
        });
        Ok(Plan {
            headers: headers.collect(),
            passes: parts.passes,
            media: parts.media.iter().map(|media| media.name.as_str().into()).collect(),
            sealer: parts.validates.then(|| Arc::new(Sealer::new(parts.keys))),
            path_cells: path_cells.collect(),
            labels: parts.labels.clone(),
            digest: parts.digest.clone(),
            program: Arc::clone(&self.program),
            verdicts,
            cells: cells.into_list(),
            keeps_unclassified: self.keeps_unclassified,
            stream: Arc::clone(&parts.stream),
            spelled: Arc::clone(&parts.spelled),
        })
    }

    fn verdicts(&self, made: &Automaton, lines: &Lines, ties: &mut Vec<Tie>) -> Vec<Verdict> {
        let mut names: Vec<Option<Names>> = vec![None; self.rows.len()];
        let mut verdicts = Vec::with_capacity(self.states());
        let (mut values, mut of_names) = (Vec::new(), Vec::new());
        let mut selected = Vec::new();
        for state in made.states() {
            let row = made.row(state);
            self.program.select(state, &mut selected);
            let known = names.get(row.index()).copied().flatten();
            let of_row = known.unwrap_or_else(|| {
                lines.names(self.program.reaching_unspelled(state), &mut of_names)
            });
            if let Some(names) = names.get_mut(row.index()) {
                *names = Some(of_row);
            }
            let known = self.known.get(row.index()).copied().unwrap_or_default();
            verdicts.push(Verdict {
                own: lines.own(&selected, &mut values),
                names: of_row,
                mount: lines.mount(&selected),
                below_object: false,
                below_array: false,
                known: Kinds { object: known.members > 0, array: known.elements > 0 },
                leaf: self.rows.get(row.index()).is_none_or(Steps::lead_nowhere),
                strings: lines.strings(&selected),
            });
            self.put_ties("value", &values, ties);
            self.put_ties("name", &of_names, ties);
            values.clear();
            of_names.clear();
        }
        let stays = |state: State| {
            let verdict = verdicts.get(state.index());
            verdict.is_some_and(|it| !matches!(it.own, Own::None | Own::Drop))
        };
        let below = look_below(made, &self.rows, stays);
        for (state, verdict) in made.states().zip(&mut verdicts) {
            let below = below.get(made.row(state).index()).copied().unwrap_or_default();
            verdict.below_object = below.members > 0;
            verdict.below_array = below.elements > 0;
        }
        verdicts
    }

    /// Puts aside the ties that are mistakes: where a filter decides whether they are any, nothing leaves.
    fn put_ties(&self, at_one: &'static str, rivals: &[Rivals], ties: &mut Vec<Tie>) {
        for rivals in rivals.iter().filter(|rivals| !rivals.filtered) {
            let at = |path: PathId| self.fields.get(path.index()).map(|field| field.at.clone());
            let (Some(first), Some(second)) = (at(rivals.first), at(rivals.second)) else {
                continue;
            };
            let tie = Tie { at_one, first, second };
            if !ties.contains(&tie) {
                ties.push(tie);
            }
        }
    }
}

/// How many steps of each row lead to a state of which `is_found` is true, or to a row from which some step
/// does. Rows have higher numbers than those that lead to them but for loops, so going backwards needs few
/// rounds.
fn look_below(made: &Automaton, rows: &[Steps], is_found: impl Fn(State) -> bool) -> Vec<Below> {
    let mut found = vec![Below::default(); rows.len()];
    let below = |found: &[Below], state: State| {
        found.get(made.row(state).index()).copied().unwrap_or_default()
    };
    let mut changed = true;
    while changed {
        changed = false;
        for (row, steps) in rows.iter().enumerate().rev() {
            let count = |children: &[State]| {
                let leads = |child: &&State| is_found(**child) || below(&found, **child).is_any();
                children.iter().filter(leads).count()
            };
            let behind = steps.behind.and_then(|row| found.get(row.index()));
            let behind = behind.map_or(0, |behind| behind.members);
            let shared = behind.saturating_sub(count(&steps.shadowed));
            let (members, elements) = (count(&steps.members) + shared, count(&steps.elements));
            let Some(known) = found.get_mut(row) else { continue };
            // What is behind may have been counted before what is shadowed, and then is too little.
            let new = Below {
                members: members.max(known.members),
                elements: elements.max(known.elements),
            };
            changed |= *known != new;
            *known = new;
        }
    }
    found
}

/// Why there is no plan.
#[derive(Clone, Debug)]
pub(crate) enum Undecided {
    /// These meet.
    Ties(Vec<Tie>),
    /// It takes too much to say which do.
    TooMany,
}
