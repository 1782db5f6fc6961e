//! Prints a configuration as TOML, with a comment on each value that is not a default.
//!
//! Promises: no secret is printed; what is printed can be read back.

use super::Config;
use super::sources::Origin;
use std::fmt::Write;
use toml::{Table, Value};

/// Prints the configuration; secrets mask themselves.
pub(super) fn to_toml(config: &Config) -> String {
    let table = Table::try_from(config).expect("a configuration is plain data");
    let mut text = String::new();
    print_table(config, &mut text, "", &table);
    text
}

fn print_table(config: &Config, text: &mut String, section: &str, table: &Table) {
    let key_in = |name: &str| if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
    for (name, value) in table.iter().filter(|(_, value)| !value.is_table()) {
        let comment = match config.origin(&key_in(name)) {
            Origin::Default => String::new(),
            origin => format!(" # {origin}"),
        };
        line(text, format_args!("{name} = {value}{comment}"));
    }
    for (name, value) in table {
        if let Value::Table(inner) = value {
            let section = key_in(name);
            line(text, format_args!("\n[{section}]"));
            print_table(config, text, &section, inner);
        }
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes everything");
}
