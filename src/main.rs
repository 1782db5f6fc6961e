//! Reads the arguments, sets up logging and runs the command. An error ends the process with a line on standard error and
//! exit code 1, 2 for wrong usage, or 3 where another process has taken over.

use clap::Parser;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use tickwire::actors::health::Fenced;
use tickwire::app::symbols::KeptSymbols;
use tickwire::cli::{AlertCommand, Cli, Command};
use tickwire::config::Config;
use tickwire::visible::visible_lines;
use tickwire::{app, replay, telemetry};

/// Thread-local arenas: entries cross threads by the thousand, and states of thousands of symbols grow bit by bit.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code for a fault of the command line or the configuration; clap uses the same.
const WRONG_USE: u8 = 2;

/// The exit code where another process has taken over what this one wrote to: to start it again would take it back.
const FENCED: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let config = match Config::load(&cli.sources()) {
        Ok(config) => config,
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::from(WRONG_USE);
        }
    };
    if let Err(error) = telemetry::init(config.log_format, config.log_level) {
        complain(&error.to_string());
        return ExitCode::from(WRONG_USE);
    }
    let (data_dir, history) = (config.data_dir.clone(), config.history.kind);
    match dispatch(cli.command, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let advice = app::check::advice(&error, &data_dir, history).map(|advice| format!("\n{advice}"));
            complain(&format!("{error:#}{}", advice.unwrap_or_default()));
            if error.is::<app::WrongUse>() {
                ExitCode::from(WRONG_USE)
            } else if error.is::<Fenced>() {
                ExitCode::from(FENCED)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn dispatch(command: Command, config: Config) -> anyhow::Result<()> {
    match command {
        Command::Run(options) => app::run(config, options.open),
        Command::Replay(options) => replay::run(options, config),
        Command::Serve => app::show(config),
        Command::Migrate(options) => app::migrate::run(&config, options.dry_run),
        Command::Check(options) => app::check::run(&config, options.repair),
        Command::Alert(options) => match options.command {
            AlertCommand::Test { channels } => app::channels::test(&channels, &config),
        },
        Command::Backfill(options) => app::backfill::run(&options.into_settings(), &config),
        Command::Compare(options) => app::compare::run(&options.into_settings(), &config),
        Command::Dlq(options) => {
            let (selection, action) = options.into_request();
            app::dlq::run(&selection, &action, &config)
        }
        Command::Export(options) => app::export::run(&options.into_settings(), &config),
        Command::Probe(options) => app::probe::run(&options.into_settings(), &config),
        Command::Venues(options) => print(&app::venues::list(&config, options.json)),
        Command::CheckConfig => {
            print(&format!("{}{}", verdict(&config), KeptSymbols::open(&config)?.in_words()))
        }
        Command::PrintConfig => print(&printed(&config)?),
        Command::Completions(options) => print(&options.script()),
    }
}

/// Returns the configuration, and in comments what wins over it.
fn printed(config: &Config) -> anyhow::Result<String> {
    let kept = KeptSymbols::open(config)?.in_words();
    let comments: String = kept.lines().map(|line| format!("# {line}\n")).collect();
    Ok(format!("{comments}{}", config.to_toml()))
}

/// Returns the text for a valid configuration, with the names of the variables that it ignores.
fn verdict(config: &Config) -> String {
    let ignored: String = config.ignored().iter().map(|name| format!("ignored: {name}\n")).collect();
    let mistakes: String = config.likely_mistakes().iter().map(|mistake| format!("{mistake}\n")).collect();
    format!("the configuration is valid\n{ignored}{mistakes}")
}

/// Writes an error to standard error. Where standard error is closed, the exit code still tells of it.
fn complain(error: &str) {
    let _ = writeln!(std::io::stderr(), "error: {}", visible_lines(error));
}

/// Writes to standard output; a reader that stops early, such as `head`, is not a failure.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(visible_lines(text).as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
