//! The sources of a configuration, and the origin of each value: what faults and `print-config` name.
//!
//! [`Sources::of_process`] is where the process's environment is read; tests hand in their own. Nothing here fails: bytes
//! of the environment that are not Unicode are replaced.

use std::fmt;
use std::path::PathBuf;
use toml::Value;

/// Where a value came from; a later one wins over an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Built in.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// A variable of the file `.env`.
    DotEnv(String),
    /// A variable of the environment.
    Environment(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "file `{}`", path.display()),
            Origin::DotEnv(name) if name.is_empty() => f.write_str("`.env`"),
            Origin::DotEnv(name) => write!(f, "`.env` variable `{name}`"),
            Origin::Environment(name) => write!(f, "environment variable `{name}`"),
            Origin::Flag(flag) => write!(f, "flag `{flag}`"),
        }
    }
}

/// A value that a flag gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The flag, such as `--rate`.
    pub flag: &'static str,
    /// The key it sets, such as `provider.rate`.
    pub key: &'static str,
    /// The value.
    pub value: Value,
}

/// What a configuration is made of, besides the defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// A file of variables that the environment wins over; it need not exist.
    pub dotenv: Option<PathBuf>,
    /// The environment: names and values.
    pub environment: Vec<(String, String)>,
    /// Values of flags.
    pub flags: Vec<Override>,
    /// True when no external service may be used: legacy variables that name one are ignored.
    pub is_embedded: bool,
}

impl Sources {
    /// Takes the environment of this process and `.env` of its working directory.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, flags: Vec<Override>) -> Sources {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let environment = std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect();
        Sources { file, dotenv: Some(PathBuf::from(".env")), environment, flags, is_embedded: false }
    }
}
