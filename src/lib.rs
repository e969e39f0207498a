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
//! | [`proxy`] | the only room that knows Pingora: requests in, responses out, and what operations see | all but cli, frame, path and source |
//! | [`cli`] | one file a command | all but coding |
//!
//! `json` never sees a caller; `policy` never sees a body. Files, the clock and randomness are met in
//! `reload`, `proxy` and `cli` only; elsewhere they come in as arguments. Each file that a setting or a policy
//! names is opened by [`files`]. One exception: when the metrics are rendered, their library asks the
//! kernel what this process takes. Unsafe code is denied but for
//! `json::kernel`, where the instructions are that only some processors have ([`json::Kernel`]).
//!
//! # A policy file's life
//!
//! 1. `reload/folder.rs` reads the texts of the folder; `policy/loader.rs` takes them from there.
//! 2. `source/yaml.rs` makes a tree of each text, with the place of every word.
//! 3. `policy/read/mod.rs` turns each tree into what is written: keys known, names not yet looked up.
//! 4. `policy/check/mod.rs` looks names up across all files, and writes records out on their routes.
//!    `policy/lint.rs` adds what is right and still worth a look.
//! 5. `policy/compile.rs` compiles the paths of each route into one [`path::Program`]
//!    (`path/program.rs`, `path/automaton.rs`), and for each purpose a [`policy::Plan`]
//!    (`policy/plan.rs`): ties are settled, and so is where a path can still go on below. While bytes
//!    go by, a table look-up per node is left to do.
//! 6. `policy/explain/disclosure.rs` finds filters that would tell what is withheld.
//! 7. Every finding of every step comes back at once (`source/finding.rs`). If none is an error, there
//!    is a [`PolicySet`](policy::PolicySet) (`policy/set.rs`): checked policies, and a plan for all
//!    that can be asked.
//! 8. `reload/watch.rs` looks at the folder on a thread of its own: on SIGHUP, when the system reports a
//!    change, and every few seconds. Only texts that two readings in a row agree on are loaded.
//!    Policies that are right and fit the settings (`proxy/unmet.rs`) come into force at once and as a
//!    whole (`reload/mod.rs`); any others change only the log and a gauge.
//! 9. A request asks [`reload::Policies::current`] once, and keeps that set until its response has
//!    ended. A set that nobody holds any more is dropped.
//!
//! # A caller's identity
//!
//! 1. `policy/read/callers.rs` reads how a caller is recognised; `config/settings.rs` holds the digests
//!    of API keys; `proxy/unmet.rs` refuses policies whose callers have none.
//! 2. `proxy/arrival.rs` takes a request apart. `proxy/admission.rs` takes its `Api-Key`, once.
//! 3. `proxy/identify.rs` asks each kind of credential for a [`policy::Caller`]. An invalid credential
//!    fails the request, whatever the others say; so do two that name different callers.
//! 4. `proxy/quota.rs` counts the request against the caller's limits.
//! 5. `policy/decide.rs` gets the caller itself, with the stated purpose and the target, and gives a
//!    [`Permit`](policy::Permit) or a [`Denial`](policy::Denial).
//! 6. `proxy/journey.rs` keeps the caller's name on the record ([`access::AccessRecord`], `access.rs`);
//!    `metrics.rs` and `proxy/access_log.rs` get it when the record is written.
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
//! # A response's bytes
//!
//! 1. `proxy/exchange.rs` reads the upstream's head and then its body, a chunk at a time. It reads the
//!    next chunk only when the client has taken the one before.
//! 2. `proxy/flow.rs` is the only way out: it opens with the head, and every chunk goes through it. A
//!    panic below it ends this response and no other.
//! 3. `message/treatment.rs` decides by status, media type and coding what becomes of the body: it is
//!    sieved, replaced, left out, or passes by a rule; or the response is refused. `message/headers.rs`
//!    makes the head anew from a list, each header as the plan treats its category;
//!    `message/validators.rs` seals the upstream's validators where a rule gives them out.
//! 4. `message/body.rs` hands each chunk to `message/pipe.rs`: decoded (`coding/decode.rs`), sieved, and
//!    encoded as the client likes it (`coding/encode.rs`).
//! 5. `frame/mod.rs` finds the documents in a body that holds many, and keeps the framing around them.
//! 6. `enforce/mod.rs` carries out the plan on one document. Below it, `json/rewriter/chunks.rs` takes
//!    the chunks, `json/kernel/mod.rs` finds the tokens, and `json/rewriter/walker.rs` keeps the grammar
//!    and asks at each node what happens to it (`enforce/decisions.rs`).
//! 7. Where a filter asks about a value, `json/rewriter/pending.rs` buffers it until it is answered
//!    (`json/filter/mod.rs`); where one asks about the document, `json/rewriter/held_document.rs` holds
//!    all of it first.
//! 8. A captured scalar goes through its [`transform::Transform`] (`transform/mod.rs`), or, if it is a
//!    string that holds a document, through a rewriter of its own (`enforce/embedded.rs`).
//! 9. `json/rewriter/output.rs` holds commas, names and white space until the value behind them is
//!    decided, and then writes them to the [`json::Sink`]. `enforce/tally.rs` counts what leaves.
//! 10. `proxy/client.rs` writes the decided bytes to the client. At the end, of whichever kind, the body
//!     has to be complete; trailers stay here.
//! 11. `proxy/journey.rs` gives the record its counts, decision and times, and hands it to `metrics.rs`
//!     and `proxy/access_log.rs`, which has a thread and a bounded queue of its own: records beyond the
//!     queue are lost, and counted. If this step is never reached, the record is written as it is when
//!     its owner is dropped.
//!
//! # Words
//!
//! The code and the documents use these words, and each for one thing.
//!
//! | word | meaning |
//! |---|---|
//! | client | the program at the other end of a connection to a listener |
//! | caller | whom a request comes from, by the policies: identified by a credential |
//! | subject | the person whom data is about |
//! | upstream | the server that requests are sent on to |
//! | connection | one of TCP, TLS or a UNIX socket; on HTTP/2 it carries many streams |
//! | request, response | *in flight* from its head until its last byte is with the kernel |
//! | chunk | the bytes of a body that one read gave |
//! | buffer | bytes that are held; each has a named limit, its *cap* |
//! | trusted | of a certificate: its chain of *intermediate certificates* ends in an authority that is configured |
//! | expire | what a timer does to what it guards |
//! | abort | ends a response that has begun, so that the client cannot take it for complete |
//! | deny, refuse | a request is *denied*; a body or a response is *refused* |
//! | graceful shutdown | what SIGTERM begins: no more requests are taken, and those in flight may end |
//! | record | in a policy: the description of an object, whose *fields* are paths with a category |
//! | access, access record | one value that leaves; one line for each request |
//!
//! Spelling is British, as in the GDPR.

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
