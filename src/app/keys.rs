//! The keys that venues gave to the user, from the configuration or from files that it names.
//!
//! Promises: files are read once, before anything is opened; no message names what is in them. On failure the error names
//! the key of the configuration and the file.

use crate::actors::ingest::config::VenueConfig;
use crate::secret::Secret;
use anyhow::Context;
use std::path::Path;

/// Returns the section of a venue with its keys in it. A key that stands in the section wins over its file.
///
/// # Errors
/// When a file cannot be read, or holds nothing.
pub fn with_keys(venue: &str, section: &VenueConfig) -> anyhow::Result<VenueConfig> {
    let mut section = section.clone();
    for (name, key, file) in [
        ("key_file", &mut section.key, &section.key_file),
        ("socket_key_file", &mut section.socket_key, &section.socket_key_file),
    ] {
        if let (None, Some(path)) = (&key, file) {
            *key = Some(read(path).with_context(|| format!("`venues.{venue}.{name}`"))?);
        }
    }
    Ok(section)
}

fn read(path: &Path) -> anyhow::Result<Secret> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let key = text.trim();
    anyhow::ensure!(!key.is_empty(), "there is nothing in `{}`", path.display());
    anyhow::ensure!(
        key.chars().all(|c| c.is_ascii_graphic()),
        "what is in `{}` is no key: it has blanks, line ends or other characters that no key has",
        path.display()
    );
    Ok(Secret::new(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_key_comes_from_its_file_unless_it_is_given() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str, text: &str| -> PathBuf {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let section = VenueConfig {
            key_file: Some(file("key", " abc123\n")),
            socket_key: Some(Secret::new("given".to_owned())),
            socket_key_file: Some(file("socket", "not read")),
            ..VenueConfig::default()
        };
        let section = with_keys("polygon", &section).expect("both are there");
        let exposed = |key: Option<Secret>| key.map(|key| key.expose().to_owned());
        assert_eq!(exposed(section.key).as_deref(), Some("abc123"));
        assert_eq!(exposed(section.socket_key).as_deref(), Some("given"));
        for (path, said) in [
            (dir.path().join("none"), "cannot read"),
            (file("empty", "\n"), "there is nothing in"),
            (file("two", "hunter2\nhunter3\n"), "is no key"),
        ] {
            let section = VenueConfig { key_file: Some(path), ..VenueConfig::default() };
            let error = format!("{:#}", with_keys("polygon", &section).expect_err("no key"));
            assert!(error.contains("`venues.polygon.key_file`") && error.contains(said), "{error}");
            assert!(!error.contains("hunter"), "{error}");
        }
        assert_eq!(
            with_keys("coinbase", &VenueConfig::default()).expect("nothing to read"),
            VenueConfig::default()
        );
    }
}
