//! What happens to a response, compiled: for each state of a route's paths, the verdict of one purpose.
//!
//! Everything that the rules of the language decide without seeing a document is decided here: ties,
//! which category an action is counted under, and whether a path can still go on below a node.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    access::Labels,
    path::{Kind, PathId, Program, ProgramError, Row, State},
    policy::{
        finding::Place,
        model::{Category, CategoryId, Class, Digest, Field, Header, Stream},
    },
    transform::{Action, Keys, Sealer, Transform},
};

/// The category that is counted for a body that passes as it is.
pub const OPAQUE: &str = "opaque";

/// What happens to one response: the decision for one route and one purpose. Comes only from
/// [`PolicySet::decide`](crate::policy::PolicySet::decide).
///
/// It does not say in which direction a body goes.
#[derive(Debug)]
pub struct Plan {
    /// Who asks for what; the caller is not part of the plan and stands as `unknown`.
    pub labels: Labels,
    /// The policies that it was compiled from.
    pub digest: Digest,
    program: Arc<Program>,
    verdicts: Box<[Verdict]>,
    cells: Box<[Cell]>,
    /// For each path, the cell of its category.
    path_cells: Box<[Option<CellId>]>,
    keeps_unclassified: bool,
    stream: Arc<Stream>,
    /// Names, lower-case, each with the cell of its category.
    headers: Box<[(Box<str>, CellId)]>,
    passes: bool,
    sealer: Option<Sealer>,
}

/// What is known of every node in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The node's own action.
    pub own: Own,
    /// What happens to a member's name that no path spells, if the node is an object.
    pub names: Names,
    /// Where records are mounted at the node: whether what is unclassified in all of them is kept.
    pub mount: Option<bool>,
    /// Whether a path goes on below an object to a node that is not dropped.
    pub below_object: bool,
    /// Whether a path goes on below an array to a node that is not dropped.
    pub below_array: bool,
    /// Whether no path goes on below, to whatever node.
    pub leaf: bool,
    /// What a string here holds.
    pub strings: Strings,
}

impl Verdict {
    /// Whether a container of this kind stays because of what can be below it.
    pub fn below(&self, kind: Kind) -> bool {
        match kind {
            Kind::Object => self.below_object,
            Kind::Array => self.below_array,
        }
    }
}

/// The action of a node that paths select, after ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Own {
    /// No path selects it.
    None,
    /// It stays.
    Keep(CellId),
    /// Its scalars are changed by the cell's [`Transform`].
    Change(CellId),
    /// It becomes `null`.
    Null,
    /// It is removed.
    Drop,
}

/// What a string holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strings {
    /// Text.
    Text,
    /// A document, whose root is in the state of the string.
    Documents,
}

/// What happens to names that no path spells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// No path that reaches them says what they are.
    Unclassified,
    /// They stay.
    Keep(CellId),
    /// The cell's [`Transform`] puts others in their place.
    Change(CellId),
    /// Their members are removed.
    Drop,
}

/// An index into [`Plan::cells`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CellId(u32);

