//! The commands of `tamis`: what was typed, what is done about it, and with which code it exits.
//!
//! Arguments and streams come in from outside, so that a test can run a command in its own process.
//!
//! **Must never know** how a decision is made: the commands load policies, ask them and carry out
//! what they say through the same doors as the proxy. What they print on stderr quotes arguments
//! and policies, and nothing of a body, a parameter or a key.
//!
//! ```
//! let arguments = ["tamis", "check", "policies"].map(Into::into);
//! let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
//! let code = tamis::cli::main(arguments, &mut std::io::empty(), &mut stdout, &mut stderr);
//! assert_eq!(code, std::process::ExitCode::SUCCESS);
//! assert!(String::from_utf8(stdout)?.contains("policies are fine"));
//! # Ok::<(), std::string::FromUtf8Error>(())
//! ```

mod apply;
mod check;
mod demo;
mod explain;
mod folder;
mod log;
mod outcome;
mod serve;
mod streams;
mod test;
mod usage;

use std::{
    ffi::OsString,
    io::{self, BufWriter, Read, Write},
    panic::PanicHookInfo,
    process::ExitCode,
};

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::json::Kernel;

use outcome::{Exit, Failure};
use streams::{Streams, say};

/// Bytes that wait in memory for stdout.
const OUT_BYTES: usize = 64 << 10;

/// Lets through what the caller's purpose needs.
///
/// A caller asks, for a purpose, on a route; each field has a category; the rule for purpose and
/// category says what happens; if nothing is said, the field is removed.
#[derive(Debug, Parser)]
#[command(name = "tamis", version, after_help = AFTER_HELP)]
#[command(arg_required_else_help = true, subcommand_required = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  fine
  1  found something: a request is denied, a policy is wrong, a test fails
  2  could not be done: wrong arguments, or a file that cannot be read or written
  3  apply only: the body is refused

Example: write policies, prove them, and see what they do
  tamis check policies && tamis test policies
  tamis apply --caller support-desk --request 'GET /customers/C-1042' customer.json

`tamis COMMAND --help` says more about a command.";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Apply(apply::Apply),
    Check(check::Check),
    Test(test::Test),
    Explain(explain::Explain),
    /// Prints the version.
    Version,
}

/// Runs the command that `arguments` name; the first is the name of the program.
pub fn main(
    arguments: impl IntoIterator<Item = OsString>,
    stdin: &mut dyn Read,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> ExitCode {
    let mut out = BufWriter::with_capacity(OUT_BYTES, stdout);
    let mut streams = Streams { stdin, out: &mut out, err: stderr };
    run(arguments, &mut streams).into()
}

fn run(arguments: impl IntoIterator<Item = OsString>, streams: &mut Streams<'_>) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let done = match Arguments::try_parse_from(&arguments) {
        Ok(Arguments { command: Command::Version }) => version(streams),
        Ok(Arguments { command }) => choose_kernel().and_then(|()| match command {
            Command::Serve(serve) => serve.run(streams),
            Command::Demo(demo) => demo.run(streams),
            Command::Apply(apply) => apply.run(streams),
            Command::Check(check) => check.run(streams),
            Command::Test(test) => test.run(streams),
            Command::Explain(explain) => explain.run(streams),
            Command::Version => version(streams),
        }),
        Err(mut error) => {
            let words = arguments.iter().map(OsString::as_os_str);
            usage::explain(&mut error, &Arguments::command(), usage::command_of(words));
            show(&error, streams)
        }
    };
    // What is decided leaves, however the command ends.
    let flushed = streams.out.flush().map_err(Failure::from);
    match done.and_then(|exit| flushed.map(|()| exit)) {
        Ok(exit) => exit,
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Exit::PipeClosed
        }
        Err(failure) => {
            streams.say(format_args!("error: {failure}"));
            match failure {
                Failure::Cannot { help: Some(help), .. } => {
                    streams.say(format_args!("  help: {help}"));
                    Exit::Cannot
                }
                Failure::NotReplaced(_) => Exit::Found,
                Failure::Cannot { help: None, .. }
                | Failure::Policies
                | Failure::Misfit
                | Failure::Settings
                | Failure::Output(_) => Exit::Cannot,
            }
        }
    }
}

/// Makes the process read bodies as `TAMIS_KERNEL` says. A wrong word is an error: whoever writes one
/// means a certain kernel, and would take another for it.
fn choose_kernel() -> Result<(), Failure> {
    let Some(word) = std::env::var_os("TAMIS_KERNEL") else { return Ok(()) };
    let word = word.to_string_lossy();
    let wrong = |why: String| Failure::cannot(format!("TAMIS_KERNEL={word}: {why}"));
    let kernel = Kernel::named(&word).map_err(|error| wrong(error.to_string()))?;
    let used = kernel.force();
    if used == kernel { Ok(()) } else { Err(wrong(format!("{} is in use", used.name()))) }
}

/// Prints what `--version` does.
fn version(streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    write!(streams.out, "{}", Arguments::command().render_version())?;
    Ok(Exit::Fine)
}

/// Help and version that were asked for are an answer; all else that clap has to say is an error.
fn show(usage: &clap::Error, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    if usage.use_stderr() {
        streams.say(usage.to_string().trim_end());
        return Ok(Exit::Cannot);
    }
    write!(streams.out, "{usage}")?;
    Ok(Exit::Fine)
}

/// Says where a panic happened, and not what it says: the message of a panic can quote a value.
pub fn panicked(panic: &PanicHookInfo<'_>, stderr: &mut dyn Write) {
    match panic.location() {
        Some(at) => say(stderr, format_args!("error: this is a bug in tamis, at {at}")),
        None => say(stderr, "error: this is a bug in tamis"),
    }
}
