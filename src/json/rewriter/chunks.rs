//! The rewriter: takes a document chunk by chunk, holds what waits, and refuses all after an error.

use std::{fmt, sync::Arc};

use crate::{
    json::{
        edits::{Edits, Sink},
        kernel::Kernel,
        limits::{Limits, Violation},
        rewriter::{
            held_bytes::HeldBytes, held_document::HeldDocument, replay::ReplaySink, walker::Walker,
        },
    },
    path::{Program, State},
};

/// Rewrites one document. See the [module](crate::json).
pub struct Rewriter<E: Edits> {
    walker: Walker<E>,
    /// A value or elements that wait for an answer.
    held: HeldBytes,
    /// The document, where filters ask about it, until it is there.
    document: HeldDocument,
    failed: Option<Violation>,
}

impl<E: Edits> Rewriter<E> {
    /// A rewriter for one document, read with the paths of `program`.
    pub fn new(program: Arc<Program>, limits: Limits) -> Self {
        let start = program.start();
        Self::starting_at(program, start, limits)
    }

    /// A rewriter for a document that is itself a node of another one, which has matched `state`.
    pub fn starting_at(program: Arc<Program>, state: State, limits: Limits) -> Self {
        Self {
            walker: Walker::new(program, state, limits, Kernel::in_use()),
            held: HeldBytes::default(),
            document: HeldDocument::default(),
            failed: None,
        }
    }

    /// Reads with this kernel, rather than with [that of the process](Kernel::in_use).
    #[must_use]
    pub fn on(mut self, kernel: Kernel) -> Self {
        self.walker.read_with(kernel);
        self
    }

    /// Bytes of documents that it holds, or has room for, between two calls: what waits until it is
    /// decided.
    pub fn held_bytes(&self) -> usize {
        self.walker.held_bytes() + self.held.held_bytes() + self.document.held_bytes()
    }

    /// How many steps it has taken besides the walk over the tokens, which takes one for each:
    /// bytes that were looked at to answer what a path asks, comparisons, and positions of states
    /// that were made on the way.
    pub fn steps(&self) -> u64 {
        self.walker.steps()
    }

    /// Forgets the document, however far it has come: another one begins.
    pub fn restart(&mut self) {
        self.walker.restart();
        self.held = HeldBytes::default();
        self.document = HeldDocument::default();
        self.failed = None;
    }

    /// Reads the next bytes of the document, and lets go of what is decided.
    ///
    /// After an error nothing more comes out, and every further call gives the same error. What has
    /// left before was decided; the document it belonged to is not complete and must not seem so.
    pub fn push<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        edits: &mut E,
        sink: &mut S,
    ) -> Result<(), Violation> {
        self.guarded(|rewriter| {
            if rewriter.walker.program().asks_document() && !rewriter.document.is_there() {
                return rewriter.document.hold(chunk, &rewriter.walker);
            }
            rewriter.push_chunk(chunk, edits, sink)
        })
    }

    /// Ends the document, which must be complete.
    pub fn finish<S: Sink + ?Sized>(
        &mut self,
        edits: &mut E,
        sink: &mut S,
    ) -> Result<(), Violation> {
        self.guarded(|rewriter| {
            if let Some(document) = rewriter.document.end(&mut rewriter.walker, edits)? {
                let bytes = document.text().as_bytes();
                let sink: &mut dyn Sink = &mut ReplaySink::new(bytes, sink);
                rewriter.push_chunk(bytes, edits, sink)?;
            }
            rewriter.walker.finish_primitive(edits, sink);
            if rewriter.walker.is_complete() { Ok(()) } else { Err(Violation::Cut) }
        })
    }

    /// Runs a step unless one has failed before; one that panics has failed.
    fn guarded(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        if let Some(violation) = self.failed {
            return Err(violation);
        }
        // Stays where the step panics and the panic is caught: whoever calls again must not go on
        // behind it.
        self.failed = Some(Violation::Cut);
        let result = step(self);
        self.failed = result.err();
        result
    }

    fn push_chunk<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        edits: &mut E,
        sink: &mut S,
    ) -> Result<(), Violation> {
        self.walker.begin_chunk(chunk)?;
        let from =
            if self.walker.is_waiting() { self.resume(chunk, edits, sink)? } else { Some(0) };
        if let Some(from) = from
            && let Some(stopped) = self.walker.read(chunk, from, edits, sink)?
        {
            let offset = self.walker.park(chunk, stopped, edits, sink);
            self.held.begin(chunk.get(stopped..).unwrap_or_default(), offset);
        }
        self.walker.leave_chunk(chunk);
        Ok(())
    }

    /// Goes on with what waits. Gives the position in the chunk from where on it is to be read, if
    /// what waits does not wait for more.
    fn resume<S: Sink + ?Sized>(
        &mut self,
        chunk: &[u8],
        edits: &mut E,
        sink: &mut S,
    ) -> Result<Option<usize>, Violation> {
        let mut read = 0;
        while self.walker.is_waiting() {
            let Some(ends) = self.walker.resume(chunk, &mut self.held, edits, sink)? else {
                return Ok(None);
            };
            read = read.max(ends);
            let held = (self.held.waiting(), self.held.offset(), read > 0);
            let stopped = self.walker.replay(held, chunk, edits, sink)?;
            self.held.read_to(stopped);
        }
        self.walker.go_on_at(read);
        Ok(Some(read))
    }
}

/// Says where the rewriter stands and what it holds in bytes, and none of the bytes.
impl<E: Edits> fmt::Debug for Rewriter<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rewriter")
            .field("offset", &self.walker.offset())
            .field("depth", &self.walker.depth())
            .field("expect", &self.walker.expect())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
