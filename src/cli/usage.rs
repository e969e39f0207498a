//! What the command line has to say about arguments that it cannot take, and what was probably meant.

use std::{ffi::OsStr, path::Path};

use clap::{
    Command,
    builder::StyledStr,
    error::{ContextKind, ContextValue, Error},
};

/// Puts in the place of the tips of clap those that know what the arguments of tamis mean. `command` is the
/// command that was typed.
pub(super) fn explain(error: &mut Error, known: &Command, command: Option<&str>) {
    // It is how a value that begins with a dash would be passed, and tamis takes none.
    error.remove(ContextKind::Suggested);
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        Some(_) | None => None,
    };
    let tip = match (text(ContextKind::InvalidSubcommand), text(ContextKind::InvalidArg)) {
        (Some(_), _) => {
            error.get(ContextKind::SuggestedSubcommand).is_none().then(|| commands(known))
        }
        // What is called almost so is nearer than what we would say.
        (None, Some(_)) if error.get(ContextKind::SuggestedArg).is_some() => None,
        (None, Some(argument)) => unexpected(command.unwrap_or_default(), argument),
        (None, None) => None,
    };
    if let Some(tip) = tip {
        let tip = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
        error.insert(ContextKind::Suggested, tip);
    }
}

/// The names of all commands.
fn commands(known: &Command) -> String {
    let names: Vec<&str> = known.get_subcommands().map(Command::get_name).collect();
    format!("the commands are {}", names.join(", "))
}

/// What an argument was probably meant for that a command does not take.
fn unexpected(command: &str, argument: &str) -> Option<String> {
    let name = argument.split_once('=').map_or(argument, |(name, _)| name);
    match (command, name) {
        ("check" | "test" | "explain", "--policies" | "--dir" | "--folder") => {
            Some(format!("the folder of the policies is an argument: `tamis {command} DIR`"))
        }
        ("serve", "--policies" | "--dir" | "--folder") => Some(
            "the settings name the folder of the policies: `policies: DIR`; so does the variable TAMIS__POLICIES"
                .to_owned(),
        ),
        ("check" | "test" | "apply" | "explain", "--config" | "--settings") => Some(
            "only `tamis serve` reads settings: `tamis serve --config FILE --check` checks them with the policies"
                .to_owned(),
        ),
        ("serve", option) if option.starts_with('-') => {
            (!matches!(option, "-h" | "-V")).then(|| {
                "what `tamis serve` does is said in the settings: `tamis serve --config FILE`".to_owned()
            })
        }
        ("serve", folder) if Path::new(folder).is_dir() => Some(format!(
            "use `--config` to name the settings, and there `policies: {folder}` to name the folder of the policies"
        )),
        ("serve", file) => {
            Some(format!("use `--config` to name the settings: `tamis serve --config {file}`"))
        }
        ("apply" | "explain", path) if path.starts_with('/') => {
            Some("write method and path in one argument, in quotes: 'GET /customers/C-1042'".to_owned())
        }
        ("check" | "test", more) if !more.starts_with('-') => {
            Some(format!("`tamis {command}` takes one folder, and reads all its files"))
        }
        _ => None,
    }
}

/// The first word of a command line that is no option.
pub(super) fn command_of<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> Option<&'a str> {
    let mut words = arguments.into_iter().skip(1).filter_map(OsStr::to_str);
    words.find(|word| !word.starts_with('-'))
}
