//! Which elements of an array an index or a slice selects (RFC 9535, sections 2.3.3 and 2.3.4), and how
//! soon that is known of an element whose array goes on.

/// A selection of elements that depends on the length of the array: an index that counts from its end, or
/// a slice of which some bound does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FromEnd {
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
}

/// The indices `start + n * step` below `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Indices {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) step: u64,
}

impl Indices {
    pub(crate) fn contains(self, index: u64) -> bool {
        (self.start..self.end).contains(&index) && (index - self.start).is_multiple_of(self.step)
    }
}

/// What an index or a slice needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elements {
    /// It selects none.
    Nothing,
    /// The index of the element.
    Front(Indices),
    /// The length of the array, too.
    End(FromEnd),
}

impl Elements {
    /// The element at one index; negative ones count from the end.
    pub(crate) fn index(index: i64) -> Self {
        if let Ok(index) = u64::try_from(index) {
            return Self::Front(Indices { start: index, end: index.saturating_add(1), step: 1 });
        }
        let next = index.saturating_add(1);
        Self::End(FromEnd { start: Some(index), end: (next < 0).then_some(next), step: 1 })
    }

    /// A slice as it is written.
    pub(crate) fn slice(start: Option<i64>, end: Option<i64>, step: i64) -> Self {
        let not_negative = |bound: i64| u64::try_from(bound).ok();
        let range = |start: u64, end: u64, step: u64| {
            if start < end { Self::Front(Indices { start, end, step }) } else { Self::Nothing }
        };
        let stride = step.unsigned_abs();
        if step > 0 {
            let start_at = not_negative(start.unwrap_or(0));
            let end_at = end.map_or(Some(u64::MAX), not_negative);
            if let (Some(start), Some(end)) = (start_at, end_at) {
                return range(start, end, stride);
            }
        } else if step == -1 {
            // Backwards without leaving any out selects what the same bounds do forwards.
            let after_last = match start {
                None | Some(-1) => Some(u64::MAX),
                Some(start) => not_negative(start).map(|start| start.saturating_add(1)),
            };
            let first =
                end.map_or(Some(0), |end| not_negative(end).map(|end| end.saturating_add(1)));
            if let (Some(first), Some(after_last)) = (first, after_last) {
                return range(first, after_last, 1);
            }
        }
        // A step as long as the part that it goes through selects one element, however long it is.
        let longest = match (bound(start), bound(end)) {
            (Bound::End(start), _) if step > 0 => start,
            (Bound::None | Bound::End(_), Bound::End(end)) if step < 0 => end,
            (Bound::Front(start), _) if step < 0 => start.saturating_add(1),
            (Bound::None | Bound::Front(_) | Bound::End(_), _) => u64::MAX,
        };
        let longest = i64::try_from(longest).unwrap_or(i64::MAX);
        let step = step.clamp(-longest, longest);
        if step == 0 { Self::Nothing } else { Self::End(FromEnd { start, end, step }) }
    }
}

/// A bound, as a distance: of the element from the front, or counted from the end, where the last one is 1.
enum Bound {
    None,
    Front(u64),
    End(u64),
}

fn bound(bound: Option<i64>) -> Bound {
    match bound {
        None => Bound::None,
        Some(bound) => u64::try_from(bound).map_or(Bound::End(bound.unsigned_abs()), Bound::Front),
    }
}

impl FromEnd {
    #[cfg(test)]
    pub(super) fn new(start: Option<i64>, end: Option<i64>, step: i64) -> Self {
        Self { start, end, step }
    }

    /// Whether the element at `index` of an array of `length` elements is selected.
    pub fn selects(self, index: u64, length: u64) -> bool {
        // As the standard writes it, in numbers that cannot overflow.
        let (index, length) = (i128::from(index), i128::from(length));
        let step = i128::from(self.step);
        let normal = |bound: i64| {
            let bound = i128::from(bound);
            if bound >= 0 { bound } else { length + bound }
        };
        if step == 0 {
            return false;
        }
        if step > 0 {
            let lower = self.start.map_or(0, normal).clamp(0, length);
            let upper = self.end.map_or(length, normal).clamp(0, length);
            lower <= index && index < upper && (index - lower) % step == 0
        } else {
            let upper = self.start.map_or(length - 1, normal).clamp(-1, length - 1);
            let lower = self.end.map_or(-1, normal).clamp(-1, length - 1);
            lower < index && index <= upper && (upper - index) % -step == 0
        }
    }

