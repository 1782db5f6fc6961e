//! The sample answers and frames in `tests/fixtures/wire`, which the tests of the dashboard and of the Python clients
//! read as well.
//!
//! They are made by the server's own code: with `TICKWIRE_WRITE_FIXTURES=1` the tests write them, else they compare
//! them byte for byte.

use std::path::PathBuf;

/// Returns where a sample is, such as `live/tick`.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire").join(format!("{name}.json"))
}

/// Returns the text of a sample.
pub fn read(name: &str) -> String {
    let path = path(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim_end().to_owned()
}

/// Returns the names of all samples of a folder, sorted.
pub fn names(folder: &str) -> Vec<String> {
    let folder = path(folder).with_extension("");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// Holds a sample against what the server makes, or writes it.
pub fn hold(name: &str, made: &str) {
    if std::env::var("TICKWIRE_WRITE_FIXTURES").is_ok_and(|value| value == "1") {
        std::fs::write(path(name), format!("{made}\n")).unwrap();
    }
    assert_eq!(made, read(name), "{name}: run the test with TICKWIRE_WRITE_FIXTURES=1 to write the sample");
}