impl CellId {
    /// The index itself.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A category that the route can give, in a body or in a header, and what the purpose does to it: accesses
/// are counted by these.
#[derive(Debug)]
pub struct Cell {
    /// The name of the category.
    pub category: Arc<str>,
    /// The word of the action.
    pub action: &'static str,
    /// The action, ready to be carried out.
    pub transform: Transform,
    /// Whether nothing of the category leaves (`null`, `drop`): it is counted once per response.
    pub withheld: bool,
}

impl Plan {
    /// The paths of the route.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// What is decided of a node in this state of [`Plan::program`].
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "a state of another program is a bug: stop")]
    pub fn verdict(&self, state: State) -> Verdict {
        self.verdicts[state.index()]
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
        self.passes
    }

    /// What accesses can be counted under, as category and action, but for what is unclassified or unfit.
    pub fn countable(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let cells = self.cells.iter().map(|cell| (&*cell.category, cell.action));
        cells.chain(self.passes.then_some((OPAQUE, "keep")))
    }

    /// What seals the upstream's validators, if clients are given any.
    pub fn sealer(&self) -> Option<&Sealer> {
        self.sealer.as_ref()
    }

    /// Whether what leaves depends on the day.
    pub fn asks_the_day(&self) -> bool {
        self.cells.iter().any(|cell| cell.transform.asks_the_day())
    }

    /// Whether every key that the plan needs was there when it was compiled. Without, the values that
    /// need one become `null`, and no validator leaves.
    pub fn is_ready(&self) -> bool {
        let has_key = self.sealer.as_ref().is_none_or(Sealer::is_ready);
        has_key && self.cells.iter().all(|cell| cell.transform.is_ready())
    }

    /// The same, as far as a body needs keys: what needs one only in the head is left aside.
    pub fn is_ready_for_bodies(&self) -> bool {
        let own = self.verdicts.iter().filter_map(|verdict| match verdict.own {
            Own::Keep(cell) | Own::Change(cell) => Some(cell),
            Own::None | Own::Null | Own::Drop => None,
        });
        let names = self.verdicts.iter().filter_map(|verdict| match verdict.names {
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
    /// Whether a filter decides if they meet: then it is no mistake of the author, and nothing leaves.
    pub(crate) filtered: bool,
}

/// What a plan needs to know of its purpose.
#[derive(Clone)]
pub(crate) struct PlanParts<'a> {
    pub(crate) purpose: &'a str,
    pub(crate) action: &'a dyn Fn(CategoryId) -> &'a Action,
    pub(crate) categories: &'a [Category],
    pub(crate) keys: &'a dyn Keys,
    pub(crate) labels: Labels,
    pub(crate) digest: Digest,
    pub(crate) stream: Arc<Stream>,
    pub(crate) headers: &'a [Header],
    /// Whether there are bodies that pass as they are.
    pub(crate) passes: bool,
    /// Whether validators are given out.
    pub(crate) validates: bool,
}

/// The fields of one route, compiled once for all purposes.
pub(crate) struct RouteFields<'a> {
    fields: &'a [Field],
    keeps_unclassified: bool,
    program: Arc<Program>,
    rows: Vec<Steps>,
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
    fn of(program: &Program, row: Row) -> Self {
        Self {
            members: settled(program, program.own_steps(row, Kind::Object)),
            elements: settled(program, program.own_steps(row, Kind::Array)),
            behind: program.row_behind(row),
            shadowed: settled(program, program.shadowed(row)),
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

/// How many steps of a row, to members and to elements, lead to where something can be left. Those by names
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
        let paths: Vec<_> = fields.iter().map(|field| field.path.clone()).collect();
        let program = Program::compile(&paths)?;
        let rows = program.rows().map(|row| Steps::of(&program, row)).collect();
        Ok(Self { fields, keeps_unclassified, program: Arc::new(program), rows })
    }

    /// How many states the paths have: the size of each plan.
    pub(crate) fn states(&self) -> usize {
        self.program.states().count()
    }

    /// The plan for one purpose, or the ties that leave open what it would do.
    pub(crate) fn plan(&self, parts: &PlanParts<'_>) -> Result<Plan, Vec<Tie>> {
        let mut cells = Cells::new(self.fields, parts);
        let mut ties = Vec::new();
        let mut names: Vec<Option<Names>> = vec![None; self.rows.len()];
        let mut verdicts = Vec::with_capacity(self.states());
        for state in self.program.states() {
            let row = self.program.row(state);
            let own = self.own(state, parts, &mut cells, &mut ties);
            let known = names.get(row.index()).copied().flatten();
            let of_row = known.unwrap_or_else(|| self.names(state, parts, &mut cells, &mut ties));
            if let Some(names) = names.get_mut(row.index()) {
                *names = Some(of_row);
            }
            verdicts.push(Verdict {
                own,
                names: of_row,
                mount: self.mount(state),
                below_object: false,
                below_array: false,
                leaf: self.rows.get(row.index()).is_none_or(Steps::lead_nowhere),
                strings: self.strings(state),
            });
        }
        if !ties.is_empty() {
            return Err(ties);
        }
        self.look_below(&mut verdicts);
        let path_cells = self.fields.iter().map(|field| match field.class {
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
            sealer: parts.validates.then(|| Sealer::new(parts.keys)),
            path_cells: path_cells.collect(),
            labels: parts.labels.clone(),
            digest: parts.digest.clone(),
            program: Arc::clone(&self.program),
            verdicts: verdicts.into_boxed_slice(),
            cells: cells.list.into_boxed_slice(),
            keeps_unclassified: self.keeps_unclassified,
            stream: Arc::clone(&parts.stream),
        })
    }

    fn own(
        &self,
        state: State,
        parts: &PlanParts<'_>,
        cells: &mut Cells,
        ties: &mut Vec<Tie>,
    ) -> Own {
        let classes = self.program.selected(state).filter_map(|path| {
            let field = self.field(path)?;
            match field.class {
                Class::Category(category) => {
                    Some((category, field.action((parts.action)(category)), field))
                }
                Class::Mount { .. } => None,
            }
        });
        let mut open = Vec::new();
        let strictest = strictest("value", classes, parts, &mut open);
        let Some((category, action)) = strictest else { return Own::None };
        if put_ties(open, ties) {
            return Own::Drop;
        }
        let cell = cells.id(category, action);
        match action {
            Action::Keep => Own::Keep(cell),
            Action::Pseudonym { .. } | Action::Generalise(_) | Action::Mask(_) => Own::Change(cell),
            Action::Null => Own::Null,
            // A route that can give what is denied is refused before there is a body.
            Action::Drop | Action::Deny => Own::Drop,
        }
    }

    fn names(
        &self,
        state: State,
        parts: &PlanParts<'_>,
        cells: &mut Cells,
        ties: &mut Vec<Tie>,
    ) -> Names {
        // An entry speaks for its own steps, not for those of the mounts above it: whoever says that the
        // names inside of a record are field names says nothing of the keys under which it is filed.
        let names = self.program.reaching_unspelled(state).filter_map(|(path, segment)| {
            let field = self.field(path)?;
            let own = segment >= field.own_from;
            let category = field.names.filter(|_| own)?;
            Some((category, (parts.action)(category), field))
        });
        let mut open = Vec::new();
        let Some((category, action)) = strictest("name", names, parts, &mut open) else {
            return Names::Unclassified;
        };
        let cell = cells.id(category, action);
        match action {
            Action::Keep => Names::Keep(cell),
            Action::Pseudonym { .. } if put_ties(open, ties) => Names::Drop,
            Action::Pseudonym { .. } => Names::Change(cell),
            // These remove the member, whatever their parameters.
            Action::Generalise(_)
            | Action::Mask(_)
            | Action::Null
            | Action::Drop
            | Action::Deny => Names::Drop,
        }
    }

    fn strings(&self, state: State) -> Strings {
        let mut fields = self.program.selected(state).filter_map(|path| self.field(path));
        if fields.any(|field| field.embedded) { Strings::Documents } else { Strings::Text }
    }

    fn mount(&self, state: State) -> Option<bool> {
        let mounts =
            self.program.selected(state).filter_map(|path| match self.field(path)?.class {
                Class::Mount { keeps_unclassified } => Some(keeps_unclassified),
                Class::Category(_) => None,
            });
        mounts.reduce(|one, other| one && other)
    }

    /// Fills in what a path can still reach. Rows have higher numbers than those that lead to them but for
    /// loops, so going backwards needs few rounds.
    fn look_below(&self, verdicts: &mut [Verdict]) {
        let mut rows = vec![Below::default(); self.rows.len()];
        let below = |rows: &[Below], state: State| {
            rows.get(self.program.row(state).index()).copied().unwrap_or_default()
        };
        let mut changed = true;
        while changed {
            changed = false;
            for (row, steps) in self.rows.iter().enumerate().rev() {
                let count = |children: &[State]| {
                    let stays = |child: &&State| {
                        let verdict = verdicts.get(child.index());
                        let own =
                            verdict.is_some_and(|it| !matches!(it.own, Own::None | Own::Drop));
                        own || below(&rows, **child).is_any()
                    };
                    children.iter().filter(stays).count()
                };
                let behind = steps.behind.and_then(|row| rows.get(row.index()));
                let behind = behind.map_or(0, |behind| behind.members);
                let shared = behind.saturating_sub(count(&steps.shadowed));
                let (members, elements) = (count(&steps.members) + shared, count(&steps.elements));
                let Some(known) = rows.get_mut(row) else { continue };
                // What is behind may have been counted before what is shadowed, and then is too little.
                let new = Below {
                    members: members.max(known.members),
                    elements: elements.max(known.elements),
                };
                changed |= *known != new;
                *known = new;
            }
        }
        for (state, verdict) in self.program.states().zip(verdicts) {
            let below = below(&rows, state);
            verdict.below_object = below.members > 0;
            verdict.below_array = below.elements > 0;
        }
    }

    fn field(&self, path: PathId) -> Option<&Field> {
        self.fields.get(path.index())
    }
}

/// Puts aside the ties that are mistakes, and says whether one is left that a filter decides about.
fn put_ties(open: Vec<Tie>, ties: &mut Vec<Tie>) -> bool {
    let filtered = open.iter().any(|tie| tie.filtered);
    for tie in open.into_iter().filter(|tie| !tie.filtered) {
        if !ties.contains(&tie) {
            ties.push(tie);
        }
    }
    filtered
}

/// The category whose action is carried out where several meet: the stricter action; among equals a
/// declared category before `public`, then the first by name. Equals that differ in their
/// parameters are a tie.
fn strictest<'f, 'p>(
    at_one: &'static str,
    classes: impl Iterator<Item = (CategoryId, &'p Action, &'f Field)>,
    parts: &PlanParts<'_>,
    ties: &mut Vec<Tie>,
) -> Option<(CategoryId, &'p Action)> {
    let name = |category: CategoryId| {
        let declared = parts.categories.get(category.index());
        (category == CategoryId::PUBLIC, declared.map(|category| category.name.as_str()))
    };
    let mut strictest: Option<(CategoryId, &'p Action, &'f Field)> = None;
    let mut rivals: Vec<(&Field, &Field)> = Vec::new();
    for (category, action, at) in classes {
        let Some((leader, leading, leader_at)) = strictest else {
            strictest = Some((category, action, at));
            continue;
        };
        match action.rank().cmp(&leading.rank()) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Greater => {
                strictest = Some((category, action, at));
                rivals.clear();
            }
            std::cmp::Ordering::Equal => {
                if !same_parameters(action, leading, parts.purpose) {
                    rivals.push((leader_at, at));
                }
                if name(category) < name(leader) {
                    strictest = Some((category, action, at));
                }
            }
        }
    }
    let (category, action, _) = strictest?;
    for (first, second) in rivals {
        let filtered = first.path.has_filter() || second.path.has_filter();
        let (first, second) = (first.at.clone(), second.at.clone());
        let tie = Tie { at_one, first, second, filtered };
        if !ties.contains(&tie) {
            ties.push(tie);
        }
    }
    Some((category, action))
}

