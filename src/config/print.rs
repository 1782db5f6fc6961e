//! Prints a configuration as TOML, with a comment on each value that is not a default.
//!
//! Promises: no secret is printed; what is printed can be read back.

use super::Config;
use super::sources::Origin;
use crate::secret::{MASK, Secret, is_url_key, shown_url};
use std::fmt::Write;
use toml::{Table, Value};

/// Returns the configuration as anybody may see it: secrets mask themselves, and addresses lose their users and queries.
pub(super) fn shown_table(config: &Config) -> Table {
    let mut table = Table::try_from(config).expect("a configuration is plain data");
    let addresses: [(&[&str], &str, &Option<Secret>); 5] = [
        (&["postgres"], "url", &config.postgres.url),
        (&["history"], "read_url", &config.history.read_url),
        (&["redis"], "url", &config.redis.url),
        (&["alerts", "email"], "smtp_url", &config.alerts.email.smtp_url),
        (&["alerts", "alertmanager"], "url", &config.alerts.alertmanager.url),
    ];
    // These hide themselves as a whole, like passwords.
    for (sections, key, address) in addresses {
        let section =
            sections.iter().try_fold(&mut table, |table, name| table.get_mut(*name)?.as_table_mut());
        if let (Some(section), Some(address)) = (section, address) {
            section.insert(key.to_owned(), Value::from(address.expose()));
        }
    }
    show_urls(&mut table);
    table
}

/// Takes users and queries out of the URLs of a table and the tables in it.
fn show_urls(table: &mut Table) {
    for (key, value) in table.iter_mut() {
        match value {
            Value::Table(inner) => show_urls(inner),
            Value::String(text) if is_url_key(key) && text != MASK => *text = shown_url(text).into_owned(),
            _ => {}
        }
    }
}

/// Prints the configuration; what is secret is `***`.
pub(super) fn to_toml(config: &Config) -> String {
    let table = shown_table(config);
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
