//! Clients in Python: a virtual environment with the packages that each group of them needs, made once.

use super::skip::skipped;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// A Python that has what some clients need.
pub struct Python {
    bin: PathBuf,
}

impl Python {
    /// Returns the Python with the packages of `tests/clients/NAME.txt`; `None`, said out loud, where it cannot be had. With
    /// `CI=true` that is a failure.
    pub fn with(name: &str) -> Option<Python> {
        // One test at a time makes it; the others find it.
        static MADE: Mutex<()> = Mutex::new(());
        let _alone = MADE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match make(name) {
            Ok(bin) => Some(Python { bin }),
            Err(reason) => {
                skipped(&format!(
                    "needs python3 with venv, and the packages of tests/clients/{name}.txt: {reason}"
                ));
                None
            }
        }
    }

    /// Returns the interpreter.
    pub fn program(&self) -> PathBuf {
        self.bin.join("python")
    }

    /// Returns a client's file.
    pub fn client(&self, name: &str) -> PathBuf {
        folder().join(name)
    }
}

/// Returns the folder of the clients.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Makes a virtual environment, unless there is one of these very packages.
fn make(name: &str) -> Result<PathBuf, String> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let (bin, installed) = (venv.join("bin"), venv.join("installed.txt"));
    let list = folder().join(format!("{name}.txt"));
    let wanted = std::fs::read_to_string(&list).unwrap();
    if std::fs::read_to_string(&installed).is_ok_and(|known| known == wanted)
        && run(Command::new(bin.join("python")).args(["-c", "pass"])).is_ok()
    {
        return Ok(bin);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(Command::new(bin.join("python")).args(pip).arg(&list))?;
    std::fs::write(&installed, wanted).unwrap();
    Ok(bin)
}

/// Runs a command to its good end. Python leaves nothing beside its files.
pub fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(format!("{command:?}: {}\n{out}\n{err}", output.status))
}