/// Whether two actions of the same rank do the same.
fn same_parameters(one: &Action, other: &Action, purpose: &str) -> bool {
    match (one, other) {
        (Action::Pseudonym { domain: one }, Action::Pseudonym { domain: other }) => {
            one.as_deref().unwrap_or(purpose) == other.as_deref().unwrap_or(purpose)
        }
        (one, other) => one == other,
    }
}

/// The cells of a plan: one for each category that the fields and headers name, and another one where its pieces are
/// dropped.
struct Cells {
    list: Vec<Cell>,
    ids: BTreeMap<(CategoryId, &'static str), CellId>,
}

impl Cells {
    fn new(fields: &[Field], parts: &PlanParts<'_>) -> Self {
        let mut cells = Self { list: Vec::new(), ids: BTreeMap::new() };
        for field in fields {
            if let Class::Category(category) = field.class {
                cells.add(category, field.action((parts.action)(category)), parts);
            }
            if let Some(category) = field.names {
                cells.add(category, (parts.action)(category), parts);
            }
        }
        for header in parts.headers {
            cells.add(header.category, (parts.action)(header.category), parts);
        }
        cells
    }

    fn add(&mut self, category: CategoryId, action: &Action, parts: &PlanParts<'_>) {
        if self.ids.contains_key(&(category, action.word())) {
            return;
        }
        let declared = parts.categories.get(category.index());
        // Fewer than there are fields, and these are bounded.
        let id = CellId(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        self.ids.insert((category, action.word()), id);
        self.list.push(Cell {
            category: declared.map_or("public", |category| category.name.as_str()).into(),
            action: action.word(),
            transform: Transform::new(action, parts.purpose, parts.keys),
            withheld: matches!(action, Action::Null | Action::Drop | Action::Deny),
        });
    }

    /// The cell of a category that some field names, under this action.
    fn id(&self, category: CategoryId, action: &Action) -> CellId {
        self.ids.get(&(category, action.word())).copied().unwrap_or(CellId(u32::MAX))
    }
}
