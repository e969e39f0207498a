//! Records: their names looked up, circles found, and each written out where it is mounted.

use std::sync::Arc;

use crate::{
    path::{Path, dotted_wildcards},
    policy::{
        check::{
            checker::Checker,
            expansion::{Expansion, Line, Record, Target},
        },
        lint,
        model::{CategoryId, Class, Field, Keeping, Unclassified},
        read::{ClassName, Classified, WrittenNames, WrittenRecord},
        reader::At,
    },
    source::{Finding, Place},
};

/// How deep records can stand in records.
const RECORD_DEPTH_MAX: usize = 32;

impl Checker<'_> {
    pub(super) fn records(&mut self, written: Vec<WrittenRecord>) {
        let mut records: Vec<WrittenRecord> = Vec::new();
        for record in written {
            let first = self.record_ids.get(&record.name.value);
            let first =
                first.and_then(|index| records.get(*index)).map(|first| first.name.at.clone());
            if !self.is_new("the record", &record.name, first) {
                continue;
            }
            if let Some(category) = self.category_ids.get(&record.name.value)
                && let Some(category) = self.categories.get(category.index())
            {
                let message = format!("`{}` is both a record and a category", record.name.value);
                let mut finding = Finding::error("ambiguous-name", record.name.at.clone(), message)
                    .help("rename one of them: a path can be given either");
                if category.name != "public" {
                    finding = finding.also(&category.at, "the category");
                }
                self.findings.push(finding);
            }
            self.record_ids.insert(record.name.value.clone(), records.len());
            records.push(record);
        }
        for record in records {
            let lines = self.lines(record.fields, Some(&record.name.value));
            let unclassified = record.unclassified;
            self.records.push(Record { name: record.name, lines, unclassified });
        }
    }

    /// A list of names says that members are called so; who writes a category there may mean that they are of it.
    fn categories_as_names(&mut self, names: &[String], at: &Place) {
        // Some categories are called as fields are: `email`. One among other names is meant as one.
        let is_meant = |name: &&String| names.len() == 1 || name.contains('.');
        let is_category = |name: &&String| self.category_ids.contains_key(*name);
        let Some(name) = names.iter().find(|name| is_meant(name) && is_category(name)) else {
            return;
        };
        let message = format!("`names` lists `{name}`: only a member that is called so is known");
        let help = format!("if the names are of the category `{name}`, write `names: {name}`");
        self.report(Finding::note("category-as-name", at.clone(), message).help(help));
    }

    /// Looks up the names in lines that classify, and looks at the lines themselves.
    ///
    /// `whole` names what the paths begin at: a record, or the resource of a route.
    pub(super) fn lines(&mut self, written: Vec<Classified>, whole: Option<&str>) -> Vec<Line> {
        let mut lines = Vec::with_capacity(written.len());
        for classified in written {
            let target = self.target(&classified.class);
            let (names, spells) = match &classified.names {
                Some(At { value: WrittenNames::Category(name), at }) => {
                    let name = At { value: name.clone(), at: at.clone() };
                    (self.category(&name, "the category of names"), Arc::default())
                }
                Some(At { value: WrittenNames::Listed(names), at }) => {
                    self.categories_as_names(names, at);
                    (None, names.as_slice().into())
                }
                None => (None, Arc::default()),
            };
            // What is `public` for whoever writes `.*` need not be for whoever means an array, or all below.
            let about = match names {
                Some(CategoryId::PUBLIC) => dotted_wildcards(&classified.spelled),
                Some(_) | None => u128::MAX,
            };
            let category = match target {
                Some(Target::Category(category)) => Some(category),
                Some(Target::Record(_)) | None => None,
            };
            self.findings.extend(lint::line(&classified, category, names, whole));
            let Some(target) = target else { continue };
            let Classified { path, delta, embedded, .. } = classified;
            let line = Line { path, target, names, named: about, spells, delta, embedded };
            lines.push(line);
        }
        lines
    }

    fn target(&mut self, class: &ClassName) -> Option<Target> {
        match class {
            ClassName::Category(name) => self.category(name, "the category").map(Target::Category),
            ClassName::Record(name) => {
                let found = self.record_ids.get(&name.value).copied();
                if found.is_none() {
                    let message = format!("the record `{}` is not declared", name.value);
                    let known = self.record_ids.keys().map(String::as_str);
                    let finding = Finding::error("unknown-record", name.at.clone(), message)
                        .declare(&name.value, known, "records");
                    self.report(finding);
                }
                found.map(Target::Record)
            }
            ClassName::Either(name) => {
                if let Some(category) = self.category_ids.get(&name.value) {
                    return Some(Target::Category(*category));
                }
                if let Some(record) = self.record_ids.get(&name.value) {
                    return Some(Target::Record(*record));
                }
                let message = format!("`{}` is neither a category nor a record", name.value);
                let finding = Finding::error("unknown-category", name.at.clone(), message);
                let records = self.record_ids.keys().map(String::as_str);
                let finding = self.propose_category(finding, &name.value, records);
                self.report(finding);
                None
            }
        }
    }

    /// Reports records that contain themselves, and says which records lead to one.
    pub(super) fn circles(&mut self) -> Vec<bool> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        let mut marks = vec![Mark::New; self.records.len()];
        let mut endless = vec![false; self.records.len()];
        let mut found = Vec::new();
        for start in 0..self.records.len() {
            // Records that are open, each with the lines of it not yet followed.
            let mut open: Vec<(usize, std::slice::Iter<'_, Line>)> = Vec::new();
            let enter = |index: usize, marks: &mut Vec<Mark>| {
                let record = self.records.get(index)?;
                let mark = marks.get_mut(index)?;
                *mark = Mark::Open;
                Some((index, record.lines.iter()))
            };
            if marks.get(start) == Some(&Mark::New) {
                open.extend(enter(start, &mut marks));
            }
            while let Some((index, lines)) = open.last_mut() {
                let index = *index;
                let Some(line) = lines.next() else {
                    open.pop();
                    if let Some(mark) = marks.get_mut(index) {
                        *mark = Mark::Done;
                    }
                    let leads_there = endless.get(index).copied().unwrap_or_default();
                    if let (true, Some((above, _))) = (leads_there, open.last())
                        && let Some(above) = endless.get_mut(*above)
                    {
                        *above = true;
                    }
                    continue;
                };
                let Target::Record(inner) = line.target else { continue };
                match marks.get(inner) {
                    Some(Mark::New) => open.extend(enter(inner, &mut marks)),
                    Some(Mark::Open) => {
                        let names: Vec<&str> = open
                            .iter()
                            .map(|(index, _)| *index)
                            .skip_while(|index| *index != inner)
                            .chain(std::iter::once(inner))
                            .filter_map(|index| self.records.get(index))
                            .map(|record| record.name.value.as_str())
                            .collect();
                        let message = format!("a record contains itself: {}", names.join(" -> "));
                        found.push(
                            Finding::error("record-circle", line.path.at.clone(), message).help(
                                "records are written out when the policies load, so this would never end",
                            ),
                        );
                        if let Some(endless) = endless.get_mut(index) {
                            *endless = true;
                        }
                    }
                    Some(Mark::Done) => {
                        let leads_there = endless.get(inner).copied().unwrap_or_default();
                        if let Some(endless) = endless.get_mut(index) {
                            *endless |= leads_there;
                        }
                    }
                    None => {}
                }
            }
        }
        self.findings.append(&mut found);
        endless
    }

    /// Records that no route mentions, and no other record either.
    pub(super) fn unused_records(&mut self) {
        let lines = self.records.iter().flat_map(|record| &record.lines);
        let mut used = vec![false; self.records.len()];
        let mounted = lines.map(|line| line.target).chain(self.mounted.iter().copied());
        for target in mounted {
            if let Target::Record(index) = target
                && let Some(used) = used.get_mut(index)
            {
                *used = true;
            }
        }
        for (record, _) in self.records.iter().zip(used).filter(|(_, used)| !used) {
            let message = format!("no route has the record `{}` in it", record.name.value);
            self.findings.push(
                Finding::warning("record-not-used", record.name.at.clone(), message)
                    .help("give it to a path of a route, or take it out"),
            );
        }
    }

    /// Writes out the records in `lines`, below `base`.
    pub(super) fn expand(
        &mut self,
        base: &Path,
        lines: &[Line],
        depth: usize,
        into: &mut Expansion<'_>,
    ) {
        let own_from = base.segments().len();
        into.fields.reserve(lines.len());
        for line in lines {
            if into.is_too_large() {
                return;
            }
            let path = base.join(&line.path.value);
            into.selectors += path.selectors();
            let at = line.path.at.clone();
            let Line { names, delta, embedded, .. } = *line;
            let own = u32::try_from(own_from).ok();
            let named = own.and_then(|own| line.named.checked_shl(own)).unwrap_or_default();
            let field = |class| Field {
                path: path.clone(),
                own_from,
                class,
                names,
                named,
                spells: Arc::clone(&line.spells),
                delta,
                embedded,
                at: line.path.at.clone(),
            };
            let index = match line.target {
                Target::Category(category) => {
                    let field = field(Class::Category(category));
                    into.selectors += spelled(&field);
                    into.fields.push(field);
                    continue;
                }
                Target::Record(index) => index,
            };
            if into.endless.get(index).copied().unwrap_or_default() {
                continue;
            }
            if depth >= RECORD_DEPTH_MAX {
                let message = format!("records stand in records more than {RECORD_DEPTH_MAX} deep");
                let finding = Finding::error("records-too-deep", at, message)
                    .also(into.route, "on this route");
                self.report(finding);
                continue;
            }
            let Some(record) = self.records.get_mut(index) else { continue };
            let keeps_unclassified = match &record.unclassified {
                Unclassified::Drop => false,
                Unclassified::Keep { because } => {
                    into.keeping.push(Keeping { path: path.clone(), because: because.clone() });
                    true
                }
            };
            // Taken out while it is written out: a record in itself has been left out above.
            let inner = std::mem::take(&mut record.lines);
            let field = field(Class::Mount { keeps_unclassified });
            into.selectors += spelled(&field);
            into.fields.push(field);
            self.expand(&path, &inner, depth + 1, into);
            if let Some(record) = self.records.get_mut(index) {
                record.lines = inner;
            }
        }
    }
}

/// How many selectors there are in what a field spells besides its path.
fn spelled(field: &Field) -> usize {
    if field.spells.is_empty() {
        return 0;
    }
    field.spelling().map(|path| path.selectors()).sum()
}
