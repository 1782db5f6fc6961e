//! Files that hold a secret.
//!
//! On failure: an error that names the key and the file, and nothing of what is in it.

use anyhow::Context;
use std::path::Path;

/// Reads a file that holds a secret and a line's end.
///
/// # Errors
/// When it cannot be read.
pub fn read_secret(key: &str, path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("`{key}`: cannot read `{}`", path.display()))?;
    Ok(text.trim().to_owned())
}