    /// What is already certain of the element at `index` once the array has `begun` elements, or more.
    pub fn decided(self, index: u64, begun: u64) -> Option<bool> {
        // How far from the end it is, at least.
        let distance = begun.saturating_sub(index);
        let stride = self.step.unsigned_abs();
        let in_phase = |from: u64| from.abs_diff(index).is_multiple_of(stride.max(1));
        if self.step > 0 {
            let far_enough = match bound(self.end) {
                Bound::None => Some(true),
                Bound::Front(end) => Some(index < end),
                Bound::End(end) => (distance > end).then_some(true),
            };
            let near_enough = match bound(self.start) {
                Bound::None => Some(in_phase(0)),
                Bound::Front(start) => Some(start <= index && in_phase(start)),
                Bound::End(start) => (distance > start).then_some(false),
            };
            return both(far_enough, near_enough);
        }
        let below = match bound(self.end) {
            Bound::None => Some(true),
            Bound::Front(end) => Some(index > end),
            Bound::End(end) => (distance >= end).then_some(false),
        };
        let reached = match bound(self.start) {
            Bound::Front(start) if start < index => Some(false),
            Bound::Front(_) if stride == 1 => Some(true),
            Bound::Front(start) => (begun > start).then(|| in_phase(start)),
            Bound::End(start) => (stride == 1 && distance >= start).then_some(true),
            Bound::None => (stride == 1).then_some(true),
        };
        both(below, reached)
    }

    /// How many more elements have to begin before an element is decided, at most; none if it takes the end
    /// of the array.
    pub fn window(self) -> Option<u64> {
        let forwards = self.step > 0;
        match (bound(self.start), bound(self.end)) {
            (Bound::End(start), _) if forwards => Some(start),
            (_, Bound::End(end)) if forwards => Some(end),
            (_, Bound::End(end)) => Some(end.saturating_sub(1)),
            (Bound::Front(start), _) => Some(start.saturating_add(1)),
            (Bound::End(start), _) if self.step == -1 => Some(start.saturating_sub(1)),
            (Bound::None | Bound::End(_), _) => None,
        }
    }

    /// How far from the end it looks.
    pub(crate) fn back(self) -> u64 {
        let size =
            |bound: Option<i64>| bound.filter(|bound| *bound < 0).map_or(0, i64::unsigned_abs);
        size(self.start).max(size(self.end))
    }

    /// The length up to which it matters how long the array is, whatever the distance from the end.
    pub(crate) fn border(self) -> u64 {
        match bound(self.start) {
            Bound::Front(start) if self.step < -1 => start.saturating_add(1),
            Bound::None | Bound::Front(_) | Bound::End(_) => 0,
        }
    }

    /// Its step where that is counted from the front, else 1.
    pub(crate) fn front_step(self) -> u64 {
        let from_front = match bound(self.start) {
            Bound::None => self.step > 0,
            Bound::Front(_) => true,
            Bound::End(_) => false,
        };
        if from_front { self.step.unsigned_abs() } else { 1 }
    }

    /// Its step where that is counted from the end, else 1.
    pub(crate) fn end_step(self) -> u64 {
        let from_front = self.step > 0 && !matches!(bound(self.start), Bound::End(_));
        if from_front { 1 } else { self.step.unsigned_abs() }
    }

    /// The bounds that count from the front: there it changes what it selects.
    pub(crate) fn fronts(self) -> impl Iterator<Item = u64> {
        [self.start, self.end]
            .into_iter()
            .flatten()
            .filter_map(|bound| {
                let bound = u64::try_from(bound).ok()?;
                Some([bound, bound.saturating_add(1)])
            })
            .flatten()
    }
}

fn both(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        (None, _) | (_, None) => None,
    }
}
