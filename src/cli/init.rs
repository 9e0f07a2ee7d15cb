//! `shakedown init`: looks at what is there and writes a commented configuration.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::ConfigArgs;
use super::exit::{CliError, Exit, HANGING, say, say_folded};
use super::tools::TOOLS;
use crate::config::{DEFAULT_FILE, SHIPPED};

/// The commented configuration, without the workloads.
pub const TEMPLATE: &str = include_str!("template.yaml");

/// Options of `init`.
#[derive(clap::Args)]
pub struct InitArgs {
    /// Where to write [default: what --config names, else shakedown.yaml]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrites a file that is there
    #[arg(long)]
    force: bool,
}

/// Runs the command.
pub fn run(config: &ConfigArgs, args: &InitArgs) -> Result<Exit, CliError> {
    say("Optional tools (every phase says so when one that it needs is missing):");
    for tool in TOOLS {
        match tool.version() {
            Some(version) => say(format_args!("  {:<8} ok       {version}", tool.name)),
            None => say_folded(
                &format!("  {:<8} missing  {}: {}", tool.name, tool.purpose, tool.how_to_get),
                HANGING,
            ),
        }
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(!args.force).create(args.force).truncate(args.force);
    let output = args.output.as_ref().or(config.config.as_ref());
    let output = output.map_or(Path::new(DEFAULT_FILE), PathBuf::as_path);
    let path = output.display();
    let written = options.open(output).and_then(|mut file| file.write_all(content().as_bytes()));
    match written {
        Ok(()) => {
            say(format_args!("\nwrote {path}: fill in your services, then `shakedown check`"));
            Ok(Exit::Pass)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(CliError::usage(format!(
            "{path} is there already: --force overwrites it, --output FILE writes elsewhere"
        ))),
        Err(error) => Err(CliError::usage(format!("cannot write {path}: {error}"))),
    }
}

/// What is written: the template, then the built-in workloads.
pub fn content() -> String {
    format!("{TEMPLATE}\n{SHIPPED}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, parse};

    #[test]
    fn what_is_written_is_a_configuration_with_and_without_its_comments() {
        let options = LoadOptions::default();
        let written = parse("init", &content(), &options).expect("valid").config;
        let bare: String = content()
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(parse("bare", &bare, &options).expect("valid").config, written);
    }

    #[test]
    fn what_is_commented_out_is_valid_too() {
        // Lines such as `#  key: value` are settings; `# Text` is prose.
        let uncommented: String = content()
            .lines()
            .map(|line| format!("{}\n", line.strip_prefix("#~").unwrap_or(line)))
            .collect();
        assert_ne!(uncommented, content(), "nothing was commented out");
        parse("uncommented", &uncommented, &LoadOptions::default()).expect("valid");
    }
}
