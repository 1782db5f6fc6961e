//! `tickwire completions`: what a shell needs to complete commands and flags.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Examples.
pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  tickwire completions bash > ~/.local/share/bash-completion/completions/tickwire
  tickwire completions zsh > ~/.zfunc/_tickwire    with `fpath+=~/.zfunc` in ~/.zshrc, before `compinit`
  tickwire completions fish > ~/.config/fish/completions/tickwire.fish";

/// Flags of `completions`.
#[derive(Clone, Copy, Debug, Args)]
pub struct CompletionsOptions {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

impl CompletionsOptions {
    /// Returns the script for the shell.
    #[must_use]
    pub fn script(self) -> String {
        let mut script = Vec::new();
        let mut command = super::Cli::command();
        let name = command.get_name().to_owned();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        String::from_utf8(script).expect("our own words are UTF-8")
    }
}
