//! The binary; everything it does is in the library.

use std::{env, io, panic, process::ExitCode};

fn main() -> ExitCode {
    panic::set_hook(Box::new(|panic| tamis::cli::panicked(panic, &mut io::stderr())));
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    tamis::cli::main(env::args_os(), &mut stdin.lock(), &mut stdout.lock(), &mut stderr.lock())
}
