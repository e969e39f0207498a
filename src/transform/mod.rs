//! Changes one value as an [`Action`] says: its pseudonym, a coarser value, a mask, or `null`.
//!
//! It must never know who asks, for whom, or where in a document the value stands; it reads no
//! clock and no file: the day and the keys are arguments. Nothing of a value or of a key shows in
//! `Debug` or in an error. A value that an action cannot treat is *unfit* and becomes `null`: the
//! raw value never passes.
//!
//! ```
//! use tamis::transform::{Action, Applied, Context, Mask, NoKeys, Scalar, Transform};
//!
//! let action = Action::Mask(Mask { keep_last: 4, ..Mask::default() });
//! let transform = Transform::new(&action, "support", &NoKeys);
//! let context = Context { today: jiff::civil::date(2026, 3, 14) };
//!
//! let mut out = Vec::new();
//! let iban = Scalar::String("FR7630006000011234567890189".into());
//! assert_eq!(transform.apply(&iban, &context, &mut out), Applied::Done);
//! assert_eq!(out, br#""********0189""#);
//! ```

mod action;
mod generalise;
mod keys;
mod mask;
mod pseudonym;
mod scalar;
#[cfg(test)]
mod tests;
mod validator;

use std::fmt;

use jiff::civil::Date;

pub use action::{Action, Generalisation, Mask, Precision};
pub use keys::{Epoch, Key, KeyError, Keys, NoKeys, RootKey, Use};
pub use scalar::Scalar;
pub use validator::Sealer;

use pseudonym::Pseudonymiser;

/// What an action may depend on besides the value itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The day on which the answer is given.
    pub today: Date,
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "an unfit value is counted as such"]
pub enum Applied {
    /// The action was carried out.
    Done,
    /// The action cannot treat this value.
    Unfit,
}

/// An action made ready for one purpose: its key is resolved.
pub struct Transform(Work);

/// What is left to do once the key is there.
enum Work {
    Keep,
    Pseudonymise(Option<Pseudonymiser>),
    Generalise(Generalisation),
    Mask(Mask),
    Withhold,
}

impl Transform {
    /// Makes `action` ready for `purpose`, which is the domain of a pseudonym that names none.
    pub fn new(action: &Action, purpose: &str, keys: &dyn Keys) -> Self {
        Self(match action {
            Action::Keep => Work::Keep,
            Action::Pseudonym { domain } => {
                let domain = domain.as_deref().unwrap_or(purpose);
                let key = keys.key(Use::Pseudonym, domain, pseudonym::EPOCH);
                Work::Pseudonymise(key.and_then(|key| Pseudonymiser::new(&key)))
            }
            Action::Generalise(generalisation) => Work::Generalise(*generalisation),
            Action::Mask(mask) => Work::Mask(*mask),
            Action::Null | Action::Drop | Action::Deny => Work::Withhold,
        })
    }

    /// Whether the key that the action needs was there. Without it every value is unfit.
    pub fn is_ready(&self) -> bool {
        !matches!(self.0, Work::Pseudonymise(None))
    }

    /// Whether what a value becomes depends on the day.
    pub fn asks_the_day(&self) -> bool {
        matches!(self.0, Work::Generalise(Generalisation::AgeBand(_)))
    }

    /// Appends what `value` becomes to `out`: always one complete JSON value, `null` when unfit.
    ///
    /// `null` stays `null`. Removing a value is the caller's part: here `drop` and `deny` write
    /// `null`, so that even a caller's mistake lets nothing out.
    pub fn apply(&self, value: &Scalar<'_>, context: &Context, out: &mut Vec<u8>) -> Applied {
        if *value == Scalar::Null {
            out.extend_from_slice(scalar::NULL);
            return Applied::Done;
        }
        let start = out.len();
        if self.write(value, context.today, out).is_some() {
            return Applied::Done;
        }
        out.truncate(start);
        out.extend_from_slice(scalar::NULL);
        Applied::Unfit
    }

    /// Appends the pseudonym of a member name, with its quotes.
    ///
    /// A name is pseudonymised as a string value is, so the two join. For any other action, and
    /// without a key, the name is unfit and nothing is written.
    pub fn apply_name(&self, name: &str, out: &mut Vec<u8>) -> Applied {
        let start = out.len();
        if let Work::Pseudonymise(Some(pseudonymiser)) = &self.0
            && pseudonymiser.write(name.as_bytes(), out).is_some()
        {
            return Applied::Done;
        }
        out.truncate(start);
        Applied::Unfit
    }

    /// What a text becomes that stands alone, outside of JSON; none if nothing of it leaves, because
    /// it is withheld or unfit.
    ///
    /// ```
    /// use tamis::transform::{Action, Context, Generalisation, NoKeys, Transform};
    ///
    /// let context = Context { today: jiff::civil::date(2026, 3, 14) };
    /// let network = Transform::new(&Action::Generalise(Generalisation::Ip), "support", &NoKeys);
    /// assert_eq!(network.apply_text("192.0.2.77", &context).as_deref(), Some("192.0.2.0"));
    /// assert_eq!(network.apply_text("anna@example.org", &context), None);
    /// ```
    pub fn apply_text(&self, text: &str, context: &Context) -> Option<String> {
        if matches!(self.0, Work::Keep) {
            return Some(text.to_owned());
        }
        let mut out = Vec::new();
        self.write(&Scalar::String(text.into()), context.today, &mut out)?;
        // Only what is withheld is no string now.
        serde_json::from_slice(&out).ok()
    }

    /// Appends what `value` becomes, or gives `None` if it is unfit, whatever was written by then.
    fn write(&self, value: &Scalar<'_>, today: Date, out: &mut Vec<u8>) -> Option<()> {
        match &self.0 {
            Work::Keep => value.write(out),
            Work::Pseudonymise(pseudonymiser) => {
                pseudonymiser.as_ref()?.write(value.identity()?, out)
            }
            Work::Generalise(generalisation) => generalisation.write(value, today, out),
            Work::Mask(mask) => mask.write(value, out),
            Work::Withhold => Scalar::Null.write(out),
        }
    }
}

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transform(..)")
    }
}
