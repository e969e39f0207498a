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
//! 1. **Default deny**, in both directions. No policies, no caller, no purpose, no route, no rule, an
//!    unreadable body, a content coding, an unlisted parameter or header, an overrun limit, a panic: the
//!    value does not leave. There is no switch by which a body that failed passes.
//! 2. **Only decided bytes leave.** A body that goes wrong is refused from that byte on, and the error
//!    cannot be missed: every later call gives it again, and a client is never shown an end (no last
//!    chunk in HTTP/1.1, a reset in HTTP/2). Where no byte has left, it is told why instead.
//! 3. **Noninterference.** Replace any withheld value by any other: the output stays the same, byte for
//!    byte. (Where a path of the plan can go below that place, by any other scalar: that such a place
//!    holds a container is not hidden. Where a filter asks about a place, by one with the same answer.)
//! 4. **Untouched bytes are the same bytes.** Numbers, key order, white space, escapes and duplicate keys
//!    are never parsed and printed again.
//! 5. **Memory does not grow with the body.** Every buffer has a named limit ([`json::Limits`]), also that for a
//!    document that is held, because a filter of the route asks about all of it.
//! 6. **A response ends under the policies that it began with**, and their digest is on its record.
//! 7. **Every request is on record once**, if it is HTTP at all, whatever happens to it: allowed, denied,
//!    refused or aborted.
//! 8. **Nothing personal in our own output**: errors, `Debug`, logs, metrics and problems carry offsets,
//!    codes and names of the policies, never bytes of a document, of a key or, but for the id of its
//!    trace, of a request.
//! 9. **The decision is a finite table**: purpose by category by route. So a policy can be checked and
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
//! | [`source`] | texts that people write: YAML with the place of everything, findings and how they are shown | path |
//! | [`policy`] | YAML to findings to a [`PolicySet`](policy::PolicySet); decides, explains | access, path, source, transform |
//! | [`enforce`] | carries out one decision on one body, and counts | access, json, path, policy, transform |
//! | [`frame`] | finds the documents in a body that holds many, and puts its framing around what leaves | enforce, json, policy, transform |
//! | [`coding`] | content codings: unpacks what upstreams packed, packs for clients | – |
//! | [`message`] | one HTTP message through one plan: its head, and how its body is treated | access, coding, enforce, frame, json, policy, transform |
//! | [`files`] | opens what is named as a file: only if it is one, without waiting, and so many bytes at most | – |
//! | [`config`] | settings as they are written, then settings as they are checked | files, source |
//! | [`metrics`] | turns the records into time series, of which there is a most | access |
//! | [`reload`] | reads and watches the folder of policies; keeps those in force | files, policy, transform |
//! | [`proxy`] | the only room that knows Pingora: requests in, responses out, and what operations see | all but cli, frame and path |
//! | [`cli`] | one file a command | all |
//!
//! `json` never sees a caller; `policy` never sees a body. Files, the clock and randomness are met in
//! `reload`, `proxy` and `cli` only; elsewhere they come in as arguments. Each file that a setting or a policy
//! names is opened by [`files`]. One exception: when the metrics are rendered, their library asks the
//! kernel what this process takes. Unsafe code is denied but for
//! `json::kernel`, where the instructions are that only some processors have ([`json::Kernel`]).
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
//! While the proxy runs, a [`reload::Reloader`] looks at the folder on a thread of its own: on SIGHUP, when
//! the system says that something has changed, and every few seconds. Only texts that two readings in a
//! row agree on are judged. Policies that are right and fit the settings are put in force at once and as
//! a whole; any others change nothing but the log and a gauge. A request asks
//! [`reload::Policies::current`] once, and holds on to the set until its response has ended.
//!
//! # The way of a request
//!
//! All of it is in [`proxy`], in the order of [`access::Reason`]:
//!
//! 1. A record begins, as that of something that went wrong; the policies in force are taken. Without
//!    them, with too many requests in progress or in another version of HTTP, it is denied.
//! 2. The request line becomes a [`policy::Target`], which has one meaning or is denied. `Api-Key` and
//!    `Data-Purpose` may stand once.
//! 3. `identify` asks each kind of credential for a caller: they name one, or it is denied, but where a rule
//!    says that anybody may ask. A browser that only asks whether it may is answered before.
//! 4. [`PolicySet::decide`](policy::PolicySet::decide) gives a [`Permit`](policy::Permit) with the plan, or a
//!    [`Denial`](policy::Denial). A denial is answered with a problem, and no upstream hears of it.
//! 5. The permit becomes a passage, which from here on owns the record.
//! 6. Headers that are on no list are taken off, `Accept` and its like are written anew, and the upstream
//!    is asked. A body goes on as it is, where a rule lets it.
//!
//! One task carries a request and its response (`proxy::exchange`), so nothing is queued between the two sides:
//! while one side is slow, the other is not read. The deadlines of both stand around that task.
//!
//! # The way of a response
//!
//! 1. Only a passage makes a flow, and only a flow lets a head and the bytes behind it through. By status, media type
//!    and coding, a [`message::Treatment`] says how every byte of the body will be treated, or refuses the response: it is
//!    sieved, or replaced, or left out, or passes by a rule, or may not be there.
//! 2. The head is made anew of the status and of headers that are on a list, each as the plan treats its
//!    category, with the purpose and the policies that were applied; where a rule gives validators out,
//!    the upstream's is sealed for this purpose and caller.
//! 3. Each chunk goes through the pipe: unpacked if the upstream packed it, sieved, and packed as the
//!    client likes it ([`coding`]). What is refused, or panics, ends the exchange: no byte passes after it.
//! 4. At the end, of whichever kind, the body has to be complete. Trailers stay here.
//! 5. The record gets the counts, the decision and the times, and goes to [`metrics`] and to the access log,
//!    which has a thread of its own and a bounded queue: what it cannot take is lost, and counted. If
//!    this step is never reached, the record is written as it is when its owner goes.
//!
//! # The way of a body
//!
//! An [`enforce::Enforcement`] takes the body in chunks, and carries out the plan of the permit. Below it a
//! [`json::Rewriter`] finds tokens, keeps the grammar and asks at each node what happens to it; commas,
//! names and white space wait until the value behind them is decided. Where a filter asks about the
//! document, that is held and validated to its end first, and then goes the same way. What leaves goes to a
//! [`json::Sink`]; a captured scalar goes through its [`transform::Transform`] first, or, if it is a string
//! that holds a document, through a rewriter of its own. Where a body holds many documents, a
//! [`frame::Framed`] finds them, and each is as a body of its own. At the end the
//! [`Tally`](enforce::Tally) has counted what left, by category and action.
//!
//! # Words
//!
//! *Caller* is who asks; the person whom data is about is the *subject*. A request is *denied*, a body
//! is *refused*. A *record* is what the policies call the description of an object, its *fields* are
//! paths with a category. An *access* is one value that leaves. British spelling, as the GDPR has it.

pub mod access;
pub mod cli;
pub mod coding;
pub mod config;
pub mod enforce;
pub mod files;
pub mod frame;
pub mod json;
pub mod message;
pub mod metrics;
pub mod path;
pub mod policy;
pub mod proxy;
pub mod reload;
pub mod source;
pub mod transform;
