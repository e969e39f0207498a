//! A tamis is a fine sieve. This one stands in front of internal APIs and lets through what the
//! caller's purpose needs:
//!
//! > a *caller* asks, for a *purpose*, on a *route*; each field has a *category*; the rule for
//! > (purpose, category) says what happens; if nothing is said, the field is removed.
//!
//! That sentence is the whole product; `policies/README.md` gives its exact rules. This page says how
//! the code is laid out and what holds everywhere in it.
//!
//! # What is always true
//!
//! Each of these has a test that breaks when it is not.
//!
//! 1. **Default deny.** No caller, no purpose, no route, no rule, an unreadable body, an unlisted
//!    parameter, an overrun limit: the value does not leave. There is no switch by which a body that
//!    failed passes.
//! 2. **Only decided bytes leave.** A body that goes wrong is refused from that byte on, and the error
//!    cannot be missed: every later call gives it again.
//! 3. **Noninterference.** Replace any withheld value by any other: the output stays the same, byte for
//!    byte. (Where a path of the plan can go below that place, by any other scalar: that such a place
//!    holds a container is not hidden.)
//! 4. **Untouched bytes are the same bytes.** Numbers, key order, white space, escapes and duplicate keys
//!    are never parsed and printed again.
//! 5. **Memory does not grow with the body.** Every buffer has a named limit ([`json::Limits`]).
//! 6. **Nothing personal in our own output**: errors and `Debug` carry offsets, codes and names of the
//!    policies, never bytes of a document or of a key.
//! 7. **The decision is a finite table**: purpose by category by route. So a policy can be checked and
//!    explained exactly.
//!
//! # The rooms
//!
//! One crate, and one-way doors between its rooms. Each room's first page says what it does, what it
//! must never know, and shows one example; `tests/it/architecture.rs` holds the table of who may use
//! whom, and is a test.
//!
//! | room | what it does | may use |
//! |---|---|---|
//! | [`path`] | RFC 9535 paths, compiled to one automaton | – |
//! | [`json`] | rewrites a JSON byte stream in bounded memory, validating as it goes | path |
//! | [`transform`] | what happens to one value: the actions, the keys | – |
//! | [`access`] | the record of one access, and why a request is denied or a body refused | – |
//! | [`policy`] | YAML to findings to a [`PolicySet`](policy::PolicySet); decides, explains | access, path, transform |
//! | [`enforce`] | carries out one decision on one body, and counts | access, json, path, policy, transform |
//! | [`config`] | settings as they are written, then settings as they are checked | – |
//! | [`metrics`] | turns the records into time series, of which there is a most | access |
//! | [`reload`] | reads and watches the folder of policies; keeps those in force | policy, transform |
//! | [`proxy`] | the only room that knows Pingora: requests in, responses out, and what operations see | all but cli and path |
//! | [`cli`] | one file a command | all |
//!
//! `json` never sees a caller; `policy` never sees a body. Files, the clock and randomness are met in
//! `reload`, `proxy` and `cli` only; elsewhere they come in as arguments. Unsafe code is forbidden.
//!
//! # The way of a policy
//!
//! [`reload::read_folder`] reads the files, [`policy::load`] makes a tree of each, with the place of every
//! word, checks them all together and gives every finding at once. If none is an error, there is a set:
//! names are looked up, records are written out on their routes, and for each route the paths become
//! one [`path::Program`]. For each purpose a [`policy::Plan`] says what happens in each state of that
//! program. Ties are settled then, and so is where a path can still go on below: what is left to do
//! while bytes go by is a table look-up per node.
//!
//! # The way of a body
//!
//! [`PolicySet::decide`](policy::PolicySet::decide) gives a [`Permit`](policy::Permit) with the plan, or a
//! [`Denial`](policy::Denial). An [`enforce::Enforcement`] takes the body in chunks. Below it a
//! [`json::Rewriter`] finds tokens, keeps the grammar and asks at each node what happens to it; commas,
//! names and white space wait until the value behind them is decided. What leaves goes to a
//! [`json::Sink`]; a captured scalar goes through its [`transform::Transform`] first. At the end the
//! [`Tally`](enforce::Tally) has counted what left, by category and action.
//!
//! # Words
//!
//! *Caller* is who asks; the person whom data is about is the *subject*. A request is *denied*, a body
//! is *refused*. A *record* is what the policies call the description of an object, its *fields* are
//! paths with a category. An *access* is one value that leaves. British spelling, as the GDPR has it.

pub mod access;
pub mod cli;
pub mod config;
pub mod enforce;
pub mod json;
pub mod metrics;
pub mod path;
pub mod policy;
pub mod proxy;
pub mod reload;
pub mod transform;
