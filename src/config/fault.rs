//! Faults of a configuration, reported all at once.
//!
//! Promises: no fault shows a secret; the value found is masked where its key holds one.

use super::sources::Origin;
use std::fmt;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key, such as `server.rest`; `None` where a source cannot be read at all.
    pub key: Option<String>,
    /// The value found, where there is one; masked where it may be secret.
    pub found: Option<String>,
    /// Where it came from.
    pub origin: Origin,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "`{key}`")?;
            if let Some(found) = &self.found {
                write!(f, " = `{found}`")?;
            }
            f.write_str(" from ")?;
        }
        write!(f, "{}: {}", self.origin, self.reason)
    }
}

/// A configuration that cannot be used, with every reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is not valid{}", .faults.iter().map(|fault| format!("\n  {fault}")).collect::<String>())]
pub struct ConfigError {
    /// At least one.
    pub faults: Vec<Fault>,
}
