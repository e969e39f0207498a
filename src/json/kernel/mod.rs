//! Where the tokens of a document begin: the first stage, which looks at every byte.
//!
//! A kernel turns bytes into the positions of tokens and checks what is inside of strings. All
//! kernels give the same [`Events`] and leave the same [`Carry`] behind; this is the only place
//! where an implementation may differ by processor, and the only one with unsafe code: a [`Lanes`]
//! asks for instructions that not every processor has, and so it only comes out of a check for
//! them.
//!
//! A kernel for another processor is one more [`Lanes`]: what `blocks` does with the masks stays as
//! it is. There is none for NEON yet, because there was no such processor to prove it on; there,
//! the portable kernel reads.
//!
//! [`Lanes`]: blocks::Lanes

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(any(target_arch = "x86_64", test))]
mod blocks;
mod events;
mod portable;
#[cfg(test)]
pub(crate) mod sweep;
#[cfg(test)]
mod tests;
mod trial;

use std::{fmt, sync::OnceLock};

#[cfg(target_arch = "x86_64")]
use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use avx512::Avx512;
use events::Scan as _;
pub(crate) use events::{Carry, Events, WINDOW_BYTES_MAX};
use portable::Portable;

/// The instructions that documents are read with: each kernel does the same, and the better ones do
/// it to more bytes at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kernel(Choice);

/// A kernel is a value that is only there if this processor can run it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

const PORTABLE: Kernel = Kernel(Choice::Portable);

/// The word for each kernel that there is on any processor.
const WORDS: [&str; 3] = ["portable", "avx2", "avx512"];

/// Why a word names no kernel to read with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// There is no kernel of this name.
    #[error("there is no such kernel: write {}", WORDS.join(", "))]
    Unknown,
    /// There is, but not for this processor.
    #[error("this processor lacks the instructions of that kernel: it has {}", there())]
    Missing,
}

fn there() -> String {
    Kernel::all().map(Kernel::name).collect::<Vec<_>>().join(", ")
}

/// What every rewriter reads with that is not told otherwise.
static IN_USE: OnceLock<Kernel> = OnceLock::new();

impl Kernel {
    /// The kernels that this processor can run, the best one last.
    pub fn all() -> impl Iterator<Item = Self> {
        let portable = Some(Choice::Portable);
        #[cfg(target_arch = "x86_64")]
        let others = [Avx2::detect().map(Choice::Avx2), Avx512::detect().map(Choice::Avx512)];
        #[cfg(not(target_arch = "x86_64"))]
        let others = [];
        [portable].into_iter().chain(others).flatten().map(Self)
    }

    /// The kernel of this name: `portable`, `avx2` or `avx512`.
    pub fn named(word: &str) -> Result<Self, KernelError> {
        if !WORDS.contains(&word) {
            return Err(KernelError::Unknown);
        }
        Self::all().find(|kernel| kernel.name() == word).ok_or(KernelError::Missing)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self.0 {
            Choice::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Choice::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Choice::Avx512(_) => "avx512",
        }
    }

    /// The kernel that the process reads with: the best one, unless another was
    /// [forced](Kernel::force). A processor may be one that no test has met: a kernel that reads
    /// the trials otherwise than the portable one is not used.
    pub fn in_use() -> Self {
        *IN_USE.get_or_init(|| {
            Self::all().fold(PORTABLE, |best, kernel| kernel.proven().unwrap_or(best))
        })
    }

    /// Makes the process read with this kernel. The first one stays: it gives back which one that
    /// is.
    #[must_use = "it may be another one that stays"]
    pub fn force(self) -> Self {
        *IN_USE.get_or_init(|| self.proven().unwrap_or(PORTABLE))
    }

    fn proven(self) -> Option<Self> {
        let scan = |carry: &mut _, window: &_, events: &mut _| self.scan(carry, window, events);
        let portable =
            |carry: &mut _, window: &_, events: &mut _| PORTABLE.scan(carry, window, events);
        trial::passes(scan, portable).then_some(self)
    }

    /// Finds the tokens in `window`: see [`Scan::scan`](events::Scan::scan).
    #[inline]
    pub(crate) fn scan(
        self,
        carry: &mut Carry,
        window: &[u8],
        events: &mut Events,
    ) -> Result<(), usize> {
        events.clear();
        match self.0 {
            Choice::Portable => Portable.scan(carry, window, events)?,
            #[cfg(target_arch = "x86_64")]
            Choice::Avx2(avx2) => avx2.scan(carry, window, events)?,
            #[cfg(target_arch = "x86_64")]
            Choice::Avx512(avx512) => avx512.scan(carry, window, events)?,
        }
        events.end();
        Ok(())
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
