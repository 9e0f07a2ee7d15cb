//! `shakedown notify`: tries the channels out.

use std::path::PathBuf;

use jiff::Timestamp;

use super::exit::{CliError, Exit, say, say_error};
use super::run::tell_unknown_variables;
use super::{ConfigArgs, runtime};
use crate::config::{self, Channel, LoadedSlos};
use crate::notify::{Alert, Message, deliver, notifier};
use crate::platform::tls;
use crate::run::event::NotifyAction;

/// Options of `notify`.
#[derive(clap::Args)]
pub struct NotifyArgs {
    #[command(subcommand)]
    command: NotifyCommand,
}

#[derive(clap::Subcommand)]
enum NotifyCommand {
    /// Sends an alert that says that nothing is wrong, and its end, to every channel
    Test(TestArgs),
}

#[derive(clap::Args)]
struct TestArgs {
    /// This channel only
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// Prints what would be sent, exactly but for secrets, and sends nothing
    #[arg(long)]
    dry_run: bool,
    /// The definitions with the channels; without one those of a run
    #[arg(long, value_name = "FILE")]
    definitions: Option<PathBuf>,
}

/// Runs the command.
pub fn run(config: &ConfigArgs, args: &NotifyArgs) -> Result<Exit, CliError> {
    let NotifyCommand::Test(args) = &args.command;
    let options = config.load_options();
    let loaded = config::load(&options).map_err(CliError::usage)?;
    loaded.iter().for_each(tell_unknown_variables);
    let loaded = loaded.map(|loaded| loaded.config);
    let named = loaded.as_ref().and_then(|config| config.slo_definitions.clone());
    let definitions = LoadedSlos::load(args.definitions.as_ref().or(named.as_ref()))
        .map_err(CliError::usage)?
        .definitions;
    let wanted = |name: &str| args.channel.as_deref().is_none_or(|channel| channel == name);
    let channels: Vec<(&String, &Channel)> =
        definitions.channels.iter().filter(|(name, _)| wanted(name)).collect();
    if channels.is_empty() {
        let known: Vec<&str> = definitions.channels.keys().map(String::as_str).collect();
        let known = known.join(", ");
        return Err(CliError::usage(format!("no such channel: expected one of {known}")));
    }
    tls::install_provider();
    let (target, environment) = loaded.map_or_else(
        || ("sandbox".to_owned(), "sandbox"),
        |config| (config.target.name.clone(), config.target.environment.name()),
    );
    let alert = Alert {
        report_url: definitions.notify.report_of("none"),
        ..Alert::rehearsal(&target, environment)
    };
    // One that is not configured is no failure, but nobody at all is.
    let mut passed = channels.iter().any(|(_, channel)| channel.not_configured().is_none());
    for (name, channel) in channels {
        passed &= try_out(&format!("{name} ({})", channel.kind()), channel, &alert, args.dry_run)?;
    }
    Ok(if passed { Exit::Pass } else { Exit::Fail })
}

/// Sends a channel the alert and its end, or prints them: whether nothing failed.
fn try_out(name: &str, channel: &Channel, alert: &Alert, dry_run: bool) -> Result<bool, CliError> {
    if let Some(missing) = channel.not_configured() {
        say(format_args!("{name}: not configured: {missing}"));
        return Ok(true);
    }
    let notifier = match notifier(channel) {
        Ok(notifier) => notifier,
        Err(why) => {
            say_error(&format_args!("{name}: not set up: {why}"));
            return Ok(false);
        }
    };
    let since = Timestamp::now();
    let mut passed = true;
    for action in [NotifyAction::Trigger, NotifyAction::Resolve] {
        let message =
            Message { alert: alert.clone(), action, level: 1, since, at: Timestamp::now() };
        if dry_run {
            say(format_args!("--- {name}: {action}\n{}\n", notifier.payload(&message)));
            continue;
        }
        let attempt = runtime(1)?.block_on(deliver(notifier.as_ref(), &message));
        match attempt.result {
            Ok(()) => say(format_args!("{name}: {action} delivered")),
            Err(failure) => {
                let (tries, reason) = (attempt.tries, failure.reason);
                let tries = if tries == 1 { "once".into() } else { format!("{tries} times") };
                say_error(&format_args!("{name}: {action} not delivered, tried {tries}: {reason}"));
                passed = false;
            }
        }
    }
    Ok(passed)
}
